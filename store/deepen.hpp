/// Putting older commits below a partial replica.
///
/// An arrival log only grows, parents before children, so nothing can be put below what is there. A
/// deeper replica of the same CRDT is made beside the partial one (commit_store::add_beside): it
/// gets the older commits from a peer, as a clone does, then what is here behind them, and takes
/// its place. Until then the partial one is read and written as ever. Thread rule: the store's.
#pragma once

#include "tributary/store/commit_store.hpp"

namespace tributary {

/// What the deeper one must have before it can go on with what is in `h`: what is just below the
/// cut, and what is above it and signed by nobody but the proofs of the cut. Everything else
/// between the two cuts is an ancestor of these. Ascending.
std::vector<commit_id> needed_below(const commit_store& store, crdt_handle h);

/// Copies commits of `h` to `made`, which has needed_below(h), from entry `first` on, checking them
/// as if a peer had sent them in one chunk; the entry to go on with. At most so many, or bytes,
/// unless more stand between two places where a chunk may end: of those within it only the last
/// signatures are kept, so that `made` can pass on nothing smaller. Staged. Errors: as
/// commit_store::ingest.
node copy_above(commit_store& store,
                crdt_handle h,
                crdt_handle made,
                node first,
                std::size_t commits_max = 1000,
                std::size_t bytes_max = 1u << 20);

}  // namespace tributary
