/// Replicas that begin above a cut, among each other and with whole ones.
#include "tributary/crdt/authority.hpp"
#include "tributary/store/deepen.hpp"

#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

using measure = history_part::measure;

want last(std::uint64_t n) {
    want w;
    w.remote = "tweets";
    w.part = history_part{measure::depth, n};
    return w;
}

std::vector<std::string> problems(const replica_peer& p, crdt_handle h = 1) {
    std::vector<std::string> found;
    p.store->verify(h, [&](const std::string& text) { found.push_back(text); }, {});
    return found;
}

/// A server with `n` commits in a row, and a laptop with the last `depth` of them.
struct cut_off {
    cut_off(int n, std::uint64_t depth) {
        server.create("tweets", server.self);
        server.write_many(1, n, "s ");
        clone(laptop, server, depth);
    }
    connection_counters clone(replica_peer& to, replica_peer& from, std::uint64_t depth) {
        return sync(w, to, from, last(depth));
    }
    void require_alike(const replica_peer& a, const replica_peer& b) {
        CHECK(a.heads() == b.heads());
        CHECK(problems(a).empty());
        CHECK(problems(b).empty());
    }

    wires w;
    replica_peer server{1}, laptop{2};
};

}  // namespace

TEST_CASE("partial: a clone of the last commits, and both go on", "[peer]") {
    cut_off t(50, 10);
    CHECK(t.laptop.commits() == 10);
    CHECK(t.laptop.store->state(1).below == 40);
    t.require_alike(t.server, t.laptop);

    t.server.write_many(1, 2, "more ");
    t.laptop.write_many(1, 1, "mine ");
    const connection_counters both = sync(t.w, t.laptop, t.server);
    CHECK(both.commits_in == 2);
    CHECK(both.commits_out == 1);
    CHECK(both.round_trips == 1);
    t.require_alike(t.server, t.laptop);
    const connection_counters none = sync(t.w, t.laptop, t.server);
    CHECK(none.commits_in + none.commits_out == 0);
    CHECK(none.control_bytes <= 500);
}

TEST_CASE("partial: as much as there is, is all", "[peer]") {
    const cut_off t(5, 5);
    CHECK(t.laptop.commits() == 5);
    CHECK_FALSE(t.laptop.store->state(1).below);
}

TEST_CASE("partial: old heads are there, whatever the depth", "[peer]") {
    wires w;
    replica_peer server(1), laptop(2);
    server.create("tweets", server.self);
    server.write_many(1, 3, "s ");
    const commit_id old = server.store->entry(1, 2).id;
    server.write_on(1, {old}, "aside");
    const commit_id main = server.store->entry(1, 3).id;
    server.write_on(1, {main}, "on");
    server.write_many(1, 30, "more ");
    sync(w, laptop, server, last(5));
    CHECK(laptop.heads() == server.heads());
    CHECK(laptop.commits() == 6);
    CHECK(problems(laptop).empty());
}

TEST_CASE("partial: an interrupted clone goes on", "[peer]") {
    wires w;
    hub_options small;
    small.chunk_commits = 2;
    small.window_bytes = 600;
    replica_peer server(1, small), laptop(2, small);
    server.create("tweets", server.self);
    server.write_many(1, 60, "s ");
    const connection_id c = w.dial(laptop, server, {last(40)});
    for (int i = 0; i < 12; ++i) {
        w.turn(laptop);
        w.turn(server);
        w.deliver(c, true);
        w.deliver(c, false);
    }
    w.turn(laptop);
    w.cut(c);
    w.turn(laptop);
    REQUIRE(laptop.commits() > 0);
    REQUIRE(laptop.commits() < 40);
    laptop.open();
    sync(w, laptop, server);
    CHECK(laptop.commits() == 40);
    CHECK(laptop.heads() == server.heads());
    CHECK(problems(laptop).empty());
}

TEST_CASE("partial: who has nothing gets what a partial one has", "[peer]") {
    cut_off t(50, 10);
    replica_peer phone(3);
    want all;
    all.remote = "tweets";
    sync(t.w, phone, t.laptop, all);
    CHECK(phone.commits() == 10);
    CHECK(phone.store->state(1).below == 40);
    t.require_alike(phone, t.laptop);
    phone.write_many(1, 2, "p ");
    sync(t.w, phone, t.laptop);
    t.require_alike(phone, t.laptop);
    sync(t.w, t.laptop, t.server);
    t.require_alike(t.server, t.laptop);
    // And of that a part again; then it meets the one that has all.
    replica_peer watch(4);
    t.clone(watch, phone, 3);
    CHECK(watch.commits() == 3);
    CHECK(watch.store->state(1).below == 49);
    watch.write_many(1, 1, "w ");
    const connection_counters counted = sync(t.w, watch, t.server);
    CHECK(counted.commits_in == 0);
    CHECK(counted.commits_out == 1);
    t.require_alike(t.server, watch);
}

