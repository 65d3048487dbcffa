/// Rows in the data model's order. Private to the room.
#pragma once

#include "tributary/datom/query_relation.hpp"

namespace tributary::datom::datalog {

/// The distinct rows of these columns in the order their vectors have as values (that of canonical
/// bytes), as in sets.
row_ids canonical_order(const std::vector<column>& columns, stop_check& stop);

}  // namespace tributary::datom::datalog
