/// The bytes of a store on disk are a promise: what version 1 wrote is read for ever.

#include <catch2/catch.hpp>

#include "store/forge.hpp"
#include <fstream>
#include <sstream>

using namespace tributary;
using namespace tributary::test;

namespace {

/// As it is written now, and as it was before authorities were sets of facts.
constexpr const char *fixture_path = TRIBUTARY_FIXTURES "/crdt/store_1.txt",
                     *early_path = TRIBUTARY_FIXTURES "/crdt/store_1_early.txt";

/// One line a key: key and value in hexadecimal.
std::string dump(const kv& db) {
    std::string text;
    const auto at = db.cursor();
    for (at->seek(""); at->valid(); at->next())
        text += to_hex(at->key()) + " " + to_hex(at->val()) + "\n";
    return text;
}

std::string read_fixture(const char* path = fixture_path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Something of everything that has a key: a grant, a fork, a merge, an equivocation, a revocation,
/// commits unsigned and uncounted, a mark, a commit of another genesis.
void fill(commit_store& store) {
    const identity ann = person(1), bob = person(2);
    const signed_genesis g = sign(genesis_of(ann), ann);
    const crdt_handle h = store.add(g, "tweets");
    forge f(id_of_genesis(g.record));
    f.add(ann, {}, grant_ext(bob.key(), "bob"));
    f.add(bob, {0});
    forge twin = f;
    f.add(bob, {1});
    f.add(bob, {2});
    f.add(ann, {1});
    f.add(ann, {4, 2});
    f.add(ann, {5}, revocation_ext(bob.key(), 2));
    std::vector<commit> chunk = f.all();
    chunk[1].sig.reset();
    chunk.push_back(twin.at(twin.add(bob, {1}, make_map({{1, "twin"}}))));
    store.ingest(h, chunk);
    store.put_mark(h, "source", bytes("42"));

    const crdt_handle forked = store.add(sign(genesis_of(bob, "fork"), bob), "fork");
    store.ingest(forked, std::vector{f.at(0)});
    store.append(forked, bob, small_ops(1), 1, std::vector{f.id(0)});
    store.flush();
}

}  // namespace

TEST_CASE("commit_store: a store of format 1 is written as ever", "[store]") {
    const auto db = make_memory_kv();
    commit_store store(*db);
    fill(store);
    CHECK(dump(*db) == read_fixture());
}

TEST_CASE("commit_store: a store of format 1 is read", "[store]") {
    const char* path = GENERATE(fixture_path, early_path);
    INFO(path);
    const auto db = make_memory_kv();
    kv_batch b;
    std::istringstream in(read_fixture(path));
    for (std::string key, val; in >> key >> val;) b.put(from_hex(key), from_hex(val));
    db->write(b, true);
    commit_store store(*db);
    const auto h = *store.find_name("tweets");
    CHECK(problems(store, h).empty());
    CHECK(problems(store, *store.find_name("fork")).empty());
    const crdt_state s = store.state(h);
    CHECK(s.end.seq == 8);
    CHECK(s.heads.size() == 2);
    CHECK(s.linear_length == 6);
    CHECK(store.tip_nodes(h).size() == 3);
    CHECK(store.equivocations(h).size() == 1);
    CHECK(store.mark(h, "source") == bytes("42"));
    CHECK(store.author_name(h, person(2).key()) == "bob");
    CHECK(store.linear_at(h, 3).mainline == false);

    const auto fresh = make_memory_kv();
    commit_store again(*fresh);
    fill(again);
    CHECK(view_of(again, 1) == view_of(store, 1));
}