TEST_CASE("partial: one that lacks what is below is told so, and nothing changes", "[peer]") {
    cut_off t(10, 10);  // a whole one, of long ago
    t.server.write_many(1, 40, "more ");
    replica_peer phone(3);
    t.clone(phone, t.server, 5);
    phone.write_many(1, 1, "p ");
    const auto refusal = [&](replica_peer& from, replica_peer& to) {
        const std::uint64_t before = from.commits() + to.commits();
        const connection_id c = t.w.dial(from, to, {{.handle = 1}});
        t.w.run();
        const hub_event* end = t.w.last(from, hub_event::kind::closed);
        REQUIRE(end != nullptr);
        CHECK(end->code == errc::conflict);
        CHECK(from.commits() + to.commits() == before);
        t.w.cut(c);
        return end->reason;
    };
    CHECK(refusal(phone, t.laptop).find("\"tweets\" here is partial") != std::string::npos);
    CHECK(refusal(t.laptop, phone).find("peer's replica of \"tweets\"") != std::string::npos);
    sync(t.w, t.laptop, t.server);
    sync(t.w, phone, t.laptop);
    t.require_alike(phone, t.laptop);
}

TEST_CASE("partial: with another whole one, without a cursor", "[peer]") {
    cut_off t(50, 10);
    replica_peer other(3);
    want all;
    all.remote = "tweets";
    other.write_many(other.create("tweets", t.server.self), 3, "o ");  // another order
    sync(t.w, other, t.server);
    SECTION("the partial one dials, both have news") {
        t.laptop.write_many(1, 2, "l ");
        sync(t.w, t.laptop, other);
    }
    SECTION("the whole one dials, both have news") {
        t.laptop.write_many(1, 2, "l ");
        sync(t.w, other, t.laptop);
    }
    SECTION("only the partial one has") {
        sync(t.w, t.laptop, t.server);
        t.laptop.write_many(1, 2, "l ");
        const connection_counters counted = sync(t.w, t.laptop, other);
        CHECK(counted.commits_out <= 2);
    }
    CHECK(t.laptop.heads() == other.heads());
    CHECK(problems(t.laptop).empty());
    CHECK(problems(other).empty());
    // What other wrote has no root below the cut: it comes whole. Nothing else does.
    CHECK(t.laptop.commits() <= 10 + 3 + 2);
}

TEST_CASE("partial: a branch from below the cut goes on", "[peer]") {
    cut_off t(50, 10);
    const commit_id old = t.server.store->entry(1, 20).id;
    const bool by_server = GENERATE(true, false);
    replica_peer late(3);
    if (by_server) {
        t.server.write_on(1, {old}, "late");
        t.server.store->flush();
        sync(t.w, t.laptop, t.server);
    } else {
        // From one that was cloned whole, and stands in another order.
        want all;
        all.remote = "tweets";
        sync(t.w, late, t.server, all);
        late.write_on(1, {old}, "late");
        late.store->flush();
        sync(t.w, t.laptop, late);
    }
    CHECK(t.laptop.commits() == 11);
    CHECK(t.laptop.heads().size() == 2);
    CHECK(problems(t.laptop).empty());
    CHECK(t.laptop.store->is_below(1, old));
    // It merges, and that reaches the whole one.
    t.laptop.write_on(1, t.laptop.heads(), "merged");
    t.laptop.store->flush();
    sync(t.w, t.laptop, t.server);
    t.require_alike(t.server, t.laptop);
    CHECK(t.server.heads().size() == 1);
}

TEST_CASE("partial: a deeper and a shallower one", "[peer]") {
    cut_off t(50, 30);
    replica_peer phone(3);
    t.clone(phone, t.server, 10);
    phone.write_many(1, 1, "p ");
    t.laptop.write_many(1, 1, "l ");
    SECTION("the shallower dials") { sync(t.w, phone, t.laptop); }
    SECTION("the deeper dials") { sync(t.w, t.laptop, phone); }
    t.require_alike(phone, t.laptop);
    CHECK(phone.commits() == 12);
    CHECK(t.laptop.commits() == 32);
}

