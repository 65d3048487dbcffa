#include "tributary/datom/query_aggregate.hpp"
#include "tributary/datom/query_exec.hpp"
#include "tributary/datom/query_inputs.hpp"

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
                const std::set<var_id>& bound,
                const var_names& names) {
    for (const find_element& e : q.find.elements) check_aggregate(e);
    std::set<var_id> known = bound;
    for (const clause& c : q.where) {
        for (const var_id v : variables_bound_by(c)) known.insert(v);
    }
    for (const var_id v : wanted) {
        if (known.contains(v)) continue;
        throw error(errc::bad_input,
                    "query: :find or :with asks for " + names[v] +
                        ", which no clause of :where and no input gives a value");
    }
}

bool has_aggregate(const find_spec& find) {
    return std::any_of(find.elements.begin(), find.elements.end(), [](const find_element& e) {
        return !e.aggregate.empty();
    });
}

}  // namespace

value query(const value& q, const std::vector<query_input>& inputs, const query_options& options) {
    arena memory;
    var_names names;
    stop_check stop(options.timeout, options.cancel);
    stop.look();
    parsed_query parsed = parse_query(q, names, memory);
    query_inputs given(parsed, inputs, names, memory, stop);
    given.resolve_references(parsed.where, names);
    const std::vector<var_id> wanted = wanted_variables(parsed);
    const std::vector<var_id> known = given.variables();
    const std::set<var_id> bound(known.begin(), known.end());
    evaluator evaluate(given.rules(), names, memory, stop);
    check_find(parsed, wanted, bound, names);
    evaluate.check(parsed.where, bound, given.sources());
    const relation rows = evaluate.evaluate(parsed.where, given.start(), given.sources(), wanted);
    std::vector<column> columns;
    const bool folded = has_aggregate(parsed.find);
    if (folded) {
        columns = aggregate(parsed.find, rows, memory, stop);
    } else {
        for (const find_element& e : parsed.find.elements) columns.push_back(rows.of(e.var()));
    }
    return shape(parsed.find, columns, !folded && !parsed.with.empty(), stop);
}

std::vector<std::string> column_names(const value& q) { return parse_columns(q); }

}  // namespace tributary::datom
