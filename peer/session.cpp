#include "tributary/peer/session.hpp"

#include "tributary/value/covered.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {

using wire::message_type;

namespace {

[[noreturn]] void not_a_peer() {
    throw error(errc::bad_input, "this is no tributary peer: it does not begin with a hello");
}

std::uint64_t early_type_of(bytes_view frame) {
    try {
        return wire::type_of(frame);
    } catch (const error&) {
        not_a_peer();
    }
}

}  // namespace

std::map<std::string, std::uint64_t> hub_shared::names_of_limits() {
    std::map<std::string, std::uint64_t> none;
    for (const char* name : {"answers",
                             "bad-input",
                             "banned-keys",
                             "blob-asks",
                             "clock-apart-ms",
                             "early-bytes",
                             "frame-bytes",
                             "handshake-ms",
                             "idle-ms",
                             "keys",
                             "missing-parents",
                             "plan-bytes",
                             "plans",
                             "sketch-cells",
                             "subscriptions",
                             "unsent-bytes-in-all",
                             "walk-commits",
                             "window-bytes"})
        none.emplace(name, 0);
    return none;
}

void hub_shared::met(const error& e) {
    constexpr std::string_view prefix = "limit/";
    if (const std::string_view name = e.name(); name.starts_with(prefix))
        met(std::string(name.substr(prefix.size())));
    else if (e.code() == errc::bad_input || e.code() == errc::limit)
        met("bad-input");
}

node hub_shared::end_of(crdt_handle h) {
    const auto found = ends.find(h);
    if (found != ends.end()) return found->second;
    return ends.emplace(h, store.state(h).end.seq).first->second;
}

void hub_shared::grown(crdt_handle h) {
    ends.insert_or_assign(h, store.state(h).end.seq);
    changed.insert(h);
}

bool hub_shared::forgotten() const {
    return std::any_of(changed.begin(), changed.end(), [&](crdt_handle h) {
        return !store.exists(h) || store.state(h).end.seq < ends.at(h);
    });
}

session::session(hub_shared& hub,
                 connection_id id,
                 wire::role role,
                 std::vector<want> wants,
                 bool list,
                 bytes exported,
                 std::optional<identity> as,
                 mono_ms now)
    : hub_(hub),
      id_(id),
      role_(role),
      wants_(std::move(wants)),
      list_(list),
      exported_(std::move(exported)),
      as_(std::move(as)),
      blobs_(
          hub, id, [this](bytes frame, std::size_t payload) { send(std::move(frame), payload); }),
      shares_(wants_.size()),
      started_(now),
      heard_at_(now),
      spoke_at_(now) {
    if (role_ == wire::role::dialer) say_hello(exported_.empty() ? 0 : wire::binds_tls_exporter);
}

session::~session() { set_backlog(0); }

void session::set_backlog(std::size_t bytes) {
    hub_.unsent = hub_.unsent - backlog_ + bytes;
    backlog_ = bytes;
}

/// What this connection may have on its way to the wire, which would be `alone` if others had less.
std::size_t session::most_unsent(std::size_t alone) const {
    if (hub_.unsent < hub_.options.unsent_bytes_max || backlog_ == 0) return alone;
    hub_.met("unsent-bytes-in-all");
    return std::min(alone, hub_.options.chunk_bytes / 2);
}

void session::send(bytes frame, std::size_t payload_bytes) {
    if (authenticated())
        count(shares_.empty() ? 0 : wire::subscription_of(frame), [&](connection_counters& c) {
            c.payload_bytes += payload_bytes;
            c.control_bytes += frame.size() - payload_bytes;
        });
    sent_this_turn_ += frame.size();
    hub_.effects.sends.push_back({id_, std::move(frame)});
}

void session::event(hub_event e) {
    e.connection = id_;
    e.peer_key = peer_.key;
    e.accepted = accepted();
    events_.push_back(std::move(e));
}

void session::received(prepared_frame in, mono_ms now) {
    heard_at_ = now;
    if (!authenticated() && (early_bytes_ += in.size()) > hub_.options.early_bytes_max)
        throw error(errc::limit,
                    "limit/early-bytes",
                    fmt::format("{} bytes before authentication; at most {} are taken",
                                early_bytes_,
                                hub_.options.early_bytes_max));
    if (in.size() > hub_.options.frame_bytes_max)
        throw error(errc::limit,
                    "limit/frame-bytes",
                    fmt::format("a message of {} bytes; at most {} are taken",
                                in.size(),
                                hub_.options.frame_bytes_max));
    // Answers wait in memory, so who asks without reading is cut off.
    const std::size_t answers_max = 4 * hub_.options.window_bytes + hub_.options.frame_bytes_max;
    if (sent_this_turn_ + backlog_ > answers_max) {
        covered("reads no answers");
        throw error(errc::limit, "limit/answers", "too many requests without reading the answers");
    }

    const std::uint64_t chunk = static_cast<std::uint64_t>(message_type::chunk);
    const std::uint64_t type = in.chunk_         ? chunk
                               : authenticated() ? wire::type_of(in.frame_)
                                                 : early_type_of(in.frame_);
    const bool counted = authenticated();
    dispatch(static_cast<message_type>(std::min<std::uint64_t>(type, 255)), in);
    if (counted && type != chunk)
        count(wire::subscription_of(in.frame_),
              [&](connection_counters& c) { c.control_bytes += in.size(); });
}

