/// Scripts, message by message: the test plays the other side.
#include "tributary/peer/session.hpp"

#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"
#include <future>
#include <random>

using namespace tributary;
using namespace tributary::testing;

namespace {

using type = wire::message_type;

/// A hub and a hand-made peer at the other end of one connection.
struct script {
    explicit script(bool hub_dials,
                    std::vector<want> wants = {},
                    hub_options o = {},
                    bytes exported = {})
        : peer(1, o), dials(hub_dials) {
        peer.create("tweets", peer.self);
        if (dials) {
            peer.talk->dialed(c, std::move(wants), false, now, std::move(exported));
        } else {
            peer.talk->accepted(c, now, std::move(exported));
        }
    }

    /// What the hub sends now.
    std::vector<bytes> turn() {
        hub_effects e = peer.talk->end_turn(now);
        std::vector<bytes> frames;
        for (auto& s : e.sends) frames.push_back(std::move(s.frame));
        for (auto& event : e.events) events.push_back(std::move(event));
        return frames;
    }
    void say(const bytes& frame) { peer.talk->received(c, frame, now); }

    wire::hello my_hello() const {
        return {1, 1, me.key(), hash32::from_bytes(bytes(32, 'x')), "script"};
    }
    /// Both handshakes; the frames that follow the hub's last.
    std::vector<bytes> handshake() {
        const bytes mine = encode(my_hello());
        bytes theirs;
        if (dials) theirs = turn().at(0);
        say(mine);
        if (!dials) theirs = turn().at(0);
        const wire::role role = dials ? wire::role::acceptor : wire::role::dialer;
        const hash32 t = dials ? wire::transcript(theirs, mine) : wire::transcript(mine, theirs);
        say(encode(wire::auth{wire::sign_transcript(me, role, t)}));
        auto rest = turn();
        if (dials) rest.erase(rest.begin());
        return rest;
    }

    wire::subscribe subscription() const {
        wire::subscribe m;
        m.sub = 1;
        m.target = "tweets";
        m.live = true;
        m.have.round = 1;
        m.have.heads_digest = wire::digest_of_heads({});
        m.have.window = 1u << 20;
        return m;
    }

    void require_closed(errc code, const std::string& part) {
        const auto frames = turn();
        REQUIRE_FALSE(events.empty());
        REQUIRE(events.back().what == hub_event::kind::closed);
        INFO(events.back().reason);
        REQUIRE(name_of(events.back().code) == std::string(name_of(code)));
        REQUIRE(events.back().reason.find(part) != std::string::npos);
        REQUIRE(wire::read_bye(frames.back()).code == code);
        REQUIRE(peer.talk->connection_count() == 0);
    }

    replica_peer peer;
    bool dials;
    identity me = identity_of(77);
    connection_id c = 5;
    mono_ms now = 100;
    std::vector<hub_event> events;
};

bytes chunk_of(std::uint64_t round, const std::vector<commit>& commits) {
    wire::chunk_writer w;
    std::vector<std::pair<std::size_t, signature>> sigs;
    for (const commit& c : commits) {
        if (c.sig) sigs.emplace_back(w.count(), *c.sig);
        w.add(c.header, c.body);
    }
    return w.finish({1, round, std::nullopt, false}, sigs);
}

/// Commits of one author, in a row, from another store.
std::vector<commit> commits_by(replica_peer& writer, const replica_peer& owner, int n) {
    const crdt_handle h = writer.create("tweets", owner.self);
    writer.write_many(h, n, "c ");
    std::vector<commit> all;
    for (node at = 1; at <= static_cast<node>(n); ++at) {
        const arrival_entry e = writer.store->entry(h, at);
        all.push_back({e.header, e.sig, writer.store->body(h, at)});
    }
    return all;
}

}  // namespace

