/// JSON in and out. Integers are exact to 64 bits; a number that fits neither int64 nor a
/// round-tripping double becomes a decimal.
#pragma once

#include "tributary/value/value.hpp"

#include <string>
#include <string_view>

namespace tributary::json {

/// Errors: bad_input with the byte position: not JSON, a lone surrogate, a duplicate key, invalid
/// UTF-8, nesting beyond nesting_max.
value read(std::string_view text);

/// Keywords print as ":a/b", symbols as "a/b", instants as ISO 8601, bytes as hexadecimal, sets and
/// lists as arrays, keys that are no strings as EDN text, NaN and infinities as null.
std::string print(const value& v);

}  // namespace tributary::json
