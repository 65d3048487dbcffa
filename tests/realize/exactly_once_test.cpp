// Every op is in the target once, in the order of the log, whatever merges, power cuts and second
// realizers do.

#include "realize/support.hpp"
#include <random>

namespace tributary::test {

namespace {

using names = std::vector<std::string>;

/// Commits of random ops on random parents, merges in random order, moves of the current head.
class random_history : public history {
public:
    explicit random_history(std::uint64_t seed) : random_(seed) {
        tips_.push_back(add(random_ops()));
    }

    void step() {
        const auto heads = store.state(handle).heads;
        const std::uint64_t dice = below(random_, 10);
        if (heads.size() > 1 && dice < 4) {
            merge();
        } else if (dice < 8) {
            tips_.push_back(add(random_ops()));
        } else if (dice < 9) {
            const std::size_t back = std::min<std::size_t>(tips_.size(), 5);
            tips_.push_back(
                add(random_ops(), std::vector{tips_[tips_.size() - 1 - below(random_, back)]}));
        } else {
            store.set_current(handle, heads[below(random_, heads.size())]);
        }
    }

    /// Joins all heads, in any order.
    void merge() {
        auto heads = store.state(handle).heads;
        std::shuffle(heads.begin(), heads.end(), random_);
        tips_.push_back(add(random_ops(), heads));
    }

    bool has_conflict() const { return store.state(handle).heads.size() > 1; }

private:
    std::string number() { return std::to_string(below(random_, 4)); }

    std::vector<bytes> random_ops() {
        std::vector<bytes> ops;
        for (std::uint64_t i = below(random_, 4); i > 0; --i) {
            const std::string item = "{\"item\" " + number();
            switch (below(random_, 8)) {
                case 0:
                    ops.push_back(op_of("drop", item + "}"));
                    break;
                case 1:
                    ops.push_back(op_of("untag", item + " \"tag\" \"t" + number() + "\"}"));
                    break;
                case 2:
                case 3:
                    ops.push_back(op_of(
                        "tag",
                        item + " \"tags\" [\"t" + number() + "\" \"word " + number() + "\"]}"));
                    break;
                case 4:
                    ops.push_back(op_of("link", item + " \"next\" " + number() + "}"));
                    break;
                default:
                    ops.push_back(
                        op_of("put", item + " \"value\" " + std::to_string(++value_) + "}"));
            }
        }
        return ops;
    }

    random_source random_;
    std::vector<commit_id> tips_;
    int value_ = 0;
};

fold_functions<names> remember_all() {
    fold_functions<names> functions;
    for (const char* name : {"put", "tag", "untag", "link", "drop"}) {
        functions[name] = [](names& all, const value&, const op_context& at) {
            all.push_back(at.commit.hex() + " " + std::to_string(at.op_index));
        };
    }
    return functions;
}

stream_options small_batches(conflict_mode mode = conflict_mode::strict) {
    stream_options options;
    options.mode = mode;
    options.flush_commits = 3;
    return options;
}

/// A history in two parts: before and after a merge that reorders.
struct two_parts {
    history h;
    std::vector<commit_id> heads;

    two_parts() {
        const commit_id a = h.add({op_of("put", "{\"item\" 1 \"value\" 1}"),
                                   op_of("tag", "{\"item\" 1 \"tags\" [\"x\" \"y\"]}")});
        for (int i = 0; i < 5; ++i) h.put(i, 10 + i);
        heads.push_back(h.add({op_of("drop", "{\"item\" 1}")}));
        heads.push_back(a);
    }
    void merge() {
        for (int i = 0; i < 4; ++i) heads[1] = h.put(i, 20 + i, std::vector{heads[1]});
        h.add({op_of("put", "{\"item\" 9 \"value\" 9}")}, std::vector{heads[1], heads[0]});
    }
};

}  // namespace

TEST_CASE("realize: following a log through reordering merges equals realizing it anew",
          "[realize]") {
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        INFO("seed " << seed);
        random_history h(seed);
        const bool strict = seed % 2 == 0;
        const auto options =
            small_batches(strict ? conflict_mode::strict : conflict_mode::follow_current);
        realized followed;
        datom_target target(*followed.connection, "main", followed.dispatch);
        realize_stream stream(h.source, target, followed.dispatch, h.id(), options);
        identity_target<names> memory({}, remember_all());
        realize_stream in_memory(h.source, memory, memory.dispatch(), h.id(), options);
        for (int i = 0; i < 40; ++i) {
            h.step();
            const stream_stop stop = stream.run();
            REQUIRE(in_memory.run() == stop);
            REQUIRE((stop == stream_stop::conflict) == (strict && h.has_conflict()));
            if (stop == stream_stop::conflict) continue;
            REQUIRE(applied_ops(followed) == expected_ops(h));
            REQUIRE(memory.get() == head_value<names>(h.source, h.id(), {}, remember_all()));
            if (i % 8 != 7) continue;
            realized anew;
            anew.run(h, options);
            REQUIRE(known_facts(followed) == known_facts(anew));
        }
        if (h.has_conflict()) h.merge();
        REQUIRE(stream.run() == stream_stop::caught_up);
        realized anew;
        anew.run(h, options);
        REQUIRE(known_facts(followed) == known_facts(anew));
    }
}

