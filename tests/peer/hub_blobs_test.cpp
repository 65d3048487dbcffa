/// Blobs between replicas, message by message.

#include "tributary/peer/message_blobs.hpp"
#include "tributary/peer/session_blobs.hpp"
#include "tributary/store/blob_index.hpp"

#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"

using namespace tributary;
using namespace tributary::testing;
using wire::message_type;

namespace {

constexpr std::uint64_t small_chunk = 1024;

bytes content(std::size_t size, unsigned seed = 1) {
    bytes out(size, '\0');
    for (char& c : out) c = static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
    return out;
}

/// A commit that names a blob, which is added unless `absent`.
blob_ref write_blob(replica_peer& p, crdt_handle h, bytes_view data, bool absent = false) {
    const auto apart = make_memory_blobs();
    const blob_ref ref = (absent ? *apart : *p.blobs).add(data, small_chunk);
    const std::vector<bytes> ops{encode(op{symbol{"add"}, value(blob_address(ref.id))})};
    const std::vector<blob_ref> refs{ref};
    p.store->append(h, p.self, ops, 1000, std::nullopt, blobs_ext(refs));
    p.talk->staged(h);
    return ref;
}

bytes read_all(replica_peer& p, const blob_id& id) {
    bytes out;
    const auto m = p.blobs->manifest(id);
    for (std::uint64_t i = 0; m && i < m->count(); ++i)
        out += p.blobs->read(id, i, 0, small_chunk).value_or("");
    return out;
}

struct pair_of_peers {
    replica_peer server{1}, laptop{2};
    wires w;
    pair_of_peers() {
        server.create("shared", server.self);
        server.write_many(1, 3, "before");
    }
    connection_counters clone() { return sync(w, laptop, server, {.remote = "shared"}); }
};

bool is_part(const bytes& frame) { return wire::is_of_type(frame, message_type::blob_part); }

}  // namespace

TEST_CASE("hub: a clone is through when the blobs are there", "[peer]") {
    pair_of_peers t;
    const bytes data = content(10000);
    const blob_ref ref = write_blob(t.server, 1, data);
    const connection_counters c = t.clone();
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 1);
    CHECK(read_all(t.laptop, ref.id) == data);
    CHECK(c.blobs_in == 1);
    CHECK(c.blob_bytes_in == 10000);
    CHECK(c.blob_bytes_in_expected == 10000);
    CHECK(c.blobs_missing == 0);
    CHECK_FALSE(t.laptop.store->blobs(1).next_lacking({}));
    CHECK(sync(t.w, t.laptop, t.server).payload_bytes == 0);
}

TEST_CASE("hub: blobs without bytes, of a byte and of whole chunks are fetched", "[peer]") {
    pair_of_peers t;
    std::vector<blob_ref> refs;
    for (const std::size_t size : {0, 1, 1024, 2048, 70000})
        refs.push_back(write_blob(t.server, 1, content(size)));
    t.clone();
    for (const blob_ref& ref : refs) CHECK(read_all(t.laptop, ref.id) == content(ref.size));
}

TEST_CASE("hub: a push is through when the other side has the blobs", "[peer]") {
    pair_of_peers t;
    t.clone();
    const bytes data = content(10000);
    const blob_ref ref = write_blob(t.laptop, 1, data);
    t.laptop.store->flush();
    const connection_counters c = sync(t.w, t.laptop, t.server);
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 2);
    CHECK(read_all(t.server, ref.id) == data);
    CHECK(c.blob_bytes_out == 10000);
}

