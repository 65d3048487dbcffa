#include "tributary/datom/entity.hpp"

#include "realize/support.hpp"
#include <algorithm>
#include <stdexcept>

namespace tributary::test {

using Catch::Matchers::Contains;

namespace {

using names = std::vector<std::string>;

/// Remembers ops in the order they were applied.
identity_target<names> remembering() {
    return {names{},
            {{"put",
              [](names& all, const value& params, const op_context&) {
                  all.push_back(edn::print(*params.find("value")));
              }},
             {"boom", [](names&, const value&, const op_context&) {
                  throw std::runtime_error("no luck");
              }}}};
}

bytes put_op(int item, int v) {
    return op_of("put",
                 "{\"item\" " + std::to_string(item) + " \"value\" " + std::to_string(v) + "}");
}
bytes bad_op() { return op_of("put", "{\"item\" 1 \"value\" \"many\"}"); }

}  // namespace

TEST_CASE("stream: a fold of the log in order", "[realize]") {
    history h;
    h.put(1, 1);
    h.add({put_op(1, 2), put_op(1, 3)});
    h.add({});
    h.put(1, 4);
    auto target = remembering();
    realize_stream stream(h.source, target, target.dispatch(), h.id(), {});
    CHECK(stream.run() == stream_stop::caught_up);
    CHECK(target.get() == names{"1", "2", "3", "4"});
    CHECK(stream.progress().position == 4);
    CHECK(stream.progress().length == 4);
    CHECK(stream.progress().ops == 4);
    h.put(1, 5);
    CHECK(stream.run() == stream_stop::caught_up);
    CHECK(target.get() == names{"1", "2", "3", "4", "5"});
    const auto count = [](int& n, const value&, const op_context&) { ++n; };
    CHECK(head_value<int>(h.source, h.id(), 0, {{"put", count}}) == 5);
}

TEST_CASE("stream: an empty log is nothing to do", "[realize]") {
    history h;
    realized r;
    CHECK(r.run(h) == stream_stop::caught_up);
    CHECK(r.position() == 0);
}

TEST_CASE("stream: commits and transactions tell who, when and what", "[realize]") {
    history h;
    h.grant(h.ann, "ann");
    const commit_id id = h.add({put_op(1, 10), put_op(2, 20)});
    realized r;
    r.run(h);
    const value rows = r.ask(
        "[:find ?id ?author ?name ?ms ?op ?i ?k :where [?e :item/id ?k ?tx] [?tx :tx/commit ?c] "
        "[?c :commit/id ?id] [?c :commit/author ?author]"
        " [?c :commit/author-name ?name] [?c :commit/time ?ms] [?tx :commit/op ?op] [?tx "
        ":tx/op-index ?i]]");
    vector expected;
    for (int i = 0; i < 2; ++i) {
        expected.push_back(vector{
            blob{bytes(id.view())}, h.ann.key().hex(), "ann", inst{1}, symbol{"put"}, i, i + 1});
    }
    CHECK(rows == make_set(expected));
}

TEST_CASE("stream: who changed an entity, when, and what it was before, is a query over history",
          "[realize]") {
    history h;
    h.grant(h.ann, "ann");
    h.put(1, 10);
    h.put(2, 99);
    h.put(1, 11);
    realized r;
    r.run(h);
    const datom::db now = r.connection->current();
    const value log = datom::query(edn::read(R"(
        [:find ?t ?time ?who ?changed ?v ?added
         :in $ ?id
         :where [?e :item/id ?id]
                [?e ?a ?v ?tx ?added]
                [?a :db/ident ?changed]
                [?tx :tx/commit ?c]
                [?c :commit/time ?time]
                [?c :commit/author-name ?who]
                [(identity ?tx) ?t]])"),
                                   {now.history(), 1});
    std::vector<std::string> lines;
    std::set<std::int64_t> when;
    for (const value& row : log.as<set>().items) {
        const vector& at = row.as<vector>();
        when.insert(datom::t_of_entity(at[0].as<std::int64_t>()));
        lines.push_back(edn::print(vector(at.begin() + 1, at.end())));
    }
    std::sort(lines.begin(), lines.end());
    CHECK(lines == names{R"([#inst "1970-01-01T00:00:00.001Z" "ann" :item/id 1 true])",
                         R"([#inst "1970-01-01T00:00:00.001Z" "ann" :item/value 10 true])",
                         R"([#inst "1970-01-01T00:00:00.003Z" "ann" :item/value 10 false])",
                         R"([#inst "1970-01-01T00:00:00.003Z" "ann" :item/value 11 true])"});
    REQUIRE(when.size() == 2);
    const auto value_at = [&](std::int64_t t) {
        const value id = edn::read("[:item/id 1]");
        const auto item = datom::entity::of(now.as_of(t), id);
        return item ? item->get(keyword{"item/value"}) : value();
    };
    CHECK(value_at(*when.begin() - 1).is_nil());
    CHECK(value_at(*when.begin()) == value(10));
    CHECK(value_at(*when.rbegin() - 1) == value(10));
    CHECK(value_at(*when.rbegin()) == value(11));
}

TEST_CASE(
    "stream: an op that fails stops it, with everything before flushed and nothing of its commit",
    "[realize]") {
    history h;
    h.grant(h.ann, "ann");
    for (int i = 0; i < 7; ++i) h.put(i, i);
    const commit_id bad = h.add({put_op(100, 1), bad_op(), put_op(101, 1)});
    h.put(102, 1);
    realized r;
    const std::string message = message_of([&] { r.run(h); });
    CHECK_THAT(message,
               Contains("op 1 (put) of commit " + bad.brief() +
                        " by ann failed: in the form [:long [:path \"value\"]]"));
    CHECK(code_of([&] { r.run(h); }) == errc::bad_input);
    CHECK(r.position() == 8);
    CHECK(r.ask("[:find (count ?k) . :where [_ :item/id ?k]]") == value(7));
    CHECK(applied_ops(r).size() == 8);

    SECTION("a mended map goes on from here") {
        std::string mended = items_map;
        mended.replace(
            mended.find("[:long [:path \"value\"]]"), 23, "[:default [:path \"amount\"] 1]");
        r.dispatch = read_dispatch_map(mended);
        CHECK(code_of([&] { r.run(h); }) == errc::conflict);
        stream_options options;
        options.from_here = true;
        CHECK(r.run(h, options) == stream_stop::caught_up);
        CHECK(applied_ops(r) == expected_ops(h));
    }
    SECTION("skipped, the op is known with its reason") {
        stream_options options;
        options.on_failure = failing_op::skip;
        CHECK(r.run(h, options) == stream_stop::caught_up);
        CHECK(applied_ops(r) == expected_ops(h));
        CHECK(r.ask("[:find (count ?k) . :where [_ :item/id ?k]]") == value(10));
        const value why =
            r.ask("[:find [?why ?i] :where [?tx :op/failed ?why] [?tx :tx/op-index ?i]]");
        CHECK_THAT(why.as<vector>().at(0).as<std::string>(), Contains("found \"many\""));
        CHECK(why.as<vector>().at(1) == value(1));
        CHECK(r.ask("[:find ?q . :where [_ :op/quarantined ?q]]").is_nil());
    }
    SECTION("quarantined, the op itself is kept as well") {
        stream_options options;
        options.on_failure = failing_op::quarantine;
        CHECK(r.run(h, options) == stream_stop::caught_up);
        const value kept = r.ask("[:find ?q . :where [_ :op/quarantined ?q]]");
        CHECK(edn::read(kept.as<std::string>()) ==
              edn::read("[put {\"item\" 1 \"value\" \"many\"}]"));
    }
}

TEST_CASE("stream: an op that fails first in its commit is recorded too", "[realize]") {
    history h;
    h.add({bad_op(), put_op(1, 1)});
    realized r;
    stream_options options;
    options.on_failure = failing_op::skip;
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: an op against the schema fails like any other", "[realize]") {
    history h;
    h.put(1, 1);
    h.add({op_of("put", "{\"item\" \"one\" \"value\" 1}")});
    realized r;
    CHECK_THAT(message_of([&] { r.run(h); }), Contains("op 0 (put) of commit"));
    CHECK(r.position() == 1);
}

TEST_CASE("stream: an unknown op is named with its commit and author", "[realize]") {
    history h;
    h.grant(h.ann, "ann");
    const commit_id id = h.add({op_of("frobnicate", "{}")});
    realized r;
    const std::string message = message_of([&] { r.run(h); });
    CHECK_THAT(message,
               Contains("op 0 (frobnicate) of commit " + id.brief() +
                        " by ann failed: the dispatch map has no entry for the op frobnicate"));
    CHECK(code_of([&] { r.run(h); }) == errc::not_found);
}

TEST_CASE("stream: an author without a name is told by the key", "[realize]") {
    history h;
    h.add({op_of("frobnicate", "{}")});
    realized r;
    CHECK_THAT(message_of([&] { r.run(h); }), Contains(" by " + h.ann.key().brief()));
}

TEST_CASE("stream: an op that cannot be decoded is subject to the policy", "[realize]") {
    history h;
    h.add({put_op(1, 1), bytes("\xc1 junk")});
    realized r;
    CHECK_THAT(message_of([&] { r.run(h); }), Contains("op 1 of commit"));
    CHECK(applied_ops(r).empty());
    stream_options options;
    options.on_failure = failing_op::quarantine;
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: failures in memory", "[realize]") {
    history h;
    for (int i = 0; i < 100; ++i) h.put(1, i);
    const commit_id bad = h.add({put_op(1, 100), op_of("boom", "{}"), put_op(1, 101)});
    h.put(1, 102);
    auto target = remembering();

    SECTION("stop keeps the commits before") {
        realize_stream stream(h.source, target, target.dispatch(), h.id(), {});
        const std::string message = message_of([&] { stream.run(); });
        CHECK_THAT(message, Contains("op 1 (boom) of commit " + bad.brief()));
        CHECK_THAT(message, Contains("failed: no luck"));
        CHECK(target.get().size() == 100);
        CHECK(stream.progress().position == 100);
        CHECK(stream.progress().ops == 100);
        CHECK(target.cursor()->position == 100);
        CHECK_THAT(message_of([&] { stream.run(); }), Contains("no luck"));
        CHECK(target.get().size() == 100);
    }
    SECTION("skip goes on") {
        stream_options options;
        options.on_failure = failing_op::skip;
        realize_stream stream(h.source, target, target.dispatch(), h.id(), options);
        CHECK(stream.run() == stream_stop::caught_up);
        CHECK(target.get().size() == 103);
        REQUIRE(target.failures().size() == 1);
        CHECK(target.failures()[0].commit == bad);
        CHECK(target.failures()[0].op_index == 1);
        CHECK(target.failures()[0].reason == "boom: no luck");
        CHECK(stream.progress().failed == 1);
    }
}

TEST_CASE("stream: an erased body is a transaction that says so", "[realize]") {
    history h;
    h.put(1, 1);
    const commit_id gone = h.add({put_op(1, 2), put_op(1, 3)});
    h.put(2, 4);
    h.source.erased.insert(gone);
    realized r;
    CHECK(r.run(h) == stream_stop::caught_up);
    CHECK(r.ask("[:find ?v . :where [?e :item/id 1] [?e :item/value ?v]]") == value(1));
    CHECK(r.ask("[:find ?id . :where [?tx :op/failed \"erased\"] [?tx :tx/commit ?c] [?c "
                ":commit/id ?id]]") == value(blob{bytes(gone.view())}));
}

TEST_CASE("stream: a changed dispatch map is refused, with the choices", "[realize]") {
    history h;
    h.put(1, 1);
    realized r;
    r.run(h);
    h.put(2, 2);
    std::string changed = items_map;
    changed.replace(changed.rfind("drop ["), 6, "purge [");
    r.dispatch = read_dispatch_map(changed);
    CHECK(code_of([&] { r.run(h); }) == errc::conflict);
    const std::string message = message_of([&] { r.run(h); });
    CHECK_THAT(message, Contains("--rebuild") && Contains("--from-here") && Contains("1 commits"));
    CHECK(r.position() == 1);
    stream_options options;
    options.from_here = true;
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(r.position() == 2);
    CHECK(r.run(h) == stream_stop::caught_up);
}

TEST_CASE("stream: another CRDT's log is refused, from here or not", "[realize]") {
    history h;
    h.put(1, 1);
    realized r;
    r.run(h);
    datom_target target(*r.connection, "main", r.dispatch);
    stream_options options;
    options.from_here = true;
    realize_stream other(h.source, target, r.dispatch, crdt_id{}, options);
    CHECK(code_of([&] { other.run(); }) == errc::conflict);
    CHECK_THAT(message_of([&] { other.run(); }), Contains("another CRDT"));
}

TEST_CASE("stream: a schema that does not work leaves nothing behind", "[realize]") {
    history h;
    h.put(1, 1);
    realized r(
        "{:schema [{:db/ident :a/b :db/valueType :db.type/strange :db/cardinality "
        ":db.cardinality/one}] :ops {put []}}");
    CHECK_THAT(message_of([&] { r.run(h); }), Contains(":schema"));
    CHECK(!r.connection->cursor("main"));
    r.dispatch = read_dispatch_map(items_map);
    CHECK(r.run(h) == stream_stop::caught_up);
}

TEST_CASE("stream: strict mode stops at a conflict and goes on after the merge", "[realize]") {
    history h;
    const commit_id a = h.put(1, 1);
    const commit_id b = h.put(1, 2);
    realized r;
    r.run(h);
    const commit_id c = h.put(1, 3, std::vector{a});
    h.put(1, 4);
    CHECK(r.run(h) == stream_stop::conflict);
    CHECK(r.position() == 2);
    CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(2));

