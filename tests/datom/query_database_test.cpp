#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"
#include "datom/support.hpp"

using namespace tributary;
using namespace tributary::datom;
using Catch::Matchers::Contains;

namespace {

const char* const schema_forms = R"([
    {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :weight :db/valueType :db.type/double :db/cardinality :db.cardinality/one}
    {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :color :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
    {:db/ident :aka :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
    {:db/ident :note :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :born :db/valueType :db.type/instant :db/cardinality :db.cardinality/one}
    {:db/ident :green} {:db/ident :blue}])";

struct people : scratch {
    people() {
        tx(schema_forms);
        tx(R"([{:db/id 1 :name "Ivan" :age 11 :friend 2 :color :green :aka ["Vanya" "Ivanko"] :note "Node.js and more" :weight 50.5}
               {:db/id 2 :name "Petr" :age 22 :friend [1 3] :color :blue :note "Ethereum, node, nodes" :born #inst "2001-02-03T00:00:00Z"}
               {:db/id 3 :name "Oleg" :age 33 :weight 70.0}])");
    }
    value ask(const std::string& q, std::vector<query_input> more = {}) const {
        more.insert(more.begin(), now_db());
        return answer(q, more);
    }
    std::string refused(const std::string& q, std::vector<query_input> more = {}) const {
        more.insert(more.begin(), now_db());
        return refusal(q, more);
    }
};

bool same(const value& v, const char* text) { return v == edn::read(text); }

}  // namespace

TEST_CASE("query on a database: constants, idents and lookup refs", "[datom][query]") {
    const people p;
    CHECK(same(p.ask("[:find ?n ?a :where [?e :name ?n] [?e :age ?a]]"),
               R"(#{["Ivan" 11] ["Petr" 22] ["Oleg" 33]})"));
    CHECK(same(p.ask(R"([:find ?a . :where [?e :age ?a] [?e :name "Petr"]])"), "22"));
    CHECK(same(p.ask("[:find ?e . :where [?e :color :green]]"), "1"));
    CHECK(same(p.ask(R"([:find [?e ...] :where [?e :friend [:name "Oleg"]]])"), "[2]"));
    CHECK(same(p.ask(R"([:find ?a . :where [[:name "Oleg"] :age ?a]])"), "33"));
    CHECK(same(p.ask("[:find ?i . :where [1 :color ?c] [?c :db/ident ?i]]"), ":green"));
    CHECK(same(p.ask("[:find ?e . :where [?e :weight 70]]"), "3"));
    CHECK(same(p.ask("[:find (count ?x) . :where [1 :aka ?x]]"), "2"));
    CHECK(same(p.ask("[:find ?e . :where [?e _ \"Vanya\"]]"), "1"));
    CHECK(
        same(p.ask("[:find ?i :where [3 ?a _] [?a :db/ident ?i]]"), "#{[:name] [:age] [:weight]}"));
    CHECK(same(p.ask("[:find ?i :where [2 ?a 1] [?a :db/ident ?i]]"), "#{[:friend]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :born #inst \"2001-02-03T00:00:00Z\"]]"), "#{[2]}"));
    CHECK(same(p.ask("[:find ?n :where [?e :friend ?f] [?f :friend ?e] [?e :name ?n]]"),
               R"(#{["Ivan"] ["Petr"]})"));
}

TEST_CASE("query on a database: inputs that name entities and attributes", "[datom][query]") {
    const people p;
    const auto in = [](const char* text) { return std::vector<query_input>{edn::read(text)}; };
    CHECK(same(p.ask("[:find ?e ?v :in $ ?e :where [?e :age ?v]]", in("[:name \"Ivan\"]")),
               "#{[[:name \"Ivan\"] 11]}"));
    CHECK(same(p.ask("[:find ?v :in $ [?e ...] :where [?e :age ?v]]", in("[[:name \"Oleg\"] 2]")),
               "#{[33] [22]}"));
    CHECK(same(p.ask("[:find [?e ...] :in $ ?v :where [?e :friend ?v]]", in("[:name \"Oleg\"]")),
               "[2]"));
    CHECK(same(p.ask("[:find ?a ?v :in $ [?a ...] :where [3 ?a ?v]]", in("[:name :age]")),
               R"(#{[:name "Oleg"] [:age 33]})"));
    CHECK(same(p.ask("[:find ?n . :in $ ?c :where [?e :color ?c] [?e :name ?n]]", in(":blue")),
               "\"Petr\""));
    CHECK(same(p.ask("[:find ?n :in $ ?c :where [?e :name ?n] (not [?e :color ?c])]", in(":blue")),
               R"(#{["Ivan"] ["Oleg"]})"));
    CHECK(same(p.ask("[:find ?n :in $ ?a :where [?e :name ?n] (or [?e :age ?a] [?e :color :blue])]",
                     in("33")),
               R"(#{["Petr"] ["Oleg"]})"));
    CHECK_THAT(p.refused("[:find ?v :in $ ?e :where [?e :age ?v]]", in("[:name \"Nobody\"]")),
               Contains("nothing found for the lookup ref"));
}

