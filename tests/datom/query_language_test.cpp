#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"
#include "datom/support.hpp"
#include <atomic>
#include <cstring>
#include <thread>

using namespace tributary;
using namespace tributary::datom;
using Catch::Matchers::Contains;

namespace {

struct town : scratch {
    town() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
               {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :knows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}])");
        tx(R"([{:db/id 1 :name "Ada" :age 36 :knows [2 3]}
               {:db/id 2 :name "Bob" :age 20 :knows 3}
               {:db/id 3 :name "Cy" :age 36}])");
    }
    value ask(const std::string& q,
              std::vector<query_input> more = {},
              const query_options& options = {}) const {
        more.insert(more.begin(), now_db());
        return query(edn::read(q), more, options);
    }
};

bool same(const value& v, const char* text) { return v == edn::read(text); }

/// The error as "name: message".
template <class Function>
std::string fault(Function f) {
    try {
        f();
        return "";
    } catch (const error& e) {
        return std::string(e.name()) + ": " + e.what();
    }
}

const query_function doubled = [](std::span<const value> args) {
    return value(args[0].as<std::int64_t>() * 2);
};
const query_function adult = [](std::span<const value> args) {
    return value(args[0].as<std::int64_t>() >= 30);
};
const query_function spread = [](std::span<const value> args) {
    const vector& all = args.back().as<vector>();
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    return value(most->as<std::int64_t>() - least->as<std::int64_t>());
};

}  // namespace

TEST_CASE("query: functions are given as inputs, by a variable or a plain symbol",
          "[datom][query]") {
    const town t;
    CHECK(same(t.ask("[:find ?e :in $ ?f :where [?e :age ?a] [(?f ?a)]]", {adult}), "#{[1] [3]}"));
    CHECK(same(t.ask("[:find ?e :in $ f :where [?e :age ?a] [(f ?a)]]", {adult}), "#{[1] [3]}"));
    CHECK(same(t.ask("[:find ?d :in $ ?f :where [2 :age ?a] [(?f ?a) ?d]]", {doubled}), "#{[40]}"));
    CHECK(same(
        t.ask("[:find ?e :in $ ?f :where [?e :age ?a] [(complement ?f) ?g] [(?g ?a)]]", {adult}),
        "#{[2]}"));
    CHECK(same(t.ask("[:find ?e :where [?e :age ?a] [((complement even?) ?e)]]"), "#{[1] [3]}"));
    CHECK(same(t.ask("[:find ?e :in $ % ?f :where (old ?f ?e)]",
                     {edn::read("[[(old ?p ?e) [?e :age ?a] [(?p ?a)]]]"), adult}),
               "#{[1] [3]}"));
}

TEST_CASE("query: registered functions and aggregates are called by their names",
          "[datom][query]") {
    const town t;
    query_options options;
    options.functions["my/twice"] = doubled;
    options.functions["spread"] = spread;
    CHECK(same(t.ask("[:find ?e ?d :where [?e :age ?a] [(my/twice ?a) ?d]]", {}, options),
               "#{[1 72] [2 40] [3 72]}"));
    CHECK(same(t.ask("[:find (spread ?a) . :with ?e :where [?e :age ?a]]", {}, options), "16"));
    CHECK(same(t.ask("[:find (aggregate spread ?a) . :where [?e :age ?a]]", {}, options), "16"));
    CHECK(same(t.ask("[:find (aggregate ?s ?a) . :in $ ?s :where [?e :age ?a]]", {spread}), "16"));
    CHECK(same(t.ask("[:find (spread 7 ?a) . :where [?e :age ?a]]", {}, options), "16"));
}

TEST_CASE("query: functions that are no values are refused where values are needed",
          "[datom][query]") {
    const town t;
    CHECK_THAT(fault([&] { t.ask("[:find ?f :in $ ?f :where [?e :age]]", {adult}); }),
               Contains("db.error/not-serializable"));
    CHECK_THAT(fault([&] { t.ask("[:find ?e :where [?e :age ?a] [((fn [x] x) ?a)]]"); }),
               Contains("db.error/not-serializable") && Contains("query_options::functions"));
    CHECK_THAT(fault([&] { t.ask("[:find ?e :in $ [?f ...] :where [?e :age]]", {adult}); }),
               Contains("db.error/inputs"));
    CHECK_THAT(fault([&] { t.ask("[:find ?e :where [?e :age ?a] [(?a ?e)]]"); }),
               Contains("db.error/type-mismatch") && Contains("expected a function"));
}

