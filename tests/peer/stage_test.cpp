/// What an application does through one stage: write, read, merge, fork, pull.
#include "tributary/peer/stage.hpp"

#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

/// Gives `name` two heads: an outsider's commits come in beside our own.
void diverge(stage& ours, stage& theirs, const std::string& name) {
    ours.grant(name, theirs.key(), "ann");
    {
        serving server(ours);
        theirs.clone(server.address() + "/" + name, "");
    }
    add_notes(ours, name, 2, "ours");
    add_notes(theirs, name, 3, "theirs");
    serving server(ours);
    theirs.connect(name, server.address());
}

}  // namespace

TEST_CASE("stage: the identity is made once and is private", "[peer]") {
    temporary_directory dir;
    const auto store = dir.path() / "deep" / "store";
    const public_key key = stage::open(store)->key();
    CHECK(stage::open(store)->key() == key);
    using std::filesystem::perms;
    CHECK(std::filesystem::status(store).permissions() == perms::owner_all);
    CHECK(std::filesystem::status(store / "identity").permissions() ==
          (perms::owner_read | perms::owner_write));
}

TEST_CASE("stage: what was written is there after opening again", "[peer]") {
    temporary_directory dir;
    commit_id last;
    {
        auto s = stage::open(dir.path());
        s->create("notes", {"me"});
        s->transact("notes", {note("a"), note("b")}, {{"source", "12"}});
        last =
            s->transact("notes", {note("c")}, {{"source", "20"}, {"status/last collect", "today"}});
    }
    auto s = stage::open(dir.path());
    const crdt_summary summary = s->summary("notes");
    CHECK(summary.commits == 3);
    CHECK(summary.ops == 3);
    CHECK(summary.linear_length == 3);
    CHECK(summary.current == last);
    CHECK(s->summary(address_of(summary.id)).name == "notes");
    CHECK(s->get_mark("notes", "source") == "20");
    CHECK(std::find(summary.status.begin(),
                    summary.status.end(),
                    std::pair<std::string, std::string>{"last collect", "today"}) !=
          summary.status.end());

    const auto linear = s->read_linear("notes", 0, 1 << 20, true);
    REQUIRE(linear.size() == 3);
    CHECK(linear[0].author_name == "me");
    CHECK(linear[2].id == last);
    CHECK(linear[2].at == 2);
    CHECK(encode(decode_op(split_body(linear[1].body)[1])) == encode(note("b")));
    const auto arrival = s->read_arrival("notes", 2, 1, false);
    REQUIRE(arrival.size() == 1);
    CHECK(arrival[0].at == 2);
    CHECK(arrival[0].body.empty());
    CHECK(s->find("notes", last, true)->body == linear[2].body);
    CHECK_FALSE(s->find("notes", commit_id{}, true));

    std::vector<std::string> problems;
    CHECK(s->verify(
              "notes", [&](const std::string& p) { problems.push_back(p); }, [](auto, auto) {}) ==
          3);
    CHECK(problems.empty());
}

TEST_CASE("stage: wrong names and empty commits are refused", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    CHECK_THROWS_WITH(s->create("notes"), Catch::Contains("already"));
    for (const char* bad : {"", "a/b", "trib:1", "a\nb"}) CHECK_THROWS_AS(s->create(bad), error);
    CHECK_THROWS_WITH(s->transact("nothing", {note("a")}), Catch::Contains("no CRDT"));
    CHECK_THROWS_AS(s->transact("notes", {}), error);
    CHECK_THROWS_AS(s->merge("notes"), error);
    CHECK(s->summary("notes").commits == 0);
}

TEST_CASE("stage: a commit whose mark was moved meanwhile is refused", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    s->transact("notes", {note("one")}, {{"place", "1", std::optional<bytes>()}});
    s->transact("notes", {note("two")}, {{"place", "2", "1"}});
    const std::uint64_t before = s->summary("notes").commits;
    for (const std::optional<bytes>& was : {std::optional<bytes>(), std::optional<bytes>("1")}) {
        CHECK_THROWS_WITH(s->transact("notes", {note("again")}, {{"place", "2", was}}),
                          Catch::Contains("by another process"));
        CHECK_THROWS_AS(s->put_marks("notes", {{"place", "3", was}}), error);
    }
    CHECK(s->summary("notes").commits == before);
    CHECK(s->get_mark("notes", "place") == "2");
}