TEST_CASE("session: an accepted connection, message by message", "[peer]") {
    script s(false);
    s.peer.write_many(1, 3, "c ");
    REQUIRE(s.handshake().empty());
    REQUIRE(s.events.at(0).what == hub_event::kind::authenticated);
    REQUIRE(s.events.at(0).peer_key == s.me.key());

    wire::subscribe m = s.subscription();
    m.want_genesis = true;
    s.say(encode(m));
    auto said = s.turn();
    REQUIRE(said.size() == 2);
    const wire::accept a = wire::read_accept(said[0]);
    REQUIRE(a.sub == 1);
    REQUIRE_FALSE(a.cursor_good);
    REQUIRE(a.about->name == "tweets");
    REQUIRE(a.have.count == 3);
    REQUIRE(a.have.ids == s.peer.heads());
    std::vector<commit> commits;
    wire::chunk_head head = wire::read_chunk(said[1], commits);
    REQUIRE(head.round == 1);
    REQUIRE(head.done);
    REQUIRE(head.cursor->seq == 3);
    REQUIRE(commits.size() == 3);
    REQUIRE_FALSE(commits[0].sig.has_value());
    REQUIRE_FALSE(commits[1].sig.has_value());
    REQUIRE(commits[2].sig.has_value());
    s.say(encode(wire::ack{1, 1, 1, 3}));
    REQUIRE(s.turn().empty());

    s.peer.write(1, "live");
    said = s.turn();
    REQUIRE(said.size() == 1);
    head = wire::read_chunk(said[0], commits);
    REQUIRE(commits.size() == 1);
    REQUIRE(head.cursor->seq == 4);
}

TEST_CASE("session: a good cursor needs no heads, and nothing new is one small chunk", "[peer]") {
    script s(false);
    s.peer.write_many(1, 3, "c ");
    s.handshake();
    wire::subscribe m = s.subscription();
    m.have.cursor = s.peer.store->state(1).end;
    m.have.count = 3;
    m.have.heads_digest = wire::digest_of_heads(s.peer.heads());
    s.say(encode(m));
    const auto said = s.turn();
    REQUIRE(said.size() == 2);
    const wire::accept a = wire::read_accept(said[0]);
    REQUIRE(a.cursor_good);
    REQUIRE(a.have.ids.empty());
    std::vector<commit> commits;
    REQUIRE(wire::read_chunk(said[1], commits).done);
    REQUIRE(commits.empty());
}

TEST_CASE("session: what is pushed is acknowledged after the flush and not sent back", "[peer]") {
    script s(false);
    s.handshake();
    s.say(encode(s.subscription()));
    s.turn();
    replica_peer writer(2);
    const auto commits = commits_by(writer, s.peer, 4);
    const std::size_t writes = s.peer.db->write_count();
    s.say(chunk_of(1, commits));
    REQUIRE(s.peer.db->write_count() == writes);
    const auto said = s.turn();
    REQUIRE(s.peer.db->write_count() == writes + 1);
    const wire::ack ack = wire::read_ack(said.at(0));
    REQUIRE(ack.chunks == 1);
    REQUIRE(ack.end == 4);
    std::vector<commit> back;
    REQUIRE(wire::read_chunk(said.at(1), back).cursor->seq == 4);
    REQUIRE(back.empty());
}

TEST_CASE("session: what a first message may not be", "[peer]") {
    const bool dials = GENERATE(true, false);
    script s(dials);
    s.turn();
    SECTION("text of another protocol") {
        s.say("GET / HTTP/1.1\r\n\r\n");
        s.require_closed(errc::bad_input, "no tributary peer");
    }
    SECTION("nothing") {
        s.say("");
        s.require_closed(errc::bad_input, "no tributary peer");
    }
    SECTION("a request") {
        s.say(encode(wire::list{}));
        s.require_closed(errc::bad_input, "no tributary peer");
    }
    SECTION("a hello of another protocol") {
        bytes hello = encode(s.my_hello());
        hello[3] = 'T';
        s.say(hello);
        s.require_closed(errc::bad_input, "no tributary peer");
    }
    SECTION("far too long") {
        s.say(bytes(100000, '\x90'));
        s.require_closed(errc::limit, "100000 bytes");
    }
    SECTION("a newer version") {
        wire::hello h = s.my_hello();
        h.version_min = 2;
        h.version_max = 3;
        s.say(encode(h));
        s.require_closed(errc::newer_version, "versions 2 to 3, this one 1 to 1");
    }
    SECTION("a hello, but not the key it names") {
        s.say(encode(s.my_hello()));
        s.turn();
        s.say(encode(wire::auth{identity_of(78).sign("trib.auth.1", "x")}));
        s.require_closed(errc::unauthorized, "key");
    }
    SECTION("silence") {
        s.now += 10001;
        s.peer.talk->tick(s.now);
        s.require_closed(errc::canceled, "in time");
    }
}

