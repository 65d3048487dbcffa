#include "tributary/datom/bootstrap.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include "datom/verify_support.hpp"

namespace tributary::datom {

namespace {

constexpr const char* attributes =
    R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
                                   {:db/ident :id :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}])";

bytes commit_id(std::uint64_t n) { return bytes(32, static_cast<char>('a' + n)); }

/// A stream as realize drives it.
struct stream {
    connection& conn;
    std::string name;
    stream_cursor at{0, {}, bytes(32, 'D'), 1};

    stream(connection& c, std::string n) : conn(c), name(std::move(n)) {
        if (const auto durable = conn.cursor(name))
            at = *durable;
        else
            at.epoch = 0;
        ++at.epoch;
        conn.stage_cursor(name, at);
        conn.flush();
    }

    void commit(const std::string& forms, std::int64_t now) {
        conn.stage(edn::read(forms), now);
        ++at.position;
        at.commit = commit_id(at.position);
        conn.stage_cursor(name, at);
    }
};

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("streams: the cursor goes down with the effects", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream s(*d.conn, "s");
    s.commit("[{:db/id 1 :n 1}]", 2000);
    CHECK(d.conn->cursor("s")->position == 0);
    CHECK(facts(d.now_db()).empty());
    CHECK(d.conn->staged_bytes() > 0);
    d.conn->flush();
    CHECK(d.conn->staged_bytes() == 0);
    CHECK(d.conn->cursor("s") == s.at);
    CHECK(d.conn->streams() == lines{"s"});
    CHECK(d.conn->applied_at("s", 0) == commit_id(1));
    CHECK(d.conn->applied_at("s", 1) == std::nullopt);
    CHECK(facts(d.now_db()) == lines{"1 :n 1"});
    s.commit("[{:db/id 1 :n 2}]", 2000);
    d.conn->discard();
    d.conn->flush();
    CHECK(facts(d.now_db()) == lines{"1 :n 1"});
    d.reopen();
    CHECK(d.conn->cursor("s")->position == 1);
}

TEST_CASE("streams: transactions of a batch see each other", "[datom]") {
    scratch d;
    d.tx(attributes);
    d.stage(R"([{:id "a" :n 1}])");
    const entity_id a = d.stage(R"([{:db/id "x" :id "a" :n 2}])").tempids.at("x");
    CHECK(code_of([&] { d.stage(R"([{:db/id 9 :id "a"}])"); }) == errc::conflict);
    const auto cas = d.stage("[[:db/cas " + std::to_string(a) + " :n 2 3]]");
    CHECK(cas.tx_data.size() == 3);
    d.stage(R"([[:db/retract [:id "a"] :n] {:db/id 5 :id "b"}])");
    d.stage(R"([[:db/retractEntity [:id "b"]]])");
    d.conn->flush();
    CHECK(facts(d.now_db()) == lines{std::to_string(a) + R"( :id "a")"});
    CHECK(facts(d.now_db().as_of(cas.t)) ==
          lines{std::to_string(a) + R"( :id "a")", std::to_string(a) + " :n 3"});
}

TEST_CASE("streams: a database that is realized into takes no other writes", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream s(*d.conn, "tweets");
    std::string message;
    CHECK(code_of([&] { d.tx("[{:db/id 1 :n 1}]"); }, &message) == errc::misuse);
    CHECK_THAT(message, Catch::Contains("tweets") && Catch::Contains("second database"));
}

TEST_CASE("streams: a second realizer fences the first one off", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream first(*d.conn, "s");
    first.commit("[{:db/id 1 :n 1}]", 2000);
    d.conn->flush();

    const auto other = connection::on(*d.store);
    stream second(*other, "s");
    CHECK(second.at.epoch == 2);
    first.commit("[{:db/id 1 :n 100}]", 2000);
    CHECK(code_of([&] { d.conn->flush(); }) == errc::conflict);
    second.commit("[{:db/id 1 :n 2}]", 2000);
    other->flush();
    // Whatever the first one tries, it does not get through.
    CHECK(code_of([&] {
              first.commit("[{:db/id 1 :n 100}]", 2000);
              d.conn->flush();
          }) == errc::conflict);
    CHECK(code_of([&] { d.conn->rewind("s", 0, 3000); }) == errc::conflict);
    CHECK(facts(other->current()) == lines{"1 :n 2"});
    CHECK(other->cursor("s")->position == 2);
    CHECK(d.conn->staged_bytes() == 0);
}

