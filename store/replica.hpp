/// One CRDT in the commit store: its log, index, heads, authority and linear log, and how a commit
/// that has passed all checks changes them.
///
/// Which commits count. Every stored commit of the own genesis had the right to write by its own
/// ancestors. `everyone` is the join of the authority of all of them. A commit *counts* if
/// `everyone` lets its author write its seq, or if a commit that counts builds on it. So a commit
/// beyond a revocation that is concurrent with it is kept and served, but is no head and is not
/// listed, until an authorised commit builds on it; or until a fact arrives that makes the
/// revocation void.
/// Heads are the maximal ones of the commits that count, a function of the set of commits alone.
/// Commits of another genesis are ancestors at most.
///
/// A partial replica (store/partial.hpp) has two authorities from the beginning: number 1 is what
/// all commits below its cut say, number 2 the same without revocations. The first is part of
/// everyone's, so that the same commits count as where all is here; the second is what a commit
/// with parents below the cut may rest on.
///
/// Thread rule: one thread.
#pragma once

#include "tributary/crdt/authority.hpp"
#include "tributary/store/blob_index.hpp"
#include "tributary/store/commit_store.hpp"
#include "tributary/store/kept_sketch.hpp"
#include "tributary/store/linear_log.hpp"
#include "tributary/store/partial.hpp"
#include "tributary/store/records.hpp"
#include "tributary/store/staging.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tributary {

/// A commit that has passed every check.
struct accepted_commit {
    node_info info;  ///< its number is the next one
    bytes header;
    std::optional<signature> sig;  ///< verified
    bytes body;
    std::uint32_t op_count = 0;
    std::vector<blob_ref> blobs;  ///< that it names
    bool grants = false;                    ///< or revokes
    std::vector<commit_id> absent_parents;  ///< below the cut
    std::optional<commit_id> absent_prev;
};

class replica final : public commit_graph {
public:
    struct head {
        commit_id id;
        node number = 0;
        auto operator<=>(const head&) const = default;
    };
    /// The newest commit of an author.
    struct author_tip {
        std::uint64_t seq = 0;
        node number = 0;  ///< 0: below the cut
        commit_id id;
    };

    replica(staging& to, crdt_handle handle, state_record state);
    replica(const replica&) = delete;
    replica& operator=(const replica&) = delete;

    /// Forgets everything cached and takes `state` as what is stored.
    void reset(state_record state);
    /// Stages the state record and the heads if they changed.
    void save();
    /// Called when what was staged has become durable.
    void saved();
    bool dirty() const { return dirty_; }

    crdt_handle handle() const { return handle_; }
    const crdt_id& id() const { return id_; }
    const genesis& rules() const { return genesis_; }
    const state_record& state() const { return state_; }
    void rename(const std::string& name);

    /// Where it begins; nullptr: all is here.
    const partial_cut* cut() const { return cut_ ? &*cut_ : nullptr; }
    /// Whether `id` is known to be below the cut.
    bool is_below(const commit_id& id) const;
    /// Whether the proofs vouch for `id`, which may be above the cut.
    bool is_proven(const commit_id& id) const { return proven_.contains(id); }
    /// Parents below the cut of commits that are here, ascending.
    std::vector<commit_id> floor() const;
    static constexpr std::uint64_t granted_below = 2;  ///< number of an authority
    /// Makes a replica without commits a partial one. Errors: as check_proofs.
    void begin_at(partial_cut where);
    /// Commits that grant or revoke, ascending. O(them); of a store that was written without a list
    /// of them, O(log).
    std::vector<node> grants() const;
    /// The entries of an author with this seq.
    std::vector<node> of_author(const public_key& author, std::uint64_t seq) const;

