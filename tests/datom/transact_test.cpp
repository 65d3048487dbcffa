#include "tributary/datom/transaction.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

namespace {

constexpr const char* people = R"([
    {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
    {:db/ident :email :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :badge :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
    {:db/ident :aka :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
    {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
    {:db/ident :home :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/isComponent true}])";

struct people_db : scratch {
    people_db() { tx(people); }
    using lines = std::vector<std::string>;
};

}  // namespace

TEST_CASE("a new entity never gets the id of one that is there") {
    scratch d;
    d.tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    const entity_id end = user_ids_end;
    d.tx("[{:db/id " + std::to_string(end) + " :n 1} {:db/id " + std::to_string(end - 1) +
         " :n 2}]");
    CHECK_THROWS_AS(d.tx(R"([{:db/id "new" :n 3}])"), error);
    CHECK(facts(d.now_db()) == std::vector<std::string>{std::to_string(end - 1) + " :n 2",
                                                        std::to_string(end) + " :n 1"});
}

TEST_CASE("transact: maps and lists say the same", "[datom]") {
    people_db a, b;
    a.tx(R"([{:db/id 1 :name "Ann" :aka ["a" "an"]}])");
    b.tx(R"([[:db/add 1 :name "Ann"] [:db/add 1 :aka "a"] [:db/add 1 :aka "an"]])");
    CHECK(facts(a.now_db()) ==
          people_db::lines{R"(1 :aka "a")", R"(1 :aka "an")", R"(1 :name "Ann")"});
    CHECK(facts(a.now_db()) == facts(b.now_db()));
}

TEST_CASE("transact: a tempid is one new entity, named in the report", "[datom]") {
    people_db d;
    const auto report = d.tx(
        R"([{:db/id "x" :name "Ann"} [:db/add "x" :age 7] {:db/id -1 :name "Bob" :boss "x"}])");
    const entity_id x = report.tempids.at("x"), bob = report.tempids.at(-1);
    CHECK(x >= user_partition);
    CHECK(x != bob);
    CHECK(facts(d.now_db()).size() == 4);
    CHECK(d.now_db().get().lookup(
              bob, *d.now_db().get().find_attribute(std::string_view("boss"))) == value(x));
}

TEST_CASE("transact: a tempid used only as a value is refused", "[datom]") {
    people_db d;
    std::string message;
    CHECK(code_of([&] { d.tx(R"([[:db/add 1 :boss "ghost"]])"); }, &message) == errc::bad_input);
    CHECK_THAT(message, Catch::Contains("ghost") && Catch::Contains("form 1"));
}

TEST_CASE("transact: an identity finds the entity that has it", "[datom]") {
    people_db d;
    const auto first = d.tx(R"([{:db/id "a" :email "ann@x" :age 1}])");
    const auto second = d.tx(
        R"([{:db/id "b" :email "ann@x" :age 2} {:db/id "c" :email "new@x"} {:db/id "d" :email "new@x" :age 3}])");
    CHECK(second.tempids.at("b") == first.tempids.at("a"));
    CHECK(second.tempids.at("c") == second.tempids.at("d"));
    CHECK(facts(d.now_db()).size() == 4);
}

TEST_CASE("transact: an identity through a reference to an upserted entity", "[datom]") {
    people_db d;
    d.tx(
        R"([{:db/ident :account/of :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}])");
    const auto first = d.tx(R"([{:db/id "p" :email "p@x"} {:db/id "acc" :account/of "p" :age 1}])");
    const auto again = d.tx(R"([{:db/id "acc" :account/of "p" :age 2} {:db/id "p" :email "p@x"}])");
    CHECK(again.tempids.at("acc") == first.tempids.at("acc"));
    CHECK(d.now_db().entid(edn::read(R"([:account/of [:email "p@x"]])")) ==
          first.tempids.at("acc"));
}

TEST_CASE("transact: uniqueness is refused or freed", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :badge 7} {:db/id 2 :badge 8}])");
    CHECK(code_of([&] { d.tx("[{:db/id 3 :badge 7}]"); }) == errc::conflict);
    CHECK(code_of([&] { d.tx("[{:db/id 3 :badge 9} {:db/id 4 :badge 9}]"); }) == errc::conflict);
    CHECK(code_of([&] { d.tx(R"([{:db/id 1 :email "a"} {:db/id 2 :email "a"}])"); }) ==
          errc::conflict);
    d.tx("[[:db/retract 1 :badge 7] {:db/id 2 :badge 7}]");
    CHECK(facts(d.now_db()) == people_db::lines{"2 :badge 7"});
    CHECK(d.now_db().entid(edn::read("[:badge 7]")) == 2);
    CHECK(d.now_db().entid(edn::read("[:badge 8]")) == std::nullopt);
}

