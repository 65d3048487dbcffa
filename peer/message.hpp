/// What peers say to each other: one canonical MessagePack array [type, field...] in each WebSocket
/// frame. docs/protocol.md gives the bytes and the rules; this file only turns structs into bytes
/// and back.
///
/// Errors of every reader here: bad_input with the byte offset (not canonical, truncated, trailing
/// bytes, wrong shape). Memory is proportional to the frame, whatever lengths it claims.
#pragma once

#include "tributary/crdt/commit.hpp"
#include "tributary/peer/hub.hpp"
#include "tributary/store/commit_store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tributary::wire {

/// The registry of type numbers: never reuse one. A receiver ignores odd numbers it does not know;
/// an even one it does not know means that the peer needs something newer, and closes the
/// connection.
enum class message_type : std::uint8_t {
    hello = 0,
    ping = 1,
    auth = 2,
    bye = 4,
    list = 6,
    offers = 8,
    subscribe = 10,
    accept = 12,
    chunk = 14,
    ack = 16,
    have = 18,
    cells = 20,
    more = 22,
    blob_ask = 24,
    blob_part = 26,
    blob_have = 28,
    blob_lack = 30,
    part = 32,
    until = 33,
    cut = 34,
    below = 36,
    refused = 38,
    yours = 41,
};

inline constexpr std::uint64_t version_min = 1;
inline constexpr std::uint64_t version_max = 1;

// Limits that are part of the protocol.
inline constexpr std::size_t heads_max = 16;    ///< sent in a holding; more: none
inline constexpr std::size_t cells_max = 4096;  ///< in a message
inline constexpr std::size_t chunk_commits_max = 16384;
inline constexpr std::size_t text_bytes_max = 1024;
inline constexpr std::size_t offers_max = 10000;

/// The first frame each way. Every version has these fields; later ones may append more.
struct hello {
    std::uint64_t version_min = wire::version_min, version_max = wire::version_max;
    public_key key;
    hash32 nonce;
    std::string software;
    /// How the handshake may be (the dialer's) or is (the acceptor's) bound to the channel.
    std::uint64_t binds = 0;
    /// Milliseconds since 1970 by its side's clock; 0: it says nothing of it.
    std::uint64_t clock_ms = 0;
};

/// Bits of hello::binds: by what TLS exports at both ends (RFC 9266).
inline constexpr std::uint64_t binds_tls_exporter = 1;

/// Proves the key of the hello.
struct auth {
    signature sig;
};

/// The last frame of a side that closes. Every version has these fields; later ones may append
/// more.
struct bye {
    errc code = errc::unavailable;
    std::string reason;
};

struct ping {};

struct list {};

struct offers {
    std::vector<hub_offer> items;
};

/// What a side holds of a CRDT, for whoever will send to it. Answers are numbered by `round`.
struct holding {
    std::uint64_t round = 0;
    std::optional<arrival_cursor> cursor;  ///< into the log of the side that sends
    std::vector<commit_id> ids;            ///< its heads; none: not said
    hash32 heads_digest;                   ///< hash of the sorted heads
    std::uint64_t count = 0;               ///< commits, which is the end of its arrival log
    std::uint64_t window = 0;              ///< bytes it takes without having acknowledged them
};

struct subscribe {
    std::uint64_t sub = 0;
    std::variant<crdt_id, std::string> target;
    bool live = false;
    bool want_genesis = false;
    bool want_heads = false;
    holding have;
};

struct accept {
    struct description {
        signed_genesis genesis;
        std::string name;
    };
    std::uint64_t sub = 0;
    bool cursor_good = false;
    std::optional<description> about;  ///< if the genesis was wanted
    holding have;
};

/// Everything of a chunk but its commits.
struct chunk_head {
    std::uint64_t sub = 0;
    std::uint64_t round = 0;
    std::optional<arrival_cursor>
        cursor;         ///< after it, the receiver has all of the sender's log up to here
    bool done = false;  ///< and that is all there was when the sender began
};

struct ack {
    std::uint64_t sub = 0;
    std::uint64_t round = 0;
    std::uint64_t chunks = 0;  ///< with commits, durable, in this round
    std::uint64_t end = 0;     ///< commits in the log of the side that acknowledges
};

struct have {
    std::uint64_t sub = 0;
    holding what;
    std::vector<sketch::short_id> lacks;  ///< before the cursor, ascending
};

/// "I cannot tell from what you said you have": cells of the sketch of what the sender holds.
struct cells {
    std::uint64_t sub = 0;
    arrival_cursor end;       ///< of the log that they are of
    std::uint64_t first = 0;  ///< 0 begins anew
    std::vector<sketch::cell> items;
};

