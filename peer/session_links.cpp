/// What a session knows of how far either side is behind, for whoever asks how things stand.
#include "tributary/peer/session.hpp"

#include <algorithm>

namespace tributary {

link_state session::state_of(const subscription& s) const {
    const node end = hub_.end_of(s.handle);
    if (!s.accepted || !s.out.planned()) return link_state::comparing;
    if (s.in.failures > 0 && !s.in.done) return link_state::missing_parent;
    const bool held_up = !s.out.window_open() || backlog_ >= hub_.options.window_bytes;
    const bool lacks = s.out.unacknowledged(end).value_or(0) > 0;
    if (lacks && held_up) return link_state::throttled;
    const bool all_in = s.in.done || (role_ == wire::role::acceptor && s.in.expected == 0);
    if (!all_in) return s.in.expected > 0 ? link_state::fetching : link_state::comparing;
    return lacks ? link_state::sending : link_state::live;
}

link_lag session::lag_of(const subscription& s) const {
    link_lag lag;
    if (!s.accepted) return lag;
    lag.they_lack = s.out.unacknowledged(hub_.end_of(s.handle));
    const bool known = s.in.done || s.in.expected > 0 || role_ == wire::role::acceptor;
    if (known) lag.we_lack = s.in.expected;
    return lag;
}

bool session::subscribes(crdt_handle h) const {
    return std::any_of(subscriptions_.begin(), subscriptions_.end(), [h](const auto& each) {
        return each.second.handle == h;
    });
}

void session::note_states(mono_ms now) {
    for (auto& [sub, s] : subscriptions_) {
        const link_state state = state_of(s);
        if (state != s.state || s.state_since == 0) s.state_since = now;
        s.state = state;
    }
}

const char* session::parting() const {
    const auto is_done = [this](const auto& each) {
        const subscription& s = each.second;
        return s.accepted && !s.out.is_live() && s.out.complete(hub_.end_of(s.handle)) &&
               s.in.expected == 0;
    };
    const bool done = role_ == wire::role::acceptor && !subscriptions_.empty() &&
                      std::all_of(subscriptions_.begin(), subscriptions_.end(), is_done);
    return done ? "it closed the connection after its sync" : "the connection was lost";
}

void session::add_links(std::vector<hub_link>& to, mono_ms now) const {
    for (const auto& [sub, s] : subscriptions_) {
        hub_link l;
        l.connection = id_;
        l.peer_key = peer_.key;
        l.dialed = role_ == wire::role::dialer;
        l.handle = s.handle;
        l.state = state_of(s);
        if (l.state == s.state && s.state_since != 0) l.for_ms = now - s.state_since;
        l.lag = lag_of(s);
        l.counters = counters_;
        l.clock_ahead_ms = clock_ahead_ms_;
        to.push_back(std::move(l));
    }
}

}  // namespace tributary