TEST_CASE("partial: live commits go through", "[peer]") {
    cut_off t(50, 10);
    replica_peer phone(3);
    want live = last(5);
    live.live = true;
    const connection_id a = t.w.dial(t.laptop, t.server, {{.handle = 1, .live = true}});
    const connection_id b = t.w.dial(phone, t.laptop, {live});
    t.w.run();
    t.server.write(1, "s");
    t.w.run();
    phone.write(1, "p");
    t.w.run();
    CHECK(t.server.commits() == 52);
    CHECK(t.laptop.commits() == 12);
    CHECK(phone.commits() == 7);
    CHECK(phone.heads() == t.server.heads());
    t.w.cut(a);
    t.w.cut(b);
}

TEST_CASE("several: one CRDT that is not there keeps no other back", "[peer]") {
    wires w;
    replica_peer server(1), laptop(2);
    server.create("tweets", server.self);
    server.create("notes", server.self);
    server.write_many(1, 3, "t ");
    server.write_many(2, 4, "n ");
    std::vector<want> wants(3);
    wants[0].remote = "tweets";
    wants[1].remote = "nothing";
    wants[2].remote = "notes";
    const connection_id c = w.dial(laptop, server, wants);
    w.run();
    CHECK(w.count(laptop, hub_event::kind::caught_up) == 2);
    CHECK(w.count(laptop, hub_event::kind::closed) == 0);
    const hub_event* refused = w.last(laptop, hub_event::kind::refused);
    REQUIRE(refused != nullptr);
    CHECK(refused->want == 1);
    CHECK(refused->code == errc::not_found);
    CHECK(refused->reason.find("\"nothing\"") != std::string::npos);
    CHECK(w.last(laptop, hub_event::kind::caught_up)->commits_in > 0);
    CHECK(laptop.store->list().size() == 2);
    w.cut(c);
}

TEST_CASE("several: a large clone does not keep a small subscription waiting", "[peer]") {
    wires w;
    hub_options o;
    o.chunk_commits = 5;
    o.window_bytes = 1u << 20;
    replica_peer server(1, o), laptop(2, o);
    server.create("large", server.self);
    server.create("small", server.self);
    server.write_many(1, 2000, "l ");
    server.write_many(2, 1, "s ");
    std::vector<want> wants(2);
    wants[0].remote = "large";
    wants[1].remote = "small";
    std::size_t large_chunks_before = 0;
    bool small_seen = false;
    w.meddle = [&](connection_id, bool from_dialer, bytes& frame) {
        if (from_dialer || !wire::is_of_type(frame, wire::message_type::chunk)) return true;
        std::vector<commit> commits;
        const wire::chunk_head head = wire::read_chunk(frame, commits);
        if (head.sub == 2) small_seen = true;
        if (head.sub == 1 && !small_seen) ++large_chunks_before;
        return true;
    };
    const connection_id c = w.dial(laptop, server, wants);
    w.run();
    CHECK(small_seen);
    CHECK(large_chunks_before <= 1);
    CHECK(w.count(laptop, hub_event::kind::caught_up) == 2);
    w.cut(c);
}

namespace {

/// A deepening of CRDT 1 of `p`, as far as the hub goes; what came, or nothing if it was refused.
struct deepened {
    deepened(wires& w, replica_peer& p, replica_peer& from, history_part part) {
        want older;
        older.remote = address_of(p.store->state(1).id);
        older.handle = 1;
        older.part = part;
        older.deepens = true;
        older.until = needed_below(*p.store, 1);
        costs = sync(w, p, from, std::move(older));
        made = p.store->beside(1).value();
    }
    /// Puts what is in CRDT 1 behind it, and it in its place.
    void finish(replica_peer& p) {
        for (node next = 1; next <= p.commits();) next = copy_above(*p.store, 1, made, next);
        p.talk->removing(1, errc::unavailable, "deeper now");
        p.store->take_place(made, 1);
        p.store->flush();
    }
    connection_counters costs;
    crdt_handle made = 0;
};

/// The same commits, heads, order and cut as in a clone of that depth, whatever came first.
void require_same(const replica_peer& p, crdt_handle h, const replica_peer& fresh) {
    CHECK(p.heads(h) == fresh.heads());
    CHECK(p.commits(h) == fresh.commits());
    CHECK(p.store->state(h).below == fresh.store->state(1).below);
    const auto linear = [](const replica_peer& of, crdt_handle crdt) {
        std::vector<commit_id> order;
        for (std::uint64_t at = 0; at < of.store->state(crdt).linear_length; ++at)
            order.push_back(of.store->entry(crdt, of.store->linear_at(crdt, at).number).id);
        return order;
    };
    CHECK(linear(p, h) == linear(fresh, 1));
    CHECK(problems(p, h).empty());
}

}  // namespace

