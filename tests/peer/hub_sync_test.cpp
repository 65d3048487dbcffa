#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

/// Two replicas of one CRDT that have met.
struct met_pair {
    explicit met_pair(int shared, hub_options o = {}) : server(1, o), laptop(2, o) {
        server.create("tweets", server.self);
        server.write_many(1, shared, "shared ");
        cloned = sync(net, laptop, server, {.remote = "tweets"});
    }
    void require_equal() {
        REQUIRE(server.heads() == laptop.heads());
        REQUIRE(server.commits() == laptop.commits());
    }
    replica_peer server, laptop;
    wires net;
    connection_counters cloned;
};

void forget_cursors(replica_peer& p, const replica_peer& of) {
    for (const char* which : {"in", "out"})
        p.store->put_mark(1, "peer/" + of.self.key().hex() + "/" + which, std::nullopt);
    p.store->flush();
}

}  // namespace

TEST_CASE("hub: a clone fetches everything and learns the name", "[peer]") {
    met_pair p(2500);
    p.require_equal();
    REQUIRE(p.laptop.store->state(1).name == "tweets");
    REQUIRE(p.net.count(p.laptop, hub_event::kind::cloned) == 1);
    REQUIRE(p.net.count(p.laptop, hub_event::kind::caught_up) == 1);
    REQUIRE(p.cloned.commits_in == 2500);
    REQUIRE(p.cloned.commits_in_expected == 2500);
    REQUIRE(p.cloned.round_trips == 1);
    p.laptop.store->verify(1, [](const std::string& problem) { FAIL(problem); }, {});
}

TEST_CASE("hub: a sync costs what is new, whatever is shared", "[peer]") {
    const int shared = GENERATE(0, 1, 100, 3000);
    const int fresh = GENERATE(0, 1, 100);
    met_pair p(shared);

    SECTION("new at the server") {
        p.server.write_many(1, fresh, "new ");
        const connection_counters c = sync(p.net, p.laptop, p.server);
        REQUIRE(c.commits_in == static_cast<std::uint64_t>(fresh));
        REQUIRE(c.commits_out == 0);
        REQUIRE(c.control_bytes < 500);
        REQUIRE(c.round_trips == 1);
    }
    SECTION("new at the dialer") {
        p.laptop.write_many(1, fresh, "new ");
        const connection_counters c = sync(p.net, p.laptop, p.server);
        REQUIRE(c.commits_out == static_cast<std::uint64_t>(fresh));
        REQUIRE(c.commits_in == 0);
        REQUIRE(c.control_bytes < 500);
        REQUIRE(c.round_trips == 1);
    }
    SECTION("new at the server, and the dialer has no cursor") {
        forget_cursors(p.laptop, p.server);
        p.server.write_many(1, fresh, "new ");
        const connection_counters c = sync(p.net, p.laptop, p.server);
        REQUIRE(c.commits_in == static_cast<std::uint64_t>(fresh));
        REQUIRE(c.control_bytes < 500);
        REQUIRE(c.round_trips == 1);
    }
    p.require_equal();
    REQUIRE(p.net.count(p.laptop, hub_event::kind::caught_up) == 2);
}

TEST_CASE("hub: nothing is sent twice to a peer that keeps its cursors", "[peer]") {
    met_pair p(50);
    for (int i = 0; i < 6; ++i) {
        (i % 2 ? p.server : p.laptop).write_many(1, 20, "turn " + std::to_string(i) + " ");
        const connection_counters c = sync(p.net, p.laptop, p.server);
        REQUIRE(c.commits_in + c.commits_out == 20);
        REQUIRE(c.round_trips == 1);
        p.require_equal();
    }
    const connection_counters idle = sync(p.net, p.laptop, p.server);
    REQUIRE(idle.payload_bytes == 0);
}

TEST_CASE("hub: both wrote", "[peer]") {
    met_pair p(200);
    p.server.write_many(1, 30, "server ");
    // Equal counts are no equal sets.
    const int mine = GENERATE(30, 40);
    p.laptop.write_many(1, mine, "laptop ");
    const bool with_cursor = GENERATE(true, false);
    if (!with_cursor) forget_cursors(p.laptop, p.server);
    const connection_counters c = sync(p.net, p.laptop, p.server);
    p.require_equal();
    REQUIRE(p.server.heads().size() == 2);
    REQUIRE(c.commits_in == 30);
    REQUIRE(c.commits_out == static_cast<std::uint64_t>(mine));
    REQUIRE(c.round_trips <= (with_cursor ? 1 : 2));
    REQUIRE(c.control_bytes < (with_cursor ? 600 : 5000));
}

