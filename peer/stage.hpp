/// The API an application writes through: a replica in a directory, opened in this process or
/// reached in the one that has it.
///
///     auto s = stage::open("/var/lib/tweets");
///     s->create("tweets");
///     s->transact("tweets", {{symbol{"add-tweet"}, tweet}});
///     s->connect("tweets", "ws://collector:9095", {.follow = true});
///
/// Everything blocks until it is done (for writes: durable). A CRDT is named by its local name or
/// its address. If the process that has the replica open goes away, the next call finds another or
/// opens it here; calls that only read are repeated unseen, a write that was under way throws
/// errc::unavailable: it may or may not have happened, and its marks tell. Log lines go to the
/// spdlog logger "tributary" if the application registered one. Thread rule: any thread.
#pragma once

#include "tributary/crdt/authority.hpp"
#include "tributary/crdt/blob.hpp"
#include "tributary/crdt/commit.hpp"
#include "tributary/peer/history_part.hpp"
#include "tributary/peer/links.hpp"
#include "tributary/peer/tls.hpp"
#include "tributary/store/blob_store.hpp"
#include "tributary/store/commit_store.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

/// What `trib ls`, `heads` and `status` show.
struct crdt_summary {
    std::string name;
    crdt_id id;
    std::string type;
    std::vector<commit_id> heads;
    std::optional<commit_id> current;
    std::uint64_t commits = 0, ops = 0, linear_length = 0;
    /// Of a partial replica: commits below, where it begins.
    std::optional<std::uint64_t> below;
    /// Pairs of commits of one author with the same number: two stores with one identity, or a
    /// restored one, wrote both.
    std::uint64_t equivocations = 0;
    /// Last collect, disk free, ..., as texts by name.
    std::vector<std::pair<std::string, std::string>> status;
};

/// Who may do what with a new CRDT.
struct create_options {
    /// With one, an opening commit gives the creator that name, which readers see where its key
    /// would be.
    std::string owner_name = {};
    bool open_write = false;              ///< anyone may write, else who was granted it
    bool public_read = true;              ///< anyone may read, else who was granted it
    std::vector<public_key> owners = {};  ///< beside the creator
};

/// A key that something was said of.
struct member_view {
    public_key key;
    std::string name;
    std::string right;          ///< "owner", "write", "read"; empty: revoked without having had any
    std::int64_t since_ms = 0;  ///< by the clock of who granted it; 0: since the beginning
    public_key by;              ///< who granted it; of the beginning: itself
    std::uint64_t commits = 0;  ///< of this key, known here
    std::optional<std::uint64_t> last_seq;  ///< revoked: what it wrote after that does not count
    std::optional<public_key> revoked_by;
};

/// What became of a store's key.
struct rotation {
    public_key from, to;
    std::vector<std::string> crdts;  ///< where `to` has the rights of `from` now
    std::vector<std::string> left;   ///< where `from` could only read, so that an owner must grant
};

/// One peer of one CRDT.
struct peer_status {
    std::string crdt;               ///< its local name
    std::optional<public_key> key;  ///< nothing: it was never reached
    std::string name;               ///< that a grant gives the key
    std::string url;                ///< where it is dialed; empty: it dials us
    link_state state = link_state::idle;
    std::int64_t since_ms = 0;              ///< when that began, milliseconds since 1970
    std::optional<std::int64_t> synced_ms;  ///< when both last had everything
    std::string reason;                     ///< why it is not connected
    link_lag lag;                           ///< not connected: as was known at the end
    /// Since the connection was made, all CRDTs on it.
    std::uint64_t commits_in = 0, commits_out = 0, payload_bytes = 0, control_bytes = 0;
};

/// A commit as readers see it.
struct commit_view {
    /// Number in the arrival log (from 1), or position in the linear log (from 0).
    std::uint64_t at = 0;
    commit_id id;
    commit_header header;
    std::string author_name;
    bytes body;  ///< empty unless asked for
    bool is_signed = false;
    bool linearized = true;
    /// Of the linear log: the log up to here is what this commit alone decides.
    bool mainline = false;
};