TEST_CASE("hub: a blob is taken up where it was broken off, at every message", "[peer]") {
    const bytes data = content(9000);
    for (int cut_at = 1; cut_at < 60; ++cut_at) {
        pair_of_peers t;
        t.server.options.blob_window_bytes = t.laptop.options.blob_window_bytes = 4096;
        t.server.open();
        t.laptop.open();
        const blob_ref ref = write_blob(t.server, 1, data);
        int frames = 0;
        t.w.meddle = [&](connection_id, bool, bytes&) { return ++frames <= cut_at; };
        const connection_id c = t.w.dial(t.laptop, t.server, {{.remote = "shared"}});
        t.w.run();
        const std::uint64_t first = t.laptop.talk->counters(c).blob_bytes_in;
        t.w.cut(c);
        t.w.turn(t.laptop);
        t.w.turn(t.server);
        t.w.meddle = nullptr;
        INFO("cut after " << cut_at << " frames, with " << first << " bytes");
        const want again =
            t.laptop.store->list().empty() ? want{.remote = "shared"} : want{.handle = 1};
        const connection_counters rest = sync(t.w, t.laptop, t.server, again);
        CHECK(first + rest.blob_bytes_in == data.size());
        REQUIRE(read_all(t.laptop, ref.id) == data);
        if (first == data.size()) break;
    }
}

TEST_CASE("hub: what was not durable of a blob is fetched again after a crash", "[peer]") {
    pair_of_peers t;
    const bytes data = content(9000);
    const blob_ref ref = write_blob(t.server, 1, data);
    int parts = 0;
    t.w.meddle = [&](connection_id, bool, bytes& f) { return !is_part(f) || ++parts <= 6; };
    const connection_id c = t.w.dial(t.laptop, t.server, {{.remote = "shared"}});
    t.w.run();
    CHECK(t.laptop.blobs->chunks_here(ref.id) == 5);
    t.w.cut(c);
    t.laptop.db->crash();
    t.laptop.blobs->crash(2);
    t.laptop.open();
    t.w.meddle = nullptr;
    CHECK(sync(t.w, t.laptop, t.server).blob_bytes_in == data.size() - 2 * small_chunk);
    CHECK(read_all(t.laptop, ref.id) == data);
}

TEST_CASE("hub: a live commit does not wait for blobs", "[peer]") {
    pair_of_peers t;
    t.clone();
    t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
    t.w.run();
    write_blob(t.server, 1, content(300000));
    std::size_t in_a_row = 0, most = 0;
    bool commit_waits = false;
    std::size_t parts_before_commit = 0, parts = 0;
    t.w.meddle = [&](connection_id, bool from_dialer, bytes& f) {
        if (from_dialer) return true;
        if (is_part(f)) {
            ++parts;
            if (commit_waits) ++parts_before_commit;
            most = std::max(most, in_a_row += f.size());
        } else {
            in_a_row = 0;
            if (wire::is_of_type(f, message_type::chunk)) commit_waits = false;
        }
        // One is written in the midst of it.
        if (parts == 20) {
            t.server.write(1, "urgent");
            commit_waits = true;
            ++parts;
        }
        return true;
    };
    t.w.run();
    CHECK(parts > 200);
    CHECK(t.laptop.commits() == 5);
    // What the turn that was under way still hands out, and no more.
    CHECK(parts_before_commit <= wire::blob_piece_bytes / small_chunk + 1);
}

TEST_CASE("hub: with a backlog there is no part of a blob", "[peer]") {
    pair_of_peers t;
    t.clone();
    const connection_id c = t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
    t.w.run();
    const blob_ref ref = write_blob(t.server, 1, content(300000));
    int parts = 0;
    t.w.meddle = [&](connection_id, bool, bytes& f) { return parts += is_part(f), true; };
    t.server.talk->set_backlog(c, wire::blob_piece_bytes);
    t.w.run();
    CHECK(parts == 0);
    t.server.write(1, "still comes");
    t.w.run();
    CHECK(t.laptop.commits() == 5);
    t.server.talk->set_backlog(c, 0);
    t.w.run();
    CHECK(t.laptop.blobs->is_whole(ref.id));
}

