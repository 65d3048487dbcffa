/// What users see of a fault in a query, a rule or a pull pattern: its name, where it is, and what
/// to do.
#include "tributary/datom/pull.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

namespace {

using Catch::Matchers::Contains;

struct town : scratch {
    town() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/unique :db.unique/identity}
               {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :weight :db/valueType :db.type/double :db/cardinality :db.cardinality/one}
               {:db/ident :ratio :db/valueType :db.type/float :db/cardinality :db.cardinality/one}
               {:db/ident :debt :db/valueType :db.type/bigint :db/cardinality :db.cardinality/one}
               {:db/ident :price :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one}
               {:db/ident :born :db/valueType :db.type/instant :db/cardinality :db.cardinality/one}
               {:db/ident :knows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}])");
        tx(R"([{:db/id 1 :name "Ada" :age 36 :weight 60.0 :ratio 1.1 :debt 12N :price 3M :knows 2}
               {:db/id 2 :name "Bob" :age 20}])");
    }
};

/// "name: message", and the text from the caret on instead of the caret's line.
template <class Function>
std::string seen(const std::string& text, Function f) {
    try {
        f();
        return "no error";
    } catch (const error& e) {
        const std::string message = e.what();
        const std::size_t below = message.rfind("\n  ");
        if (below == message.npos || message.back() != '^') return message;
        const std::size_t shown = message.rfind('\n', below - 1);
        const std::size_t column = message.size() - 1 - (below + 3);
        CHECK(message.substr(shown + 3, below - shown - 3) == text);  // of one line each
        return std::string(e.name()).substr(std::string("db.error/").size()) + " at " +
               text.substr(column) + " | " + message.substr(0, shown);
    }
}

/// Each text, what the caret stands at behind the fault's name, and a part of the message.
struct fault {
    const char* text;
    const char* at;
    const char* says;
};

}  // namespace

