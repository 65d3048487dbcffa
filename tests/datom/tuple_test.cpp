#include <catch2/catch.hpp>

#include "datom/support.hpp"

using namespace tributary;
using namespace tributary::datom;

namespace {

std::string name_of_error(const std::function<void()>& f) {
    try {
        f();
    } catch (const error& e) {
        return e.name();
    }
    return "none";
}

struct seats : scratch {
    seats() {
        tx(R"([{:db/ident :seat/row :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
               {:db/ident :seat/number :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :seat/guest :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
               {:db/ident :seat/place :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
                :db/tupleAttrs [:seat/row :seat/number] :db/unique :db.unique/identity}])");
    }
    value ask(const std::string& q) { return query(edn::read(q), {now_db()}); }
};

}  // namespace

TEST_CASE("a composite tuple follows its parts") {
    seats d;
    d.tx(R"([{:db/id 1 :seat/row "C" :seat/number 4 :seat/guest "Ada"}])");
    CHECK(facts(d.now_db()) == std::vector<std::string>{R"(1 :seat/guest "Ada")",
                                                        R"(1 :seat/number 4)",
                                                        R"(1 :seat/place ["C" 4])",
                                                        R"(1 :seat/row "C")"});
    d.tx("[[:db/add 1 :seat/number 5]]");
    CHECK(d.ask("[:find ?p . :where [1 :seat/place ?p]]") == edn::read(R"(["C" 5])"));
    d.tx("[[:db/retract 1 :seat/row]]");
    CHECK(d.ask("[:find ?p . :where [1 :seat/place ?p]]") == edn::read("[nil 5]"));
    d.tx("[[:db/retractEntity 1]]");
    CHECK(facts(d.now_db()).empty());
    // What was is still there.
    const db then = d.now_db().as_of(std::int64_t{2});
    CHECK(query(edn::read("[:find ?p . :where [1 :seat/place ?p]]"), {then}) ==
          edn::read(R"(["C" 4])"));
    d.reopen();
    d.tx(R"([{:db/id 2 :seat/row "A" :seat/number 1}])");
    CHECK(d.ask(R"([:find ?e . :where [?e :seat/place ["A" 1]]])") == value(2));
}

TEST_CASE("a composite may be repeated as it is, but not with a part missing") {
    seats d;
    d.tx(R"([{:db/id 1 :seat/row "C" :seat/number 4} {:db/id 2 :seat/number 7}])");
    d.tx(R"([[:db/add 1 :seat/place ["C" 4]]])");
    CHECK(name_of_error([&] { d.tx("[[:db/add 2 :seat/place [nil 7]]]"); }) == "db.error/syntax");
    CHECK(name_of_error([&] { d.tx("[{:db/id 3 :seat/number 8 :seat/place [nil 8]}]"); }) ==
          "db.error/syntax");
    CHECK(d.ask("[:find ?p . :where [2 :seat/place ?p]]") == edn::read("[nil 7]"));
}

TEST_CASE("a composite is made of what its parts are after the transaction") {
    seats d;
    d.tx(R"([{:db/id 1 :seat/row "C" :seat/number 4}])");
    d.tx(R"([[:db/cas 1 :seat/row "C" "D"] [:db/cas 1 :seat/number 4 9]])");
    CHECK(d.ask("[:find ?p . :where [1 :seat/place ?p]]") == edn::read(R"(["D" 9])"));
    d.tx(R"([[:db/retract 1 :seat/row] {:db/id 1 :seat/number 5}])");
    CHECK(d.ask("[:find ?p . :where [1 :seat/place ?p]]") == edn::read("[nil 5]"));
    d.tx(R"([{:db/id 1 :seat/row "E"} {:db/id 1 :seat/number 6}])");
    CHECK(d.ask("[:find ?p . :where [1 :seat/place ?p]]") == edn::read(R"(["E" 6])"));
    d.tx(R"([[:db/retract 1 :seat/row "E"] [:db/retract 1 :seat/number 6]])");
    CHECK(facts(d.now_db()).empty());
}