    SECTION("a merge that keeps the order rewinds nothing") {
        h.add(
            {},
            std::vector{b,
                        h.store.state(h.handle).heads[0] == b ? h.store.state(h.handle).heads[1]
                                                              : h.store.state(h.handle).heads[0]});
        datom_target target(*r.connection, "main", r.dispatch);
        realize_stream stream(h.source, target, r.dispatch, h.id(), {});
        CHECK(stream.run() == stream_stop::caught_up);
        CHECK(stream.progress().rewound_commits == 0);
        CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(4));
    }
    SECTION("a merge that reorders rewinds to the fork") {
        const auto heads = h.store.state(h.handle).heads;
        h.add({}, std::vector{heads[0] == b ? heads[1] : heads[0], b});
        datom_target target(*r.connection, "main", r.dispatch);
        realize_stream stream(h.source, target, r.dispatch, h.id(), {});
        CHECK(stream.run() == stream_stop::caught_up);
        CHECK(stream.progress().rewound_commits == 1);
        CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(2));
        CHECK(h.log()[1].id == c);
    }
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: follow_current applies the current head's log whatever other heads there are",
          "[realize]") {
    history h;
    const commit_id a = h.put(1, 1);
    const commit_id b = h.put(1, 2);
    const commit_id c = h.put(1, 3, std::vector{a});
    realized r;
    stream_options options;
    options.mode = conflict_mode::follow_current;
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(3));
    h.store.set_current(h.handle, b);
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(2));
    h.store.set_current(h.handle, c);
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: it stops when asked to, with what it applied durable", "[realize]") {
    history h;
    for (int i = 0; i < 20; ++i) h.put(i, i);
    realized r;
    CHECK(r.run(h, {}, [](const stream_progress& p) { return p.position < 7; }) ==
          stream_stop::canceled);
    CHECK(r.position() == 7);
    r.reopen();
    CHECK(r.run(h) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: a merge that puts another root first rewinds to the beginning", "[realize]") {
    history h;
    const commit_id first = h.put(1, 1);
    realized r;
    auto target = remembering();
    realize_stream in_memory(h.source, target, target.dispatch(), h.id(), {});
    r.run(h);
    in_memory.run();
    const commit_id second = h.put(1, 2, std::vector<commit_id>{});
    h.add({}, std::vector{second, first});
    CHECK(r.run(h) == stream_stop::caught_up);
    CHECK(in_memory.run() == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
    CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(1));
    CHECK(target.get() == names{"2", "1"});
    CHECK(in_memory.progress().rewound_commits == 1);
}