TEST_CASE("transact: a transaction is a set, and contradictions are refused", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :name "Ann" :aka "a"}])");
    CHECK(code_of([&] { d.tx(R"([[:db/add 1 :name "B"] [:db/add 1 :name "C"]])"); }) ==
          errc::conflict);
    CHECK(code_of([&] { d.tx(R"([[:db/add 1 :aka "a"] [:db/retract 1 :aka "a"]])"); }) ==
          errc::conflict);
    const auto report =
        d.tx(R"([[:db/add 1 :name "B"] [:db/add 1 :name "B"] [:db/retract 1 :name "Ann"]])");
    CHECK(report.tx_data.size() == 3);
}

TEST_CASE("transact: what already holds is left alone", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :name "Ann" :aka "a"}])");
    const auto report = d.tx(
        R"([{:db/id 1 :name "Ann" :aka "a"} [:db/retract 1 :aka "zz"] [:db/retract 2 :name "x"]])");
    REQUIRE(report.tx_data.size() == 1);
    CHECK(report.tx_data[0].e == entity_of_t(report.t));
    for (const datom& f : d.now_db().facts_of(1)) CHECK(f.tx == entity_of_t(report.t - 1));
}

TEST_CASE("transact: cardinality one replaces with a retraction and an assertion", "[datom]") {
    people_db d;
    d.tx("[{:db/id 1 :age 1}]");
    const auto report = d.tx("[{:db/id 1 :age 2}]");
    std::vector<std::pair<value, bool>> ages;
    for (const datom& f : report.tx_data)
        if (f.e == 1) ages.emplace_back(f.v, f.added);
    CHECK(ages == std::vector<std::pair<value, bool>>{{1, false}, {2, true}});
}

TEST_CASE("transact: retracting a value, an attribute, an entity", "[datom]") {
    people_db d;
    d.tx(
        R"([{:db/id 1 :name "Ann" :aka ["a" "b"] :friend [2 3] :home {:db/id 9 :name "house"}} {:db/id 2 :friend 1 :boss 1} {:db/id 3 :name "C"}])");
    d.tx(R"([[:db/retract 1 :aka "a"]])");
    CHECK(facts(d.now_db()).front() == R"(1 :aka "b")");
    d.tx(R"([[:db/retract 1 :friend]])");
    CHECK(facts(d.now_db()) == people_db::lines{R"(1 :aka "b")",
                                                "1 :home 9",
                                                R"(1 :name "Ann")",
                                                "2 :boss 1",
                                                "2 :friend 1",
                                                R"(3 :name "C")",
                                                R"(9 :name "house")"});
    d.tx(R"([[:db/retractEntity 1]])");
    CHECK(facts(d.now_db()) == people_db::lines{R"(3 :name "C")"});
    CHECK(d.tx("[[:db/retractEntity 77]]").tx_data.size() == 1);
}

TEST_CASE("transact: compare and set", "[datom]") {
    people_db d;
    d.tx("[[:db/cas 1 :age nil 5]]");
    d.tx("[[:db/cas 1 :age 5 6]]");
    std::string message;
    CHECK(code_of([&] { d.tx("[[:db/cas 1 :age 5 7]]"); }, &message) == errc::conflict);
    CHECK_THAT(message, Catch::Contains("6"));
    CHECK(code_of([&] { d.tx("[[:db/cas 1 :age nil 7]]"); }) == errc::conflict);
    CHECK(code_of([&] { d.tx(R"([[:db/cas 1 :aka "a" "b"]])"); }) == errc::conflict);
    CHECK(facts(d.now_db()) == people_db::lines{"1 :age 6"});
}

