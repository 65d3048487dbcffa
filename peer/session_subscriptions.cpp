#include "tributary/peer/session.hpp"
#include "tributary/value/covered.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

/// With a cursor, heads are only for the case that it is not good, so they are sent only while they
/// are few.
constexpr std::size_t heads_beside_cursor_max = 4;
/// Cells sent before anybody asks for more: for differences of about a hundred commits.
constexpr std::uint64_t cells_at_first = 192;

std::string printable_name(const std::string& name, const crdt_id& id) {
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    const bool good =
        !name.empty() && name.size() <= 255 && std::none_of(name.begin(), name.end(), control);
    return good ? name : id.brief();
}

std::string free_name(const commit_store& store, const std::string& name) {
    std::string free = name;
    for (int n = 2; store.find_name(free); ++n) free = fmt::format("{}-{}", name, n);
    return free;
}

/// How many of `theirs` commits are at least not among those that are shared.
std::uint64_t unseen(std::uint64_t theirs, std::uint64_t shared) {
    return theirs - std::min(shared, theirs);
}

std::variant<crdt_id, std::string> target_of(const std::string& remote) {
    if (remote.starts_with("trib:")) return parse_address(remote);
    return remote;
}

}  // namespace

// -- Marks ----------------------------------------------------------------------------------------

namespace {

std::string mark_key(const public_key& peer, const char* which) {
    return "peer/" + peer.hex() + which;
}

bytes encode_cursor(const arrival_cursor& c) {
    bytes out;
    put_be64(out, c.seq);
    out.append(reinterpret_cast<const char*>(c.digest.data()), c.digest.size());
    return out;
}

arrival_cursor decode_cursor(bytes_view b) {
    arrival_cursor c;
    c.seq = get_be64(b.substr(0, 8));
    std::copy_n(b.begin() + 8, c.digest.size(), c.digest.begin());
    return c;
}

constexpr std::size_t cursor_bytes = 24;

}  // namespace

peer_marks peer_marks::load(const commit_store& store, crdt_handle h, const public_key& peer) {
    peer_marks m;
    if (const auto in = store.mark(h, mark_key(peer, "/in")); in && in->size() == cursor_bytes)
        m.in = decode_cursor(*in);
    if (const auto out = store.mark(h, mark_key(peer, "/out"));
        out && out->size() == cursor_bytes + 8)
        m.out = {decode_cursor(*out), get_be64(bytes_view(*out).substr(cursor_bytes))};
    return m;
}

void peer_marks::save(commit_store& store,
                      crdt_handle h,
                      const public_key& peer,
                      const peer_marks& stored) const {
    if (in != stored.in) {
        std::optional<bytes> val;
        if (in) val = encode_cursor(*in);
        store.put_mark(h, mark_key(peer, "/in"), std::move(val));
    }
    if (out != stored.out) {
        std::optional<bytes> val;
        if (out) {
            val = encode_cursor(out->ours);
            put_be64(*val, out->theirs);
        }
        store.put_mark(h, mark_key(peer, "/out"), std::move(val));
    }
}

void session::refresh_marks(subscription& s) {
    if (!s.accepted || !s.out.planned()) return;
    // A push from a place in between would bring a partial replica what is below its cut.
    if (s.partial && !s.out.complete(hub_.end_of(s.handle))) return;
    const node position = s.out.acked_position();
    if (s.marks.out && s.marks.out->ours.seq == position && s.marks.out->theirs == s.their_end)
        return;
    s.marks.out = {s.out.cursor_at(position), s.their_end};
}

void session::store_marks(subscription& s) {
    if (role_ == wire::role::acceptor) return;
    refresh_marks(s);
    s.marks.save(hub_.store, s.handle, peer_.key, s.stored);
    s.stored = s.marks;
}

// -- Beginning ------------------------------------------------------------------------------------

