/// Canonical MessagePack: every value has exactly one encoding, and the decoder refuses every
/// other. docs/formats.md is the spec.
#pragma once

#include "tributary/value/value.hpp"

#include <cstdint>

namespace tributary {

/// Ext type numbers: on disk and on the wire for ever; never reuse one.
enum class ext_type : std::int8_t {
    keyword = 1,
    symbol = 2,
    uuid = 3,
    inst = 4,
    set = 5,
    list = 6,
    bigint = 7,
    decimal = 8,
    character = 9,
    tagged = 10
};

inline constexpr int nesting_max = 64;

/// Errors: bad_input on text that is not UTF-8 or a decimal or bigint that is no number; limit
/// beyond nesting_max levels of containers; misuse on a map or set that was put together by hand
/// out of order. `out` is then as it was.
bytes encode(const value& v);
void encode_to(bytes& out, const value& v);

/// Errors: bad_input with the byte offset: not canonical, truncated, trailing bytes, nesting beyond
/// nesting_max, invalid UTF-8, an ext type that is unknown. Memory is proportional to the size of
/// `data`, whatever lengths it claims.
value decode(bytes_view data);

/// Decodes the value at the front of `data` and removes it from there.
/// Errors: as decode's, `data` is then as it was.
value decode_prefix(bytes_view& data);

}  // namespace tributary