TEST_CASE("hub: both wrote much, and no cursor says what", "[peer]") {
    met_pair p(500);
    p.server.write_many(1, 2000, "server ");
    p.laptop.write_many(1, 1500, "laptop ");
    forget_cursors(p.laptop, p.server);
    bytes last_cells;
    p.net.meddle = [&](connection_id, bool from_dialer, bytes& frame) {
        if (!from_dialer && wire::is_of_type(frame, wire::message_type::cells)) last_cells = frame;
        return true;
    };
    const connection_id to_server = p.net.dial(p.laptop, p.server, {{.handle = 1}});
    p.net.run();
    const connection_counters c = p.laptop.talk->counters(to_server);
    p.require_equal();
    REQUIRE(c.commits_in == 2000);
    REQUIRE(c.commits_out == 1500);
    // A guess and a step or two; about 1.5 cells of 19 bytes a commit, and 8 bytes for each asked.
    REQUIRE(c.round_trips <= 5);
    REQUIRE(c.control_bytes < 3500 * 45);

    // Cells that come after enough were read are no fault: they were asked for.
    p.laptop.talk->received(to_server, last_cells, p.net.now);
    p.net.run();
    REQUIRE(p.net.count(p.laptop, hub_event::kind::closed) == 1);  // the clone's
}

TEST_CASE("hub: too much for a sketch is everything", "[peer]") {
    hub_options little;
    little.sketch_cells = GENERATE(100, 200, 300);
    met_pair p(10, little);
    p.server.write_many(1, 400, "server ");
    p.laptop.write_many(1, 400, "laptop ");
    forget_cursors(p.laptop, p.server);
    sync(p.net, p.laptop, p.server);
    p.require_equal();
    REQUIRE(p.server.commits() == 810);
}

TEST_CASE("hub: who has nothing yet is sent everything at once", "[peer]") {
    met_pair p(0);
    p.laptop.write_many(1, 50, "laptop ");
    forget_cursors(p.laptop, p.server);
    const connection_counters c = sync(p.net, p.laptop, p.server);
    p.require_equal();
    REQUIRE(c.commits_out == 50);
    REQUIRE(c.control_bytes < 500);
}

TEST_CASE("hub: one commit on an ancient one is found without reading history", "[peer]") {
    hub_options little;
    little.walk_budget = 50;
    met_pair p(3000, little);
    const std::vector<commit_id> ancient{p.server.store->entry(1, 7).id};
    p.server.write_on(1, ancient, "late");
    p.server.talk->staged(1);
    SECTION("the other side has nothing new") {}
    SECTION("the other side went on") { p.laptop.write_many(1, 3, "laptop "); }
    forget_cursors(p.laptop, p.server);
    const connection_counters c = sync(p.net, p.laptop, p.server);
    p.require_equal();
    REQUIRE(c.commits_in == 1);
    REQUIRE(c.round_trips <= 2);
    REQUIRE(c.control_bytes < 5000);
}

TEST_CASE("hub: hundreds of heads on both sides", "[peer]") {
    met_pair p(5);
    const std::vector<commit_id> base{p.server.store->entry(1, 5).id};
    for (int i = 0; i < 300; ++i) {
        p.server.write_on(1, base, "server " + std::to_string(i));
        if (i % 2 == 0) p.laptop.write_on(1, base, "laptop " + std::to_string(i));
    }
    p.server.talk->staged(1);
    p.laptop.talk->staged(1);
    forget_cursors(p.laptop, p.server);
    const connection_counters c = sync(p.net, p.laptop, p.server);
    REQUIRE(p.server.heads().size() == 450);
    p.require_equal();
    REQUIRE(c.commits_in == 300);
    REQUIRE(c.commits_out == 150);
}

