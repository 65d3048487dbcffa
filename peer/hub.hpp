/// Everything a replica says to other peers, without I/O: the sessions of all its connections over
/// one commit store.
///
/// The shell (peer/node.cpp) and the simulator (tests/sim) feed it frames, time and the comings and
/// goings of connections, call end_turn() after a handful of inputs, and do what the effects say.
/// end_turn() flushes the store first: acknowledgements and live pushes leave only when what they
/// speak of is durable. An error in what a peer sends closes that connection with a reason and
/// touches nothing else. docs/protocol.md is the protocol. Thread rule: one thread.
#pragma once

#include "tributary/crdt/blob.hpp"
#include "tributary/peer/history_part.hpp"
#include "tributary/peer/links.hpp"
#include "tributary/store/commit_store.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

using connection_id = std::uint64_t;
/// Milliseconds on a clock that never goes back.
using mono_ms = std::int64_t;

struct hub_options {
    std::size_t frame_bytes_max = 24u << 20;
    std::size_t chunk_bytes = 1u << 20;  ///< of a chunk, unless one commit is larger
    std::size_t chunk_commits = 1000;
    std::size_t window_bytes = 4u << 20;       ///< sent and not acknowledged, per subscription
    std::size_t walk_budget = 65536;           ///< shared commits a handshake may visit
    std::size_t sketch_cells = 1u << 18;       ///< of a sketch: tells 190,000 differences
    std::size_t blob_window_bytes = 4u << 20;  ///< of blobs asked for and not here, per connection
    std::size_t early_bytes_max = 4096;   ///< taken of a connection before it has authenticated
    std::size_t subscriptions_max = 256;  ///< of a connection
    int plans_max = 16;  ///< plans and sketches that a subscription may ask for; each can cost a
                         ///< walk or a scan
    std::size_t plan_bytes_max = 256u << 20;    ///< of sketches and lists of what to send, of all
    std::size_t unsent_bytes_max = 256u << 20;  ///< handed out and not on the wire, of all
    std::int64_t clock_apart_ms = 300000;       ///< clocks further apart are told of
    mono_ms handshake_ms = 10000;               ///< a connection must authenticate within
    mono_ms idle_ms =
        30000;  ///< a keep-alive is sent after a third of it; silence beyond it closes
};

/// What the dialing side wants of a connection.
struct want {
    std::string remote;  ///< name or address at the peer; the local CRDT's id if empty
    std::optional<crdt_handle>
        handle;            ///< the replica here; none: a clone, made when the peer answers
    std::string clone_as;  ///< its name then; the peer's if empty
    bool live = false;     ///< stay subscribed after catching up
    std::optional<bool> lazy_blobs;  ///< from now on, blobs are fetched only on demand, or all
    std::vector<blob_id> blobs;      ///< to be fetched in any case
    std::optional<history_part> part = {};  ///< of a clone: only that
    /// `part` of the history of `handle`, which is partial, is to be in one that is made beside it
    /// (store/deepen.hpp); or `handle` is that one already, and there is no `part`. Nothing is
    /// sent.
    bool deepens = false;
    std::vector<commit_id> until = {};  ///< nothing is wanted after the last of these in their log
};

/// Counters since authentication, for sync reports.
struct connection_counters {
    std::uint64_t commits_in = 0, commits_out = 0, commits_in_expected = 0;
    std::uint64_t payload_bytes = 0, control_bytes = 0, round_trips = 0;
    std::uint64_t blobs_in = 0, blob_bytes_in = 0, blob_bytes_in_expected = 0, blob_bytes_out = 0;
    std::uint64_t blobs_missing = 0;  ///< that the peer had not, or that could not be stored
};

/// One CRDT on one connection, as it stands; or, of a connection that another side dialed and that
/// is over, as it was left.
struct hub_link {
    connection_id connection = 0;
    public_key peer_key{};
    bool dialed = false;  ///< by this side
    crdt_handle handle = 0;
    link_state state = link_state::comparing;
    mono_ms for_ms = 0;  ///< how long it has been so
    link_lag lag;
    std::string reason;            ///< why it is over
    connection_counters counters;  ///< of the whole connection
    /// How far the peer's clock is ahead of this machine's, if that is more than it should be.
    std::int64_t clock_ahead_ms = 0;
};

struct hub_offer {
    std::string name;
    crdt_id id;
    std::string type;
    std::uint64_t commits = 0, heads = 0;
};

