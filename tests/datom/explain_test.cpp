#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

namespace {

struct people : scratch {
    people() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
               {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}])");
        std::string forms = "[";
        for (int i = 1; i <= 200; ++i) {
            forms += "{:db/id " + std::to_string(i) + " :name \"n" + std::to_string(i) +
                     "\" :age " + std::to_string(i % 50) +
                     (i > 1 ? " :boss " + std::to_string(i / 2) : "") + "}";
        }
        tx(forms + "]");
    }
    std::vector<value> steps(const std::string& q, std::vector<query_input> more = {}) {
        std::vector<query_input> inputs{now_db()};
        inputs.insert(inputs.end(), more.begin(), more.end());
        return explain(edn::read(q), inputs).find(keyword{"steps"})->as<vector>();
    }
};

std::string text_of(const value& step, const char* key) {
    return step.find(value(keyword{key}))->as<std::string>();
}

}  // namespace

TEST_CASE("explain: names the steps in their order, with index and rows", "[datom]") {
    people d;
    const auto steps = d.steps(R"([:find ?a :where [?e :age ?a] [?e :name "n7"]])");
    REQUIRE(steps.size() == 2);
    CHECK(text_of(steps[0], "clause") == R"([?e :name "n7"])");
    CHECK(text_of(steps[0], "access").find("AVET") != std::string::npos);
    CHECK(*steps[0].find(value(keyword{"rows"})) == value(1));
    CHECK(text_of(steps[1], "access").find("look-up for each row") != std::string::npos);
    CHECK(text_of(steps[0], "why").find("cheapest of 2") != std::string::npos);
}

TEST_CASE("explain: says through which index rows were looked up", "[datom]") {
    people d;
    d.tx(R"([{:db/ident :note :db/valueType :db.type/string :db/index false
              :db/cardinality :db.cardinality/one}])");
    d.tx(R"([[:db/add 7 :note "x"]])");
    const auto last_access = [&](const std::string& q) {
        return text_of(d.steps(q).back(), "access");
    };
    CHECK(last_access(R"([:find ?b :where [?e :name "n7"] [?e :boss ?b]])") ==
          "a look-up for each row so far: one entity (EAVT)");
    CHECK(last_access(R"([:find ?x :where [?e :name "n7"] [?x :boss ?e]])") ==
          "a look-up for each row so far: references to one entity (VAET)");
    CHECK(last_access(R"([:find ?e :where [?e :boss 7]])") == "references to one entity (VAET)");
    CHECK(last_access(R"([:find ?e :where [?e :note "x"]])") ==
          "the whole attribute (AEVT), its values are not indexed");
}

TEST_CASE("explain: says how functions, not, or and rules came to their rows", "[datom]") {
    people d;
    const auto steps = d.steps(R"([:find ?b ?t :in $ % :where [?e :name "n7"] (above ?e ?b)
                                  (not [?b :age 3]) (or [?b :age 0] [?b :age 1]) [(+ ?b 1) ?t]])",
                               {edn::read("[[(above ?e ?b) [?e :boss ?b]]]")});
    const auto way = [&](const std::string& beginning) {
        for (const value& s : steps)
            if (text_of(s, "clause").rfind(beginning, 0) == 0) return text_of(s, "access");
        return std::string("no such step");
    };
    CHECK(way("(above").find("the rule") != std::string::npos);
    CHECK(way("(not").find("without") != std::string::npos);
    CHECK(way("(or").find("2 branches") != std::string::npos);
    CHECK(way("[(+").find("computed for each row") != std::string::npos);
}

TEST_CASE("explain: a rule between two sets of rows is asked from the smaller one", "[datom]") {
    people d;
    const auto steps = d.steps("[:find ?e ?b :in $ % [?e ...] [?b ...] :where (above ?e ?b)]",
                               {edn::read("[[(above ?e ?b) [?e :boss ?b]] "
                                          "[(above ?e ?b) [?e :boss ?m] (above ?m ?b)]]"),
                                edn::read("[200 150]"),
                                edn::read("[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20]")});
    std::int64_t most = 0;
    for (std::size_t i = 1; i < steps.size(); ++i)
        most = std::max(most, steps[i].find(value(keyword{"rows"}))->as<std::int64_t>());
    CHECK(most < 20);  // two ways of 7 steps up, not 40 pairs
    CHECK(*steps[0].find(value(keyword{"rows"})) == value(9));
}

TEST_CASE("explain: names what was dearer, and how many rows were expected of a join", "[datom]") {
    people d;
    const auto steps = d.steps(R"([:find ?x :where [?x :boss ?e] [?e :name "n7"]])");
    CHECK(text_of(steps[0], "why").find("for [?x :boss ?e]") != std::string::npos);
    // Without the join all 199 would be expected.
    const value expected = *steps[1].find(value(keyword{"rows-estimated"}));
    CHECK(expected.as<std::int64_t>() < 50);
}

TEST_CASE("explain: says when an attribute was read from memory", "[datom]") {
    people d;
    const std::string q = "[:find ?e ?a :where [?e :age ?a]]";
    CHECK(text_of(d.steps(q)[0], "access") == "the attribute (AEVT)");
    d.steps(q);
    CHECK(text_of(d.steps(q)[0], "access") == "the attribute's column in memory");
}

TEST_CASE("explain: the most selective clause runs first, wherever it is written", "[datom]") {
    people d;
    const auto clauses = [](const std::vector<value>& steps) {
        std::vector<std::string> all;
        for (const value& s : steps) all.push_back(text_of(s, "clause"));
        return all;
    };
    CHECK(clauses(d.steps(R"([:find ?a ?b :where [?e :age ?a] [?e :name "n7"] [?b :age ?a]])")) ==
          clauses(d.steps(R"([:find ?a ?b :where [?b :age ?a] [?e :age ?a] [?e :name "n7"]])")));
}

TEST_CASE("explain: shows what runs within rules, and how often", "[datom]") {
    people d;
    const auto steps = d.steps("[:find ?b :in $ % :where (above 200 ?b)]",
                               {edn::read("[[(above ?e ?b) [?e :boss ?b]] "
                                          "[(above ?e ?b) [?e :boss ?m] (above ?m ?b)]]")});
    CHECK(text_of(steps[0], "clause") == "(above 200 ?b)");
    CHECK(*steps[0].find(value(keyword{"rows"})) == value(7));
    const bool within = std::any_of(steps.begin() + 1, steps.end(), [](const value& s) {
        return *s.find(value(keyword{"depth"})) > value(0) &&
               *s.find(value(keyword{"runs"})) > value(1);
    });
    CHECK(within);
}

}  // namespace tributary::datom
