#include "tributary/crdt/keys.hpp"

#include "tributary/value/error.hpp"

#include <sodium.h>

namespace tributary {

namespace {

void init_sodium() {
    static const bool ready = sodium_init() >= 0;
    TRIBUTARY_CHECK(ready);
}

const unsigned char* data_of(bytes_view b) {
    return reinterpret_cast<const unsigned char*>(b.data());
}

unsigned char* data_of(bytes& b) { return reinterpret_cast<unsigned char*>(b.data()); }

bytes with_purpose(std::string_view purpose, bytes_view message) {
    bytes all;
    all.reserve(purpose.size() + message.size());
    all += purpose;
    all += message;
    return all;
}

}  // namespace

signature signature::from_bytes(bytes_view b) {
    signature s;
    if (b.size() != s.raw.size())
        throw error(errc::bad_input,
                    "a signature has 64 bytes, this one has " + std::to_string(b.size()));
    std::memcpy(s.raw.data(), b.data(), s.raw.size());
    return s;
}

bool verify(const public_key& key,
            std::string_view purpose,
            bytes_view message,
            const signature& sig) {
    init_sodium();
    const bytes all = with_purpose(purpose, message);
    return crypto_sign_verify_detached(
               sig.raw.data(), data_of(bytes_view(all)), all.size(), key.raw.data()) == 0;
}

identity identity::from_seed(bytes_view seed) {
    init_sodium();
    if (seed.size() != crypto_sign_SEEDBYTES)
        throw error(errc::bad_input,
                    "an identity is made from 32 bytes, not " + std::to_string(seed.size()));
    identity made;
    made.seed_ = bytes(seed);
    made.secret_.resize(crypto_sign_SECRETKEYBYTES);
    crypto_sign_seed_keypair(made.key_.raw.data(), data_of(made.secret_), data_of(seed));
    return made;
}

identity identity::generate() { return from_seed(random_bytes(crypto_sign_SEEDBYTES)); }

signature identity::sign(std::string_view purpose, bytes_view message) const {
    const bytes all = with_purpose(purpose, message);
    signature sig;
    crypto_sign_detached(sig.raw.data(),
                         nullptr,
                         data_of(bytes_view(all)),
                         all.size(),
                         data_of(bytes_view(secret_)));
    return sig;
}

}  // namespace tributary
