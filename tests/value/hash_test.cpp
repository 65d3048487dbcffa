#include "tributary/value/hash.hpp"

#include "tributary/value/error.hpp"

#include <catch2/catch.hpp>

#include "value/generate.hpp"

using namespace tributary;
using namespace tributary::test;

TEST_CASE("hash: BLAKE2b with the purpose as personalization", "[value]") {
    // From Python's hashlib.blake2b(b"abc", digest_size=32, person=b"trib.commit.1").
    CHECK(hash("trib.commit.1", "abc").hex() ==
          "2b095ad9f2dda3f502e92c6e3c99c28bd2406b6cbbfaa4fa3f3518f7608df4c3");
    CHECK(hash("trib.commit.1", "").hex() ==
          "30b5ee9abe5c20d624858971fc849bb7932e9b38e68bd5fab1ddee1c3dbb72ac");
    CHECK(hash("trib.commit.1", "a", "bc") == hash("trib.commit.1", "abc"));
    CHECK(hash("trib.op.1", "abc") != hash("trib.commit.1", "abc"));
    const hash16 chained = hash_short("trib.arrival.1", std::string(16, '\0'), "abc");
    CHECK(to_hex({reinterpret_cast<const char*>(chained.data()), chained.size()}) ==
          "9e98a1b2a348dedad7e737e8fed0872f");
}

TEST_CASE("hash: ids to text and back", "[value]") {
    const hash32 id = hash("trib.op.1", "x");
    CHECK(hash32::from_hex(id.hex()) == id);
    CHECK(hash32::from_bytes(id.view()) == id);
    CHECK(id.brief() == id.hex().substr(0, 12));
    CHECK(refused([] { hash32::from_hex("00"); }));
    CHECK(refused([] { hash32::from_bytes(std::string(33, 'x')); }));
}

TEST_CASE("bytes: hexadecimal and big-endian numbers", "[value]") {
    CHECK(to_hex(bytes("\x00\xff\x7f", 3)) == "00ff7f");
    CHECK(from_hex("00FF7f") == bytes("\x00\xff\x7f", 3));
    CHECK(refused([] { from_hex("0"); }));
    CHECK(refused([] { from_hex("0g"); }));
    bytes out;
    put_be32(out, 0x01020304);
    put_be64(out, 0x05060708090a0b0cULL);
    CHECK(to_hex(out) == "0102030405060708090a0b0c");
    CHECK(get_be32(out) == 0x01020304);
    CHECK(get_be64(bytes_view(out).substr(4)) == 0x05060708090a0b0cULL);
    CHECK(refused([&] { get_be64(bytes_view(out).substr(5)); }));
}

TEST_CASE("bytes: random bytes differ", "[value]") {
    CHECK(random_bytes(32).size() == 32);
    CHECK(random_bytes(32) != random_bytes(32));
}
