/// What all parts of one run share: its chance, its time, what it has counted, and its trace.
#pragma once

#include <fmt/format.h>

#include "sim/random.hpp"
#include "sim/schedule.hpp"
#include <cstdio>
#include <map>
#include <string>

namespace tributary::sim {

/// Counted over one run, and added up over all.
struct counts {
    std::uint64_t commits = 0, merges = 0, frames = 0, crashes = 0, cut_writes = 0,
                  surviving_writes = 0, failed_writes = 0, restores = 0, broken_links = 0,
                  partitions = 0, attacks = 0, equivocations = 0, blobs = 0;
    std::map<errc, std::uint64_t> hostile_closed;  ///< by honest peers, with which code
    std::size_t peers_max = 0;
    mono_ms healed_ms = 0;  ///< the longest time until all were equal

    void add(const counts& other);
};

struct run {
    run(std::uint64_t seed, bool trace_) : random(seed), trace(trace_) {}

    void say(const std::string& line) {
        if (trace) fmt::print("{:>8} {}\n", time.now(), line);
    }

    random_source random;
    schedule time;
    counts counted;
    bool trace;
    bool healing = false;  ///< no faults any more
};

}  // namespace tributary::sim
