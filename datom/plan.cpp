#include "tributary/datom/plan.hpp"

#include "tributary/datom/query_push.hpp"

#include <algorithm>
#include <limits>

namespace tributary::datom::datalog {

namespace {

/// Rows a scan passes in the time of one seek.
constexpr double stored_seek_rows = 20;
/// A guess for what cannot be estimated.
constexpr double rule_rows = 1000;

bool is_bound(const bound_rows& bound, var_id v) { return bound.contains(v); }

std::vector<std::string_view> names_of(const rule_set& rules) {
    std::vector<std::string_view> names;
    for (const auto& [name, r] : rules) names.emplace_back(name);
    return names;
}

/// The rows of the product of the relations that hold these variables; a relation's rows count
/// once.
double rows_over(const std::vector<var_id>& vars, const bound_rows& bound) {
    double most = 1;
    for (const var_id v : vars) {
        if (const auto at = bound.find(v); at != bound.end()) most = std::max(most, at->second);
    }
    return most;
}

}  // namespace

void fail_unknown_source(const std::string& clause, const std::string& name) {
    fail_clause("db.error/unknown-source",
                clause,
                "the source " + name + " is not among the inputs; name it in :in");
}

std::vector<var_id> variables_bound_by(const clause& c) {
    if (const call* f = std::get_if<call>(&c.what)) {
        std::vector<var_id> all;
        if (f->result) collect_variables(*f->result, all);
        return all;
    }
    if (std::holds_alternative<negation>(c.what)) return {};
    return variables_of(c);
}

void resolved_pattern::demand(const value_bounds& b) {
    const auto same = [](const std::optional<cell>& x, const std::optional<cell>& y) {
        return x.has_value() == y.has_value() && (!x || equal(*x, *y));
    };
    if (same(bounds.lo, b.lo) && same(bounds.hi, b.hi)) return;
    bounds = b;
    open_rows.reset();
}

resolved_pattern& planner::resolve(const pattern& p,
                                   const source_map& sources,
                                   const std::string& text) {
    const auto found = sources.find(p.source.text);
    if (found == sources.end()) fail_unknown_source(text, p.source.text);
    const auto [at, fresh] = resolved_.try_emplace({&p, found->second});
    resolved_pattern& r = at->second;
    if (!fresh) return r;
    r.on = found->second;
    r.terms = p.terms;
    std::size_t at_fault = 0;
    try {
        const cell* attribute = nullptr;
        // The attribute first: what a literal value means depends on it.
        for (const std::size_t place : {std::size_t{at_a},
                                        std::size_t{at_e},
                                        std::size_t{at_v},
                                        std::size_t{at_tx},
                                        std::size_t{at_added},
                                        std::size_t{database_width}}) {
            if (place >= r.terms.size()) continue;
            at_fault = place;
            if (cell* literal = std::get_if<cell>(&r.terms[place])) {
                *literal = r.on->literal(place, *literal, attribute);
                if (place == at_a && r.on->is_database()) attribute = literal;
            } else if (place == database_width && r.on->is_database()) {
                r.on->literal(place, cell(), nullptr);
            }
        }
    } catch (const error& e) {
        resolved_.erase(at);
        const cell* literal = std::get_if<cell>(&p.terms[at_fault]);
        fail_clause(literal ? place(text).at(shown(to_value(*literal))) : place(text), e);
    }
    return r;
}

access_plan planner::access(resolved_pattern& p, const bound_rows& bound) {
    std::vector<position> open(p.terms.size());
    std::vector<position> known(p.terms.size());
    double rows = std::numeric_limits<double>::infinity();
    bool connected = false;
    for (std::size_t i = 0; i < p.terms.size(); ++i) {
        if (const cell* c = std::get_if<cell>(&p.terms[i])) {
            open[i] = known[i] = {position::state::constant, c};
        } else if (const var_id* v = std::get_if<var_id>(&p.terms[i]);
                   v != nullptr && is_bound(bound, *v)) {
            known[i].is = position::state::bound;
            rows = std::min(rows, bound.at(*v));
            connected = true;
        }
    }
    if (!p.open_rows) p.open_rows = p.on->estimate(open, p.bounds);
    const cell* attribute = p.terms.size() > at_a ? std::get_if<cell>(&p.terms[at_a]) : nullptr;
    const bool in_memory = attribute != nullptr && p.on->column(*attribute, 0) != nullptr;
    const double seek_rows = in_memory ? 1 : stored_seek_rows;
    const double scan = *p.open_rows + (p.on->can_seek(open) ? seek_rows : 0);
    if (!connected) return {scan + *p.open_rows, *p.open_rows, false};
    const double each = std::min(p.on->estimate(known, p.bounds), *p.open_rows);
    const double seeks = rows * (seek_rows + each);
    const bool seek = p.on->can_seek(known) && seeks < scan + rows;
    return {(seek ? seeks : scan + rows) + rows * each, rows * each, seek};
}

std::optional<double> planner::cost(const clause& c,
                                    const bound_rows& bound,
                                    const var_set& rest,
                                    const source_map& sources) {
    if (const pattern* p = std::get_if<pattern>(&c.what))
        return access(resolve(*p, sources, c.text), bound).cost;
    if (const call* f = std::get_if<call>(&c.what)) return cost(*f, bound);
    if (const negation* n = std::get_if<negation>(&c.what)) return cost(*n, bound, rest);
    if (const disjunction* d = std::get_if<disjunction>(&c.what)) return cost(*d, bound, sources);
    return cost(std::get<rule_call>(c.what), c, bound, sources);
}

std::optional<double> planner::cost(const call& c, const bound_rows& bound) {
    double first = 0;
    double product = 1;
    std::set<double> sizes;
    for (const term& t : c.args) {
        const var_id* v = std::get_if<var_id>(&t);
        if (v == nullptr) continue;
        if (!is_bound(bound, *v)) return std::nullopt;
        const double rows = bound.at(*v);
        // Two relations of one size look like one here: then the clause runs a little early, which
        // costs time only.
        if (sizes.insert(rows).second) product *= std::max(1.0, rows);
        first = std::max(first, rows);
    }
    // Tests and functions on rows already there cost next to nothing and only narrow what follows.
    return sizes.size() <= 1 ? first / 1000 : product;
}

std::optional<double> planner::cost(const negation& n,
                                    const bound_rows& bound,
                                    const var_set& rest) {
    const std::vector<var_id> vars = n.explicit_join ? n.join : variables_of(n.body);
    bool any = vars.empty();
    for (const var_id v : vars) {
        if (is_bound(bound, v)) {
            any = true;
        } else if (rest.contains(v) || n.explicit_join) {
            return std::nullopt;
        }
    }
    if (!any) return std::nullopt;
    return rows_over(vars, bound);
}

std::optional<double> planner::cost(const disjunction& d,
                                    const bound_rows& bound,
                                    const source_map& sources) {
    for (const var_id v : d.required) {
        if (!is_bound(bound, v)) return std::nullopt;
    }
    double sum = 0;
    for (const clauses& branch : d.branches) {
        var_set inside;
        for (const var_id v : d.join) {
            if (is_bound(bound, v)) inside.insert(v);
        }
        bound_rows seen;
        for (const var_id v : inside) seen.emplace(v, bound.at(v));
        std::set<std::string> visiting;
        if (!can_run(branch, inside, visiting)) return std::nullopt;
        for (const var_id v : d.join) {
            if (!inside.contains(v)) return std::nullopt;
        }
        double branch_cost = std::numeric_limits<double>::infinity();
        for (const clause& c : branch) {
            const std::optional<double> one = cost(c, seen, {}, sources);
            if (one) branch_cost = std::min(branch_cost, *one);
        }
        sum += branch_cost;
    }
    return sum * 2;
}

std::optional<double> planner::cost(const rule_call& r,
                                    const clause& c,
                                    const bound_rows& bound,
                                    const source_map& sources) {
    const auto found = rules_.find(r.name);
    if (found == rules_.end())
        fail_clause("db.error/unknown-rule",
                    c.text,
                    "there is no rule named " + r.name +
                        (rules_.empty() ? "; rules are given as the input %"
                                        : did_you_mean(r.name, names_of(rules_))));
    // Rules need no database: a body that asks one says so itself.
    if (r.source.text != "$" && !sources.contains(r.source.text))
        fail_unknown_source(c.text, r.source.text);
    if (r.args.size() != found->second.arity) {
        fail_clause("db.error/arity",
                    c.text,
                    "the rule takes " + counted(found->second.arity, "argument") + ", not " +
                        std::to_string(r.args.size()));
    }
    double rows = 1;
    bool any = false;
    for (const term& t : r.args) {
        const var_id* v = std::get_if<var_id>(&t);
        if (v != nullptr && is_bound(bound, *v)) {
            rows = std::max(rows, bound.at(*v));
            any = true;
        }
        any = any || std::holds_alternative<cell>(t);
    }
    var_set inside;
    for (const auto& [v, n] : bound) inside.insert(v);
    std::set<std::string> visiting;
    if (!can_run(c, inside, visiting)) return std::nullopt;
    // Unbound, a rule computes everything it could ever say: last of all.
    return any ? rule_rows + rows * stored_seek_rows : std::numeric_limits<double>::max();
}

const clause* planner::first_stuck(const clauses& body,
                                   var_set& bound,
                                   std::set<std::string>& visiting,
                                   const clause* without) const {
    std::vector<const clause*> waiting;
    for (const clause& c : body) {
        if (&c != without) waiting.push_back(&c);
    }
    // Negations last: what they test may be bound by any clause.
    std::stable_partition(waiting.begin(), waiting.end(), [](const clause* c) {
        return !std::holds_alternative<negation>(c->what);
    });
    for (bool moved = true; moved && !waiting.empty();) {
        moved = false;
        for (auto at = waiting.begin(); at != waiting.end();) {
            const bool runs = can_run(**at, bound, visiting);
            moved = moved || runs;
            at = runs ? waiting.erase(at) : at + 1;
        }
    }
    return waiting.empty() ? nullptr : waiting.front();
}

void planner::check_runnable(const clauses& body, var_set bound, const var_names& names) const {
    std::set<std::string> visiting;
    const clause* stuck = first_stuck(body, bound, visiting);
    if (stuck == nullptr) return;
    if (const rule_call* r = std::get_if<rule_call>(&stuck->what)) {
        const std::size_t required = rules_.find(r->name)->second.required;
        for (std::size_t i = 0; i < required; ++i) {
            const var_id* v = std::get_if<var_id>(&r->args[i]);
            if (std::holds_alternative<cell>(r->args[i]) || (v != nullptr && bound.contains(*v)))
                continue;
            fail_clause("db.error/unbound-variable",
                        stuck->text,
                        "the rule needs a value for its argument " + std::to_string(i + 1));
        }
    }
    const call* f = std::get_if<call>(&stuck->what);
    std::string first;
    std::string missing;
    for (const var_id v : f != nullptr ? argument_variables(f->args) : variables_of(*stuck)) {
        if (bound.contains(v)) continue;
        if (first.empty()) first = names[v];
        missing += (missing.empty() ? "" : ", ") + names[v];
    }
    if (missing.empty())
        fail_clause("db.error/unbound-variable",
                    stuck->text,
                    "a clause inside needs a variable that nothing gives a value");
    fail_clause("db.error/unbound-variable",
                place(stuck->text).at(first),
                "no value for " + missing + ": no pattern, function or input binds it");
}

bool planner::can_bind(const clauses& body,
                       const clause* without,
                       var_set bound,
                       const std::vector<var_id>& wanted) const {
    std::set<std::string> visiting;
    return first_stuck(body, bound, visiting, without) == nullptr &&
           std::all_of(wanted.begin(), wanted.end(), [&](var_id v) { return bound.contains(v); });
}

bool planner::can_run(const clause& c, var_set& bound, std::set<std::string>& visiting) const {
    const auto has = [&](var_id v) { return bound.contains(v); };
    if (const call* f = std::get_if<call>(&c.what)) {
        for (const term& t : f->args) {
            const var_id* v = std::get_if<var_id>(&t);
            if (v != nullptr && !has(*v)) return false;
        }
    } else if (const negation* n = std::get_if<negation>(&c.what)) {
        const std::vector<var_id> vars = n->explicit_join ? n->join : variables_of(n->body);
        const bool ready = n->explicit_join
                               ? std::all_of(vars.begin(), vars.end(), has)
                               : vars.empty() || std::any_of(vars.begin(), vars.end(), has);
        var_set inside;
        std::copy_if(vars.begin(), vars.end(), std::inserter(inside, inside.end()), has);
        return ready && can_run(n->body, inside, visiting);
    } else if (const disjunction* d = std::get_if<disjunction>(&c.what)) {
        if (!std::all_of(d->required.begin(), d->required.end(), has)) return false;
        for (const clauses& branch : d->branches) {
            var_set inside;
            std::copy_if(d->join.begin(), d->join.end(), std::inserter(inside, inside.end()), has);
            if (!can_run(branch, inside, visiting)) return false;
            for (const var_id v : d->join) {
                if (!inside.contains(v)) return false;
            }
        }
    } else if (const rule_call* r = std::get_if<rule_call>(&c.what)) {
        const auto found = rules_.find(r->name);
        if (found == rules_.end() || found->second.arity != r->args.size())
            return true;  // reported when its turn comes
        std::string key = r->name + "/";
        for (std::size_t i = 0; i < r->args.size(); ++i) {
            const var_id* v = std::get_if<var_id>(&r->args[i]);
            const bool given =
                std::holds_alternative<cell>(r->args[i]) || (v != nullptr && has(*v));
            if (i < found->second.required && !given) return false;
            key += given ? 'b' : 'f';
        }
        if (visiting.insert(key).second) {
            for (const rule_branch& branch : found->second.branches) {
                var_set inside;
                for (std::size_t i = 0; i < r->args.size(); ++i) {
                    if (key[r->name.size() + 1 + i] == 'b') inside.insert(branch.params[i]);
                }
                if (!can_run(branch.body, inside, visiting)) return false;
                if (!std::all_of(branch.params.begin(), branch.params.end(), [&](var_id p) {
                        return inside.contains(p);
                    }))
                    return false;
            }
        }
    }
    for (const var_id v : variables_bound_by(c)) bound.insert(v);
    return true;
}

}  // namespace tributary::datom::datalog