session::subscription& session::add_subscription(std::uint64_t sub, crdt_handle h, bool live) {
    for (const auto& [other, s] : subscriptions_)
        if (other == sub || s.handle == h)
            throw error(errc::bad_input, "two subscriptions to one CRDT on one connection");
    if (subscriptions_.size() + ended_.size() >= hub_.options.subscriptions_max)
        throw error(errc::limit,
                    "limit/subscriptions",
                    fmt::format("more than {} subscriptions on one connection",
                                hub_.options.subscriptions_max));
    outflow out(hub_.store, h, hub_.options, live);
    return subscriptions_.emplace(sub, subscription(sub, h, std::move(out), hub_.plans))
        .first->second;
}

session::subscription* session::find(std::uint64_t sub) {
    if (ended_.contains(sub)) return nullptr;
    const auto found = subscriptions_.find(sub);
    if (found == subscriptions_.end() || !found->second.accepted)
        throw error(errc::bad_input, fmt::format("a message for no subscription ({})", sub));
    return &found->second;
}

bool session::may_read(crdt_handle h) const {
    return hub_.store.authority_of(h)->may_read(peer_.key);
}

/// Who dials chooses whom it trusts, and may ask a peer that it does not know of yet; but none that
/// was revoked.
void session::require_reader(crdt_handle h) const {
    const authority_ptr rules = hub_.store.authority_of(h);
    if (rules->may_read(peer_.key)) return;
    if (role_ == wire::role::dialer && !rules->is_revoked(peer_.key)) return;
    const std::string name = hub_.store.state(h).name;
    throw refusal(
        errc::unauthorized,
        fmt::format("key {} was revoked in \"{}\" and may no longer read it; trib members {} "
                    "tells by whom, to be asked to grant another key",
                    peer_.key.hex(),
                    name,
                    name));
}

wire::holding session::holding_of(crdt_handle h, std::uint64_t round) const {
    wire::holding have;
    have.round = round;
    have.ids = hub_.store.tip_ids(h);
    have.heads_digest = wire::digest_of_heads(have.ids);
    have.count = hub_.store.state(h).end.seq;
    have.window = hub_.options.window_bytes;
    if (have.ids.size() > wire::heads_max) have.ids.clear();
    return have;
}

void session::subscribe_wants() {
    for (want& w : wants_) {
        const auto target = target_of(w.remote);
        if (!w.handle)
            if (const auto* id = std::get_if<crdt_id>(&target)) w.handle = hub_.store.find_id(*id);
        open_wants_.emplace(open_wants_.size() + 1, open_want{std::move(w)});
    }
    // All are known before the first may fail: the connection ends with the last.
    for (std::uint64_t sub = 1; sub <= wants_.size(); ++sub) {
        try {
            subscribe(sub, open_wants_.at(sub));
        } catch (const refusal& e) {
            forget(sub, e);
        }
    }
    wants_.clear();
}

void session::subscribe(std::uint64_t sub, open_want& w) {
    wire::subscribe m;
    m.sub = sub;
    m.live = w.what.live;
    if (!w.what.until.empty()) send(encode(wire::until{sub, w.what.until}));
    if (w.is_clone()) {
        if (w.what.part) send(encode(wire::part{sub, *w.what.part}));
        m.target = target_of(w.what.remote);
        m.want_genesis = true;
        m.have.round = 1;
        m.have.heads_digest = wire::digest_of_heads({});
        m.have.window = hub_.options.window_bytes;
        send(encode(m));
        return;
    }
    const crdt_handle h = *w.what.handle;
    require_reader(h);
    say_cut(sub, h);
    subscription& s = add_subscription(sub, h, m.live);
    s.stored = s.marks = peer_marks::load(hub_.store, h, peer_.key);
    const auto& out = s.marks.out;
    w.cursor_given = s.marks.in.has_value();
    w.trusted = !w.what.deepens && s.marks.in && out && out->theirs <= s.marks.in->seq &&
                hub_.store.is_valid(h, out->ours);
    s.in.round = 1;
    m.target = hub_.store.state(h).id;
    m.want_heads = !w.trusted;
    m.have = holding_of(h, 1);
    m.have.cursor = s.marks.in;
    if (w.cursor_given && m.have.ids.size() > heads_beside_cursor_max) m.have.ids.clear();
    if (w.trusted) {
        s.their_end = out->theirs;
        s.out.plan_log(0, out->ours.seq, hub_.end_of(h));
    }
    send(encode(m));
    if (w.trusted) show_theirs(s);
}

