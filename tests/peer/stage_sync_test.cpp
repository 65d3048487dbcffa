/// Stages that replicate over real sockets.
#include "tributary/peer/message.hpp"
#include "tributary/peer/websocket.hpp"

#include "peer/raw_socket.hpp"
#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

struct pair_of_peers {
    temporary_directory server_dir, client_dir;
    std::unique_ptr<stage> server = stage::open(server_dir.path()),
                           client = stage::open(client_dir.path());

    pair_of_peers() { server->create("notes", {"server"}); }
    bool same(const std::string& name = "notes") {
        const auto a = server->summary(name), b = client->summary(name);
        return a.heads == b.heads && a.commits == b.commits;
    }
};

/// A WebSocket server that greets with `frame` and listens no more.
class strange_peer {
public:
    explicit strange_peer(bytes frame) {
        websocket_handlers on;
        on.opened = [this, frame = std::move(frame)](connection_id c, bool, const bytes&) {
            shell_->send({{c, frame}}, {});
        };
        on.received = [](connection_id, const bytes&) {};
        on.written = [](connection_id, std::size_t, bool) {};
        on.closed = [](connection_id, errc, const std::string&) {};
        on.http = [](const std::string&, const std::function<void(http_answer)>& reply) {
            reply({});
        };
        shell_ = std::make_unique<websocket_shell>(std::move(on));
        address_ = shell_->listen(parse_listen("127.0.0.1:0")).address;
    }
    const std::string& address() const { return address_; }

private:
    std::unique_ptr<websocket_shell> shell_;
    std::string address_;
};

errc code_of_sync(stage& s, const std::string& url) {
    try {
        s.connect("notes", url);
    } catch (const error& e) {
        CHECK(std::string(e.what()).size() > 20);
        return e.code();
    }
    FAIL("synced with a stranger");
    return {};
}

}  // namespace

