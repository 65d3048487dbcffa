#include "sim/run.hpp"

namespace tributary::sim {

void counts::add(const counts& other) {
    commits += other.commits;
    merges += other.merges;
    frames += other.frames;
    crashes += other.crashes;
    cut_writes += other.cut_writes;
    surviving_writes += other.surviving_writes;
    failed_writes += other.failed_writes;
    restores += other.restores;
    broken_links += other.broken_links;
    partitions += other.partitions;
    attacks += other.attacks;
    equivocations += other.equivocations;
    blobs += other.blobs;
    for (const auto& [code, n] : other.hostile_closed) hostile_closed[code] += n;
    peers_max = std::max(peers_max, other.peers_max);
    healed_ms = std::max(healed_ms, other.healed_ms);
}

}  // namespace tributary::sim
