/// One connection as a state machine: handshake, subscriptions, flow control, deadlines. No I/O;
/// what it has to say goes into the hub's effects.
///
/// A session throws on what a peer may not send; the hub then closes the connection with that
/// reason. Thread rule: one thread.
#pragma once

#include "tributary/peer/memory_share.hpp"
#include "tributary/peer/message.hpp"
#include "tributary/peer/session_blobs.hpp"
#include "tributary/peer/session_outflow.hpp"
#include "tributary/peer/session_sketch.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tributary {

/// What the sessions of a hub share.
struct hub_shared {
    commit_store& store;
    const identity& self;
    std::function<bytes()> nonce;
    hub_options options;

    hub_effects effects;               ///< gathered for the end of the turn
    std::set<crdt_handle> changed;     ///< in this turn
    std::map<crdt_handle, node> ends;  ///< of the arrival logs, staged entries included
    blob_desk blobs;
    std::function<void(const public_key&)> require_welcome = {};  ///< as in hub::set_gate
    std::function<std::int64_t()> clock = {};                     ///< as in hub::set_clock
    memory_budget plans = {options.plan_bytes_max};
    std::size_t unsent = 0;  ///< bytes handed out and not on the wire, of all connections
    std::map<std::string, std::uint64_t> limits_met = names_of_limits();

    /// A limit was met, by its name; or by an error, if it is named after one: "limit/NAME".
    void met(const std::string& limit) { ++limits_met[limit]; }
    void met(const error& e);
    static std::map<std::string, std::uint64_t> names_of_limits();

    node end_of(crdt_handle h);
    /// `h` has new entries.
    void grown(crdt_handle h);
    /// Whether the store has dropped what was staged in this turn, as it does when it cannot read
    /// its kv.
    bool forgotten() const;
};

/// The cursors that a dialing side keeps of a peer, as records beside the commits.
struct peer_marks {
    struct outgoing {
        arrival_cursor ours;       ///< the peer has our log up to here
        std::uint64_t theirs = 0;  ///< and had so many entries in its own then
        bool operator==(const outgoing&) const = default;
    };
    std::optional<arrival_cursor> in;
    std::optional<outgoing> out;

    static peer_marks load(const commit_store& store, crdt_handle h, const public_key& peer);
    /// Writes what differs from `stored`.
    void save(commit_store& store,
              crdt_handle h,
              const public_key& peer,
              const peer_marks& stored) const;
};

class session {
public:
    /// `wants` and `list` are of a dialing side; `exported` as in hub::accepted, `as` as in
    /// hub::dialed.
    session(hub_shared& hub,
            connection_id id,
            wire::role role,
            std::vector<want> wants,
            bool list,
            bytes exported,
            std::optional<identity> as,
            mono_ms now);

    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    void received(prepared_frame frame, mono_ms now);
    /// Errors: unavailable (silence), canceled (the handshake took too long).
    void tick(mono_ms now);
    /// This process did not run for `ms`: that was no silence of the peer's.
    void forgive(mono_ms ms) { heard_at_ += ms; }
    /// As if the peer had said something.
    void heard(mono_ms now) { heard_at_ = now; }
    void set_backlog(std::size_t bytes);

    /// Before the flush of a turn: what goes down with it. `dirty`: there will be a flush anyway.
    void before_flush(bool dirty);
    /// After it: acknowledgements, what is new, events.
    void after_flush(mono_ms now);
    /// The flush failed. False: this session has said or assumed what is no longer so, and must be
    /// closed.
    bool retreat();
    /// The connection ends; its cursors are kept.
    void leave();

    void send(bytes frame, std::size_t payload_bytes = 0);
    bool authenticated() const { return phase_ == phase::open; }
    bool accepted() const { return role_ == wire::role::acceptor; }
    const public_key& peer_key() const { return peer_.key; }
    wire::role role() const { return role_; }
    bool subscribes(crdt_handle h) const;
    const connection_counters& counters() const { return counters_; }
    /// Of a dialer: the part of each want in them, but for blobs.
    const std::vector<connection_counters>& shares() const { return shares_; }

    /// Why it is over, if the peer ended it without a word.
    const char* parting() const;

    /// Adds one for each CRDT on this connection.
    void add_links(std::vector<hub_link>& to, mono_ms now) const;

private:
    enum class phase { greeting, proving, open };

    struct inflow {
        std::uint64_t round = 0;
        bool done = false;
        int failures = 0;                ///< missing parents since the last commit that was new
        std::uint64_t chunks = 0;        ///< of this round
        std::size_t unacknowledged = 0;  ///< bytes
        bool ack_due = false;
        std::uint64_t depth = 1;     ///< round trips when the first chunk of the round is here
        std::uint64_t expected = 0;  ///< commits of the peer's that are not here, at least
    };

    struct subscription {
        subscription(std::uint64_t number, crdt_handle h, outflow o, memory_budget& plans)
            : sub(number), handle(h), out(std::move(o)), memory(plans) {}
        std::uint64_t sub;
        crdt_handle handle;
        bool accepted = false;
        bool told = false;                              ///< caught_up was
        bool theirs_shown = false, ours_shown = false;  ///< `yours` was sent, received
        std::optional<wire::holding> deferred;  ///< to plan from when more is known of the peer
        int plans = 0;                          ///< and sketches that the peer made us begin
        std::optional<sketch_source> source;    ///< of cells, while the peer may want them
        std::unique_ptr<sketch_reader> reader;  ///< while it lasts
        std::uint64_t cells_asked = 0;          ///< of the sketch that was read last
        std::uint64_t their_end =
            0;  ///< of the peer's log when it last spoke of what it has of ours
        std::uint64_t round_trips = 0;
        std::uint64_t out_depth = 1;  ///< round trips when the first acknowledgement is here
        inflow in;
        outflow out;
        peer_marks stored, marks;
        bool partial = false;                      ///< one of the two sides is
        std::vector<commit_id> below;              ///< said of the chunk to come
        link_state state = link_state::comparing;  ///< when it was last looked at
        mono_ms state_since = 0;
        memory_share memory;  ///< of sketches, lists and `below`
    };

