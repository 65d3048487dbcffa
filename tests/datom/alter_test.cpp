#include "tributary/datom/verify.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"

using namespace tributary;
using namespace tributary::datom;

namespace {

/// What is wrong with the indexes of a database.
std::vector<std::string> problems_of(const scratch& d) {
    std::vector<std::string> problems;
    verify(
        d.now_db(),
        [&](const std::string& p) { problems.push_back(p); },
        [](std::int64_t, std::int64_t) {});
    return problems;
}

struct people : scratch {
    people() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
               {:db/ident :tag :db/valueType :db.type/string :db/cardinality :db.cardinality/many}])");
        tx(R"([{:db/id 1 :name "Ada" :tag ["x" "y"]} {:db/id 2 :name "Bob" :tag ["z"]}])");  // 2
        tx(R"([[:db/add 1 :name "Ann"] [:db/retract 1 :tag "y"]])");                         // 3
    }
    value ask(const std::string& q, std::optional<std::int64_t> t = std::nullopt) {
        return query(edn::read(q), {t ? now_db().as_of(*t) : now_db()});
    }
    std::string refused(const std::string& forms) {
        const auto before = facts(now_db().history(), true);
        try {
            tx(forms);
        } catch (const error& e) {
            CHECK(facts(now_db().history(), true) == before);
            return e.name();
        }
        return "none";
    }
};

const char* const names = "[:find ?n :where [_ :name ?n]]";

}  // namespace

TEST_CASE("an attribute with facts may become many, and one again while no entity holds two") {
    people d;
    d.tx("[{:db/id :name :db/cardinality :db.cardinality/many}]");  // 4
    d.tx(R"([[:db/add 1 :name "Anna"]])");                          // 5
    CHECK(d.ask(names) == edn::read(R"(#{["Ann"] ["Anna"] ["Bob"]})"));
    CHECK(d.ask(names, 2) == edn::read(R"(#{["Ada"] ["Bob"]})"));
    CHECK(d.refused("[{:db/id :name :db/cardinality :db.cardinality/one}]") ==
          "db.error/invalid-alter");
    d.tx(R"([[:db/retract 1 :name "Ann"]])");                      // 6
    d.tx("[{:db/id :name :db/cardinality :db.cardinality/one}]");  // 7
    d.tx(R"([[:db/add 1 :name "Zoe"]])");
    CHECK(d.ask(names) == edn::read(R"(#{["Zoe"] ["Bob"]})"));
    CHECK(d.ask(names, 5) == edn::read(R"(#{["Ann"] ["Anna"] ["Bob"]})"));
    CHECK(d.ask(R"([:find ?e . :where [?e :name "Ada"]])", 2) == value(1));
    d.reopen();
    CHECK(d.ask(names) == edn::read(R"(#{["Zoe"] ["Bob"]})"));
    CHECK(problems_of(d) == std::vector<std::string>{});
}

TEST_CASE("uniqueness is given to values that are unique, and taken away") {
    people d;
    d.tx(R"([[:db/add 3 :name "Bob"]])");
    CHECK(d.refused("[{:db/id :name :db/unique :db.unique/identity}]") == "db.error/invalid-alter");
    d.tx(R"([[:db/add 3 :name "Cid"]])");
    d.tx("[{:db/id :name :db/unique :db.unique/identity}]");
    CHECK(d.tx(R"([{:db/id "x" :name "Cid"}])").tempids.at(value("x")) == 3);
    CHECK(d.refused(R"([[:db/add 2 :name "Cid"]])") == "db.error/unique-conflict");
    d.tx("[{:db/id :name :db/unique :db.unique/value}]");
    CHECK(d.refused(R"([{:name "Cid"}])") == "db.error/unique-conflict");
    d.tx("[[:db/retract :name :db/unique :db.unique/value]]");
    d.tx(R"([{:db/id 4 :name "Cid"}])");
    CHECK(d.ask(R"([:find ?e :where [?e :name "Cid"]])") == edn::read("#{[3] [4]}"));
    CHECK(d.ask(R"([:find ?e . :where [?e :name "Ada"]])", 2) == value(1));
    CHECK(problems_of(d) == std::vector<std::string>{});
}

