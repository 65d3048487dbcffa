/// Coverage marks: a rare path says that it was taken, so that a test that leaves it to chance
/// where it gets to can show that it got there. A mark costs an addition; use it where things
/// seldom go. The simulator (tests/sim) fails if one of these was never reached.
/// Thread rule: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tributary {

inline constexpr std::array rare_paths = std::to_array<std::string_view>({
    "blob came to the peer later",
    "blob could not be stored",
    "blob damaged",
    "blob fetched over another connection",
    "blob in part at the peer",
    "blob not answered in time",
    "blob not at the peer",
    "blob taken up",
    "clone of what is here already",
    "cursor of another log",
    "deepened",
    "equivocation stored",
    "failed flush: connection kept",
    "failed flush: connection closed",
    "handshake too slow",
    "no sketch of a partial replica",
    "own commits awaited",
    "parent missing",
    "parent missing again",
    "parent missing for the third time",
    "pushed in vain",
    "reads no answers",
    "round is over",
    "shallow boundary",
    "silence",
    "sketch asked for more",
    "sketch given up",
    "sketch read",
    "walk overrun",
    "window closed",
    "write refused while own commits are awaited",
});

/// One of them. A name that is not listed does not compile.
struct rare_path {
    consteval rare_path(const char* name) : index(0) {
        while (rare_paths.at(index) != name) ++index;
    }
    std::size_t index;
};

/// How often each was taken since the process began.
inline std::array<std::atomic<std::uint64_t>, rare_paths.size()> rare_paths_taken{};

inline std::uint64_t times_taken(rare_path p) {
    return rare_paths_taken[p.index].load(std::memory_order_relaxed);
}

inline void covered(rare_path p) {
    rare_paths_taken[p.index].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace tributary