TEST_CASE("query: rows come in the order asked for and no more than asked for", "[datom][query]") {
    const town t;
    CHECK(same(t.ask("[:find ?n ?a :order-by [?a :desc ?n] :where [?e :name ?n] [?e :age ?a]]"),
               R"([["Ada" 36] ["Cy" 36] ["Bob" 20]])"));
    CHECK(same(t.ask("[:find ?n ?a :order-by [1 0 :desc] :limit 2 :where [?e :name ?n] [?e :age "
                     "?a]]"),
               R"([["Bob" 20] ["Cy" 36]])"));
    CHECK(same(t.ask("{:find [?n] :where [[_ :name ?n]] :order-by [?n] :offset 1 :limit 1}"),
               R"([["Bob"]])"));
    CHECK(same(t.ask("{:find [?n] :where [[_ :name ?n]] :order-by ?n :offset 9}"), "[]"));
    CHECK(same(t.ask("[:find ?a (count ?e) :order-by [(count ?e) :desc] :where [?e :age ?a]]"),
               "[[36 2] [20 1]]"));
    CHECK(same(t.ask("[:find [?n ...] :order-by [?n :desc] :where [_ :name ?n]]"),
               R"(["Cy" "Bob" "Ada"])"));
    CHECK(same(t.ask("[:find ?n . :order-by [?n :desc] :where [_ :name ?n]]"), R"("Cy")"));
    CHECK(t.ask("[:find ?n :limit 2 :where [_ :name ?n]]").as<vector>().size() == 2);
    CHECK(same(t.ask("[:find ?n ?a :keys n a :order-by [?n] :limit 1 :where [?e :name ?n] [?e :age "
                     "?a]]"),
               R"([{:n "Ada" :a 36}])"));
    CHECK_THAT(fault([&] { t.ask("[:find ?n :order-by [?x] :where [_ :name ?n]]"); }),
               Contains("in :order-by"));
    CHECK_THAT(fault([&] { t.ask("[:find ?n :limit -1 :where [_ :name ?n]]"); }),
               Contains("in :limit: expected one whole number"));
}

TEST_CASE("query: a query inside a query is a function", "[datom][query]") {
    const town t;
    CHECK(same(t.ask("[:find ?n ?a :where [(q [:find (max ?a) . :where [_ :age ?a]] $) ?a] "
                     "[?e :age ?a] [?e :name ?n]]"),
               R"(#{["Ada" 36] ["Cy" 36]})"));
    CHECK(same(t.ask("[:find ?e ?k :where [?e :age] [(q [:find ?k :in ?e $db :where [$db ?e :knows "
                     "?k]] ?e $) [[?k]]]]"),
               "#{[1 2] [1 3] [2 3]}"));
    CHECK_THAT(fault([&] {
                   t.ask("[:find ?r :in $ ?q :where [(q ?q ?q) ?r]]",
                         {edn::read("[:find ?r :in ?q :where [(q ?q ?q) ?r]]")});
               }),
               Contains("db.error/nesting-limit"));
}

TEST_CASE("query: a function that gives several rows for some and none for others keeps them apart",
          "[datom][query]") {
    CHECK(same(answer("[:find ?x ?y :in [[?x ?n]] :where [(range ?n) [?y ...]]]",
                      given({"[[:a 2] [:b 1] [:c 0]]"})),
               "#{[:a 0] [:a 1] [:b 0]}"));
}

TEST_CASE("query: rules that ask no database need none", "[datom][query]") {
    CHECK(same(answer("[:find ?x :in % :where (small ?x)]",
                      given({"[[(small ?x) [(range 9) [?x ...]] [(< ?x 2)]]]"})),
               "#{[0] [1]}"));
}

TEST_CASE("query: built-ins on text", "[datom][query]") {
    const auto one = [](const std::string& call) {
        return answer("[:find ?x . :where [" + call + " ?x]]");
    };
    CHECK(same(one(R"((like "Düsseldorf" "D_ss%"))"), "true"));
    CHECK(same(one(R"((like "abc" "%b"))"), "false"));
    CHECK(same(one(R"((like "100%" "100\\%"))"), "true"));
    CHECK(same(one(R"((like "" "%%"))"), "true"));
    CHECK(same(one(R"((not-like "abc" "a%c"))"), "false"));
    CHECK(same(one(R"((clojure.string/split "a, b,,c,," ",\\s*"))"), R"(["a" "b" "" "c"])"));
    CHECK(same(one(R"((clojure.string/join "-" ["a" 1 :k]))"), R"("a-1-:k")"));
    CHECK(same(one(R"((str/replace "aXbX" "X" "--"))"), R"("a--b--")"));
    CHECK(same(one(R"((str/replace-first "aXbX" "X" ""))"), R"("abX")"));
    CHECK(same(one(R"((str/index-of "éab" "b"))"), "2"));
    CHECK(same(one(R"((str/capitalize "éCOLE"))"), R"("École")"));
    CHECK(same(one(R"((str/reverse "aé"))"), R"("éa")"));
    CHECK(same(one(R"((str/triml "  a "))"), R"("a ")"));
    CHECK(same(one(R"((str/split-lines "a\r\nb\n"))"), R"(["a" "b"])"));
    CHECK(same(one("(-differ? 1 2 1 3)"), "true"));
    CHECK(same(one("(-differ? 1 2 1 2)"), "false"));
}

TEST_CASE("query: an attribute nobody defined is an error, or has no facts where that is wanted",
          "[datom][query]") {
    const town t;
    const char* const q = "[:find ?e :where [?e :agee 36]]";
    CHECK_THAT(fault([&] { t.ask(q); }),
               Contains("db.error/unknown-attribute") && Contains("did you mean :age?"));
    query_options lenient;
    lenient.lenient = true;
    CHECK(same(t.ask(q, {}, lenient), "#{}"));
    CHECK(same(t.ask("[:find ?e :where [?e :age] [(missing? $ ?e :nope)]]", {}, lenient),
               "#{[1] [2] [3]}"));
}