TEST_CASE("hub: two that never met have a common past from a third", "[peer]") {
    met_pair p(1000);
    replica_peer other(3);
    sync(p.net, other, p.server, {.remote = "tweets"});
    other.write_many(1, 5, "other ");
    p.laptop.write_many(1, 7, "laptop ");
    const connection_counters c = sync(p.net, other, p.laptop);
    REQUIRE(other.heads() == p.laptop.heads());
    REQUIRE(other.commits() == 1012);
    REQUIRE(c.commits_in == 7);
    REQUIRE(c.commits_out == 5);
}

TEST_CASE("hub: live commits go to every other peer, through a relay", "[peer]") {
    met_pair p(10);
    replica_peer far(3);
    sync(p.net, far, p.laptop, {.remote = "tweets"});
    const connection_id near_link = p.net.dial(p.laptop, p.server, {{.handle = 1, .live = true}});
    const connection_id far_link = p.net.dial(far, p.laptop, {{.handle = 1, .live = true}});
    p.net.run();
    p.server.write(1, "from the server");
    p.net.run();
    far.write(1, "from afar");
    p.net.run();
    p.laptop.write(1, "from the middle");
    p.net.run();
    p.require_equal();
    REQUIRE(far.heads() == p.server.heads());
    REQUIRE(far.commits() == 13);
    // Everyone got each commit once and nobody got its own back.
    REQUIRE(far.talk->counters(far_link).commits_out == 1);
    REQUIRE(p.laptop.talk->counters(near_link).commits_out == 2);
    REQUIRE(p.server.talk->counters(near_link).commits_out == 1);
    // And the cursors moved along, so that a reconnect is free.
    p.laptop.talk->tick(++p.net.now);
    p.net.cut(near_link);
    p.net.cut(far_link);
    p.net.turn(p.laptop);
    REQUIRE(sync(p.net, p.laptop, p.server).payload_bytes == 0);
}

TEST_CASE("hub: a chunk from a relay still carries a signature for each author", "[peer]") {
    hub_options small;
    small.chunk_commits = 7;
    met_pair p(100, small);
    replica_peer third(3, small);
    p.laptop.write_many(1, 9, "laptop ");
    sync(p.net, p.laptop, p.server);
    // Of what the laptop fetched, only the last commit of each chunk has a signature there.
    int without = 0;
    for (node n = 1; n <= 100; ++n) without += p.laptop.store->entry(1, n).sig ? 0 : 1;
    REQUIRE(without > 50);
    sync(p.net, third, p.laptop, {.remote = "tweets"});
    REQUIRE(third.heads() == p.server.heads());
    REQUIRE(third.commits() == p.server.commits());
}

TEST_CASE("hub: a fork travels with the commits of the original beneath it", "[peer]") {
    hub_options small;
    small.chunk_commits = 7;
    met_pair p(40, small);
    p.laptop.write_many(1, 5, "laptop ");
    sync(p.net, p.laptop, p.server);
    // The laptop has most of the original without signatures; it forks all the same.
    genesis g;
    g.name = "fork";
    g.owners = {p.laptop.self.key()};
    g.nonce = bytes(16, 'f');
    const crdt_handle fork = p.laptop.store->add(sign(g, p.laptop.self), "fork");
    std::vector<commit> all;
    p.laptop.store->scan(1, 1, [&](const arrival_entry& e, bytes_view body) {
        all.push_back({e.header, e.sig, bytes(body)});
        return true;
    });
    p.laptop.store->ingest(fork, all);
    p.laptop.write_on(fork, p.laptop.heads(1), "first of the fork");
    p.laptop.store->flush();
    REQUIRE(p.laptop.heads(fork).size() == 1);

    replica_peer reader(5, small), relayed(6, small);
    sync(p.net, reader, p.laptop, {.remote = "fork"});
    sync(p.net, relayed, reader, {.remote = "fork"});
    REQUIRE(relayed.commits() == 46);
    REQUIRE(relayed.heads() == p.laptop.heads(fork));
    p.laptop.write(fork, "second of the fork");
    sync(p.net, reader, p.laptop);
    const connection_counters c = sync(p.net, relayed, reader);
    REQUIRE(c.commits_in == 1);
    REQUIRE(relayed.heads() == p.laptop.heads(fork));
}

