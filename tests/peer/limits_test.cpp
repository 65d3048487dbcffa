/// What peers may take, and what happens when they take more.
#include "tributary/peer/limits.hpp"

#include "tributary/peer/memory_share.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"
#include "peer/raw_socket.hpp"
#include "peer/stage_support.hpp"
#include <fstream>

using namespace tributary;
using namespace tributary::testing;

namespace {

std::uint64_t met(const replica_peer& p, const std::string& limit) {
    return p.talk->limits_met().at(limit);
}

/// Two replicas of one CRDT that have `ours` and `theirs` commits of their own, and 20 that both
/// have.
struct parted {
    replica_peer one, two;
    wires net;

    parted(hub_options o, int ours, int theirs) : one(1, o), two(2, o) {
        one.create("tweets", one.self);
        two.create("tweets", one.self);
        one.write_many(1, 20, "both ");
        sync(net, two, one);
        for (replica_peer* p : {&one, &two})
            for (const auto& [key, val] : p->store->marks(1, "peer/"))
                p->store->put_mark(1, key, std::nullopt);
        one.write_many(1, ours, "one ");
        two.write_many(1, theirs, "two ");
    }
};

/// A peer that answers to nobody but who is let in.
struct open_node {
    temporary_directory dir;
    std::unique_ptr<peer_node> node;
    std::unique_ptr<node_stage> stage;