    std::vector<node> parents(node n) const override;
    std::optional<node> find(const commit_id& id) const;
    node_info info(node n) const;
    /// The bytes of an arrival log entry. Errors: misuse if there is no such entry.
    bytes entry_bytes(node n) const;
    bytes body(node n) const;
    /// The ids of the log's entries `first` to `last`, in order.
    void each_id(node first, node last, const std::function<void(const commit_id&)>& visit) const;
    /// Commits whose ids begin with one of `ids`, ascending.
    std::vector<node> find_short(std::vector<sketch::short_id> ids) const;
    /// As kept_sketch::cells.
    std::vector<sketch::cell> cells(node end, std::uint64_t first, std::size_t count) const {
        return sketch_->cells(end, state_.commits, first, count);
    }
    std::uint64_t durable_commits() const { return durable_commits_; }
    const staging& changes() const { return to_; }

    const std::vector<head>& heads() const;
    /// The maximal ones of all commits of the own genesis, counted or not, ascending.
    std::vector<node> tips() const;
    std::optional<author_tip> tip_of(const public_key& author) const;
    authority_ptr authority_of(std::uint64_t number) const;
    authority_ptr everyone() const { return authority_of(state_.everyone); }
    linear_log& linear() { return linear_; }
    const linear_log& linear() const { return linear_; }
    blob_index& blobs() { return blobs_; }

    /// Stages a new authority; the number it gets is state().authorities + 1.
    void add_authority(const authority_ptr& a);
    /// Stages the next entry and places it among the heads.
    void add(accepted_commit c);
    /// Makes `n`, a head, the current one. The linear log follows with follow_current().
    void set_current(node n);
    void follow_current();

private:
    void record_author(const node_info& info);
    void place(node_info& info);
    bool widen_everyone(std::uint64_t authority);
    void raise(const node_info& info);
    void recount();
    void drop_revoked(const authority& rules);
    void restore(const authority& rules);
    void add_loose(std::vector<node> more);
    void set_counted(node n, bool counted);
    void add_head(const commit_id& id, node n);
    bool remove_head(node n);
    void remember(const node_info& info) const;
    void note_absent(const accepted_commit& c);
    std::vector<node> listed_grants() const;
    std::vector<node> grants_read(node end) const;
    void list_grant(node number);
    void learn(const proven_below& proven);
    std::vector<node> take_recent(std::vector<sketch::short_id>& ids) const;

    staging& to_;
    crdt_handle handle_;
    state_record state_;
    crdt_id id_;
    genesis genesis_;
    linear_log linear_;
    blob_index blobs_;
    bool dirty_ = false;
    std::uint64_t durable_commits_ = 0;
    node followed_ = 0;  ///< the head that the linear log is of
    std::optional<partial_cut> cut_;
    std::map<public_key, author_place> authors_below_;  ///< as far as the proofs tell
    std::unordered_set<commit_id> proven_;              ///< whose headers are among the proofs

    // Caches of what is stored.
    mutable std::optional<std::vector<head>> heads_;  ///< by id; read when first needed
    mutable std::vector<node> loose_;        ///< tips that do not count; read with the heads
    mutable bool had_loose_ = false;         ///< when they were last saved or read
    mutable std::vector<node_info> recent_;  ///< by number modulo its size
    mutable std::unordered_map<public_key, author_tip> author_tips_;
    mutable std::unordered_map<std::uint64_t, authority_ptr> authorities_;
    authority_ptr of_genesis_;
    mutable std::optional<kept_sketch> sketch_;
};

/// The number of join(a, b), where `find` gives an authority by its number and `add` numbers one
/// that is new. Costs nothing when one number says it all, the usual case.
template <class Find, class Add>
std::uint64_t join_numbers(
    const genesis& g, std::uint64_t a, std::uint64_t b, const Find& find, const Add& add) {
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    const authority_ptr of_a = find(a), of_b = find(b);
    authority joined = join(g, *of_a, *of_b);
    if (joined == *of_a) return a;
    if (joined == *of_b) return b;
    return add(std::move(joined));
}

}  // namespace tributary
