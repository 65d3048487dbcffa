/// The key spaces. The first byte of a key is its space, in capitals for current facts and in small
/// letters for their past twins; never reuse one.
///
///     E e a [v]      -> t raw        current facts by entity; v only for cardinality many
///     A a e [v]      -> t raw        by attribute; a raw value beyond column_value_bytes stays in
///     E, and one zero byte stands here V a v e        -> t            by value; unique attributes:
///     V a v -> t e R v a e        -> t            references by target; they are in V only if
///     unique e a r v        -> n t*n [raw]  superseded facts: the key has every part, v always,
///     and at its end the t of assertion; the value lists (n in two bytes)
///                                    when it was retracted, restored by a rewind, retracted again,
///                                    ...
///     L t            -> log entry    (datom/log.hpp)
///     I instant t    -> nothing      instants of transactions
///     W t            -> rewind       which transactions the rewind t undid
///     F a word 0 t   -> e*           full text: entities that got the word in the batch that began
///     with t S name         -> cursor       realize streams P name 0 pos   -> t commit     what a
///     stream had applied after `pos` commits M              -> state        format version,
///     counters, statistics
#pragma once

#include "tributary/datom/encoding.hpp"

namespace tributary::datom::keys {

inline constexpr char state = 'M';
inline constexpr char log = 'L';
inline constexpr char instant = 'I';
inline constexpr char rewind = 'W';
inline constexpr char word = 'F';  ///< only read: databases of before `term`
inline constexpr char term = 'T';
inline constexpr char stream = 'S';
inline constexpr char applied = 'P';

inline constexpr char eavt = 'E';
inline constexpr char aevt = 'A';
inline constexpr char avet = 'V';
inline constexpr char vaet = 'R';
/// The space of the past twins of a space.
constexpr char past(char space) { return static_cast<char>(space + ('a' - 'A')); }

inline constexpr std::size_t column_value_bytes = 1024;
/// In the t of a current fact: a rewind restored it, so its past twin tells of its assertion.
inline constexpr std::int64_t restored_flag = std::int64_t{1} << 47;

/// The value of a past twin: its times (6 bytes each), and what follows them.
inline constexpr std::size_t past_head_bytes = 2;
inline std::size_t past_times_bytes(bytes_view val) {
    return (static_cast<std::size_t>(static_cast<unsigned char>(val[0])) << 8 |
            static_cast<unsigned char>(val[1])) *
           id_bytes;
}
inline bytes_view past_times(bytes_view val) {
    return val.substr(past_head_bytes, past_times_bytes(val));
}
inline bytes_view past_rest(bytes_view val) {
    return val.substr(past_head_bytes + past_times_bytes(val));
}

inline bytes start(char space, std::size_t size) {
    bytes k;
    k.reserve(size);
    k.push_back(space);
    return k;
}

inline bytes of_id(char space, std::int64_t id) {
    bytes k = start(space, 1 + id_bytes);
    put_id(k, id);
    return k;
}

inline bytes of_attribute(char space, std::uint32_t number) {
    bytes k = start(space, 5);
    put_be32(k, number);
    return k;
}

/// Of E: all of (e, a), which is the one fact of a cardinality-one attribute.
inline bytes of_e_a(char space, entity_id e, std::uint32_t number) {
    bytes k = start(space, 1 + id_bytes + 4);
    put_id(k, e);
    put_be32(k, number);
    return k;
}

/// Of A.
inline bytes of_a_e(char space, std::uint32_t number, entity_id e) {
    bytes k = start(space, 1 + id_bytes + 4);
    put_be32(k, number);
    put_id(k, e);
    return k;
}

/// Of R: all of (target, a).
inline bytes of_target(char space, entity_id target, std::uint32_t number) {
    return of_e_a(space, target, number);
}

inline bytes of_instant(std::int64_t ms, std::int64_t t) {
    bytes k = start(instant, 1 + 8 + id_bytes);
    put_be64(k, static_cast<std::uint64_t>(ms) ^ (std::uint64_t{1} << 63));
    put_id(k, t);
    return k;
}

inline bytes of_stream(std::string_view name) { return bytes(1, stream).append(name); }

inline bytes of_applied(std::string_view name, std::uint64_t position) {
    bytes k = bytes(1, applied).append(name);
    k.push_back('\0');
    put_be64(k, position);
    return k;
}

inline bytes of_word(std::uint32_t number, std::string_view word_prefix) {
    return of_attribute(word, number).append(word_prefix);
}

}  // namespace tributary::datom::keys
