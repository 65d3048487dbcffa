#include "tributary/value/utf8.hpp"

#include <simdjson.h>

namespace tributary {
namespace {

/// By its first byte; 1 for a byte that cannot be first.
std::size_t character_length(char first) {
    const auto c = static_cast<unsigned char>(first);
    if (c >= 0xf0) return 4;
    if (c >= 0xe0) return 3;
    return c >= 0xc0 ? 2 : 1;
}

}  // namespace

bool valid_utf8_beyond_ascii(std::string_view text) {
    return simdjson::validate_utf8(text.data(), text.size());
}

std::size_t utf8_error_offset(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::string_view character = text.substr(at, character_length(text[at]));
        if (!valid_utf8(character)) return at;
        at += character.size();
    }
    return at;
}

void put_utf8(std::string& out, std::uint32_t code) {
    const auto tail = [&](int shift) {
        out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f)));
    };
    if (code < 0x80) {
        out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
        out.push_back(static_cast<char>(0xc0 | (code >> 6)));
        tail(0);
    } else if (code < 0x10000) {
        out.push_back(static_cast<char>(0xe0 | (code >> 12)));
        tail(6), tail(0);
    } else {
        out.push_back(static_cast<char>(0xf0 | (code >> 18)));
        tail(12), tail(6), tail(0);
    }
}

}  // namespace tributary