void session::dispatch(message_type type, prepared_frame& in) {
    const bytes_view frame = in.frame_;
    if (phase_ != phase::open) {
        if (type == message_type::hello && phase_ == phase::greeting) return on_hello(frame);
        if (type == message_type::auth && phase_ == phase::proving) return on_auth(frame);
        not_a_peer();
    }
    const bool is_of_blobs = type == message_type::blob_ask || type == message_type::blob_part ||
                             type == message_type::blob_have || type == message_type::blob_lack;
    const bool rests_on_state =
        type != message_type::ping && type != message_type::list && !is_of_blobs;
    heard_this_turn_ = heard_this_turn_ || rests_on_state;
    switch (type) {
        case message_type::ping:
            return wire::read_empty(frame);
        case message_type::list:
            wire::read_empty(frame);
            return on_list();
        case message_type::offers:
            return on_offers(frame);
        case message_type::subscribe:
            return on_subscribe(frame);
        case message_type::accept:
            return on_accept(frame);
        case message_type::chunk:
            return on_chunk(in);
        case message_type::ack:
            return on_ack(frame);
        case message_type::have:
            return on_have(frame);
        case message_type::cells:
            return on_cells(frame);
        case message_type::more:
            return on_more(frame);
        case message_type::blob_ask:
            return blobs_.on_ask(frame);
        case message_type::blob_part: {
            const std::size_t payload = blobs_.on_part(frame, heard_at_);
            count(wire::subscription_of(frame), [&](connection_counters& c) {
                c.payload_bytes += payload;
                c.control_bytes -= payload;  // the frame counts as a whole
            });
            return;
        }
        case message_type::blob_have:
            return blobs_.on_have(frame, heard_at_);
        case message_type::blob_lack:
            return blobs_.on_lack(frame);
        case message_type::part:
            return on_part(frame);
        case message_type::until:
            return on_until(frame);
        case message_type::cut:
            return on_cut(frame);
        case message_type::below:
            return on_below(frame);
        case message_type::refused:
            return on_refused(frame);
        case message_type::yours:
            return on_yours(frame);
        case message_type::hello:
        case message_type::auth:
            throw error(errc::bad_input, "a second handshake");
        case message_type::bye:
            return;
    }
    if (static_cast<unsigned>(type) % 2 == 1) return;
    throw error(errc::newer_version,
                "the peer sent a message of a newer protocol; a newer tributary is needed here");
}

void session::say_hello(std::uint64_t binds) {
    wire::hello mine;
    mine.key = self().key();
    mine.nonce = hash32::from_bytes(hub_.nonce());
    mine.software = "tributary";
    mine.binds = binds;
    if (hub_.clock)
        mine.clock_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(hub_.clock(), 0));
    my_hello_ = encode(mine);
    send(my_hello_);
}

void session::on_hello(bytes_view frame) {
    try {
        peer_ = wire::read_hello(frame);
    } catch (const error&) {
        not_a_peer();
    }
    if (peer_.version_min > wire::version_max || peer_.version_max < wire::version_min)
        throw error(errc::newer_version,
                    fmt::format("the peer speaks protocol versions {} to {}, this one {} to {}: "
                                "update the older of the two",
                                peer_.version_min,
                                peer_.version_max,
                                wire::version_min,
                                wire::version_max));
    const std::uint64_t mine = exported_.empty() ? 0 : wire::binds_tls_exporter;
    // The acceptor decides, for it alone knows whether TLS ends at itself or at a proxy before it.
    const bool dialer = role_ == wire::role::dialer;
    if (dialer && (peer_.binds & ~mine) != 0)
        throw error(errc::bad_input, "the peer binds the handshake to what is not there");
    const std::uint64_t agreed = mine & peer_.binds;
    if (agreed == 0) exported_.clear();
    phase_ = phase::proving;
    if (!dialer) say_hello(agreed);
    transcript_ = dialer ? wire::transcript(my_hello_, frame, exported_)
                         : wire::transcript(frame, my_hello_, exported_);
    if (!dialer) send(encode(wire::auth{wire::sign_transcript(self(), role_, transcript_)}));
}

void session::on_auth(bytes_view frame) {
    const bool dialer = role_ == wire::role::dialer;
    const wire::role theirs = dialer ? wire::role::acceptor : wire::role::dialer;
    if (!wire::verify_transcript(peer_.key, theirs, transcript_, wire::read_auth(frame).sig))
        throw error(errc::unauthorized,
                    exported_.empty()
                        ? "the peer does not hold the key it names"
                        : "the peer does not hold the key it names, or somebody between the two "
                          "ends TLS and begins it anew; a proxy that is meant to must reach the "
                          "peer without TLS");
    if (dialer) send(encode(wire::auth{wire::sign_transcript(self(), role_, transcript_)}));
    phase_ = phase::open;
    my_hello_ = exported_ = {};
    as_.reset();
    require_welcome();
    compare_clocks();
    event({.what = hub_event::kind::authenticated, .clock_ahead_ms = clock_ahead_ms_});
    if (!dialer) return;
    heard_this_turn_ = true;
    if (list_) send(encode(wire::list{}));
    subscribe_wants();
}