TEST_CASE("stage: waiting for a change ends with it", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    CHECK(s->wait_for_change("notes", 0, 20ms) == 0);
    auto waiting =
        std::async(std::launch::async, [&] { return s->wait_for_change("notes", 0, 10s); });
    s->transact("notes", {note("a")});
    CHECK(waiting.get() == 1);
    CHECK(s->wait_for_change("notes", 0, 10s) == 1);
}

TEST_CASE("stage: concurrent writers all get their commits in", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    std::vector<std::future<void>> writers;
    for (int w = 0; w < 4; ++w)
        writers.push_back(std::async(
            std::launch::async, [&, w] { add_notes(*s, "notes", 25, std::to_string(w) + "-"); }));
    for (auto& w : writers) w.get();
    const crdt_summary summary = s->summary("notes");
    CHECK(summary.commits == 100);
    CHECK(summary.linear_length == 100);
    CHECK(summary.heads.size() == 1);
}

TEST_CASE("stage: a conflict is shown and merged in the chosen order", "[peer]") {
    temporary_directory our_dir, their_dir;
    auto ours = stage::open(our_dir.path()), theirs = stage::open(their_dir.path());
    ours->create("notes", {"me"});
    const commit_id base = ours->transact("notes", {note("base")});
    diverge(*ours, *theirs, "notes");

    const crdt_summary before = ours->summary("notes");
    REQUIRE(before.heads.size() == 2);
    const conflict_summary conflict = ours->conflicts("notes");
    // The grant came after the base and is what both sides build on.
    REQUIRE(conflict.fork_points.size() == 1);
    CHECK(ours->find("notes", conflict.fork_points[0], false)->header.parents == std::vector{base});
    REQUIRE(conflict.sides.size() == 2);
    CHECK(conflict.sides[0].head == before.current);
    CHECK(conflict.sides[0].commits.size() == 2);
    CHECK(conflict.sides[1].commits.size() == 3);
    CHECK(conflict.sides[1].commits[0].author_name == "ann");

    CHECK_THROWS_WITH(ours->merge("notes", {*before.current}), Catch::Contains("heads"));
    const std::vector<commit_id> order{conflict.sides[1].head, conflict.sides[0].head};
    const commit_id merged = ours->merge("notes", order, {note("fixed")});
    CHECK(ours->find("notes", merged, false)->header.parents == order);
    CHECK(ours->summary("notes").heads == std::vector{merged});
    CHECK(ours->conflicts("notes").sides.empty());

    serving server(*ours);
    theirs->connect("notes", server.address());
    CHECK(theirs->summary("notes").heads == std::vector{merged});
    const auto a = ours->read_linear("notes", 0, 1 << 20, false),
               b = theirs->read_linear("notes", 0, 1 << 20, false);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].id == b[i].id);
}

TEST_CASE("stage: a fork holds the history, goes its own way and is pulled back", "[peer]") {
    temporary_directory dir, other_dir;
    auto s = stage::open(dir.path());
    s->create("notes", {"me"});
    add_notes(*s, "notes", 5);
    const commit_id fork_point = *s->summary("notes").current;
    const crdt_id fork = s->fork("notes", "mine");
    CHECK(fork != s->summary("notes").id);
    CHECK_THROWS_WITH(s->fork("notes", "mine"), Catch::Contains("already"));
    CHECK(s->summary("mine").linear_length == 7);
    const commit_id first_own = *s->summary("mine").current;
    CHECK(s->find("mine", first_own, false)->header.parents == std::vector{fork_point});

    CHECK_THROWS_AS(s->pull("mine", "notes"), error);
    add_notes(*s, "mine", 2, "forked");
    add_notes(*s, "notes", 1, "more");
    const commit_id pulled = s->pull("notes", "mine");
    CHECK(s->find("notes", pulled, false)->header.parents.size() == 2);
    CHECK(s->summary("notes").heads == std::vector{pulled});
    // 1 grant, 5 notes, 1 more, the fork's own empty commit, its 2 notes, the pull.
    CHECK(s->summary("notes").linear_length == 11);

    auto other = stage::open(other_dir.path());
    serving server(*s);
    other->clone(server.address() + "/mine", "");
    other->clone(server.address() + "/notes", "");
    CHECK(other->summary("mine").heads == s->summary("mine").heads);
    CHECK(other->summary("notes").linear_length == 11);
}
