#include <catch2/catch.hpp>

#include "tributary/store/kept_sketch.hpp"
#include "tributary/store/memory_kv.hpp"

#include "store/replica_support.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

/// Cells made from all ids up to `end`.
std::vector<sketch::cell> made_anew(
    const commit_store& store, crdt_handle h, node end, std::uint64_t first, std::size_t count) {
    const sketch::mapping m(store.state(h).id);
    std::vector<sketch::cell> cells(count);
    for (node n = 1; n <= end; ++n)
        sketch::add(m, sketch::short_of(store.entry(h, n).id), cells, first);
    return cells;
}

}  // namespace

TEST_CASE("commit_store: the cells kept are those of the log, whenever and of whatever part",
          "[store]") {
    world w;
    const auto check = [&](const commit_store& store) {
        const node end = store.state(w.handle).end.seq;
        for (const node part : {end, end - end / 10, node{0}}) {
            CHECK(store.cells(w.handle, part, 0, 200) == made_anew(store, w.handle, part, 0, 200));
            CHECK(store.cells(w.handle, part, 8000, 300) ==
                  made_anew(store, w.handle, part, 8000, 300));
        }
    };
    for (const int more : {10, 8300, 30}) {
        for (int i = 0; i < more; ++i) w.append(i);
        check(w.store);
        w.store.flush();
        check(w.store);
        // As another process finds it: with what was stored, and what came after.
        check(commit_store(*w.db));
    }
    CHECK(problems(w.store, w.handle).empty());
}

TEST_CASE("kept_sketch: cells on disk only are those of the log, and cost what came since",
          "[store]") {
    const crdt_id crdt = hash_as<crdt_id>("test", "crdt");
    const auto id_of = [](node n) { return hash_as<commit_id>("test", std::to_string(n)); };
    node read = 0;
    const auto each_id = [&](node first, node last, const auto& visit) {
        for (; first <= last; ++first, ++read) visit(id_of(first));
    };
    constexpr std::uint64_t from = kept_sketch::cells_stored - 5000;
    const auto db = make_memory_kv();
    staging to(*db);
    std::vector<sketch::cell> expected(5000);
    node end = 0;
    for (const node now : {50000, 140000, 150000, 290000}) {
        const sketch::mapping m(crdt);
        for (; end < now; ++end) sketch::add(m, sketch::short_of(id_of(end + 1)), expected, from);
        kept_sketch(to, 1, crdt, each_id).save(now);
        to.write();
        read = 0;
        kept_sketch again(to, 1, crdt, each_id);
        CHECK(again.cells(now, now, from, 5000) == expected);
        CHECK(read < (1u << 17) + 8192);
        // As they were before what is in them already.
        again.cells(now - 1000, now, from, 5000);
        auto before = again.cells(now - 1, now, from, 5000);
        sketch::add(m, sketch::short_of(id_of(now)), before, from);
        CHECK(before == expected);
    }
}

TEST_CASE("commit_store: a failed flush takes its commits out of the cells", "[store]") {
    world w;
    for (int i = 0; i < 20; ++i) w.append(i);
    w.store.flush();
    const auto before = w.store.cells(w.handle, 20, 0, 100);
    w.append(20);
    CHECK(w.store.cells(w.handle, 21, 0, 100) != before);
    w.db->fail_at(1);
    CHECK_THROWS_AS(w.store.flush(), error);
    CHECK(w.store.cells(w.handle, 20, 0, 100) == before);
}

TEST_CASE("commit_store: commits are found by the beginning of their ids", "[store]") {
    world w;
    std::vector<sketch::short_id> ids;
    for (int i = 0; i < 50; ++i) {
        const commit_id id = w.append(i);
        if (i % 10 == 3) ids.push_back(sketch::short_of(id));
        if (i == 30) w.store.flush();
    }
    ids.push_back(12345);
    CHECK(w.store.find_short(w.handle, ids) == std::vector<node>{4, 14, 24, 34, 44});
}

TEST_CASE("commit_store: verify says that the cells kept are not those of the log", "[store]") {
    world w;
    for (int i = 0; i < 8300; ++i) w.append(i);
    w.store.flush();
    kv_batch change;
    const auto at = w.db->cursor();
    at->seek("C");
    REQUIRE(at->key().starts_with("C"));
    bytes cells(at->val());
    cells[100] = static_cast<char>(cells[100] ^ 1);
    change.put(bytes(at->key()), cells);
    w.db->write(change, true);
    CHECK(problems(commit_store(*w.db), w.handle) ==
          std::vector<std::string>{"the sketch kept is not that of the log"});
}
