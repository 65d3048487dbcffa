/// What a running query notes down for `explain`. Private to the room.
#pragma once

#include "tributary/datom/query_ast.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace tributary::datom::datalog {

/// A clause in the order in which clauses ran first; one inside a rule may run many times.
struct traced_step {
    std::string clause;
    std::string access;     ///< how its rows were found
    std::size_t depth = 0;  ///< 0 = of :where, more = within (or ...), (not ...), rules
    double cost = 0;        ///< what the planner took it for, in rows passed
    std::vector<std::pair<std::string, double>> others;  ///< that could have run, and their cost
    double rows_estimated = -1;                          ///< after its first run; -1 = not known
    std::uint64_t runs = 0;
    std::uint64_t rows = 0;          ///< after it, over all runs
    double ms = 0;                   ///< of all runs, what is within included
    std::vector<std::string> tests;  ///< predicates that ran on its rows as they were read
};

class query_trace {
public:
    /// The step of a clause. Valid until the next call.
    traced_step& step_of(const clause& c) {
        const auto [at, is_new] = places_.try_emplace(&c, steps_.size());
        if (is_new) {
            steps_.emplace_back();
            steps_.back().clause = c.text;
            steps_.back().depth = depth;
        }
        return steps_[at->second];
    }
    const std::vector<traced_step>& steps() const { return steps_; }

    std::size_t depth = 0;

private:
    std::vector<traced_step> steps_;
    std::unordered_map<const clause*, std::size_t> places_;
};

}  // namespace tributary::datom::datalog
