/// Where a partial replica begins, and what it is told of the history below.
///
/// A partial replica holds the commits of a CRDT but those below a *cut*: a set that holds with
/// each commit all its ancestors. Parents below the cut are known by id alone; the walk of a graph
/// ends there. docs/partial.md says what follows from that.
#pragma once

#include "tributary/crdt/authority.hpp"
#include "tributary/store/arrival_cursor.hpp"

#include <map>
#include <vector>

namespace tributary {

struct partial_cut {
    /// Below are the entries before this place in the log of whoever made the cut, but for heads
    /// among them and commits that do not count.
    arrival_cursor at;
    std::uint64_t below = 0;  ///< how many commits are
    /// Headers and signatures of those below that grant and revoke, of heads below, and of what
    /// vouches for them through prev: parents before children, no bodies.
    std::vector<commit> proofs;
};

/// The newest commit of an author.
struct author_place {
    std::uint64_t seq = 0;
    commit_id id;
};

/// What follows from the proofs of a cut.
struct proven_below {
    explicit proven_below(const genesis& rules) : all(rules), granted(rules) {}
    authority all;  ///< what all of them say
    /// Without the revocations: what ancestors of a commit just above may have granted. Whether it
    /// counts is decided by `all`.
    authority granted;
    std::map<public_key, author_place> authors;
};

/// Errors: bad_input, newer_version; unauthorized (not vouched for, or of who may not grant).
proven_below check_proofs(const std::vector<commit>& proofs,
                          const crdt_id& id,
                          const genesis& rules);

/// Whether a commit says who may do what.
bool grants_or_revokes(const commit_header& h);

/// As a store keeps it.
bytes encode(const partial_cut& c);
/// Errors: bad_input (the store is damaged).
partial_cut parse_cut(bytes_view record);

}  // namespace tributary