TEST_CASE("hub: only blobs that a commit of the CRDT names are served", "[peer]") {
    pair_of_peers t;
    const blob_ref secret = t.server.blobs->add(content(100), small_chunk);
    t.server.create("other", t.server.self);
    const blob_ref others = write_blob(t.server, 2, content(200));
    t.server.store->flush();
    t.clone();
    std::vector<wire::blob_have> answers;
    bool parts = false;
    for (const blob_ref& ref : {secret, others}) {
        const connection_id c = t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
        t.w.run();
        t.w.meddle = [&](connection_id, bool from_dialer, bytes& f) {
            if (from_dialer) return true;
            parts = parts || is_part(f);
            if (!wire::is_of_type(f, message_type::blob_have)) return true;
            answers.push_back(wire::read_blob_have(f));
            return false;
        };
        t.server.talk->received(c, encode(wire::blob_ask{1, ref.id, true, 0, 1}), t.w.now);
        t.w.run();
        t.w.meddle = nullptr;
        t.w.cut(c);
    }
    CHECK_FALSE(parts);
    REQUIRE(answers.size() == 2);
    for (const wire::blob_have& m : answers) CHECK((m.answer && m.chunks == 0));
}

TEST_CASE("hub: a wrong chunk ends the connection, and nothing of it is kept", "[peer]") {
    pair_of_peers t;
    const bytes data = content(9000);
    const blob_ref ref = write_blob(t.server, 1, data);
    int parts = 0;
    t.w.meddle = [&](connection_id, bool, bytes& f) {
        if (is_part(f) && ++parts == 4) f.back() ^= 1;
        return true;
    };
    t.clone();
    const hub_event* closed = t.w.last(t.laptop, hub_event::kind::closed);
    REQUIRE(closed);
    CHECK(closed->reason.find("chunk 2") != std::string::npos);
    CHECK(t.laptop.blobs->chunks_here(ref.id) == 2);
    CHECK(t.laptop.commits() == 4);
    t.w.meddle = nullptr;
    CHECK(sync(t.w, t.laptop, t.server).blob_bytes_in == data.size() - 2 * small_chunk);
    CHECK(read_all(t.laptop, ref.id) == data);
}

TEST_CASE("hub: parts and answers that nobody asked for end the connection", "[peer]") {
    const blob_id id = blob_id::from_bytes(bytes(32, 'x'));
    for (const bytes& frame : {encode(wire::blob_part{1, id, 0, 0, "data"}),
                               encode(wire::blob_part{1, id, std::nullopt, 0, "data"}),
                               encode(wire::blob_have{1, id, 0, true}),
                               encode(wire::blob_ask{7, id, true, 0, 1}),
                               encode(wire::blob_lack{7, true, 0})}) {
        pair_of_peers t;
        t.clone();
        const connection_id c = t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
        t.w.run();
        t.server.talk->received(c, frame, t.w.now);
        t.w.run();
        REQUIRE(t.w.last(t.server, hub_event::kind::closed));
        CHECK(t.w.last(t.server, hub_event::kind::closed)->code == errc::bad_input);
    }
}

TEST_CASE("hub: more asks for blobs than may wait end the connection", "[peer]") {
    pair_of_peers t;
    const blob_ref ref = write_blob(t.server, 1, content(9000));
    t.clone();
    const connection_id c = t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
    t.w.run();
    for (std::size_t i = 0; i <= wire::blob_asks_max; ++i)
        t.server.talk->received(c, encode(wire::blob_ask{1, ref.id, true, 0, 9}), t.w.now);
    t.w.run();
    REQUIRE(t.w.last(t.server, hub_event::kind::closed));
    CHECK(t.w.last(t.server, hub_event::kind::closed)->code == errc::limit);
}