TEST_CASE("stream: a log that is not as far as the target undoes nothing", "[realize]") {
    history h, behind;
    for (int i = 0; i < 10; ++i) h.put(1, i);
    auto chunk = commits_of(h.store, h.handle);
    chunk.resize(4);
    behind.store.ingest(behind.handle, std::move(chunk));
    REQUIRE(behind.source.length() == 4);
    realized r;
    r.run(h);
    CHECK(r.run(behind) == stream_stop::caught_up);
    CHECK(r.position() == 10);
    history empty;
    CHECK(r.run(empty) == stream_stop::caught_up);
    CHECK(r.position() == 10);
    h.put(1, 11);
    CHECK(r.run(h) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
}

TEST_CASE("stream: a merge that comes between comparing and reading is seen", "[realize]") {
    history h;
    const commit_id a = h.put(1, 1);
    for (int i = 2; i < 9; ++i) h.put(1, i);
    const commit_id old_head = h.put(1, 9);
    realized r;
    stream_options options;
    options.mode = conflict_mode::follow_current;
    int reads = 0;
    h.source.before_read = [&] {
        if (++reads != 2) return;
        const commit_id other = h.put(1, 100, std::vector{a});
        h.add({}, std::vector{other, old_head});
    };
    CHECK(r.run(h, options) == stream_stop::caught_up);
    CHECK(applied_ops(r) == expected_ops(h));
    CHECK(r.ask("[:find ?v . :where [_ :item/value ?v]]") == value(9));
}

TEST_CASE("stream: a long stretch that a merge brought is compared once, not for each batch of it",
          "[realize]") {
    history h;
    const commit_id a = h.put(1, 0);
    const commit_id b = h.put(1, 1);
    commit_id tip = a;
    for (int i = 0; i < 400; ++i) tip = h.put(1, i, std::vector{tip});
    h.add({}, std::vector{b, tip});
    REQUIRE(h.source.length() == 403);
    auto target = remembering();
    realize_stream stream(h.source, target, target.dispatch(), h.id(), {});
    h.source.marks_read = 0;
    stream.run();
    CHECK(target.get().size() == 402);
    CHECK(h.source.marks_read < 1000);
}

}  // namespace tributary::test