void session::on_subscribe(bytes_view frame) {
    if (role_ == wire::role::dialer)
        throw error(errc::bad_input, "only the dialing side subscribes");
    const wire::subscribe m = wire::read_subscribe(frame);
    const auto* id = std::get_if<crdt_id>(&m.target);
    const auto h =
        id ? hub_.store.find_id(*id) : hub_.store.find_name(std::get<std::string>(m.target));
    try {
        if (!h || !may_read(*h))
            throw refusal(
                errc::not_found,
                "this peer offers no CRDT " +
                    (id ? address_of(*id) : "named \"" + std::get<std::string>(m.target) + "\"") +
                    "; trib ls shows what it offers");
        answer(m, *h);
    } catch (const refusal& e) {
        end(m.sub, e);
    }
}

/// Accepts a subscription and plans for it.
void session::answer(const wire::subscribe& m, crdt_handle h) {
    subscription& s = add_subscription(m.sub, h, m.live);
    const early said = take_early(m.sub);
    const node end = end_for(h, said.until);
    if (said.cut) heed_cut(s, *said.cut);
    s.accepted = true;
    const bool is_partial = hub_.store.cut_of(h).has_value();
    s.partial = s.partial || is_partial;
    // A new replica begins above this entry.
    std::optional<node> above;
    if (m.want_genesis && m.have.count == 0) above = said.part ? place_of(h, *said.part) : 0;
    if (above && (*above > 0 || is_partial))
        send(encode(wire::cut{m.sub, hub_.store.cut_at(h, *above, peer_.key), {}}));
    else if (is_partial)
        say_cut(m.sub, h);

    wire::accept answer;
    answer.sub = m.sub;
    answer.cursor_good = m.have.cursor && hub_.store.is_valid(h, *m.have.cursor);
    if (m.have.cursor && !answer.cursor_good) covered("cursor of another log");
    // Round 0 is what the dialer pushes on the strength of its cursors, before it reads this
    // answer.
    s.in.round = answer.cursor_good ? 0 : 1;
    answer.have = holding_of(h, s.in.round);
    if (answer.cursor_good && !m.want_heads) answer.have.ids.clear();
    if (m.want_genesis) {
        const crdt_state state = hub_.store.state(h);
        answer.about = {state.genesis, state.name};
    }
    send(encode(answer));
    blobs_.open(s.sub, s.handle, {});
    s.in.expected = unseen(m.have.count, hub_.end_of(h));
    if (above && (*above > 0 || is_partial)) {
        s.out_depth = s.round_trips + 1;
        s.out.limit_window(m.have.window);
        s.out.plan_above(m.have.round, *above, end);
        count_memory(s);
    } else {
        plan(s, m.have, end);
    }
    show_theirs(s);
}

crdt_handle session::adopt(const want& w,
                           const wire::accept::description& about,
                           const early& said) {
    const genesis g = verify(about.genesis);
    const crdt_id id = id_of_genesis(about.genesis.record);
    const auto target = target_of(w.remote);
    if (const auto* wanted = std::get_if<crdt_id>(&target); wanted != nullptr && *wanted != id)
        throw error(errc::bad_input,
                    "the peer answers with another CRDT than " + address_of(*wanted));
    if (w.handle) {
        const crdt_handle made =
            hub_.store.add_beside(*w.handle, said.cut ? &said.cut->where : nullptr);
        hub_.store.put_mark(made, part_mark, text_of(*w.part));
        hub_.grown(made);
        return made;
    }
    if (const auto known = hub_.store.find_id(id)) return *known;
    const std::string name = w.clone_as.empty() ? printable_name(about.name, id) : w.clone_as;
    const std::string free = free_name(hub_.store, name);
    const crdt_handle h = said.cut ? hub_.store.add_partial(about.genesis, free, said.cut->where)
                                   : hub_.store.add(about.genesis, free);
    hub_.grown(h);
    return h;
}