TEST_CASE("query: a fault in a text is pointed at", "[datom][query]") {
    const town t;
    const auto said = [&](const std::string& q) {
        return fault([&] { query(value(q), {t.now_db()}); });
    };
    CHECK(
        said("[:find ?e\n :where [?e :nme \"Ada\"]]") ==
        "db.error/unknown-attribute: line 2, column 13: query: in [?e :nme \"Ada\"]: no attribute "
        "is "
        "named :nme; did you mean :name?\n"
        "   :where [?e :nme \"Ada\"]]\n"
        "              ^");
    CHECK_THAT(said("[:find ?e :wher [?e :name]]"),
               Contains("line 1, column 11") && Contains("expected :find"));
    CHECK_THAT(said("[:find ?x :where [?e :name]]"),
               Contains("db.error/unbound-variable") && Contains("line 1, column 8"));
    CHECK_THAT(said("[:find ?e :where [?e :name]"), Contains("db.error/syntax") && Contains("^"));
}

TEST_CASE("query: faults have names", "[datom][query]") {
    const town t;
    const std::pair<const char*, const char*> faults[] = {
        {"[:find ?e :where [?e :age ?a] [(inc ?a 1) ?b]]", "db.error/arity"},
        {"[:find ?e :where [?e :age ?a] [(nope ?a)]]", "db.error/unknown-function"},
        {"[:find (nope ?e) :where [?e :age]]", "db.error/unknown-function"},
        {"[:find ?e :where (nope ?e)]", "db.error/unknown-rule"},
        {"[:find ?e :where [?e :name] [$x ?e :age]]", "db.error/unknown-source"},
        {"[:find ?e :where [?e :age ?a] [(< ?a ?b)]]", "db.error/unbound-variable"},
        {"[:find ?e :where (not [?e :age 36]) [?e :age]]", "db.error/unbound-variable"},
        {"[:find ?e :where [?e :name ?n] [(inc ?n) ?x]]", "db.error/type-mismatch"},
        {"[:find ?e :where [?e :age ?a] [(/ ?a 0) ?x]]", "db.error/arithmetic"},
        {"[:find ?e :where [[:name \"Zoe\"] :knows ?e]]", "db.error/unknown-entity"},
        {"[:find ?e :in $ ?x :where [?e :age ?x]]", "db.error/inputs"},
        {"[:find ?e :where [?e :age] [?e]] ]", "db.error/syntax"},
        {"[:find (pull ?e nope) :where [?e :age]]", "db.error/inputs"},
    };
    for (const auto& [q, name] : faults) {
        CAPTURE(q);
        CHECK(fault([&, text = q] { query(value(text), {t.now_db()}); }).find(name) == 0);
    }
}

TEST_CASE("query: one that outgrows its memory ends, and others go on", "[datom][query]") {
    const town t;
    query_options small;
    small.memory_bytes = std::size_t{4} << 20;
    const auto fails = [&](const std::string& q, std::vector<query_input> more) {
        return fault([&] { t.ask(q, std::move(more), small); });
    };
    CHECK_THAT(fails("[:find ?x :where [1 :age] [(range 10000000) [?x ...]]]", {}),
               Contains("db.error/memory-limit"));
    CHECK_THAT(
        fails("[:find ?x ?y :where [1 :age] [(range 2000) [?x ...]] [(range 2000) [?y ...]]]", {}),
        Contains("db.error/memory-limit"));
    CHECK_THAT(fails("[:find ?x :in $ % :where (grow ?x)]",
                     {edn::read("[[(grow ?x) [(ground \"a\") ?x]]"
                                " [(grow ?y) (grow ?x) [(str ?x \"0123456789abcdef\") ?y]]]")}),
               Contains("db.error/memory-limit"));
    CHECK(same(t.ask("[:find (count ?x) . :where [1 :age] [(range 1000) [?x ...]]]", {}, small),
               "1000"));
}

TEST_CASE("query: one that takes too long ends", "[datom][query]") {
    const town t;
    const value endless = edn::read("[[(n ?x) [(ground 1) ?x]] [(n ?y) (n ?x) [(inc ?x) ?y]]]");
    CHECK_THAT(fault([&] { t.ask("[:find ?x :in $ % :timeout 50 :where (n ?x)]", {endless}); }),
               Contains("db.error/timeout"));
    query_options options;
    options.timeout = std::chrono::milliseconds(50);
    CHECK_THAT(fault([&] { t.ask("[:find ?x :in $ % :where (n ?x)]", {endless}, options); }),
               Contains("db.error/timeout"));
    CHECK_THAT(fault([&] {
                   t.ask(
                       "[:find ?x :where [(str \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\") ?t] "
                       "[(re-matches \"(a+)+b\" ?t) ?x]]",
                       {},
                       options);
               }),
               Contains("db.error/"));
}
