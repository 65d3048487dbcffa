#include "tributary/value/json.hpp"

#include "tributary/value/edn.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "value/generate.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

/// Text that is JSON or nearly so.
std::string random_json(generator& make, int depth) {
    static const char* scalars[] = {"0",
                                    "-1",
                                    "591983838563303428",
                                    "1.5",
                                    "1e3",
                                    "\"a\"",
                                    "\"\\u00e9\\ud83d\\ude00\"",
                                    "true",
                                    "null",
                                    "false",
                                    "\"é\"",
                                    "\"\\n\"",
                                    "-0.0",
                                    "123456789012345678901"};
    if (depth == 0 || make.one_in(3)) return scalars[make.below(std::size(scalars))];
    const bool object = make.one_in(2);
    std::string out = object ? "{" : "[";
    for (std::size_t i = 0, n = make.below(4); i < n; ++i) {
        if (i > 0) out += make.one_in(3) ? " , " : ",";
        if (object) out += "\"k" + std::to_string(i) + "\":";
        out += random_json(make, depth - 1);
    }
    return out + (object ? "}" : "]");
}

}  // namespace

TEST_CASE("json: integers are exact to 64 bits, others to the last digit", "[value]") {
    CHECK(json::read("591983838563303428") == value(591983838563303428));
    CHECK(json::read("9007199254740993") == value(9007199254740993));
    CHECK(json::read("-9223372036854775808") == value(INT64_MIN));
    CHECK(json::read("9223372036854775807") == value(INT64_MAX));
    CHECK(json::read("9223372036854775808") == value(decimal{"9223372036854775808"}));
    CHECK(json::read("18446744073709551616") == value(decimal{"18446744073709551616"}));
    CHECK(json::read("1.0") == value(1.0));
    CHECK(json::read("0.10") == value(0.1));
    CHECK(json::read("1e3") == value(1000.0));
    CHECK(json::read("-0.0") == value(-0.0));
    CHECK(json::read("1e400") == value(decimal{"1e400"}));
    CHECK(json::read("1e-400") == value(decimal{"1e-400"}));
    CHECK(json::read("3.14159265358979323846") == value(decimal{"3.14159265358979323846"}));
    CHECK(json::read("0.1000000000000000055511151231257827") ==
          value(decimal{"0.1000000000000000055511151231257827"}));
    CHECK(json::read("5e-324") == value(5e-324));
    CHECK(json::read("1e99999999999999999999") == value(decimal{"1e99999999999999999999"}));
}

TEST_CASE("json: objects, strings, white space", "[value]") {
    CHECK(json::read(" {\"b\" : [1, true, null], \"a\":\"\\u00e9\\ud83d\\ude00\\n\"}\n") ==
          make_map({{"a", "é\U0001F600\n"}, {"b", vector{1, true, nullptr}}}));
    CHECK(json::read("{}") == value(map{}));
    CHECK(json::read("[]") == value(vector{}));
    CHECK(json::read("\"\\u0000\"") == value(std::string(1, '\0')));
}

TEST_CASE("json: what is not JSON is refused with its position", "[value]") {
    const std::pair<const char*, int> cases[] = {
        {"", 1},
        {"]", 1},
        {"[1,]", 4},
        {"1,2", 2},
        {"1],[2", 2},
        {"{\"a\":1 \"b\":2}", 10},
        {"nulx", 4},
        {"[1 2]", 4},
        {"{}x", 3},
        {"[1}", 3},
        {"{\"a\" 1}", 6},
        {"{\"a\":}", 6},
        {"[[[1]]", 7},
        {"-", 2},
        {"1.", 3},
        {"01", 2},
        {"\"a", 3},
        {"[\"\\ud800\"]", 9},
        {"\"\\udc00\"", 7},
        {"[1, \"\xff\"]", 6},
        {"\"\x01\"", 2},
        {"{1:2}", 2},
        {"NaN", 1},
        {"[1,2] []", 7},
        {"{\"a\":1,\"a\":2}", 1},
        {"[{\"x\":1}, {\"a\":1,\"b\":2,\"a\":2}]", 11},
    };
    for (const auto& [text, position] : cases) {
        CAPTURE(text);
        const std::string message = message_of([&] { json::read(text); });
        CHECK(message.rfind("not JSON at byte " + std::to_string(position) + ": ", 0) == 0);
        CAPTURE(message);
    }
}

TEST_CASE("json: nesting has a limit", "[value]") {
    CHECK_NOTHROW(json::read(std::string(64, '[') + std::string(64, ']')));
    CHECK(refused([] { json::read(std::string(65, '[') + std::string(65, ']')); }));
    CHECK(refused([] { json::read(std::string(1000000, '[')); }));
    CHECK(refused([] { json::read("\"" + std::string(2000000, 'x')); }));
    CHECK(json::read("1") == value(1));
}

TEST_CASE("json: accepts and means what another parser does", "[value]") {
    std::size_t accepted = 0;
    for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
        generator make(seed);
        std::string text = random_json(make, 3);
        if (!make.one_in(4)) {
            for (std::size_t n = 1 + make.below(2); n > 0; --n) {
                text[make.below(text.size())] = "\"\\{}[]:, 01-.utn\x80"[make.below(17)];
            }
        }
        INFO("seed " << seed << " " << text);
        const auto theirs = nlohmann::json::parse(text, nullptr, false);
        try {
            const value v = json::read(text);
            ++accepted;
            REQUIRE(!theirs.is_discarded());
            REQUIRE(json::read(json::print(v)) == v);
            if (json::print(v).find("123456789012345678901") == std::string::npos) {
                REQUIRE(nlohmann::json::parse(json::print(v)) == theirs);
            }
        } catch (const error& e) {
            const bool duplicate = std::string(e.what()).find("twice") != std::string::npos;
            REQUIRE((theirs.is_discarded() || duplicate));
        }
    }
    CHECK(accepted > 5000);
}

TEST_CASE("json: prints what JSON has no notation for", "[value]") {
    CHECK(
        json::print(edn::read(
            "[:a/b x #inst \"2015-04-25\" #trib/bytes \"00ff\" #{1} (2) 0.10M 007M ##NaN 1.0]")) ==
        R"([":a/b","x","2015-04-25T00:00:00.000Z","00ff",[1],[2],0.10,7,null,1.0])");
    CHECK(json::print(edn::read("{:a 1, [2] 3, \"s\" 4}")) == R"({"[2]":3,"s":4,":a":1})");
    CHECK(json::print(value("\"\\\n\x01é")) == "\"\\\"\\\\\\n\\u0001é\"");
    CHECK(json::print(map{}) == "{}");
    CHECK(json::print(vector{}) == "[]");
}
