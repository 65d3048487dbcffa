/// Rules: each (rule, source, set of bound arguments) has a table of what it was asked and what it
/// has answered. Only what is new is evaluated: new questions with all answers, and the new answers
/// to each call in a body with all questions, until there is nothing new. So recursion of every
/// kind ends, only what was asked for is computed, and nothing twice but by accident.
///
/// Three things keep recursion from asking more than its caller did. A rule asked for everything
/// asks itself for everything. A call that hands on a bound argument as it is, as (r ?x ?t) in the
/// body of (r ?x ?y) with ?x bound, is asked with that argument only: the same question again. And
/// where a rule calls itself last, handing on what is free, as (r ?t ?y) there, its answers are the
/// caller's own: the table follows the questions from where they began and needs no answers
/// between.
#include "tributary/datom/query_exec.hpp"

#include <limits>

namespace tributary::datom::datalog {

namespace {

bool has_rule_call(const clauses& body, const clause* but = nullptr) {
    return std::any_of(body.begin(), body.end(), [&](const clause& c) {
        if (std::holds_alternative<rule_call>(c.what)) return &c != but;
        if (const negation* n = std::get_if<negation>(&c.what)) return has_rule_call(n->body);
        const disjunction* d = std::get_if<disjunction>(&c.what);
        return d != nullptr && std::any_of(d->branches.begin(),
                                           d->branches.end(),
                                           [](const clauses& one) { return has_rule_call(one); });
    });
}

bool is_distinct(std::vector<var_id> vars) {
    std::sort(vars.begin(), vars.end());
    return std::adjacent_find(vars.begin(), vars.end()) == vars.end();
}

/// Those of `params` that are bound.
std::vector<var_id> bound_ones(const std::vector<var_id>& params, const std::string& mask) {
    std::vector<var_id> bound;
    for (std::size_t i = 0; i < params.size(); ++i) {
        if (mask[i] == 'b') bound.push_back(params[i]);
    }
    return bound;
}

relation renamed(relation r, std::vector<var_id> vars) {
    r.vars = std::move(vars);
    return r;
}

/// The answers from the `first` on as rows over the variables of the call: constants and repeated
/// variables select.
relation seen_by_caller(const relation& answers,
                        std::size_t first_row,
                        const std::vector<term>& args) {
    row_ids rows(answers.rows - first_row);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<row_id>(first_row + i);
    relation seen;
    std::vector<const column*> from;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const column& answer = answers.columns[i];
        if (const cell* c = std::get_if<cell>(&args[i])) {
            std::erase_if(rows, [&](row_id row) { return !equal(answer[row], *c); });
        } else if (const var_id* v = std::get_if<var_id>(&args[i])) {
            const int there = seen.column_of(*v);
            if (there < 0) {
                seen.vars.push_back(*v);
                from.push_back(&answer);
            } else {
                const column& first = *from[static_cast<std::size_t>(there)];
                std::erase_if(rows, [&](row_id row) { return !equal(answer[row], first[row]); });
            }
        }
    }
    for (const column* c : from) seen.columns.push_back(gather(*c, rows));
    seen.rows = rows.size();
    seen.distinct = seen.vars.size() == args.size();
    return seen;
}

}  // namespace

evaluator::rule_table& evaluator::table_for(const rule_call& r,
                                            const std::string& mask,
                                            const source_map& sources) {
    const auto found = sources.find(r.source.text);
    const source* on = found == sources.end() ? nullptr : found->second;
    const std::string key =
        r.name + "/" + mask + "/" + std::to_string(reinterpret_cast<std::uintptr_t>(on));
    const auto [at, fresh] = scope_->by_key.try_emplace(key, nullptr);
    if (!fresh) return *at->second;
    auto t = std::make_unique<rule_table>();
    t->name = r.name;
    t->mask = mask;
    t->of = &rules_.find(r.name)->second;
    t->sources = sources;
    if (on != nullptr) t->sources["$"] = on;
    for (std::size_t i = 0; i < mask.size(); ++i)
        t->params.push_back(names_.fresh("argument " + std::to_string(i + 1) + " of " + r.name));
    t->demand = growing_relation(bound_ones(t->params, mask));
    t->answers = growing_relation(t->params);
    t->is_tail = mask.find('b') != std::string::npos;
    bool any_tail = false;
    for (const rule_branch& branch : t->of->branches) {
        branch_state state;
        state.of = &branch;
        choose_masks(*t, state);
        state.tail = tail_call(*t, branch);
        any_tail = any_tail || state.tail != nullptr;
        t->is_tail = t->is_tail && !has_rule_call(branch.body, state.tail);
        t->branches.push_back(std::move(state));
    }
    t->is_tail = t->is_tail && any_tail;
    if (t->is_tail) {
        for (const var_id v : t->demand.all().vars) t->roots.push_back(names_.fresh(names_[v]));
        std::vector<var_id> both = t->roots;
        both.insert(both.end(), t->demand.all().vars.begin(), t->demand.all().vars.end());
        t->reached = growing_relation(std::move(both));
    }
    at->second = t.get();
    scope_->tables.push_back(std::move(t));
    return *at->second;
}