void session::on_accept(bytes_view frame) {
    const wire::accept m = wire::read_accept(frame);
    if (ended_.contains(m.sub)) return;
    const auto found = open_wants_.find(m.sub);
    if (found == open_wants_.end()) throw error(errc::bad_input, "an answer that nobody asked for");
    const open_want w = std::move(found->second);
    open_wants_.erase(found);
    const early said = take_early(m.sub);

    bool restart = false;
    if (w.is_clone()) {
        if (!m.about) throw error(errc::bad_input, "an answer to a clone without the genesis");
        const crdt_handle h = adopt(w.what, *m.about, said);
        subscription& s = add_subscription(m.sub, h, w.what.live);
        s.stored = s.marks = peer_marks::load(hub_.store, h, peer_.key);
        s.in.round = 1;
        restart = hub_.end_of(h) > 0;
        hub_event e{.what = hub_event::kind::cloned};
        e.want = m.sub - 1;
        e.handle = h;
        event(std::move(e));
    }
    subscription& s = subscriptions_.at(m.sub);
    s.accepted = true;
    came_back(s, 1);
    s.partial = said.cut || hub_.store.cut_of(s.handle);
    if (said.cut && !w.is_clone()) {
        try {
            heed_cut(s, *said.cut);
        } catch (const refusal& e) {
            return end(m.sub, e);
        }
    }
    if (w.what.lazy_blobs)
        hub_.store.put_mark(s.handle,
                            lazy_blobs_mark,
                            *w.what.lazy_blobs ? std::optional(bytes("1")) : std::nullopt);
    blobs_.open(s.sub, s.handle, w.what.blobs);
    if (w.cursor_given && !m.cursor_good) {
        s.marks = {};
        store_marks(s);
    }
    const node end = hub_.end_of(s.handle);
    std::uint64_t shared =
        m.cursor_good && s.marks.in ? s.marks.in->seq : std::min<std::uint64_t>(end, m.have.count);
    if (said.cut && w.is_clone()) shared += said.cut->where.below;
    // Of what is wanted until somewhere, only the peer knows how much it is.
    if (!w.what.deepens) s.in.expected = unseen(m.have.count, shared);
    count(s.sub, [&](connection_counters& c) { c.commits_in_expected += s.in.expected; });
    if (w.what.deepens) {
        s.out.plan_log(m.have.round, end, end);
    } else if (w.trusted && m.cursor_good) {
        s.out.limit_window(m.have.window);
    } else {
        if (w.trusted) covered("pushed in vain");
        s.their_end = m.have.count;
        plan(s, m.have, end);
    }
    // What it is asked to clone is here, from another time: say so.
    if (!restart) return;
    covered("clone of what is here already");
    say_cut(m.sub, s.handle);
    say_have(s, holding_of(s.handle, s.in.round + 1));
}

void session::came_back(subscription& s, std::uint64_t round_trips) {
    s.round_trips = std::max(s.round_trips, round_trips);
    count(s.sub,
          [&](connection_counters& c) { c.round_trips = std::max(c.round_trips, s.round_trips); });
}

// -- Sending --------------------------------------------------------------------------------------

void session::plan(subscription& s, const wire::holding& have, node end) {
    s.out_depth = s.round_trips + 1;
    s.deferred.reset();
    const bool planned = s.out.plan(have, end);
    if (s.out.overran()) hub_.met("walk-commits");
    count_memory(s);
    if (planned) return show_theirs(s);
    s.deferred = have;
    // A dialer learns more: it is about to get what it does not know, or cells.
    if (role_ == wire::role::dialer && !s.in.done) return;
    if (!s.partial) return begin_sketch(s, have.count);
    // Sketches would tell what is below the cut.
    covered("no sketch of a partial replica");
    s.deferred.reset();
    s.out.plan_roughly(have, end);
    count_memory(s);
    show_theirs(s);
}

