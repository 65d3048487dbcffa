/// How long to wait before the next attempt to reach a peer.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace tributary {

/// Doubles from half a second to half a minute, a quarter less or more: the jitter keeps many
/// clients of a server that restarts apart.
class backoff {
public:
    explicit backoff(unsigned seed) : random_(seed) {}

    std::chrono::milliseconds next() {
        const double seconds =
            std::min(max_s, first_s * static_cast<double>(1u << std::min(failures_++, 10)));
        return std::chrono::milliseconds(
            static_cast<int>(1000 * seconds * std::uniform_real_distribution(0.75, 1.25)(random_)));
    }
    /// It got somewhere.
    void reset() { failures_ = 0; }

private:
    static constexpr double first_s = 0.5, max_s = 30;
    int failures_ = 0;
    std::mt19937 random_;
};

}  // namespace tributary