TEST_CASE(
    "realize: a stream whose writes fail or that is killed at any of them goes on exactly where it "
    "was",
    "[realize]") {
    for (const bool restarted : {false, true}) {
        bool failed = true;
        for (std::size_t n = 1; failed; ++n) {
            INFO("write " << n << (restarted ? ", restarted" : ", same process"));
            failed = false;
            two_parts parts;
            realized r;
            auto target = std::make_unique<datom_target>(*r.connection, "main", r.dispatch);
            auto stream = std::make_unique<realize_stream>(
                parts.h.source, *target, r.dispatch, parts.h.id(), small_batches());
            r.db->fail_at(n, n % 2 == 0 ? errc::io : errc::no_space);
            for (int part = 0; part < 2; ++part) {
                if (part == 1) parts.merge();
                try {
                    stream->run();
                } catch (const error& e) {
                    REQUIRE((e.code() == errc::io || e.code() == errc::no_space));
                    failed = true;
                    if (restarted) {
                        stream.reset();
                        target.reset();
                        r.reopen();
                        target = std::make_unique<datom_target>(*r.connection, "main", r.dispatch);
                        stream = std::make_unique<realize_stream>(
                            parts.h.source, *target, r.dispatch, parts.h.id(), small_batches());
                    }
                    REQUIRE(stream->run() == stream_stop::caught_up);
                }
                REQUIRE(applied_ops(r) == expected_ops(parts.h));
            }
            realized anew;
            anew.run(parts.h);
            REQUIRE(known_facts(r) == known_facts(anew));
            REQUIRE((failed || n > 5));
        }
    }
}