TEST_CASE("a fault of a query points at what is wrong and says what was expected") {
    const town t;
    const fault faults[] = {
        {"[:where [?e :name]]", "invalid-query at [:where", "it has no :find"},
        {"[:find :where [?e :name]]", "invalid-query at :find", "names nothing"},
        {"[:find ?e :find ?e]", "invalid-query at :find ?e]", "a second part"},
        {"{:find [?e] :find [?e]}", "syntax at :find [?e]}", "the key :find twice"},
        {"[:find ?e :wher [?e :name]]", "invalid-query at :wher", "did you mean :where?"},
        {"[:find e :where [e :name]]", "invalid-query at e :where", "found e"},
        {"[:find [] :where [?e :name]]", "invalid-query at [] ", "names nothing"},
        {"[:find ?e :with n :where [?e :name]]", "invalid-query at n ", "a variable like ?x"},
        {"[:find ?e :keys \"e\" :where [?e :name]]", "invalid-query at \"e\"", "symbols"},
        {"[:find ?e :order-by 3 :limit 3 :where [?e :name]]",
         "invalid-query at 3 :limit",
         "0, found 3"},
        {"[:find ?e :order-by ?e :desc :where [?e :name]]", "invalid-query at :desc", "[?x :desc]"},
        {"[:find ?e :limit 1 2 :where [?e :name]]", "invalid-query at 2 ", "one whole number"},
        {"{:find [?e] :where 3}", "invalid-query at 3}", "needs a vector"},
        {"{:find [?e] :where [?e :name ?n]}",
         "invalid-query at ?e :name",
         "it takes a vector of clauses"},
        {"[:find ?e :where ?e]", "invalid-query at ?e]", "expected a clause"},
        {"[:find ?e :where [?e name ?n]]", "at name ?n", "a colon may be missing: :name"},
        {"[:find ?e :where [(fulltext $ :name \"a\") [[?e]]]]",
         "type-mismatch at ",
         "said when an attribute is made"},
        {"[:find ?e :in $ [?a \"x\"] :where [?e :name]]", "invalid-query at \"x\"", "a binding"},
        {"[:find ?e :in $ ?x :where [?e :name]]", "inputs at :in", "2 inputs [$ ?x], but 1 was"},
        {"[:find ?e :where [?e :name] (not)]", "invalid-query at (not)", "at least one clause"},
        {"[:find ?e :where (not-join [e] [?e :name])]", "invalid-query at e]", "found e"},
        {"[:find ?e :where [?e :name] [(inc ?e) 3]]", "invalid-query at 3]", "a binding"},
        {"[:find ?e :where [?e :name] [(inc _) ?x]]", "invalid-query at _)", "_ is no argument"},
        {"[:find ?e :where [?e :name] [(inc 1 2) ?x]]", "arity at [(inc", "1 argument, not 2"},
        {"[:find ?e :where [?e :name] [(evn? ?e)]]", "unknown-function at evn?", "mean even?"},
        {"[:find ?e :where [?e :name] [(inc ?z) ?x]]", "unbound-variable at ?z)", "value for ?z:"},
        {"[:find ?e :where [?e :name] [((fn [x] x) ?e)]]",
         "not-serializable at (fn",
         "register it"},
        {"[:find ?e :where [?e :name] [(#(inc %) ?e) ?x]]",
         "not-serializable at #(",
         "register it"},
        {"[:find ?n :where [_ :name ?n] [(re-find #\"a\" ?n)]]",
         "not-serializable at #\"",
         "(re-find \"a.*\" ?x)"},
        {"[:find ?e :where [?e :name #js \"a\"]]", "not-serializable at #js", "#trib/bytes"},
        {"[:find ?e :where [?e :nme ?n]]", "unknown-attribute at :nme", "did you mean :name?"},
        {"[:find ?n :where [[:nme 1] :name ?n]]",
         "unknown-attribute at [:nme",
         "did you mean :name?"},
        {"[:find ?n :where [[:age 1] :name ?n]]", "not-an-entity at [:age", "needs a :db/unique"},
        {"[:find ?e :where [?e :knows [:name \"Cy\"]]]",
         "unknown-entity at [:name",
         "a clause like"},
        {"[:find ?e :where [?e :age \"x\"]]", "wrong-type at \"x\"", "write it like 42"},
        {"[:find ?e :where [?e :age 36.0]]", "wrong-type at 36.0", "write it like 42"},
        {"[:find ?e :where [?e :born \"2020-01-01\"]]", "wrong-type at \"2020", "like #inst"},
        {"[:find ?e :where [?e :age nil]]", "wrong-type at nil", "(missing? $ ?e :age)"},
        {"[:find ?e :where [?e :age 36 \"tx\"]]", "wrong-type at \"tx\"", "a transaction"},
        {"[:find (pull ?e [:nme]) :where [?e :name]]", "unknown-attribute at :nme", "mean :name?"},
        {"[:find (pull ?e [(limit :age 0)]) :where [?e :name]]", "invalid-pull at 0", "from 1 on"},
        {"[:find (pull ?n [:age]) :where [?e :name ?n]]",
         "not-an-entity at (pull",
         "found the string"},
        {"[:find ?x :where [(q [:find ?y :where [?y :nme]] $) ?x]]",
         "unknown-attribute at :nme",
         "mean"},
    };
    for (const fault& f : faults) {
        INFO(f.text);
        const std::string what =
            seen(f.text, [&] { query(value(std::string(f.text)), {t.now_db()}); });
        CHECK_THAT(what, Contains(f.at) && Contains(f.says));
    }
}

TEST_CASE("a fault of rules points into their text") {
    const town t;
    const fault faults[] = {
        {"3", "invalid-query at 3", "a vector of rules"},
        {"[[(r ?e)]]", "invalid-query at [(r ?e)]", "expected a rule"},
        {"[[r ?e [?e :name]]]", "invalid-query at r ?e", "begins with its head"},
        {"[[(r e) [e :name]]]", "invalid-query at e)", "a variable like ?x"},
        {"[[(r ?e ?e) [?e :name]]]", "invalid-query at (r ?e ?e)", "must differ"},
        {"[[(r ?e) [?e :name] [(f ?e) 3]]]", "invalid-query at 3]", "a binding"},
        {"[[(r ?e) [?e :nme]]]", "unknown-attribute at :nme", "did you mean :name?"},
        {"[[(r ?e) [?e :age \"x\"]]]", "wrong-type at \"x\"", "write it like 42"},
        {"[[(r ?e) [?e :name] (rr ?e)]]", "unknown-rule at (rr", "did you mean r?"},
        {"[[(r ?e) [?e :name] [(frob ?e)]]]", "unknown-function at frob", "no function"},
        {"[[(r ?e) [?e :name]] [(r ?e ?f) [?e :knows ?f]]]", "arity at (r ?e ?f)", "same number"},
        {"[[(r ?e) [?e :name}]", "syntax at }", "the rules: line 1"},
    };
    const value q = edn::read("[:find ?e :in $ % :where (r ?e)]");
    for (const value& asked : {q, value(edn::print(q))}) {
        for (const fault& f : faults) {
            INFO(f.text);
            const std::string what = seen(f.text, [&] {
                query(asked, {t.now_db(), value(std::string(f.text))});
            });
            CHECK_THAT(what, Contains(f.at) && Contains(f.says) && Contains("the rules: line 1, "));
        }
    }
}

