#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"

using namespace tributary;
using namespace tributary::datom;
using Catch::Matchers::Contains;

namespace {

const char* const people = R"([[1 :name "Ivan"] [1 :age 15] [1 :email "ivan@a.b"]
                               [2 :name "Petr"] [2 :age 37] [2 :friend 1]
                               [3 :name "Ivan"] [3 :age 37] [3 :friend 2] [3 :friend 1]])";

std::string people_say(const std::string& q) { return edn::print(answer(q, given({people}))); }

bool same(const value& v, const char* text) { return v == edn::read(text); }

}  // namespace

TEST_CASE("query: patterns join on shared variables", "[datom][query]") {
    const auto inputs = given({people});
    CHECK(same(answer(R"([:find ?e :where [?e :name "Ivan"]])", inputs), "#{[1] [3]}"));
    CHECK(same(answer(R"([:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a]])", inputs),
               "#{[1 15] [3 37]}"));
    CHECK(same(answer("[:find ?x ?y :where [?e :friend ?f] [?e :name ?x] [?f :name ?y]]", inputs),
               R"(#{["Petr" "Ivan"] ["Ivan" "Petr"] ["Ivan" "Ivan"]})"));
    CHECK(same(answer("[:find ?a ?b :where [?a :age ?n] [?b :age ?n] [(< ?a ?b)]]", inputs),
               "#{[2 3]}"));
    CHECK(same(answer("[:find ?e :where [?e :email]]", inputs), "#{[1]}"));
    CHECK(same(answer("[:find ?e :where [?e :email _]]", inputs), "#{[1]}"));
    CHECK(same(answer("[:find ?a :where [3 ?a 1]]", inputs), "#{[:friend]}"));
}

TEST_CASE("query: a variable twice in a pattern means equality", "[datom][query]") {
    const auto inputs = given({"[[1 :knows 1] [1 :knows 2] [2 :knows 2]]"});
    CHECK(same(answer("[:find ?e :where [?e :knows ?e]]", inputs), "#{[1] [2]}"));
    CHECK(same(answer("[:find ?e ?f :where [?e :knows ?f] [?f :knows ?f] [(not= ?e ?f)]]", inputs),
               "#{[1 2]}"));
}

TEST_CASE("query: every shape of :find", "[datom][query]") {
    CHECK(people_say("[:find (count ?e) . :where [?e :name]]") == "3");
    CHECK(people_say("[:find [?e ?n] :where [?e :name ?n] [?e :email]]") == R"([1 "Ivan"])");
    CHECK(people_say("[:find ?n . :where [2 :name ?n]]") == R"("Petr")");
    CHECK(people_say("[:find ?n . :where [9 :name ?n]]") == "nil");
    CHECK(people_say("[:find [?e ?n] :where [?e :none ?n]]") == "nil");
    CHECK(people_say("[:find [?e ...] :where [?e :none]]") == "[]");
    CHECK(people_say("[:find ?e :where [?e :none]]") == "#{}");
    CHECK(people_say("[:find (count ?e) :where [?e :none]]") == "#{}");
    value names = answer("[:find [?n ...] :where [_ :name ?n]]", given({people}));
    CHECK(names.as<vector>().size() == 2);
}

TEST_CASE("query: the map form and text say the same as the vector form", "[datom][query]") {
    const auto inputs = given({people});
    const value expected = answer("[:find ?e :where [?e :age 37]]", inputs);
    CHECK(answer("{:find [?e] :where [[?e :age 37]]}", inputs) == expected);
    CHECK(query(value("[:find ?e :where [?e :age 37]]"), inputs) == expected);
    CHECK(same(
        answer("{:find [(count ?e) .] :in [$ ?a] :where [[?e :age ?a]]}", given({people, "37"})),
        "2"));
}

TEST_CASE("query: :keys, :strs and :syms give maps", "[datom][query]") {
    CHECK(people_say("[:find ?e ?a :keys id age :where [?e :email] [?e :age ?a]]") ==
          "#{{:age 15, :id 1}}");
    CHECK(people_say("[:find [?e ?a] :strs id age :where [?e :email] [?e :age ?a]]") ==
          R"({"id" 1, "age" 15})");
    CHECK_THAT(refusal("[:find ?e . :keys id :where [?e :a]]", given({people})),
               Contains("in :keys: needs a relation"));
    CHECK_THAT(refusal("[:find ?e ?a :keys id :where [?e :a ?a]]", given({people})),
               Contains("1 name for 2 elements"));
}