TEST_CASE("deepen: then it is as if it had been cloned so", "[peer]") {
    cut_off t(50, 10);
    const auto part = GENERATE(history_part{measure::depth, 30}, history_part{});
    deepened d(t.w, t.laptop, t.server, part);
    const std::uint64_t missing = part.by == measure::all ? 40 : 20;
    CHECK(d.costs.commits_in == missing);
    CHECK(d.costs.commits_out == 0);
    CHECK(d.costs.round_trips == 1);
    CHECK(t.laptop.store->list() == std::vector<crdt_handle>{1});
    CHECK(t.laptop.commits() == 10);
    d.finish(t.laptop);
    REQUIRE(t.laptop.store->list() == std::vector{d.made});
    CHECK(t.laptop.store->state(d.made).name == "tweets");
    replica_peer fresh(3);
    sync(t.w, fresh, t.server, last(part.by == measure::all ? 50 : 30));
    require_same(t.laptop, d.made, fresh);
    // Both go on; the cursor in the peer's log is still good.
    t.server.write_many(1, 2, "more ");
    t.laptop.write_many(d.made, 1, "mine ");
    const connection_counters both = sync(t.w, t.laptop, t.server, {.handle = d.made});
    CHECK(both.commits_in == 2);
    CHECK(both.commits_out == 1);
    CHECK(t.laptop.heads(d.made) == t.server.heads());
    CHECK(problems(t.server).empty());
}

TEST_CASE("deepen: what is here and nowhere else stays", "[peer]") {
    cut_off t(50, 10);
    t.laptop.write_many(1, 3, "mine ");
    const commit_id current = t.laptop.store->state(1).current.value();
    t.laptop.store->put_mark(1, "source", bytes("offset"));
    deepened d(t.w, t.laptop, t.server, {measure::depth, 30});
    t.laptop.write_many(1, 1, "meanwhile ");
    t.server.write_many(1, 1, "there ");
    d.finish(t.laptop);
    CHECK(t.laptop.commits(d.made) == 34);
    CHECK(t.laptop.store->find(d.made, current));
    CHECK(t.laptop.store->mark(d.made, "source") == bytes("offset"));
    CHECK_FALSE(t.laptop.store->mark(d.made, part_mark));
    CHECK(problems(t.laptop, d.made).empty());
    sync(t.w, t.laptop, t.server, {.handle = d.made});
    CHECK(t.laptop.heads(d.made) == t.server.heads());
    CHECK(t.server.commits() == 55);
}

TEST_CASE("deepen: broken off, it goes on, and so after the process was", "[peer]") {
    wires w;
    hub_options small;
    small.chunk_commits = 2;
    small.window_bytes = 600;
    replica_peer server(1, small), laptop(2, small);
    server.create("tweets", server.self);
    server.write_many(1, 60, "s ");
    sync(w, laptop, server, last(10));
    want older;
    older.remote = address_of(server.store->state(1).id);
    older.handle = 1;
    older.part = history_part{};
    older.deepens = true;
    older.until = needed_below(*laptop.store, 1);
    const connection_id c = w.dial(laptop, server, {older});
    for (int i = 0; i < 12; ++i) {
        w.turn(laptop);
        w.turn(server);
        w.deliver(c, true);
        w.deliver(c, false);
    }
    w.turn(laptop);
    w.cut(c);
    w.turn(laptop);
    const crdt_handle made = laptop.store->beside(1).value();
    const std::uint64_t before = laptop.commits(made);
    REQUIRE(before > 0);
    REQUIRE(before < 50);
    laptop.open();
    REQUIRE(laptop.store->beside(1) == made);
    CHECK(laptop.store->mark(made, part_mark) == text_of(history_part{}));
    older.handle = made;
    older.part.reset();
    const connection_counters rest = sync(w, laptop, server, older);
    CHECK(rest.commits_in == 50 - before);
    CHECK(rest.commits_out == 0);
    for (node next = 1; next <= laptop.commits();) next = copy_above(*laptop.store, 1, made, next);
    laptop.store->take_place(made, 1);
    laptop.store->flush();
    CHECK(laptop.heads(made) == server.heads());
    CHECK(laptop.commits(made) == 60);
    CHECK(problems(laptop, made).empty());
}