TEST_CASE("a composite declared after its parts is made when they are said again") {
    scratch d;
    d.tx(R"([{:db/ident :row :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
             {:db/ident :num :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    d.tx(R"([{:db/id 1 :row "C" :num 4} {:db/id 2 :row "C" :num 5}])");
    d.tx(R"([{:db/ident :seat :db/valueType :db.type/tuple :db/tupleAttrs [:row :num]
              :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}])");
    CHECK_FALSE(d.now_db().entid(edn::read(R"([:seat ["C" 4]])")));
    d.tx(R"([[:db/add 1 :num 4]])");
    CHECK(d.now_db().entid(edn::read(R"([:seat ["C" 4]])")) == 1);
    CHECK(d.tx(R"([{:db/id "x" :row "C" :num 4}])").tempids.at(value("x")) == 1);
    CHECK(name_of_error([&] { d.tx(R"([{:db/id 2 :row "C" :num 4}])"); }) ==
          "db.error/unique-conflict");
}

TEST_CASE("new entities with the same new parts are one") {
    scratch d;
    d.tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
             {:db/ident :boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
             {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
             {:db/ident :aka :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
             {:db/ident :boss+age :db/valueType :db.type/tuple :db/tupleAttrs [:boss :age]
              :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}])");
    const auto made = d.tx(R"([{:db/id "b" :name "Bo"} {:db/id "c" :name "Cy"}
                               {:db/id "x" :boss "b" :age 40 :aka "x1"}
                               {:db/id "y" :boss "b" :age 40 :aka "x2"}
                               {:db/id "z" :boss "c" :age 40 :aka "z"}])")
                          .tempids;
    CHECK(made.at(value("x")) == made.at(value("y")));
    CHECK(made.at(value("x")) != made.at(value("z")));
}

TEST_CASE("parts that are all there name the entity that has them") {
    seats d;
    d.tx(R"([{:db/id 1 :seat/row "C" :seat/number 4} {:db/id 2 :seat/row "C" :seat/number 5}])");
    auto report = d.tx(R"([{:db/id "x" :seat/row "C" :seat/number 5 :seat/guest "Bob"}])");
    CHECK(report.tempids.at(value("x")) == 2);
    report = d.tx(R"([{:db/id "x" :seat/place ["C" 4] :seat/guest "Eve"}])");
    CHECK(report.tempids.at(value("x")) == 1);
    d.tx(R"([[:db/add [:seat/place ["C" 4]] :seat/guest "Joe"]])");
    CHECK(d.ask("[:find ?g . :where [1 :seat/guest ?g]]") == value("Joe"));
    CHECK(d.now_db().entid(edn::read(R"([:seat/place ["C" 5]])")) == 2);
    CHECK(name_of_error([&] { d.tx("[[:db/add 1 :seat/number 5]]"); }) ==
          "db.error/unique-conflict");
    CHECK(name_of_error([&] { d.tx(R"([{:db/id 1 :seat/place ["C" 9]}])"); }) == "db.error/syntax");
    CHECK(name_of_error([&] { d.tx(R"([[:db/retract 1 :seat/place ["C" 4]]])"); }) ==
          "db.error/syntax");
    CHECK(name_of_error([&] {
              d.tx(R"([[:db/add 1 :seat/row "D"] [:db/add 1 :seat/number 9]])");
          }) == "db.error/datoms-conflict");
    // Swapping both at once is no conflict.
    d.tx("[[:db/add 1 :seat/number 5] [:db/add 2 :seat/number 4]]");
    CHECK(d.now_db().entid(edn::read(R"([:seat/place ["C" 5]])")) == 1);
}

TEST_CASE("typed tuples hold what their types say") {
    scratch d;
    d.tx(R"([{:db/ident :at :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
              :db/tupleTypes [:db.type/double :db.type/double :db.type/keyword]}
             {:db/ident :path :db/valueType :db.type/tuple :db/cardinality :db.cardinality/many
              :db/tupleType :db.type/ref}
             {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
              :db/unique :db.unique/identity}])");
    d.tx(R"([{:db/id 1 :name "a" :at [1 2.5 nil]} {:db/id 2 :name "b"}])");
    d.tx(R"([{:db/id 3 :path [[1 2] [[:name "b"] 1 2]]} {:db/id 4 :path [1 2]}])");
    CHECK(facts(d.now_db()) == std::vector<std::string>{R"(1 :at [1.0 2.5 nil])",
                                                        R"(1 :name "a")",
                                                        R"(2 :name "b")",
                                                        "3 :path [1 2]",
                                                        "3 :path [2 1 2]",
                                                        "4 :path [1 2]"});
    for (const char* bad : {R"([{:db/id 9 :at [1.0 2.0]}])",
                            R"([{:db/id 9 :at [1.0 "x" :k]}])",
                            R"([{:db/id 9 :at "x"}])",
                            R"([{:db/id 9 :path [[1]]}])",
                            R"([{:db/id 9 :path [[1 2 3 4 5 6 7 8 9]]}])"}) {
        CAPTURE(bad);
        CHECK(name_of_error([&] { d.tx(bad); }) == "db.error/wrong-type");
    }
    for (const char* bad : {"[{:db/ident :t :db/valueType :db.type/tuple :db/cardinality "
                            ":db.cardinality/one}]",
                            "[{:db/ident :t :db/valueType :db.type/tuple :db/cardinality "
                            ":db.cardinality/one :db/tupleTypes [:db.type/tuple :db.type/long]}]",
                            "[{:db/ident :t :db/valueType :db.type/string :db/cardinality "
                            ":db.cardinality/one :db/tupleType :db.type/long}]",
                            "[{:db/ident :t :db/valueType :db.type/tuple :db/cardinality "
                            ":db.cardinality/one :db/tupleAttrs [:path :name]}]"}) {
        CAPTURE(bad);
        CHECK(name_of_error([&] { d.tx(bad); }) == "db.error/invalid-schema");
    }
}

