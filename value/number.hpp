/// Numbers as text. Private to the room.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary {

/// The shortest text that reads back as `d`, which is finite, with a point or an exponent: "1.0",
/// "1e+22".
std::string shortest_text(double d);

/// -?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_decimal(std::string_view text);
/// 0 or -?[1-9][0-9]*
bool is_whole(std::string_view text);

/// The double that `text`, a decimal, denotes, if its shortest text denotes the same number; else
/// none.
std::optional<double> exact_double(std::string_view text);

}  // namespace tributary