/// What happened, for whoever asked.
struct hub_event {
    enum class kind {
        authenticated,  ///< peer_key is known
        offers,         ///< answer to a list request
        cloned,         ///< `handle` was made
        refused,    ///< the subscription to a want ended, and no other: `code` and `reason` say why
        caught_up,  ///< both sides have (durably) what the other had; once per want, at the dialing
                    ///< side
        closed,  ///< by us, by them or by disconnected(), once per connection; `reason` says why;
                 ///< code says what a caller can do
    } what;
    connection_id connection = 0;
    public_key peer_key{};
    crdt_handle handle = 0;
    std::vector<hub_offer> offers;
    errc code = errc::unavailable;
    std::string reason;
    std::size_t want = 0;  ///< of cloned, refused and caught_up: its place among the wants
    std::uint64_t commits_in = 0, commits_out = 0;  ///< of caught_up: of this CRDT
    bool accepted = false;                          ///< the connection comes from outside
    bool proven = false;                            ///< it has authenticated: peer_key is who it is
    bool is_offence = false;                        ///< closed: the peer sent what no peer may send
    /// Of authenticated: as in hub_link.
    std::int64_t clock_ahead_ms = 0;
};

struct hub_effects {
    struct send {
        connection_id to;
        bytes frame;
    };
    std::vector<send> sends;            ///< in order
    std::vector<connection_id> closes;  ///< after the sends
    std::vector<hub_event> events;
    std::vector<crdt_handle> changed;  ///< CRDTs with new durable commits, from anywhere
    bool again =
        false;  ///< there is more to send: the next turn should end as soon as this is done
};

namespace wire {
struct chunk;
}
class blob_store;

/// A frame with all done that needs no store: the commits of a chunk are taken apart and their
/// bodies hashed. What is wrong with a frame is found out by the hub that receives it.
class prepared_frame {
public:
    prepared_frame() = default;
    /// Any thread. Takes at most about twice the memory of the frame afterwards. O(bytes).
    static prepared_frame prepare(bytes frame);
    /// As it came: of who has not shown yet that it may write here, a chunk is hashed only once its
    /// authors' rights are known.
    static prepared_frame as_it_came(bytes frame);

    /// Of the frame as it came, bytes.
    std::size_t size() const { return size_; }

private:
    friend class hub;
    friend class session;
    bytes frame_;  ///< empty if it became a chunk
    std::shared_ptr<wire::chunk>
        chunk_;  ///< none: it is no chunk, or one to be read when its turn comes
    std::size_t size_ = 0;
};

class hub {
public:
    /// `nonce` gives 32 fresh bytes for each call. Without `blobs` none are fetched or served.
    hub(commit_store& store,
        const identity& self,
        std::function<bytes()> nonce,
        hub_options options = {},
        blob_store* blobs = nullptr);
    ~hub();

    /// `exported`: what TLS exports at both ends of this connection (RFC 9266), if it ends here;
    /// the handshake is bound to it if the other end has it, too.
    void accepted(connection_id c, mono_ms now, bytes exported = {});

    /// `require_welcome` throws if a key is not: it is asked when a connection from outside has
    /// authenticated, and at every tick.
    void set_gate(std::function<void(const public_key&)> require_welcome);
    /// What time it is, ms since 1970, to be compared with the clocks of peers.
    void set_clock(std::function<std::int64_t()> now_ms);
    /// How often each limit was met, by its name in docs/limits.md.
    const std::map<std::string, std::uint64_t>& limits_met() const;

    /// Wants are subscribed after authentication; `list` asks for the offers as well. `as`: another
    /// identity than the hub's.
    void dialed(connection_id c,
                std::vector<want> wants,
                bool list,
                mono_ms now,
                bytes exported = {},
                std::optional<identity> as = std::nullopt);
    void received(connection_id c, prepared_frame frame, mono_ms now);
    void received(connection_id c, bytes_view frame, mono_ms now) {
        received(c, prepared_frame::prepare(bytes(frame)), now);
    }
    /// `code`: as websocket_handlers::closed has it.
    void disconnected(connection_id c, errc code = errc::unavailable);
    /// Nothing is read from `c` at present: that it says nothing does not count.
    void not_read(connection_id c, mono_ms now);
    /// Deadlines and keep-alives; call about once a second.
    void tick(mono_ms now);

    /// How many bytes handed out in effects for `c` are not yet on the wire: the hub holds back
    /// when it is window_bytes or more (the shell calls this, and end_turn when it has become
    /// less).
    void set_backlog(connection_id c, std::size_t bytes);

    /// A local write was staged in the store; after end_turn subscribers get it.
    void staged(crdt_handle h);
    /// `h` is about to be removed from the store: what is connected for it ends.
    void removing(crdt_handle h,
                  errc code = errc::not_found,
                  const std::string& reason = "the CRDT was removed from this store");

    /// Flushes the store and hands out everything to do. Errors: as commit_store::flush; then the
    /// staged local writes are gone, chunks staged in this turn will be asked for again (their
    /// connections are closed), and nothing was acknowledged.
    hub_effects end_turn(mono_ms now);

    /// Also of a connection that was closed, until the second end_turn after.
    connection_counters counters(connection_id c) const;
    /// The same of each want, but for blobs; empty where none were dialed with.
    std::vector<connection_counters> shares(connection_id c) const;
    std::size_t connection_count() const;
    bool is_open(connection_id c) const;
    /// What is connected, and the last 256 that are not any more of those that others dialed.
    /// O(what is connected).
    std::vector<hub_link> links(mono_ms now) const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace tributary