TEST_CASE("transact: what is retracted as a whole may be said anew", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :name "Ann" :aka ["a" "b"] :age 7} {:db/id 2 :boss 1}])");
    // Whatever the order.
    d.tx(R"([[:db/add 1 :aka "c"] [:db/retract 1 :aka]])");
    CHECK(facts(d.now_db()) ==
          people_db::lines{"1 :age 7", R"(1 :aka "c")", R"(1 :name "Ann")", "2 :boss 1"});
    d.tx(R"([[:db/add 1 :name "Eve"] [:db/retractEntity 1] [:db/add 1 :aka "d"]])");
    CHECK(facts(d.now_db()) == people_db::lines{R"(1 :aka "d")", R"(1 :name "Eve")"});
    const auto refusal = [&](const char* forms) {
        std::string message;
        CHECK(code_of([&] { d.tx(forms); }, &message) == errc::conflict);
        return message;
    };
    CHECK_THAT(refusal(R"([[:db/retractEntity 1] [:db/add 1 :name "Eve"]])"),
               Catch::Contains("both added and retracted"));
    // DataScript's name for it takes what the transaction adds, too.
    CHECK_THAT(refusal("[[:db.fn/retractAttribute 1 :age] [:db/add 1 :age 8]]"),
               Catch::Contains(":age"));
    CHECK_THAT(refusal("[[:db/add 1 :age 8] [:db.fn/retractAttribute 1 :age]]"),
               Catch::Contains(":age"));
}

TEST_CASE("transact: nothing is retracted of what a lookup ref does not find", "[datom]") {
    people_db d;
    CHECK(d.tx(R"([[:db/retractEntity [:email "no"]] [:db/retract [:email "no"] :name]
                   [:db/retract 1 :boss [:email "no"]]])")
              .tx_data.size() == 1);
}

TEST_CASE("transact: a tempid that is two entities is refused", "[datom]") {
    people_db d;
    d.tx(
        R"([{:db/ident :uid :db/valueType :db.type/long :db/cardinality :db.cardinality/many :db/unique :db.unique/identity}
            {:db/id 1 :email "a"} {:db/id 2 :uid 2}])");
    for (const char* forms : {R"([{:email "a" :uid 2}])",
                              R"([{:uid [2 3] :email "a"}])",
                              R"([[:db/add "t" :email "a"] [:db/add "t" :uid 2]])",
                              R"([[:db/add "t" :uid 2] [:db/add "t" :email "a"]])",
                              R"([{:db/id 2 :email "a"}])"}) {
        CAPTURE(forms);
        try {
            d.tx(forms);
            FAIL("not refused");
        } catch (const error& e) {
            CHECK(std::string_view(e.name()) == tx_error::conflicting_upsert);
        }
    }
}

TEST_CASE("transact: an id of one's own choice is not given to a new entity", "[datom]") {
    people_db d;
    const entity_id next = d.tx(R"([{:db/id "a" :name "A"}])").tempids.at("a") + 1;
    const auto report =
        d.tx(R"([{:db/id "b" :name "B"} {:db/id )" + std::to_string(next) + R"( :name "C"}])");
    CHECK(report.tempids.at("b") != next);
}

TEST_CASE("transact: lookup refs and idents name entities", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :email "a@x"} {:db/id 2 :db/ident :color/red}])");
    d.tx(
        R"([[:db/add [:email "a@x"] :boss :color/red] {:db/id [:email "a@x"] :friend [[:email "a@x"] :color/red]} {:db/id 5 :friend [:email "a@x"]}])");
    CHECK(facts(d.now_db()) == people_db::lines{"1 :boss 2",
                                                R"(1 :email "a@x")",
                                                "1 :friend 1",
                                                "1 :friend 2",
                                                "2 :db/ident :color/red",
                                                "5 :friend 1"});
    CHECK(code_of([&] { d.tx(R"([[:db/add [:email "nobody"] :age 1]])"); }) == errc::bad_input);
    CHECK(code_of([&] { d.tx(R"([[:db/add :color/blue :age 1]])"); }) == errc::bad_input);
    CHECK(d.now_db().ident(2) == keyword{"color/red"});
}