void session::count_plan(subscription& s) const {
    if (++s.plans > hub_.options.plans_max)
        throw error(errc::limit, "limit/plans", "too many changes of plan");
}

/// What its sketches and lists take counts towards what those of all may.
void session::count_memory(subscription& s) {
    s.memory.set(s.out.memory() + s.below.size() * sizeof(commit_id) +
                 (s.source ? s.source->memory() : 0) + (s.reader ? s.reader->memory() : 0));
}

void session::on_have(bytes_view frame) {
    wire::have m = wire::read_have(frame);
    subscription* const found = find(m.sub);
    if (!found) return;
    subscription& s = *found;
    count_plan(s);
    s.their_end = m.what.count;
    s.source.reset();
    if (m.lacks.empty()) return plan(s, m.what, hub_.end_of(s.handle));
    if (!m.what.cursor || !hub_.store.is_valid(s.handle, *m.what.cursor))
        throw error(errc::bad_input, "a list of what is lacking, before no place of this log");
    plan_list(s, m.what, hub_.store.find_short(s.handle, std::move(m.lacks)), m.what.cursor->seq);
}

void session::on_ack(bytes_view frame) {
    const wire::ack m = wire::read_ack(frame);
    subscription* const found = find(m.sub);
    if (!found) return;
    subscription& s = *found;
    if (!s.out.planned() || s.out.round() != m.round) return;
    s.out.acked(m.chunks);
    s.their_end = m.end;
    came_back(s, s.out_depth);
}

/// Sends what may be sent: a chunk of each subscription in turn, so that a large one does not keep
/// others waiting.
void session::pump() {
    if (subscriptions_.empty()) return;
    std::size_t idle = 0;
    auto at = subscriptions_.lower_bound(next_to_send_);
    while (idle < subscriptions_.size()) {
        // What is made in a turn leaves at its end, so the first of much should not wait for more.
        if (sent_this_turn_ >= hub_.options.chunk_bytes / 2) {
            hub_.effects.again = true;
            break;
        }
        if (at == subscriptions_.end()) at = subscriptions_.begin();
        idle = pump_chunk(at->second) ? 0 : idle + 1;
        next_to_send_ = ++at == subscriptions_.end() ? 0 : at->first;
    }
    if (role_ == wire::role::dialer) return;
    for (auto& [sub, s] : subscriptions_) {
        const node end = hub_.end_of(s.handle);
        if (s.out.has_more(end)) continue;
        s.out.settle(end);
        if (s.out.owes_cursor()) send(s.out.cursor_chunk(sub).frame);
    }
}

/// False if there was nothing to send, or no room.
bool session::pump_chunk(subscription& s) {
    // What is handed out goes in order: what others have then waits behind it.
    const std::size_t most =
        most_unsent(std::min(hub_.options.window_bytes, 2 * hub_.options.chunk_bytes));
    if (backlog_ + sent_this_turn_ >= most) return false;
    if (s.source && s.source->has_more()) {
        send(encode(s.source->next(s.sub)));
        return true;
    }
    const node end = hub_.end_of(s.handle);
    if (!s.out.has_more(end)) return false;
    if (!s.out.window_open()) {
        covered("window closed");
        return false;
    }
    outflow::chunk c = s.out.next_chunk(s.sub, end, role_ == wire::role::acceptor);
    count(s.sub, [&](connection_counters& all) { all.commits_out += c.commits; });
    if (!c.below.empty()) send(encode(wire::below{s.sub, std::move(c.below)}));
    send(std::move(c.frame), c.payload_bytes);
    return true;
}

// -- A store that lost what it wrote --------------------------------------------------------------

/// Who was restored from a backup must hear of what it wrote since then before it writes again.
void session::show_theirs(subscription& s) {
    if (s.theirs_shown) return;
    const auto newest = hub_.store.newest_of(s.handle, peer_.key);
    if (!newest || !newest->sig || (s.out.planned() && !s.out.covers(newest->number))) return;
    s.theirs_shown = true;
    send(encode(wire::yours{s.sub, newest->header, *newest->sig}));
}

