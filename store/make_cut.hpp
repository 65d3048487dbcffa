/// What a partial replica is told of the history that it does not get.
#pragma once

#include "tributary/store/replica.hpp"

namespace tributary {

/// As commit_store::above_cut. O(heads, and commits that do not count).
std::vector<node> above_cut(const replica& r, node end);

/// As commit_store::cut_at. O(grants), and what vouches for them.
partial_cut make_cut(const replica& r, node end, const public_key& who);

}  // namespace tributary