struct sync_report {
    std::uint64_t commits_in = 0, commits_out = 0;
    std::uint64_t payload_bytes = 0;  ///< headers, signatures, bodies and blobs
    std::uint64_t control_bytes = 0;  ///< all other bytes after authentication
    std::uint64_t round_trips = 0;    ///< after authentication
    std::uint64_t blobs_in = 0, blob_bytes_in = 0, blob_bytes_out = 0;
    std::uint64_t blobs_missing = 0;  ///< that the peer had not, or that could not be stored
    double seconds = 0;
    std::vector<commit_id> heads;  ///< here, afterwards
    std::string warning;           ///< what the user should look at though all went well
};

/// What became of one CRDT of a sync.
struct synced_crdt {
    std::string name;  ///< here
    /// Up to when it was up to date, or was given up; blobs are counted for all CRDTs together.
    sync_report report;
    std::optional<errc> failure;
    std::string reason;  ///< of the failure
};

/// Several CRDTs that were synced together.
struct joint_report {
    std::vector<synced_crdt> crdts;
    sync_report total;  ///< of all connections, without heads
};

/// The report of a sync of one CRDT. Errors: what went wrong with it.
sync_report only(joint_report report);

struct sync_progress {
    std::uint64_t commits_in = 0, commits_out = 0, commits_in_expected = 0, bytes = 0;
    std::uint64_t blob_bytes_in = 0, blob_bytes_in_expected = 0;
    /// "connecting", "fetching", "live", "waiting 3 s: connection refused", ...
    std::string state;
    std::uint64_t control_bytes = 0, round_trips = 0;  ///< as in sync_report; `bytes` are payload
    double seconds = 0;
    std::vector<synced_crdt> crdts = {};  ///< so far, without heads
};

/// What a store holds that nothing needs.
struct garbage_report {
    std::uint64_t records = 0, bytes = 0;  ///< of replicas that were removed
    std::uint64_t blobs = 0,
                  blob_bytes = 0;  ///< that no commit names, after a day; only when dropped
};

struct offer {
    std::string name;
    crdt_id id;
    std::string type;
    std::uint64_t commits = 0, heads = 0;
};

/// A conflict as a value.
struct conflict_summary {
    struct side {
        commit_id head;
        std::vector<commit_view> commits;  ///< since the fork point, oldest first
    };
    std::vector<commit_id> fork_points;  ///< lowest common ancestors of the heads
    std::vector<side> sides;             ///< the current head's first
};

struct connect_options {
    bool follow = false;  ///< stay live and reconnect, until `keep_going` says no
    std::function<bool(const sync_progress&)> keep_going = {};  ///< called about ten times a second
    tls_trust trust = {};   ///< of wss://; the one used last with that URL if nothing is set
    bool compress = false;  ///< if the peer does, too
    std::optional<history_part> part = {};  ///< of clone and deepen: so much of the history
    /// From now on blobs are fetched only when they are asked for, or all. Remembered.
    std::optional<bool> lazy_blobs = {};
    std::vector<blob_id> blobs = {};  ///< asked for
};

struct serve_options {
    std::string listen;     ///< HOST:PORT or unix:/PATH/TO/SOCKET
    tls_files tls = {};     ///< absolute paths; empty: in the clear
    bool compress = false;  ///< with peers that ask for it
};

/// A blob that commits name.
struct blob_summary {
    blob_id id;
    std::uint64_t size = 0;  ///< bytes
    std::uint64_t here = 0;  ///< of them, about: whole chunks
    commit_id commit;        ///< the first to name it, here
};