void session::on_yours(bytes_view frame) {
    const wire::yours m = wire::read_yours(frame);
    subscription* const found = find(m.sub);
    if (!found) return;
    subscription& s = *found;
    if (std::exchange(s.ours_shown, true)) throw error(errc::bad_input, "it is shown twice");
    if (decode_header(m.header).author != self().key())
        throw error(errc::bad_input, "a commit of another key than this side's");
    hub_.store.await(s.handle, m.header, m.sig, peer_.key);
}

// -- Sketches -------------------------------------------------------------------------------------

/// Neither side can tell what the other lacks: it will tell us, from cells of what is here.
void session::begin_sketch(subscription& s, std::uint64_t their_count) {
    show_theirs(s);
    const node end = hub_.end_of(s.handle);
    s.source.emplace(hub_.store, s.handle, s.out.cursor_at(end), hub_.options.sketch_cells);
    // Small sets need no more cells than they have commits.
    s.source->want(std::min<std::uint64_t>(
        {cells_at_first, 16 + 2 * (end + their_count), hub_.options.sketch_cells}));
    count_memory(s);
    send(encode(s.source->next(s.sub)));
}

void session::on_more(bytes_view frame) {
    const wire::more m = wire::read_more(frame);
    subscription* const found = find(m.sub);
    if (!found) return;
    subscription& s = *found;
    if (!s.source) throw error(errc::bad_input, "cells of no sketch are asked for");
    s.source->want(m.cells);
    count_memory(s);
}

void session::on_cells(bytes_view frame) {
    const wire::cells m = wire::read_cells(frame);
    subscription* const found = find(m.sub);
    if (!found) return;
    subscription& s = *found;
    if (s.partial) throw error(errc::bad_input, "cells of a sketch between partial replicas");
    if (m.first == 0) {
        count_plan(s);
        wire::holding all = holding_of(s.handle, s.in.round + 1);
        all.cursor = m.end;
        if (s.out.knows(m.end.seq)) return say_have(s, std::move(all));
        const node end = hub_.end_of(s.handle);
        s.reader = std::make_unique<sketch_reader>(
            hub_.store, s.handle, end, m.end, hub_.options.sketch_cells);
    }
    // Fewer cells may have been enough than were asked for.
    if (!s.reader && m.first > 0 && m.first < s.cells_asked) return;
    if (!s.reader) throw error(errc::bad_input, "cells of no sketch");
    s.reader->take(m);
    came_back(s, s.in.depth);
    if (s.reader->done()) return settle_difference(s);
    if (!s.reader->needs_more()) return;
    if (const auto total = s.reader->ask()) {
        covered("sketch asked for more");
        count_memory(s);
        s.in.depth = s.round_trips + 1;
        return send(encode(wire::more{s.sub, *total}));
    }
    // They differ by so much that everything is the least: what is known is skipped.
    covered("sketch given up");
    hub_.met("sketch-cells");
    s.cells_asked = 0;
    s.reader.reset();
    if (s.deferred) plan_list(s, *s.deferred, {}, 0);
    wire::holding have = holding_of(s.handle, s.in.round + 1);
    have.cursor = arrival_cursor{};
    say_have(s, std::move(have));
}

/// Plans for who holds `have`, now that it is known what it lacks of the first `end` entries.
void session::plan_list(subscription& s,
                        const wire::holding& have,
                        std::vector<node> list,
                        node end) {
    s.out_depth = s.round_trips + 1;
    s.out.limit_window(have.window);
    s.out.plan_list(have.round, std::move(list), end, hub_.end_of(s.handle));
    count_memory(s);
    s.deferred.reset();  // `have`, perhaps
    show_theirs(s);
}