TEST_CASE("query on a database: arguments of rules name entities and attributes",
          "[datom][query]") {
    const people p;
    const value rules = edn::read(R"([
        [(friend ?x ?y) [?x :friend ?y]]
        [(near ?x ?y) (friend ?x ?y)] [(near ?x ?y) (friend ?x ?z) (near ?z ?y)]
        [(has ?a ?v) [?e ?a ?v]]
        [(same ?x ?y) [(= ?x ?y)]]])");
    const auto ask = [&](const std::string& q, std::vector<query_input> more = {}) {
        more.insert(more.begin(), rules);
        return p.ask(q, more);
    };
    CHECK(same(ask(R"([:find [?y ...] :in $ % :where (friend [:name "Ivan"] ?y)])"), "[2]"));
    CHECK(same(ask(R"([:find ?x :in $ % :where (near ?x [:name "Oleg"])])"), "#{[1] [2]}"));
    CHECK(same(ask("[:find ?x :in $ % ?y :where (near ?x ?y)]", {edn::read("[:name \"Oleg\"]")}),
               "#{[1] [2]}"));
    CHECK(same(ask("[:find ?y :in $ % [?x ...] :where (or-join [?x ?y] (friend ?x ?y))]",
                   {edn::read("[[:name \"Ivan\"] 2]")}),
               "#{[1] [2] [3]}"));
    CHECK(same(ask("[:find [?v ...] :in $ % :where (has :age ?v)]"), "[11 22 33]"));
    CHECK(same(ask("[:find ?x . :in $ % ?x :where (same ?x :age)]", {edn::read(":age")}), ":age"));
}

TEST_CASE("query on a database: typing mistakes are named", "[datom][query]") {
    const people p;
    CHECK_THAT(p.refused("[:find ?e :where [?e :nam ?n]]"),
               Contains("in [?e :nam ?n]: no attribute is named :nam; did you mean :name?"));
    CHECK_THAT(p.refused("[:find ?e :where [?e :color :gren]]"),
               Contains("no entity is named :gren"));
    CHECK_THAT(p.refused("[:find ?e :where [[:name \"Nobody\"] :age ?e]]"),
               Contains("nothing found for the lookup ref [:name \"Nobody\"]"));
    CHECK_THAT(p.refused("[:find ?e :where [\"Ivan\" :age ?e]]"), Contains("expected an entity"));
    CHECK_THAT(p.refused("[:find ?e :where [?e :age _ _ true 7]]"),
               Contains("at most five places"));
    CHECK_THAT(p.refused("[:find ?e :where [?e :age _ _ 1]]"),
               Contains("true (asserted) or false"));
    CHECK_THAT(p.refused("[:find ?e :in [?x] :where [(identity 1) ?e]]"),
               Contains("expected a value; a database is written $"));
    CHECK_THAT(p.refused("[:find ?e :where [(fulltext $ :name \"x\") [[?e]]]]"),
               Contains("not full-text"));
    CHECK_THAT(p.refused("[:find ?e :where [?e :age] [(get-else ?e :age 1) ?x]]"),
               Contains("takes a database first"));
}

TEST_CASE("query on a database: get-else, get-some, missing?, ident", "[datom][query]") {
    const people p;
    CHECK(same(p.ask("[:find ?e ?w :where [?e :name] [(get-else $ ?e :weight 0) ?w]]"),
               "#{[1 50.5] [2 0] [3 70.0]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :name] [(missing? $ ?e :weight)]]"), "#{[2]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :name] [(missing? $ ?e :_friend)]]"), "#{}"));
    CHECK(same(p.ask("[:find ?e :where [?e :name] [(missing? $ ?e :note)]]"), "#{[3]}"));
    CHECK(same(p.ask("[:find ?e ?k ?v :where [?e :name] [(get-some $ ?e :weight :age) [?a ?v]] "
                     "[(ident $ ?a) ?k]]"),
               "#{[1 :weight 50.5] [2 :age 22] [3 :weight 70.0]}"));
    CHECK_THAT(p.refused("[:find ?e ?w :where [?e :name] [(get-else $ ?e :weight nil) ?w]]"),
               Contains("default that is not nil"));
    CHECK_THAT(p.refused("[:find ?e ?x :where [?e :name] [(get-else $ ?e :friend 0) ?x]]"),
               Contains("cardinality one") && Contains(":friend"));
    CHECK_THAT(p.refused("[:find ?e ?x :where [?e :name] [(get-some $ ?e :note :friend) ?x]]"),
               Contains("cardinality one"));
    CHECK_THAT(p.refused("[:find ?e ?x :where [?e :name] [(get-else $ ?e :_friend 0) ?x]]"),
               Contains("cardinality one"));
}