/// A record kept in the same batch as a commit: which part of a source it covers. What is under a
/// key "status/WHAT" is shown by summaries as the text of WHAT.
struct mark {
    std::string key;
    bytes val;
    /// If given: what is there now (nothing: no record). Else the whole call fails with conflict,
    /// so that a call under way when its caller died is not done after what a later one found.
    std::optional<std::optional<bytes>> was = std::nullopt;
};

class stage {
public:
    virtual ~stage() = default;

    /// Opens `dir` (made on first use, with an identity), or connects to the process that has it.
    /// Errors: locked, newer_version, io.
    static std::unique_ptr<stage> open(const std::filesystem::path& dir);

    virtual public_key key() = 0;

    /// A new CRDT of which this identity is the first owner. Errors: exists; bad_input (a name is 1
    /// to 200 bytes without '/', control characters, or "trib:" at its front).
    virtual crdt_id create(const std::string& name, const create_options& options = {}) = 0;
    /// A new CRDT with the history of `name`, which may then go its own way. Repeating one that was
    /// broken off finishes it.
    virtual crdt_id fork(const std::string& name, const std::string& new_name) = 0;
    /// Takes the commits of `from` (another CRDT here) up to its current head as a parent of a new
    /// commit on `name`'s current head. Errors: misuse (`from` is empty or already part of `name`).
    virtual commit_id pull(const std::string& name, const std::string& from) = 0;
    virtual std::vector<crdt_summary> list() = 0;
    virtual crdt_summary summary(const std::string& name) = 0;
    /// The peers of `name`, or of all CRDTs if it is empty: those that are connected, those that
    /// were dialed before, and the last few that dialed us.
    virtual std::vector<peer_status> peers(const std::string& name) = 0;

    /// Lets `key` do what `r` says, under a name that readers see where it would be. Who has it
    /// already keeps it. Errors: unauthorized (this identity is no owner), misuse (a revoked key
    /// stays revoked).
    virtual void grant(const std::string& name,
                       const public_key& key,
                       const std::string& member_name,
                       right r = right::write) = 0;
    /// Takes all rights from `key`. What it wrote after its commit `last_seq` (its newest that is
    /// known here, if none is given) counts only where others have built on it. Returns that seq.
    /// Errors: unauthorized, not_found (no member), misuse (the last owner; revoked already).
    virtual std::uint64_t revoke(const std::string& name,
                                 const public_key& key,
                                 std::optional<std::uint64_t> last_seq = std::nullopt) = 0;
    /// Owners first, the revoked last.
    virtual std::vector<member_view> members(const std::string& name) = 0;
    /// Makes a new key for this store. It gets the rights of the old one in all CRDTs here, and the
    /// old one ends. If that is broken off, the next call, or the next opening, finishes it.
    virtual rotation rotate() = 0;

    /// One commit of `ops` on the current head, durable when this returns; `marks` go down with it.
    /// It names the blobs whose addresses are strings in the ops and that are here, or named by a
    /// commit before.
    virtual commit_id transact(const std::string& name,
                               const std::vector<op>& ops,
                               const std::vector<mark>& marks = {}) = 0;
    /// The same for ops that are encoded already.
    virtual commit_id transact_encoded(const std::string& name,
                                       std::vector<bytes> ops,
                                       const std::vector<mark>& marks = {}) = 0;
    /// Joins heads: `order` gives the parents (all heads, current first, if empty); `corrections`
    /// are ops of the merge commit. Errors: conflict
    /// (`order` is not the set of heads), misuse (one head only).
    virtual commit_id merge(const std::string& name,
                            const std::vector<commit_id>& order = {},
                            const std::vector<op>& corrections = {}) = 0;
    virtual conflict_summary conflicts(const std::string& name) = 0;

    /// The blobs that commits of `name` name, in the order of the commits.
    virtual std::vector<blob_summary> blobs(const std::string& name) = 0;
    /// The blobs of this replica: peer/stage_blobs.hpp.
    virtual blob_store& blob_files() = 0;

