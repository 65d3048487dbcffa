/// Shows how far long work is: a bar on a terminal, a plain line every few seconds elsewhere; on
/// stderr, so that stdout stays data.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tributary::cli {

class progress {
public:
    explicit progress(std::string what);
    /// Clears the bar.
    ~progress();
    progress(const progress&) = delete;

    /// `all` is 0 if unknown. Cheap to call often: draws ten times a second at most.
    void show(std::uint64_t done,
              std::uint64_t all,
              const std::string& unit,
              const std::string& more = "");
    /// Removes the bar, so that something else can be printed.
    void clear();

private:
    using clock = std::chrono::steady_clock;
    std::string what_;
    bool terminal_;
    bool drawn_ = false;
    clock::time_point next_;
};

}  // namespace tributary::cli
