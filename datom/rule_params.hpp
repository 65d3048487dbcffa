/// What the parameters of rules stand for. Private to the room.
#pragma once

#include "tributary/datom/query_ast.hpp"
#include "tributary/datom/query_source.hpp"

namespace tributary::datom::datalog {

/// By rule, for each parameter whether its rules use it only as an entity or attribute of the
/// database `on` they are asked of: then a call may name one by its ident or lookup ref.
using entity_params = std::map<std::string, std::vector<bool>, std::less<>>;
entity_params entity_params_of(const rule_set& rules, const source& on);

}  // namespace tributary::datom::datalog