TEST_CASE("session: a peer of later versions and this one speak the version both know", "[peer]") {
    const bool dials = GENERATE(false, true);
    script s(dials, {want{.handle = 1}});
    wire::hello later = s.my_hello();
    later.version_max = 3;
    bytes hello = encode(later);
    hello[0] = static_cast<char>(hello[0] + 2);
    hello += from_hex("a56c61746572c1");  // a text, and what no version knows

    const bytes first = dials ? s.turn().at(0) : bytes();
    s.say(hello);
    const bytes theirs = dials ? first : s.turn().at(0);
    const wire::role role = dials ? wire::role::acceptor : wire::role::dialer;
    const hash32 t = dials ? wire::transcript(theirs, hello) : wire::transcript(hello, theirs);
    s.say(encode(wire::auth{wire::sign_transcript(s.me, role, t)}));
    const auto said = s.turn();
    REQUIRE(s.events.at(0).what == hub_event::kind::authenticated);
    // A dialer goes on with what version 1 says: its proof, and what it wants.
    if (dials) REQUIRE(wire::read_subscribe(said.at(1)).have.round == 1);
}

TEST_CASE("session: the handshake is bound to the channel where TLS ends at both", "[peer]") {
    const bytes exported(32, 'e');
    const bool dials = GENERATE(false, true);
    script s(dials, {}, {}, exported);
    wire::hello mine = s.my_hello();
    bytes theirs;
    const auto greet = [&](std::uint64_t binds) {
        mine.binds = binds;
        if (dials) theirs = s.turn().at(0);
        s.say(encode(mine));
        if (!dials) theirs = s.turn().at(0);
    };
    const auto prove = [&](bytes_view by) {
        const bytes hello = encode(mine);
        const wire::role role = dials ? wire::role::acceptor : wire::role::dialer;
        const hash32 t =
            dials ? wire::transcript(theirs, hello, by) : wire::transcript(hello, theirs, by);
        s.say(encode(wire::auth{wire::sign_transcript(s.me, role, t)}));
    };
    SECTION("both have it") {
        greet(wire::binds_tls_exporter);
        REQUIRE(wire::read_hello(theirs).binds == wire::binds_tls_exporter);
        prove(exported);
        s.turn();
        REQUIRE(s.events.at(0).what == hub_event::kind::authenticated);
    }
    SECTION("somebody between has one TLS connection with each") {
        greet(wire::binds_tls_exporter);
        prove(bytes(32, 'f'));
        s.require_closed(errc::unauthorized, "between the two");
    }
    SECTION("it is left out though both have it") {
        greet(wire::binds_tls_exporter);
        prove({});
        s.require_closed(errc::unauthorized, "between the two");
    }
    SECTION("the other side does not have it: a proxy ends TLS") {
        greet(0);
        REQUIRE(wire::read_hello(theirs).binds == (dials ? wire::binds_tls_exporter : 0));
        prove({});
        s.turn();
        REQUIRE(s.events.at(0).what == hub_event::kind::authenticated);
    }
    SECTION("of what nobody here knows") {
        greet(wire::binds_tls_exporter | 4);
        if (dials) {
            s.require_closed(errc::bad_input, "not there");
        } else {
            REQUIRE(wire::read_hello(theirs).binds == wire::binds_tls_exporter);
        }
    }
}

TEST_CASE("session: a recorded handshake cannot be played again", "[peer]") {
    script first(false);
    const bytes hello = encode(first.my_hello());
    first.say(hello);
    const bytes theirs = first.turn().at(0);
    const wire::auth proof{
        wire::sign_transcript(first.me, wire::role::dialer, wire::transcript(hello, theirs))};
    first.say(encode(proof));
    first.turn();
    first.c = 6;
    first.peer.talk->accepted(6, first.now);
    first.say(hello);
    first.say(encode(proof));
    first.turn();
    REQUIRE(first.events.back().code == errc::unauthorized);
}

