#include "tributary/store/kv.hpp"

#include <catch2/catch.hpp>

using namespace tributary;

TEST_CASE("prefix_end: the least key beyond a prefix", "[store]") {
    CHECK(prefix_end("a") == "b");
    CHECK(prefix_end("a\xff\xff") == "b");
    CHECK(prefix_end("\x7f") == "\x80");
    CHECK(prefix_end("\xff\xff").empty());
    CHECK(prefix_end("").empty());
}

TEST_CASE("kv_batch: counts its bytes", "[store]") {
    kv_batch b;
    CHECK(b.empty());
    b.put("key", "value");
    b.erase("key");
    CHECK(b.size_bytes() == 11);
    CHECK(b.changes().size() == 2);
    b.clear();
    CHECK(b.empty());
    CHECK(b.size_bytes() == 0);
}