TEST_CASE("query: inputs bind scalars, tuples, collections and relations", "[datom][query]") {
    CHECK(same(answer("[:find ?e :in $ ?n ?a :where [?e :name ?n] [?e :age ?a]]",
                      given({people, "\"Ivan\"", "37"})),
               "#{[3]}"));
    CHECK(same(answer("[:find ?e :in $ [?n ?a] :where [?e :name ?n] [?e :age ?a]]",
                      given({people, "[\"Ivan\" 37]"})),
               "#{[3]}"));
    CHECK(
        same(answer("[:find ?e :in $ [?a ...] :where [?e :age ?a]]", given({people, "[15 16 17]"})),
             "#{[1]}"));
    CHECK(same(answer("[:find ?e ?m :in $ [[?n ?m]] :where [?e :name ?n]]",
                      given({people, R"([["Petr" "p@x"] ["Olga" "o@x"]])"})),
               R"(#{[2 "p@x"]})"));
    CHECK(same(answer("[:find ?k ?v :in [[?k ?v] ...]]", given({"{:a 1 :b 2}"})),
               "#{[:a 1] [:b 2]}"));
    CHECK(same(answer("[:find ?x ?z :in [[?x _ ?z]]]", given({"[[1 2 3] [4 5 6]]"})),
               "#{[1 3] [4 6]}"));
    CHECK(same(answer("[:find ?x :in [?x ...] [?x ...]]", given({"[1 2 3]", "[3 4 1]"})),
               "#{[1] [3]}"));
    CHECK(same(answer("[:find ?e ?m :in $ $mail :where [?e :name ?n] [$mail ?n ?m]]",
                      given({people, R"([["Petr" "p@x"]])"})),
               R"(#{[2 "p@x"]})"));
}

TEST_CASE("query: inputs of the wrong number or shape are refused", "[datom][query]") {
    CHECK_THAT(refusal("[:find ?e :in $ ?x :where [?e :a ?x]]", given({people})),
               Contains("it takes 2 inputs [$ ?x], but 1 was given"));
    CHECK_THAT(refusal("[:find ?e :where [?e :a]]", given({people, people})),
               Contains("2 were given"));
    CHECK_THAT(refusal("[:find ?x :where [(inc 1) ?x]]", given({people})),
               Contains("it takes 0 inputs"));
    CHECK_THAT(refusal("[:find ?a ?b :in [?a ?b]]", given({":a"})),
               Contains("in :in [?a ?b]: expected a vector"));
    CHECK_THAT(refusal("[:find ?a ?b :in [?a ?b]]", given({"[1]"})),
               Contains("expected 2 elements"));
    CHECK_THAT(refusal("[:find ?a :in [?a ...]]", given({":a"})),
               Contains("expected a collection"));
    CHECK_THAT(refusal("[:find ?e :in $ :where [?e :a]]", given({"5"})),
               Contains("a source is a database or a collection of tuples"));
}

TEST_CASE("query: :with keeps rows apart", "[datom][query]") {
    const auto monsters = given({R"([["Cerberus" 3] ["Medusa" 1] ["Cyclops" 1] ["Chimera" 1]])"});
    CHECK(same(answer("[:find (sum ?h) . :in [[?m ?h]]]", monsters), "4"));
    CHECK(same(answer("[:find (sum ?h) . :with ?m :in [[?m ?h]]]", monsters), "6"));
    CHECK(same(answer("[:find ?h :in [[?m ?h]]]", monsters), "#{[1] [3]}"));
    CHECK(answer("[:find ?h :with ?m :in [[?m ?h]]]", monsters).as<vector>().size() == 4);
}

