/// sim --seed N | --seeds A..B | --sweep N [--trace] [--marks]: plays worlds and says which seeds
/// break an invariant. A sweep plays one seed again and again, and each time the power goes during
/// another write of one of its disks. --marks: also fails if a rare path (value/covered.hpp) was
/// never taken. TRIBUTARY_SIM_SEEDS=A..B takes the place of --seeds, so that ctest can be asked for
/// other seeds.
#include "tributary/value/covered.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include "sim/world.hpp"
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

using namespace tributary;
using namespace tributary::sim;

struct arguments {
    std::uint64_t first = 1, last = 100;
    bool trace = false, alone = false, sweep = false, marks = false;
};

void read_range(arguments& a, const std::string& range, const std::string& from) {
    const std::size_t dots = range.find("..");
    try {
        if (dots == std::string::npos) throw std::invalid_argument(range);
        a.first = std::stoull(range.substr(0, dots));
        a.last = std::stoull(range.substr(dots + 2));
    } catch (const std::exception&) {
        throw std::invalid_argument(from + " wants A..B, found \"" + range + "\"");
    }
}

arguments parse(int argc, char** argv) {
    arguments a;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--trace") {
            a.trace = true;
        } else if (word == "--marks") {
            a.marks = true;
        } else if ((word == "--seed" || word == "--sweep") && i + 1 < argc) {
            a.first = a.last = std::stoull(argv[++i]);
            a.alone = true;
            a.sweep = word == "--sweep";
        } else if (word == "--seeds" && i + 1 < argc) {
            read_range(a, argv[++i], "--seeds");
        } else {
            throw std::invalid_argument(
                "usage: sim --seed N | --seeds A..B | --sweep N [--trace] [--marks]");
        }
    }
    const char* range = std::getenv("TRIBUTARY_SIM_SEEDS");
    if (range != nullptr && !a.alone) read_range(a, range, "TRIBUTARY_SIM_SEEDS");
    return a;
}

/// A few seeds are run twice: the same seed must give the same run.
constexpr std::uint64_t repeat_every = 50;
/// And a few with a crash at every write.
constexpr std::uint64_t sweep_every = 100;
constexpr std::size_t sweep_peers_max = 3;

/// The power goes during write 1, 2, 3 ... of each peer in turn.
void sweep(std::uint64_t seed, const run_report& undisturbed, counts& total) {
    for (std::size_t peer = 0; peer < undisturbed.writes.size(); ++peer)
        for (std::size_t write = 1; write <= undisturbed.writes[peer]; ++write) {
            try {
                total.add(world(seed, false, planned_crash{peer, write}).play().counted);
            } catch (const std::exception& e) {
                throw std::logic_error(fmt::format(
                    "with a crash of peer {} at its write {}: {}", peer, write, e.what()));
            }
        }
}

bool play(std::uint64_t seed, const arguments& a, counts& total) {
    try {
        const run_report r = world(seed, a.trace).play();
        total.add(r.counted);
        if (a.alone) fmt::print("seed {}: end hash {}\n", seed, r.end_hash.hex());
        if (a.alone || seed % repeat_every == 0)
            if (world(seed).play().end_hash != r.end_hash)
                throw std::logic_error("the same seed gives another run");
        const bool small = r.counted.peers_max <= sweep_peers_max;
        if (a.sweep || (!a.alone && seed % sweep_every == 0 && small)) sweep(seed, r, total);
        return true;
    } catch (const std::exception& e) {
        fmt::print("seed {}: {}\nreplay with: sim --seed {} --trace\n", seed, e.what(), seed);
        return false;
    }
}

void print(const counts& c) {
    fmt::print("{} commits, {} merges, {} equivocations, {} blobs, {} frames, at most {} peers\n",
               c.commits,
               c.merges,
               c.equivocations,
               c.blobs,
               c.frames,
               c.peers_max);
    fmt::print(
        "{} broken links, {} partitions, {} crashes ({} during a write; {} writes survived "
        "unacknowledged), {} failed writes, {} restored backups, healed within {} ms\n",
        c.broken_links,
        c.partitions,
        c.crashes,
        c.cut_writes,
        c.surviving_writes,
        c.failed_writes,
        c.restores,
        c.healed_ms);
    fmt::print("{} attacks; connections to hostile peers closed for:", c.attacks);
    for (const auto& [code, n] : c.hostile_closed) fmt::print(" {} {}", name_of(code), n);
    fmt::print("\n");
}

/// Why an honest peer must have ended connections to hostile ones.
constexpr std::array reasons_to_part{errc::bad_input,
                                     errc::not_found,
                                     errc::unauthorized,
                                     errc::newer_version,
                                     errc::unavailable,
                                     errc::canceled,
                                     errc::limit};

/// How often each rare path was taken; returns how many never were.
int print_marks(const counts& total) {
    int missed = 0;
    for (const errc code : reasons_to_part)
        if (!total.hostile_closed.contains(code)) {
            fmt::print("no hostile peer was left for {}\n", name_of(code));
            ++missed;
        }
    for (std::size_t i = 0; i < rare_paths.size(); ++i) {
        const std::uint64_t taken = rare_paths_taken[i];
        fmt::print("{:>9} {}\n", taken, rare_paths[i]);
        missed += taken == 0 ? 1 : 0;
    }
    return missed;
}

}  // namespace

int main(int argc, char** argv) {
    arguments a;
    try {
        a = parse(argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 2;
    }
    fmt::print(
        "seeds {}..{}; replay one with: {} --seed N --trace; others: TRIBUTARY_SIM_SEEDS=A..B\n",
        a.first,
        a.last,
        argv[0]);
    // Large buffers that come and go would be mapped anew each time: half of the time.
    mallopt(M_MMAP_THRESHOLD, 256 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    const auto began = std::chrono::steady_clock::now();
    counts total;
    int failed = 0;
    for (std::uint64_t seed = a.first; seed <= a.last && failed < 10; ++seed)
        failed += play(seed, a, total) ? 0 : 1;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    print(total);
    const int missed = print_marks(total);
    fmt::print("seeds {}..{}: {:.1f} s; {} failed\n", a.first, a.last, took.count(), failed);
    if (!a.marks || missed == 0) return failed == 0 ? 0 : 1;
    fmt::print("{} rare paths were never taken: more seeds, or a simulator that gets there\n",
               missed);
    return 1;
}
