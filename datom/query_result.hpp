/// From the columns of :find to the value a query returns: order, limit, pull, shape. Private to
/// the room.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/datom/query_relation.hpp"

namespace tributary::datom::datalog {

/// What a (pull ...) of :find needs.
struct pull_source {
    db database;
    value pattern;
};

struct result_context {
    const std::vector<std::optional<pull_source>>& pulls;  ///< by element of :find
    const query_options& options;
    stop_check& stop;
};

/// `bag`: rows that are equal stay several.
value result_of(const find_spec& find,
                std::vector<column> columns,
                bool bag,
                const result_context& context);

}  // namespace tributary::datom::datalog