/// Nothing here rests on clocks but what people read: whose is wrong is theirs to find out.
void session::compare_clocks() {
    if (!hub_.clock || peer_.clock_ms == 0) return;
    const std::int64_t ahead = static_cast<std::int64_t>(peer_.clock_ms) - hub_.clock();
    if (ahead >= -hub_.options.clock_apart_ms && ahead <= hub_.options.clock_apart_ms) return;
    clock_ahead_ms_ = ahead;
    hub_.met("clock-apart-ms");
}

/// Whoever has proven its key may still not be wanted.
void session::require_welcome() const {
    if (accepted() && hub_.require_welcome) hub_.require_welcome(peer_.key);
}

void session::on_list() {
    wire::offers answer;
    for (const crdt_handle h : hub_.store.list()) {
        if (answer.items.size() == wire::offers_max) break;
        if (!may_read(h)) continue;
        const crdt_state s = hub_.store.state(h);
        const std::string type = hub_.store.genesis_of(h).type;
        answer.items.push_back({s.name, s.id, type, s.end.seq, s.heads.size()});
    }
    send(encode(answer));
}

void session::on_offers(bytes_view frame) {
    if (!list_) throw error(errc::bad_input, "offers that nobody asked for");
    hub_event e{.what = hub_event::kind::offers};
    e.offers = wire::read_offers(frame).items;
    event(std::move(e));
    counters_.round_trips = std::max<std::uint64_t>(counters_.round_trips, 1);
    list_ = false;
}

void session::tick(mono_ms now) {
    if (!authenticated()) {
        if (now - started_ <= hub_.options.handshake_ms) return;
        covered("handshake too slow");
        throw error(errc::canceled, "limit/handshake-ms", "the peer did not authenticate in time");
    }
    require_welcome();
    marks_due_ = true;
    blobs_.tick(now);
    note_states(now);
    if (now - heard_at_ > hub_.options.idle_ms) {
        covered("silence");
        throw error(errc::unavailable,
                    "limit/idle-ms",
                    fmt::format("the peer was silent for {} ms", now - heard_at_));
    }
    if (now - spoke_at_ >= hub_.options.idle_ms / 3) {
        spoke_at_ = now;
        send(encode(wire::ping{}));
    }
}

void session::before_flush(bool dirty) {
    for (auto& [sub, s] : subscriptions_) {
        s.out.settle(hub_.end_of(s.handle));
        if (dirty || marks_due_ || (caught_up(s) && !s.told)) store_marks(s);
    }
    marks_due_ = false;
}

void session::after_flush(mono_ms now) {
    heard_this_turn_ = false;
    for (hub_event& e : events_) hub_.effects.events.push_back(std::move(e));
    events_.clear();
    // Before the acknowledgements, so that a dialer knows by then what of its blobs is lacking.
    blobs_.ask(now);
    for (auto& [sub, s] : subscriptions_) {
        if (s.in.ack_due) {
            const node end = hub_.end_of(s.handle);
            send(encode(wire::ack{sub, s.in.round, s.in.chunks, end}));
            s.in.ack_due = false;
            s.in.unacknowledged = 0;
        }
        if (hub_.changed.contains(s.handle)) require_reader(s.handle);
    }
    pump();
    for (auto& [sub, s] : subscriptions_) {
        if (s.told || !caught_up(s)) continue;
        s.told = true;
        hub_event e{.what = hub_event::kind::caught_up, .connection = id_, .peer_key = peer_.key};
        e.want = sub - 1;
        e.handle = s.handle;
        e.commits_in = shares_[e.want].commits_in;
        e.commits_out = shares_[e.want].commits_out;
        hub_.effects.events.push_back(std::move(e));
    }
    blobs_.serve([this] { return has_room_for_blobs(); });
    blobs_.count(counters_);
    if (sent_this_turn_ > 0) spoke_at_ = now;
    sent_this_turn_ = 0;
}

/// No commit waits, and little is on its way to the wire: so one that comes now waits behind no
/// more than that, and a piece.
bool session::has_room_for_blobs() {
    const std::size_t ahead = std::min(wire::blob_piece_bytes, hub_.options.window_bytes);
    if (backlog_ + sent_this_turn_ >= ahead) return false;
    return std::none_of(subscriptions_.begin(), subscriptions_.end(), [this](const auto& each) {
        return each.second.out.has_more(hub_.end_of(each.second.handle));
    });
}

bool session::retreat() {
    if (heard_this_turn_) return false;
    for (auto& [sub, s] : subscriptions_) {
        if (!s.out.retreat(hub_.end_of(s.handle))) return false;
        s.stored = peer_marks::load(hub_.store, s.handle, peer_.key);
    }
    return true;
}

void session::leave() {
    if (role_ == wire::role::acceptor) return;
    for (auto& [sub, s] : subscriptions_) store_marks(s);
}

}  // namespace tributary