TEST_CASE("an index is dropped and filled again, past facts too") {
    people d;
    const auto by_value = [&] { return d.ask(R"([:find ?e . :where [?e :name "Ada"]])", 2); };
    d.tx("[{:db/id :name :db/index false}]");
    CHECK(by_value() == value(1));
    d.tx(R"([[:db/add 2 :name "Ben"]])");
    d.tx("[{:db/id :name :db/index true}]");
    CHECK(by_value() == value(1));
    CHECK(d.ask(R"([:find ?e . :where [?e :name "Ben"]])") == value(2));
    CHECK(d.ask(R"([:find ?e . :where [?e :name "Bob"]])") == value());
    CHECK(problems_of(d) == std::vector<std::string>{});
}

TEST_CASE("an attribute keeps its former names until something else takes them") {
    people d;
    d.tx("[{:db/id :name :db/ident :person/name}]");
    CHECK(d.ask("[:find (count ?n) . :where [_ :name ?n]]") ==
          d.ask("[:find (count ?n) . :where [_ :person/name ?n]]"));
    const auto id = d.now_db().entid(keyword{"name"});
    CHECK(d.now_db().ident(*id) == keyword{"person/name"});
    d.tx("[{:db/ident :name :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]");
    CHECK(d.now_db().entid(keyword{"name"}) != id);
    CHECK(problems_of(d) == std::vector<std::string>{});
}

TEST_CASE("what an attribute is made of never changes") {
    people d;
    CHECK(d.refused("[{:db/id :name :db/valueType :db.type/long}]") == "db.error/invalid-alter");
    CHECK(d.refused("[{:db/id :name :db/fulltext true}]") == "db.error/invalid-alter");
    CHECK(d.refused("[{:db/id :tag :db/isComponent true}]") == "db.error/invalid-schema");
    CHECK(d.refused(R"([{:db/id :name :db/cardinality :db.cardinality/many}
                        [:db/add 1 :name "B"]])") == "db.error/invalid-alter");
}

TEST_CASE("a batch may alter what it has just written") {
    people d;
    d.stage(R"([[:db/add 5 :name "Eve"]])");
    d.stage("[{:db/id :name :db/unique :db.unique/identity}]");
    CHECK(d.stage(R"([{:db/id "x" :name "Eve"}])").tempids.at(value("x")) == 5);
    d.stage("[[:db/retract :name :db/unique :db.unique/identity]]");
    d.stage(R"([[:db/add 6 :name "Eve"]])");
    CHECK(code_of([&] { d.stage("[{:db/id :name :db/unique :db.unique/value}]"); }) ==
          errc::conflict);
    d.stage(R"([[:db/add 6 :name "Una"]])");
    d.stage("[{:db/id :name :db/unique :db.unique/value}]");
    d.conn->flush();
    CHECK(d.ask(R"([:find ?e . :where [?e :name "Eve"]])") == value(5));
    CHECK(problems_of(d) == std::vector<std::string>{});
}

TEST_CASE("a rewind goes back over an alteration") {
    scratch d;
    d.stage(
        R"([{:db/ident :tag :db/valueType :db.type/string :db/cardinality :db.cardinality/many}])");
    d.stage(R"([{:db/id 1 :tag ["x" "y"]} {:db/id 2 :tag "x"}])");
    d.conn->stage_cursor("s", {1, "one", {}, 1});
    d.conn->flush();
    d.stage(R"([[:db/retract 1 :tag "y"] [:db/retract 2 :tag "x"]])");
    d.stage("[{:db/id :tag :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}]");
    d.stage(R"([{:db/id 1 :tag "new"}])");
    d.conn->stage_cursor("s", {2, "two", {}, 1});
    d.conn->flush();
    CHECK(facts(d.now_db()) == std::vector<std::string>{R"(1 :tag "new")"});
    d.conn->rewind("s", 1, ++d.now);
    const std::vector<std::string> then{R"(1 :tag "x")", R"(1 :tag "y")", R"(2 :tag "x")"};
    CHECK(facts(d.now_db()) == then);
    d.reopen();
    CHECK(facts(d.now_db()) == then);
    d.stage(R"([[:db/add 1 :tag "z"]])");
    d.conn->flush();
    CHECK(facts(d.now_db()).size() == 4);
    CHECK(problems_of(d) == std::vector<std::string>{});
}