TEST_CASE("transact: nested maps and reverse attributes", "[datom]") {
    people_db d;
    const auto report = d.tx(
        R"([{:db/id "a" :name "A" :home {:name "hut"} :friend [{:name "F"} {:name "G"}] :_boss [7 {:db/id 8 :name "H"}]}])");
    const entity_id a = report.tempids.at("a");
    const auto all = facts(d.now_db());
    CHECK(all.size() == 10);
    CHECK(std::count(all.begin(), all.end(), "7 :boss " + std::to_string(a)) == 1);
    CHECK(std::count(all.begin(), all.end(), "8 :boss " + std::to_string(a)) == 1);
    CHECK(code_of([&] { d.tx(R"([{:db/id 1 :_name 5}])"); }) == errc::bad_input);
}

TEST_CASE("transact: the transaction entity takes metadata and an instant", "[datom]") {
    people_db d;
    const auto report =
        d.tx(R"([{:db/id "datomic.tx" :name "import"} [:db/add 1 :boss "datomic.tx"]])");
    const auto own = d.now_db().facts_of(entity_of_t(report.t));
    REQUIRE(own.size() == 2);
    CHECK(own[0].v == value(inst{d.now}));
    CHECK(own[1].v == value("import"));
    CHECK(facts(d.now_db()) ==
          people_db::lines{"1 :boss " + std::to_string(entity_of_t(report.t))});

    CHECK(
        code_of([&] {
            d.tx(R"([[:db/add "datomic.tx" :db/txInstant #inst "2030-01-01T00:00:00.000-00:00"]])");
        }) == errc::bad_input);  // in the future
    d.now = 2'000'000'000'000;
    d.tx(R"([[:db/add "datomic.tx" :db/txInstant #inst "2030-01-01T00:00:00.000-00:00"]])");
    d.now = 1000;
    std::string message;
    CHECK(
        code_of(
            [&] {
                d.tx(
                    R"([[:db/add "datomic.tx" :db/txInstant #inst "2029-01-01T00:00:00.000-00:00"]])");
            },
            &message) == errc::bad_input);
    CHECK_THAT(message, Catch::Contains("2030"));
    const auto raised = d.tx("[]");  // the clock is behind
    CHECK(raised.tx_data.at(0).v == edn::read(R"(#inst "2030-01-01T00:00:00.000-00:00")"));
}