void evaluator::choose_masks(rule_table& t, branch_state& branch) const {
    const std::vector<var_id> bound = bound_ones(branch.of->params, t.mask);
    for (const clause& c : branch.of->body) {
        const rule_call* r = std::get_if<rule_call>(&c.what);
        if (r == nullptr || r->name != t.name || r->args.size() != t.mask.size()) continue;
        std::string mask;
        for (std::size_t i = 0; i < r->args.size(); ++i) {
            const var_id* v = std::get_if<var_id>(&r->args[i]);
            const bool handed_on =
                v != nullptr && std::find(bound.begin(), bound.end(), *v) != bound.end();
            mask += handed_on ? 'b' : 'f';
        }
        if (mask.find('b') == std::string::npos && t.mask.find('b') != std::string::npos) continue;
        if (mask.find('f') < t.of->required) continue;
        bool runs = true;
        for (const rule_branch& one : t.of->branches) {
            const std::vector<var_id> given = bound_ones(one.params, mask);
            runs = runs &&
                   planner_.can_bind(one.body, nullptr, {given.begin(), given.end()}, one.params);
        }
        if (runs) branch.masks.emplace(&c, mask);
    }
}

const clause* evaluator::tail_call(const rule_table& t, const rule_branch& branch) const {
    if (!is_distinct(branch.params)) return nullptr;
    const std::vector<var_id> given = bound_ones(branch.params, t.mask);
    for (const clause& c : branch.body) {
        const rule_call* r = std::get_if<rule_call>(&c.what);
        if (r == nullptr || r->name != t.name || r->source.text != "$" ||
            r->args.size() != t.mask.size())
            continue;
        var_set used;
        for (const clause& other : branch.body) {
            if (&other == &c) continue;
            for (const var_id v : variables_of(other)) used.insert(v);
        }
        std::vector<var_id> handed;
        bool fits = true;
        for (std::size_t i = 0; fits && i < r->args.size(); ++i) {
            const var_id* v = std::get_if<var_id>(&r->args[i]);
            if (t.mask[i] == 'f') {
                fits = v != nullptr && *v == branch.params[i] && !used.contains(*v);
            } else {
                fits = v != nullptr || std::holds_alternative<cell>(r->args[i]);
                if (v != nullptr) handed.push_back(*v);
            }
        }
        if (fits && planner_.can_bind(branch.body, &c, {given.begin(), given.end()}, handed))
            return &c;
    }
    return nullptr;
}

namespace {

/// The variables of a call that come from larger relations than its smallest: to ask for them too
/// would ask for every pair.
var_set from_larger(const rule_call& r, const bound_rows& bound, std::size_t required) {
    bound_rows sizes;
    for (std::size_t i = 0; i < r.args.size(); ++i) {
        const var_id* v = std::get_if<var_id>(&r.args[i]);
        const auto at = v == nullptr ? bound.end() : bound.find(*v);
        if (at != bound.end() && at->second > 1) sizes.emplace(*v, i < required ? 0 : at->second);
    }
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [v, rows] : sizes) least = std::min(least, rows);
    var_set larger;
    for (const auto& [v, rows] : sizes) {
        if (rows > least) larger.insert(v);
    }
    return larger;
}

std::string access_by(const std::string& mask) {
    std::string known;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (mask[i] == 'b') known += (known.empty() ? "" : ", ") + std::to_string(i + 1);
    }
    return known.empty() ? "everything that the rule says"
                         : "the rule, for the known values of argument " + known + " only";
}

}  // namespace

