/// Matches one data pattern against its source, joined on the way with rows already there. Private
/// to the room.
#pragma once

#include "tributary/datom/builtins.hpp"
#include "tributary/datom/plan.hpp"

namespace tributary::datom::datalog {

/// A test that looks only at places of the pattern: it runs on the datom before anything of it is
/// copied.
struct inline_test {
    const builtin* function = nullptr;
    std::vector<std::variant<std::size_t, cell>> args;  ///< a place or a constant
    const std::string* text = nullptr;
};

/// Tests with what they need from row to row.
class row_tests {
public:
    row_tests(std::vector<inline_test> tests, arena& memory, stop_check& stop);
    bool empty() const { return tests_.empty(); }
    /// Errors: bad_input naming the clause.
    bool pass(const cell* row);

private:
    std::vector<inline_test> tests_;
    std::vector<call_context> contexts_;
    std::vector<cell> args_;
};

struct match_request {
    const resolved_pattern* on = nullptr;
    relation* base = nullptr;  ///< rows to join with, or null; its columns are taken
    bool seek = false;
    double rows_expected = 0;
    std::vector<inline_test> tests;
    const var_set* live = nullptr;  ///< variables somebody will look at
};

/// The rows of `request.base` extended by the pattern's live variables. `in_memory`: whether they
/// came from the attribute's column instead of an index.
relation match_pattern(const match_request& request,
                       arena& memory,
                       stop_check& stop,
                       bool& in_memory);

}  // namespace tributary::datom::datalog
