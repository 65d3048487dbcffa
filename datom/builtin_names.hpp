/// The names of the functions, predicates and aggregates that every query may call, for those who
/// help to write one.
#pragma once

#include <string_view>
#include <vector>

namespace tributary::datom {

std::vector<std::string_view> builtin_names();

}  // namespace tributary::datom