void evaluator::run(const clause& c,
                    const rule_call& r,
                    environment& env,
                    const source_map& sources) {
    const bound_rows bound = env.bound();
    std::string mask;
    for (const term& t : r.args) {
        const var_id* v = std::get_if<var_id>(&t);
        const bool known = std::holds_alternative<cell>(t) || (v != nullptr && bound.contains(*v));
        mask += known ? 'b' : 'f';
    }
    const std::size_t required = rules_.find(r.name)->second.required;
    if (mask.find('f') < required)
        fail_clause(
            "db.error/unbound-variable",
            c.text,
            "the rule needs a value for its argument " + std::to_string(mask.find('f') + 1));
    if (asking_ == nullptr) {
        bound_rows asked_for = bound;
        const var_set larger = from_larger(r, bound, required);
        for (const var_id v : larger) asked_for.erase(v);
        // A body may need the value.
        const bool can_do_without =
            !larger.empty() && planner_.cost(c, asked_for, {}, sources).has_value();
        for (std::size_t i = 0; i < mask.size() && can_do_without; ++i) {
            const var_id* v = std::get_if<var_id>(&r.args[i]);
            if (v != nullptr && larger.contains(*v)) mask[i] = 'f';
        }
    } else {
        const auto& masks = asking_->branches[asking_branch_].masks;
        const auto chosen = masks.find(&c);
        if (chosen != masks.end() &&
            sources.find(r.source.text)->second == asking_->sources.find("$")->second) {
            // Only what is bound indeed: the planner may run the call before the clause that binds.
            for (std::size_t i = 0; i < mask.size(); ++i) {
                if (chosen->second[i] == 'f') mask[i] = 'f';
            }
        }
    }
    if (trace_ != nullptr) {
        traced_step& s = trace_->step_of(c);
        if (s.access.empty()) s.access = access_by(mask);
    }
    std::vector<var_id> asked;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        const var_id* v = std::get_if<var_id>(&r.args[i]);
        if (v != nullptr && mask[i] == 'b') asked.push_back(*v);
    }
    rule_table& t = table_for(r, mask, sources);
    const relation questions = env.seen_through(asked, stop_).result(asked, stop_);
    std::vector<cell> question;
    for (row_id row = 0; row < questions.rows; ++row) {
        stop_();
        question.clear();
        for (std::size_t i = 0; i < r.args.size(); ++i) {
            if (mask[i] == 'f') continue;
            const cell* constant = std::get_if<cell>(&r.args[i]);
            question.push_back(
                constant != nullptr ? *constant : questions.of(std::get<var_id>(r.args[i]))[row]);
        }
        t.demand.add(question.data());
    }
    if (!scope_->running) {
        answer(c.text);
    } else if (asking_ != nullptr) {
        branch_state& branch = asking_->branches[asking_branch_];
        const auto known =
            std::find_if(branch.sites.begin(), branch.sites.end(), [&](const rule_site& site) {
                return site.call == &c && site.callee == &t;
            });
        if (known == branch.sites.end()) {
            const clauses& body = branch.of->body;
            const bool nested = std::none_of(
                body.begin(), body.end(), [&](const clause& one) { return &one == &c; });
            branch.sites.push_back({&c, &t, 0, nested});
        }
    }
    env.add(seen_by_caller(t.answers.all(), 0, r.args), stop_);
}

void evaluator::answer(const std::string& text) {
    scope_->running = true;
    for (bool changed = true; changed;) {
        changed = false;
        // By index: evaluation may add tables.
        for (std::size_t i = 0; i < scope_->tables.size(); ++i)
            changed = answer_once(*scope_->tables[i], text) || changed;
    }
    scope_->running = false;
}

/// False if there was nothing new.
bool evaluator::answer_once(rule_table& t, const std::string& text) {
    if (under_negation_.contains(t.name)) {
        fail_clause(
            "db.error/negation", text, "the rule " + t.name + " depends on its own negation");
    }
    const auto is_new = [&](const branch_state& b) {
        return std::any_of(b.sites.begin(), b.sites.end(), [](const rule_site& s) {
            return s.used < s.callee->answers.size();
        });
    };
    if (t.demand_used == t.demand.size() &&
        std::none_of(t.branches.begin(), t.branches.end(), is_new))
        return false;
    answering_.push_back(t.name);
    rule_table* const outer = asking_;
    const std::size_t outer_branch = asking_branch_;
    asking_ = &t;
    if (t.is_tail) {
        follow_tail(t);
    } else {
        const std::size_t questions = t.demand.size();
        for (std::size_t i = 0; i < t.branches.size(); ++i) answer_branch(t, i);
        t.demand_used = questions;
    }
    asking_ = outer;
    asking_branch_ = outer_branch;
    answering_.pop_back();
    return true;
}