TEST_CASE("hub: with a full disk commits go on, and blobs are tried again later", "[peer]") {
    pair_of_peers t;
    const bytes data = content(9000);
    const blob_ref ref = write_blob(t.server, 1, data);
    t.laptop.blobs->set_full(true);
    const connection_id c = t.w.dial(t.laptop, t.server, {{.remote = "shared", .live = true}});
    t.w.run();
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 1);
    CHECK(t.laptop.talk->counters(c).blobs_missing == 1);
    CHECK(t.laptop.store->mark(1, "status/blobs")->find("full") != std::string::npos);
    t.server.write(1, "goes on");
    t.w.run();
    CHECK(t.laptop.commits() == 5);
    CHECK_FALSE(t.laptop.blobs->is_whole(ref.id));

    t.laptop.blobs->set_full(false);
    t.w.now += 31000;
    t.w.run();
    CHECK(read_all(t.laptop, ref.id) == data);
    CHECK_FALSE(t.laptop.store->mark(1, "status/blobs"));
    CHECK(t.laptop.talk->counters(c).blobs_missing == 0);
}

TEST_CASE("hub: a lazy replica gets the blobs it asks for and no others", "[peer]") {
    pair_of_peers t;
    const blob_ref one = write_blob(t.server, 1, content(5000, 1));
    const blob_ref two = write_blob(t.server, 1, content(5000, 2));
    sync(t.w, t.laptop, t.server, {.remote = "shared", .lazy_blobs = true});
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 1);
    CHECK_FALSE(t.laptop.blobs->manifest(one.id));
    const want just_two{.handle = 1, .blobs = {two.id}};
    CHECK(sync(t.w, t.laptop, t.server, just_two).blob_bytes_in == 5000);
    CHECK(t.laptop.blobs->is_whole(two.id));
    CHECK_FALSE(t.laptop.blobs->is_whole(one.id));
    // It is remembered, until it is said otherwise.
    CHECK(sync(t.w, t.laptop, t.server).blobs_in == 0);
    CHECK(sync(t.w, t.laptop, t.server, {.handle = 1, .lazy_blobs = false}).blobs_in == 1);
    CHECK(t.laptop.blobs->is_whole(one.id));
}

TEST_CASE("hub: a blob that the peer has not is said to be missing, and comes when it has it",
          "[peer]") {
    replica_peer collector(1), relay(2), laptop(3);
    wires w;
    const bytes data = content(9000);
    collector.create("shared", collector.self);
    const blob_ref ref = write_blob(collector, 1, data, true);
    collector.store->flush();
    sync(w, relay, collector, {.remote = "shared"});
    CHECK(w.count(relay, hub_event::kind::caught_up) == 1);
    const connection_id c = w.dial(laptop, relay, {{.remote = "shared", .live = true}});
    w.run();
    CHECK(w.count(laptop, hub_event::kind::caught_up) == 1);
    CHECK(laptop.talk->counters(c).blobs_missing == 1);

    // The collector gets it from somewhere, the relay from the collector, the laptop from the
    // relay.
    collector.blobs->add(data, small_chunk);
    w.dial(relay, collector, {{.handle = 1, .live = true}});
    w.run();
    CHECK(read_all(relay, ref.id) == data);
    CHECK(read_all(laptop, ref.id) == data);
    CHECK(laptop.talk->counters(c).blobs_missing == 0);
}

TEST_CASE("hub: a blob that comes in the turn in which it is asked for is passed on", "[peer]") {
    replica_peer collector(1), relay(2), laptop(3);
    wires w;
    collector.create("shared", collector.self);
    collector.write_many(1, 2, "before");
    sync(w, relay, collector, {.remote = "shared"});
    sync(w, laptop, relay, {.remote = "shared"});
    // The ask is heard before the parts that the relay has asked for.
    w.dial(laptop, relay, {{.handle = 1, .live = true}});
    w.dial(relay, collector, {{.handle = 1, .live = true}});
    w.run();
    const blob_ref ref = write_blob(collector, 1, content(100));
    w.run();
    CHECK(relay.blobs->is_whole(ref.id));
    CHECK(laptop.blobs->is_whole(ref.id));
}

