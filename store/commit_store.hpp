/// Commits on a kv: per CRDT an arrival log (seq -> commit, parents before children, each entry
/// chained by a digest), an index by id, heads, the current head, and the linear log of that head.
/// Key layout: store/keys.hpp. docs/formats.md says what is promised.
///
/// Changes are staged in memory, visible at once to reads through this object, and become durable
/// together at flush(): that is group commit. Nothing may be acknowledged before its flush
/// returned. After a failed flush everything staged is gone and the object is as it was at the last
/// successful one. Thread rule: one thread.
#pragma once

#include "tributary/crdt/authority.hpp"
#include "tributary/crdt/commit.hpp"
#include "tributary/crdt/graph.hpp"
#include "tributary/crdt/sketch.hpp"
#include "tributary/store/arrival_cursor.hpp"
#include "tributary/store/kv.hpp"
#include "tributary/store/partial.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tributary {

/// The local 4-byte name of a CRDT, so that keys are short.
using crdt_handle = std::uint32_t;

using authority_ptr = std::shared_ptr<const authority>;

/// One entry of an arrival log. Entries are numbered from 1; the number is also the commit's graph
/// node.
struct arrival_entry {
    node number = 0;
    commit_id id;
    bytes header;
    std::optional<signature> sig;  ///< verified by this store before it was written
    hash16 digest{};               ///< of the log up to and including this entry
    bool linearized = true;  ///< false: its author had no right to write; it counts only beneath an
                             ///< authorised commit
};

struct linear_entry {
    std::uint64_t position = 0;  ///< from 0
    node number = 0;
    bool mainline =
        false;  ///< on the head's first-parent chain: the log up to here is linear(this commit)
};

struct crdt_state {
    crdt_handle handle = 0;
    crdt_id id;
    std::string name;  ///< local bookmark
    signed_genesis genesis;
    std::vector<commit_id> heads;  ///< ascending by id
    std::optional<commit_id> current;
    arrival_cursor end;  ///< of the arrival log; end.seq = number of commits
    std::optional<std::uint64_t>
        below;  ///< of a partial replica: how many commits were below its cut when it was made
    std::uint64_t ops = 0;  ///< in all commits
    std::uint64_t linear_length = 0;
};

struct ingest_report {
    std::size_t added = 0;
    std::size_t known = 0;
};

/// Where a chunk comes from. From a peer, a commit of another genesis must be an ancestor, in the
/// same chunk, of one of this CRDT, whose author vouches for it; here, a fork may bring them first
/// and vouch in the end.
enum class chunk_from { peer, here };

class blob_index;

class commit_store {
public:
    /// Errors: newer_version (written by a newer tributary), io.
    explicit commit_store(kv& db);
    ~commit_store();

    // -- Which CRDTs there are
    // ------------------------------------------------------------------------------------------------------
    /// Adds a CRDT under a local name. Errors: exists (name or id).
    crdt_handle add(const signed_genesis& g, const std::string& name);
    /// Adds a partial replica, which begins at `cut`. Errors: exists; as check_proofs.
    crdt_handle add_partial(const signed_genesis& g,
                            const std::string& name,
                            const partial_cut& cut);
    /// Adds a replica of the CRDT of `h` that begins at `cut`, or is to have all if there is none.
    /// It has no name, and is neither listed nor found, until it takes the place of `h`; there is
    /// one at most. Errors: exists, as check_proofs.
    crdt_handle add_beside(crdt_handle h, const partial_cut* cut);
    /// That one.
    std::optional<crdt_handle> beside(crdt_handle h) const;
    /// `made`, which is beside `h`, gets its name, its current head and its marks, but for those
    /// that speak of places in its log; `h` is removed. Staged.
    void take_place(crdt_handle made, crdt_handle h);
    std::vector<crdt_handle> list() const;
    /// Also of one without a name.
    bool exists(crdt_handle h) const;
    std::optional<crdt_handle> find_name(std::string_view name) const;
    std::optional<crdt_handle> find_id(const crdt_id& id) const;
    void rename(crdt_handle h, const std::string& name);
    /// The replica is gone with the next flush, and what is made beside it. Their records take room
    /// until they are swept.
    void remove(crdt_handle h);
    /// Stages the erasure of up to `records_max` records of replicas that were removed; false once
    /// there are none. Flush before the next call.
    using record_visitor = std::function<bool(bytes_view key, bytes_view val)>;
    bool sweep(std::size_t records_max, const record_visitor& erased);
    /// Reads those records; `visit` returns false to stop.
    void each_leftover(const record_visitor& visit) const;
    crdt_state state(crdt_handle h) const;
    const genesis& genesis_of(crdt_handle h) const;

