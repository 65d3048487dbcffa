#include "tributary/cli/line_source.hpp"

#include <catch2/catch.hpp>

#include "store/temporary_directory.hpp"
#include <fstream>

using namespace tributary;
using namespace tributary::cli;

TEST_CASE("line_source: the mark of a place is that of the fixture", "[cli]") {
    // A line "name hex": a later version must go on where this one stopped.
    std::string name, hex;
    std::ifstream(TRIBUTARY_FIXTURES "/source_place.txt") >> name >> hex;

    const testing::temporary_directory dir;
    const auto file = dir.path() / "lines";
    std::ofstream(file) << "{\"id\":1}\n{\"id\":2}\n{\"id\":";
    line_source source(file.string(), 0);
    for (int line = 0; line < 2; ++line) REQUIRE(source.next({}) == line_source::outcome::line);
    CHECK(to_hex(encode(source.place())) == hex);

    const source_place read = decode_source_place(from_hex(hex));
    CHECK(read.offset == 18);
    CHECK(read.prefix_bytes == 18);
    CHECK(is_same_file(file, read));
    std::ofstream(file) << "{\"id\":3}\n{\"id\":4}\n";
    CHECK_FALSE(is_same_file(file, read));
}
