#include "harness.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace bench {

using namespace tributary;

namespace {

std::uint64_t mix(std::uint64_t z) {  // splitmix64's finalizer
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

class sequence {
public:
    explicit sequence(std::uint64_t seed) : state_(seed) {}
    std::uint64_t below(std::uint64_t n) { return mix(state_ += 0x9E3779B97F4A7C15ull) % n; }
    double unit() { return static_cast<double>(below(1u << 30)) / (1u << 30); }
    /// A rank below n with a weight of about 1 / (rank + 1).
    std::uint64_t rank(std::uint64_t n) {
        return static_cast<std::uint64_t>(std::pow(static_cast<double>(n), unit())) - 1;
    }

private:
    std::uint64_t state_;
};

std::string word(std::uint64_t rank) {
    if (rank == 399) return "ethereum";
    static constexpr const char* onsets[] = {
        "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st", "tr"};
    static constexpr const char* vowels[] = {"a", "e", "i", "o", "u", "ai", "ea", "ou"};
    std::string w;
    for (std::uint64_t left = rank + 1; left > 0; left /= 128) {
        w += onsets[left % 16];
        w += vowels[left / 16 % 8];
    }
    return w + "n";
}

}  // namespace

op tweet(std::uint64_t i) {
    sequence random(0xA5A5A5A5ull + i * 0xD1342543DE82EF95ull);
    const std::size_t length = 40 + random.below(100) + random.below(64);
    std::string text;
    while (text.size() < length) text += (text.empty() ? "" : " ") + word(random.rank(40000));
    const std::string name = word(random.rank(50000)) + "_" + std::to_string(random.below(4));
    const value user = make_map({{"screen_name", name}, {"followers_count", random.below(100000)}});
    return {symbol{"add-tweet"},
            make_map({{"id", 460000000000000000ull + i * 4194304ull},
                      {"text", text},
                      {"timestamp_ms", std::to_string(1400000000000ull + i * 137)},
                      {"user", user},
                      {"retweet_count", random.rank(10000)},
                      {"favorite_count", random.rank(10000)},
                      {"source", "<a href=\"http://twitter.com\" rel=\"nofollow\">Web</a>"},
                      {"lang", "en"}})};
}

std::vector<bytes> encoded_tweets(std::uint64_t first, std::uint64_t count) {
    std::vector<bytes> ops;
    ops.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) ops.push_back(encode(tweet(first + i)));
    return ops;
}

figures isolated(const std::function<figures()>& f) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        const figures result = f();
        const std::size_t size = result.size() * sizeof(double);
        const bool written = write(ends[1], result.data(), size) == static_cast<ssize_t>(size);
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    figures result(64);
    const ssize_t got = read(ends[0], result.data(), result.size() * sizeof(double));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0 || got < 0) {
        std::fprintf(stderr, "a benchmark run failed (status %d)\n", status);
        std::exit(1);
    }
    result.resize(static_cast<std::size_t>(got) / sizeof(double));
    return result;
}

double private_mib(const fs::path& file) {
    std::ifstream status(file);
    std::string line;
    while (std::getline(status, line)) {
        if (line.rfind("RssAnon:", 0) == 0) return std::strtod(line.c_str() + 8, nullptr) / 1024;
    }
    return 0;
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v.size() % 2 == 1 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

warm_times time_warm(const std::function<void(stopwatch&)>& once) {
    std::vector<double> ms;
    for (double spent = 0; ms.size() < 20 || (spent < 400 && ms.size() < 500);) {
        stopwatch watch;
        once(watch);
        ms.push_back(watch.seconds() * 1000);
        spent += ms.back();
        if (spent > 20000) break;
    }
    return {median({ms.begin() + static_cast<std::ptrdiff_t>(ms.size() / 5), ms.end()}),
            *std::min_element(ms.begin(), ms.end())};
}

void require_rows(const std::string& what, std::size_t found, std::size_t expected) {
    if (expected == 0 || found == expected) return;
    std::fprintf(stderr, "%s: %zu rows, not %zu\n", what.c_str(), found, expected);
    std::exit(1);
}

scratch::scratch() {
    std::string pattern = (fs::temp_directory_path() / "tributary-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
}

scratch::~scratch() {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
}

void report(const std::string& what,
            double ours,
            const std::string& other_name,
            double other,
            const std::string& unit,
            bool more_is_better) {
    const double ratio = more_is_better ? ours / other : other / ours;
    std::printf("%-46s %12.4g %-9s %s %.4g, ratio %.2f\n",
                what.c_str(),
                ours,
                unit.c_str(),
                other_name.c_str(),
                other,
                ratio);
    std::fflush(stdout);
}

void report(const std::string& what, double ours, const std::string& unit) {
    std::printf("%-46s %12.4g %s\n", what.c_str(), ours, unit.c_str());
    std::fflush(stdout);
}

int runs() {
    const char* set = std::getenv("TRIBUTARY_BENCH_RUNS");
    return set != nullptr ? std::max(1, std::atoi(set)) : 3;
}

std::uint64_t scaled(std::uint64_t full) {
    const char* set = std::getenv("TRIBUTARY_BENCH_SCALE");
    return set != nullptr
               ? std::max<std::uint64_t>(1,
                                         static_cast<std::uint64_t>(std::strtod(set, nullptr) *
                                                                    static_cast<double>(full)))
               : full;
}

}  // namespace bench
