/// Replicas that are removed, and what they leave behind.
#include "tributary/store/commit_store.hpp"
#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "store/replica_support.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

std::size_t records_of(const kv& db) {
    std::size_t n = 0;
    const auto at = db.cursor();
    for (at->seek({}); at->valid(); at->next()) ++n;
    return n;
}

void sweep_all(commit_store& store) {
    const auto any = [](bytes_view, bytes_view) { return true; };
    while (store.sweep(7, any)) store.flush();
}

}  // namespace

TEST_CASE("commit_store: a removed replica is gone, and swept in steps", "[store]") {
    world w;
    const crdt_handle other = w.store.add(sign(genesis_of(w.bob), w.bob), "others");
    w.store.append(other, w.bob, small_ops(1), 1);
    w.store.flush();
    const std::size_t before = records_of(*w.db);
    for (int i = 0; i < 40; ++i) w.append(i);
    w.store.put_mark(w.handle, "source", bytes("12"));
    w.store.flush();

    w.store.remove(w.handle);
    CHECK(w.store.list() == std::vector{other});
    CHECK_FALSE(w.store.find_name("tweets"));
    CHECK_THROWS_AS(w.store.state(w.handle), error);
    w.store.flush();

    // Killed in the middle of it, and opened again.
    const auto any = [](bytes_view, bytes_view) { return true; };
    CHECK(w.store.sweep(7, any));
    w.store.flush();
    commit_store again(*w.db);
    CHECK(again.list() == std::vector{other});
    // The name and the CRDT may come back at once, under records of their own.
    const crdt_handle back = again.add(w.genesis, "tweets");
    CHECK(back > w.handle);
    CHECK(again.find_id(id_of_genesis(w.genesis.record)) == back);
    again.append(back, w.ann, small_ops(1), 1);
    again.flush();
    sweep_all(again);
    CHECK(problems(again, back).empty());
    CHECK(problems(again, other).empty());
    again.remove(back);
    again.flush();
    sweep_all(again);
    CHECK(records_of(*w.db) == before - 1);  // but for the state of "tweets"
    CHECK_FALSE(again.sweep(7, any));
}

TEST_CASE("commit_store: a removal that could not be written did not happen", "[store]") {
    world w;
    w.append(1);
    w.store.flush();
    w.db->fail_at(1, errc::no_space);
    w.store.remove(w.handle);
    CHECK_THROWS_AS(w.store.flush(), error);
    CHECK(w.store.list() == std::vector{w.handle});
    CHECK(problems(w.store, w.handle).empty());
}
