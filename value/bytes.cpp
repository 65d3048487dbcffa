#include "tributary/value/bytes.hpp"

#include "tributary/value/error.hpp"

namespace tributary {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

template <class Int>
void put_be(bytes& out, Int v) {
    char buffer[sizeof v];
    for (std::size_t i = sizeof v; i-- > 0; v >>= 8) buffer[i] = static_cast<char>(v & 0xff);
    out.append(buffer, sizeof buffer);
}

template <class Int>
Int get_be(bytes_view at) {
    if (at.size() < sizeof(Int)) {
        throw error(errc::bad_input,
                    "expected an integer of " + std::to_string(sizeof(Int)) + " bytes, found " +
                        std::to_string(at.size()));
    }
    Int v = 0;
    for (std::size_t i = 0; i < sizeof v; ++i) v = (v << 8) | static_cast<unsigned char>(at[i]);
    return v;
}

}  // namespace

std::string to_hex(bytes_view data) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(data.size() * 2);
    for (const char c : data) {
        out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
        out.push_back(digits[static_cast<unsigned char>(c) & 15]);
    }
    return out;
}

bytes from_hex(std::string_view text) {
    if (text.size() % 2 != 0) {
        throw error(errc::bad_input,
                    "expected an even number of hex digits, found " + std::to_string(text.size()));
    }
    bytes out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_digit(text[i]);
        const int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            throw error(errc::bad_input,
                        "expected a hex digit at position " + std::to_string(high < 0 ? i : i + 1) +
                            " of \"" + std::string(text.substr(0, 80)) + "\"");
        }
        out.push_back(static_cast<char>(high * 16 + low));
    }
    return out;
}

void put_be32(bytes& out, unsigned int v) { put_be(out, v); }
void put_be64(bytes& out, unsigned long long v) { put_be(out, v); }
unsigned int get_be32(bytes_view at) { return get_be<unsigned int>(at); }
unsigned long long get_be64(bytes_view at) { return get_be<unsigned long long>(at); }

}  // namespace tributary
