#include "tributary/store/commit_store.hpp"

#include <catch2/catch.hpp>

#include "store/replica_support.hpp"

using namespace tributary;
using namespace tributary::test;

TEST_CASE("commit_store: commits are read back as they were appended, before and after the flush",
          "[store]") {
    world w;
    std::vector<commit_id> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(w.append(i));
    const auto check = [&] {
        const crdt_state s = w.store.state(w.handle);
        CHECK(s.name == "tweets");
        CHECK(s.heads == std::vector{ids.back()});
        CHECK(s.current == ids.back());
        CHECK(s.end.seq == 3);
        CHECK(s.ops == 3);
        CHECK(s.linear_length == 3);
        for (node n = 1; n <= 3; ++n) {
            const arrival_entry e = w.store.entry(w.handle, n);
            CHECK(e.id == ids[n - 1]);
            CHECK(e.sig);
            CHECK(e.linearized);
            CHECK(decode_header(e.header).seq == n);
            CHECK(w.store.find(w.handle, e.id) == n);
            CHECK(w.store.is_valid(w.handle, {n, e.digest}));
            CHECK_FALSE(w.store.is_valid(w.handle, {n + 1, e.digest}));
            const auto ops = split_body_copy(w.store.body(w.handle, n));
            CHECK(ops == small_ops(static_cast<std::int64_t>(n) - 1));
            CHECK(w.store.linear_at(w.handle, n - 1).number == n);
            CHECK(w.store.linear_at(w.handle, n - 1).mainline);
            CHECK(w.store.linear_position(w.handle, n) == n - 1);
        }
        CHECK(w.store.is_valid(w.handle, {}));
        CHECK(w.store.graph(w.handle).parents(3) == std::vector<node>{2});
        CHECK(w.store.graph(w.handle).parents(1).empty());
        CHECK(problems(w.store, w.handle).empty());
    };
    check();
    CHECK(w.store.dirty());
    w.store.flush();
    CHECK_FALSE(w.store.dirty());
    check();
}

TEST_CASE("commit_store: names and ids are unique, and found", "[store]") {
    world w;
    CHECK(w.store.find_name("tweets") == w.handle);
    CHECK_FALSE(w.store.find_name("others"));
    CHECK(w.store.find_id(id_of_genesis(w.genesis.record)) == w.handle);
    CHECK(code_of([&] { w.store.add(w.genesis, "again"); }) == errc::exists);
    const auto other = sign(genesis_of(w.bob, "other"), w.bob);
    CHECK(code_of([&] { w.store.add(other, "tweets"); }) == errc::exists);
    CHECK(code_of([&] { w.store.add(other, ""); }) == errc::misuse);
    const crdt_handle second = w.store.add(other, "others");
    CHECK(w.store.list() == std::vector{w.handle, second});
    CHECK(code_of([&] { w.store.rename(second, "tweets"); }) == errc::exists);
    w.store.rename(second, "mine");
    CHECK(w.store.find_name("mine") == second);
    CHECK(w.store.genesis_of(second).name == "other");
    signed_genesis forged = sign(genesis_of(person(9), "x"), person(9));
    forged.sig.raw[0] ^= 1;
    CHECK(code_of([&] { w.store.add(forged, "forged"); }) == errc::unauthorized);
}

TEST_CASE("commit_store: a scan reads on over what is not flushed yet", "[store]") {
    world w;
    for (int i = 0; i < 5; ++i) w.append(i);
    w.store.flush();
    for (int i = 5; i < 8; ++i) w.append(i);
    std::vector<node> seen;
    w.store.scan(w.handle, 3, [&](const arrival_entry& e, bytes_view body) {
        CHECK(split_body_copy(body) == small_ops(static_cast<std::int64_t>(e.number) - 1));
        seen.push_back(e.number);
        return e.number < 7;
    });
    CHECK(seen == std::vector<node>{3, 4, 5, 6, 7});
    w.store.scan(w.handle, 9, [&](const arrival_entry&, bytes_view) {
        FAIL("there is no ninth");
        return false;
    });
}

TEST_CASE("commit_store: marks go down with the commits", "[store]") {
    world w;
    w.store.put_mark(w.handle, "source/a", bytes("1"));
    w.store.put_mark(w.handle, "source/b", bytes("2"));
    w.store.flush();
    w.store.put_mark(w.handle, "source/b", std::nullopt);
    w.store.put_mark(w.handle, "source/c", bytes("3"));
    w.store.put_mark(w.handle, "zebra", bytes("4"));
    using pairs = std::vector<std::pair<std::string, bytes>>;
    CHECK(w.store.marks(w.handle, "source/") == pairs{{"source/a", "1"}, {"source/c", "3"}});
    CHECK(w.store.mark(w.handle, "source/a") == bytes("1"));
    CHECK_FALSE(w.store.mark(w.handle, "source/b"));
    w.store.flush();
    CHECK(w.store.marks(w.handle, "source/") == pairs{{"source/a", "1"}, {"source/c", "3"}});
    CHECK(w.store.marks(w.handle, "").size() == 3);
}

TEST_CASE("commit_store: grants name authors and are part of what a commit was made under",
          "[store]") {
    world w;
    CHECK(code_of([&] { w.append_as(w.bob, 1); }) == errc::unauthorized);
    w.append(1);
    w.grant(w.bob, "bob");
    w.append_as(w.bob, 2);
    CHECK(w.store.author_name(w.handle, w.bob.key()) == "bob");
    CHECK_FALSE(w.store.author_name(w.handle, w.ann.key()));
    CHECK(w.store.authority_at(w.handle, 1)->facts().empty());
    CHECK(w.store.authority_at(w.handle, 3)->members().at(w.bob.key()).granted);
    w.store.flush();
    commit_store reopened(*w.db);
    CHECK(reopened.author_name(w.handle, w.bob.key()) == "bob");
}
