/// Stored bytes of values and ids; docs/formats.md has the layout.
///
/// A value is kept as `raw` bytes (type tag, then the value as it is) where it is data, and as
/// order-preserving `key` bytes where it is part of a key: comparing keys byte by byte compares
/// values. Strings and bytes longer than long_text_bytes are keyed by their first long_prefix_bytes
/// and a hash.
#pragma once

#include "tributary/datom/value_view.hpp"
#include "tributary/value/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace tributary::datom {

inline constexpr std::size_t long_text_bytes = 256;
inline constexpr std::size_t long_prefix_bytes = 128;
inline constexpr std::size_t value_bytes_max = 16u << 20;

// -- Ids: entities and t as 6 bytes, attributes as 4, big-endian
inline constexpr std::size_t id_bytes = 6;

inline void put_id(bytes& out, std::int64_t id) {
    for (int shift = 40; shift >= 0; shift -= 8) out.push_back(static_cast<char>(id >> shift));
}

inline std::int64_t get_id(const char* at) {
    std::uint64_t id = 0;
    for (std::size_t i = 0; i < id_bytes; ++i) id = id << 8 | static_cast<unsigned char>(at[i]);
    return static_cast<std::int64_t>(id);
}

// -- Varints, for log entries and postings
template <class Text>
void put_varint(Text& out, std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
    out.push_back(static_cast<char>(v));
}
inline std::uint64_t zigzag(std::int64_t v) {
    return static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63);
}
inline std::int64_t unzigzag(std::uint64_t v) {
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}
/// Takes it from the front. Errors: io if `in` ends first: stored bytes are damaged.
std::uint64_t take_varint(bytes_view& in);
bytes_view take_bytes(bytes_view& in, std::size_t n);
[[noreturn]] void damaged(const char* what);

// -- Values
/// Raw bytes of `v` as a value of type `t`, which is not tuple; an integer widens to double and
/// float (if exact), bigint and decimal. Refs are integer ids. Errors: bad_input (does not fit the
/// type, NaN, nil), limit (beyond value_bytes_max).
bytes encode_raw(const value& v, value_type t);
/// The same as a value of `a`, which may be a tuple (a vector or list).
bytes encode_raw(const value& v, const attribute& a);
/// The same, nothing instead of an error.
std::optional<bytes> try_encode_raw(const value& v, const attribute& a);
bytes raw_ref(entity_id e);
/// Of a tuple of these raw values, empty for nil.
bytes raw_tuple(const std::vector<bytes>& elements);
/// Takes the raw bytes of an element from the front of a tuple's; empty for nil.
inline bytes_view take_element(bytes_view& elements) {
    return take_bytes(elements, take_varint(elements));
}
template <class Visit>
void for_each_element(bytes_view elements, const Visit& visit) {
    while (!elements.empty()) visit(take_element(elements));
}

/// Errors: io if the bytes are damaged.
value_view view_of_raw(bytes_view raw);
/// The other way.
void append_raw(bytes& out, const value_view& v);

/// Appends the key bytes of a raw value.
void append_key(bytes& out, bytes_view raw);
/// A prefix of the keys of `raw` and of every text that cannot be told from it by its key alone;
/// nothing less than `raw` sorts after those keys, nothing greater before them. For the ends of
/// ranges.
void append_key_bound(bytes& out, bytes_view raw);

/// Takes key bytes from the front of `in`. `scratch` holds unescaped text. False if the value was
/// long: then its bytes are elsewhere.
bool take_key(bytes_view& in, bytes& scratch, value_view& out);

/// Order of two values of one type, as the keys'.
int compare(const value_view& a, const value_view& b);

}  // namespace tributary::datom
