#include "tributary/datom/rule_params.hpp"

#include "tributary/datom/builtins.hpp"

#include <algorithm>

namespace tributary::datom::datalog {

namespace {

/// Looks for a use of a variable that is a value's. What other rules do with it is as `known`.
class value_use {
public:
    value_use(var_id of, const source& on, const entity_params& known)
        : of_(of), on_(on), known_(known) {}

    bool in(const clauses& body) const {
        return std::any_of(body.begin(), body.end(), [&](const clause& c) {
            return std::visit([&](const auto& what) { return in(what); }, c.what);
        });
    }

private:
    bool is(const term& t) const {
        const var_id* v = std::get_if<var_id>(&t);
        return v != nullptr && *v == of_;
    }

    bool in(const pattern& p) const {
        if (p.terms.size() <= at_v || !is(p.terms[at_v])) return false;
        const cell* attribute = std::get_if<cell>(&p.terms[at_a]);
        const auto known = attribute != nullptr ? on_.entity(*attribute) : std::nullopt;
        return !known || on_.type_of(*known) != value_type::ref;
    }

    bool in(const call& f) const {
        std::vector<var_id> made;
        if (f.result) collect_variables(*f.result, made);
        const auto of_this = [&](const term& t) { return is(t); };
        return std::find(made.begin(), made.end(), of_) != made.end() ||
               (!f.target->needs_source && std::any_of(f.args.begin(), f.args.end(), of_this));
    }

    bool in(const negation& n) const { return in(n.body); }
    bool in(const disjunction& d) const {
        return std::any_of(
            d.branches.begin(), d.branches.end(), [&](const clauses& b) { return in(b); });
    }

    bool in(const rule_call& r) const {
        const auto callee = known_.find(r.name);
        for (std::size_t i = 0; i < r.args.size(); ++i) {
            const bool entity =
                callee != known_.end() && i < callee->second.size() && callee->second[i];
            if (is(r.args[i]) && !entity) return true;
        }
        return false;
    }

    var_id of_;
    const source& on_;
    const entity_params& known_;
};

}  // namespace

entity_params entity_params_of(const rule_set& rules, const source& on) {
    entity_params known;
    for (const auto& [name, r] : rules) known[name].assign(r.arity, true);
    // A rule that hands a parameter on knows no more of it than the one it asks.
    for (bool changed = true; changed;) {
        changed = false;
        for (const auto& [name, r] : rules) {
            std::vector<bool>& all = known.find(name)->second;
            for (std::size_t i = 0; i < all.size(); ++i) {
                const auto uses_value = [&](const rule_branch& b) {
                    return value_use(b.params[i], on, known).in(b.body);
                };
                if (!all[i] || std::none_of(r.branches.begin(), r.branches.end(), uses_value))
                    continue;
                all[i] = false;
                changed = true;
            }
        }
    }
    return known;
}

}  // namespace tributary::datom::datalog