TEST_CASE("sync: peers that are none or of another time are told apart", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    strange_peer chat("hello, is there anybody?");
    CHECK(code_of_sync(*s, chat.address()) == errc::bad_input);
    wire::hello future;
    future.version_min = 98;
    future.version_max = 99;
    strange_peer newer(wire::encode(future));
    CHECK(code_of_sync(*s, newer.address()) == errc::newer_version);
    raw::server web("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    CHECK(code_of_sync(*s, web.address()) == errc::bad_input);
    CHECK(code_of_sync(*s, "ws://127.0.0.1:1") == errc::unavailable);
}

TEST_CASE("sync: clone, then both directions", "[peer]") {
    pair_of_peers p;
    add_notes(*p.server, "notes", 30);
    p.server->grant("notes", p.client->key(), "client");
    serving at(*p.server);

    const auto offers = stage::offers(at.address());
    REQUIRE(offers.size() == 1);
    CHECK(offers[0].name == "notes");
    CHECK(offers[0].commits == 32);

    const sync_report cloned = p.client->clone(at.address() + "/notes", "copy");
    CHECK(cloned.commits_in == 32);
    CHECK(cloned.heads == p.server->summary("notes").heads);
    CHECK(p.client->summary("copy").ops == 30);

    add_notes(*p.client, "copy", 3);
    const sync_report pushed = p.client->connect("copy", "");
    CHECK(pushed.commits_out == 3);
    CHECK(pushed.commits_in == 0);
    CHECK(p.server->summary("notes").heads == p.client->summary("copy").heads);

    add_notes(*p.server, "notes", 4);
    const sync_report fetched = p.client->connect("copy", "");
    CHECK(fetched.commits_in == 4);
    CHECK(fetched.round_trips == 1);
    CHECK(fetched.control_bytes < 500);
    CHECK(p.client->summary("copy").heads == p.server->summary("notes").heads);
    CHECK(p.client->connect("copy", at.address()).commits_in == 0);
}

TEST_CASE("sync: several CRDTs over one connection, each with its cost and its failure", "[peer]") {
    pair_of_peers p;
    p.server->create("photos");
    p.server->create("secret", {.public_read = false});
    p.server->grant("secret", p.client->key(), "client");
    serving at(*p.server);
    for (const char* name : {"notes", "photos", "secret"})
        p.client->clone(at.address() + "/" + name, "");
    p.client->create("mine");
    p.server->revoke("secret", p.client->key());
    add_notes(*p.server, "notes", 3);
    add_notes(*p.server, "photos", 2);

    const auto named = [](const joint_report& all, const std::string& name) {
        const auto is = [&](const synced_crdt& c) { return c.name == name; };
        const auto found = std::find_if(all.crdts.begin(), all.crdts.end(), is);
        REQUIRE(found != all.crdts.end());
        return *found;
    };
    const joint_report all =
        p.client->sync({"notes", "mine", "photos", "secret", "notes", "none"}, at.address());
    REQUIRE(all.crdts.size() == 5);
    CHECK(named(all, "notes").report.commits_in == 3);
    CHECK(named(all, "photos").report.commits_in == 2);
    CHECK(named(all, "photos").report.heads == p.server->summary("photos").heads);
    CHECK(named(all, "mine").failure == errc::not_found);
    CHECK(named(all, "secret").failure == errc::not_found);
    CHECK(named(all, "none").failure == errc::not_found);
    CHECK(all.total.commits_in == 5);
    CHECK(all.total.round_trips == 1);
    std::uint64_t payload = 0, control = 0;
    for (const synced_crdt& c : all.crdts) {
        if (!c.failure) CHECK(c.report.round_trips == 1);
        payload += c.report.payload_bytes;
        control += c.report.control_bytes;
    }
    CHECK(payload == all.total.payload_bytes);
    CHECK(control <= all.total.control_bytes);
    CHECK_FALSE(named(all, "notes").failure);

    // All that have a peer; the one that is only here is left out.
    add_notes(*p.server, "photos", 1);
    const joint_report again = p.client->sync({}, "");
    CHECK(again.crdts.size() == 3);
    CHECK(again.total.commits_in == 1);
    CHECK_THROWS_AS(p.client->connect("mine", at.address()), error);
}

TEST_CASE("sync: a peer that cannot be reached is said of each CRDT", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    s->create("photos");
    const joint_report all = s->sync({}, "ws://127.0.0.1:1");
    REQUIRE(all.crdts.size() == 2);
    for (const synced_crdt& c : all.crdts) CHECK(c.failure == errc::unavailable);
    CHECK_THROWS_WITH(s->sync({}, ""), Catch::Contains("give the URL"));
}

TEST_CASE("sync: a clone by address, and one that was begun before", "[peer]") {
    pair_of_peers p;
    add_notes(*p.server, "notes", 3);
    serving at(*p.server);
    const std::string address = address_of(p.server->summary("notes").id);
    CHECK(p.client->clone(at.address() + "/" + address, "").commits_in == 4);
    CHECK(p.client->summary("notes").commits == 4);
    add_notes(*p.server, "notes", 1);
    CHECK(p.client->clone(at.address() + "/notes", "").commits_in == 1);
    CHECK(p.same());
}

TEST_CASE("sync: a clone that cannot be says why", "[peer]") {
    pair_of_peers p;
    serving at(*p.server);
    p.client->create("taken");
    CHECK_THROWS_WITH(p.client->clone(at.address() + "/other", ""),
                      Catch::Contains("it offers: notes"));
    CHECK_THROWS_WITH(p.client->clone(at.address(), ""), Catch::Contains("/NAME"));
    CHECK_THROWS_WITH(p.client->clone(at.address() + "/notes", "taken"),
                      Catch::Contains("another CRDT"));
    CHECK_THROWS_WITH(p.client->clone("http://x/notes", ""), Catch::Contains("ws://HOST:PORT"));
    CHECK_THROWS_WITH(p.client->connect("taken", ""), Catch::Contains("give the URL"));
    CHECK_THROWS_WITH(p.client->connect("taken", "ws://127.0.0.1:1"), Catch::Contains("refused"));
    CHECK_THROWS_AS(p.client->connect("taken", at.address()), error);
}

TEST_CASE("sync: commits without a grant are refused and stay where they are", "[peer]") {
    pair_of_peers p;
    serving at(*p.server);
    p.client->clone(at.address() + "/notes", "");
    try {
        p.client->transact("notes", {note("not mine to write")});
        FAIL("written without a grant");
    } catch (const error& e) {
        CHECK(e.code() == errc::unauthorized);
    }
}

TEST_CASE("sync: followers get what is written at once, and pass it on", "[peer]") {
    pair_of_peers p;
    temporary_directory last_dir;
    auto last = stage::open(last_dir.path());
    serving at(*p.server);
    p.client->clone(at.address() + "/notes", "");
    serving relay(*p.client);
    last->clone(relay.address() + "/notes", "");

    following first_hop(*p.client, "notes", at.address()),
        second_hop(*last, "notes", relay.address());
    REQUIRE(
        eventually([&] { return first_hop.state() == "live" && second_hop.state() == "live"; }));
    for (int i = 1; i <= 5; ++i) {
        p.server->transact("notes", {note("live")});
        REQUIRE(eventually(
            [&] { return last->summary("notes").heads == p.server->summary("notes").heads; }, 5s));
    }
}

TEST_CASE("sync: a follower finds a server that was restarted", "[peer]") {
    pair_of_peers p;
    std::string listen = "127.0.0.1:0";
    std::optional<serving> at(std::in_place, *p.server, listen);
    listen = at->host_port();
    p.client->clone(at->address() + "/notes", "");
    following follow(*p.client, "notes", at->address());
    REQUIRE(eventually([&] { return follow.state() == "live"; }));

    at.reset();
    REQUIRE(eventually([&] { return follow.waiting(); }));
    p.server.reset();
    p.server = stage::open(p.server_dir.path());
    add_notes(*p.server, "notes", 3);
    at.emplace(*p.server, listen);
    REQUIRE(eventually([&] { return p.same(); }));
    CHECK(eventually([&] { return follow.state() == "live"; }));
}

TEST_CASE("sync: strangers on the port disturb nobody, health and metrics answer", "[peer]") {
    pair_of_peers p;
    add_notes(*p.server, "notes", 2);
    serving at(*p.server);
    raw::exchange(at.address(), "\x01\x02garbage\r\n\r\n");
    raw::exchange(at.address(), "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string health =
        raw::exchange(at.address(), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(health, Catch::Contains("200 OK") && Catch::Contains("{\"status\":\"ok\"}"));
    const std::string metrics =
        raw::exchange(at.address(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(metrics,
               Catch::Contains("tributary_commits{name=\"notes\"") && Catch::Contains("} 3\n"));
    p.client->clone(at.address() + "/notes", "");
    CHECK(p.same());
}

TEST_CASE("sync: many at a time", "[peer]") {
    pair_of_peers p;
    add_notes(*p.server, "notes", 20);
    serving at(*p.server);
    std::vector<std::future<std::uint64_t>> clones;
    std::vector<temporary_directory> dirs(4);
    for (auto& dir : dirs)
        clones.push_back(std::async(std::launch::async, [&] {
            return stage::open(dir.path())->clone(at.address() + "/notes", "").commits_in;
        }));
    add_notes(*p.server, "notes", 20);
    for (auto& c : clones) CHECK(c.get() >= 21);
}
