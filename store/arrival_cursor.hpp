/// A place in an arrival log, for whoever keeps one of another replica's.
#pragma once

#include "tributary/value/hash.hpp"

#include <cstdint>

namespace tributary {

/// A place in an arrival log, checkable by anyone who has the log: the number of entries before it,
/// and the chained digest up to it. The default is the beginning.
struct arrival_cursor {
    std::uint64_t seq = 0;
    hash16 digest{};
    bool operator==(const arrival_cursor&) const = default;
};

}  // namespace tributary