    /// What was said of a subscription before it was made.
    struct early {
        explicit early(memory_budget& of) : memory(of) {}
        void count_memory();
        std::optional<wire::cut> cut;
        std::optional<history_part> part;
        std::vector<commit_id> until;
        memory_share memory;
    };

    /// One subscription is not to be.
    struct refusal : error {
        using error::error;
    };

    /// A want that waits for its accept.
    struct open_want {
        want what;
        /// The replica is to be made.
        bool is_clone() const { return !what.handle || what.part; }
        bool cursor_given = false;
        bool trusted = false;  ///< pushed without waiting
    };

    // session.cpp
    void dispatch(wire::message_type type, prepared_frame& in);
    const identity& self() const { return as_ ? *as_ : hub_.self; }
    void say_hello(std::uint64_t binds);
    void require_welcome() const;
    void compare_clocks();
    void on_hello(bytes_view frame);
    void on_auth(bytes_view frame);
    void on_list();
    void on_offers(bytes_view frame);
    void event(hub_event e);
    /// Changes the counters of the connection and those of the want of `sub`.
    template <class F>
    void count(std::uint64_t sub, const F& change) {
        change(counters_);
        if (sub > 0 && sub <= shares_.size()) change(shares_[sub - 1]);
    }
    void came_back(subscription& s, std::uint64_t round_trips);

    // session_links.cpp
    link_state state_of(const subscription& s) const;
    link_lag lag_of(const subscription& s) const;
    void note_states(mono_ms now);

    // session_subscriptions.cpp
    // session_partial.cpp
    void on_part(bytes_view frame);
    void on_until(bytes_view frame);
    void on_cut(bytes_view frame);
    void on_below(bytes_view frame);
    void on_refused(bytes_view frame);
    early& said_early(std::uint64_t sub);
    early take_early(std::uint64_t sub);
    void say_cut(std::uint64_t sub, crdt_handle h);
    void heed_cut(subscription& s, const wire::cut& theirs);
    node place_of(crdt_handle h, const history_part& part) const;
    node end_for(crdt_handle h, const std::vector<commit_id>& until) const;

    void subscribe_wants();
    void on_subscribe(bytes_view frame);
    void on_accept(bytes_view frame);
    void on_chunk(prepared_frame& in);
    void on_ack(bytes_view frame);
    void on_have(bytes_view frame);
    void on_cells(bytes_view frame);
    void on_more(bytes_view frame);
    void on_yours(bytes_view frame);

    void subscribe(std::uint64_t sub, open_want& w);
    void answer(const wire::subscribe& m, crdt_handle h);
    crdt_handle adopt(const want& w, const wire::accept::description& about, const early& said);
    subscription& add_subscription(std::uint64_t sub, crdt_handle h, bool live);
    /// Nothing if it has ended.
    subscription* find(std::uint64_t sub);
    bool may_read(crdt_handle h) const;
    void require_reader(crdt_handle h) const;
    wire::holding holding_of(crdt_handle h, std::uint64_t round) const;
    /// What is after entry `end` is not wanted, or does not count among what was there.
    void plan(subscription& s, const wire::holding& have, node end);
    void show_theirs(subscription& s);
    void count_plan(subscription& s) const;
    static void count_memory(subscription& s);
    void begin_sketch(subscription& s, std::uint64_t their_count);
    void settle_difference(subscription& s);
    void plan_list(subscription& s, const wire::holding& have, std::vector<node> list, node end);
    void missed(subscription& s);
    void say_have(subscription& s, wire::holding what, std::vector<sketch::short_id> lacks = {});
    void end(std::uint64_t sub, const error& why);
    void forget(std::uint64_t sub, const error& why);
    void pump();
    bool pump_chunk(subscription& s);
    bool caught_up(subscription& s) const;
    void refresh_marks(subscription& s);
    void store_marks(subscription& s);
    bool has_room_for_blobs();
    std::size_t most_unsent(std::size_t alone) const;

    hub_shared& hub_;
    connection_id id_;
    wire::role role_;
    phase phase_ = phase::greeting;
    std::vector<want> wants_;
    bool list_;
    bytes exported_;  ///< by the channel; empty: nothing to bind to, or no longer needed
    std::optional<identity> as_;  ///< instead of the hub's, until authenticated
    bytes my_hello_;
    hash32 transcript_;
    wire::hello peer_;

    std::map<std::uint64_t, open_want> open_wants_;
    std::map<std::uint64_t, subscription> subscriptions_;
    blob_exchange blobs_;
    std::map<std::uint64_t, early> early_;
    std::set<std::uint64_t> ended_;   ///< subscriptions: what was under way for them is ignored
    std::uint64_t next_to_send_ = 0;  ///< a subscription: they take turns

    connection_counters counters_;
    std::vector<connection_counters> shares_;  ///< by want
    std::size_t early_bytes_ = 0;
    std::int64_t clock_ahead_ms_ = 0;  ///< as in hub_link
    std::size_t backlog_ = 0;
    std::size_t sent_this_turn_ = 0;
    bool heard_this_turn_ = false;  ///< something that may rest on what is staged
    bool marks_due_ = false;
    mono_ms started_, heard_at_, spoke_at_;
    std::vector<hub_event> events_;  ///< true once this turn is durable
};

}  // namespace tributary
