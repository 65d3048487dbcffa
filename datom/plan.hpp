/// Which clause next? A greedy planner: the cheapest of those that can run, judged again after
/// every step by the real sizes so far.
///
/// So the order in which clauses are written decides neither the answer nor, mostly, the speed.
/// Private to the room.
#pragma once

#include "tributary/datom/query_relation.hpp"
#include "tributary/datom/query_source.hpp"

#include <map>
#include <optional>
#include <set>

namespace tributary::datom::datalog {

/// A pattern with its literals resolved on its source.
struct resolved_pattern {
    const source* on = nullptr;
    std::vector<term> terms;
    value_bounds bounds;
    /// Estimate with no variable bound, cached: it may have counted rows.
    std::optional<double> open_rows;

    void demand(const value_bounds& b);
};

/// What is bound at a moment, and how many rows the relation has that holds it.
using bound_rows = var_map<double>;

/// How to match a pattern against what is bound.
struct access_plan {
    double cost = 0;
    double rows = 0;    ///< that there will be, with those it is joined to
    bool seek = false;  ///< a scan for each bound row instead of one over everything
};

class planner {
public:
    explicit planner(const rule_set& rules) : rules_(rules) {}

    /// Errors: bad_input naming the clause: an unknown source, attribute, entity.
    resolved_pattern& resolve(const pattern& p, const source_map& sources, const std::string& text);

    access_plan access(resolved_pattern& p, const bound_rows& bound);

    /// The cost of running the clause now; nothing if it must wait for variables. `rest`: variables
    /// that clauses still to come may bind.
    std::optional<double> cost(const clause& c,
                               const bound_rows& bound,
                               const var_set& rest,
                               const source_map& sources);

    /// Errors: bad_input naming the first clause that could never run, whatever the data, when
    /// these variables are bound to begin with.
    void check_runnable(const clauses& body, var_set bound, const var_names& names) const;

    /// Whether all of `body` but `without` can run when these variables are bound, and then binds
    /// all of `wanted`.
    bool can_bind(const clauses& body,
                  const clause* without,
                  var_set bound,
                  const std::vector<var_id>& wanted) const;

private:
    std::optional<double> cost(const call& c, const bound_rows& bound);
    std::optional<double> cost(const negation& n, const bound_rows& bound, const var_set& rest);
    std::optional<double> cost(const disjunction& d,
                               const bound_rows& bound,
                               const source_map& sources);
    std::optional<double> cost(const rule_call& r,
                               const clause& c,
                               const bound_rows& bound,
                               const source_map& sources);
    /// Binds what `body` can bind, in any order; the first clause that can never run, or null.
    const clause* first_stuck(const clauses& body,
                              var_set& bound,
                              std::set<std::string>& visiting,
                              const clause* without = nullptr) const;
    bool can_run(const clauses& body, var_set& bound, std::set<std::string>& visiting) const {
        return first_stuck(body, bound, visiting) == nullptr;
    }
    bool can_run(const clause& c, var_set& bound, std::set<std::string>& visiting) const;

    const rule_set& rules_;
    std::map<std::pair<const pattern*, const source*>, resolved_pattern> resolved_;
};

[[noreturn]] void fail_unknown_source(const std::string& clause, const std::string& name);

/// Variables the clause gives values to when it runs (the others it only tests).
std::vector<var_id> variables_bound_by(const clause& c);

}  // namespace tributary::datom::datalog