TEST_CASE("streams: a rewind undoes all streams, each to where it was", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream a(*d.conn, "a"), b(*d.conn, "b");
    a.commit("[{:db/id 1 :n 1}]", 2000);
    b.commit("[{:db/id 2 :n 1}]", 2000);
    a.commit("[{:db/id 1 :n 2}]", 2000);
    const db held = [&] { return d.conn->flush(), d.now_db(); }();
    b.commit("[{:db/id 2 :n 2}]", 2000);
    a.commit("[{:db/id 1 :n 3}]", 2000);
    stream late(*d.conn, "late");
    late.commit(R"([{:db/id 3 :id "x"}])", 2000);
    d.conn->flush();
    const auto end = d.now_db().basis_t();

    d.conn->rewind("a", 2, 2500);
    CHECK(facts(d.now_db()) == lines{"1 :n 2", "2 :n 1"});
    CHECK(d.conn->cursor("a")->position == 2);
    CHECK(d.conn->cursor("a")->commit == commit_id(2));
    CHECK(d.conn->cursor("b")->position == 1);
    CHECK(d.conn->cursor("late")->position == 0);
    CHECK(d.conn->cursor("late")->commit.empty());
    CHECK_FALSE(d.conn->applied_at("b", 1));
    CHECK(facts(held) == facts(d.now_db()));
    CHECK(d.now_db().basis_t() == end + 1);
    std::string message;
    CHECK(code_of([&] { d.now_db().as_of(end); }, &message) == errc::conflict);
    CHECK_THAT(message,
               Catch::Contains("rewind " + std::to_string(end + 1)) && Catch::Contains("\"a\""));
    CHECK(facts(d.now_db().as_of(end + 1)) == facts(d.now_db()));

    // What was unique is free again, and the streams go on.
    stream again(*d.conn, "late");
    again.commit(R"([{:db/id 4 :id "x"}])", 3000);
    d.conn->flush();
    CHECK(d.now_db().entid(edn::read(R"([:id "x"])")) == 4);
    CHECK(code_of([&] { d.conn->rewind("a", 7, 3000); }) == errc::misuse);
    CHECK(code_of([&] { d.conn->rewind("nobody", 0, 3000); }) == errc::not_found);
}

TEST_CASE("streams: a rewind keeps who said what, and the undone stays in history", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream s(*d.conn, "s");
    s.commit(R"([{:db/id 1 :n 1} [:db/add "datomic.tx" :id "who"]])", 2000);
    s.commit("[{:db/id 1 :n 2}]", 2000);
    d.conn->flush();
    const auto said = d.now_db().basis_t() - 1;
    d.conn->rewind("s", 1, 2500);
    CHECK(d.now_db().facts_of(1).at(0).tx == entity_of_t(said));
    const auto t = [](std::int64_t at) { return " t" + std::to_string(at); };
    CHECK(facts(d.now_db().history()) == lines{"1 :n 1" + t(said) + " +",
                                               "1 :n 1" + t(said + 1) + " -",
                                               "1 :n 1" + t(said + 2) + " +",
                                               "1 :n 2" + t(said + 1) + " +",
                                               "1 :n 2" + t(said + 2) + " -"});
    // The undone transaction has no facts of its own any more, so its metadata can be said again.
    CHECK(d.now_db().facts_of(entity_of_t(said + 1)).empty());
    CHECK(d.now_db().facts_of(entity_of_t(said)).size() == 2);
}