TEST_CASE("deepen: from another whole one, in whose log all stands elsewhere", "[peer]") {
    cut_off t(50, 10);
    replica_peer other(3);
    want all;
    all.remote = "tweets";
    other.write_many(other.create("tweets", t.server.self), 3, "o ");
    sync(t.w, other, t.server);
    deepened d(t.w, t.laptop, other, {});
    CHECK(d.costs.commits_out == 0);
    // A chunk ends where the sender has a signature: here that of the last.
    CHECK(d.costs.commits_in == 53);
    d.finish(t.laptop);
    sync(t.w, t.laptop, other, {.handle = d.made});
    CHECK(t.laptop.heads(d.made) == other.heads());
    CHECK(t.laptop.commits(d.made) == 53);
    CHECK(problems(t.laptop, d.made).empty());
}

TEST_CASE("deepen: branches, heads and a late one from below the cut", "[peer]") {
    wires w;
    replica_peer server(1), laptop(2), helper(3);
    server.create("tweets", server.self);
    server.write_many(1, 5, "s ");
    const commit_id fork = server.store->entry(1, 2).id, main = server.store->entry(1, 5).id;
    server.write_on(1, {fork}, "aside");  // stays a head
    server.write_on(1, {main}, "on");
    server.write_many(1, 20, "more ");
    want all;
    all.remote = "tweets";
    sync(w, helper, server, all);
    helper.write_many(1, 3, "h ");
    sync(w, helper, server);
    sync(w, laptop, server, last(4));
    server.write_on(1, {server.store->entry(1, 9).id}, "late");
    server.store->flush();
    sync(w, laptop, server);
    REQUIRE(laptop.store->state(1).below);
    const auto part = GENERATE(history_part{measure::depth, 12}, history_part{});
    deepened d(w, laptop, server, part);
    d.finish(laptop);
    CHECK(laptop.heads(d.made) == server.heads());
    CHECK(problems(laptop, d.made).empty());
    if (part.by == measure::all) {
        CHECK(laptop.commits(d.made) == server.commits());
        CHECK_FALSE(laptop.store->state(d.made).below);
    }
    laptop.write_on(d.made, laptop.heads(d.made), "joined");
    laptop.store->flush();
    sync(w, laptop, server, {.handle = d.made});
    CHECK(server.heads() == laptop.heads(d.made));
    CHECK(problems(server).empty());
}

TEST_CASE("deepen: grants and revocations from below count as before", "[peer]") {
    wires w;
    replica_peer server(1), laptop(2);
    const crdt_handle h = server.store->add(genesis_by(server.self, "tweets", false), "tweets");
    const auto says = [&](value ext) {
        server.store->append(h, server.self, {}, 1000, std::nullopt, std::move(ext));
        server.talk->staged(h);
        server.store->flush();
    };
    server.write_many(h, 3, "s ");
    says(grant_ext(laptop.self.key(), "ann"));
    server.write_many(h, 20, "more ");
    sync(w, laptop, server, last(5));
    laptop.write_many(1, 2, "mine ");
    deepened d(w, laptop, server, {});
    d.finish(laptop);
    CHECK(laptop.store->author_name(d.made, laptop.self.key()) ==
          std::optional<std::string>("ann"));
    CHECK(problems(laptop, d.made).empty());
    laptop.write_many(d.made, 1, "mine again ");
    sync(w, laptop, server, {.handle = d.made});
    CHECK(server.heads() == laptop.heads(d.made));
    CHECK(problems(server).empty());
}

TEST_CASE("deepen: a replica and what is made beside it go together", "[peer]") {
    cut_off t(50, 10);
    const deepened d(t.w, t.laptop, t.server, {measure::depth, 30});
    CHECK_THROWS_AS(t.laptop.store->add_beside(1, nullptr), error);
    CHECK_FALSE(t.laptop.store->find_name(""));
    CHECK(t.laptop.store->find_id(t.server.store->state(1).id) == crdt_handle{1});
    t.laptop.store->remove(1);
    t.laptop.store->flush();
    CHECK_FALSE(t.laptop.store->exists(d.made));
    CHECK(t.laptop.store->list().empty());
}
