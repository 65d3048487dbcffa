#include "tributary/peer/throttle.hpp"

namespace tributary {

bool throttle::opened(connection_id c, const public_key& key, mono_ms now) {
    // Who comes back finds its budget as it left it.
    for (auto at = budgets_.begin(); at != budgets_.end();)
        at = at->second.connections == 0 && at->second.is_full(now) ? budgets_.erase(at)
                                                                     : std::next(at);
    const budget fresh{{options_.bytes_s, options_.burst_bytes},
                       {options_.messages_s, options_.burst_messages},
                       {options_.busy_ms_s, options_.burst_busy_ms}};
    budget& b = budgets_.emplace(key, fresh).first->second;
    ++b.connections;
    keys_.emplace(c, key);
    return hold_if_empty(c, b, now);
}

bool throttle::hold_if_empty(connection_id c, budget& b, mono_ms now) {
    if (!b.is_empty(now) || !held_.insert(c).second) return false;
    ++held_total_;
    return true;
}

void throttle::closed(connection_id c) {
    held_.erase(c);
    const auto found = keys_.find(c);
    if (found == keys_.end()) return;
    --budgets_.at(found->second).connections;
    keys_.erase(found);
}

bool throttle::spend(connection_id c, std::size_t bytes, double busy_ms, mono_ms now) {
    const auto found = keys_.find(c);
    if (found == keys_.end()) return false;
    budget& b = budgets_.at(found->second);
    b.bytes.spend(static_cast<double>(bytes), now);
    b.messages.spend(1, now);
    b.busy.spend(busy_ms, now);
    return hold_if_empty(c, b, now);
}

std::vector<connection_id> throttle::due(mono_ms now) {
    std::vector<connection_id> out;
    for (const connection_id c : held_)
        if (!budgets_.at(keys_.at(c)).is_empty(now)) out.push_back(c);
    for (const connection_id c : out) held_.erase(c);
    return out;
}

}  // namespace tributary
