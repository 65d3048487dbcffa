#include "tributary/crdt/graph.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace tributary {

namespace {

using colors = std::uint8_t;

/// The edge of a walk from children to parents: nodes come out in descending number, so that all of
/// a node's descendants in the walk have come out before it and its colors are complete.
class frontier {
public:
    struct entry {
        node at = 0;
        colors color = 0;
        bool operator<(const entry& other) const { return at < other.at; }
    };

    /// `idle` says of which colors an entry no longer keeps the walk going.
    explicit frontier(bool (*idle)(colors)) : idle_(idle) {}

    void push(node n, colors c) {
        heap_.push_back({n, c});
        std::push_heap(heap_.begin(), heap_.end());
        if (!idle_(c)) ++active_;
    }

    /// Whether something is left that is not idle.
    bool active() const { return active_ > 0; }
    node top() const { return heap_.front().at; }

    /// The greatest node, with the colors of all its entries.
    entry pop() {
        entry merged = pop_one();
        while (!heap_.empty() && heap_.front().at == merged.at) merged.color |= pop_one().color;
        return merged;
    }

private:
    entry pop_one() {
        std::pop_heap(heap_.begin(), heap_.end());
        const entry e = heap_.back();
        heap_.pop_back();
        if (!idle_(e.color)) --active_;
        return e;
    }

    std::vector<entry> heap_;
    std::size_t active_ = 0;
    bool (*idle_)(colors);
};

std::vector<node> sorted_set(std::span<const node> nodes) {
    std::vector<node> sorted(nodes.begin(), nodes.end());
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    return sorted;
}

}  // namespace

std::vector<node> maximal(const commit_graph& g, std::span<const node> nodes) {
    constexpr colors candidate = 1, below = 2;
    std::vector<node> left = sorted_set(nodes);
    if (left.size() < 2) return left;
    frontier walk([](colors) { return false; });
    for (const node n : left) walk.push(n, candidate);
    const node lowest = left.front();
    std::vector<node> found;
    while (walk.active() && walk.top() >= lowest) {
        const auto [at, color] = walk.pop();
        if (color == candidate) found.push_back(at);
        for (const node parent : g.parents(at)) walk.push(parent, below);
    }
    std::reverse(found.begin(), found.end());
    return found;
}

bool is_ancestor(const commit_graph& g, node a, node b) {
    frontier walk([](colors) { return false; });
    walk.push(b, 0);
    while (walk.active() && walk.top() >= a) {
        const node at = walk.pop().at;
        if (at == a) return true;
        for (const node parent : g.parents(at)) walk.push(parent, 0);
    }
    return false;
}

std::vector<node> lowest_common_ancestors(const commit_graph& g, node a, node b) {
    constexpr colors of_a = 1, of_b = 2, both = 3, under_common = 4;
    frontier walk([](colors c) { return (c & under_common) != 0; });
    walk.push(a, of_a);
    walk.push(b, of_b);
    std::vector<node> found;
    while (walk.active()) {
        auto [at, color] = walk.pop();
        if ((color & both) == both) {
            if ((color & under_common) == 0) found.push_back(at);
            color |= under_common;
        }
        for (const node parent : g.parents(at)) walk.push(parent, color);
    }
    std::reverse(found.begin(), found.end());
    return found;
}

std::vector<node> lowest_common_ancestors(const commit_graph& g, std::span<const node> nodes) {
    if (nodes.empty()) return {};
    std::vector<node> common{nodes.front()};
    for (const node n : nodes.subspan(1)) {
        std::vector<node> next;
        for (const node c : common) {
            const auto lower = lowest_common_ancestors(g, c, n);
            next.insert(next.end(), lower.begin(), lower.end());
        }
        common = maximal(g, next);
    }
    return common;
}

std::optional<std::vector<node>> missing(const commit_graph& g,
                                         std::span<const node> have,
                                         std::span<const node> want,
                                         std::size_t shared_budget) {
    constexpr colors shared = 1, wanted = 2;
    frontier walk([](colors c) { return (c & shared) != 0; });
    for (const node n : have) walk.push(n, shared);
    for (const node n : want) walk.push(n, wanted);
    std::vector<node> found;
    while (walk.active()) {
        const auto [at, color] = walk.pop();
        if ((color & shared) == 0)
            found.push_back(at);
        else if (shared_budget-- == 0)
            return std::nullopt;
        for (const node parent : g.parents(at)) walk.push(parent, color);
    }
    std::reverse(found.begin(), found.end());
    return found;
}

std::vector<node> linear_extension(const commit_graph& g,
                                   node head,
                                   const std::function<bool(node)>& listed) {
    struct visit {
        node at;
        std::vector<node> parents;
        std::size_t next = 0;
    };
    std::vector<node> order;
    std::unordered_set<node> entered;
    std::vector<visit> stack;
    const auto enter = [&](node n) {
        if (!listed(n) && entered.insert(n).second) stack.push_back({n, g.parents(n)});
    };
    enter(head);
    while (!stack.empty()) {
        visit& top = stack.back();
        if (top.next < top.parents.size()) {
            enter(top.parents[top.next++]);
        } else {
            order.push_back(top.at);
            stack.pop_back();
        }
    }
    return order;
}

std::size_t rewind_point(std::span<const node> old_order, std::span<const node> new_order) {
    const auto [in_old, in_new] =
        std::mismatch(old_order.begin(), old_order.end(), new_order.begin(), new_order.end());
    return static_cast<std::size_t>(in_old - old_order.begin());
}

divergence divergence_of(const commit_graph& g, std::span<const node> heads) {
    divergence found;
    found.fork_points = lowest_common_ancestors(g, heads);
    for (std::size_t i = 0; i < heads.size(); ++i) {
        std::vector<node> others(heads.begin(), heads.end());
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
        found.sides.push_back(
            {heads[i],
             *missing(g, others, heads.subspan(i, 1), std::numeric_limits<std::size_t>::max())});
    }
    return found;
}

}  // namespace tributary
