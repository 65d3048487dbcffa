/// Matches data patterns against columns in memory. Private to the room.
#pragma once

#include "tributary/datom/query_match.hpp"

namespace tributary::datom::datalog {

/// As match_pattern; nothing if the pattern asks for more than entity and value of one attribute,
/// or the attribute has no column.
std::optional<relation> match_column(const match_request& request, arena& memory, stop_check& stop);

/// The slot of a value that `c` may hold; nothing if it holds no such value.
std::optional<std::int64_t> slot_of(const attribute_column& c, const cell& v);
/// The slots of values within the bounds; nothing if the bounds say nothing of such values.
std::optional<std::pair<std::int64_t, std::int64_t>> slots_within(const attribute_column& c,
                                                                  const value_bounds& bounds);

}  // namespace tributary::datom::datalog