TEST_CASE("session: unknown messages", "[peer]") {
    script s(false);
    s.handshake();
    s.say(from_hex("9265c0"));
    REQUIRE(s.turn().empty());
    s.say(from_hex("92cd03e9c0"));
    REQUIRE(s.turn().empty());
    s.say(from_hex("9264c0"));
    s.require_closed(errc::newer_version, "newer");
}

TEST_CASE("session: commits that are wrong close the connection and change nothing", "[peer]") {
    script s(false);
    replica_peer writer(2);
    std::vector<commit> commits = commits_by(writer, s.peer, 3);
    s.handshake();
    s.say(encode(s.subscription()));
    s.turn();
    errc code = errc::bad_input;
    const auto rewritten = [&](const std::function<void(commit_header&)>& change) {
        commit_header h = decode_header(commits[2].header);
        change(h);
        const std::vector<bytes> ops{op_of("c 2")};
        commits[2] = make_commit(h, ops, writer.self);
    };
    SECTION("a body of another") { commits[1].body = commits[0].body; }
    SECTION("a header with a flipped bit") {
        commits[2].header[40] = static_cast<char>(commits[2].header[40] ^ 1);
    }
    SECTION("no signature") {
        commits[2].sig.reset();
        code = errc::unauthorized;
    }
    SECTION("the signature of another") {
        commits[2].sig = commits[1].sig;
        code = errc::unauthorized;
    }
    SECTION("a wrong gen") {
        rewritten([](commit_header& h) { h.gen = 9; });
    }
    SECTION("a wrong seq") {
        rewritten([](commit_header& h) { h.seq = 9; });
    }
    s.say(chunk_of(1, commits));
    const auto frames = s.turn();
    REQUIRE(wire::read_bye(frames.back()).code == code);
    REQUIRE(s.peer.commits() == 0);
    REQUIRE(s.peer.talk->connection_count() == 0);
}

TEST_CASE("session: what another thread prepared is judged as if it had not been", "[peer]") {
    script s(false);
    replica_peer writer(2);
    std::vector<commit> commits = commits_by(writer, s.peer, 3);
    const auto say_prepared = [&](const bytes& frame) {
        const auto prepare = [&] { return prepared_frame::prepare(frame); };
        prepared_frame ready = std::async(std::launch::async, prepare).get();
        REQUIRE(ready.size() == frame.size());
        s.peer.talk->received(s.c, std::move(ready), s.now);
    };
    SECTION("before the handshake") {
        say_prepared(chunk_of(1, commits));
        s.require_closed(errc::bad_input, "no tributary peer");
        return;
    }
    s.handshake();
    s.say(encode(s.subscription()));
    s.turn();
    SECTION("as it should be") {
        say_prepared(chunk_of(1, commits));
        REQUIRE(wire::read_ack(s.turn().at(0)).chunks == 1);
        REQUIRE(s.peer.commits() == 3);
    }
    SECTION("a body of another") {
        commits[1].body = commits[0].body;
        say_prepared(chunk_of(1, commits));
        s.require_closed(errc::bad_input, "(2 of 3 sent): a commit body does not have the hash");
        REQUIRE(s.peer.commits() == 0);
    }
    SECTION("a parent that is missing counts before a body that is wrong") {
        commits[2].body = commits[0].body;
        say_prepared(chunk_of(1, {commits[2]}));
        REQUIRE(wire::read_have(s.turn().at(0)).what.round == 2);
    }
    SECTION("more commits than its size is worth") {
        say_prepared(chunk_of(1, std::vector<commit>(1000)));
        s.require_closed(errc::bad_input, "(1 of 1000 sent)");
    }
    SECTION("half a chunk") {
        say_prepared(bytes(chunk_of(1, commits), 0, 200));
        s.require_closed(errc::bad_input, "malformed message: truncated");
    }
}

