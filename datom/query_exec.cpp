#include "tributary/datom/query_exec.hpp"

#include "tributary/datom/query_push.hpp"

#include <chrono>
#include <limits>
#include <span>

namespace tributary::datom::datalog {

namespace {

var_set as_set(const std::vector<var_id>& vars) { return {vars.begin(), vars.end()}; }

std::vector<term> value_arguments(const call& f, arena& memory) {
    std::vector<term> values;
    for (const term& t : f.args) {
        const source_name* s = std::get_if<source_name>(&t);
        if (s == nullptr) {
            values.push_back(t);
        } else if (f.target->names_sources) {
            values.emplace_back(cell::of_text(kind::symbol, memory.copy(s->text)));
        }
    }
    return values;
}

void check_call(const call& f, const std::string& text, const source_map& sources) {
    const builtin& b = *f.target;
    std::size_t given_sources = 0;
    for (const term& t : f.args) {
        const source_name* s = std::get_if<source_name>(&t);
        if (s == nullptr) continue;
        if (!b.names_sources) ++given_sources;
        if (!sources.contains(s->text)) fail_unknown_source(text, s->text);
    }
    const std::size_t args = f.args.size() - given_sources;
    if (b.needs_source &&
        (given_sources != 1 || !std::holds_alternative<source_name>(f.args.front()))) {
        fail_clause("db.error/arity",
                    text,
                    f.function + " takes a database first, as in (" + f.function + " $ ...)");
    }
    if (!b.needs_source && given_sources != 0)
        fail_clause("db.error/arity", text, f.function + " takes no source");
    if (args < b.args_min || args > b.args_max) {
        std::string expected = std::to_string(b.args_min);
        if (b.args_max == any_number)
            expected += " or more";
        else if (b.args_max != b.args_min)
            expected += " to " + std::to_string(b.args_max);
        fail_clause("db.error/arity",
                    text,
                    f.function + " takes " + expected +
                        (expected == "1" ? " argument, not " : " arguments, not ") +
                        std::to_string(args));
    }
}

void check_calls(const clauses& body, const source_map& sources) {
    for (const clause& c : body) {
        if (const call* f = std::get_if<call>(&c.what)) check_call(*f, c.text, sources);
        if (const negation* n = std::get_if<negation>(&c.what)) check_calls(n->body, sources);
        if (const disjunction* d = std::get_if<disjunction>(&c.what)) {
            for (const clauses& branch : d->branches) check_calls(branch, sources);
        }
    }
}

/// A negation takes away from what clauses before it have found; written first it would have
/// nothing to take away from. The planner is free to run it when it likes.
void check_negations(const clauses& body, var_set bound) {
    const auto has = [&](var_id v) { return bound.contains(v); };
    for (const clause& c : body) {
        if (const negation* n = std::get_if<negation>(&c.what)) {
            const std::vector<var_id> vars = n->explicit_join ? n->join : variables_of(n->body);
            if (!vars.empty() && std::none_of(vars.begin(), vars.end(), has)) {
                fail_clause("db.error/unbound-variable",
                            c.text,
                            "none of its variables has a value before it; write it after the "
                            "clauses that give them one");
            }
            var_set inside;
            std::copy_if(vars.begin(), vars.end(), std::inserter(inside, inside.end()), has);
            check_negations(n->body, inside);
        }
        if (const disjunction* d = std::get_if<disjunction>(&c.what)) {
            for (const clauses& branch : d->branches) check_negations(branch, bound);
        }
        for (const var_id v : variables_bound_by(c)) bound.insert(v);
    }
}

const source* source_of(const call& f, const source_map& sources) {
    const source_name* s = f.args.empty() ? nullptr : std::get_if<source_name>(&f.args.front());
    return s == nullptr ? nullptr : sources.find(s->text)->second;
}

}  // namespace

void evaluator::check(const clauses& body, const var_set& bound, const source_map& sources) {
    for (const clause& c : body) check_clause(c, sources);
    for (const auto& [name, r] : rules_) {
        for (const rule_branch& branch : r.branches) check_calls(branch.body, sources);
    }
    planner_.check_runnable(body, bound, names_);
    check_negations(body, bound);
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
                             const std::vector<var_id>& wanted,
                             const clause* without) {
    const single_values singles = env.singles();
    std::vector<const clause*> waiting;
    for (const clause& c : body) {
        if (&c == without) continue;
        waiting.push_back(&c);
        if (const pattern* p = std::get_if<pattern>(&c.what)) {
            planner_.resolve(*p, sources, c.text).demand(bounds_on(*p, body, singles));
        }
    }
    while (!waiting.empty() && !env.failed()) {
        stop_.look();
        const choice best = cheapest(waiting, env, sources);
        if (best.index == waiting.size()) {
            planner_.check_runnable(body, {}, names_);
            fail_clause("db.error/unbound-variable",
                        waiting.front()->text,
                        "a variable in it has no value when it is needed");
        }
        const clause& next = *waiting[best.index];
        waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(best.index));
        if (trace_ == nullptr)
            step(next, env, sources, waiting, as_set(wanted));
        else
            traced(next, best, env, sources, waiting, as_set(wanted));
    }
    return env.result(wanted, stop_);
}