void evaluator::answer_branch(rule_table& t, std::size_t number) {
    asking_branch_ = number;
    branch_state& branch = t.branches[number];
    const std::vector<var_id> given = bound_ones(branch.of->params, t.mask);
    const auto evaluate_from = [&](environment env, std::size_t first, const clause* without) {
        env.add(renamed(t.demand.from(first), given), stop_);
        const relation found =
            evaluate(branch.of->body, std::move(env), t.sources, branch.of->params, without);
        add_made({branch.of->params.begin(), branch.of->params.end()}, found, t.answers);
    };
    bool again = false;
    // By index: evaluation may add sites.
    for (std::size_t i = 0; i < branch.sites.size(); ++i) {
        const rule_site site = branch.sites[i];
        const std::size_t answers = site.callee->answers.size();
        if (site.used == answers) continue;
        stop_.look();
        branch.sites[i].used = answers;
        again = again || site.nested;
        if (site.nested) continue;
        environment env;
        env.add(
            seen_by_caller(
                site.callee->answers.all(), site.used, std::get<rule_call>(site.call->what).args),
            stop_);
        evaluate_from(std::move(env), 0, site.call);
    }
    if (again || t.demand_used < t.demand.size()) {
        stop_.look();
        evaluate_from({}, again ? 0 : t.demand_used, nullptr);
    }
}

evaluator::tail_step evaluator::step_of(const rule_table& t, const branch_state& branch) const {
    tail_step step;
    step.here = t.roots;
    for (const var_id v : bound_ones(branch.of->params, t.mask)) step.here.push_back(v);
    if (branch.tail != nullptr) {
        step.made.assign(t.roots.begin(), t.roots.end());
        const auto& args = std::get<rule_call>(branch.tail->what).args;
        for (std::size_t i = 0; i < args.size(); ++i) {
            if (t.mask[i] == 'b') step.made.push_back(args[i]);
        }
    } else {
        std::size_t root = 0;
        for (std::size_t i = 0; i < t.mask.size(); ++i)
            step.made.emplace_back(t.mask[i] == 'b' ? t.roots[root++] : branch.of->params[i]);
    }
    step.wanted = argument_variables(step.made);
    return step;
}

void evaluator::follow_tail(rule_table& t) {
    const std::size_t width = t.roots.size();
    std::vector<cell> row(2 * width);
    for (; t.demand_used < t.demand.size(); ++t.demand_used) {
        for (std::size_t i = 0; i < width; ++i)
            row[i] = row[width + i] = t.demand.all().columns[i][t.demand_used];
        t.reached.add(row.data());
    }
    std::vector<tail_step> steps;
    for (const branch_state& branch : t.branches) steps.push_back(step_of(t, branch));
    while (t.reached_used < t.reached.size()) {
        const relation fresh = t.reached.from(t.reached_used);
        t.reached_used = t.reached.size();
        for (std::size_t number = 0; number < t.branches.size(); ++number) {
            stop_.look();
            asking_branch_ = number;
            const branch_state& branch = t.branches[number];
            environment env;
            env.add(renamed(fresh, steps[number].here), stop_);
            const relation found = evaluate(
                branch.of->body, std::move(env), t.sources, steps[number].wanted, branch.tail);
            add_made(steps[number].made, found, branch.tail != nullptr ? t.reached : t.answers);
        }
    }
}

void evaluator::add_made(const std::vector<term>& made,
                         const relation& found,
                         growing_relation& into) {
    std::vector<const column*> columns(made.size(), nullptr);
    std::vector<cell> cells(made.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        if (const var_id* v = std::get_if<var_id>(&made[i]))
            columns[i] = &found.of(*v);
        else
            cells[i] = std::get<cell>(made[i]);
    }
    for (row_id at = 0; at < found.rows; ++at) {
        stop_();
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (columns[i] != nullptr) cells[i] = (*columns[i])[at];
        }
        into.add(cells.data());
    }
}

}  // namespace tributary::datom::datalog
