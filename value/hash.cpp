#include "tributary/value/hash.hpp"

#include "tributary/value/error.hpp"

#include <sodium.h>

namespace tributary {
namespace {

void require_sodium() {
    static const bool ready = sodium_init() >= 0;
    TRIBUTARY_CHECK(ready);
}

template <std::size_t Size>
std::array<std::uint8_t, Size> blake2b(std::string_view purpose,
                                       bytes_view first,
                                       bytes_view second) {
    require_sodium();
    unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = {};
    TRIBUTARY_CHECK(purpose.size() <= sizeof personal);
    std::memcpy(personal, purpose.data(), purpose.size());

    crypto_generichash_blake2b_state state;
    crypto_generichash_blake2b_init_salt_personal(&state, nullptr, 0, Size, nullptr, personal);
    for (const bytes_view part : {first, second}) {
        crypto_generichash_blake2b_update(
            &state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    }
    std::array<std::uint8_t, Size> out;
    crypto_generichash_blake2b_final(&state, out.data(), out.size());
    return out;
}

}  // namespace

void require_id_size(bytes_view b) {
    if (b.size() != 32) {
        throw error(errc::bad_input,
                    "expected an id of 32 bytes, found " + std::to_string(b.size()));
    }
}

hash32 hash(std::string_view purpose, bytes_view part) { return {blake2b<32>(purpose, part, {})}; }

hash32 hash(std::string_view purpose, bytes_view first, bytes_view second) {
    return {blake2b<32>(purpose, first, second)};
}

hash16 hash_short(std::string_view purpose, bytes_view first, bytes_view second) {
    return blake2b<16>(purpose, first, second);
}

bytes random_bytes(std::size_t n) {
    require_sodium();
    bytes out(n, '\0');
    randombytes_buf(out.data(), out.size());
    return out;
}

}  // namespace tributary
