#include "tributary/peer/links.hpp"

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

}  // namespace tributary
