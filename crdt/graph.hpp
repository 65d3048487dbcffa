/// Graph algorithms over an interface, never over a whole graph in memory.
///
/// A commit is a `node` here: its number in some arrival order, so a parent's number is always
/// smaller than its children's and descending numbers are a reverse topological order. Results (as
/// sets, or as the order asked for) do not depend on the numbering.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace tributary {

using node = std::uint64_t;

class commit_graph {
public:
    virtual ~commit_graph() = default;
    /// The parents of `n`, in their order.
    virtual std::vector<node> parents(node n) const = 0;
};

/// The maximal elements of `nodes` by ancestry: those that are no ancestor of another. Ascending.
std::vector<node> maximal(const commit_graph& g, std::span<const node> nodes);

/// Whether `a` is `b` or an ancestor of it. O(nodes between them).
bool is_ancestor(const commit_graph& g, node a, node b);

/// The lowest common ancestors of `a` and `b`: common ancestors that are no ancestor of another
/// one. Ascending; empty for unrelated roots.
std::vector<node> lowest_common_ancestors(const commit_graph& g, node a, node b);

/// The same for any number of nodes: their common ancestors that are no ancestor of another one.
std::vector<node> lowest_common_ancestors(const commit_graph& g, std::span<const node> nodes);

/// Ancestors of `want` (themselves included) that are no ancestors of `have` (themselves included),
/// ascending. At most `shared_budget` nodes known to `have` are visited; beyond, nothing: the
/// caller must find another way.
std::optional<std::vector<node>> missing(const commit_graph& g,
                                         std::span<const node> have,
                                         std::span<const node> want,
                                         std::size_t shared_budget);

/// The part of linear(head) that is not listed yet, in order. linear(c) = linear(first parent),
/// then for each further parent its ancestors not yet listed, in its linear order, then c: a
/// post-order walk, parents from left to right. `listed(n)` must be ancestor-closed. No recursion.
std::vector<node> linear_extension(const commit_graph& g,
                                   node head,
                                   const std::function<bool(node)>& listed);

/// How many entries two linear orders have in common from the start: where a reader of `old_order`
/// rewinds to before it follows `new_order`.
std::size_t rewind_point(std::span<const node> old_order, std::span<const node> new_order);

/// A conflict between heads.
struct divergence {
    struct side {
        node head = 0;
        std::vector<node> commits;  ///< what only this head has, ascending; the head is the last
        bool operator==(const side&) const = default;
    };
    std::vector<node> fork_points;  ///< the heads' lowest common ancestors, ascending
    std::vector<side> sides;        ///< in the order of `heads`
    bool operator==(const divergence&) const = default;
};

/// O(commits since the fork points).
divergence divergence_of(const commit_graph& g, std::span<const node> heads);

}  // namespace tributary