TEST_CASE("session: missing parents are asked for, then everything, then it is over", "[peer]") {
    script s(false);
    replica_peer writer(2);
    const std::vector<commit> commits = commits_by(writer, s.peer, 3);
    s.handshake();
    s.say(encode(s.subscription()));
    s.turn();
    s.say(chunk_of(1, {commits[2]}));
    wire::have have = wire::read_have(s.turn().at(0));
    REQUIRE(have.what.round == 2);
    REQUIRE_FALSE(have.what.cursor.has_value());
    // What was on its way in the old round no longer counts.
    s.say(chunk_of(1, {commits[2]}));
    REQUIRE(s.turn().empty());
    s.say(chunk_of(2, {commits[2]}));
    have = wire::read_have(s.turn().at(0));
    REQUIRE(have.what.round == 3);
    REQUIRE(have.what.cursor == arrival_cursor{});

    SECTION("it does better") {
        s.say(chunk_of(3, commits));
        REQUIRE(wire::read_ack(s.turn().at(0)).round == 3);
        REQUIRE(s.peer.commits() == 3);
    }
    SECTION("it does not") {
        s.say(chunk_of(3, {commits[2]}));
        s.require_closed(errc::bad_input, "parents");
    }
}

TEST_CASE("session: messages out of place", "[peer]") {
    script s(false);
    s.handshake();
    s.say(encode(s.subscription()));
    s.turn();
    bytes wrong;
    SECTION("an acknowledgement of what was not sent") { wrong = encode(wire::ack{1, 1, 5, 0}); }
    SECTION("a subscription with the same number") { wrong = encode(s.subscription()); }
    SECTION("a chunk for nothing") {
        wrong = wire::chunk_writer().finish({9, 1, std::nullopt, false}, {});
    }
    SECTION("a chunk of a round to come") {
        wrong = wire::chunk_writer().finish({1, 7, std::nullopt, false}, {});
    }
    SECTION("an accept from the dialing side") { wrong = encode(wire::accept{}); }
    SECTION("offers that nobody asked for") { wrong = encode(wire::offers{}); }
    SECTION("another hello") { wrong = encode(s.my_hello()); }
    SECTION("a chunk cut short") {
        wrong = bytes(wire::chunk_writer().finish({1, 1, std::nullopt, false}, {}), 0, 7);
    }
    s.say(wrong);
    s.require_closed(errc::bad_input, "");
}

TEST_CASE("session: floods end the connection", "[peer]") {
    hub_options small;
    small.window_bytes = 2000;
    small.frame_bytes_max = 5000;
    script s(false, {}, small);
    s.handshake();
    SECTION("a frame beyond the limit") {
        s.say(bytes(5001, '\x90'));
        s.require_closed(errc::limit, "5001 bytes");
    }
    SECTION("requests whose answers are not read") {
        for (int i = 0; i < 1000 && s.peer.talk->connection_count() > 0; ++i)
            s.say(encode(wire::list{}));
        s.require_closed(errc::limit, "without reading");
    }
    SECTION("commits beyond the window") {
        s.say(encode(s.subscription()));
        s.turn();
        replica_peer writer(2);
        for (const commit& c : commits_by(writer, s.peer, 60)) s.say(chunk_of(1, {c}));
        s.require_closed(errc::limit, "window");
    }
    SECTION("plans again and again") {
        s.say(encode(s.subscription()));
        for (int i = 0; i < 17; ++i) s.say(encode(wire::have{1, s.subscription().have}));
        s.require_closed(errc::limit, "plan");
    }
}

TEST_CASE("session: a sender keeps to the window of the receiver and to its own backlog",
          "[peer]") {
    hub_options small;
    small.chunk_commits = 1;
    script s(false, {}, small);
    s.peer.write_many(1, 50, "c ");
    s.handshake();
    wire::subscribe m = s.subscription();
    m.have.window = 600;
    s.say(encode(m));
    auto said = s.turn();
    REQUIRE(said.size() > 1);
    REQUIRE(said.size() < 6);
    const std::uint64_t sent = said.size() - 1;
    REQUIRE(s.turn().empty());
    SECTION("acknowledged") {
        s.say(encode(wire::ack{1, 1, 1, 1}));
        REQUIRE(s.turn().size() == 1);
    }
    SECTION("acknowledged, but the wire is full") {
        s.peer.talk->set_backlog(s.c, small.window_bytes);
        s.say(encode(wire::ack{1, 1, sent, sent}));
        REQUIRE(s.turn().empty());
        s.peer.talk->set_backlog(s.c, 0);
        REQUIRE(s.turn().size() == sent);
    }
}

