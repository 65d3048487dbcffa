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