TEST_CASE("streams: a fact that went and came again after the point is as it was then", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream s(*d.conn, "s");
    s.commit("[{:db/id 1 :n 1}]", 2000);
    s.commit("[{:db/id 1 :n 2}]", 2000);
    s.commit("[{:db/id 1 :n 1}]", 2000);
    d.conn->flush();
    const auto said = d.now_db().basis_t() - 2;
    for (const std::uint64_t position : {1, 1}) {
        d.conn->rewind("s", position, 2500);
        const auto now = d.now_db().facts_of(1);
        REQUIRE(now.size() == 1);
        CHECK(now[0].v == value(1));
        CHECK(now[0].tx == entity_of_t(said));
        CHECK(facts(d.now_db().as_of(said)) == lines{"1 :n 1"});
    }
    d.conn->rewind("s", 0, 2600);
    CHECK(facts(d.now_db()).empty());
    CHECK(facts(d.now_db().history()).size() == 6);
}

TEST_CASE("streams: a copy does the rewinds of a log again", "[datom]") {
    scratch d, copy;
    d.tx(attributes);
    stream s(*d.conn, "s");
    for (int n = 1; n <= 4; ++n)
        s.commit("[{:db/id 1 :n " + std::to_string(n % 2) + "} {:db/id " + std::to_string(10 + n) +
                     " :n 7}]",
                 2000);
    d.conn->flush();
    for (const std::uint64_t position : {3, 1}) d.conn->rewind("s", position, 2500);
    s.at = *d.conn->cursor("s");
    s.commit("[{:db/id 1 :n 5}]", 3000);
    d.conn->flush();

    copy.tx(attributes);
    d.now_db().tx_range(time_point(2), {}, [&](const log_tx& tx) {
        if (tx.rewind) {
            const tx_report did = copy.conn->stage_rewind(*tx.rewind, tx.instant.ms);
            CHECK(did.tx_data == tx.data);
            CHECK(code_of([&] { copy.conn->stage(edn::read("[]"), 3000); }) == errc::misuse);
        } else {
            vector forms;
            for (const datom& f : tx.data)
                if (f.a != id_of(system_entity::tx_instant))
                    forms.push_back(
                        vector{keyword{f.added ? "db/add" : "db/retract"}, f.e, f.a, f.v});
            copy.conn->stage(value(forms), tx.instant.ms, forms_are::logged);
        }
        copy.conn->flush();
        return true;
    });
    CHECK(facts(copy.now_db()) == facts(d.now_db()));
    CHECK(facts(copy.now_db().history()) == facts(d.now_db().history()));
    CHECK(problems(*copy.store).empty());
    CHECK(code_of([&] { copy.conn->stage_rewind({99, "s", 0}, 3000); }) == errc::bad_input);
    CHECK(code_of([&] { d.conn->stage_rewind({1, "s", 0}, 3000); }) == errc::misuse);
}

TEST_CASE("streams: schema survives a rewind", "[datom]") {
    scratch d;
    stream s(*d.conn, "s");
    s.commit(attributes, 2000);
    s.commit("[{:db/id 1 :n 1}]", 2000);
    d.conn->flush();
    d.conn->rewind("s", 0, 2500);
    CHECK(facts(d.now_db()).empty());
    s.at = *d.conn->cursor("s");
    s.commit(attributes, 3000);
    s.commit("[{:db/id 1 :n 5}]", 3000);
    d.conn->flush();
    d.reopen();
    CHECK(facts(d.now_db()) == lines{"1 :n 5"});
}

