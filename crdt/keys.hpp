/// Ed25519 identities and signatures (libsodium). A signature always covers a purpose and then the
/// bytes, so that one made for a commit can never serve to authenticate a connection.
#pragma once

#include "tributary/value/hash.hpp"

#include <array>

namespace tributary {

using public_key = id32<struct public_key_tag>;

struct signature {
    std::array<std::uint8_t, 64> raw{};
    auto operator<=>(const signature&) const = default;
    bytes_view view() const { return {reinterpret_cast<const char*>(raw.data()), raw.size()}; }
    /// Errors: bad_input unless `b` has 64 bytes.
    static signature from_bytes(bytes_view b);
};

bool verify(const public_key& key,
            std::string_view purpose,
            bytes_view message,
            const signature& sig);

/// A key pair. Copyable; keep copies few.
class identity {
public:
    /// Deterministic: the same 32 bytes give the same key. Errors: bad_input on another size.
    static identity from_seed(bytes_view seed);
    static identity generate();

    const public_key& key() const { return key_; }
    bytes_view seed() const { return seed_; }
    signature sign(std::string_view purpose, bytes_view message) const;

private:
    identity() = default;
    public_key key_;
    bytes seed_;
    bytes secret_;
};

}  // namespace tributary
