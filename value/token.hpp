/// What EDN text is made of. Private to the room.
#pragma once

#include <string_view>

namespace tributary::edn {

inline bool is_space(char c) { return c == ' ' || c == ',' || (c >= '\t' && c <= '\r'); }

/// Whether `c` cannot be part of a symbol, keyword or number.
inline bool ends_token(char c) {
    return is_space(c) || std::string_view("\"()[]{};@^`~\\").find(c) != std::string_view::npos ||
           static_cast<unsigned char>(c) < 0x20;
}

/// Whether `text`, alone, reads as a symbol (or, after a colon, as a keyword).
bool is_symbol_text(std::string_view text);
bool is_keyword_text(std::string_view text);

// Tags for values that EDN has no notation of its own for.
inline constexpr std::string_view bytes_tag = "trib/bytes";      ///< hexadecimal
inline constexpr std::string_view keyword_tag = "trib/keyword";  ///< one that is no EDN keyword
inline constexpr std::string_view symbol_tag = "trib/symbol";    ///< one that is no EDN symbol

}  // namespace tributary::edn