evaluator::choice evaluator::cheapest(const std::vector<const clause*>& waiting,
                                      const environment& env,
                                      const source_map& sources) {
    const bound_rows bound = env.bound();
    var_set rest;
    for (const clause* c : waiting) {
        for (const var_id v : variables_bound_by(*c)) rest.insert(v);
    }
    choice best{waiting.size()};
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        const std::optional<double> cost = planner_.cost(*waiting[i], bound, rest, sources);
        if (!cost) continue;
        if (trace_ != nullptr) best.others.emplace_back(waiting[i], *cost);
        if (best.index == waiting.size() || *cost < best.cost) {
            best.index = i;
            best.cost = *cost;
        }
    }
    return best;
}

namespace {

/// How a clause comes to its rows; patterns and rules say it themselves.
std::string way_of(const clause& c) {
    if (const call* f = std::get_if<call>(&c.what))
        return f->result ? "computed for each row so far" : "tested on each row so far";
    if (std::holds_alternative<negation>(c.what))
        return "rows so far without those that its clauses find";
    if (const disjunction* d = std::get_if<disjunction>(&c.what))
        return "all that one of its " + std::to_string(d->branches.size()) + " branches finds";
    return {};
}

}  // namespace

void evaluator::traced(const clause& c,
                       const choice& why,
                       environment& env,
                       const source_map& sources,
                       std::vector<const clause*>& waiting,
                       const var_set& live) {
    {
        traced_step& s = trace_->step_of(c);
        if (s.runs++ == 0) {
            s.cost = why.cost;
            s.access = way_of(c);
            for (const auto& [other, cost] : why.others) {
                if (other != &c) s.others.emplace_back(other->text, cost);
            }
        }
    }
    ++trace_->depth;
    const auto from = std::chrono::steady_clock::now();
    step(c, env, sources, waiting, live);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - from;
    --trace_->depth;
    double rows = env.failed() ? 0 : 1;
    for (const auto& [v, n] : env.bound()) rows = env.failed() ? 0 : std::max(rows, n);
    traced_step& s = trace_->step_of(c);
    s.rows += static_cast<std::uint64_t>(rows);
    s.ms += took.count();
}

namespace {

/// Which index a scan with these places known goes through.
std::string index_of(const resolved_pattern& p, std::span<const position> known) {
    const auto has = [&](std::size_t place) { return known[place].is != position::state::open; };
    const cell* attribute = known[at_a].value;
    if (has(at_e)) return "one entity (EAVT)";
    if (has(at_v)) {
        if (attribute == nullptr) return "one value of any attribute (AVET, VAET)";
        if (p.on->is_ref(*attribute)) return "references to one entity (VAET)";
        return p.on->can_seek(known) ? "one value (AVET)"
                                     : "the whole attribute (AEVT), its values are not indexed";
    }
    if (has(at_a) && (p.bounds.lo || p.bounds.hi))
        return "a range of values (AVET) or the attribute (AEVT)";
    return has(at_a) ? "the attribute (AEVT)" : "everything, by entity (EAVT)";
}

/// How a pattern's rows are found.
std::string access_of(const match_request& request, bool in_memory) {
    const resolved_pattern& p = *request.on;
    const bool joined = request.base != nullptr;
    if (!p.on->is_database()) return joined ? "tuples, joined by hash" : "tuples";
    const bool seek = joined && request.seek;
    std::vector<position> known(std::max<std::size_t>(p.terms.size(), database_width));
    for (std::size_t place = 0; place < p.terms.size(); ++place) {
        const var_id* v = std::get_if<var_id>(&p.terms[place]);
        if (const cell* c = std::get_if<cell>(&p.terms[place]))
            known[place] = {position::state::constant, c};
        else if (seek && v != nullptr && request.base->has(*v))
            known[place] = {position::state::bound, nullptr};
    }
    const std::string how = in_memory ? "the attribute's column in memory" : index_of(p, known);
    if (seek) return "a look-up for each row so far: " + how;
    return joined ? how + ", joined with the rows so far" : how;
}

}  // namespace

