#include "peer_rows.hpp"

namespace tributary::cli {

namespace {

value number_or(const std::optional<std::uint64_t>& n, value otherwise) {
    return n ? value(static_cast<std::int64_t>(*n)) : std::move(otherwise);
}

}  // namespace

const std::vector<std::string> peer_columns = {
    "crdt", "peer", "state", "since", "they lack", "we lack", "why"};

std::string peer_name(const peer_status& p) {
    if (!p.url.empty()) return p.url;
    const std::string key = p.key ? p.key->brief() : "";
    return p.name.empty() ? key : p.name + " (" + key + ")";
}

std::string why(const peer_status& p) {
    switch (p.state) {
        case link_state::throttled:
            return p.reason.empty() ? "it has not yet acknowledged what it was sent" : p.reason;
        case link_state::missing_parent:
            return "it sent commits whose parents are not here, and was asked for them";
        default:
            return p.reason;
    }
}

value peer_value(const peer_status& p) {
    return make_map({{"peer", peer_name(p)},
                     {"key", p.key ? value(p.key->hex()) : value()},
                     {"dialed_by", p.url.empty() ? "them" : "us"},
                     {"connected", is_connected(p.state)},
                     {"state", name_of(p.state)},
                     {"since", inst{p.since_ms}},
                     {"synced", p.synced_ms ? value(inst{*p.synced_ms}) : value()},
                     {"they_lack", number_or(p.lag.they_lack, {})},
                     {"we_lack", number_or(p.lag.we_lack, {})},
                     {"why", why(p)}});
}

std::vector<value> peer_row(const peer_status& p) {
    return {p.crdt,
            peer_name(p),
            name_of(p.state),
            inst{p.since_ms},
            number_or(p.lag.they_lack, "?"),
            number_or(p.lag.we_lack, "?"),
            why(p)};
}

}  // namespace tributary::cli
