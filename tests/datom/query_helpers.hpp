/// Queries and their results as EDN text, so that a test reads like a session.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/value/edn.hpp"

#include <string>
#include <vector>

namespace tributary::datom {

inline value answer(const std::string& q, const std::vector<query_input>& inputs = {}) {
    return query(edn::read(q), inputs);
}

inline std::vector<query_input> given(std::initializer_list<const char*> texts) {
    std::vector<query_input> inputs;
    for (const char* text : texts) inputs.emplace_back(edn::read(text));
    return inputs;
}

/// The error of a query, or "" if it has none.
inline std::string refusal(const std::string& q, const std::vector<query_input>& inputs = {}) {
    try {
        answer(q, inputs);
        return "";
    } catch (const error& e) {
        return std::string(name_of(e.code())) + ": " + e.what();
    }
}

}  // namespace tributary::datom
