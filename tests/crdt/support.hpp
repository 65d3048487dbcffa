/// What tests of commits need: fixed identities, small ops, random graphs.
#pragma once

#include "tributary/crdt/authority.hpp"
#include "tributary/crdt/commit.hpp"
#include "tributary/crdt/graph.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <random>

namespace tributary::test {

/// Identity number `n`, the same on every run.
inline identity person(unsigned char n) {
    return identity::from_seed(bytes(32, static_cast<char>(n)));
}

inline bytes small_op(std::int64_t n) { return encode(op{symbol{"put"}, value(n)}); }

inline std::vector<bytes> small_ops(std::int64_t n) { return {small_op(n)}; }

inline genesis genesis_of(const identity& owner, const std::string& name = "tweets") {
    genesis g;
    g.name = name;
    g.owners = {owner.key()};
    g.nonce = bytes(16, 'n');
    return g;
}

/// The error code that `action` throws; errc{} if it does not.
template <class Action>
errc code_of(const Action& action) {
    try {
        action();
    } catch (const error& e) {
        return e.code();
    }
    return errc{};
}

/// A graph given by its parents; node n at n - 1.
class listed_graph final : public commit_graph {
public:
    explicit listed_graph(std::vector<std::vector<node>> parents) : parents_(std::move(parents)) {}
    std::vector<node> parents(node n) const override { return parents_.at(n - 1); }
    node size() const { return parents_.size(); }

private:
    std::vector<std::vector<node>> parents_;
};

using random_source = std::mt19937_64;

inline std::uint64_t below(random_source& random, std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random);
}

/// 1 to `size_max` nodes, mostly with one or two parents, rarely another root.
inline listed_graph random_graph(random_source& random, std::uint64_t size_max) {
    const std::uint64_t size = 1 + below(random, size_max);
    std::vector<std::vector<node>> all(1);
    for (node n = 2; n <= size; ++n) {
        std::vector<node> parents;
        const std::uint64_t dice = below(random, 10);
        const std::uint64_t wanted = dice == 0 ? 0 : dice < 6 ? 1 : dice < 9 ? 2 : 3;
        for (std::uint64_t i = 0; i < wanted; ++i) {
            const node parent = n - 1 - below(random, std::min<node>(n - 1, 6));
            if (std::find(parents.begin(), parents.end(), parent) == parents.end())
                parents.push_back(parent);
        }
        all.push_back(std::move(parents));
    }
    return listed_graph(std::move(all));
}

}  // namespace tributary::test