TEST_CASE("time: an instant is the last transaction at or before it", "[datom]") {
    scratch d;
    d.tx(attributes);
    const auto t1 = d.tx("[{:db/id 1 :n 1}]").t;
    const auto at1 = d.now;
    d.now += 100;
    d.tx("[{:db/id 1 :n 2}]");
    CHECK(facts(d.now_db().as_of(inst{at1})) == lines{"1 :n 1"});
    CHECK(facts(d.now_db().as_of(inst{at1 + 50})) == lines{"1 :n 1"});
    CHECK(facts(d.now_db().as_of(inst{d.now})) == lines{"1 :n 2"});
    CHECK(facts(d.now_db().as_of(inst{0})).empty());
    CHECK(facts(d.now_db().as_of(entity_of_t(t1))) == lines{"1 :n 1"});
    CHECK(facts(d.now_db().as_of(t1 + 1000)) == lines{"1 :n 2"});
    CHECK(d.now_db().as_of(t1).basis_t() == d.now_db().basis_t());
    CHECK(d.now_db().as_of(t1).history().get().is_history());
    CHECK(facts(d.now_db().as_of(t1).history()).size() == 1);
    CHECK(code_of([&] { d.now_db().as_of(-5); }) == errc::bad_input);
}

TEST_CASE("time: without history only the present value is kept", "[datom]") {
    scratch d;
    d.tx(
        R"([{:db/ident :seen :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/noHistory true}])");
    const auto t = d.tx("[{:db/id 1 :seen 1}]").t;
    d.tx("[{:db/id 1 :seen 2}]");
    CHECK(facts(d.now_db()) == lines{"1 :seen 2"});
    CHECK(facts(d.now_db().history()).size() == 1);
    CHECK(facts(d.now_db().as_of(t)).empty());
}

TEST_CASE("crash: after any write that fails or is lost, the database is as of some flush",
          "[datom]") {
    // What a run of commits, a rewind and more commits leaves after each of its writes.
    const auto run = [](memory_kv& store, std::vector<std::vector<std::string>>* states) {
        const auto note = [&](connection& c) {
            if (states) states->push_back(facts(c.current(), true));
        };
        const auto conn = connection::on(store);
        note(*conn);
        conn->transact(edn::read(attributes), 1000);
        note(*conn);
        stream s(*conn, "s");
        note(*conn);
        for (int i = 1; i <= 3; ++i) {
            s.commit("[{:id \"x\" :n " + std::to_string(i) + "}]", 2000 + i);
            s.commit("[{:id \"y" + std::to_string(i) + "\"}]", 2000 + i);
            conn->flush();
            note(*conn);
        }
        conn->rewind("s", 3, 3000);
        note(*conn);
        s.at = *conn->cursor("s");
        s.commit("[{:id \"z\"}]", 3001);
        conn->flush();
        note(*conn);
    };
    std::vector<std::vector<std::string>> states;
    const auto whole = make_memory_kv();
    run(*whole, &states);
    REQUIRE(whole->write_count() == states.size());
    for (std::size_t n = 1; n <= states.size(); ++n) {
        INFO("write " << n);
        const auto store = make_memory_kv();
        store->fail_at(n);
        CHECK(code_of([&] { run(*store, nullptr); }) == errc::no_space);
        store->crash();
        const auto conn = connection::on(*store);
        CHECK(facts(conn->current(), true) == states[n == 1 ? 0 : n - 2]);
        if (const auto at = conn->cursor("s"))
            for (std::uint64_t p = 0; p < at->position; ++p)
                CHECK(conn->applied_at("s", p).has_value());
    }
}

TEST_CASE("crash: a connection goes on after a failed flush", "[datom]") {
    scratch d;
    d.tx(attributes);
    stream s(*d.conn, "s");
    s.commit("[{:id \"a\"}]", 2000);
    d.store->fail_at(1);
    CHECK(code_of([&] { d.conn->flush(); }) == errc::no_space);
    CHECK(d.conn->staged_bytes() == 0);
    CHECK(facts(d.now_db()).empty());
    s.at = *d.conn->cursor("s");
    CHECK(s.at.position == 0);
    s.commit("[{:id \"a\"}]", 2000);
    d.conn->flush();
    CHECK(facts(d.now_db()).size() == 1);
    CHECK(d.now_db().basis_t() == 2);
}

}  // namespace tributary::datom
