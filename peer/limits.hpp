/// What users can set of what a peer may take: names for the fields of node_options.
/// docs/limits.md says what happens at each.
#pragma once

#include "tributary/peer/node.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace tributary {

/// The defaults, changed by EDN text: a map of names (keywords) to integers. Errors: bad_input,
/// which names `what` it is, and the names there are.
node_options read_limits(const std::string& what, std::string_view text);
/// By the file `limits.edn` in `dir`, if there is one. Errors: bad_input, io.
node_options limits_in(const std::filesystem::path& dir);

}  // namespace tributary
