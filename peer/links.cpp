#include "tributary/peer/links.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace tributary {

const char* name_of(link_state s) noexcept {
    switch (s) {
        case link_state::live:
            return "live";
        case link_state::comparing:
            return "comparing";
        case link_state::fetching:
            return "fetching";
        case link_state::sending:
            return "sending";
        case link_state::verifying:
            return "verifying";
        case link_state::throttled:
            return "throttled";
        case link_state::missing_parent:
            return "missing parent";
        case link_state::idle:
            return "idle";
        case link_state::offline:
            return "offline";
        case link_state::refused:
            return "refused";
    }
    return "unknown";
}

link_state state_after(errc code) noexcept {
    switch (code) {
        case errc::unavailable:
        case errc::io:
        case errc::no_space:
        case errc::canceled:
        case errc::locked:
            return link_state::offline;
        case errc::bad_input:
        case errc::not_found:
        case errc::exists:
        case errc::conflict:
        case errc::unauthorized:
        case errc::newer_version:
        case errc::limit:
        case errc::misuse:
            return link_state::refused;
    }
    return link_state::offline;
}

std::string clock_warning(const std::string& peer, const std::string& crdt, std::int64_t ahead_ms) {
    const std::int64_t minutes = std::abs(ahead_ms) / 60000;
    const std::int64_t hours = minutes / 60, days = hours / 24;
    const std::string much = days > 1      ? fmt::format("{} days", days)
                             : hours > 1   ? fmt::format("{} hours", hours)
                             : minutes > 1 ? fmt::format("{} minutes", minutes)
                                           : fmt::format("{} s", std::abs(ahead_ms) / 1000);
    return fmt::format(
        "the clock of {} is {} {} this machine's, so times in \"{}\" mislead: set the "
        "clock that is wrong",
        peer,
        much,
        ahead_ms > 0 ? "ahead of" : "behind",
        crdt);
}

}  // namespace tributary