TEST_CASE("hub: commits of who may not write go no further", "[peer]") {
    replica_peer owner(1), stranger(2), friendly(3);
    const crdt_handle h = owner.store->add(genesis_by(owner.self, "closed", false), "closed");
    owner.write_many(h, 3, "c ");
    const std::vector<bytes> nothing;
    owner.store->append(
        h, owner.self, nothing, 1, std::nullopt, grant_ext(friendly.self.key(), "ann"));
    owner.talk->staged(h);
    owner.store->flush();
    wires net;
    sync(net, friendly, owner, {.remote = "closed"});
    friendly.write(h, "granted");
    sync(net, friendly, owner);
    REQUIRE(owner.heads() == friendly.heads());

    sync(net, stranger, owner, {.remote = "closed"});
    REQUIRE_THROWS_AS(stranger.write(h, "not granted"), error);
    // One that is forged all the same.
    commit_header header;
    header.crdt = owner.store->state(h).id;
    header.author = stranger.self.key();
    header.parents = owner.heads();
    header.gen = owner.commits() + 1;
    const std::vector<bytes> ops{op_of("forged")};
    const commit forged = make_commit(header, ops, stranger.self);
    const connection_id c = net.dial(stranger, owner, {{.handle = h, .live = true}});
    net.run();
    wire::chunk_writer w;
    w.add(forged.header, forged.body);
    const bytes frame = w.finish({1, 0, std::nullopt, false}, {{0, *forged.sig}});
    owner.talk->received(c, frame, net.now);
    net.turn(owner);
    REQUIRE(net.last(owner, hub_event::kind::closed)->code == errc::unauthorized);
    REQUIRE(owner.commits() == 5);
}

TEST_CASE("hub: the server restored from a backup", "[peer]") {
    met_pair p(20);
    auto backup = make_memory_kv();
    const auto copy = [](const kv& from, kv& to) {
        kv_batch all;
        const auto at = from.cursor();
        for (at->seek({}); at->valid(); at->next()) all.put(bytes(at->key()), bytes(at->val()));
        to.write(all, true);
    };
    copy(*p.server.db, *backup);
    p.server.write_many(1, 5, "lost at the server ");
    p.laptop.write_many(1, 5, "pushed and lost ");
    sync(p.net, p.laptop, p.server);
    p.require_equal();

    p.server.talk.reset();
    p.server.store.reset();
    p.server.db = make_memory_kv();
    copy(*backup, *p.server.db);
    p.server.open();
    REQUIRE(p.server.commits() == 20);
    const int since = GENERATE(0, 3, 12);
    if (since > 0) {
        const crdt_handle other = p.server.store->add(genesis_by(p.server.self, "x"), "x");
        p.server.write_many(other, 1, "elsewhere ");
    }
    replica_peer writer(9);
    sync(p.net, writer, p.server, {.remote = "tweets"});
    if (since > 0) {
        writer.write_many(1, since, "after the restore ");
        sync(p.net, writer, p.server);
    }

    SECTION("the dialer has nothing new") {}
    SECTION("the dialer pushes at once what builds on what was lost") {
        p.laptop.write_many(1, 3, "newer ");
    }
    sync(p.net, p.laptop, p.server);
    p.require_equal();
    REQUIRE(p.net.count(p.laptop, hub_event::kind::closed) >= 1);
    REQUIRE(sync(p.net, p.laptop, p.server).payload_bytes == 0);
}

TEST_CASE("hub: a server that forgets an acknowledged push after the last cursor gets it again",
          "[peer]") {
    met_pair p(20);
    p.laptop.write(1, "pushed");
    // The acknowledgement arrives, and nothing after it.
    p.net.meddle = [](connection_id, bool from_dialer, bytes& frame) {
        return from_dialer || !wire::is_of_type(frame, wire::message_type::chunk);
    };
    const connection_id c = p.net.dial(p.laptop, p.server, {{.handle = 1}});
    p.net.run();
    REQUIRE(p.server.commits() == 21);
    p.net.cut(c);
    p.net.turn(p.laptop);
    p.net.meddle = nullptr;

    replica_peer restored(1);
    restored.create("tweets", restored.self);
    restored.write_many(1, 20, "shared ");
    REQUIRE(restored.heads() != p.server.heads());
    sync(p.net, p.laptop, restored);
    REQUIRE(restored.heads() == p.laptop.heads());
}

