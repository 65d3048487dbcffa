#include "tributary/datom/pull_pattern.hpp"
#include "tributary/datom/query_aggregate.hpp"
#include "tributary/datom/query_exec.hpp"
#include "tributary/datom/query_inputs.hpp"
#include "tributary/datom/query_result.hpp"
#include "tributary/datom/stored_reader.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace tributary::datom {

namespace {

using namespace datalog;

std::vector<var_id> wanted_variables(const parsed_query& q) {
    std::vector<var_id> wanted;
    const auto add = [&](var_id v) {
        if (std::find(wanted.begin(), wanted.end(), v) == wanted.end()) wanted.push_back(v);
    };
    for (const find_element& e : q.find.elements) {
        for (const term& t : e.args) {
            if (const var_id* v = std::get_if<var_id>(&t)) add(*v);
        }
    }
    for (const var_id v : q.with) add(v);
    return wanted;
}

void check_find(const parsed_query& q,
                const std::vector<var_id>& wanted,
                const query_inputs& given,
                const function_table& functions,
                const var_names& names) {
    for (const find_element& e : q.find.elements) check_aggregate(e, functions);
    const std::vector<var_id> inputs = given.variables();
    var_set known(inputs.begin(), inputs.end());
    for (const clause& c : q.where) {
        for (const var_id v : variables_bound_by(c)) known.insert(v);
    }
    for (const var_id v : wanted) {
        if (!known.contains(v)) {
            fail_clause(
                "db.error/unbound-variable",
                names[v],
                "no clause of :where and no input gives it a value, but :find or :with asks "
                "for it");
        }
        if (given.special_variables().contains(v)) {
            fail_clause("db.error/not-serializable",
                        names[v],
                        "it stands for a function or a database, which cannot be returned");
        }
    }
}

bool has_aggregate(const find_spec& find) {
    return std::any_of(find.elements.begin(), find.elements.end(), [](const find_element& e) {
        return !e.aggregate.empty();
    });
}

/// Taken out of `rows`; one that :find names twice is copied.
std::vector<column> columns_in_order(const find_spec& find, relation& rows) {
    std::vector<column> columns;
    for (std::size_t i = 0; i < find.elements.size(); ++i) {
        const var_id v = find.elements[i].var();
        auto& column = rows.columns[static_cast<std::size_t>(rows.column_of(v))];
        const bool again = std::any_of(find.elements.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                       find.elements.end(),
                                       [&](const find_element& later) { return later.var() == v; });
        columns.push_back(again ? column : std::move(column));
    }
    return columns;
}

std::optional<pull_source> pull_source_of(const find_element& e,
                                          const query_inputs& given,
                                          const query_options& options) {
    if (!e.pull) return std::nullopt;
    const auto found = given.sources().find(e.pull->source.text);
    if (found == given.sources().end()) fail_unknown_source(e.text, e.pull->source.text);
    const query_input on = found->second->as_input();
    const db* database = std::get_if<db>(&on);
    if (database == nullptr) {
        fail_clause("db.error/invalid-source", e.text, "pull needs a database, not a collection");
    }
    if (database->is_history()) {
        throw clause_error(errc::misuse,
                           "db.error/history",
                           place(e.text),
                           "query: in " + e.text +
                               ": pull works on a state, not on a history; give the query an as-of "
                               "or current database for it, as another source");
    }
    pull_source from{*database, given.pull_pattern(*e.pull, e.text)};
    try {
        parse_pull(
            from.pattern, database->get().attributes(), options);  // before the rows are found
    } catch (const error& problem) {
        fail_clause(e.text, problem);
    }
    return from;
}

std::optional<std::chrono::milliseconds> shorter(
    const std::optional<std::chrono::milliseconds>& a,
    const std::optional<std::chrono::milliseconds>& b) {
    return a && b ? std::min(*a, *b) : (a ? a : b);
}

/// What a query may take where its options do not say.
std::size_t memory_for(const std::vector<query_input>& inputs) {
    for (const query_input& input : inputs) {
        if (const db* d = std::get_if<db>(&input)) return d->get().stored().at().query_memory();
    }
    return query_bytes_of(connection_options());
}

value run(const value& q,
          const std::vector<query_input>& inputs,
          const query_options& options,
          query_trace* trace = nullptr) {
    const memory_budget budget(options.memory_bytes.value_or(memory_for(inputs)));
    arena memory;
    var_names names;
    parsed_query parsed = parse_query(q, names, memory);
    stop_check stop(shorter(options.timeout, parsed.timeout), options.cancel);
    stop.look();
    function_table functions(options);
    query_inputs given(parsed, inputs, functions, options.lenient, names, memory, stop);
    given.name_sources(parsed.where, names);
    functions.bind(parsed.where);
    given.fit_to_places(parsed.where, names);
    const std::vector<var_id> wanted = wanted_variables(parsed);
    const std::vector<var_id> known = given.variables();
    evaluator evaluate(given.rules(), names, memory, stop);
    evaluate.trace_to(trace);
    check_find(parsed, wanted, given, functions, names);
    evaluate.check(parsed.where, {known.begin(), known.end()}, given.sources());
    std::vector<std::optional<pull_source>> pulls;
    for (const find_element& e : parsed.find.elements)
        pulls.push_back(pull_source_of(e, given, options));
    relation rows = evaluate.evaluate(parsed.where, given.start(), given.sources(), wanted);
    const bool folded = has_aggregate(parsed.find);
    std::vector<column> columns = folded ? aggregate(parsed.find, rows, {functions, memory, stop})
                                         : columns_in_order(parsed.find, rows);
    rows = {};
    const bool bag = !folded && !parsed.with.empty();
    return result_of(parsed.find, std::move(columns), bag, {pulls, options, stop});
}

/// Faults point into the text of the query or, where they are not in it, into that of its rules.
value run_placed(const value& q,
                 const std::vector<query_input>& inputs,
                 const query_options& options,
                 query_trace* trace = nullptr) {
    try {
        return with_places(
            q, "", [&](const value& read) { return run(read, inputs, options, trace); });
    } catch (const clause_error& e) {
        for (const query_input& input : inputs) {
            const value* plain = std::get_if<value>(&input);
            const std::string* text = plain ? plain->get_if<std::string>() : nullptr;
            if (text) point_at(*text, rules_text, e);
        }
        throw;
    }
}

}  // namespace

