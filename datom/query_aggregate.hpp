/// The aggregates of :find. Private to the room.
#pragma once

#include "tributary/datom/query_functions.hpp"
#include "tributary/datom/query_relation.hpp"

namespace tributary::datom::datalog {

struct aggregate_context {
    const function_table& functions;
    arena& memory;
    stop_check& stop;
};

/// Errors: bad_input naming the element: an unknown aggregate, a wrong number of arguments.
void check_aggregate(const find_element& e, const function_table& given);

/// One column an element of :find, one row a group: rows that are equal in the plain variables.
/// Errors: bad_input naming the element.
std::vector<column> aggregate(const find_spec& find,
                              const relation& rows,
                              const aggregate_context& context);

}  // namespace tributary::datom::datalog
