/// EDN text (https://github.com/edn-format/edn), the notation users write dispatch maps,
/// transactions and queries in.
#pragma once

#include "tributary/value/value.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::edn {

/// Reads the one value in `text`; commas, comments (;) and #_ discards are white space. #inst and
/// #uuid are known tags, and #db/id[partition -1]: a tempid; #:ns{:a 1} is {:ns/a 1}. Whole numbers
/// beyond 64 bits and what ends in N are bigints, in M decimals. Not supported: characters, other
/// tags. Errors: bad_input, message "line L, column C: expected ..., found ..." and below it the
/// line with a caret under the place.
value read(std::string_view text);

/// All values in `text`.
std::vector<value> read_all(std::string_view text);

/// The byte of `text` where the first value that `wanted` accepts begins (of one inside another the
/// inner is the first); nothing if there is none or the text is not EDN.
std::optional<std::size_t> find_in(std::string_view text,
                                   const std::function<bool(const value&)>& wanted);
/// "line L, column C: `problem`" of the byte `at`, and below it the line with a caret.
std::string pointed_at(std::string_view text, std::size_t at, const std::string& problem);

/// Text that `read` turns into an equal value. What EDN has no notation for has a tag: #trib/bytes
/// "00ff", #trib/keyword "a b".
std::string print(const value& v);
/// The same, cut to what fits a message.
std::string describe(const value& v);
/// The same over several lines, indented, at most about `width` columns where it can be.
std::string print_pretty(const value& v, int width = 80);

}  // namespace tributary::edn
