/// Aggregates over groups of rows, and the final shape of a result. Private to the room.
#pragma once

#include "tributary/datom/query_relation.hpp"

namespace tributary::datom::datalog {

/// Errors: bad_input for an aggregate that does not exist or has the wrong arguments.
void check_aggregate(const find_element& e);

/// One column for each element of `find` over the distinct `rows`: plain variables group,
/// aggregates fold the groups. Errors: bad_input naming the element: a sum over what are no
/// numbers, ...
std::vector<column> aggregate(const find_spec& find,
                              const relation& rows,
                              arena& memory,
                              stop_check& stop);

/// The rows (one cell a column) as the value the find specification asks for. `bag`: a relation
/// keeps rows that are equal (:with told them apart) and becomes a vector.
value shape(const find_spec& find, const std::vector<column>& columns, bool bag, stop_check& stop);

}  // namespace tributary::datom::datalog
