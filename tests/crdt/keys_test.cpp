#include <catch2/catch.hpp>

#include "crdt/support.hpp"

using namespace tributary;
using namespace tributary::test;

TEST_CASE("keys: a signature holds for its key, purpose and message only", "[crdt]") {
    const identity ann = person(1), bob = person(2);
    const signature sig = ann.sign("trib.commit.1", "message");
    CHECK(verify(ann.key(), "trib.commit.1", "message", sig));
    CHECK_FALSE(verify(bob.key(), "trib.commit.1", "message", sig));
    CHECK_FALSE(verify(ann.key(), "trib.auth.1", "message", sig));
    CHECK_FALSE(verify(ann.key(), "trib.commit.1", "massage", sig));
    signature broken = sig;
    broken.raw[10] ^= 1;
    CHECK_FALSE(verify(ann.key(), "trib.commit.1", "message", broken));
}

TEST_CASE("keys: the same seed gives the same identity", "[crdt]") {
    CHECK(person(7).key() == person(7).key());
    CHECK(identity::from_seed(person(7).seed()).key() == person(7).key());
    CHECK(identity::generate().key() != identity::generate().key());
    CHECK_THROWS_AS(identity::from_seed("short"), error);
    CHECK_THROWS_AS(signature::from_bytes("short"), error);
}

TEST_CASE("keys: Ed25519 of RFC 8032, test 1, seed and public key", "[crdt]") {
    const identity known = identity::from_seed(
        from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    CHECK(known.key().hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}
