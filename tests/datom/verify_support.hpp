/// What verify says of a store.
#pragma once

#include "tributary/datom/verify.hpp"

#include <string>
#include <vector>

namespace tributary::datom {

inline std::vector<std::string> problems(const kv_reader& store) {
    std::vector<std::string> found;
    verify(
        store,
        [&](const std::string& text) { found.push_back(text); },
        [](std::int64_t, std::int64_t) {});
    return found;
}

}  // namespace tributary::datom
