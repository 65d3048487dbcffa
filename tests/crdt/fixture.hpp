/// Byte vectors: what is committed under tests/fixtures/crdt as hexadecimal is what every version
/// must write.
#pragma once

#include "tributary/value/bytes.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>

namespace tributary::test {

inline bytes fixture(const std::string& name) {
    std::ifstream in(std::string(TRIBUTARY_FIXTURES) + "/crdt/" + name);
    std::string text;
    in >> text;
    return from_hex(text);
}

}  // namespace tributary::test

/// Shows both as hexadecimal if they differ, the form of the file.
#define CHECK_FIXTURE(name, data) \
    CHECK(tributary::to_hex(data) == tributary::to_hex(tributary::test::fixture(name)))
