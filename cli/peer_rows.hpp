/// How things stand with a peer, as status and watch show it.
#pragma once

#include "tributary/peer/stage.hpp"
#include "tributary/value/value.hpp"

#include <string>
#include <vector>

namespace tributary::cli {

/// What people call a peer: where it is dialed, or else who it is.
std::string peer_name(const peer_status& p);
/// What the state does not say by itself.
std::string why(const peer_status& p);

/// For programs: a map.
value peer_value(const peer_status& p);

/// For people, "?" where it is not known.
extern const std::vector<std::string> peer_columns;
std::vector<value> peer_row(const peer_status& p);

}  // namespace tributary::cli
