#include "tributary/datom/query_exec.hpp"

#include "tributary/datom/query_match.hpp"

#include <limits>

namespace tributary::datom::datalog {

namespace {

std::set<var_id> as_set(const std::vector<var_id>& vars) { return {vars.begin(), vars.end()}; }

std::vector<var_id> argument_variables(const std::vector<term>& args) {
    std::vector<var_id> vars;
    for (const term& t : args) {
        const var_id* v = std::get_if<var_id>(&t);
        if (v != nullptr && std::find(vars.begin(), vars.end(), *v) == vars.end())
            vars.push_back(*v);
    }
    return vars;
}

const builtin& function_of(const call& f, const std::string& text) {
    const builtin* found = find_builtin(f.function);
    if (found == nullptr) fail_clause(text, "there is no function named " + f.function);
    return *found;
}

std::vector<term> value_arguments(const call& f) {
    std::vector<term> values;
    for (const term& t : f.args) {
        if (!std::holds_alternative<source_name>(t)) values.push_back(t);
    }
    return values;
}

void check_call(const call& f, const std::string& text, const source_map& sources) {
    const builtin& b = function_of(f, text);
    std::size_t given_sources = 0;
    for (const term& t : f.args) {
        const source_name* s = std::get_if<source_name>(&t);
        if (s == nullptr) continue;
        ++given_sources;
        if (!sources.contains(s->text))
            fail_clause(text, "the source " + s->text + " is not among the inputs; name it in :in");
    }
    const std::size_t args = f.args.size() - given_sources;
    if (b.needs_source &&
        (given_sources != 1 || !std::holds_alternative<source_name>(f.args.front()))) {
        fail_clause(text, f.function + " takes a database first, as in (" + f.function + " $ ...)");
    }
    if (!b.needs_source && given_sources != 0) fail_clause(text, f.function + " takes no source");
    if (args < b.args_min || args > b.args_max) {
        std::string expected = std::to_string(b.args_min);
        if (b.args_max == any_number)
            expected += " or more";
        else if (b.args_max != b.args_min)
            expected += " to " + std::to_string(b.args_max);
        fail_clause(text,
                    f.function + " takes " + expected + " arguments, not " + std::to_string(args));
    }
}

const source* source_of(const call& f, const source_map& sources) {
    const source_name* s = f.args.empty() ? nullptr : std::get_if<source_name>(&f.args.front());
    return s == nullptr ? nullptr : sources.find(s->text)->second;
}

/// Clauses among `waiting` that test only the pattern's own new variables.
std::vector<const clause*> tests_on(const pattern& p,
                                    const std::vector<const clause*>& waiting,
                                    const bound_rows& bound) {
    std::vector<const clause*> tests;
    const std::vector<var_id> own = argument_variables(p.terms);
    for (const clause* c : waiting) {
        const call* f = std::get_if<call>(&c->what);
        if (f == nullptr || f->result) continue;
        const std::vector<var_id> vars = argument_variables(f->args);
        const bool fits = !vars.empty() && std::all_of(vars.begin(), vars.end(), [&](var_id v) {
            return !bound.contains(v) && std::find(own.begin(), own.end(), v) != own.end();
        });
        const bool pure = std::none_of(f->args.begin(), f->args.end(), [](const term& t) {
            return std::holds_alternative<source_name>(t);
        });
        if (fits && pure) tests.push_back(c);
    }
    return tests;
}

inline_test inline_test_of(const clause& c, const pattern& p) {
    const call& f = std::get<call>(c.what);
    inline_test t;
    t.function = &function_of(f, c.text);
    t.text = &c.text;
    for (const term& arg : f.args) {
        if (const cell* constant = std::get_if<cell>(&arg)) {
            t.args.emplace_back(*constant);
            continue;
        }
        const auto place = std::find_if(p.terms.begin(), p.terms.end(), [&](const term& other) {
            const var_id* v = std::get_if<var_id>(&other);
            return v != nullptr && *v == std::get<var_id>(arg);
        });
        t.args.emplace_back(static_cast<std::size_t>(place - p.terms.begin()));
    }
    return t;
}

}  // namespace

void evaluator::check(const clauses& body,
                      const std::set<var_id>& bound,
                      const source_map& sources) {
    for (const clause& c : body) check_clause(c, sources);
    for (const auto& [name, r] : rules_) {
        for (const rule_branch& branch : r.branches) {
            for (const clause& c : branch.body) {
                if (const call* f = std::get_if<call>(&c.what)) check_call(*f, c.text, sources);
            }
        }
    }
    planner_.check_runnable(body, bound, names_);
}

void evaluator::check_clause(const clause& c, const source_map& sources) {
    if (const pattern* p = std::get_if<pattern>(&c.what)) planner_.resolve(*p, sources, c.text);
    if (const call* f = std::get_if<call>(&c.what)) check_call(*f, c.text, sources);
    if (std::holds_alternative<rule_call>(c.what)) planner_.cost(c, {}, {}, sources);
    if (const negation* n = std::get_if<negation>(&c.what)) {
        for (const clause& inner : n->body) check_clause(inner, sources);
    }
    if (const disjunction* d = std::get_if<disjunction>(&c.what)) {
        for (const clauses& branch : d->branches) {
            for (const clause& inner : branch) check_clause(inner, sources);
        }
    }
}

relation evaluator::evaluate(const clauses& body,
                             environment env,
                             const source_map& sources,
                             const std::vector<var_id>& wanted) {
    std::vector<const clause*> waiting;
    for (const clause& c : body) waiting.push_back(&c);
    while (!waiting.empty() && !env.failed()) {
        stop_.look();
        const bound_rows bound = env.bound();
        std::set<var_id> rest;
        for (const clause* c : waiting) {
            for (const var_id v : variables_bound_by(*c)) rest.insert(v);
        }
        std::size_t best = waiting.size();
        double best_cost = 0;
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            const std::optional<double> cost = planner_.cost(*waiting[i], bound, rest, sources);
            if (cost && (best == waiting.size() || *cost < best_cost)) {
                best = i;
                best_cost = *cost;
            }
        }
        if (best == waiting.size()) {
            planner_.check_runnable(body, {}, names_);
            fail_clause(waiting.front()->text, "a variable in it has no value when it is needed");
        }
        const clause& next = *waiting[best];
        waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(best));
        const pattern* p = std::get_if<pattern>(&next.what);
        std::vector<const clause*> tests;
        if (p != nullptr) tests = tests_on(*p, waiting, bound);
        std::erase_if(waiting, [&](const clause* c) {
            return std::find(tests.begin(), tests.end(), c) != tests.end();
        });
        std::set<var_id> live = as_set(wanted);
        for (const clause* c : waiting) {
            for (const var_id v : variables_of(*c)) live.insert(v);
        }
        if (p != nullptr) match(next, *p, env, sources, tests, live);
        if (const call* f = std::get_if<call>(&next.what)) run(next, *f, env, sources);
        if (const negation* n = std::get_if<negation>(&next.what)) run(*n, env, sources);
        if (const disjunction* d = std::get_if<disjunction>(&next.what)) run(*d, env, sources);
        if (const rule_call* r = std::get_if<rule_call>(&next.what)) run(next, *r, env, sources);
        env.keep_only(live, !waiting.empty(), stop_);
    }
    return env.result(wanted, stop_);
}