TEST_CASE("query: aggregates", "[datom][query]") {
    const auto numbers = given({"[10 15 20 35 75]"});
    const auto over = [&](const std::string& f) {
        return answer("[:find " + f + " . :in [?x ...]]", numbers);
    };
    CHECK(over("(count ?x)") == value(5));
    CHECK(over("(count-distinct ?x)") == value(5));
    CHECK(over("(sum ?x)") == value(155));
    CHECK(over("(avg ?x)") == value(31));
    CHECK(over("(median ?x)") == value(20));
    CHECK(over("(variance ?x)") == value(554));
    CHECK(over("(stddev ?x)").as<double>() == Approx(23.53720459187964));
    CHECK(over("(min ?x)") == value(10));
    CHECK(over("(max ?x)") == value(75));
    CHECK(same(over("(min 2 ?x)"), "[10 15]"));
    CHECK(same(over("(max 2 ?x)"), "[35 75]"));
    CHECK(same(over("(distinct ?x)"), "#{10 15 20 35 75}"));
    CHECK(over("(sample 2 ?x)").as<vector>().size() == 2);
    CHECK(over("(sample 9 ?x)").as<vector>().size() == 5);
    CHECK(over("(rand 3 ?x)").as<vector>().size() == 3);
    CHECK(over("(rand ?x)").type() == value::kind::integer);
    CHECK(same(answer("[:find [(avg ?x) (variance ?x)] :in [?x ...]]", given({"[1 2]"})),
               "[1.5 0.25]"));
    CHECK(same(answer("[:find (median ?x) . :in [?x ...]]", given({"[1 2 3 10]"})), "2.5"));
    CHECK(same(answer("[:find (median ?x) . :in [?x ...]]", given({"[1 3]"})), "2"));
    CHECK(same(answer("[:find (median ?x) . :in [?x ...]]", given({"[1.0 3.0]"})), "2.0"));
    CHECK(same(answer("[:find (median ?x) . :in [?x ...]]", given({"[0.1M 0.2M]"})), "0.15M"));
    CHECK(same(answer("[:find (median ?x) . :in [?x ...]]",
                      given({"[9223372036854775808N 9223372036854775810N]"})),
               "9223372036854775809N"));
    CHECK(same(answer("[:find (sum ?x) . :in [?x ...]]", given({"[1 2.5]"})), "3.5"));
    CHECK(same(answer("[:find ?c (max ?n ?x) :in [[?c ?x]] ?n]",
                      given({"[[:red 1] [:red 2] [:red 3] [:blue 7]]", "2"})),
               "#{[:red [2 3]] [:blue [7]]}"));
    CHECK(people_say("[:find ?n (count ?e) :where [?e :name ?n]]") ==
          edn::print(edn::read(R"(#{["Ivan" 2] ["Petr" 1]})")));
    CHECK_THAT(refusal("[:find (frequency ?x) . :in [?x ...]]", numbers),
               Contains("no aggregate named frequency"));
    CHECK_THAT(refusal("[:find (sum ?x) . :in [?x ...]]", given({"[\"a\"]"})),
               Contains("in (sum ?x): expected numbers, found \"a\""));
    CHECK_THAT(refusal("[:find (sum ?x) . :in [?x ...]]", given({"[9223372036854775807 1]"})),
               Contains("beyond 64 bits"));
    CHECK_THAT(refusal("[:find (sample ?x) . :in [?x ...]]", numbers), Contains("(sample n ?x)"));
}

TEST_CASE("query: predicates and functions in any place of :where", "[datom][query]") {
    const auto inputs = given({people});
    CHECK(same(answer("[:find ?e :where [?e :age ?a] [(> ?a 20)]]", inputs), "#{[2] [3]}"));
    CHECK(same(answer("[:find ?e :where [(> ?a 20)] [?e :age ?a]]", inputs), "#{[2] [3]}"));
    CHECK(same(answer("[:find ?e ?d :where [(* ?a 2) ?d] [?e :age ?a] [(< ?d 40)]]", inputs),
               "#{[1 30]}"));
}

TEST_CASE("query: bindings of what a function returns", "[datom][query]") {
    CHECK(same(answer("[:find ?x :where [(ground [1 2 3]) [?x ...]]]"), "#{[1] [2] [3]}"));
    CHECK(same(answer("[:find ?x ?z :where [(ground [1 2 3]) [?x _ ?z]]]"), "#{[1 3]}"));
    CHECK(
        same(answer("[:find ?x ?y :where [(ground [[1 2] [3 4]]) [[?x ?y]]]]"), "#{[1 2] [3 4]}"));
    CHECK(same(answer("[:find ?x :where [(ground [1 2 3]) [?x ...]] [(ground [2 3 4]) [?x ...]]]"),
               "#{[2] [3]}"));
    CHECK(same(answer("[:find ?x :where [(identity 1) ?x] [(identity 2) ?x]]"), "#{}"));
    CHECK(same(answer("[:find ?k ?v :where [(hash-map :a 1 :b 2) [[?k ?v] ...]]]"),
               "#{[:a 1] [:b 2]}"));
    CHECK(same(answer("[:find ?v :in [[?k ?m] ...] :where [(get ?m :b) ?v]]",
                      given({"{:x {:a 1} :y {:b 2}}"})),
               "#{[2]}"));
}

