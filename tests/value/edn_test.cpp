#include "tributary/value/edn.hpp"

#include <catch2/catch.hpp>

#include "value/generate.hpp"
#include <cmath>

using namespace tributary;
using namespace tributary::test;

TEST_CASE("edn: reads every kind of value", "[value]") {
    CHECK(edn::read("nil") == value(nullptr));
    CHECK(edn::read(" true ,; comment\n") == value(true));
    CHECK(edn::read("+12") == value(12));
    CHECK(edn::read("-0") == value(0));
    CHECK(edn::read("-9223372036854775808") == value(INT64_MIN));
    CHECK(edn::read("12N") == value(bigint{"12"}));
    CHECK(edn::read("9223372036854775808") == value(bigint{"9223372036854775808"}));
    CHECK(edn::read("-9223372036854775809N") == value(bigint{"-9223372036854775809"}));
    CHECK(edn::read("1.50M") == value(decimal{"1.50"}));
    CHECK(edn::read("12M") == value(decimal{"12"}));
    CHECK(edn::read("1e3") == value(1000.0));
    CHECK(edn::read("-1.5E-2") == value(-0.015));
    CHECK(std::isnan(edn::read("##NaN").as<double>()));
    CHECK(edn::read("##-Inf") == value(-INFINITY));
    CHECK(edn::read(R"("a\n\t\"\\\u00e9\ud83d\ude00 é")") == value("a\n\t\"\\é\U0001F600 é"));
    CHECK(edn::read("\"two\nlines\"") == value("two\nlines"));
    CHECK(edn::read(":ns/name") == value(keyword{"ns/name"}));
    CHECK(edn::read("[?x $ % _ ... . -x + - * / <= not= a/b -a.b/c? .m] ").as<vector>().size() ==
          16);
    CHECK(edn::read("#{1 [2] (3)}") == make_set({1, vector{2}, list{{3}}}));
    CHECK(edn::read("{:a 1, \"b\" {}}") == make_map({{keyword{"a"}, 1}, {"b", map{}}}));
    CHECK(edn::read("[1 #_ 2 #_ #_ 3 [4] 5 #_6]") == value(vector{1, 5}));
    CHECK(edn::read("#trib/bytes \"00ff\"") == value(blob{bytes("\x00\xff", 2)}));
    uuid u;
    u.raw[0] = 0xf8;
    u.raw[15] = 1;
    CHECK(edn::read("#uuid \"f8000000-0000-0000-0000-000000000001\"") == value(u));
    CHECK(edn::read("#inst \"1970-01-01T00:00:01Z\"") == value(inst{1000}));
    CHECK(edn::read_all("1 [2] ; end").size() == 2);
    CHECK(edn::read_all("").empty());
}

TEST_CASE("edn: a namespaced map gives its keys their namespace", "[value]") {
    CHECK(edn::read("#:db{:ident :a/b, :doc \"x\"}") ==
          edn::read("{:db/ident :a/b, :db/doc \"x\"}"));
    CHECK(edn::read("#:a{:b 1 :c/d 2 :_/e 3 f 4 _/g 5 \"h\" 6 [:i] 7}") ==
          edn::read("{:a/b 1 :c/d 2 :e 3 a/f 4 g 5 \"h\" 6 [:i] 7}"));
    CHECK(edn::read("#:a.b {:c {:d :e}}") == edn::read("{:a.b/c {:d :e}}"));
    CHECK(edn::read("#:a{}") == value(map{}));
}

TEST_CASE("edn: errors say where, what was expected and what was found", "[value]") {
    const std::pair<const char*, const char*> cases[] = {
        {"", "line 1, column 1: expected a value, found the end of the text"},
        {"[1\n  (2",
         "line 2, column 5: expected ) to close the ( of line 2, column 3, found the end of the "
         "text"},
        {"[1)", "line 1, column 3: expected a value, found )"},
        {"1 2", "line 1, column 3: expected the end of the text after the value, found 2"},
        {"{:a 1\n :b}", "line 2, column 4: expected a value for the key :b, found }"},
        {"{:a 1 :a 2}",
         "line 1, column 7: expected a map of distinct keys, found the key :a twice in a map"},
        {"é \"", "line 1, column 3: expected the end of the text after the value, found \""},
        {"\"é\\q\"",
         "line 1, column 3: expected an escape: \\\" \\\\ \\n \\t \\r \\b \\f \\uXXXX, found \\q"},
        {"\"\\ud800x\"", "line 1, column 2: expected a character, found half of a surrogate pair"},
        {"[007]", "line 1, column 2: expected a number without leading zeros, found 007"},
        {"1.", "line 1, column 1: expected a number, found 1."},
        {"12ab", "line 1, column 1: expected a number, found 12ab"},
        {"1/2", "line 1, column 1: expected a number, found 1/2"},
        {":", "line 1, column 1: expected a keyword, found :"},
        {"#foo 1",
         "line 1, column 1: expected plain data, found the tag #foo; there are #inst, #uuid, "
         "#db/id, #trib/bytes \"00ff\", #trib/keyword and #trib/symbol"},
        {"[#{1 2 1}]",
         "line 1, column 8: expected a set of distinct elements, found the element 1 twice in a "
         "set"},
        {"[#\"a+\"]",
         "line 1, column 2: expected plain data, found a regular expression; it is written as a "
         "string, as in (re-find \"a.*\" ?x)"},
        {"#inst 5", "line 1, column 7: expected a string after #inst, found 5"},
        {"[.5]", "line 1, column 2: expected a digit before the point, as in 0.5, found .5"},
        {"#:a/b{:c 1}",
         "line 1, column 1: expected a namespace, as in #:person{:name 1}, found #:a/b"},
        {"#::{:c 1}", "line 1, column 1: expected a namespace, as in #:person{:name 1}, found #::"},
        {"#:a [1]", "line 1, column 5: expected a map after #:a, found ["},
        {"#:a{:b 1 :a/b 2}",
         "line 1, column 1: expected a map of distinct keys, found the key :a/b twice in a map"},
        {"[\\a]",
         "line 1, column 2: expected a string of one character, as characters are not supported, "
         "found \\"},
        {"##Foo", "line 1, column 1: expected ##NaN, ##Inf or ##-Inf, found ##Foo"},
        {"[\n \xff]", "line 2, column 2: expected UTF-8, found the byte ff"},
        {"#_",
         "line 1, column 3: expected a value to leave out after #_, found the end of the text"},
    };
    for (const auto& [text, message] : cases) {
        CAPTURE(text);
        const std::string said = message_of([&] { edn::read(text); });
        CHECK(said.substr(0, said.find('\n')) == message);
    }
    CHECK(message_of([] {
              edn::read("\n#inst \"2015-13\"");
          }).find("line 2, column 7: expected a month") == 0);
    CHECK(message_of([] {
              edn::read("#uuid \"f8\"");
          }).find("line 1, column 7: expected a uuid like") == 0);
}

