/// TREE, CHAIN and GRAPH: the edges of graphs, the same in every language.
#pragma once

#include "people.hpp"
#include <cstdint>
#include <utility>
#include <vector>

namespace bench {

using edges = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// From a root 1, numbered breadth first.
inline edges tree(int depth, int width) {
    edges all;
    std::vector<std::int64_t> level{1};
    std::int64_t next = 2;
    for (int d = 0; d < depth; ++d) {
        std::vector<std::int64_t> below;
        for (const std::int64_t parent : level) {
            for (int w = 0; w < width; ++w) {
                all.emplace_back(parent, next);
                below.push_back(next++);
            }
        }
        level = std::move(below);
    }
    return all;
}

/// `width` chains of `depth` edges each.
inline edges chains(int depth, int width) {
    edges all;
    for (int x = 0; x < width; ++x)
        for (int y = 0; y < depth; ++y)
            all.emplace_back(x * (depth + 1) + y + 1, x * (depth + 1) + y + 2);
    return all;
}

/// `count` edges between two of 1..nodes each, drawn as people are.
inline edges random_graph(std::uint64_t nodes, std::uint64_t count) {
    people random;
    edges all;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto from = static_cast<std::int64_t>(random.draw(nodes)) + 1;
        all.emplace_back(from, static_cast<std::int64_t>(random.draw(nodes)) + 1);
    }
    return all;
}

}  // namespace bench