TEST_CASE(
    "realize: killed after each commit, a counter that only goes up by one never misses or repeats",
    "[realize]") {
    history h;
    h.add({op_of("start", "{}")});
    int count = 0;
    for (int i = 0; i < 30; ++i) {
        std::vector<bytes> ops;
        for (int k = 0; k <= i % 3; ++k) {
            ops.push_back(op_of("count",
                                "{\"from\" " + std::to_string(count) + " \"to\" " +
                                    std::to_string(count + 1) + "}"));
            ++count;
        }
        h.add(ops);
    }
    const char* map = R"(
{:schema [{:db/ident :counter/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
          {:db/ident :counter/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]
 :ops {start [{:counter/name "ops" :counter/n 0}]
       count [[:db/cas [:counter/name "ops"] :counter/n [:path "from"] [:path "to"]]]}})";
    realized r(map);
    int kills = 0;
    for (std::uint64_t stop_at = 1; stop_at <= h.source.length(); ++stop_at) {
        struct killed {};
        try {
            r.run(h, small_batches(), [&](const stream_progress& p) {
                if (p.position >= stop_at) throw killed();
                return true;
            });
        } catch (const killed&) {
            ++kills;
            r.reopen();
        }
    }
    CHECK(kills > 10);
    CHECK(r.run(h, small_batches()) == stream_stop::caught_up);
    CHECK(r.ask("[:find ?n . :where [?c :counter/name \"ops\"] [?c :counter/n ?n]]") ==
          value(count));
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("realize: a second realizer fences off the first", "[realize]") {
    history h;
    for (int i = 0; i < 12; ++i) h.put(i, i);
    realized r;
    datom_target first_target(*r.connection, "main", r.dispatch);
    realize_stream first(h.source, first_target, r.dispatch, h.id(), small_batches());
    const auto refused = [&] { first.run(); };

    SECTION("between its runs, on one connection") {
        first.run();
        h.put(1, 100);
        datom_target target(*r.connection, "main", r.dispatch);
        realize_stream second(h.source, target, r.dispatch, h.id(), small_batches());
        second.run();
        h.put(1, 101);
        CHECK(code_of(refused) == errc::conflict);
        CHECK(code_of(refused) == errc::conflict);
        CHECK_THAT(message_of(refused), Catch::Matchers::Contains("another realizer"));
        CHECK(second.run() == stream_stop::caught_up);
    }
    SECTION("in the middle of a batch, from another connection") {
        const auto other = datom::connection::on(*r.db);
        datom_target target(*other, "main", r.dispatch);
        realize_stream second(h.source, target, r.dispatch, h.id(), small_batches());
        const auto run_second = [&](const stream_progress& p) {
            if (p.position == 5) second.run();
            return true;
        };
        CHECK(code_of([&] { first.run(run_second); }) == errc::conflict);
        CHECK(code_of(refused) == errc::conflict);
        CHECK(second.run() == stream_stop::caught_up);
        r.reopen();
    }
    SECTION("in the middle of a batch, when the second has only begun") {
        const auto other = datom::connection::on(*r.db);
        datom_target target(*other, "main", r.dispatch);
        realize_stream second(h.source, target, r.dispatch, h.id(), small_batches());
        const auto begin_second = [&](const stream_progress& p) {
            if (p.position == 5) second.run([](const stream_progress&) { return false; });
            return true;
        };
        CHECK(code_of([&] { first.run(begin_second); }) == errc::conflict);
        CHECK(second.run() == stream_stop::caught_up);
        r.reopen();
    }
    SECTION("while an op of the first fails") {
        h.add({op_of("put", "{\"item\" 1 \"value\" \"many\"}")});
        const auto other = datom::connection::on(*r.db);
        datom_target target(*other, "main", r.dispatch);
        stream_options options = small_batches();
        options.on_failure = failing_op::skip;
        realize_stream second(h.source, target, r.dispatch, h.id(), options);
        const auto run_second = [&](const stream_progress& p) {
            if (p.position == h.source.length() - 1) second.run();
            return true;
        };
        CHECK(code_of([&] { first.run(run_second); }) == errc::conflict);
        CHECK(second.run() == stream_stop::caught_up);
        r.reopen();
    }
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("realize: in memory too, a second realizer fences off the first", "[realize]") {
    history h;
    for (int i = 0; i < 12; ++i) h.put(i, i);
    identity_target<names> target({}, remember_all());
    realize_stream first(h.source, target, target.dispatch(), h.id(), small_batches());
    realize_stream second(h.source, target, target.dispatch(), h.id(), small_batches());
    const auto run_second = [&](const stream_progress& p) {
        if (p.position == 5) second.run();
        return true;
    };
    CHECK(code_of([&] { first.run(run_second); }) == errc::conflict);
    CHECK(second.run() == stream_stop::caught_up);
    CHECK(target.get() == head_value<names>(h.source, h.id(), {}, remember_all()));
}

TEST_CASE(
    "realize: a rewind of one stream takes back the other of the same database, and both recover",
    "[realize]") {
    two_parts one;
    history two;
    for (int i = 0; i < 5; ++i) two.put(100 + i, i);
    realized r;
    datom_target a_target(*r.connection, "main", r.dispatch),
        b_target(*r.connection, "other", r.dispatch);
    realize_stream a(one.h.source, a_target, r.dispatch, one.h.id(), small_batches());
    realize_stream b(two.source, b_target, r.dispatch, two.id(), small_batches());
    REQUIRE(a.run() == stream_stop::caught_up);
    REQUIRE(b.run() == stream_stop::caught_up);
    one.merge();
    REQUIRE(a.run() == stream_stop::caught_up);
    REQUIRE(b.run() == stream_stop::caught_up);
    auto all = applied_ops(r);
    auto expected = expected_ops(one.h);
    const auto more = expected_ops(two);
    expected.insert(expected.end(), more.begin(), more.end());
    CHECK(all == expected);
    CHECK(r.ask("[:find (count ?k) . :where [?e :item/id ?k] [(>= ?k 100)]]") == value(5));
}

}  // namespace tributary::test