TEST_CASE("a fault of a pull pattern points into its text") {
    const town t;
    const fault faults[] = {
        {"[]", "invalid-pull at []", "expected a pattern"},
        {"[:name :nme]", "unknown-attribute at :nme", "did you mean :name?"},
        {"[:name {:knows [:nme]}]", "unknown-attribute at :nme", "did you mean :name?"},
        {"[[:age :default 0] {:knows 0}]", "invalid-pull at 0}", "a number of levels"},
        {"[[:name :az 3]]", "invalid-pull at :az", "expected an option"},
        {"[(limit :knows x)]", "invalid-pull at x)", "a limit is a number"},
        {"[(:name :xform frob)]", "unknown-function at frob", "registered in query_options"},
        {"[{:age [:name]}]", "invalid-pull at :age", "only an attribute of type ref"},
        {"[:_age]", "invalid-pull at :_age", "in reverse"},
        {"[:name", "syntax at ", "the pattern: line 1, column 7"},
    };
    for (const fault& f : faults) {
        INFO(f.text);
        const std::string what =
            seen(f.text, [&] { pull(t.now_db(), value(std::string(f.text)), 1); });
        CHECK_THAT(what, Contains(f.at) && Contains(f.says) && Contains("the pattern: line 1, "));
    }
    CHECK(pull(t.now_db(), "[:name {:knows [:age]}]", 1) ==
          edn::read("{:name \"Ada\" :knows [{:age 20}]}"));
}

TEST_CASE("a value of another type matches nothing where a query is lenient") {
    const town t;
    query_options lenient;
    lenient.lenient = true;
    CHECK(query(edn::read("[:find [?e ...] :where [?e :age \"x\"]]"), {t.now_db()}, lenient) ==
          value(vector{}));
}

TEST_CASE("an input fits an attribute as a literal does") {
    const town t;
    const auto ask = [&](const std::string& q, const char* input) {
        return query(edn::read(q), {t.now_db(), edn::read(input)});
    };
    const value ada = edn::read("[1]");
    CHECK(ask("[:find [?e ...] :in $ ?w :where [?e :weight ?w]]", "60") == ada);
    CHECK(ask("[:find [?e ...] :in $ ?w :where [?e :ratio ?w]]", "1.1") == ada);
    CHECK(ask("[:find [?e ...] :in $ ?w :where [?e :debt ?w]]", "12") == ada);
    CHECK(ask("[:find [?e ...] :in $ ?w :where [?e :price ?w]]", "3") == ada);
    CHECK(ask("[:find [?e ...] :in $ [?w ...] :where [?e :weight ?w]]", "[60 \"x\" 1]") == ada);
    CHECK(ask("[:find [?e ...] :in $ ?w :where [?e :age ?w]]", "36.0") == value(vector{}));
    // What was given stays what it is elsewhere.
    CHECK(ask("[:find [?e ?w] :in $ ?w :where [?e :weight ?w] [(even? ?w)]]", "60") ==
          edn::read("[1 60]"));
    CHECK(ask("[:find [?e ...] :in $ ?x :where (or [?e :weight ?x] [?e :age ?x])]", "20") ==
          edn::read("[2]"));
    CHECK(ask("[:find [?e ...] :in $ ?x :where [?e :name] (not [?e :weight ?x])]", "60") ==
          edn::read("[2]"));
}

}  // namespace tributary::datom