    virtual void put_marks(const std::string& name, const std::vector<mark>& marks) = 0;
    virtual std::optional<bytes> get_mark(const std::string& name, const std::string& key) = 0;

    /// Up to `bytes_max` of commits (at least one if there is one) of the arrival log from entry
    /// `number` (1 is the first), or the linear log from `position`.
    virtual std::vector<commit_view> read_arrival(const std::string& name,
                                                  std::uint64_t number,
                                                  std::size_t bytes_max,
                                                  bool bodies) = 0;
    virtual std::vector<commit_view> read_linear(const std::string& name,
                                                 std::uint64_t position,
                                                 std::size_t bytes_max,
                                                 bool bodies) = 0;
    virtual std::optional<commit_view> find(const std::string& name,
                                            const commit_id& id,
                                            bool body) = 0;
    /// Returns when `name` has other than `commits` commits or after `wait`; the number it has
    /// then.
    virtual std::uint64_t wait_for_change(const std::string& name,
                                          std::uint64_t commits,
                                          std::chrono::milliseconds wait) = 0;

    /// Fetches and pushes what is new of all `names` (none: all CRDTs here) over one connection to
    /// `url`: as in peer_url; if it is empty, over one to each peer that was the last to be used
    /// for some of them, and those that never had one are left out if none were named. What goes
    /// wrong with one CRDT is in the report and keeps no other back. Resumes by itself; with follow
    /// it reconnects with back-off and jitter. Errors: misuse (following several peers), canceled.
    virtual joint_report sync(const std::vector<std::string>& names,
                              const std::string& url,
                              const connect_options& options = {}) = 0;
    /// The same for one; throws what went wrong with it.
    sync_report connect(const std::string& name,
                        const std::string& url,
                        const connect_options& options = {});
    /// A new replica of ws://HOST:PORT/NAME-OR-ADDRESS under `name` (the peer's if empty), fetched
    /// up to now.
    virtual sync_report clone(const std::string& url,
                              const std::string& name,
                              const connect_options& options = {}) = 0;
    /// Makes a partial replica one that has `options.part` of the history, or all, with what older
    /// commits it lacks from `url` (as in sync). Until they are here it is as it was, and if that
    /// is broken off, the next call for the same part goes on. Then both its logs have other
    /// numbers and are longer at the front. Errors: misuse (it is whole), conflict (the peer has
    /// nothing older, or not what is just below).
    virtual sync_report deepen(const std::string& name,
                               const std::string& url,
                               const connect_options& options = {}) = 0;
    static std::vector<offer> offers(const std::string& url, const tls_trust& trust = {});

    /// Serves peers until `keep_going` (called about ten times a second) says no;
    /// `bound` gets the real address first. One request thread serves /health and /metrics on the
    /// same port.
    virtual void serve(const serve_options& options,
                       const std::function<void(const std::string& address)>& bound,
                       const std::function<bool()>& keep_going) = 0;

    /// Copies the store, as it is at this moment and with its identity, into `to`, a directory that
    /// is not there yet and appears whole; others may write meanwhile. Returns the bytes of all
    /// records. `progress` may throw to stop. Errors: exists, io, no_space.
    virtual std::uint64_t backup(const std::filesystem::path& to,
                                 const std::function<void(std::uint64_t bytes)>& progress) = 0;
    /// Removes the replica from this store. Errors: conflict (it has commits that no peer has
    /// acknowledged, and not `even_the_only_copy`).
    virtual void remove(const std::string& name, bool even_the_only_copy = false) = 0;
    /// Drops what nothing needs, and gives its room back; with `look_only` says what there is.
    virtual garbage_report collect_garbage(bool look_only) = 0;

    virtual std::uint64_t verify(
        const std::string& name,
        const std::function<void(const std::string& problem)>& problem,
        const std::function<void(std::uint64_t done, std::uint64_t all)>& progress) = 0;
};

}  // namespace tributary