TEST_CASE("hub: a wish that only the peer's commits name is granted", "[peer]") {
    pair_of_peers t;
    sync(t.w, t.laptop, t.server, {.remote = "shared", .lazy_blobs = true});
    const blob_ref ref = write_blob(t.server, 1, content(5000));
    const blob_id unknown = blob_id::from_bytes(bytes(32, 'u'));
    const want wishes{.handle = 1, .blobs = {unknown, ref.id}};
    const connection_counters c = sync(t.w, t.laptop, t.server, wishes);
    CHECK(c.blobs_in == 1);
    CHECK(c.blobs_missing == 1);
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 2);
}

TEST_CASE("hub: a peer passes on the chunks that it has of a blob", "[peer]") {
    replica_peer collector(1), relay(2), laptop(3);
    wires w;
    const bytes data = content(9000);
    collector.create("shared", collector.self);
    const blob_ref ref = write_blob(collector, 1, data);
    collector.store->flush();
    int parts = 0;
    w.meddle = [&](connection_id, bool, bytes& f) { return !is_part(f) || ++parts <= 4; };
    const connection_id c = w.dial(relay, collector, {{.remote = "shared"}});
    w.run();
    w.cut(c);
    w.meddle = nullptr;
    REQUIRE(relay.blobs->chunks_here(ref.id) == 3);
    CHECK(sync(w, laptop, relay, {.remote = "shared"}).blob_bytes_in == 3 * small_chunk);
    const connection_counters rest = sync(w, laptop, collector);
    CHECK(rest.blob_bytes_in == data.size() - 3 * small_chunk);
    CHECK(read_all(laptop, ref.id) == data);
}

TEST_CASE("hub: a blob is fetched over one connection, and over another if that one breaks",
          "[peer]") {
    replica_peer one(1), two(2), laptop(3);
    wires w;
    const bytes data = content(9000);
    one.create("shared", one.self);
    const blob_ref ref = write_blob(one, 1, data);
    one.store->flush();
    sync(w, two, one, {.remote = "shared"});
    sync(w, laptop, one, {.remote = "shared", .lazy_blobs = true});
    laptop.store->put_mark(1, lazy_blobs_mark, std::nullopt);
    laptop.store->flush();

    std::map<connection_id, int> parts;
    connection_id slow = 0;
    w.meddle = [&](connection_id c, bool from_dialer, bytes& f) {
        if (from_dialer) return true;
        if (is_part(f)) {
            ++parts[c];
            if (slow == 0) slow = c;
        }
        return c != slow || parts[c] <= 4;
    };
    w.dial(laptop, one, {{.handle = 1, .live = true}});
    w.dial(laptop, two, {{.handle = 1, .live = true}});
    w.run();
    CHECK(parts.size() == 1);
    CHECK_FALSE(laptop.blobs->is_whole(ref.id));
    w.cut(slow);
    w.run();
    CHECK(parts.size() == 2);
    CHECK(read_all(laptop, ref.id) == data);
}

TEST_CASE("hub: a peer that does not answer is asked no more", "[peer]") {
    pair_of_peers t;
    const blob_ref ref = write_blob(t.server, 1, content(9000));
    const connection_id c = t.w.dial(t.laptop, t.server, {{.remote = "shared", .live = true}});
    t.w.meddle = [](connection_id, bool, bytes& f) {
        return !is_part(f) && !wire::is_of_type(f, message_type::blob_have);
    };
    t.w.run();
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 0);
    for (int i = 0; i < 14; ++i) {
        t.w.now += 5000;
        t.laptop.talk->tick(t.w.now);
        t.server.talk->tick(t.w.now);
        t.w.run();
    }
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 1);
    CHECK(t.laptop.talk->counters(c).blobs_missing == 1);
    CHECK_FALSE(t.laptop.blobs->is_whole(ref.id));
}