TEST_CASE("tuples sort element by element, nil lowest") {
    scratch d;
    d.tx(R"([{:db/ident :t :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
              :db/tupleTypes [:db.type/string :db.type/long]}])");
    const std::string text(300, 'x');
    d.tx(R"([{:db/id 1 :t ["b" 1]} {:db/id 2 :t ["a" 10]} {:db/id 3 :t ["a" -1]}
             {:db/id 4 :t [nil 7]} {:db/id 5 :t ["a" nil]} {:db/id 6 :t ["ab" 0]}
             {:db/id 7 :t [")" +
         text + R"(" 3]}])");
    std::vector<entity_id> order;
    std::vector<value> values;
    const reader& r = d.now_db().get();
    r.scan_avet_range(*r.find_attribute("t"), {}, [&](const datom_ref& f) {
        order.push_back(f.e);
        values.push_back(f.v.to_value());
        return true;
    });
    CHECK(order == std::vector<entity_id>{4, 5, 3, 2, 6, 1, 7});
    CHECK(values.back() == value(vector{text, 3}));
    CHECK(query(edn::read("[:find ?e . :in $ ?t :where [?e :t ?t]]"),
                {d.now_db(), value(vector{text, 3})}) == value(7));
}

TEST_CASE("every value type comes back as it was given") {
    scratch d;
    d.tx(R"([{:db/ident :f :db/valueType :db.type/float :db/cardinality :db.cardinality/one}
             {:db/ident :n :db/valueType :db.type/bigint :db/cardinality :db.cardinality/one}
             {:db/ident :u :db/valueType :db.type/uri :db/cardinality :db.cardinality/one}])");
    d.tx(R"([{:db/id 1 :f 0.1 :n 123456789012345678901234567890N :u "https://example.org/a?b=%20"}
             {:db/id 2 :f 3 :n -5 :u "urn:isbn:0451450523"}
             {:db/id 3 :n 18446744073709551616N}])");
    CHECK(query(edn::read("[:find ?f . :where [1 :f ?f]]"), {d.now_db()}) ==
          value(static_cast<double>(0.1F)));
    CHECK(query(edn::read("[:find ?f . :where [2 :f ?f]]"), {d.now_db()}) == value(3.0));
    CHECK(query(edn::read("[:find ?e . :where [?e :n 18446744073709551616N]]"), {d.now_db()}) ==
          value(3));
    CHECK(query(edn::read("[:find ?e . :where [?e :n -5]]"), {d.now_db()}) == value(2));
    CHECK(query(edn::read("[:find ?e :where [?e :n ?n] [(< ?n 18446744073709551617N)]]"),
                {d.now_db()}) == edn::read("#{[2] [3]}"));
    CHECK(query(edn::read("[:find ?u . :where [2 :u ?u]]"), {d.now_db()}) ==
          value("urn:isbn:0451450523"));
    for (const char* bad : {R"([{:db/id 9 :u "no scheme"}])",
                            R"([{:db/id 9 :u "http://a b"}])",
                            "[{:db/id 9 :f 1e300}]",
                            "[{:db/id 9 :n 1.5}]"}) {
        CAPTURE(bad);
        CHECK(name_of_error([&] { d.tx(bad); }) == "db.error/wrong-type");
    }
}