    // -- Writing (staged until flush)
    // -----------------------------------------------------------------------------------------------
    /// Appends a commit made here: header fields seq, prev, gen, crdt and author are filled in;
    /// parents are the current head (or `parents`, for a merge), and the new commit becomes the
    /// current head. Errors: unauthorized, not_found (a parent), limit, conflict (a commit of the
    /// author's is awaited).
    commit_id append(crdt_handle h,
                     const identity& author,
                     std::span<const bytes> ops,
                     std::int64_t time_ms,
                     std::optional<std::vector<commit_id>> parents = std::nullopt,
                     value ext = make_map({}));

    /// Checks and stores a chunk from elsewhere, parents before children: sizes, header, seq and
    /// prev, parents, gen, authority, body, and one signature per author. All or nothing. Commits
    /// of another genesis are stored but are never heads. The current head follows its descendants.
    /// If the kv fails half-way (io), everything staged so far is forgotten, as after a failed
    /// flush. Errors: bad_input, unauthorized, not_found (a parent or prev is missing: ask for it),
    /// newer_version, limit. `below`: parents and prevs that whoever sends the chunk says are
    /// below the cut of this partial replica. Commits known to be there count as known.
    ingest_report ingest(crdt_handle h,
                         std::span<const commit> chunk,
                         chunk_from from = chunk_from::here,
                         std::span<const commit_id> below = {});
    /// The same, taking headers and bodies out of the chunk if it succeeds.
    ingest_report ingest(crdt_handle h,
                         std::vector<commit>&& chunk,
                         chunk_from from = chunk_from::here,
                         std::span<const commit_id> below = {});

    struct awaited_commit {
        std::uint64_t seq = 0;
        commit_id id;
        public_key shown_by;
    };
    /// `header` and `sig` prove that their author has written this commit, perhaps with a store
    /// that was lost since. Until it is here, append refuses to write as that author: it would
    /// write the same numbers again. Staged. Errors: bad_input (of another CRDT, not signed by its
    /// author).
    void await(crdt_handle h, bytes_view header, const signature& sig, const public_key& shown_by);
    /// What `author` must get from a peer before it may write here.
    std::optional<awaited_commit> awaited(crdt_handle h, const public_key& author) const;
    /// Waits no longer, if it was `peer` who has shown the commit: it has it no more. Staged.
    void stop_awaiting(crdt_handle h, const public_key& author, const public_key& peer);

    /// Moves the current head to another head. Errors: not_found, misuse (no head).
    void set_current(crdt_handle h, const commit_id& head);

    /// A small record kept beside the commits and written in the same batch (source offsets,
    /// cursors of peers); nullopt removes it.
    void put_mark(crdt_handle h, const std::string& key, std::optional<bytes> val);
    std::optional<bytes> mark(crdt_handle h, std::string_view key) const;
    /// All marks whose key begins with `prefix`.
    std::vector<std::pair<std::string, bytes>> marks(crdt_handle h, std::string_view prefix) const;

    /// The blobs that the commits of a CRDT name; must not outlive the store.
    blob_index& blobs(crdt_handle h);

    /// Makes everything staged durable. Errors: io, no_space; then all of it is forgotten.
    void flush();
    bool dirty() const;