TEST_CASE("hub: many small blobs do not cost a round trip each", "[peer]") {
    pair_of_peers t;
    std::vector<blob_ref> refs;
    for (unsigned i = 0; i < 100; ++i) refs.push_back(write_blob(t.server, 1, content(100, i + 7)));
    int turns_with_asks = 0;
    bool asked = false;
    t.w.meddle = [&](connection_id, bool from_dialer, bytes& f) {
        if (from_dialer && wire::is_of_type(f, message_type::blob_ask)) asked = true;
        if (!from_dialer) turns_with_asks += std::exchange(asked, false) ? 1 : 0;
        return true;
    };
    t.clone();
    for (const blob_ref& ref : refs) CHECK(t.laptop.blobs->is_whole(ref.id));
    CHECK(turns_with_asks <= 5);
}

TEST_CASE("hub: a damaged chunk is not served; it is fetched again from who has it", "[peer]") {
    pair_of_peers t;
    const bytes data = content(9000);
    const blob_ref ref = write_blob(t.server, 1, data);
    t.clone();
    t.server.blobs->damage(ref.id, 3);
    replica_peer third(3);
    CHECK(sync(t.w, third, t.server, {.remote = "shared"}).blobs_missing == 1);
    CHECK(third.blobs->chunks_here(ref.id) == 8);
    CHECK(t.server.store->blobs(1).next_lacking({}));
    CHECK(sync(t.w, t.server, t.laptop).blob_bytes_in == small_chunk);
    CHECK(read_all(t.server, ref.id) == data);
}

TEST_CASE("hub: what is found damaged is fetched over the connections there are", "[peer]") {
    for (const bool fails : {false, true}) {
        INFO("the next flush fails: " << fails);
        pair_of_peers t;
        const bytes data = content(9000);
        const blob_ref ref = write_blob(t.server, 1, data);
        t.clone();
        replica_peer third(3);
        t.server.blobs->damage(ref.id, 3);
        // The one that asks comes before the one that has it.
        t.w.dial(third, t.server, {{.remote = "shared", .live = true}});
        bool found = false;
        t.w.meddle = [&](connection_id, bool from_dialer, bytes& f) {
            if (from_dialer || !wire::is_of_type(f, message_type::blob_have)) return true;
            if (!std::exchange(found, true) && fails) t.server.db->fail_at(1);
            return true;
        };
        t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
        if (fails) CHECK_THROWS_AS(t.w.run(), error);
        t.server.db->fail_at(0);
        t.w.run();
        t.w.turn(t.server);
        t.w.run();
        CHECK(found);
        CHECK(read_all(t.server, ref.id) == data);
        CHECK(read_all(third, ref.id) == data);
    }
}

TEST_CASE("hub: a commit that lies about the size of its blob makes nobody fetch it", "[peer]") {
    pair_of_peers t;
    blob_ref ref = t.server.blobs->add(content(9000), small_chunk);
    ref.size = 10;
    const std::vector<blob_ref> refs{ref};
    const std::vector<bytes> ops{op_of("lies")};
    t.server.store->append(1, t.server.self, ops, 1000, std::nullopt, blobs_ext(refs));
    t.server.talk->staged(1);
    CHECK(t.clone().blobs_missing == 1);
    CHECK_FALSE(t.laptop.blobs->manifest(ref.id));
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 1);
}

TEST_CASE("hub: a blob that two CRDTs name is fetched once", "[peer]") {
    pair_of_peers t;
    t.server.create("other", identity_of(1));
    const bytes data = content(9000);
    write_blob(t.server, 1, data);
    genesis g;
    g.name = "second";
    g.owners = {t.server.self.key()};
    g.open_write = true;
    g.nonce = bytes(16, 'm');
    const crdt_handle h = t.server.store->add(sign(g, t.server.self), "second");
    write_blob(t.server, h, data);
    t.server.store->flush();
    const connection_id c =
        t.w.dial(t.laptop, t.server, {{.remote = "shared"}, {.remote = "second"}});
    t.w.run();
    CHECK(t.w.count(t.laptop, hub_event::kind::caught_up) == 2);
    CHECK(t.laptop.talk->counters(c).blob_bytes_in == data.size());
    for (const crdt_handle each : t.laptop.store->list())
        CHECK_FALSE(t.laptop.store->blobs(each).next_lacking({}));
}
