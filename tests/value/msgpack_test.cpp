#include "tributary/value/msgpack.hpp"

#include "tributary/value/edn.hpp"

#include <catch2/catch.hpp>

#include "value/generate.hpp"
#include <fstream>
#include <sstream>

using namespace tributary;
using namespace tributary::test;

namespace {

/// The lines of a fixture as (first word, rest), without comments.
std::vector<std::pair<std::string, std::string>> fixture(const std::string& name) {
    std::ifstream in(TRIBUTARY_FIXTURES "/value/" + name);
    REQUIRE(in.good());
    std::vector<std::pair<std::string, std::string>> lines;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == ';') continue;
        const std::size_t gap = line.find(' ');
        REQUIRE(gap != std::string::npos);
        lines.emplace_back(line.substr(0, gap), line.substr(gap + 1));
    }
    return lines;
}

bytes nested_arrays(int levels) {
    return bytes(static_cast<std::size_t>(levels - 1), '\x91') + '\x90';
}

/// `levels` lists, each in the next.
bytes nested_lists(int levels) {
    value v = list{};
    for (int i = 1; i < levels; ++i) v = list{{v}};
    return encode(v);
}

}  // namespace

TEST_CASE("msgpack: the byte vectors hold in both directions", "[value]") {
    const auto lines = fixture("canonical.txt");
    REQUIRE(lines.size() > 80);
    for (const auto& [hex, text] : lines) {
        INFO(text);
        const value v = edn::read(text);
        CHECK(to_hex(encode(v)) == hex);
        CHECK(decode(from_hex(hex)) == v);
    }
}

TEST_CASE("msgpack: what is not canonical is refused", "[value]") {
    const auto lines = fixture("refused.txt");
    REQUIRE(lines.size() > 40);
    for (const auto& [hex, why] : lines) {
        INFO(hex << " " << why);
        const std::string message = message_of([&] { decode(from_hex(hex == "-" ? "" : hex)); });
        CHECK(message.find(why) != std::string::npos);
        CAPTURE(message);
        CHECK(message.find("at byte ") != std::string::npos);
    }
}

TEST_CASE("msgpack: decode(encode(v)) = v", "[value]") {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        INFO("seed " << seed);
        const value v = generator(seed).any(4);
        const bytes b = encode(v);
        REQUIRE(decode(b) == v);
        bytes twice = b + b;
        bytes_view rest = twice;
        REQUIRE(decode_prefix(rest) == v);
        REQUIRE(rest == b);
    }
}

TEST_CASE("msgpack: of any bytes, encode(decode(b)) = b or b is refused", "[value]") {
    std::size_t accepted = 0;
    for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
        generator make(seed);
        bytes b;
        if (seed % 4 == 0) {
            b = make.raw(1 + make.below(12));
        } else {
            b = encode(make.any(3));
            for (std::size_t n = 1 + make.below(2); n > 0; --n) {
                b[make.below(b.size())] = static_cast<char>(make.below(256));
            }
            if (make.one_in(4)) b.resize(make.below(b.size() + 1));
        }
        INFO("seed " << seed << " " << to_hex(b));
        try {
            const value v = decode(b);
            REQUIRE(encode(v) == b);
            ++accepted;
        } catch (const error& e) {
            REQUIRE(e.code() == errc::bad_input);
        }
    }
    CHECK(accepted > 2000);
}

TEST_CASE("msgpack: every truncation is refused", "[value]") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const bytes b = encode(generator(seed).any(4));
        for (std::size_t n = 0; n < b.size(); n += 1 + b.size() / 50) {
            INFO("seed " << seed << " cut to " << n);
            REQUIRE(refused([&] { decode(bytes_view(b).substr(0, n)); }));
        }
    }
}

TEST_CASE("msgpack: 64 levels of nesting and no more", "[value]") {
    CHECK_NOTHROW(decode(nested_arrays(64)));
    CHECK(refused([] { decode(nested_arrays(65)); }));
    CHECK(refused([] { decode(nested_arrays(1000000)); }));
    CHECK_NOTHROW(decode(nested_lists(64)));
    CHECK(refused([] { nested_lists(65); }, errc::limit));
    // A list in a list of 64 levels, put together by hand: fixext 8's payload is an array that
    // holds more.
    CHECK(refused([] { decode(bytes("\x91") + nested_lists(64)); }));
}

TEST_CASE("msgpack: a claimed length costs nothing", "[value]") {
    // Were any of these believed, the test would run out of memory or time.
    for (const char* hex : {"ddffffffff",
                            "dfffffffff",
                            "dbffffffff",
                            "c6ffffffff",
                            "c9ffffffff05",
                            "ddffffffff00",
                            "ddffffffffddffffffffddffffffffddffffffff"}) {
        CHECK(refused([&] { decode(from_hex(hex)); }));
    }
}

TEST_CASE("msgpack: what has no encoding is refused and changes nothing", "[value]") {
    bytes out = "before";
    CHECK(refused([&] { encode_to(out, vector{1, "\xff"}); }));
    CHECK(refused([&] { encode_to(out, keyword{"\xc0\x80"}); }));
    CHECK(refused([&] { encode_to(out, decimal{"1."}); }));
    CHECK(refused([&] { encode_to(out, map{{{"b", 1}, {"a", 2}}}); }, errc::misuse));
    CHECK(refused([&] { encode_to(out, set{{2, 1}}); }, errc::misuse));
    CHECK(out == "before");
}