    // -- Reading
    // --------------------------------------------------------------------------------------------------------------------
    std::optional<node> find(crdt_handle h, const commit_id& id) const;
    arrival_entry entry(crdt_handle h, node n) const;
    bytes body(crdt_handle h, node n) const;
    /// The last of an author's chain. O(1).
    std::optional<arrival_entry> newest_of(crdt_handle h, const public_key& author) const;
    /// Entries from `first` on in order, with bodies; `visit` returns false to stop. Sequential, so
    /// the way to read many.
    void scan(crdt_handle h,
              node first,
              const std::function<bool(const arrival_entry&, bytes_view body)>& visit) const;
    /// Whether `c` names a place in this log.
    bool is_valid(crdt_handle h, const arrival_cursor& c) const;
    /// Cells `first` to `first + count` of the sketch of the log's first `end` entries. What they
    /// cost: store/kept_sketch.hpp.
    std::vector<sketch::cell> cells(crdt_handle h,
                                    node end,
                                    std::uint64_t first,
                                    std::size_t count) const;
    // -- Partial replicas
    /// Where `h` begins; nothing: all is here.
    std::optional<partial_cut> cut_of(crdt_handle h) const;
    /// Whether what was said when it was cut vouches for `id`, so that it needs no signature here.
    bool is_proven(crdt_handle h, const commit_id& id) const;
    /// Whether `id` is known to be below the cut of `h`.
    bool is_below(crdt_handle h, const commit_id& id) const;
    /// The parents below the cut that commits here name, ascending. With all that is below them,
    /// they are what is not here.
    std::vector<commit_id> floor(crdt_handle h) const;
    /// Those of the log's first `end` entries that a replica cut there has nevertheless: heads, and
    /// commits that do not count. Ascending.
    std::vector<node> above_cut(crdt_handle h, node end) const;
    /// What a replica must be told that is to have nothing else of the log's first `end` entries;
    /// `who` is to write to it. Errors: limit (it would be too much).
    partial_cut cut_at(crdt_handle h, node end, const public_key& who) const;
    /// The number of the first entry whose commit was made at `time_ms` or later, found by halving
    /// the log: times are what authors say, so it is about there. One more than there are: none.
    node first_since(crdt_handle h, std::int64_t time_ms) const;

    /// Commits whose ids begin with one of `ids`, ascending.
    std::vector<node> find_short(crdt_handle h, std::vector<sketch::short_id> ids) const;
    /// The graph of a CRDT; must not outlive the store.
    const commit_graph& graph(crdt_handle h) const;
    std::vector<node> head_nodes(crdt_handle h) const;
    /// The maximal ones of all commits of this genesis, ascending: the heads, and commits that do
    /// not count (`linearized` is false) and that nothing builds on. Equal tips mean equal sets of
    /// commits, so they are what replication compares; heads are what users see.
    std::vector<node> tip_nodes(crdt_handle h) const;
    std::vector<commit_id> tip_ids(crdt_handle h) const;  ///< the same, ascending by id
    /// What commit `n` and its ancestors say.
    authority_ptr authority_at(crdt_handle h, node n) const;
    /// What all commits here say.
    authority_ptr authority_of(crdt_handle h) const;
    /// The seq of the newest commit of `author` here; 0 if there is none.
    std::uint64_t last_seq(crdt_handle h, const public_key& author) const;
    /// The name that the grants here give `key`.
    std::optional<std::string> author_name(crdt_handle h, const public_key& key) const;
    /// Pairs of commits of one author with the same seq.
    std::vector<std::pair<commit_id, commit_id>> equivocations(crdt_handle h) const;

    /// The linear log of the current head. Errors: misuse if position >= linear_length.
    linear_entry linear_at(crdt_handle h, std::uint64_t position) const;
    std::optional<std::uint64_t> linear_position(crdt_handle h, node n) const;

    /// Reads everything back and checks every hash, signature, index and the linear log; calls
    /// `problem` for each fault. Returns commits checked.
    std::uint64_t verify(
        crdt_handle h,
        const std::function<void(const std::string&)>& problem,
        const std::function<void(std::uint64_t done, std::uint64_t all)>& progress) const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace tributary