void evaluator::match(const clause& c,
                      const pattern& p,
                      environment& env,
                      const source_map& sources,
                      const std::vector<const clause*>& tests,
                      const std::set<var_id>& live) {
    resolved_pattern& resolved = planner_.resolve(p, sources, c.text);
    const std::vector<var_id> vars = argument_variables(p.terms);
    const access_plan plan = planner_.access(resolved, env.bound());
    const std::optional<relation> base = env.take_smallest(vars);
    // What other relations hold is needed for joining with them, and the seek was planned for all
    // that is bound: with one relation it may scan more.
    std::set<var_id> kept = live;
    for (const auto& [v, rows] : env.bound()) kept.insert(v);
    match_request request;
    request.on = &resolved;
    request.base = base ? &*base : nullptr;
    request.seek = plan.seek;
    if (base && plan.seek) {
        bound_rows only;
        for (const var_id v : base->vars) only.emplace(v, static_cast<double>(base->rows));
        request.seek = planner_.access(resolved, only).seek;
    }
    request.rows_expected = resolved.open_rows.value_or(0);
    request.live = &kept;
    for (const clause* t : tests) request.tests.push_back(inline_test_of(*t, p));
    env.add(match_pattern(request, memory_, stop_), stop_);
}

void evaluator::run(const clause& c, const call& f, environment& env, const source_map& sources) {
    const builtin& function = function_of(f, c.text);
    const std::vector<term> args = value_arguments(f);
    relation base = env.take_all(argument_variables(args), stop_);
    call_context context{memory_, source_of(f, sources), [this] { stop_.look(); }, nullptr};
    std::vector<const column*> columns;
    std::vector<cell> values(args.size());
    for (std::size_t i = 0; i < args.size(); ++i) {
        const var_id* v = std::get_if<var_id>(&args[i]);
        columns.push_back(v == nullptr ? nullptr : &base.of(*v));
        if (v == nullptr) values[i] = std::get<cell>(args[i]);
    }
    const bool scalar =
        f.result && f.result->shape == binding::form::variable && !base.has(f.result->var);
    std::vector<row_id> rows;
    column results;
    relation bound;  // of a binding that is more than one variable
    if (f.result) collect_variables(*f.result, bound.vars);
    bound.columns.resize(bound.vars.size());
    for (row_id row = 0; row < base.rows; ++row) {
        stop_();
        for (std::size_t i = 0; i < args.size(); ++i) {
            if (columns[i] != nullptr) values[i] = (*columns[i])[row];
        }
        cell result;
        try {
            result = function.run(context, values);
        } catch (const error& e) {
            if (e.code() != errc::bad_input) throw;
            fail_clause(c.text, e.what());
        }
        if (!f.result) {
            if (result.is_true()) rows.push_back(row);
        } else if (result.is_nil()) {
            continue;
        } else if (scalar) {
            rows.push_back(row);
            results.push_back(result);
        } else {
            const relation some = bind_cells(*f.result, result, c.text, stop_);
            rows.insert(rows.end(), some.rows, row);
            for (std::size_t i = 0; i < some.columns.size(); ++i) {
                bound.columns[i].insert(
                    bound.columns[i].end(), some.columns[i].begin(), some.columns[i].end());
            }
        }
    }
    const bool was_distinct = base.distinct;
    select(base, rows);
    if (scalar) {
        base.add_column(f.result->var, std::move(results));
    } else if (f.result) {
        std::vector<row_id> same(rows.size());
        for (row_id row = 0; row < same.size(); ++row) same[row] = row;
        for (std::size_t i = 0; i < bound.vars.size(); ++i) {
            if (!base.has(bound.vars[i])) {
                base.add_column(bound.vars[i], std::move(bound.columns[i]));
                continue;
            }
            const column& there = base.of(bound.vars[i]);
            std::erase_if(same,
                          [&](row_id row) { return !equal(there[row], bound.columns[i][row]); });
        }
        select(base, same);
    }
    base.distinct = was_distinct && (scalar || !f.result);
    env.add(std::move(base), stop_);
}

