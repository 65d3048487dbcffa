// Numbers of any size: exact in transactions, comparisons, functions and aggregates.
#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"
#include "datom/support.hpp"

namespace tributary::datom {

namespace {

/// What a call gives, as text.
std::string said(const std::string& call) {
    return edn::print(answer("[:find ?x . :where [(" + call + ") ?x]]"));
}

std::string said_of(const std::string& aggregate, const char* numbers) {
    return edn::print(answer("[:find (" + aggregate + " ?x) . :in [?x ...]]", given({numbers})));
}

std::string refused(const std::string& call) {
    return refusal("[:find ?x . :where [(" + call + ") ?x]]");
}

}  // namespace

TEST_CASE("numbers: bigints are exact, whatever their size", "[datom][query]") {
    CHECK(said("+ 123456789012345678901234567890N 1") == "123456789012345678901234567891N");
    CHECK(said("+ 123456789012345678901234567890 1") == "123456789012345678901234567891N");
    CHECK(said("- 1N 123456789012345678901234567890N") == "-123456789012345678901234567889N");
    CHECK(said("- 5N") == "-5N");
    CHECK(said("* 99999999999999999999N 99999999999999999999N") ==
          "9999999999999999999800000000000000000001N");
    CHECK(said("+ 9223372036854775807 1N") == "9223372036854775808N");
    CHECK(said("inc 9223372036854775807N") == "9223372036854775808N");
    CHECK(said("dec -9223372036854775808N") == "-9223372036854775809N");
    CHECK(said("/ 246913578024691357802469135780N 2") == "123456789012345678901234567890N");
    CHECK(said("/ 7N 2") == "3.5");
    CHECK(said("quot -100000000000000000001N 10") == "-10000000000000000000N");
    CHECK(said("rem -100000000000000000001N 10") == "-1N");
    CHECK(said("mod -100000000000000000001N 10") == "9N");
    CHECK(said("mod 100000000000000000001N -10N") == "-9N");
    CHECK(said("max 100000000000000000001N 100000000000000000002N 5") == "100000000000000000002N");
    CHECK(said("min 1e30 100000000000000000001N") == "100000000000000000001N");
    CHECK(said("even? 100000000000000000002N") == "true");
    CHECK(said("+ 1N 0.5") == "1.5");
}

TEST_CASE("numbers: decimals keep every place", "[datom][query]") {
    CHECK(said("+ 0.1M 0.2M") == "0.3M");
    CHECK(said("+ 1.10M 2") == "3.10M");
    CHECK(said("- 0.00M 0.01M") == "-0.01M");
    CHECK(said("* 1.10M 1.10M") == "1.2100M");
    CHECK(said("* 1.5M 2N") == "3.0M");
    CHECK(said("+ 12345678901234567890.5M 0.00000000000000000001M") ==
          "12345678901234567890.50000000000000000001M");
    CHECK(said("/ 1M 8") == "0.125M");
    CHECK(said("/ 10.0M 4") == "2.5M");
    CHECK(said("/ 2M 0.5M") == "4M");
    CHECK(said("quot 7.5M 2") == "3.0M");
    CHECK(said("rem 7.5M 2") == "1.5M");
    CHECK(said("mod -7.5M 2M") == "0.5M");
    CHECK(said("inc 0.9M") == "1.9M");
    CHECK(said("+ 1e3M 1e-9M") == "1000.000000001M");
    CHECK(said("* 1e-9M 1e-9M") == "1E-18M");
    CHECK(said("* 2e9M 3e9M") == "6E+18M");
    CHECK(said("+ 0.1M 0.2") == "0.30000000000000004");
}

TEST_CASE("numbers: comparisons are exact", "[datom][query]") {
    CHECK(said("< 100000000000000000000000000001N 100000000000000000000000000002N") == "true");
    CHECK(said("< 0.10000000000000000000001M 0.10000000000000000000002M") == "true");
    CHECK(said("> 9007199254740993.5M 9007199254740993") == "true");
    CHECK(said("== 1.0M 1.00M 1 1N 1.0") == "true");
    CHECK(said("== 0.1M 0.1") == "true");
    CHECK(said("< 0.1M 0.1") == "false");
    CHECK(said("< -1e30M -1e29M 0 1e29M 1e30M") == "true");
    CHECK(said("pos? 0.000000000000000000000000000001M") == "true");
    CHECK(said("zero? 0.00M") == "true");
    CHECK(
        answer("[:find [?x ...] :in [?x ...] :order-by [?x]]",
               given({"[0.1M 0.1 9007199254740993 9007199254740992.0 9007199254740992.5M 3N]"})) ==
        edn::read("[0.1M 0.1 3N 9007199254740992.0 9007199254740992.5M 9007199254740993]"));
}

TEST_CASE("numbers: aggregates are exact", "[datom][query]") {
    CHECK(said_of("sum", "[9223372036854775807 1N 2N]") == "9223372036854775810N");
    CHECK(said_of("sum", "[0.1M 0.2M 0.30M]") == "0.60M");
    CHECK(said_of("sum", "[0.1M 0.2]") == "0.30000000000000004");
    CHECK(said_of("avg", "[100000000000000000001N 100000000000000000003N]") ==
          "100000000000000000002N");
    CHECK(said_of("avg", "[1.10M 2.20M]") == "1.65M");
    CHECK(said_of("avg", "[1M 1.5M 1.7M]") == "1.4M");
    CHECK(said_of("avg", "[1M 1.5M 1.8M]") == "1.4333333333333333");
    CHECK(said_of("min", "[0.30000000000000000001M 0.3M]") == "0.3M");
    CHECK(said_of("max", "[100000000000000000001N 100000000000000000003N]") ==
          "100000000000000000003N");
}

TEST_CASE("numbers: what has no answer is refused", "[datom][query]") {
    CHECK_THAT(refused("+ 9223372036854775807 1"), Catch::Contains("beyond 64 bits"));
    CHECK_THAT(refused("* 9223372036854775807 2"), Catch::Contains("make one of the numbers"));
    CHECK_THAT(refused("- -9223372036854775808 1"), Catch::Contains("beyond 64 bits"));
    CHECK_THAT(refused("/ 1M 3"), Catch::Contains("has no end"));
    CHECK_THAT(refused("/ 1N 0"), Catch::Contains("division by zero"));
    CHECK_THAT(refused("rem 1.5M 0.0M"), Catch::Contains("division by zero"));
    CHECK_THAT(refused("+ 1e999999M 1"), Catch::Contains("10000 digits"));
    CHECK_THAT(refused("* 1e-999999999M 1e-999999999M 1e-999999999M"), Catch::Contains("digits"));
    CHECK_THAT(refused("+ 1N \"2\""), Catch::Contains("expected a number"));
}

TEST_CASE("numbers: a literal beyond 64 bits is what its attribute wants", "[datom]") {
    scratch d;
    d.tx(R"([{:db/ident :n :db/valueType :db.type/bigint :db/cardinality :db.cardinality/one}
             {:db/ident :d :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one}
             {:db/ident :l :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    d.tx("[{:db/id 1 :n 123456789012345678901234567890 :d 123456789012345678901234567890 :l 5}]");
    CHECK(facts(d.now_db()) == std::vector<std::string>{"1 :d 123456789012345678901234567890M",
                                                        "1 :l 5",
                                                        "1 :n 123456789012345678901234567890N"});
    CHECK(answer("[:find ?e . :where [?e :n 123456789012345678901234567890]]", {d.now_db()}) ==
          value(1));
    CHECK(answer("[:find ?e . :where [?e :d 123456789012345678901234567890]]", {d.now_db()}) ==
          value(1));
    CHECK(edn::print(answer("[:find ?y . :where [_ :n ?n] [_ :l ?l] [(* ?n ?l) ?y]]",
                            {d.now_db()})) == "617283945061728394506172839450N");
    std::string message;
    CHECK(code_of([&] { d.tx("[{:db/id 1 :l 123456789012345678901234567890}]"); }, &message) ==
          errc::bad_input);
    CHECK_THAT(message, Catch::Contains("db.type/long") && Catch::Contains("bigint"));
}

}  // namespace tributary::datom
