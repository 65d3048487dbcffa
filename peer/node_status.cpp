/// How things stand with each peer: what is connected, from the hub; what is not, from the records.
#include "tributary/peer/contacts.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/peer/session.hpp"

#include <algorithm>

namespace tributary {

namespace {

peer_status status_of(const contact& c) {
    peer_status out;
    out.key = c.key;
    out.url = c.url;
    out.state = c.state;
    out.since_ms = c.since_ms;
    out.synced_ms = c.synced_ms;
    out.reason = c.reason;
    return out;
}

/// What either side lacks by what was known when they last spoke.
link_lag lag_by_records(const commit_store& store, crdt_handle h, const public_key& peer) {
    const peer_marks marks = peer_marks::load(store, h, peer);
    link_lag lag;
    if (!marks.out) return lag;
    const node end = store.state(h).end.seq;
    lag.they_lack = end - std::min(end, marks.out->ours.seq);
    if (marks.in) lag.we_lack = marks.out->theirs - std::min(marks.out->theirs, marks.in->seq);
    return lag;
}

peer_status status_of(const peer_link& l, std::int64_t now_ms) {
    peer_status out;
    out.key = l.link.peer_key;
    out.url = l.url;
    out.state = l.link.state;
    out.since_ms = now_ms - l.link.for_ms;
    out.reason = l.link.reason;
    out.lag = l.link.lag;
    if (out.state == link_state::live) out.synced_ms = now_ms;
    out.commits_in = l.link.counters.commits_in;
    out.commits_out = l.link.counters.commits_out;
    out.payload_bytes = l.link.counters.payload_bytes;
    out.control_bytes = l.link.counters.control_bytes;
    return out;
}

std::vector<peer_status> peers_of(const commit_store& store,
                                  crdt_handle h,
                                  const std::vector<peer_link>& links,
                                  std::int64_t now_ms) {
    const std::string name = store.state(h).name;
    std::vector<peer_status> out;
    for (const peer_link& l : links) {
        if (l.link.handle != h) continue;
        out.push_back(status_of(l, now_ms));
        if (l.link.clock_ahead_ms != 0 && out.back().reason.empty())
            out.back().reason =
                clock_warning(l.url.empty() ? "peer " + l.link.peer_key.brief() : l.url,
                              name,
                              l.link.clock_ahead_ms);
    }
    const std::size_t connected = out.size();
    for (const contact& c : contacts_of(store, h)) {
        const auto end = out.begin() + static_cast<std::ptrdiff_t>(connected);
        const auto same = std::find_if(out.begin(), end, [&](const peer_status& p) {
            return p.url == c.url && is_connected(p.state);
        });
        if (same == end) {
            out.push_back(status_of(c));
            if (c.key) out.back().lag = lag_by_records(store, h, *c.key);
        } else if (!same->synced_ms) {
            same->synced_ms = c.synced_ms;
        }
    }
    for (peer_status& p : out) {
        p.crdt = name;
        if (p.key) p.name = store.author_name(h, *p.key).value_or("");
    }
    return out;
}

}  // namespace

std::vector<peer_status> node_stage::peers(const std::string& name) {
    const std::vector<peer_link> links = node_.links();
    const std::int64_t now_ms = wall_ms();
    return node_.read([&](commit_store& store) {
        std::vector<peer_status> out;
        const std::vector<crdt_handle> asked =
            name.empty() ? store.list() : std::vector{require_crdt(store, name)};
        for (const crdt_handle h : asked)
            for (peer_status& p : peers_of(store, h, links, now_ms)) out.push_back(std::move(p));
        return out;
    });
}

}  // namespace tributary
