#include <catch2/catch.hpp>

#include "datom/support.hpp"

using namespace tributary;
using namespace tributary::datom;

namespace {

struct counters : scratch {
    counters() {
        tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}])");
        conn->define(keyword{"c/inc"}, [](const db& before, std::span<const value> args) {
            const auto now =
                query(edn::read("[:find ?n . :in $ ?e :where [?e :n ?n]]"), {before, args[0]});
            const std::int64_t n = now.is_nil() ? 0 : now.as<std::int64_t>();
            return value(vector{vector{keyword{"db/add"}, args[0], keyword{"n"}, value(n + 1)}});
        });
    }
    std::string refused(const std::string& forms, std::string* message = nullptr) {
        const auto before = facts(now_db(), true);
        try {
            tx(forms);
        } catch (const error& e) {
            CHECK(facts(now_db(), true) == before);
            if (message) *message = e.what();
            return e.name();
        }
        return "none";
    }
};

}  // namespace

TEST_CASE("a transaction calls functions by name, which see the database before it") {
    counters d;
    d.tx("[[:c/inc 1]]");
    d.tx("[[:c/inc 1] [:c/inc 2]]");
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 2", "2 :n 1"});
    // Both calls say the same.
    d.tx("[[:c/inc 2] [:c/inc 2]]");
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 2", "2 :n 2"});
    d.conn->define(keyword{"c/both"}, [](const db&, std::span<const value> args) {
        return value(vector{vector{keyword{"c/inc"}, args[0]}, vector{keyword{"c/inc"}, args[1]}});
    });
    d.tx(R"([[:c/both 1 2] {:db/id 1 :name "one"}])");
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 3", R"(1 :name "one")", "2 :n 3"});
}

TEST_CASE("what a function does wrong refuses the transaction and names the call") {
    counters d;
    d.conn->define(keyword{"c/throws"}, [](const db&, std::span<const value>) -> value {
        throw std::runtime_error("too poor");
    });
    d.conn->define(keyword{"c/loops"}, [](const db&, std::span<const value>) {
        return value(vector{vector{keyword{"c/loops"}}});
    });
    d.conn->define(keyword{"c/bad"},
                   [](const db&, std::span<const value>) { return value("what?"); });
    d.conn->define(keyword{"c/type"}, [](const db&, std::span<const value>) {
        return edn::read(R"([[:db/add 1 :n "x"]])");
    });
    std::string message;
    CHECK(d.refused("[[:db/add 1 :n 1] [:c/throws 7]]", &message) == "db.error/fn-failed");
    CHECK(message.find("form 2, [:c/throws 7]") != std::string::npos);
    CHECK(message.find("too poor") != std::string::npos);
    CHECK(d.refused("[[:c/loops]]") == "db.error/fn-failed");
    CHECK(d.refused("[[:c/bad]]") == "db.error/fn-failed");
    CHECK(d.refused("[[:c/type]]", &message) == "db.error/wrong-type");
    CHECK(message.find("made by [:c/type]") != std::string::npos);
    CHECK(d.refused("[[:c/none]]") == "db.error/syntax");
}

TEST_CASE("a spec says what an entity must have") {
    counters d;
    d.tx("[{:db/ident :spec/full :db.entity/attrs [:n :name]}]");
    d.tx(R"([{:db/id 1 :n 1 :name "a" :db/ensure :spec/full}])");
    d.tx(R"([{:db/id 2 :n 1} {:db/id 2 :db/ensure :spec/full :name "b"}])");
    CHECK(d.refused(R"([{:n 5 :db/ensure :spec/full}])") == "db.error/ensure-failed");
    CHECK(d.refused(R"([{:db/id 1 :db/ensure :spec/full} [:db/retract 1 :n 1]])") ==
          "db.error/ensure-failed");
}

TEST_CASE(":db/ensure is never a fact, in whichever form it stands") {
    counters d;
    d.tx("[{:db/ident :spec/n :db.entity/attrs [:n]}]");
    d.tx("[{:db/id 1 :n 1} [:db/add 1 :db/ensure :spec/n]]");
    CHECK(d.refused("[[:db/add 2 :db/ensure :spec/n]]") == "db.error/ensure-failed");
    CHECK(d.refused(R"([[:db/add "new" :db/ensure :spec/n]])") == "db.error/ensure-failed");
    const auto now = facts(d.now_db());
    CHECK(std::count(now.begin(), now.end(), "1 :n 1") == 1);
    CHECK(std::none_of(now.begin(), now.end(), [](const std::string& f) {
        return f.find("ensure") != std::string::npos;
    }));
}

