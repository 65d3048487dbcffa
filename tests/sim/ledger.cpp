#include "sim/ledger.hpp"

#include "tributary/peer/message.hpp"

#include "sim/model.hpp"

namespace tributary::sim {

void ledger::sent(connection_id c, std::size_t from, std::size_t to, const bytes& frame) {
    if (net_.is_hostile(from) || net_.is_hostile(to)) return;
    ++traffic_.frames;
    traffic_.sent_bytes += frame.size();
    traffic_.hellos += wire::is_of_type(frame, wire::message_type::hello) ? 1 : 0;
    if (!wire::is_of_type(frame, wire::message_type::chunk)) return;
    std::vector<commit> commits;
    const wire::chunk_head head = wire::read_chunk(frame, commits);
    traffic_.commits += commits.size();
    auto& rounds = rounds_[{c, from}];
    for (const commit& each : commits) {
        traffic_.payload_bytes += each.header.size() + each.body.size() + (each.sig ? 64 : 0);
        const commit_id id = id_of_header(each.header);
        const auto [at, first] = rounds.try_emplace(id, head.round);
        if (!first && at->second == head.round)
            broken(fmt::format("peer {} sends commit {} to peer {} twice", from, id.brief(), to));
        at->second = head.round;
    }
}

void ledger::arrived(connection_id c, std::size_t, std::size_t, const bytes& frame) {
    bytes when;
    put_be64(when, static_cast<unsigned long long>(run_.time.now()));
    put_be64(when, c);
    trail_ = hash("sim", trail_.view(), when + frame);
}

void ledger::ended(connection_id c) {
    rounds_.erase(rounds_.lower_bound({c, 0}), rounds_.lower_bound({c + 1, 0}));
}

}  // namespace tributary::sim
