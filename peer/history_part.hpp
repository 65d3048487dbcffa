/// How much of a history a replica is to have.
#pragma once

#include <cstdint>
#include <string>

namespace tributary {

/// All of it, the last `amount` commits, or from about the first one on that was made at `amount`
/// milliseconds since 1970 or later, by its author's clock.
struct history_part {
    enum class measure : std::uint8_t { all = 0, depth = 1, since = 2 } by = measure::all;
    std::uint64_t amount = 0;
    bool operator==(const history_part&) const = default;
};

/// The mark of a replica that is made beside another: which part of the history it is to have.
inline constexpr const char* part_mark = "part";

/// As its value: the same text, the same part.
inline std::string text_of(const history_part& p) {
    return std::to_string(static_cast<int>(p.by)) + " " + std::to_string(p.amount);
}

}  // namespace tributary