void evaluator::run(const negation& n, environment& env, const source_map& sources) {
    std::vector<var_id> vars = n.explicit_join ? n.join : variables_of(n.body);
    relation base = env.take_all(vars, stop_);
    std::erase_if(vars, [&](var_id v) { return !base.has(v); });
    environment inner;
    inner.add(project(base, vars, stop_), stop_);
    // Inside a rule the answers grow while it is being evaluated; what is negated must be known
    // whole, so its rules get a scope of their own.
    rule_scope whole;
    rule_scope* const outer = scope_;
    const std::set<std::string> outer_names = under_negation_;
    if (scope_->running) {
        scope_ = &whole;
        under_negation_.insert(answering_.back());
    }
    relation holds;
    try {
        holds = evaluate(n.body, std::move(inner), sources, vars);
    } catch (...) {
        scope_ = outer;
        throw;
    }
    scope_ = outer;
    under_negation_ = outer_names;
    filter_by(base, holds, false, stop_);
    env.add(std::move(base), stop_);
}

void evaluator::run(const disjunction& d, environment& env, const source_map& sources) {
    const environment start = env.seen_through(d.join, stop_);
    relation all;
    all.vars = d.join;
    all.columns.resize(d.join.size());
    for (const clauses& branch : d.branches) {
        const relation one = evaluate(branch, start, sources, d.join);
        for (std::size_t i = 0; i < d.join.size(); ++i) {
            const column& from = one.of(d.join[i]);
            all.columns[i].insert(all.columns[i].end(), from.begin(), from.end());
        }
        all.rows += one.rows;
    }
    make_distinct(all, stop_);
    env.add(std::move(all), stop_);
}

}  // namespace tributary::datom::datalog
