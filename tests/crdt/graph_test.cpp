#include <catch2/catch.hpp>

#include "crdt/support.hpp"
#include <algorithm>
#include <set>

using namespace tributary;
using namespace tributary::test;

namespace {

using nodes = std::vector<node>;

/// All ancestors of n and n itself, by plain recursion.
std::set<node> past(const listed_graph& g, node n) {
    std::set<node> all{n};
    for (const node parent : g.parents(n)) all.merge(past(g, parent));
    return all;
}

nodes brute_maximal(const listed_graph& g, const std::set<node>& of) {
    nodes found;
    for (const node n : of)
        if (std::none_of(
                of.begin(), of.end(), [&](node m) { return m != n && past(g, m).contains(n); }))
            found.push_back(n);
    return found;
}

std::set<node> common_past(const listed_graph& g, const nodes& of) {
    std::set<node> common = past(g, of.front());
    for (const node n : of) {
        const auto theirs = past(g, n);
        std::erase_if(common, [&](node m) { return !theirs.contains(m); });
    }
    return common;
}

/// The definition, word by word.
void brute_linear(const listed_graph& g, node n, nodes& order) {
    if (std::find(order.begin(), order.end(), n) != order.end()) return;
    for (const node parent : g.parents(n)) brute_linear(g, parent, order);
    order.push_back(n);
}

nodes brute_linear(const listed_graph& g, node n) {
    nodes order;
    brute_linear(g, n, order);
    return order;
}

nodes linear(const commit_graph& g, node n) {
    return linear_extension(g, n, [](node) { return false; });
}

nodes random_nodes(random_source& random, const listed_graph& g) {
    nodes some;
    for (std::uint64_t i = 0, wanted = 1 + below(random, 4); i < wanted; ++i)
        some.push_back(1 + below(random, g.size()));
    return some;
}

}  // namespace

TEST_CASE("graph: a merge's parent order decides the linear order", "[crdt]") {
    const listed_graph right_first({{}, {1}, {2}, {3}, {1}, {5, 4}});
    CHECK(linear(right_first, 6) == nodes{1, 5, 2, 3, 4, 6});
    const listed_graph left_first({{}, {1}, {2}, {3}, {1}, {4, 5}});
    CHECK(linear(left_first, 6) == nodes{1, 2, 3, 4, 5, 6});
}

TEST_CASE("graph: a short path past an older head is no false conflict", "[crdt]") {
    // 0 <- 1 <- 2 <- 3, 0 <- 4, 5 = merge of 4 and 3; numbered from 1 here.
    const listed_graph g({{}, {1}, {2}, {3}, {1}, {5, 4}});
    CHECK(maximal(g, nodes{2, 6}) == nodes{6});
    CHECK(is_ancestor(g, 2, 6));
}

TEST_CASE("graph: a common ancestor above another one is not the lowest", "[crdt]") {
    const listed_graph g({{}, {1}, {2, 1}, {2, 1}});
    CHECK(lowest_common_ancestors(g, 3, 4) == nodes{2});
    const listed_graph criss_cross({{}, {1}, {1}, {2, 3}, {3, 2}});
    CHECK(lowest_common_ancestors(criss_cross, 4, 5) == nodes{2, 3});
    const listed_graph apart({{}, {}});
    CHECK(lowest_common_ancestors(apart, 1, 2).empty());
}

TEST_CASE("graph: algorithms agree with their definitions (random graphs)", "[crdt]") {
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        const listed_graph g = random_graph(random, 14);
        const nodes some = random_nodes(random, g), others = random_nodes(random, g);
        CHECK(maximal(g, some) == brute_maximal(g, {some.begin(), some.end()}));
        CHECK(is_ancestor(g, some[0], others[0]) == past(g, others[0]).contains(some[0]));
        CHECK(lowest_common_ancestors(g, some[0], others[0]) ==
              brute_maximal(g, common_past(g, {some[0], others[0]})));
        CHECK(lowest_common_ancestors(g, some) == brute_maximal(g, common_past(g, some)));

        std::set<node> wanted, had;
        for (const node n : some) wanted.merge(past(g, n));
        for (const node n : others) had.merge(past(g, n));
        std::erase_if(wanted, [&](node n) { return had.contains(n); });
        CHECK(missing(g, others, some, 1000) == nodes(wanted.begin(), wanted.end()));
        CHECK(linear(g, some[0]) == brute_linear(g, some[0]));
    }
}

TEST_CASE("graph: a linear order grows by what is not listed yet (random graphs)", "[crdt]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        const listed_graph g = random_graph(random, 20);
        const node head = g.size();
        nodes mainline{head};
        while (!g.parents(mainline.back()).empty())
            mainline.push_back(g.parents(mainline.back()).front());
        nodes order = linear(g, mainline[below(random, mainline.size())]);
        const std::set<node> listed(order.begin(), order.end());
        const nodes more = linear_extension(g, head, [&](node n) { return listed.contains(n); });
        order.insert(order.end(), more.begin(), more.end());
        CHECK(order == linear(g, head));
    }
}

TEST_CASE("graph: missing gives up when it meets too much that is shared", "[crdt]") {
    std::vector<std::vector<node>> chain(1);
    for (node n = 2; n <= 1000; ++n) chain.push_back({n - 1});
    const listed_graph g(std::move(chain));
    CHECK(missing(g, nodes{900}, nodes{1000}, 10)->size() == 100);
    CHECK_FALSE(missing(g, nodes{1000}, nodes{100}, 10));
    CHECK(missing(g, nodes{1000}, nodes{100}, 1000) == nodes{});
}

TEST_CASE("graph: depth costs no stack (200,000 commits)", "[crdt]") {
    std::vector<std::vector<node>> chain(1);
    for (node n = 2; n <= 200000; ++n) chain.push_back({n - 1});
    const listed_graph g(std::move(chain));
    CHECK(linear(g, 200000).size() == 200000);
    CHECK(is_ancestor(g, 1, 200000));
}

TEST_CASE("graph: the rewind point is the common prefix", "[crdt]") {
    CHECK(rewind_point(nodes{1, 2, 3}, nodes{1, 5, 2, 3}) == 1);
    CHECK(rewind_point(nodes{1, 2}, nodes{1, 2, 3}) == 2);
    CHECK(rewind_point(nodes{}, nodes{1}) == 0);
}

TEST_CASE("graph: a conflict names the fork point and each side's own commits", "[crdt]") {
    const listed_graph g({{}, {1}, {2}, {2}, {4}});
    const divergence found = divergence_of(g, nodes{3, 5});
    CHECK(found.fork_points == nodes{2});
    CHECK(found.sides == std::vector<divergence::side>{{3, {3}}, {5, {4, 5}}});
}
