/// Turns: reads of durable state, shared syncs, failed flushes.
#include "tributary/peer/node.hpp"

#include "tributary/peer/backoff.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "peer/certificate.hpp"
#include "peer/raw_socket.hpp"
#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

struct memory_node {
    explicit memory_node(node_options options = {},
                         std::unique_ptr<memory_kv> made = make_memory_kv())
        : disk(*made), node(std::move(made), identity::generate(), options) {}
    memory_kv& disk;
    peer_node node;
    node_stage s{node};
};

/// A proxy that hands frames on: a TLS server to who dials it, with a certificate of its own.
class proxy {
public:
    proxy(const tls_files& shown, peer_url to, tls_trust trust) {
        websocket_handlers on;
        on.opened = [=, this](connection_id c, bool accepted, const bytes&) {
            if (!accepted) return;
            shell_->admit(c);
            const connection_id beyond = shell_->next_connection();
            other_[c] = beyond;
            other_[beyond] = c;
            shell_->dial(beyond, to, trust);
        };
        on.received = [this](connection_id c, bytes frame) {
            shell_->consumed({{c, frame.size()}});
            shell_->send({{other_.at(c), std::move(frame)}}, {});
        };
        on.written = [](connection_id, std::size_t, bool) {};
        on.closed = [this](connection_id c, errc, const std::string&) {
            if (other_.contains(c)) shell_->send({}, {other_.at(c)});
        };
        on.http = [](const std::string&, const std::function<void(http_answer)>& reply) {
            reply({});
        };
        shell_ = std::make_unique<websocket_shell>(std::move(on));
        address_ = shell_->listen(parse_listen("127.0.0.1:0"), shown).address;
    }
    const std::string& address() const { return address_; }

private:
    std::map<connection_id, connection_id> other_;  // of the shell's thread
    std::string address_;
    std::unique_ptr<websocket_shell> shell_;
};

/// Waits for the end of a connection; why it came.
hub_event end_of(dialog& d) {
    for (;;) {
        const auto event = d.next(30s);
        REQUIRE(event);
        if (event->what == hub_event::kind::closed) return *event;
    }
}

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

TEST_CASE("node: one between two peers that ends TLS for both is found out", "[peer]") {
    const certificate ours, theirs;
    memory_node server, client;
    server.s.create("notes", {});
    add_notes(server.s, "notes", 3);
    const tls_trust believed{{}, tls_pin(theirs.files.certificate)};
    SECTION("by both, whatever certificate he has") {
        const auto at = server.node.listen(parse_listen("127.0.0.1:0"), ours.files);
        proxy between(
            theirs.files, parse_peer_url(at.address), {{}, tls_pin(ours.files.certificate)});
        CHECK_THROWS_WITH(client.s.clone(between.address() + "/notes", "", {.trust = believed}),
                          Catch::Contains("somebody between"));
        CHECK(client.s.list().empty());
    }
    SECTION("but a proxy that reaches the peer without TLS is none of them") {
        const auto at = server.node.listen(parse_listen("127.0.0.1:0"));
        proxy before(theirs.files, parse_peer_url(at.address), {});
        client.s.clone(before.address() + "/notes", "", {.trust = believed});
        CHECK(client.s.summary("notes").commits == 3);
        // What was believed is remembered with the URL.
        add_notes(server.s, "notes", 1);
        client.s.connect("notes", "", {});
        CHECK(client.s.summary("notes").commits == 4);
    }
}

TEST_CASE("node: silence ends a connection at both ends, and having nothing to say is none",
          "[peer]") {
    node_options quick;
    quick.hub.idle_ms = 3000;
    memory_node server(quick), client(quick);
    const auto at = server.node.listen(parse_listen("127.0.0.1:0"));
    const auto connections = [](memory_node& n) {
        return n.node.write([](commit_store&, hub& h) { return h.connection_count(); });
    };
    raw::wire wire(at.address);
    auto [c, cut] = client.node.dial(parse_peer_url(wire.address()), {}, false);
    auto [d, idle] = client.node.dial(parse_peer_url(at.address), {}, false);
    REQUIRE(cut->next(10s)->what == hub_event::kind::authenticated);
    REQUIRE(idle->next(10s)->what == hub_event::kind::authenticated);
    CHECK_FALSE(cut->next(4000ms));  // longer than silence may last

    wire.die();
    const hub_event end = end_of(*cut);
    CHECK(end.code == errc::unavailable);
    CHECK_THAT(end.reason, Catch::Contains("silent"));
    while (connections(server) > 1) std::this_thread::sleep_for(10ms);
    CHECK(connections(client) == 1);
    CHECK_FALSE(idle->next(0ms));
    client.node.hang_up(c);
    client.node.hang_up(d);
}

TEST_CASE("backoff: doubles up to half a minute, apart from others, and begins anew", "[peer]") {
    backoff one(1), other(2);
    bool apart = false;
    double expected = 500;
    for (int i = 0; i < 100; ++i) {
        const auto a = one.next().count(), b = other.next().count();
        for (const auto ms : {a, b}) {
            CHECK(static_cast<double>(ms) >= expected * 0.75 - 1);
            CHECK(static_cast<double>(ms) <= expected * 1.25);
        }
        apart = apart || a != b;
        expected = std::min(expected * 2, 30'000.0);
    }
    CHECK(apart);
    one.reset();
    CHECK(one.next().count() <= 625);
}

TEST_CASE("node: commits that were compressed arrive as they were", "[peer]") {
    memory_node server, client;
    server.s.create("notes", {});
    for (int i = 0; i < 20; ++i)
        server.s.transact("notes", {note(std::string(20'000, 'a') + std::to_string(i))}, {});
    const bool agreed = GENERATE(true, false);
    const auto at = server.node.listen(parse_listen("127.0.0.1:0"), {}, agreed);
    client.s.clone(at.address + "/notes", "", {.compress = true});
    CHECK(client.s.summary("notes").heads == server.s.summary("notes").heads);
}
