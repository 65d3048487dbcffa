/// What every kv promises (store/kv.hpp), as test bodies: each takes a fresh empty one.
#pragma once

#include "tributary/store/kv.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace tributary::testing {

using model = std::map<bytes, bytes>;

inline model read_all(const kv_reader& r) {
    model all;
    const auto c = r.cursor();
    for (c->seek(""); c->valid(); c->next()) all.emplace(c->key(), c->val());
    return all;
}

inline void put(kv& db, const bytes& key, const bytes& val, bool sync = true) {
    kv_batch b;
    b.put(key, val);
    db.write(b, sync);
}

inline void expect_batches_are_whole(kv& db) {
    kv_batch b;
    b.put("a", "1");
    b.put("b", bytes("\0\xff", 2));
    b.put("a", "2");
    b.put("c", "3");
    b.erase("c");
    b.erase("absent");
    db.write(b, true);
    CHECK(db.get("a") == bytes("2"));
    CHECK(db.get("b") == bytes("\0\xff", 2));
    CHECK_FALSE(db.get("c"));
    CHECK_FALSE(db.get(""));
    db.write(kv_batch{}, true);
    CHECK(read_all(db).size() == 2);
}

inline void expect_snapshots_stay(kv& db) {
    put(db, "a", "1");
    put(db, "b", "1");
    const kv_snapshot before = db.snapshot();
    const auto cursor = db.cursor();
    kv_batch b;
    b.put("a", "2");
    b.erase("b");
    b.put("c", "2");
    db.write(b, false);
    const kv_snapshot between = db.snapshot();
    put(db, "b", "3");

    CHECK(read_all(*before) == model{{"a", "1"}, {"b", "1"}});
    CHECK(read_all(*between) == model{{"a", "2"}, {"c", "2"}});
    CHECK(read_all(db) == model{{"a", "2"}, {"b", "3"}, {"c", "2"}});
    CHECK(before->get("b") == bytes("1"));
    CHECK_FALSE(between->get("b"));
    cursor->seek("a");
    REQUIRE(cursor->valid());
    CHECK(cursor->val() == "1");
}

inline void expect_cursor_order(kv& db) {
    for (const char* key : {"b", "d", "d\xff", "\xff"}) put(db, key, "v");
    const auto c = db.cursor();
    const auto at = [&] { return c->valid() ? bytes(c->key()) : bytes("end"); };
    c->seek("c");
    CHECK(at() == "d");
    c->prev();
    CHECK(at() == "b");
    c->prev();
    CHECK(at() == "end");
    c->seek_back("c");
    CHECK(at() == "b");
    c->seek_back("d");
    CHECK(at() == "d");
    c->next();
    CHECK(at() == "d\xff");
    c->seek_back("\xff\xff");
    CHECK(at() == "\xff");
    c->next();
    CHECK(at() == "end");
    c->seek_back("a");
    CHECK(at() == "end");
    c->seek("\xff\xff");
    CHECK(at() == "end");
}

/// Random batches, with snapshots that live for random spans, against a std::map; every cursor
/// movement is compared.
inline void expect_equals_model(kv& db, unsigned seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto key = [&] {
        return bytes(1 + random() % 2, static_cast<char>('a' + random() % 12));
    };
    model now;
    std::vector<std::pair<kv_snapshot, model>> held;
    for (int round = 0; round < 60; ++round) {
        kv_batch b;
        for (unsigned i = 0; i < random() % 6; ++i) {
            const bytes k = key();
            if (random() % 3 == 0) {
                b.erase(k);
                now.erase(k);
            } else {
                const bytes v = std::to_string(random() % 100);
                b.put(k, v);
                now[k] = v;
            }
        }
        db.write(b, random() % 4 == 0);
        held.emplace_back(db.snapshot(), now);
        if (held.size() > 1 + random() % 5)
            held.erase(held.begin() + static_cast<int>(random() % held.size()));
        for (const auto& [snapshot, then] : held) {
            REQUIRE(read_all(*snapshot) == then);
            const auto c = snapshot->cursor();
            const bytes k = key();
            c->seek_back(k);
            auto it = then.upper_bound(k);
            REQUIRE(c->valid() == (it != then.begin()));
            while (c->valid()) {
                --it;
                REQUIRE(c->key() == it->first);
                REQUIRE(c->val() == it->second);
                c->prev();
                REQUIRE(c->valid() == (it != then.begin()));
            }
        }
    }
}

inline void expect_conforming(const std::function<std::unique_ptr<kv>()>& make) {
    expect_batches_are_whole(*make());
    expect_snapshots_stay(*make());
    expect_cursor_order(*make());
    for (unsigned seed = 1; seed <= 10; ++seed) expect_equals_model(*make(), seed);
}

}  // namespace tributary::testing
