/// Turns: reads of durable state, shared syncs, failed flushes.
#include "tributary/peer/node.hpp"

#include "tributary/peer/node_stage.hpp"
#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

struct memory_node {
    explicit memory_node(std::unique_ptr<memory_kv> made = make_memory_kv())
        : disk(*made), node(std::move(made), identity::generate()) {}
    memory_kv& disk;
    peer_node node;
    node_stage s{node};
};

}  // namespace

TEST_CASE("node: writers that wait together share a write", "[peer]") {
    memory_node n;
    n.s.create("notes");
    // While the store thread is held up, the writers gather.
    std::promise<void> go;
    auto held = std::async(std::launch::async,
                           [&] { n.node.read([&](commit_store&) { go.get_future().wait(); }); });
    std::vector<std::future<commit_id>> writers;
    for (int i = 0; i < 8; ++i)
        writers.push_back(
            std::async(std::launch::async, [&] { return n.s.transact("notes", {note("a")}, {}); }));
    std::this_thread::sleep_for(100ms);
    const std::size_t before = n.disk.write_count();
    go.set_value();
    held.get();
    for (auto& w : writers) w.get();
    CHECK(n.disk.write_count() - before <= 2);
    CHECK(n.s.summary("notes").commits == 8);
}

TEST_CASE("node: a full disk fails the writes of that turn and no others", "[peer]") {
    memory_node n;
    n.s.create("notes");
    n.s.transact("notes", {note("before")}, {});
    n.disk.fail_at(1, errc::no_space);
    try {
        n.s.transact("notes", {note("lost")}, {{"k", "v"}});
        FAIL("acknowledged without being on disk");
    } catch (const error& e) {
        CHECK(e.code() == errc::no_space);
    }
    CHECK(n.s.summary("notes").commits == 1);
    CHECK_FALSE(n.s.get_mark("notes", "k"));
    n.s.transact("notes", {note("after")}, {});
    CHECK(n.s.summary("notes").commits == 2);
    CHECK(n.s.summary("notes").linear_length == 2);
}

TEST_CASE("node: a sync into a full disk fails, and goes through when there is space", "[peer]") {
    memory_node server, client;
    server.s.create("notes");
    add_notes(server.s, "notes", 5);
    serving at(server.s);
    client.s.clone(at.address() + "/notes", "", {});
    add_notes(server.s, "notes", 5);
    client.disk.fail_at(1, errc::no_space);
    try {
        client.s.connect("notes", "", {});
    } catch (const error& e) {
        CHECK(
            (e.code() == errc::no_space || e.code() == errc::unavailable || e.code() == errc::io));
    }
    client.disk.fail_at(0);
    client.s.connect("notes", "", {});
    CHECK(client.s.summary("notes").heads == server.s.summary("notes").heads);
}

TEST_CASE("node: what a call throws reaches its caller and stops nothing", "[peer]") {
    memory_node n;
    CHECK_THROWS_AS(n.node.read([](commit_store&) { throw std::runtime_error("mine"); }),
                    std::runtime_error);
    CHECK_THROWS_AS(n.node.write([](commit_store&, hub&) { throw error(errc::misuse, "mine"); }),
                    error);
    CHECK(n.node.read([](commit_store&) { return 7; }) == 7);
}

TEST_CASE("node: a damaged identity is named, not replaced", "[peer]") {
    temporary_directory dir;
    const identity made = open_identity(dir.path());
    CHECK(open_identity(dir.path()).key() == made.key());
    std::filesystem::resize_file(dir.path() / "identity", 10);
    CHECK_THROWS_WITH(open_identity(dir.path()), Catch::Contains("damaged"));
}
