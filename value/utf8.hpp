/// Whether bytes are UTF-8. Private to the room.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tributary {

/// Shortest forms only, no surrogates, at most U+10FFFF.
bool valid_utf8_beyond_ascii(std::string_view text);

inline bool valid_utf8(std::string_view text) {
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        if (word & 0x8080808080808080u) return valid_utf8_beyond_ascii({at, left});
    }
    for (; left > 0; ++at, --left) {
        if (*at & 0x80) return valid_utf8_beyond_ascii({at, left});
    }
    return true;
}

/// The offset of the first byte that is not part of a valid character; `text.size()` if there is
/// none.
std::size_t utf8_error_offset(std::string_view text);

/// Appends the character `code`, which is no surrogate and at most U+10FFFF.
void put_utf8(std::string& out, std::uint32_t code);

}  // namespace tributary