TEST_CASE("transact: errors name the form and leave nothing behind", "[datom]") {
    people_db d;
    d.tx(R"([{:db/id 1 :name "Ann"}])");
    const auto before = d.conn->current().basis_t();
    const auto writes = d.store->write_count();
    struct bad {
        const char* forms;
        const char* hint;
    };
    const bad cases[] = {
        {R"([{:name []}])", "collection []"},
        {R"([{:name #{"x"}}])", "collection"},
        {R"([{:aka [nil]}])", "nil is not a value"},
        {R"([{:boss {}}])", "an empty map says nothing"},
        {R"([{:boss 1.5}])", "a reference is an id"},
        {R"([[:db/cas 1 :boss nil 1.5]])", "a reference is an id"},
        {R"([[:db/retract :nobody :name]])", "nothing has this ident: :nobody"},
        {R"([[:db/retractEntity :nobody]])", "nothing has this ident: :nobody"},
        {R"([[:db/cas [:email "nobody"] :age nil 1]])", "nothing is found"},
        {R"([{:db/id 5 :name "ok"} {:db/id 6 :nmae "x"}])", ":nmae; did you mean :name?"},
        {R"([{:db/id 6 :quite-another "x"}])", "declare it with :db/ident"},
        {R"([[:db/add 1 name "x"]])", "a colon may be missing: :name"},
        {R"([[:db/add 1 :name 3]])", R"(write it like "text")"},
        {R"([{:db/ident :size :db/valueType :db.type/int :db/cardinality :db.cardinality/one}])",
         "there are :db.type/boolean, :db.type/long"},
        {R"([[:db/add 1 :age "seven"]])", "db.type/long"},
        {R"([{:db/id 1 :name nil}])", "nil"},
        {R"([[:db/add 1 :name]])", "[:db/add entity attribute value]"},
        {R"([[:db/frob 1]])", ":db/frob"},
        {R"([42])", "form"},
        {R"({:name "x"})", "vector"},
        {R"([[:db/retract "x" :name "y"]])", "tempid"},
        {R"([[:db/add 1 :friend "seven is a tempid"]])", "only used as a value"},
        {R"([[:db/add 13194139599999 :name "no such tx"]])", "not the id"},
        {R"([[:db/add [:name "Ann"] :age 1]])", "unique"},
        {R"([[:db/retractEntity :name]])", "cannot be retracted"},
    };
    for (const bad& c : cases) {
        INFO(c.forms);
        std::string message;
        CHECK(code_of([&] { d.tx(c.forms); }, &message) == errc::bad_input);
        CHECK_THAT(message, Catch::Contains(c.hint));
    }
    CHECK(d.conn->current().basis_t() == before);
    CHECK(d.store->write_count() == writes);
    CHECK(d.conn->staged_bytes() == 0);
    CHECK(facts(d.now_db()) == people_db::lines{R"(1 :name "Ann")"});
}

TEST_CASE("transact: explicit ids are never given out again", "[datom]") {
    people_db d;
    const entity_id chosen = user_partition + 50;
    d.tx("[{:db/id " + std::to_string(chosen) + " :age 1}]");
    CHECK(d.tx(R"([{:db/id "n" :age 2}])").tempids.at("n") > chosen);
}

TEST_CASE("schema: attributes serve in the transaction that declares them", "[datom]") {
    scratch d;
    d.tx(R"([{:db/id 1 :pet/name "Rex"}
             {:db/ident :pet/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/doc "what it answers to"}])");
    CHECK(facts(d.now_db()) == std::vector<std::string>{R"(1 :pet/name "Rex")"});
    // Declaring it again changes nothing.
    CHECK(
        d.tx(R"([{:db/ident :pet/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}])")
            .tx_data.size() == 1);
    d.reopen();
    CHECK(d.now_db().get().find_attribute(std::string_view("pet/name"))->type ==
          value_type::string);
    d.tx(
        R"([[:db/add "a" :db/ident :pet/age] [:db/add "a" :db/valueType :db.type/long] [:db/add "a" :db/cardinality :db.cardinality/one] [:db/add 1 :pet/age 3]])");
    CHECK(facts(d.now_db()).size() == 2);
}

TEST_CASE("schema: what cannot be is refused", "[datom]") {
    scratch d;
    d.tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    d.tx("[[:db/add 1 :n 1]]");
    for (
        const char* forms : {
            R"([{:db/ident :m :db/valueType :db.type/long}])",
            R"([{:db/ident :m :db/valueType :db.type/lang :db/cardinality :db.cardinality/one}])",
            R"([{:db/ident :db/mine :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])",
            R"([{:db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/fulltext true}])",
            R"([{:db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/isComponent true}])",
            R"([{:db/id :n :db/valueType :db.type/string}])",
            R"([[:db/retract :n :db/valueType :db.type/long]])",
            R"([{:db/id 77 :db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])",
            R"([{:db/id :db/ident :db/doc "mine"}])",
        }) {
        INFO(forms);
        CHECK(code_of([&] { d.tx(forms); }) == errc::bad_input);
    }
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 1"});
}