TEST_CASE("query: faults name the clause and what was expected", "[datom][query]") {
    const auto inputs = given({people});
    CHECK_THAT(refusal("[:find ?e :where [?e :age ?a] [(> ?a ?b)]]", inputs),
               Contains("in [(> ?a ?b)]: no value for ?b"));
    CHECK_THAT(refusal("[:find ?e :where [?e :age ?a] [(older ?a)]]", inputs),
               Contains("in [(older ?a)]: there is no function named older"));
    CHECK_THAT(refusal("[:find ?e :where [?e :name ?a] [(inc ?a) ?b]]", inputs),
               Contains("in [(inc ?a) ?b]: expected a number, found \"Ivan\""));
    CHECK_THAT(refusal("[:find ?e ?x :where [?e :name]]", inputs),
               Contains("in ?x: no clause of :where"));
    CHECK_THAT(refusal("[:find ?e :where [?e :name] [$b ?e :name]]", inputs),
               Contains("in [$b ?e :name]: the source $b"));
    CHECK_THAT(refusal("[:find ?n :where [_ :name ?n] (not [?e :name])]", inputs),
               Contains("no value for ?e"));
    CHECK_THAT(refusal("[:find ?e :where [?e :name ?n] [(subs ?n 2 1)]]", inputs),
               Contains("subs takes a start"));
    CHECK_THAT(refusal("[:find ?e :where [?e :name ?n] [(count)]]", inputs),
               Contains("count takes 1 argument, not 0"));
    CHECK_THAT(refusal("[:find ?e :when [?e :name]]", inputs), Contains("expected :find"));
    CHECK_THAT(refusal("[:where [?e :name]]", inputs), Contains("it has no :find"));
    CHECK_THAT(refusal("[:find (pull ?e [*]) :where [?e :name]]", inputs),
               Contains("pull needs a database"));
    CHECK_THAT(refusal("[:find ?e :where [?e :name ?n] [(re-find \"(\" ?n)]]", inputs),
               Contains("regular expression"));
    CHECK_THAT(refusal("[:find ?e :where (or [?e :name] [?e :age ?a])]", inputs),
               Contains("same variables"));
    CHECK_THAT(refusal("[:find ?e :where (nope ?e)]", inputs), Contains("no rule named nope"));
    for (const char* junk : {"5",
                             "[]",
                             "[?e]",
                             "{}",
                             "[:find]",
                             "[:find ?e :where 5]",
                             "[:find ?e :where []]",
                             "[:find ?e :where [()]]",
                             "[:find ?e :where [(f ?e) ?x ?y]]",
                             "[:find 5 :where [?e]]",
                             "[:find (count) :where [?e]]"}) {
        INFO(junk);
        CHECK_THAT(refusal(junk, inputs), Contains("bad-input: query: "));
    }
}

TEST_CASE("query: not removes, or joins alternatives", "[datom][query]") {
    const auto inputs = given({people});
    CHECK(same(answer("[:find ?e :where [?e :name] (not [?e :age 37])]", inputs), "#{[1]}"));
    CHECK_THAT(refusal("[:find ?e :where (not [?e :email _]) [?e :name]]", inputs),
               Contains("write it after the clauses"));
    CHECK(same(
        answer("[:find ?e :where [?e :name] (not-join [?e] [?e :friend ?f] [?f :age 37])]", inputs),
        "#{[1] [2]}"));
    CHECK(same(answer("[:find ?e :where (or [?e :age 15] [?e :name \"Petr\"])]", inputs),
               "#{[1] [2]}"));
    CHECK(same(
        answer(
            "[:find ?e :where [?e :name] (or [?e :email _] (and [?e :friend 1] [?e :friend 2]))]",
            inputs),
        "#{[1] [3]}"));
    CHECK(
        same(answer("[:find ?e :in $ ?a :where (or-join [?e ?a] [?e :age ?a] [?e :name \"Petr\"])]",
                    given({people, "15"})),
             "#{[1] [2]}"));
    CHECK(same(answer("[:find ?a :where [_ :age ?a] (or [(< ?a 20)] [(> ?a 100)])]", inputs),
               "#{[15]}"));
}