/// How many cells the other side wants in all.
struct more {
    std::uint64_t sub = 0;
    std::uint64_t cells = 0;
};

/// Before the subscribe of a clone: how much of the history is wanted.
struct part {
    std::uint64_t sub = 0;
    history_part what;
};

/// Before a subscribe: nothing is wanted that comes, in the log, after the last of these.
struct until {
    std::uint64_t sub = 0;
    std::vector<commit_id> ids;
};

/// Where a side's replica begins, before its subscribe or accept; or, for a new one of the other
/// side's, is to begin.
struct cut {
    std::uint64_t sub = 0;
    partial_cut where;  ///< its proofs are for a new replica
    std::vector<commit_id> floor;
};

/// Before a chunk: what its commits name that is below the receiver's cut.
struct below {
    std::uint64_t sub = 0;
    std::vector<commit_id> ids;
};

/// A subscription ends, and no other.
struct refused {
    std::uint64_t sub = 0;
    errc code = errc::unavailable;
    std::string reason;
};

/// The newest commit that a side has of the other side's own key, sent when the other seems to lack
/// it.
struct yours {
    std::uint64_t sub = 0;
    bytes header;
    signature sig;
};

bytes encode(const hello& m);
bytes encode(const auth& m);
bytes encode(const bye& m);
bytes encode(const ping& m);
bytes encode(const list& m);
bytes encode(const offers& m);
bytes encode(const subscribe& m);
bytes encode(const accept& m);
bytes encode(const ack& m);
bytes encode(const have& m);
bytes encode(const cells& m);
bytes encode(const more& m);
bytes encode(const part& m);
bytes encode(const until& m);
bytes encode(const cut& m);
bytes encode(const below& m);
bytes encode(const refused& m);
bytes encode(const yours& m);

/// The type number of a frame, known or not.
std::uint64_t type_of(bytes_view frame);
/// The number of the subscription that a message is about; 0: of none.
std::uint64_t subscription_of(bytes_view frame) noexcept;
/// The same as a question that has an answer for every frame.
bool is_of_type(bytes_view frame, message_type type);

hello read_hello(bytes_view frame);
auth read_auth(bytes_view frame);
bye read_bye(bytes_view frame);
offers read_offers(bytes_view frame);
subscribe read_subscribe(bytes_view frame);
accept read_accept(bytes_view frame);
ack read_ack(bytes_view frame);
have read_have(bytes_view frame);
cells read_cells(bytes_view frame);
more read_more(bytes_view frame);
part read_part(bytes_view frame);
until read_until(bytes_view frame);
cut read_cut(bytes_view frame);
below read_below(bytes_view frame);
refused read_refused(bytes_view frame);
yours read_yours(bytes_view frame);
/// For messages without fields.
void read_empty(bytes_view frame);

/// A chunk's commits go into `commits`, whose buffers are reused.
chunk_head read_chunk(bytes_view frame, std::vector<commit>& commits);

/// A chunk that was read.
struct chunk {
    chunk_head head;
    std::vector<commit> commits;
};

/// Sets body_checked up to the first commit that is not what its header says, which is left for
/// whoever can tell if that matters. Does not throw.
void check_bodies(std::vector<commit>& commits);

/// Builds a chunk by appending straight from the store: headers and bodies as they come, signatures
/// at the end.
class chunk_writer {
public:
    chunk_writer();
    void add(bytes_view header, bytes_view body);
    std::size_t count() const { return ends_.size(); }
    /// Of headers and bodies added.
    std::size_t payload_bytes() const { return payload_; }
    /// Forgets all but the first `n`.
    void truncate(std::size_t n);
    /// `sigs`: (index of commit, signature), ascending. The writer is empty afterwards.
    bytes finish(const chunk_head& head,
                 const std::vector<std::pair<std::size_t, signature>>& sigs);

private:
    struct end {
        std::size_t at, payload;
    };
    bytes buffer_;
    std::size_t payload_ = 0;
    std::vector<end> ends_;
};

/// `prev` of a commit header without decoding the rest. Errors: bad_input.
std::optional<commit_id> prev_of_header(bytes_view header);
crdt_id crdt_of_header(bytes_view header);

/// What both sides sign: the hash of both hello frames as they were sent, and of what the channel
/// exports if they are bound to it.
hash32 transcript(bytes_view dialer_hello, bytes_view acceptor_hello, bytes_view exported = {});
enum class role : char { dialer = 0, acceptor = 1 };
signature sign_transcript(const identity& self, role who, const hash32& transcript);
bool verify_transcript(const public_key& key,
                       role who,
                       const hash32& transcript,
                       const signature& sig);

hash32 digest_of_heads(const std::vector<commit_id>& sorted);

}  // namespace tributary::wire
