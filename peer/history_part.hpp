/// How much of a history a replica is to have.
#pragma once

#include <cstdint>

namespace tributary {

/// All of it, the last `amount` commits, or from about the first one on that was made at `amount`
/// milliseconds since 1970 or later, by its author's clock.
struct history_part {
    enum class measure : std::uint8_t { all = 0, depth = 1, since = 2 } by = measure::all;
    std::uint64_t amount = 0;
    bool operator==(const history_part&) const = default;
};

}  // namespace tributary