TEST_CASE("schema: how an attribute is stored can change", "[datom]") {
    scratch d;
    d.tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    d.tx("[{:db/id :n :db/cardinality :db.cardinality/many :db/unique :db.unique/value}]");
    d.tx("[{:db/id 1 :n [1 2]}]");
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :n 1", "1 :n 2"});
    d.tx("[[:db/retractEntity 1]]");
    d.tx("[{:db/id :n :db/cardinality :db.cardinality/one}]");
    d.tx(R"([{:db/id :n :db/noHistory true :db/doc "a number"}])");
    CHECK(d.now_db().get().find_attribute("n")->no_history);
}

TEST_CASE("schema: a renamed attribute answers to both names", "[datom]") {
    scratch d;
    d.tx(
        R"([{:db/ident :old :db/valueType :db.type/long :db/cardinality :db.cardinality/one} {:db/id 1 :old 5}])");
    d.tx("[{:db/id :old :db/ident :new}]");
    for (int round = 0; round < 2; ++round) {
        CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :new 5"});
        CHECK(d.now_db().entid(keyword{"old"}) == d.now_db().entid(keyword{"new"}));
        d.reopen();
    }
    d.tx("[{:db/id 2 :db/ident :old}]");
    CHECK(d.now_db().entid(keyword{"old"}) == 2);
    d.reopen();
    CHECK(d.now_db().entid(keyword{"old"}) == 2);
}

TEST_CASE("transact: every value type comes back as it went in", "[datom]") {
    scratch d;
    const std::pair<const char*, std::vector<const char*>> types[] = {
        {"boolean", {"true", "false"}},
        {"long", {"0", "-1", "9223372036854775807", "-9223372036854775808"}},
        {"double", {"0.5", "-1e300", "1e-300"}},
        {"bigdec", {"12345678901234567890123.45M", "-0.10M", "0.1M"}},
        {"instant", {R"(#inst "1969-07-20T20:17:40.000-00:00")"}},
        {"string", {R"("")", R"("a\u0000b")", "\"héllo\""}},
        {"keyword", {":a", ":a/b"}},
        {"symbol", {"x", "x/y"}},
        {"uuid", {R"(#uuid "0f8fad5b-d9cb-469f-a165-70867728950e")"}},
        {"ref", {"1", "17592186044999"}},
    };
    for (const auto& [type, values] : types) {
        d.tx("[{:db/ident :one/" + std::string(type) + " :db/valueType :db.type/" + type +
             " :db/cardinality :db.cardinality/one} {:db/ident :many/" + type +
             " :db/valueType :db.type/" + type + " :db/cardinality :db.cardinality/many}]");
        for (const char* text : values) {
            d.tx("[{:db/id 1 :one/" + std::string(type) + " " + text + " :many/" + type + " [" +
                 text + "]}]");
            const db held = d.now_db();
            const attribute& one = *held.get().find_attribute("one/" + std::string(type));
            const attribute& many = *held.get().find_attribute("many/" + std::string(type));
            INFO(type << " " << text);
            CHECK(held.get().lookup(1, one) == edn::read(text));
            int found = 0;
            const auto count = [&](const datom_ref& f) {
                return found += f.v.to_value() == edn::read(text), true;
            };
            held.get().scan_avet(one, edn::read(text), count);
            held.get().scan_avet(many, edn::read(text), count);
            held.get().scan_fact(1, many, edn::read(text), count);
            held.get().scan_column(many, [&](entity_id, const value_view& v) {
                return found += v.to_value() == edn::read(text), true;
            });
            CHECK(found == 4);
        }
        CHECK(d.now_db().get().count(
                  *d.now_db().get().find_attribute("many/" + std::string(type))) == values.size());
    }
}

TEST_CASE("transact: an id that was only referred to is found by what refers to it", "[datom]") {
    people_db d;
    d.tx("[[:db/add 1 :friend 70]]");
    d.tx("[[:db/retractEntity 70]]");
    CHECK(facts(d.now_db()).empty());
    d.stage("[[:db/add 1 :friend 90]]");
    d.stage("[[:db/retractEntity 90]]");
    d.conn->flush();
    CHECK(facts(d.now_db()).empty());
}

