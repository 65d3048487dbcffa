/// sim --seed N | --seeds A..B [--trace]: runs worlds and says which seeds break an invariant.
/// TRIBUTARY_SIM_SEEDS=A..B takes the place of --seeds, so that ctest can be asked for other seeds.
#include <fmt/format.h>

#include "sim/world.hpp"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace {

using namespace tributary::sim;

struct arguments {
    std::uint64_t first = 1, last = 100;
    bool trace = false, verbose = false;
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
        } else if (word == "--seed" && i + 1 < argc) {
            a.first = a.last = std::stoull(argv[++i]);
            a.verbose = true;
        } else if (word == "--seeds" && i + 1 < argc) {
            read_range(a, argv[++i], "--seeds");
        } else {
            throw std::invalid_argument("usage: sim --seed N | --seeds A..B [--trace]");
        }
    }
    const char* range = std::getenv("TRIBUTARY_SIM_SEEDS");
    if (range != nullptr && !a.verbose) read_range(a, range, "TRIBUTARY_SIM_SEEDS");
    return a;
}

/// A few seeds are run twice: the same seed must give the same run.
constexpr std::uint64_t repeat_every = 50;

bool run(std::uint64_t seed, const arguments& a, run_report& total) {
    try {
        const run_report r = world(seed, a.trace).run();
        if (a.verbose || seed % repeat_every == 0)
            if (world(seed).run().end_hash != r.end_hash)
                throw std::logic_error("the same seed gives another run");
        if (a.verbose) fmt::print("seed {}: end hash {}\n", seed, r.end_hash.hex());
        total.commits += r.commits;
        total.merges += r.merges;
        total.frames += r.frames;
        total.crashes += r.crashes;
        total.cut_writes += r.cut_writes;
        total.surviving_writes += r.surviving_writes;
        total.failed_writes += r.failed_writes;
        total.restores += r.restores;
        total.broken_links += r.broken_links;
        total.healed_ms = std::max(total.healed_ms, r.healed_ms);
        return true;
    } catch (const std::exception& e) {
        fmt::print("seed {}: {}\nreplay with: sim --seed {} --trace\n", seed, e.what(), seed);
        return false;
    }
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
    const auto began = std::chrono::steady_clock::now();
    run_report total;
    int failed = 0;
    for (std::uint64_t seed = a.first; seed <= a.last && failed < 10; ++seed)
        failed += run(seed, a, total) ? 0 : 1;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print(
        "seeds {}..{}: {} commits, {} merges, {} frames, {} broken links, {} crashes ({} during a "
        "write; {} writes survived unacknowledged), {} failed writes, {} restored backups, healed "
        "within {} ms; {:.1f} s; {} failed\n",
        a.first,
        a.last,
        total.commits,
        total.merges,
        total.frames,
        total.broken_links,
        total.crashes,
        total.cut_writes,
        total.surviving_writes,
        total.failed_writes,
        total.restores,
        total.healed_ms,
        took.count(),
        failed);
    return failed == 0 ? 0 : 1;
}
