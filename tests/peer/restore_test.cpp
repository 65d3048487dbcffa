/// A store that was restored from a backup: it may not write before it has what it wrote since.
#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

std::unique_ptr<memory_kv> copy_of(const kv& from) {
    auto to = make_memory_kv();
    kv_batch all;
    const auto at = from.cursor();
    for (at->seek({}); at->valid(); at->next()) all.put(bytes(at->key()), bytes(at->val()));
    to->write(all, true);
    return to;
}

void restore(replica_peer& p, const kv& backup) {
    p.talk.reset();
    p.store.reset();
    p.db = copy_of(backup);
    p.open();
}

errc code_of_writing(replica_peer& p) {
    try {
        p.write(1, "again");
    } catch (const error& e) {
        CHECK(std::string(e.what()).find("trib sync notes") != std::string::npos);
        return e.code();
    }
    return errc{};
}

/// `hub` and `laptop` have the same, a backup of the laptop is made, the laptop writes on and
/// syncs.
struct restored_laptop {
    replica_peer collector{1}, laptop{2};
    wires w;
    std::unique_ptr<memory_kv> backup;

    explicit restored_laptop(int lost = 5) {
        collector.create("notes", collector.self);
        collector.write_many(1, 3, "c");
        sync(w, laptop, collector, {.remote = "notes"});
        laptop.write_many(1, 2, "before");
        sync(w, laptop, collector);
        backup = copy_of(*laptop.db);
        for (int i = 0; i < lost; ++i) {
            laptop.write_many(1, 1, "lost");
            sync(w, laptop, collector);
        }
    }
};

}  // namespace

TEST_CASE("restore: who dials hears of its own commits before it has them", "[peer]") {
    hub_options one_by_one;
    one_by_one.chunk_commits = 1;
    restored_laptop p;
    p.collector.options = one_by_one;
    p.collector.open();
    restore(p.laptop, *p.backup);
    // Until a peer has shown it, nobody can know.
    CHECK_FALSE(p.laptop.store->awaited(1, p.laptop.self.key()));

    int chunks = 0;
    p.w.meddle = [&](connection_id, bool from_dialer, bytes& frame) {
        return from_dialer || !wire::is_of_type(frame, wire::message_type::chunk) || ++chunks <= 2;
    };
    sync(p.w, p.laptop, p.collector);
    REQUIRE(p.laptop.commits() < p.collector.commits());
    const auto awaited = p.laptop.store->awaited(1, p.laptop.self.key());
    REQUIRE(awaited);
    CHECK(awaited->seq == 7);
    CHECK(awaited->shown_by == p.collector.self.key());
    CHECK(code_of_writing(p.laptop) == errc::conflict);
    // It is durable.
    p.laptop.open();
    CHECK(code_of_writing(p.laptop) == errc::conflict);

    p.w.meddle = nullptr;
    sync(p.w, p.laptop, p.collector);
    CHECK(p.laptop.heads() == p.collector.heads());
    CHECK_FALSE(p.laptop.store->awaited(1, p.laptop.self.key()));
    p.laptop.write_many(1, 1, "on");
    sync(p.w, p.laptop, p.collector);
    CHECK(p.collector.heads() == p.laptop.heads());
    CHECK(p.collector.store->equivocations(1).empty());
}

TEST_CASE("restore: who is dialed hears of its own commits", "[peer]") {
    restored_laptop p;
    // The collector dials from now on, and has a cursor into the log that is lost.
    sync(p.w, p.collector, p.laptop);
    restore(p.laptop, *p.backup);
    p.w.meddle = [&](connection_id, bool, bytes& frame) {
        return !wire::is_of_type(frame, wire::message_type::chunk);
    };
    sync(p.w, p.collector, p.laptop);
    REQUIRE(p.laptop.store->awaited(1, p.laptop.self.key()));
    CHECK(code_of_writing(p.laptop) == errc::conflict);
    p.w.meddle = nullptr;
    sync(p.w, p.collector, p.laptop);
    CHECK(p.laptop.heads() == p.collector.heads());
    CHECK(code_of_writing(p.laptop) == errc{});
}

TEST_CASE("restore: what was written before a peer could tell is a fork, and told", "[peer]") {
    restored_laptop p;
    restore(p.laptop, *p.backup);
    p.laptop.write_many(1, 2, "other");
    // Through a third peer, which has it all from the collector.
    replica_peer relay(3);
    sync(p.w, relay, p.collector, {.remote = "notes"});
    sync(p.w, p.laptop, relay);
    sync(p.w, relay, p.collector);
    CHECK(p.laptop.heads().size() == 2);
    CHECK(p.laptop.heads() == p.collector.heads());
    CHECK(p.laptop.store->equivocations(1).size() == 2);
    CHECK(p.collector.store->equivocations(1).size() == 2);
    // The chain goes on after the longer branch.
    p.laptop.write(1, "on");
    p.laptop.store->flush();
    const auto newest = p.laptop.store->newest_of(1, p.laptop.self.key());
    CHECK(decode_header(newest->header).seq == 8);
}

TEST_CASE("restore: a peer that lost it as well does not stop writing for ever", "[peer]") {
    restored_laptop p;
    const auto early = copy_of(*p.collector.db);
    p.laptop.write_many(1, 3, "late");
    sync(p.w, p.laptop, p.collector);
    restore(p.laptop, *p.backup);
    p.w.meddle = [&](connection_id, bool, bytes& frame) {
        return !wire::is_of_type(frame, wire::message_type::chunk);
    };
    sync(p.w, p.laptop, p.collector);
    REQUIRE(p.laptop.store->awaited(1, p.laptop.self.key()));
    p.w.meddle = nullptr;
    restore(p.collector, *early);
    sync(p.w, p.laptop, p.collector);
    CHECK(p.laptop.heads() == p.collector.heads());
    CHECK(code_of_writing(p.laptop) == errc{});
}

TEST_CASE("restore: only a commit that this identity has signed counts", "[peer]") {
    restored_laptop p;
    restore(p.laptop, *p.backup);
    const auto newest = p.collector.store->newest_of(1, p.laptop.self.key());
    REQUIRE(newest);
    commit_store& store = *p.laptop.store;
    const public_key& peer = p.collector.self.key();
    CHECK_THROWS_AS(store.await(1, newest->header, signature::from_bytes(bytes(64, 's')), peer),
                    error);
    const auto of_other = p.collector.store->newest_of(1, peer);
    store.await(1, of_other->header, *of_other->sig, peer);
    CHECK_FALSE(store.awaited(1, p.laptop.self.key()));

    // On the wire: of another key, or twice, ends the connection.
    for (const bool twice : {false, true}) {
        const connection_id c = p.w.dial(p.laptop, p.collector, {{.handle = 1}});
        p.w.run();
        const auto& shown = twice ? newest : of_other;
        const bytes frame = encode(wire::yours{1, shown->header, *shown->sig});
        p.laptop.talk->received(c, frame, p.w.now);
        if (twice) p.laptop.talk->received(c, frame, p.w.now);
        p.w.run();
        CHECK(p.w.last(p.laptop, hub_event::kind::closed)->code == errc::bad_input);
    }
}
