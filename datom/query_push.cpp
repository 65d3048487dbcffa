#include "tributary/datom/query_push.hpp"

namespace tributary::datom::datalog {

namespace {

std::optional<cell> known_value(const term& t, const single_values& singles) {
    if (const cell* c = std::get_if<cell>(&t)) return *c;
    const var_id* v = std::get_if<var_id>(&t);
    const auto at = v == nullptr ? singles.end() : singles.find(*v);
    return at == singles.end() ? std::nullopt : std::optional(at->second);
}

bool is_variable(const term& t, var_id wanted) {
    const var_id* v = std::get_if<var_id>(&t);
    return v != nullptr && *v == wanted;
}

/// Takes in that `a` comes before (or equals) `b`, one of them the variable.
void narrow(value_bounds& bounds,
            const term& a,
            const term& b,
            var_id variable,
            const single_values& singles) {
    if (is_variable(a, variable)) {
        const std::optional<cell> hi = known_value(b, singles);
        if (hi && (!bounds.hi || compare(*hi, *bounds.hi) < 0)) bounds.hi = hi;
    }
    if (is_variable(b, variable)) {
        const std::optional<cell> lo = known_value(a, singles);
        if (lo && (!bounds.lo || compare(*lo, *bounds.lo) > 0)) bounds.lo = lo;
    }
}

}  // namespace

std::vector<const clause*> tests_on(const pattern& p,
                                    const std::vector<const clause*>& waiting,
                                    const bound_rows& bound,
                                    const single_values& singles) {
    std::vector<const clause*> tests;
    const std::vector<var_id> own = argument_variables(p.terms);
    const auto is_new = [&](var_id v) {
        return !bound.contains(v) && std::find(own.begin(), own.end(), v) != own.end();
    };
    for (const clause* c : waiting) {
        const call* f = std::get_if<call>(&c->what);
        if (f == nullptr || f->result) continue;
        const std::vector<var_id> vars = argument_variables(f->args);
        const bool known = std::all_of(
            vars.begin(), vars.end(), [&](var_id v) { return is_new(v) || singles.contains(v); });
        const bool pure = std::none_of(f->args.begin(), f->args.end(), [](const term& t) {
            return std::holds_alternative<source_name>(t);
        });
        if (known && pure && std::any_of(vars.begin(), vars.end(), is_new)) tests.push_back(c);
    }
    return tests;
}

inline_test inline_test_of(const clause& c, const pattern& p, const single_values& singles) {
    const call& f = std::get<call>(c.what);
    inline_test t;
    t.function = f.target;
    t.text = &c.text;
    for (const term& arg : f.args) {
        if (const std::optional<cell> constant = known_value(arg, singles)) {
            t.args.emplace_back(*constant);
            continue;
        }
        const auto place = std::find_if(p.terms.begin(), p.terms.end(), [&](const term& other) {
            return is_variable(other, std::get<var_id>(arg));
        });
        t.args.emplace_back(static_cast<std::size_t>(place - p.terms.begin()));
    }
    return t;
}

value_bounds bounds_on(const pattern& p, const clauses& body, const single_values& singles) {
    value_bounds bounds;
    const var_id* variable = p.terms.size() > at_v ? std::get_if<var_id>(&p.terms[at_v]) : nullptr;
    if (variable == nullptr) return bounds;
    for (const clause& c : body) {
        const call* f = std::get_if<call>(&c.what);
        if (f == nullptr || f->result) continue;
        const bool rising = f->function == "<" || f->function == "<=";
        const bool falling = f->function == ">" || f->function == ">=";
        for (std::size_t i = 1; (rising || falling) && i < f->args.size(); ++i) {
            narrow(bounds,
                   f->args[rising ? i - 1 : i],
                   f->args[rising ? i : i - 1],
                   *variable,
                   singles);
        }
    }
    return bounds;
}

std::vector<var_id> argument_variables(const std::vector<term>& args) {
    std::vector<var_id> vars;
    for (const term& t : args) {
        const var_id* v = std::get_if<var_id>(&t);
        if (v != nullptr && std::find(vars.begin(), vars.end(), *v) == vars.end()) {
            vars.push_back(*v);
        }
    }
    return vars;
}

}  // namespace tributary::datom::datalog
