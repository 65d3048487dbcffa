#include "tributary/peer/ban_list.hpp"

#include <algorithm>

namespace tributary {

void ban_list::strike(const std::string& who, std::int64_t now_ms) {
    if (options_.first_ms == 0) return;
    std::erase_if(records_, [&](const auto& each) {
        return each.second.until_ms + options_.forgotten_ms < now_ms;
    });
    if (records_.size() >= options_.kept_max && !records_.contains(who))
        records_.erase(
            std::min_element(records_.begin(), records_.end(), [](const auto& a, const auto& b) {
                return a.second.until_ms < b.second.until_ms;
            }));
    record& r = records_[who];
    const std::int64_t doubled = options_.first_ms << std::min(r.strikes++, 30);
    r.until_ms = now_ms + std::min(doubled, options_.longest_ms);
}

std::int64_t ban_list::wait_ms(const std::string& who, std::int64_t now_ms) const {
    const auto found = records_.find(who);
    return found == records_.end() ? 0 : std::max<std::int64_t>(0, found->second.until_ms - now_ms);
}

}  // namespace tributary
