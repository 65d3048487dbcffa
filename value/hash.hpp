/// Content ids: BLAKE2b with a purpose (RFC 7693, section 2.5 "personalization" as in libsodium),
/// so that a hash of one kind of thing can never stand for another. Ids of different things are
/// different types.
#pragma once

#include "tributary/value/bytes.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace tributary {

/// 32 bytes that name something; `Tag` says what.
template <class Tag>
struct id32 {
    std::array<std::uint8_t, 32> raw{};

    auto operator<=>(const id32&) const = default;
    bytes_view view() const { return {reinterpret_cast<const char*>(raw.data()), raw.size()}; }
    std::string hex() const { return to_hex(view()); }
    /// Enough for a person to tell two apart: the first 12 hex digits.
    std::string brief() const { return hex().substr(0, 12); }
    /// Errors: bad_input unless `b` has 32 bytes.
    static id32 from_bytes(bytes_view b);
    /// Errors: bad_input unless `text` is 64 hex digits.
    static id32 from_hex(std::string_view text) { return from_bytes(tributary::from_hex(text)); }
};

void require_id_size(bytes_view b);

template <class Tag>
id32<Tag> id32<Tag>::from_bytes(bytes_view b) {
    require_id_size(b);
    id32 id;
    std::memcpy(id.raw.data(), b.data(), 32);
    return id;
}

using hash32 = id32<struct hash_tag>;
/// 16 bytes, for chains of which only equality matters to a reader that already trusts the peer.
using hash16 = std::array<std::uint8_t, 16>;

/// BLAKE2b-256 of `parts`, one after another. `purpose` is at most 16 bytes and part of the format:
/// "trib.commit.1", ...
hash32 hash(std::string_view purpose, bytes_view part);
hash32 hash(std::string_view purpose, bytes_view first, bytes_view second);
hash16 hash_short(std::string_view purpose, bytes_view first, bytes_view second);

template <class Id>
Id hash_as(std::string_view purpose, bytes_view part) {
    return Id::from_bytes(hash(purpose, part).view());
}

/// `n` bytes from the operating system's generator.
bytes random_bytes(std::size_t n);

}  // namespace tributary

template <class Tag>
struct std::hash<tributary::id32<Tag>> {
    std::size_t operator()(const tributary::id32<Tag>& id) const noexcept {
        std::size_t h;
        std::memcpy(&h, id.raw.data(), sizeof h);
        return h;
    }
};