TEST_CASE("predicates of an attribute hold of every value asserted") {
    counters d;
    int calls = 0;
    d.conn->define(keyword{"c/small?"}, [&](const db&, std::span<const value> args) {
        ++calls;
        return value(args[0].as<std::int64_t>() < 10);
    });
    d.tx("[{:db/id 1 :n 50} {:db/id :n :db.attr/preds c/small?}]");
    CHECK(calls == 0);
    d.tx("[{:db/id 2 :n 3} {:db/id 1 :name \"not asked\"}]");
    CHECK(calls == 1);
    std::string message;
    CHECK(d.refused("[{:db/id 3 :n 4} {:db/id 2 :n 10}]", &message) == "db.error/ensure-failed");
    CHECK(message.find("form 2") != std::string::npos);
    CHECK(message.find("c/small? does not hold of 10, it says false") != std::string::npos);
    CHECK_THROWS(d.now_db().with(edn::read("[{:n 11}]"), 9000));
    d.tx("[[:db/retract 1 :n 50]]");
    d.tx("[{:db/id :n :db.attr/preds [:c/none]}]");
    CHECK(d.refused("[{:n 1}]", &message) == "db.error/fn-failed");
    CHECK(message.find("connection::define") != std::string::npos);
    d.tx("[[:db/retract :n :db.attr/preds :c/none] [:db/retract :n :db.attr/preds c/small?]]");
    d.tx("[{:db/id 2 :n 100}]");
}

TEST_CASE("predicates of a spec are asked of the entity after the transaction") {
    counters d;
    d.conn->define(keyword{"c/balanced?"}, [](const db& after, std::span<const value> args) {
        const value pair =
            query(edn::read("[:find [?n ?name] :in $ ?e :where [?e :n ?n] [?e :name ?name]]"),
                  {after, args[0]});
        const auto& found = pair.as<vector>();
        if (std::to_string(found[0].as<std::int64_t>()) == found[1].as<std::string>())
            return value(true);
        return value("n and name differ");
    });
    d.tx("[{:db/ident :spec/b :db.entity/attrs [:n :name] :db.entity/preds [c/balanced?]}]");
    const auto report = d.tx(R"([{:db/id "new" :n 1 :name "1" :db/ensure :spec/b}])");
    CHECK(report.tempids.size() == 1);
    d.tx(R"([{:db/id 5 :n 7} [:c/inc 6] {:db/id 5 :name "7" :db/ensure :spec/b}])");
    std::string message;
    CHECK(d.refused(R"([{:db/id 5 :n 8 :db/ensure :spec/b}])", &message) ==
          "db.error/ensure-failed");
    CHECK(message.find("c/balanced? does not hold of 5, it says \"n and name differ\"") !=
          std::string::npos);
    CHECK(d.refused(R"([{:n 8 :name "9" :db/ensure :spec/b}])") == "db.error/ensure-failed");
    // Not asked for, not checked.
    d.tx("[{:db/id 5 :n 8}]");
}

TEST_CASE("predicates and functions in a staged batch ask for a flush") {
    counters d;
    d.conn->define(keyword{"c/any?"},
                   [](const db&, std::span<const value>) { return value(true); });
    d.tx("[{:db/id :n :db.attr/preds c/any?}]");
    d.stage("[{:db/id 1 :n 1}]");
    CHECK(code_of([&] { d.stage("[{:db/id 2 :n 2}]"); }) == errc::misuse);
    CHECK(code_of([&] { d.stage("[[:c/inc 1]]"); }) == errc::misuse);
    d.conn->flush();
    d.stage("[{:db/id 2 :n 2}]");
    d.conn->flush();
    const auto now = facts(d.now_db());
    CHECK(std::count(now.begin(), now.end(), "2 :n 2") == 1);
}

TEST_CASE("with calls the connection's functions on the database it stands on") {
    counters d;
    d.tx("[[:c/inc 1]]");
    const db one = d.now_db();
    d.tx("[[:c/inc 1]]");
    const auto first = one.with(edn::read("[[:c/inc 1] [:c/inc 2]]"), 5000);
    CHECK(facts(first.db_after) == std::vector<std::string>{"1 :n 2", "2 :n 1"});
    d.conn->define(keyword{"c/two"}, [](const db&, std::span<const value>) {
        return edn::read("[[:c/inc 1] [:c/inc 2]]");
    });
    const auto second = first.db_after.with(edn::read("[[:c/two]]"), 5000);
    CHECK(facts(second.db_after) == std::vector<std::string>{"1 :n 3", "2 :n 2"});
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 2"});
    try {
        one.with(edn::read("[[:c/none 1]]"), 5000);
        FAIL("there is no :c/none");
    } catch (const error& e) {
        CHECK(e.name() == std::string("db.error/syntax"));
    }
    d.reopen();  // a value outlives its connection, and so do the functions it calls
    CHECK(facts(one.with(edn::read("[[:c/two]]"), 5000).db_after) ==
          std::vector<std::string>{"1 :n 2", "2 :n 1"});
}

TEST_CASE("a function that would see staged transactions is refused, and the batch goes on") {
    counters d;
    d.stage("[[:c/inc 1]]");
    std::string message;
    CHECK(code_of([&] { d.stage("[[:c/inc 1]]"); }, &message) == errc::misuse);
    CHECK_THAT(message, Catch::Contains("flush"));
    d.stage("[[:db/add 2 :n 7]]");
    d.conn->flush();
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 1", "2 :n 7"});
}
