/// Who dials whom: lines, stars, rings, trees and random meshes, of 2 to 50 peers.
#pragma once

#include "sim/random.hpp"
#include <vector>

namespace tributary::sim {

/// One side dials the other, again and again.
struct edge {
    std::size_t dialer, acceptor;
    bool live;  ///< stays connected, or hangs up once it has caught up
};

/// Few most of the time, so that a seed costs little.
std::size_t random_size(random_source& random);

/// Connects `peers`, of which the first has what all the others want: each of them dials one that
/// is nearer to it.
std::vector<edge> random_edges(random_source& random, std::size_t peers);

}  // namespace tributary::sim
