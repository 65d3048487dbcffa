/// The one source of chance in a run: the same seed gives the same run on every machine
/// (xorshift64*, Vigna 2014).
#pragma once

#include "tributary/value/bytes.hpp"

#include <cstdint>

namespace tributary::sim {

class random_source {
public:
    explicit random_source(std::uint64_t seed)
        : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {
        for (int i = 0; i < 8; ++i) next();
    }

    std::uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1du;
    }
    /// In [low, high].
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
    bool chance(int percent) { return between(1, 100) <= percent; }

    bytes fresh_bytes(std::size_t n) {
        bytes out;
        while (out.size() < n) out.push_back(static_cast<char>(next() >> 32));
        return out;
    }

private:
    std::uint64_t state_;
};

}  // namespace tributary::sim