TEST_CASE("query: rules, recursive in every way", "[datom][query]") {
    const char* const edges = "[[1 :to 2] [2 :to 3] [3 :to 4] [4 :to 2] [9 :to 1]]";
    const std::string q = "[:find ?y :in $ % ?x :where (reach ?x ?y)]";
    for (const char* rules :
         {"[[(reach ?a ?b) [?a :to ?b]] [(reach ?a ?b) [?a :to ?c] (reach ?c ?b)]]",
          "[[(reach ?a ?b) [?a :to ?b]] [(reach ?a ?b) (reach ?a ?c) [?c :to ?b]]]",
          "[[(reach ?a ?b) [?a :to ?b]] [(reach ?a ?b) (reach ?a ?c) (reach ?c ?b)]]",
          "[[(reach [?a] ?b) (step ?a ?b)] [(step ?a ?b) [?a :to ?b]] [(step ?a ?b) [?a :to ?c] "
          "(reach ?c ?b)]]"}) {
        INFO(rules);
        CHECK(same(answer(q, given({edges, rules, "1"})), "#{[2] [3] [4]}"));
        CHECK(same(answer("[:find ?x :in $ % ?y :where [?x :to _] (reach ?x ?y)]",
                          given({edges, rules, "1"})),
                   "#{[9]}"));
        CHECK(same(
            answer(
                "[:find (count ?p) . :in $ % :where [?x :to _] (reach ?x ?y) [(vector ?x ?y) ?p]]",
                given({edges, rules})),
            "16"));
        CHECK(same(
            answer("[:find ?x :in $ % :where [?x :to _] (reach ?x ?x)]", given({edges, rules})),
            "#{[2] [3] [4]}"));
    }
    CHECK(same(answer("[:find ?x :in $ % :where [?x :to _] (small ?x)]",
                      given({edges, "[[(small ?n) [(< ?n 3)]]]"})),
               "#{[1] [2]}"));
    CHECK(same(answer("[:find ?x :in $a $b % :where ($a start ?x) ($b start ?x)]",
                      given({edges, "[[3 :to 1] [8 :to 1]]", "[[(start ?n) [?n :to _]]]"})),
               "#{[3]}"));
    CHECK_THAT(refusal("[:find ?x :in $ % :where [?x :to _] (odd ?x)]",
                       given({edges, "[[(odd ?n) [?n :to ?m] (not (odd ?m))]]"})),
               Contains("depends on its own negation"));
    CHECK_THAT(refusal("[:find ?x :in $ % :where (small ?x)]",
                       given({edges, "[[(small ?n) [(< ?n 3)]]]"})),
               Contains("no value for ?x"));
}

TEST_CASE("query: what cannot be compared is not less than another", "[datom][query]") {
    const auto inputs = given({"[1 2]"});
    CHECK_THAT(refusal("[:find ?x :in [?x ...] :where [(< ?x \"5\")]]", inputs),
               Contains("found 1 and \"5\""));
    CHECK_THAT(
        refusal("[:find ?x :in [?x ...] :where [(> (count ?x) 4)]]", inputs),
        Contains("a call cannot stand inside of a call; give what it returns a variable first: "
                 "[(count ?x) ?x]"));
    query_options lenient;
    lenient.lenient = true;
    CHECK(query(edn::read("[:find [?x ...] :in [?x ...] :where [(< ?x \"5\")]]"),
                inputs,
                lenient) == edn::read("[1 2]"));
}

TEST_CASE("query: a timeout and a cancel end it", "[datom][query]") {
    const auto inputs = given({"[0 1]"});
    std::string q =
        "[:find (count ?p) . :in [?v ...] :where [(range 3000) [?a ...]] [(range 3000) [?b ...]] "
        "[(range 3000) [?c ...]] [(vector ?a ?b ?c ?v) ?p]]";
    query_options options;
    options.memory_bytes = std::size_t{16} << 30;
    options.timeout = std::chrono::milliseconds(20);
    try {
        query(edn::read(q), inputs, options);
        FAIL("it finished");
    } catch (const error& e) {
        CHECK(e.code() == errc::canceled);
    }
    std::atomic<bool> cancel = true;
    options.timeout.reset();
    options.cancel = &cancel;
    CHECK_THROWS_AS(query(edn::read(q), inputs, options), error);
}

TEST_CASE("query: a product beyond what memory should hold is refused", "[datom][query]") {
    const std::string q =
        "[:find ?p :where [(range 100000) [?a ...]] [(range 100000) [?b ...]] [(vector ?a ?b) ?p]]";
    CHECK_THAT(refusal(q), Contains("limit: query: a step has more than"));
}

TEST_CASE("query: the names of its columns", "[datom][query]") {
    CHECK(column_names(edn::read("[:find ?u (count ?t) :where [?t :by ?u]]")) ==
          std::vector<std::string>{"?u", "(count ?t)"});
    CHECK(column_names(edn::read("[:find ?u . :where [?t :by ?u]]")) ==
          std::vector<std::string>{"?u"});
}
