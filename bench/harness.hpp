/// What the benchmarks share: data, isolated runs, medians and the table of ratios.
///
/// Every figure is taken beside its limit or peer in the same run, turn by turn, each turn in a
/// process of its own; what counts is the ratio of medians. The absolute figures of one machine
/// move by a factor of two within a minute.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bench {

namespace fs = std::filesystem;

/// The `i`th tweet-like op of a fixed sequence, about 300 bytes encoded; the text has 40 to 200
/// bytes of words with Zipf-like frequencies.
tributary::op tweet(std::uint64_t i);
std::vector<tributary::bytes> encoded_tweets(std::uint64_t first, std::uint64_t count);

class stopwatch {
public:
    void start() { from_ = clock::now(); }
    void stop() { total_ += clock::now() - from_; }
    double seconds() const { return std::chrono::duration<double>(total_).count(); }

private:
    using clock = std::chrono::steady_clock;
    clock::time_point from_;
    clock::duration total_{};
};

/// What one run gives back to the parent: figures by position; the bench that made it knows their
/// meaning.
using figures = std::vector<double>;

/// Runs `f` in a child process and gives back its figures. A child that dies ends the benchmark
/// with a message.
figures isolated(const std::function<figures()>& f);

/// Private memory of this process, or of another by its status file, in MiB (RssAnon: LevelDB maps
/// its tables, so resident size counts the page cache).
double private_mib(const fs::path& status = "/proc/self/status");

double median(std::vector<double> v);

/// Milliseconds.
struct warm_times {
    double median = 0;
    double best = 0;
};
/// Repeats a short thing, which times itself, for about 0.4 seconds; the first fifth of the runs
/// warms up and does not count for the median.
warm_times time_warm(const std::function<void(stopwatch&)>& once);

/// Ends the benchmark with a message if an answer has another number of rows than it must have (0:
/// nobody knows).
void require_rows(const std::string& what, std::size_t found, std::size_t expected);

/// A scratch directory under $TMPDIR that is removed at the end.
class scratch {
public:
    scratch();
    ~scratch();
    fs::path operator/(const std::string& name) const { return dir_ / name; }

private:
    fs::path dir_;
};

/// One line of the report: "what", ours and the other's median in `unit`, and ours / other as
/// "better" (> 1 is faster or less).
void report(const std::string& what,
            double ours,
            const std::string& other_name,
            double other,
            const std::string& unit,
            bool more_is_better);
void report(const std::string& what, double ours, const std::string& unit);

/// How many repetitions ($TRIBUTARY_BENCH_RUNS, 3 if unset) and the scale (1 = the full size;
/// $TRIBUTARY_BENCH_SCALE).
int runs();
std::uint64_t scaled(std::uint64_t full);

}  // namespace bench