value query(const value& q, const std::vector<query_input>& inputs, const query_options& options) {
    return run_placed(q, inputs, options);
}

namespace {

std::string cost_text(double cost) {
    if (cost > 1e15) return "all that a rule could say";
    return std::to_string(std::llround(cost)) + " rows passed";
}

/// Why this step and not another: the dearer ones, the next best first.
std::string why_of(const traced_step& s) {
    if (s.others.empty()) return "nothing else could run";
    constexpr std::size_t most_named = 2;
    auto others = s.others;
    std::stable_sort(others.begin(), others.end(), [](const auto& a, const auto& b) {
        return a.second < b.second;
    });
    std::string why = "the cheapest of " + std::to_string(others.size() + 1) +
                      " that could run: " + cost_text(s.cost) + ", instead of ";
    for (std::size_t i = 0; i < std::min(most_named, others.size()); ++i) {
        why += (i == 0 ? "" : "; ") + cost_text(others[i].second) + " for " + others[i].first;
    }
    return why + (others.size() > most_named ? "; ..." : "");
}

value shown(const traced_step& s) {
    const auto key = [](const char* name) { return value(keyword{name}); };
    const auto rounded = [](double d) { return value(std::round(d * 1000) / 1000); };
    std::vector<std::pair<value, value>> entries{{key("clause"), s.clause},
                                                 {key("depth"), s.depth},
                                                 {key("rows"), s.rows},
                                                 {key("runs"), s.runs},
                                                 {key("ms"), rounded(s.ms)},
                                                 {key("why"), why_of(s)}};
    if (!s.access.empty()) entries.emplace_back(key("access"), s.access);
    if (s.rows_estimated >= 0)
        entries.emplace_back(key("rows-estimated"), std::int64_t{std::llround(s.rows_estimated)});
    if (!s.tests.empty())
        entries.emplace_back(key("tests"), vector(s.tests.begin(), s.tests.end()));
    return make_map(std::move(entries));
}

}  // namespace

value explain(const value& q,
              const std::vector<query_input>& inputs,
              const query_options& options) {
    query_trace trace;
    const auto from = std::chrono::steady_clock::now();
    run_placed(q, inputs, options, &trace);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - from;
    vector steps;
    for (const traced_step& s : trace.steps()) steps.push_back(shown(s));
    return make_map({{keyword{"steps"}, std::move(steps)}, {keyword{"ms"}, took.count()}});
}

std::vector<std::string> column_names(const value& q) { return parse_columns(q); }
std::vector<std::string> input_names(const value& q) { return parse_inputs(q); }

}  // namespace tributary::datom