void evaluator::step(const clause& c,
                     environment& env,
                     const source_map& sources,
                     std::vector<const clause*>& waiting,
                     var_set live) {
    const pattern* p = std::get_if<pattern>(&c.what);
    const single_values singles = env.singles();
    std::vector<inline_test> tests;
    if (p != nullptr) {
        for (const clause* test : tests_on(*p, waiting, env.bound(), singles)) {
            tests.push_back(inline_test_of(*test, *p, singles));
            std::erase(waiting, test);
        }
    }
    for (const clause* other : waiting) {
        for (const var_id v : variables_of(*other)) live.insert(v);
    }
    if (p != nullptr) match(c, *p, env, sources, std::move(tests), live);
    if (const call* f = std::get_if<call>(&c.what)) run(c, *f, env, sources);
    if (const negation* n = std::get_if<negation>(&c.what)) run(*n, env, sources);
    if (const disjunction* d = std::get_if<disjunction>(&c.what)) run(*d, env, sources);
    if (const rule_call* r = std::get_if<rule_call>(&c.what)) run(c, *r, env, sources);
    env.keep_only(live, !waiting.empty(), stop_);
}

void evaluator::match(const clause& c,
                      const pattern& p,
                      environment& env,
                      const source_map& sources,
                      std::vector<inline_test> tests,
                      const var_set& live) {
    resolved_pattern& resolved = planner_.resolve(p, sources, c.text);
    const std::vector<var_id> vars = argument_variables(p.terms);
    const access_plan plan = planner_.access(resolved, env.bound());
    std::optional<relation> base = env.take_smallest(vars);
    // What other relations hold is needed for joining with them, and the seek was planned for all
    // that is bound: with one relation it may scan more.
    var_set kept = live;
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
    if (trace_ != nullptr) {
        traced_step& s = trace_->step_of(c);
        if (s.rows_estimated < 0) s.rows_estimated = plan.rows;
        if (s.tests.empty())
            for (const inline_test& t : tests) s.tests.push_back(*t.text);
    }
    request.tests = std::move(tests);
    bool in_memory = false;
    relation found = match_pattern(request, memory_, stop_, in_memory);
    if (trace_ != nullptr) trace_->step_of(c).access = access_of(request, in_memory);
    env.add(std::move(found), stop_);
}

void evaluator::run(const clause& c, const call& f, environment& env, const source_map& sources) {
    const builtin& function = *f.target;
    const std::vector<term> args = value_arguments(f, memory_);
    relation base = env.take_all(argument_variables(args), stop_);
    call_context context{memory_, source_of(f, sources), [this] { stop_.look(); }, nullptr};
    context.sources = &sources;
    context.time_left = [this] { return stop_.time_left(); };
    std::vector<const column*> columns;
    std::vector<cell> values(args.size());
    for (std::size_t i = 0; i < args.size(); ++i) {
        const var_id* v = std::get_if<var_id>(&args[i]);
        columns.push_back(v == nullptr ? nullptr : &base.of(*v));
        if (v == nullptr) values[i] = std::get<cell>(args[i]);
    }
    const bool scalar =
        f.result && f.result->shape == binding::form::variable && !base.has(f.result->var);
    const place where(c.text);
    row_ids rows;
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
            fail_clause(c.text, e);
        }
        if (!f.result) {
            if (result.is_true()) rows.push_back(row);
        } else if (result.is_nil()) {
            continue;
        } else if (scalar) {
            rows.push_back(row);
            results.push_back(result);
        } else {
            const relation some = bind_cells(*f.result, result, where, stop_);
            check_rows(rows.size() + some.rows);
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
        row_ids same(rows.size());
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
    rule_table* const asking = asking_;
    const std::set<std::string> outer_names = under_negation_;
    if (scope_->running) {
        scope_ = &whole;
        asking_ = nullptr;
        under_negation_.insert(answering_.back());
    }
    relation holds;
    try {
        holds = evaluate(n.body, std::move(inner), sources, vars);
    } catch (...) {
        scope_ = outer;
        asking_ = asking;
        throw;
    }
    scope_ = outer;
    asking_ = asking;
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
