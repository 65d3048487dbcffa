#include "tributary/value/value.hpp"

#include "tributary/value/msgpack.hpp"

#include <catch2/catch.hpp>

#include "value/generate.hpp"
#include <limits>

using namespace tributary;
using namespace tributary::test;

TEST_CASE("value: equality tells apart what the canonical bytes tell apart", "[value]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(value(1) != value(1.0));
    CHECK(value(0.0) != value(-0.0));
    CHECK(value(nan) == value(-nan));
    CHECK(value(vector{}) != value(list{}));
    CHECK(value(vector{}) != value(nullptr));
    CHECK(value("a") != value(keyword{"a"}));
    CHECK(value("a") != value(symbol{"a"}));
    CHECK(value("a") != value(blob{"a"}));
    CHECK(value(true) != value(1));
    CHECK(value(decimal{"1.0"}) != value(decimal{"1.00"}));
}

TEST_CASE("value: the order is the order of the encoded bytes", "[value]") {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        generator make(seed);
        const value a = make.any();
        const value b = make.one_in(10) ? a : make.any();
        const bytes x = encode(a);
        const bytes y = encode(b);
        const int expected = x < y ? -1 : (x == y ? 0 : 1);
        const auto order = a <=> b;
        INFO("seed " << seed);
        REQUIRE((order < 0 ? -1 : (order > 0 ? 1 : 0)) == expected);
        REQUIRE((a == b) == (expected == 0));
        if (a == b) REQUIRE(hash_of(a) == hash_of(b));
    }
}

TEST_CASE("value: find in maps of all sizes and kinds of keys", "[value]") {
    std::vector<std::pair<value, value>> entries;
    for (int i = 0; i < 300; ++i) {
        entries.emplace_back(std::string(static_cast<std::size_t>(i % 40), 'k') + std::to_string(i),
                             i);
        entries.emplace_back(i - 150, i);
        entries.emplace_back(keyword{"k" + std::to_string(i)}, i);
    }
    const value m = make_map(entries);
    for (const auto& [key, item] : entries) {
        REQUIRE(m.find(key) != nullptr);
        REQUIRE(*m.find(key) == item);
        if (const auto* text = key.get_if<std::string>()) REQUIRE(*m.find(*text) == item);
    }
    CHECK(m.find("missing") == nullptr);
    CHECK(m.find(value(1000)) == nullptr);
    CHECK(value(1).find("a") == nullptr);
}

TEST_CASE("value: a map or set with duplicates is refused by name", "[value]") {
    CHECK(message_of([] {
              make_map({{"a", 1}, {"b", 2}, {"a", 3}});
          }) == "the key \"a\" twice in a map");
    CHECK(message_of([] { make_set({1, 2, 1}); }) == "the element 1 twice in a set");
    CHECK_NOTHROW(make_set({1, 1.0}));
}

TEST_CASE("value: the wrong type is an error that names both", "[value]") {
    CHECK(message_of([] { value("x").as<std::int64_t>(); }) == "expected integer, found string");
    CHECK(message_of([] { value(nullptr).as<map>(); }) == "expected map, found nil");
    CHECK(refused([] { value(std::numeric_limits<std::uint64_t>::max()); }, errc::limit));
}