TEST_CASE("#db/id names a new entity, or the transaction") {
    scratch d;
    d.tx(R"([{:db/id #db/id[:db.part/db] :db/ident :a :db/valueType :db.type/long
              :db/cardinality :db.cardinality/one :db.install/_attribute :db.part/db}
             {:db/id #db/id[:db.part/db -1] :db/ident :b :db/valueType :db.type/ref
              :db/cardinality :db.cardinality/one}
             [:db/add :db.part/db :db.install/attribute #db/id[:db.part/db -1]]
             {:db/id #db/id[:db.part/db -2] :db/ident :part/people
              :db.install/_partition :db.part/db}])");
    const auto report = d.tx(R"([{:db/id #db/id[:db.part/user -1] :a 1 :b #db/id [:x/y -1]}
                                 {:db/id #db/id[:x/y -1] :a 2}
                                 {:db/id #db/id[:db.part/user] :a 3}
                                 {:db/id #db/id[:db.part/user] :a 4}
                                 [:db/add #db/id[:db.part/tx] :a 5]])");
    const entity_id one = report.tempids.at(value(-1));
    const value a_of_b = query(edn::read("[:find ?n . :in $ ?e :where [?e :b ?x] [?x :a ?n]]"),
                               {d.now_db(), value(one)});
    CHECK(a_of_b == value(2));
    CHECK(query(edn::read("[:find (count ?e) . :where [?e :a]]"), {d.now_db()}) == value(5));
    CHECK(query(edn::read("[:find ?e . :where [?e :a 5]]"), {d.now_db()}) ==
          value(entity_of_t(report.t)));
    for (const char* bad : {"#db/id 1",
                            "#db/id[]",
                            "#db/id[:db.part/user 1]",
                            "#db/id[1]",
                            "#db/id[:db.part/user -1 2]",
                            "#db/id"})
        CHECK(code_of([&] { edn::read(bad); }) == errc::bad_input);
}

TEST_CASE("ids of a partition of one's own stay what they are and move no counter") {
    scratch d;
    d.tx(R"([{:db/ident :user/name :db/valueType :db.type/string
              :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}])");
    const entity_id chosen = (entity_id{9} << partition_shift) + 1;
    d.tx("[{:db/id " + std::to_string(chosen) + " :user/name \"Rich\"} {:db/id " +
         std::to_string(chosen + 1) + " :user/name \"Alan\"}]");
    CHECK(d.tx(R"([{:db/id "n" :user/name "Guy"}])").tempids.at(value("n")) == user_partition + 1);
    CHECK(d.now_db().entid(vector{keyword{"user/name"}, "Alan"}) == chosen + 1);
    d.reopen();
    CHECK(d.tx(R"([{:db/id "n" :user/name "Chris"}])").tempids.at(value("n")) ==
          user_partition + 2);
}

TEST_CASE("retractEntity: components inside each other go however deep they are", "[datom]") {
    scratch d;
    d.tx(
        R"([{:db/ident :part :db/valueType :db.type/ref :db/cardinality :db.cardinality/many :db/isComponent true}])");
    vector links;
    for (int i = 1; i <= 60000; ++i)
        links.push_back(vector{keyword{"db/add"}, i, keyword{"part"}, i % 60000 + 1});
    d.conn->transact(links, ++d.now);
    d.tx("[[:db/retractEntity 1]]");
    CHECK(facts(d.now_db()).empty());
}

TEST_CASE("transact: maps nested without an end are refused, not run into the ground", "[datom]") {
    scratch d;
    d.tx(
        R"([{:db/ident :next :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/isComponent true}])");
    const auto nested = [](int levels) {
        value m = make_map({{keyword{"next"}, 1}});
        for (int i = 1; i < levels; ++i) m = make_map({{keyword{"next"}, std::move(m)}});
        return value(vector{std::move(m)});
    };
    d.conn->transact(nested(400), ++d.now);
    CHECK(facts(d.now_db()).size() == 400);
    std::string message;
    CHECK(code_of([&] { d.conn->transact(nested(600), ++d.now); }, &message) == errc::limit);
    CHECK(message.find("inside each other") != std::string::npos);
    CHECK(facts(d.now_db()).size() == 400);
}

}  // namespace tributary::datom
