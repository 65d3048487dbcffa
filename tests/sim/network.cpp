#include "sim/network.hpp"

namespace tributary::sim {

std::size_t network::add(machine& m) {
    machines_.push_back(&m);
    return machines_.size() - 1;
}

void network::keep_connected(const edge& e) {
    lines_.push_back({e});
    run_.time.after(run_.random.between(1, 2000), [this, at = lines_.size() - 1] { dial(at); });
}

// -- Beginning ------------------------------------------------------------------------------------

void network::dial(std::size_t index) {
    line& l = lines_[index];
    const auto [from, to, live] = l.ends;
    if (l.up || removed_.contains(from) || removed_.contains(to)) return;
    const bool reachable = held_until(from, to) <= run_.time.now() &&
                           held_until(to, from) <= run_.time.now() && machines_[from]->up() &&
                           machines_[to]->up();
    if (!reachable) return redial(index);
    const connection_id c = ++last_;
    connections_.emplace(c, connection{from, to, index});
    l.up = true;
    machines_[from]->dialed(c, live);
    machines_[to]->accepted(c);
    if (!run_.healing && run_.random.chance(40))
        run_.time.after(run_.random.between(1, 8000), [this, c] { break_connection(c); });
}

void network::redial(std::size_t index) {
    const edge& e = lines_[index].ends;
    const bool hostile = is_hostile(e.dialer) || is_hostile(e.acceptor);
    const mono_ms most = hostile ? 8000 : !run_.healing ? 4000 : e.live ? 500 : 2000;
    run_.time.after(run_.random.between(50, most), [this, index] { dial(index); });
}

// -- Frames ---------------------------------------------------------------------------------------

void network::send(std::size_t from, connection_id c, bytes frame) {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return;
    connection& link = at->second;
    const bool to_dialer = link.acceptor == from;
    witness_.sent(c, from, to_dialer ? link.dialer : link.acceptor, frame);
    lane& l = to_dialer ? link.to_dialer : link.to_acceptor;
    l.waiting += frame.size();
    l.frames.push_back(std::move(frame));
    const mono_ms now = run_.time.now();
    l.last = std::max(l.last, now + run_.random.between(1, run_.random.chance(5) ? 1500 : 60));
    run_.time.after(l.last - now, [this, c, to_dialer] { deliver(c, to_dialer); });
}

/// The frame that has waited longest.
void network::deliver(connection_id c, bool to_dialer) {
    const auto at = connections_.find(c);
    if (at == connections_.end() || at->second.broken) return;
    connection& link = at->second;
    lane& l = to_dialer ? link.to_dialer : link.to_acceptor;
    const std::size_t from = to_dialer ? link.acceptor : link.dialer;
    const std::size_t to = to_dialer ? link.dialer : link.acceptor;
    const mono_ms now = run_.time.now();
    const mono_ms ready = std::max(held_until(from, to), machines_[to]->busy_until(c));
    if (ready > now)
        return run_.time.after(ready - now, [this, c, to_dialer] { deliver(c, to_dialer); });
    const bytes frame = std::move(l.frames.front());
    l.frames.pop_front();
    l.waiting -= frame.size();
    machines_[from]->backlog(c, l.waiting);
    ++run_.counted.frames;
    witness_.arrived(c, from, to, frame);
    machines_[to]->received(c, frame);
}

std::optional<std::size_t> network::other_end(connection_id c, std::size_t machine) const {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return std::nullopt;
    return at->second.dialer == machine ? at->second.acceptor : at->second.dialer;
}

bool network::is_short(connection_id c) const {
    const auto at = connections_.find(c);
    return at != connections_.end() && !lines_[at->second.edge].ends.live;
}

std::size_t network::under_way(connection_id c, std::size_t from) const {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return 0;
    return at->second.dialer == from ? at->second.to_acceptor.waiting
                                     : at->second.to_dialer.waiting;
}

// -- Ending ---------------------------------------------------------------------------------------

void network::hang_up(connection_id c) {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return;
    const mono_ms now = run_.time.now();
    const mono_ms last = std::max({at->second.to_acceptor.last, at->second.to_dialer.last, now});
    run_.time.after(last - now + 1, [this, c] { break_connection(c); });
}

/// Each end notices at its own time, or only by silence.
void network::break_connection(connection_id c) {
    const auto at = connections_.find(c);
    if (at == connections_.end() || at->second.broken) return;
    at->second.broken = true;
    ++run_.counted.broken_links;
    lose(c, true, run_.random.chance(20) ? run_.random.between(1, 3000) : 1);
    lose(c, false, run_.random.chance(20) ? run_.random.between(1, 6000) : 1);
}

void network::lose(connection_id c, bool at_dialer, mono_ms delay) {
    run_.time.after(delay, [this, c, at_dialer] { notice(c, at_dialer); });
}

void network::notice(connection_id c, bool at_dialer) {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return;
    connection& link = at->second;
    bool& knows = at_dialer ? link.dialer_knows : link.acceptor_knows;
    if (knows) return;
    knows = true;
    machines_[at_dialer ? link.dialer : link.acceptor]->disconnected(c);
    if (at_dialer) {
        lines_[link.edge].up = false;
        redial(link.edge);
    }
    if (!link.dialer_knows || !link.acceptor_knows) return;
    connections_.erase(at);
    witness_.ended(c);
}

void network::break_all_of(std::size_t machine) {
    std::vector<connection_id> all;
    for (const auto& [c, link] : connections_)
        if (link.dialer == machine || link.acceptor == machine) all.push_back(c);
    for (const connection_id c : all) break_connection(c);
}

void network::reset(std::size_t machine) {
    break_all_of(machine);
    std::vector<std::pair<connection_id, bool>> ends;
    for (const auto& [c, link] : connections_) {
        if (link.dialer == machine) ends.emplace_back(c, true);
        if (link.acceptor == machine) ends.emplace_back(c, false);
    }
    for (const auto& [c, at_dialer] : ends) notice(c, at_dialer);
}

void network::hold(std::size_t from, std::size_t to, mono_ms until) {
    mono_ms& held = held_[{from, to}];
    held = std::max(held, until);
}

mono_ms network::held_until(std::size_t from, std::size_t to) const {
    const auto at = held_.find({from, to});
    return at == held_.end() ? 0 : at->second;
}

void network::remove(std::size_t machine) {
    removed_.insert(machine);
    reset(machine);
}

}  // namespace tributary::sim
