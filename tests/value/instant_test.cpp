#include "tributary/value/instant.hpp"

#include <catch2/catch.hpp>

#include "value/generate.hpp"

using namespace tributary;
using namespace tributary::test;

TEST_CASE("instant: ISO 8601 in its usual forms", "[value]") {
    const std::pair<const char*, std::int64_t> cases[] = {
        {"1970", 0},
        {"2015-04", 1427846400000},
        {"2015-04-25", 1429920000000},
        {"2015-04-25T15:15:20.000Z", 1429974920000},
        {"2015-04-25T15:15:20Z", 1429974920000},
        {"2015-04-25T15:15:20", 1429974920000},
        {"2015-04-25 15:15:20", 1429974920000},
        {"2015-04-25T17:15:20+02:00", 1429974920000},
        {"2015-04-25T10:15:20-0500", 1429974920000},
        {"2015-04-25T15:15:20.123456789-00:00", 1429974920123},
        {"2015-04-25T15:15Z", 1429974900000},
        {"2015-04-25T15", 1429974000000},
        {"2000-02-29", 951782400000},
        {"1969-12-31T23:59:59.999Z", -1},
        {"0000-01-01", -62167219200000},
        {"+010000-01-01", 253402300800000},
    };
    for (const auto& [text, ms] : cases) {
        CAPTURE(text);
        CHECK(parse_instant(text).ms == ms);
    }
}

TEST_CASE("instant: what is no instant is refused", "[value]") {
    for (const char* text : {"",
                             "15",
                             "2015-13",
                             "2015-00-01",
                             "2015-02-29",
                             "2015-04-25T24:00",
                             "2015-04-25T15:60",
                             "2015-04-25T15:15:20.Z",
                             "2015-04-25X",
                             "2015-04-25T15:15:20+2",
                             "2015-04-25T15:15:20ZZ",
                             "12345-01-01",
                             "+999999999-01-01",
                             "2015-04-25T"}) {
        CAPTURE(text);
        CHECK(refused([&] { parse_instant(text); }));
    }
}

TEST_CASE("instant: every one prints to text that reads back", "[value]") {
    CHECK(format_instant({1429974920123}) == "2015-04-25T15:15:20.123Z");
    CHECK(format_instant({-1}) == "1969-12-31T23:59:59.999Z");
    CHECK(format_instant({253402300800000}) == "+010000-01-01T00:00:00.000Z");
    for (const std::int64_t ms :
         {INT64_MIN, INT64_MAX, std::int64_t{0}, std::int64_t{-62167219200001}}) {
        CHECK(parse_instant(format_instant({ms})).ms == ms);
    }
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        const inst t{generator(seed).integer()};
        INFO("seed " << seed);
        REQUIRE(parse_instant(format_instant(t)) == t);
    }
}
