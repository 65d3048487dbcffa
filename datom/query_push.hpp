/// Which tests can move into the scan of a pattern, so that what fails them is never copied, and
/// often not even visited. Private to the room.
#pragma once

#include "tributary/datom/query_match.hpp"

namespace tributary::datom::datalog {

/// Variables that have the same value in every row.
using single_values = var_map<cell>;

/// Those of `waiting` that test only variables the pattern is the first to bind, constants and
/// single values.
std::vector<const clause*> tests_on(const pattern& p,
                                    const std::vector<const clause*>& waiting,
                                    const bound_rows& bound,
                                    const single_values& singles);

inline_test inline_test_of(const clause& c, const pattern& p, const single_values& singles);

/// What the comparisons in `body` demand of the pattern's value.
value_bounds bounds_on(const pattern& p, const clauses& body, const single_values& singles);

/// Each variable among the terms once.
std::vector<var_id> argument_variables(const std::vector<term>& args);

}  // namespace tributary::datom::datalog