TEST_CASE("query on a database: comparisons read only a part of the value index",
          "[datom][query]") {
    const people p;
    CHECK(same(p.ask("[:find ?e :where [?e :age ?a] [(< 11 ?a)] [(<= ?a 33)]]"), "#{[2] [3]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :age ?a] [(<= 11 ?a 22)]]"), "#{[1] [2]}"));
    CHECK(same(p.ask("[:find ?e :where [(> 33 ?a 11)] [?e :age ?a]]"), "#{[2]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :weight ?w] [(> ?w 60)]]"), "#{[3]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :age ?a] [(> ?a 21.5)]]"), "#{[2] [3]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :born ?b] [(< ?b #inst \"2001-02-04T00:00:00Z\")]]"),
               "#{[2]}"));
    CHECK(
        same(p.ask("[:find ?e ?n :in $ ?least :where [?e :age ?a] [?e :name ?n] [(>= ?a ?least)]]",
                   {value(22)}),
             R"(#{[2 "Petr"] [3 "Oleg"]})"));
    CHECK(same(p.ask("[:find ?e :in $ [?least ...] :where [?e :age ?a] [(> ?a ?least)]]",
                     {edn::read("[11 22]")}),
               "#{[2] [3]}"));
    CHECK(same(p.ask("[:find ?e :where [?e :age ?a] [(< ?a 0)] [?e :name]]"), "#{}"));
}

TEST_CASE("query on a database: full text", "[datom][query]") {
    const people p;
    const std::string q = "[:find [?e ...] :in $ ?words :where [(fulltext $ :note ?words) [[?e]]]]";
    const auto found = [&](const char* words) {
        const value v = p.ask(q, {value(words)});
        std::vector<std::int64_t> ids;
        for (const value& e : v.as<vector>()) ids.push_back(e.as<std::int64_t>());
        std::sort(ids.begin(), ids.end());
        return ids;
    };
    CHECK(found("NODE") == std::vector<std::int64_t>{1, 2});
    CHECK(found("nodes") == std::vector<std::int64_t>{2});
    CHECK(found("ether*") == std::vector<std::int64_t>{2});
    CHECK(found("more ethereum") == std::vector<std::int64_t>{1, 2});
    CHECK(found("nothing") == std::vector<std::int64_t>{});
    CHECK(found("") == std::vector<std::int64_t>{});
    CHECK(same(p.ask("[:find ?e ?n :where [(fulltext $ :note \"ethereum\") [[?e ?note ?tx "
                     "?score]]] [?e :name ?n] [?e :note ?note] "
                     "[?tx :db/txInstant] [(> ?score 0)]]"),
               R"(#{[2 "Petr"]})"));
}

TEST_CASE("query on a database: transactions, as-of and history", "[datom][query]") {
    people p;
    const auto before = p.now_db();
    const std::int64_t t = p.tx("[[:db/add 1 :age 12] [:db/retract 2 :friend 3]]").t;
    CHECK(same(p.ask("[:find ?a . :where [1 :age ?a]]"), "12"));
    CHECK(same(answer("[:find ?a . :where [1 :age ?a]]", {before}), "11"));
    CHECK(same(answer("[:find ?a . :where [1 :age ?a]]", {p.now_db().as_of(t - 1)}), "11"));
    CHECK(
        same(answer("[:find ?f :where [2 :friend ?f]]", {p.now_db().as_of(t - 1)}), "#{[1] [3]}"));
    CHECK(same(answer("[:find ?a ?added :where [1 :age ?a _ ?added]]", {p.now_db().history()}),
               "#{[11 true] [11 false] [12 true]}"));
    CHECK(same(answer("[:find ?f ?t :where [2 :friend ?f ?tx false] [(tx->t ?tx) ?t]]",
                      {p.now_db().history()}),
               ("#{[3 " + std::to_string(t) + "]}").c_str()));
    CHECK(same(
        p.ask("[:find ?e ?a :in $ ?t :where [(t->tx ?t) ?tx] [?e :age ?a ?tx true]]", {value(t)}),
        "#{[1 12]}"));
    CHECK(same(answer("[:find ?new ?old :in $ $old :where [?e :age ?new] [$old ?e :age ?old] "
                      "[(not= ?new ?old)]]",
                      {p.now_db(), before}),
               "#{[12 11]}"));
    CHECK(same(p.ask("[:find ?at . :where [1 :age _ ?tx] [?tx :db/txInstant ?at]]"),
               edn::print(value(inst{p.now})).c_str()));
}

TEST_CASE("query on a database joined with tuples", "[datom][query]") {
    const people p;
    CHECK(same(p.ask("[:find ?n ?mail :in $ $mail :where [?e :name ?n] [$mail ?n ?mail]]",
                     {edn::read(R"([["Oleg" "o@x"] ["Ann" "a@x"]])")}),
               R"(#{["Oleg" "o@x"]})"));
    CHECK(same(p.ask("[:find ?n :in $ % :where (reach 3 ?e) [?e :name ?n]]",
                     {edn::read("[[(reach ?a ?b) [?b :friend ?a]] [(reach ?a ?b) (reach ?a ?c) [?b "
                                ":friend ?c]]]")}),
               R"(#{["Ivan"] ["Petr"]})"));
}
