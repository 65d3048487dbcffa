#include "sim/topology.hpp"

#include <array>

namespace tributary::sim {
namespace {

enum class shape { line, star, ring, tree, mesh };

std::size_t parent_of(random_source& random, shape s, std::size_t peer) {
    switch (s) {
        case shape::line:
        case shape::ring:
            return peer - 1;
        case shape::star:
            return 0;
        case shape::tree:
        case shape::mesh:
            break;
    }
    return random.below(peer);
}

}  // namespace

std::size_t random_size(random_source& random) {
    const std::int64_t kind = random.between(1, 200);
    if (kind == 1) return static_cast<std::size_t>(random.between(16, 50));
    if (kind <= 10) return static_cast<std::size_t>(random.between(6, 15));
    return static_cast<std::size_t>(random.between(2, 5));
}

std::vector<edge> random_edges(random_source& random, std::size_t peers) {
    const shape s = std::array{
        shape::line, shape::star, shape::ring, shape::tree, shape::mesh}[random.below(5)];
    std::vector<edge> edges;
    const auto connect = [&](std::size_t dialer, std::size_t acceptor) {
        edges.push_back({dialer, acceptor, random.chance(60)});
    };
    for (std::size_t i = 1; i < peers; ++i) {
        const std::size_t parent = parent_of(random, s, i);
        connect(i, parent);
        if (random.chance(30)) connect(parent, i);  // both dial: two connections at a time
    }
    if (s == shape::ring && peers > 2) connect(0, peers - 1);
    if (s != shape::mesh) return edges;
    for (std::size_t more = random.below(peers + 1); more > 0; --more) {
        const std::size_t a = random.below(peers), b = random.below(peers);
        if (a != b) connect(a, b);
    }
    return edges;
}

}  // namespace tributary::sim
