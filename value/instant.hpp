/// Instants as ISO 8601 text.
#pragma once

#include "tributary/value/value.hpp"

#include <string>
#include <string_view>

namespace tributary {

/// "2015-04-25T15:15:20.000Z"; years outside 0..9999 have a sign and at least six digits.
std::string format_instant(inst t);

/// Reads "2015", "2015-04", "2015-04-25", and "2015-04-25T15", "...T15:15", "...:20", "...:20.123"
/// with an optional "Z" or "+02:00"; what is missing is the first of its kind, and UTC. Digits
/// after the millisecond are dropped. Errors: bad_input, saying what was expected and at which
/// character.
inst parse_instant(std::string_view text);

}  // namespace tributary