TEST_CASE("edn: an error shows the line and a caret under the place", "[value]") {
    const auto caret = [](const std::string& text) {
        const std::string said = message_of([&] { edn::read(text); });
        return said.substr(said.find('\n') + 1);
    };
    CHECK(caret("[1\n\t{:é 2)]") == "   {:é 2)]\n        ^");
    CHECK(caret("[1") == "  [1\n    ^");
    const std::string shown = caret("[" + std::string(500, ' ') + ") " + std::string(500, ' '));
    const std::size_t break_at = shown.find('\n');
    CHECK(shown.size() < 300);
    CHECK(shown.find(')') == shown.find('^') - break_at - 1);
}

TEST_CASE("edn: a value is found in the text it came from", "[value]") {
    const std::string text = "[:find ?x ; [?x :a]\n :where [?x :a]]";
    const auto at = edn::find_in(text, [](const value& v) { return edn::print(v) == "[?x :a]"; });
    REQUIRE(at);
    CHECK(edn::pointed_at(text, *at, "oh") ==
          "line 2, column 9: oh\n   :where [?x :a]]\n          ^");
    CHECK(!edn::find_in(text, [](const value& v) { return v.is_nil(); }));
    CHECK(!edn::find_in("[1", [](const value& v) { return v == value(2); }));
}

TEST_CASE("edn: nesting has a limit", "[value]") {
    CHECK_NOTHROW(edn::read(std::string(64, '[') + std::string(64, ']')));
    CHECK(refused([] { edn::read(std::string(65, '[') + std::string(65, ']')); }));
    CHECK(refused([] { edn::read(std::string(1000000, '[')); }));
    std::string discards;
    for (int i = 0; i < 100000; ++i) discards += "#_ ";
    CHECK(refused([&] { edn::read(discards); }));
}

TEST_CASE("edn: read(print(v)) = v", "[value]") {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        generator make(seed);
        const value v = make.any(4);
        INFO("seed " << seed << " " << edn::print(v));
        REQUIRE(edn::read(edn::print(v)) == v);
        REQUIRE(edn::read(edn::print_pretty(v, static_cast<int>(make.below(100)))) == v);
    }
}

TEST_CASE("edn: changed text is read or refused, never a crash", "[value]") {
    for (std::uint64_t seed = 1; seed <= 10000; ++seed) {
        generator make(seed);
        std::string text = edn::print(make.any(3));
        for (std::size_t n = 1 + make.below(3); n > 0; --n) {
            text[make.below(text.size())] = "\"\\#{}[]():;_ \n0aNM+-./u\xc3"[make.below(25)];
        }
        INFO("seed " << seed << " " << text);
        try {
            const value v = edn::read(text);
            REQUIRE(edn::read(edn::print(v)) == v);
        } catch (const error& e) {
            REQUIRE(e.code() == errc::bad_input);
            REQUIRE(std::string(e.what()).rfind("line ", 0) == 0);
        }
    }
}

TEST_CASE("edn: prints in one line and in several", "[value]") {
    const value v = edn::read("{:find [?a ?b] :where [[?a :tweet/text ?b] [(> ?b 1.0)]]}");
    CHECK(edn::print(v) == "{:where [[?a :tweet/text ?b] [(> ?b 1.0)]], :find [?a ?b]}");
    CHECK(edn::print_pretty(v, 40) ==
          "{:where [[?a :tweet/text ?b]\n"
          "         [(> ?b 1.0)]]\n"
          " :find [?a ?b]}");
    CHECK(edn::print_pretty(v, 200) == edn::print(v));
    CHECK(edn::print(value(vector{1.0, 1e22, 0.1, -0.0})) == "[1.0 1e+22 0.1 -0.0]");
    CHECK(edn::print(keyword{"a b"}) == "#trib/keyword \"a b\"");
}