TEST_CASE("hub: an interrupted clone goes on where it was", "[peer]") {
    hub_options small;
    small.chunk_commits = 10;
    small.window_bytes = 4000;
    replica_peer server(1, small), laptop(2, small);
    server.create("tweets", server.self);
    server.write_many(1, 300, "c ");
    wires net;
    connection_id c = net.dial(laptop, server, {{.remote = "tweets"}});
    for (int i = 0; i < 6; ++i) {
        net.turn(laptop);
        net.turn(server);
        net.deliver(c, true);
        net.deliver(c, false);
    }
    net.turn(laptop);
    const std::uint64_t before = laptop.commits();
    REQUIRE(before > 0);
    REQUIRE(before < 300);
    net.cut(c);
    laptop.db->crash();
    laptop.open();
    REQUIRE(laptop.commits() == before);
    const connection_counters rest = sync(net, laptop, server);
    REQUIRE(rest.commits_in == 300 - before);
    REQUIRE(rest.commits_out == 0);
    REQUIRE(laptop.heads() == server.heads());
}

TEST_CASE("hub: a full disk closes what was not stored and acknowledges nothing", "[peer]") {
    met_pair p(10);
    p.server.write_many(1, 5, "new ");
    replica_peer idle(3);
    const connection_id quiet = p.net.dial(idle, p.laptop, {}, true);
    p.net.run();
    const connection_id c = p.net.dial(p.laptop, p.server, {{.handle = 1, .live = true}});
    // Hello and hello, then the subscription and the chunk.
    for (int i = 0; i < 2; ++i) {
        p.net.turn(p.laptop);
        p.net.deliver(c, false);
        p.net.turn(p.server);
        p.net.deliver(c, true);
    }
    p.laptop.db->fail_at(1);
    REQUIRE_THROWS_AS(p.net.turn(p.laptop), error);
    REQUIRE(p.laptop.commits() == 10);
    p.net.turn(p.laptop);
    REQUIRE(p.net.last(p.laptop, hub_event::kind::closed)->connection == c);
    REQUIRE(p.net.last(p.laptop, hub_event::kind::closed)->code == errc::no_space);
    REQUIRE(p.laptop.talk->connection_count() == 1);
    REQUIRE(p.laptop.talk->counters(quiet).control_bytes > 0);
    p.net.cut(c);
    sync(p.net, p.laptop, p.server);
    p.require_equal();
}

TEST_CASE("hub: offers, and what is not offered", "[peer]") {
    met_pair p(3);
    genesis secret;
    secret.name = "secret";
    secret.owners = {p.server.self.key()};
    secret.public_read = false;
    secret.nonce = bytes(16, 's');
    p.server.store->add(sign(secret, p.server.self), "secret");
    p.server.store->flush();
    const connection_id c = p.net.dial(p.laptop, p.server, {}, true);
    p.net.run();
    const auto& offers = p.net.last(p.laptop, hub_event::kind::offers)->offers;
    REQUIRE(offers.size() == 1);
    REQUIRE(offers[0].name == "tweets");
    REQUIRE(offers[0].commits == 3);
    p.net.cut(c);
    for (const char* name : {"secret", "nothing"}) {
        sync(p.net, p.laptop, p.server, {.remote = name});
        const hub_event* closed = p.net.last(p.laptop, hub_event::kind::closed);
        REQUIRE(closed->code == errc::not_found);
        REQUIRE(closed->reason.find(name) != std::string::npos);
    }
}

TEST_CASE("hub: a clone of what is here goes on with it, and names never clash", "[peer]") {
    met_pair p(30);
    p.server.write_many(1, 4, "more ");
    sync(p.net, p.laptop, p.server, {.remote = "tweets"});
    p.require_equal();
    REQUIRE(p.laptop.store->list().size() == 1);

    replica_peer other(4);
    other.create("tweets", other.self);
    other.write_many(1, 2, "other ");
    sync(p.net, p.laptop, other, {.remote = "tweets"});
    REQUIRE(p.laptop.store->find_name("tweets-2").has_value());
    REQUIRE(p.laptop.commits(2) == 2);
}
