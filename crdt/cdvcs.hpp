/// A version-controlled value as a value: the commits of one CRDT in memory, with the operations of
/// a CDVCS ("git for data") and no I/O.
///
/// It has no branches: a branch is another CRDT, made by fork. Several heads are a conflict, which
/// only a merge ends. Law: `join` is commutative, associative and idempotent in the set of commits
/// and in the heads, which are the maximal elements of that set (tests/crdt/cdvcs_test.cpp).
/// Replicas on disk are store/commit_store.hpp; this is its model, for tests and for use in memory.
/// Source: replikativ crdt/cdvcs/core.cljc. Differs: heads are always the maximal elements, ids
/// cover the whole commit, commits are signed, and each replica goes on from its current head
/// whatever other heads exist. Authority is not judged here. Thread-compatible.
#pragma once

#include "tributary/crdt/commit.hpp"
#include "tributary/crdt/graph.hpp"

#include <map>

namespace tributary {

class cdvcs final : public commit_graph {
public:
    struct entry {
        commit_header header;
        commit_id id;
        bytes body;
        std::vector<node> parents;
        bool foreign = false;  ///< of another genesis: an ancestor, never a head
    };

    /// An empty one. Errors: as verify(signed_genesis).
    static cdvcs create(const signed_genesis& g);
    /// An empty one that has this one's commits as the past: its first commit has the heads here as
    /// parents.
    cdvcs fork(const signed_genesis& g) const;

    /// One commit on the current head.
    commit_id transact(const identity& author, std::span<const bytes> ops, std::int64_t time_ms);
    /// Joins heads into one; `order` gives the parents and so the linear order; ops correct what
    /// the merge gets wrong. Errors: conflict (`order` is not the set of heads), misuse (one head
    /// only).
    commit_id merge(const identity& author,
                    const std::vector<commit_id>& order,
                    std::span<const bytes> corrections,
                    std::int64_t time_ms);
    /// Takes in the past of `other`'s current head and makes that the second parent of a new commit
    /// here. Errors: misuse (nothing there, or known here).
    commit_id pull(const identity& author, const cdvcs& other, std::int64_t time_ms);
    /// Takes in the commits of another replica of the same CRDT; the current head follows its
    /// descendants. Errors: misuse (another CRDT).
    void join(const cdvcs& other);

    const crdt_id& id() const { return id_; }
    const std::vector<node>& heads() const { return heads_; }  ///< ascending
    std::vector<commit_id> head_ids() const;                   ///< ascending
    std::optional<commit_id> current() const;
    const std::vector<entry>& entries() const { return entries_; }  ///< entry of node n at n - 1
    std::vector<node> parents(node n) const override { return entries_.at(n - 1).parents; }
    std::optional<node> find(const commit_id& id) const;
    /// linear(current head), as ids.
    std::vector<commit_id> linear() const;
    divergence conflicts() const { return divergence_of(*this, heads_); }

private:
    cdvcs() = default;
    commit_id commit_on(const identity& author,
                        std::vector<node> parents,
                        std::span<const bytes> ops,
                        std::int64_t time_ms);
    void take(const cdvcs& other, node n);
    void add(entry e);

    crdt_id id_;
    std::vector<entry> entries_;
    std::map<commit_id, node> index_;
    std::map<public_key, node> tips_;  ///< each author's newest commit
    std::vector<node> heads_;
    std::vector<node> fork_parents_;  ///< of the first commit
    node current_ = 0;
};

}  // namespace tributary