TEST_CASE("session: keep-alives, and silence", "[peer]") {
    script s(false);
    s.handshake();
    std::size_t pings = 0;
    for (int i = 0; i < 25; ++i) {
        s.now += 1000;
        s.peer.talk->tick(s.now);
        pings += s.turn().size();
    }
    REQUIRE(pings == 2);
    s.say(encode(wire::ping{}));
    for (int i = 0; i < 31; ++i) {
        REQUIRE(s.peer.talk->connection_count() == 1);
        s.now += 1000;
        s.peer.talk->tick(s.now);
    }
    s.require_closed(errc::unavailable, "silent");
}

TEST_CASE("session: a process that slept does not blame its peers", "[peer]") {
    script s(false);
    s.handshake();
    s.peer.talk->tick(s.now);
    s.now += 3600000;
    s.peer.talk->tick(s.now);
    REQUIRE(s.peer.talk->connection_count() == 1);
}

TEST_CASE("session: a dialer does not take a clone of something else", "[peer]") {
    script s(true, {{.remote = address_of(crdt_id::from_bytes(bytes(32, 'w')))}});
    const auto said = s.handshake();
    REQUIRE(wire::read_subscribe(said.at(0)).want_genesis);
    wire::accept a;
    a.sub = 1;
    a.about = {genesis_by(s.me, "other"), "other"};
    std::string part;
    errc code = errc::bad_input;
    SECTION("another one") { part = "another CRDT"; }
    SECTION("a false signature") {
        a.about->genesis.sig.raw[0] ^= 1;
        code = errc::unauthorized;
    }
    SECTION("none") {
        a.about.reset();
        part = "without the genesis";
    }
    s.say(encode(a));
    s.require_closed(code, part);
    REQUIRE(s.peer.store->list().size() == 1);
}

TEST_CASE("session: a peer that says goodbye is named as the one who did", "[peer]") {
    script s(true, {{.handle = 1}});
    s.handshake();
    s.say(encode(wire::bye{errc::not_found, "no such thing"}));
    s.turn();
    REQUIRE(s.events.back().what == hub_event::kind::closed);
    REQUIRE(s.events.back().code == errc::not_found);
    REQUIRE(s.events.back().reason.find("the peer closed the connection: no such thing") == 0);
}

TEST_CASE("session: mutated conversations harm nobody", "[peer]") {
    const unsigned seed = GENERATE(range(1u, 40u));
    INFO("seed " << seed);
    std::mt19937 random(seed);
    replica_peer server(1), good(2), bad(3);
    server.create("tweets", server.self);
    server.write_many(1, 20, "c ");
    wires net;
    sync(net, bad, server, {.remote = "tweets"});
    sync(net, good, server, {.remote = "tweets"});
    bad.write_many(1, 5, "bad ");
    const connection_id honest = net.dial(good, server, {{.handle = 1, .live = true}});
    const connection_id broken = net.dial(bad, server, {{.handle = 1, .live = true}});
    net.meddle = [&](connection_id c, bool, bytes& frame) {
        if (c != broken || random() % 3 != 0) return true;
        switch (random() % 3) {
            case 0:
                frame[random() % frame.size()] = static_cast<char>(random());
                return true;
            case 1:
                frame.resize(random() % frame.size());
                return true;
            default:
                return false;
        }
    };
    for (int i = 0; i < 5; ++i) {
        server.write(1, "live " + std::to_string(i));
        net.run();
    }
    // The honest one never notices, and nothing that was not verified is stored.
    REQUIRE(good.talk->connection_count() == 1);
    REQUIRE(good.heads() == server.heads());
    REQUIRE(good.talk->counters(honest).commits_in >= 5);
    server.store->verify(1, [](const std::string& problem) { FAIL(problem); }, {});
    bad.store->verify(1, [](const std::string& problem) { FAIL(problem); }, {});
    net.meddle = nullptr;
    net.cut(broken);
    sync(net, bad, server);
    REQUIRE(bad.heads() == server.heads());
}
