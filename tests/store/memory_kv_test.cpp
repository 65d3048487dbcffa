#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "store/kv_conformance.hpp"

using namespace tributary;
using namespace tributary::testing;

TEST_CASE("memory_kv: keeps the promises of a kv", "[store]") {
    expect_conforming([] { return make_memory_kv(); });
}

TEST_CASE("memory_kv: a crash drops what was not synced", "[store]") {
    const auto db = make_memory_kv();
    put(*db, "a", "1", true);
    put(*db, "a", "2", false);
    put(*db, "b", "2", false);
    kv_batch erase;
    erase.erase("a");
    db->write(erase, false);

    SECTION("all of it") {
        db->crash();
        CHECK(read_all(*db) == model{{"a", "1"}});
    }
    SECTION("but for the first batches that happened to reach the disk") {
        db->crash(2);
        CHECK(read_all(*db) == model{{"a", "2"}, {"b", "2"}});
        db->crash();
        CHECK(read_all(*db) == model{{"a", "2"}, {"b", "2"}});
    }
    SECTION("a later sync covers earlier writes") {
        put(*db, "c", "3", true);
        db->crash();
        CHECK(read_all(*db) == model{{"b", "2"}, {"c", "3"}});
    }
}

TEST_CASE("memory_kv: a power cut during a write leaves that write whole or not at all",
          "[store]") {
    for (const bool sync : {false, true}) {
        for (std::size_t kept = 0; kept <= 2; ++kept) {
            INFO("synced: " << sync << ", unsynced writes that survive: " << kept);
            const auto db = make_memory_kv();
            put(*db, "a", "1", true);
            db->cut_at(2);
            put(*db, "b", "2", false);
            CHECK_FALSE(db->is_cut());
            for (int again = 0; again < 2; ++again)
                CHECK_THROWS_AS(put(*db, "c", "3", sync), error);
            CHECK(db->is_cut());
            CHECK(read_all(*db) == model{{"a", "1"}, {"b", "2"}});
            REQUIRE(db->unsynced_count() == 2);
            db->crash(kept);
            model left{{"a", "1"}};
            if (kept > 0) left["b"] = "2";
            if (kept > 1) left["c"] = "3";
            CHECK(read_all(*db) == left);
            CHECK_FALSE(db->is_cut());
            CHECK(db->unsynced_count() == 0);
            put(*db, "d", "4");
        }
    }
}

TEST_CASE("memory_kv: fails at the write it is told to and changes nothing", "[store]") {
    const auto db = make_memory_kv();
    db->fail_at(2, errc::io);
    put(*db, "a", "1");
    try {
        put(*db, "b", "2");
        FAIL("the write passed");
    } catch (const error& e) {
        CHECK(e.code() == errc::io);
    }
    CHECK(read_all(*db) == model{{"a", "1"}});
    put(*db, "c", "3");
    CHECK(db->write_count() == 3);
    CHECK(read_all(*db) == model{{"a", "1"}, {"c", "3"}});
}