    explicit open_node(const node_options& options = {}) {
        node = std::make_unique<peer_node>(dir.path(), options);
        stage = std::make_unique<node_stage>(*node);
        stage->create("notes", {"me"});
    }
    std::string metric(const std::string& line, const std::string& address) {
        const std::string all = raw::exchange(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        const auto at = all.find("\n" + line + " ");
        if (at == all.npos) return "";
        const auto from = at + line.size() + 2;
        return all.substr(from, all.find('\n', from) - from);
    }
};

std::string refusal_of(stage& dialer, const std::string& address) {
    try {
        dialer.clone(address + "/notes", "");
    } catch (const error& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("limits: before authentication a few bytes are taken, for a short time", "[peer]") {
    replica_peer p(1);
    p.talk->accepted(1, 0);
    p.talk->received(1, bytes(5000, 'x'), 0);
    p.talk->accepted(2, 0);
    p.talk->tick(p.options.handshake_ms + 1);
    p.talk->end_turn(0);
    CHECK(p.talk->connection_count() == 0);
    CHECK(met(p, "early-bytes") == 1);
    CHECK(met(p, "handshake-ms") == 1);
}

TEST_CASE("limits: subscriptions of a connection", "[peer]") {
    hub_options o;
    o.subscriptions_max = 1;
    replica_peer server(1, o), client(2);
    wires net;
    server.create("one", server.self);
    server.create("two", client.self);
    net.dial(client, server, {{.remote = "one"}, {.remote = "two"}});
    net.run();
    CHECK(met(server, "subscriptions") == 1);
    CHECK(server.talk->connection_count() == 0);
}

TEST_CASE("limits: a walk and a sketch that are too long end in another way to be up to date",
          "[peer]") {
    hub_options o;
    o.walk_budget = 5;
    o.sketch_cells = 64;
    {
        // One commit on an old one, which came between those that both have.
        parted p(o, 0, 0);
        replica_peer between(3, o);
        between.create("tweets", p.one.self);
        sync(p.net, between, p.one);
        between.write_many(1, 10, "later ");
        sync(p.net, p.two, between);
        p.one.write_on(1, {p.one.store->entry(1, 3).id}, "late");
        p.one.store->flush();
        sync(p.net, between, p.one);
        sync(p.net, p.two, p.one);
        CHECK(p.two.heads() == p.one.heads());
        CHECK(met(p.one, "walk-commits") == 1);
    }
    parted p(o, 200, 200);
    sync(p.net, p.two, p.one);
    CHECK(p.two.heads() == p.one.heads());
    CHECK(met(p.one, "sketch-cells") + met(p.two, "sketch-cells") >= 1);
}

TEST_CASE("limits: sketches and lists of all connections have a budget, and give it back",
          "[peer]") {
    hub_options o;
    o.plan_bytes_max = 1000;
    parted p(o, 100, 100);
    p.net.dial(p.two, p.one, {{.handle = 1}});
    p.net.run();
    CHECK(met(p.one, "plan-bytes") == 1);
    p.net.turn(p.two);
    const hub_event* closed = p.net.last(p.two, hub_event::kind::closed);
    REQUIRE(closed);
    CHECK(closed->code == errc::unavailable);

    memory_budget all{100};
    {
        memory_share a(all), b(all);
        a.set(60);
        CHECK_THROWS_AS(b.set(41), error);
        b.set(40);
        a.set(10);
        b.set(90);
        const memory_share moved(std::move(b));
        CHECK(all.used == 100);
    }
    CHECK(all.used == 0);
}

TEST_CASE("limits: who sends bad input waits longer each time, and is forgiven", "[peer]") {
    ban_list bans({1000, 5000, 60000, 2});
    CHECK(bans.wait_ms("eve", 0) == 0);
    bans.strike("eve", 0);
    CHECK(bans.wait_ms("eve", 0) == 1000);
    CHECK(bans.wait_ms("eve", 1000) == 0);
    CHECK(bans.wait_ms("ann", 0) == 0);
    bans.strike("eve", 2000);
    CHECK(bans.wait_ms("eve", 2000) == 2000);
    for (int i = 0; i < 40; ++i) bans.strike("eve", 4000);
    CHECK(bans.wait_ms("eve", 4000) == 5000);
    bans.strike("bob", 100000);
    CHECK(bans.wait_ms("bob", 100000) == 1000);
    bans.strike("eve", 100000);
    CHECK(bans.wait_ms("eve", 100000) == 1000);
    bans.strike("cid", 100001);
    CHECK(bans.wait_ms("cid", 100001) == 1000);
    ban_list off({.first_ms = 0});
    off.strike("eve", 0);
    CHECK(off.wait_ms("eve", 0) == 0);
}

TEST_CASE("limits: a key that takes more than its share is read from more slowly", "[peer]") {
    const public_key ann = identity_of(1).key(), bob = identity_of(2).key();
    const throttle_options none{0, 0, 0, 0, 0, 0};
    throttle_options of_bytes = none, of_messages = none, of_time = none;
    of_bytes.bytes_s = 1000;
    of_bytes.burst_bytes = 2000;
    throttle t(of_bytes);
    t.opened(1, ann, 1);
    t.opened(2, ann, 1);
    t.opened(3, bob, 1);
    CHECK_FALSE(t.spend(1, 1500, 5, 1));
    CHECK(t.spend(2, 1500, 5, 1));
    CHECK(t.held().contains(2));
    CHECK_FALSE(t.spend(3, 1500, 5, 1));
    CHECK_FALSE(t.spend(99, 1u << 30, 5, 1));
    CHECK(t.due(500).empty());
    CHECK(t.due(1200) == std::vector<connection_id>{2});
    CHECK(t.held().empty());
    CHECK(t.held_total() == 1);
    // Coming back does not help.
    CHECK(t.spend(1, 3000, 5, 1200));
    t.closed(1);
    t.closed(2);
    CHECK(t.opened(4, ann, 1300));
    CHECK(t.held() == std::set<connection_id>{4});

    of_messages.messages_s = 10;
    of_messages.burst_messages = 2;
    throttle chatty(of_messages);
    chatty.opened(1, ann, 1);
    CHECK_FALSE(chatty.spend(1, 1u << 30, 100, 1));
    CHECK_FALSE(chatty.spend(1, 1, 1, 1));
    CHECK(chatty.spend(1, 1, 1, 1));
    CHECK(chatty.due(50).empty());
    CHECK(chatty.due(101).size() == 1);

    of_time.busy_ms_s = 500;
    of_time.burst_busy_ms = 100;
    throttle busy(of_time);
    busy.opened(1, ann, 1);
    CHECK_FALSE(busy.spend(1, 1u << 30, 100, 1));
    CHECK(busy.spend(1, 1, 50, 1));
    CHECK(busy.due(102).size() == 1);
}

TEST_CASE("limits: a key beyond its share is throttled, and gets there", "[peer]") {
    node_options slow;
    slow.share.bytes_s = 100000;
    slow.share.burst_bytes = 20000;
    slow.hub.window_bytes = 50000;
    open_node server(slow);
    serving at(*server.stage);
    temporary_directory dir;
    auto client = stage::open(dir.path());
    client->clone(at.address() + "/notes", "");
    server.stage->grant("notes", client->key(), "ann");
    client->connect("notes", "");
    for (int i = 0; i < 20; ++i) client->transact("notes", {note(std::string(5000, 'x'))});
    {
        following more(*client, "notes", "");
        CHECK(eventually([&] {
            const auto peers = server.stage->peers("notes");
            return !peers.empty() && peers[0].state == link_state::throttled &&
                   peers[0].reason.find("share") != std::string::npos;
        }));
        CHECK(eventually([&] { return server.stage->summary("notes").ops == 20; }));
    }
    CHECK(server.metric("tributary_limit_met_total{limit=\"key-share\"}", at.address()) != "0");
}

TEST_CASE("limits: keys that are denied, or not among those allowed, are told so", "[peer]") {
    open_node server;
    temporary_directory dir;
    auto client = stage::open(dir.path());
    const std::string key = client->key().hex();
    serving at(*server.stage);
    REQUIRE(refusal_of(*client, at.address()).empty());
    const auto say = [&](const char* file, const std::string& text) {
        std::ofstream(server.dir.path() / file) << text;
    };
    const auto refused = [&](const std::string& part) {
        return eventually([&] {
            try {
                client->connect("notes", at.address());
                return part.empty();
            } catch (const error& e) {
                return !part.empty() && std::string(e.what()).find(part) != std::string::npos;
            }
        });
    };
    say("deny", "# not these\n" + key + "  # the laptop\n\n");
    CHECK(refused("list of denied keys"));
    CHECK(refused(key));
    say("deny", "no key at all\n");
    CHECK(refused("list of denied keys"));
    say("deny", "");
    CHECK(refused(""));
    say("allow", identity_of(9).key().hex() + "\n");
    CHECK(refused("list of allowed keys"));
    say("allow", identity_of(9).key().hex() + "\n" + key + "\n");
    CHECK(refused(""));
    say("deny", "12\n");
    CHECK_THROWS_WITH(admission(server.dir.path(), {}),
                      Catch::Contains("deny: line 1: a key is the 64 hexadecimal digits"));
}

TEST_CASE("limits: connections in all and of one address", "[peer]") {
    node_options few;
    few.sockets.accepted_max = 3;
    few.sockets.accepted_per_address_max = 2;
    open_node server(few);
    serving at(*server.stage);
    const int first = raw::connect_to(at.address());
    std::string answer;
    int second = -1;
    CHECK(eventually([&] {
        if (second < 0) second = raw::connect_to(at.address());
        answer = raw::exchange(at.address(), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        return answer.find("503") != std::string::npos;
    }));
    CHECK(answer.find("all the connections it takes of 127.0.0.1") != std::string::npos);
    ::close(first);
    CHECK(eventually([&] {
        const std::string met = server.metric(
            "tributary_limit_met_total{limit=\"connections-per-address\"}", at.address());
        return !met.empty() && met != "0";
    }));
    ::close(second);
}

TEST_CASE("limits: names, and a file of them", "[peer]") {
    const node_options o =
        read_limits("x", "{:connections 7 :frame-bytes 1000000 :idle-ms 5000 :ban-first-ms 0}");
    CHECK(o.sockets.accepted_max == 7);
    CHECK(o.hub.frame_bytes_max == 1000000);
    CHECK(o.sockets.frame_bytes_max == 1000000);
    CHECK(o.hub.idle_ms == 5000);
    CHECK(o.bans.first_ms == 0);
    CHECK(o.hub.subscriptions_max == hub_options().subscriptions_max);
    CHECK_THROWS_WITH(read_limits("x", "{:conections 7}"),
                      Catch::Contains("no limit :conections") && Catch::Contains(":connections"));
    CHECK_THROWS_WITH(read_limits("x", "{:connections -1}"), Catch::Contains("from 0 on"));
    CHECK_THROWS_WITH(read_limits("x", "[7]"), Catch::Contains("expected a map"));
    temporary_directory dir;
    std::ofstream(dir.path() / "limits.edn") << "{:plans 3}";
    CHECK(limits_in(dir.path()).hub.plans_max == 3);
    std::ofstream(dir.path() / "limits.edn") << "{:plans}";
    CHECK_THROWS_WITH(stage::open(dir.path()), Catch::Contains("limits.edn"));
}

TEST_CASE("limits: who has sent bad input is told to wait, and touches nobody else", "[peer]") {
    replica_peer good(1), bad(2), server(3);
    wires net;
    server.create("notes", server.self);
    const connection_id stays = net.dial(good, server, {{.remote = "notes", .live = true}});
    const connection_id goes = net.dial(bad, server, {{.remote = "notes", .live = true}});
    net.run();
    server.talk->received(goes, bytes_view("\x92\x0e garbage"), net.now);
    net.run();
    const hub_event* closed = net.last(server, hub_event::kind::closed);
    REQUIRE(closed);
    CHECK(closed->connection == goes);
    CHECK(closed->is_offence);
    CHECK(closed->proven);
    CHECK(met(server, "bad-input") == 1);
    net.turn(bad);
    CHECK(server.talk->is_open(stays));

    admission bans({}, {.first_ms = 1000});
    bans.strike(bad.self.key(), 0);
    CHECK_NOTHROW(bans.require_welcome(good.self.key(), 0));
    CHECK_THROWS_WITH(bans.require_welcome(bad.self.key(), 0), Catch::Contains("again in 1 s"));
    CHECK_NOTHROW(bans.require_welcome(bad.self.key(), 1000));
    server.talk->set_gate([&](const public_key& key) { bans.require_welcome(key, 0); });
    net.dial(bad, server, {{.remote = "notes"}});
    net.run();
    net.turn(bad);
    closed = net.last(bad, hub_event::kind::closed);
    REQUIRE(closed);
    CHECK(closed->code == errc::unavailable);
    CHECK(met(server, "banned-keys") == 1);
    CHECK(server.talk->is_open(stays));
}

TEST_CASE("limits: a lost connection is no offence, a broken protocol is", "[peer]") {
    replica_peer p(1);
    wires net;
    p.talk->accepted(1, 0);
    p.talk->disconnected(1);
    net.turn(p);
    CHECK_FALSE(net.last(p, hub_event::kind::closed)->is_offence);
    p.talk->accepted(2, 0);
    p.talk->disconnected(2, errc::bad_input);
    net.turn(p);
    CHECK(net.last(p, hub_event::kind::closed)->is_offence);
}

TEST_CASE("limits: who is not read from is not called silent", "[peer]") {
    replica_peer a(1), b(2);
    wires net;
    a.create("notes", a.self);
    const connection_id c = net.dial(b, a, {{.remote = "notes", .live = true}});
    net.run();
    const mono_ms later = net.now + a.options.idle_ms + 1;
    // In steps, for a hub that did not look cannot say that others were silent.
    for (mono_ms t = net.now; t <= later; t += 1000) {
        a.talk->not_read(c, t);
        a.talk->tick(t);
    }
    CHECK(a.talk->is_open(c));
    for (mono_ms t = later; t <= later + a.options.idle_ms + 1000; t += 1000) a.talk->tick(t);
    CHECK_FALSE(a.talk->is_open(c));
    CHECK(met(a, "idle-ms") == 1);
}

TEST_CASE("limits: clocks that are far apart are told of, and nothing else happens", "[peer]") {
    replica_peer a(1), b(2);
    wires net;
    a.create("notes", a.self);
    a.write(1, "x");
    a.store->flush();
    std::int64_t at_a = 1'000'000'000, at_b = at_a + 7'200'000;
    a.talk->set_clock([&] { return at_a; });
    b.talk->set_clock([&] { return at_b; });
    net.dial(b, a, {{.remote = "notes", .live = true}});
    net.run();
    CHECK(b.commits() == 1);
    CHECK(a.talk->links(net.now).at(0).clock_ahead_ms == 7'200'000);
    CHECK(b.talk->links(net.now).at(0).clock_ahead_ms == -7'200'000);
    CHECK(met(a, "clock-apart-ms") == 1);
    CHECK(clock_warning("ws://x", "notes", 7'200'000) ==
          "the clock of ws://x is 2 hours ahead of this machine's, so times in \"notes\" mislead: "
          "set the clock that is wrong");
    at_b = at_a + 1000;
    net.dial(b, a, {{.remote = "notes"}});
    net.run();
    CHECK(met(a, "clock-apart-ms") == 1);
}

TEST_CASE("limits: a sync with a peer whose clock is far off says so", "[peer]") {
    node_options late;
    late.clock = [] { return wall_ms() - 86'400'000 * 3; };
    open_node server(late);
    serving at(*server.stage);
    temporary_directory dir;
    auto client = stage::open(dir.path());
    const std::string said = client->clone(at.address() + "/notes", "copy").warning;
    CHECK(said.find("the clock of " + at.address() + " is 3 days behind") != std::string::npos);
    CHECK(said.find("\"copy\"") != std::string::npos);
    CHECK(client->peers("copy").at(0).reason == said);
}
