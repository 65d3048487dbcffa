// What a session says and hears of replicas that are partial: that begin above a cut.
#include "tributary/peer/session.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

/// Said to a peer that does not know where the cut was made; beyond it, that alone must do.
constexpr std::size_t floor_said_max = 4096;
constexpr std::size_t early_max = 256;

}  // namespace

session::early& session::said_early(std::uint64_t sub) {
    if (!early_.contains(sub) && early_.size() >= early_max)
        throw error(errc::limit,
                    "limit/subscriptions",
                    "too much is said of subscriptions that are not made");
    return early_.try_emplace(sub, hub_.plans).first->second;
}

session::early session::take_early(std::uint64_t sub) {
    const auto found = early_.find(sub);
    if (found == early_.end()) return early(hub_.plans);
    early said = std::move(found->second);
    early_.erase(found);
    return said;
}

void session::early::count_memory() {
    std::size_t bytes = until.size() * sizeof(commit_id);
    if (cut) {
        bytes += cut->floor.size() * sizeof(commit_id);
        for (const commit& c : cut->where.proofs) bytes += sizeof(c) + c.header.size();
    }
    memory.set(bytes);
}

void session::on_part(bytes_view frame) {
    if (role_ == wire::role::dialer)
        throw error(errc::bad_input, "only the dialing side says what it wants");
    const wire::part m = wire::read_part(frame);
    said_early(m.sub).part = m.what;
}

void session::on_until(bytes_view frame) {
    if (role_ == wire::role::dialer)
        throw error(errc::bad_input, "only the dialing side says what it wants");
    wire::until m = wire::read_until(frame);
    early& said = said_early(m.sub);
    said.until = std::move(m.ids);
    said.count_memory();
}

void session::on_cut(bytes_view frame) {
    wire::cut m = wire::read_cut(frame);
    if (ended_.contains(m.sub)) return;
    const auto found = subscriptions_.find(m.sub);
    if (found == subscriptions_.end() || !found->second.accepted) {
        early& said = said_early(m.sub);
        said.cut = std::move(m);
        said.count_memory();
        return;
    }
    count_plan(found->second);
    try {
        heed_cut(found->second, m);
    } catch (const refusal& e) {
        end(m.sub, e);
    }
}

void session::on_below(bytes_view frame) {
    wire::below m = wire::read_below(frame);
    subscription* const s = find(m.sub);
    if (!s) return;
    s->below = std::move(m.ids);
    count_memory(*s);
}

void session::on_refused(bytes_view frame) {
    const wire::refused m = wire::read_refused(frame);
    if (!subscriptions_.contains(m.sub) && !open_wants_.contains(m.sub)) return;
    forget(m.sub, error(m.code, m.reason));
}

/// Ends one subscription, which cannot go on, and tells the peer.
void session::end(std::uint64_t sub, const error& why) {
    send(encode(wire::refused{
        sub, why.code(), std::string(why.what()).substr(0, wire::text_bytes_max / 2)}));
    forget(sub, why);
}

void session::forget(std::uint64_t sub, const error& why) {
    if (const auto found = subscriptions_.find(sub); found != subscriptions_.end()) {
        if (role_ == wire::role::dialer && found->second.accepted) store_marks(found->second);
        subscriptions_.erase(found);
    }
    open_wants_.erase(sub);
    early_.erase(sub);
    blobs_.close(sub);
    ended_.insert(sub);
    if (role_ == wire::role::acceptor) return;
    // With nothing else to do here, the connection ends for the same reason.
    if (subscriptions_.empty() && open_wants_.empty()) throw error(why.code(), why.what());
    hub_event e{.what = hub_event::kind::refused, .connection = id_, .peer_key = peer_.key};
    e.want = sub - 1;
    e.code = why.code();
    e.reason = why.what();
    // At once: nothing that is staged can make it untrue, nor the end of the connection.
    hub_.effects.events.push_back(std::move(e));
}

/// Before a subscribe or an accept: where the replica here begins, if it does not have all.
void session::say_cut(std::uint64_t sub, crdt_handle h) {
    const auto own = hub_.store.cut_of(h);
    if (!own) return;
    wire::cut m;
    m.sub = sub;
    m.where.at = own->at;
    m.where.below = own->below;
    m.floor = hub_.store.floor(h);
    if (m.floor.size() > floor_said_max) m.floor.clear();
    send(encode(m));
}

/// What the other side, which is partial, lacks in terms of what is here. Of two cuts, the deeper
/// side judges: it must have everything just below the other's.
void session::heed_cut(subscription& s, const wire::cut& theirs) {
    const auto own = hub_.store.cut_of(s.handle);
    outflow::beginning begins;
    bool known = !theirs.floor.empty();
    for (const commit_id& id : theirs.floor) {
        if (const auto n = hub_.store.find(s.handle, id))
            begins.floor.push_back(*n);
        else if (!hub_.store.is_below(s.handle, id))
            known = false;
    }
    const bool same = own && own->at == theirs.where.at;
    if (!same && hub_.store.is_valid(s.handle, theirs.where.at)) begins.at = theirs.where.at.seq;
    const bool deeper = !own || own->below <= theirs.where.below;
    if (!same && begins.at == 0 && !known && deeper) {
        const std::string name = hub_.store.state(s.handle).name;
        const std::string count = fmt::format("{} commits", theirs.where.below);
        throw refusal(
            errc::conflict,
            role_ == wire::role::acceptor
                ? fmt::format("the replica of \"{}\" here is partial, and the peer does not have "
                              "what is below it ({}): sync with the one it was cloned from, or "
                              "with another that has all",
                              name,
                              count)
                : fmt::format("the peer's replica of \"{}\" is partial, and what is below it ({}) "
                              "is not all here: sync with a peer that has it first",
                              name,
                              count));
    }
    s.partial = true;
    s.out.receiver_begins(std::move(begins));
}

/// Above which entry of the log here `part` begins.
node session::place_of(crdt_handle h, const history_part& part) const {
    const node end = hub_.end_of(h);
    if (end == 0 || part.by == history_part::measure::all) return 0;
    if (part.by == history_part::measure::depth)
        return end - std::clamp<std::uint64_t>(part.amount, 1, end);
    const auto since = static_cast<std::int64_t>(part.amount);
    return std::min(hub_.store.first_since(h, since), end) - 1;
}

/// After which entry of the log nothing is wanted; its end, if some of `until` are not here.
node session::end_for(crdt_handle h, const std::vector<commit_id>& until) const {
    node last = 0;
    for (const commit_id& id : until) {
        const auto n = hub_.store.find(h, id);
        if (!n) return hub_.end_of(h);
        last = std::max(last, *n);
    }
    return until.empty() ? hub_.end_of(h) : last;
}

}  // namespace tributary