/// The sketch is read: what the peer lacks is sent if nothing told it before, and it is told what
/// is lacking here.
void session::settle_difference(subscription& s) {
    covered("sketch read");
    const std::unique_ptr<sketch_reader> read = std::move(s.reader);
    s.cells_asked = read->asked();
    if (s.deferred) plan_list(s, *s.deferred, read->lacking(), read->end());
    wire::holding have = holding_of(s.handle, s.in.round + 1);
    have.cursor = read->theirs();
    have.ids.clear();
    say_have(s, std::move(have), read->lacks());
}

// -- Receiving ------------------------------------------------------------------------------------

void session::on_chunk(prepared_frame& in) {
    wire::chunk read;
    if (in.chunk_) {
        read = std::move(*in.chunk_);
    } else {
        read.head = wire::read_chunk(in.frame_, read.commits);
    }
    auto& [head, commits] = read;
    std::size_t payload = 0;
    for (const commit& c : commits) payload += c.header.size() + c.body.size() + (c.sig ? 64 : 0);
    count(head.sub, [&](connection_counters& c) {
        c.payload_bytes += payload;
        c.control_bytes += in.size() - payload;
    });

    subscription* const found = find(head.sub);
    if (!found) return;
    subscription& s = *found;
    const std::vector<commit_id> below = std::move(s.below);
    s.below.clear();
    count_memory(s);
    if (head.round > s.in.round) throw error(errc::bad_input, "an answer to what was not said");
    if (head.round < s.in.round) return covered("round is over");
    s.in.unacknowledged += payload;
    if (s.in.unacknowledged > hub_.options.window_bytes + hub_.options.frame_bytes_max)
        throw error(errc::limit, "limit/window-bytes", "the peer does not keep to the window");

    if (!commits.empty()) {
        const node before = hub_.end_of(s.handle);
        try {
            const ingest_report report =
                hub_.store.ingest(s.handle, std::move(commits), chunk_from::peer, below);
            count(s.sub, [&](connection_counters& c) { c.commits_in += report.added; });
            if (report.added > 0) {
                hub_.grown(s.handle);
                s.out.skip(before + 1, hub_.end_of(s.handle));
                s.in.failures = 0;
                s.in.expected -= std::min<std::uint64_t>(s.in.expected, report.added);
            }
        } catch (const error& e) {
            if (e.code() != errc::not_found) throw;
            return missed(s);
        }
        ++s.in.chunks;
        s.in.ack_due = true;
    }
    came_back(s, s.in.depth);
    if (head.cursor) s.marks.in = head.cursor;
    if (head.done && !s.in.done) {
        s.in.done = true;
        s.in.expected = 0;
        hub_.store.stop_awaiting(s.handle, self().key(), peer_.key);
        blobs_.has_commits(s.sub);
        if (s.deferred && role_ == wire::role::dialer)
            plan(s, wire::holding(*s.deferred), hub_.end_of(s.handle));
    }
}

/// The peer was wrong about what is here, for one of the two was restored from a backup: tell it,
/// and the second time ask for all.
void session::missed(subscription& s) {
    if (++s.in.failures > 2) {
        covered("parent missing for the third time");
        throw error(errc::bad_input,
                    "limit/missing-parents",
                    "the peer sends commits without the parents they build on");
    }
    if (s.in.failures == 1) covered("parent missing");
    if (s.in.failures == 2) covered("parent missing again");
    s.marks = {};
    wire::holding have = holding_of(s.handle, s.in.round + 1);
    if (s.in.failures == 2) have.cursor = arrival_cursor{};
    say_have(s, std::move(have));
}

void session::say_have(subscription& s, wire::holding what, std::vector<sketch::short_id> lacks) {
    s.in.round = what.round;
    s.in.done = false;
    s.in.chunks = 0;
    s.in.unacknowledged = 0;  // and never will be
    s.in.ack_due = false;
    s.in.depth = s.round_trips + 1;
    send(encode(wire::have{s.sub, std::move(what), std::move(lacks)}));
}

bool session::caught_up(subscription& s) const {
    if (role_ == wire::role::acceptor || !s.accepted || !s.in.done) return false;
    return s.out.complete(hub_.end_of(s.handle)) && blobs_.settled(s.sub);
}

}  // namespace tributary
