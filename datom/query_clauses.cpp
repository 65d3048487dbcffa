#include "tributary/datom/query_parse.hpp"

#include <algorithm>

namespace tributary::datom::datalog {

binding query_parser::parse_binding(const value& v, const place& where) {
    binding b;
    if (is_symbol(v, "_")) return b;
    if (is_variable(v)) {
        b.shape = binding::form::variable;
        b.var = names_.of(*symbol_text(v));
        return b;
    }
    const vector* items = v.get_if<vector>();
    if (items == nullptr || items->empty()) {
        fail_clause(where.at(shown(v)),
                    "expected a binding: ?x, _, [?x ?y], [?x ...] or [[?x ?y]]; found " + shown(v));
    }
    if (items->size() == 2 && is_symbol(items->back(), "...")) {
        b.shape = binding::form::collection;
        b.parts.push_back(parse_binding(items->front(), where));
    } else if (items->size() == 1 && items->front().get_if<vector>() != nullptr) {
        b.shape = binding::form::relation;
        b.parts.push_back(parse_binding(items->front(), where));
    } else {
        b.shape = binding::form::tuple;
        for (const value& part : *items) b.parts.push_back(parse_binding(part, where));
    }
    return b;
}

var_id query_parser::variable(const value& v, const place& where) {
    if (!is_variable(v))
        fail_clause(where.at(shown(v)), "expected a variable like ?x, found " + shown(v));
    return names_.of(*symbol_text(v));
}

std::vector<var_id> query_parser::variables(std::span<const value> from, const place& where) {
    std::vector<var_id> all;
    for (const value& v : from) {
        const var_id var = variable(v, where);
        if (std::find(all.begin(), all.end(), var) == all.end()) all.push_back(var);
    }
    return all;
}

term query_parser::parse_term(const value& v) {
    if (is_symbol(v, "_")) return blank{};
    if (is_variable(v)) return names_.of(*symbol_text(v));
    if (is_source(v)) return source_name{*symbol_text(v)};
    return to_cell(v, memory_);
}

clauses query_parser::clauses_of(std::span<const value> from, const source_name& source) {
    clauses all;
    for (const value& v : from) clause_of(v, source, all);
    return all;
}

void query_parser::clause_of(const value& v, const source_name& source, clauses& into) {
    const std::string text = shown(v);
    if (const vector* items = v.get_if<vector>()) {
        if (items->empty())
            fail_clause(text, "an empty clause; expected a pattern like [?e :name ?n]");
        if (items->front().get_if<list>() != nullptr) {
            into.push_back({parse_call(*items, text), text});
        } else {
            into.push_back({parse_pattern(*items, source), text});
        }
        return;
    }
    const list* l = v.get_if<list>();
    if (l == nullptr || l->items.empty()) {
        fail_clause(text,
                    "expected a pattern [?e :attr ?v], a predicate [(f ?x)], (not ...), (or ...) "
                    "or a rule (name ?x)");
    }
    std::span<const value> rest(l->items);
    source_name on = source;
    if (is_source(rest.front())) {
        on.text = *symbol_text(rest.front());
        rest = rest.subspan(1);
    }
    if (rest.empty() || symbol_text(rest.front()) == nullptr) {
        fail_clause(text, "expected not, or, and or the name of a rule first");
    }
    const std::string name = *symbol_text(rest.front());
    rest = rest.subspan(1);
    if (name == "and") {
        for (const value& inner : rest) clause_of(inner, on, into);
    } else if (name == "not" || name == "not-join") {
        into.push_back({parse_not(rest, name == "not-join", on, text), text});
    } else if (name == "or" || name == "or-join") {
        into.push_back({parse_or(rest, name == "or-join", on, text), text});
    } else {
        rule_call c{on, name, {}};
        if (rest.empty()) fail_clause(text, "a rule takes at least one argument");
        for (const value& arg : rest) c.args.push_back(parse_term(arg));
        into.push_back({std::move(c), text});
    }
}

pattern query_parser::parse_pattern(std::span<const value> items, const source_name& source) {
    pattern p{source, {}};
    if (is_source(items.front())) {
        p.source.text = *symbol_text(items.front());
        items = items.subspan(1);
    }
    for (const value& v : items) p.terms.push_back(parse_term(v));
    return p;
}

call query_parser::parse_call(const std::vector<value>& items, const std::string& text) {
    if (items.size() > 2) fail_clause(text, "expected [(f args...)] or [(f args...) binding]");
    const std::vector<value>& form = items[0].as<list>().items;
    if (form.empty()) fail_clause(text, "expected the name of a function first");
    call c;
    parse_called(form[0], text, c);
    for (const value& arg : std::span(form).subspan(1)) {
        const list* inner = arg.get_if<list>();
        if (inner != nullptr &&
            std::any_of(inner->items.begin(), inner->items.end(), is_variable)) {
            fail_clause(place(text).at(shown(arg)),
                        "a call cannot stand inside of a call; give what it returns a variable "
                        "first: [" +
                            shown(arg) + " ?x], and use that");
        }
        c.args.push_back(parse_term(arg));
    }
    for (const term& arg : c.args) {
        if (std::holds_alternative<blank>(arg))
            fail_clause(place(text).at("_"), "_ is no argument; give a variable or a constant");
    }
    if (items.size() == 2) c.result = parse_binding(items[1], text);
    return c;
}

void query_parser::parse_called(const value& function, const std::string& text, call& into) {
    const list* computed = function.get_if<list>();
    into.function = shown(function);
    into.by_value = computed != nullptr || is_variable(function);
    if (into.by_value) {
        into.args.push_back(parse_term(function));
    } else if (symbol_text(function) == nullptr || is_source(function)) {
        fail_clause(place(text).at(into.function),
                    "expected the name of a function first, found " + into.function);
    }
    if (computed != nullptr && !computed->items.empty() &&
        (is_symbol(computed->items[0], "fn") || is_symbol(computed->items[0], "fn*"))) {
        fail_clause("db.error/not-serializable",
                    place(text).at(into.function),
                    "a function cannot be written in a query; register it in "
                    "query_options::functions and call it by its name");
    }
}

negation query_parser::parse_not(std::span<const value> rest,
                                 bool joined,
                                 const source_name& source,
                                 const std::string& text) {
    negation n;
    n.source = source;
    n.explicit_join = joined;
    if (joined) {
        const vector* vars = rest.empty() ? nullptr : rest.front().get_if<vector>();
        if (vars == nullptr || vars->empty())
            fail_clause(text, "not-join needs its variables first: (not-join [?x] clauses...)");
        n.join = variables(*vars, text);
        rest = rest.subspan(1);
    }
    n.body = clauses_of(rest, source);
    if (n.body.empty()) fail_clause(text, "expected at least one clause inside");
    return n;
}

disjunction query_parser::parse_or(std::span<const value> rest,
                                   bool joined,
                                   const source_name& source,
                                   const std::string& text) {
    disjunction d;
    d.source = source;
    d.explicit_join = joined;
    if (joined) {
        const vector* vars = rest.empty() ? nullptr : rest.front().get_if<vector>();
        if (vars == nullptr || vars->empty())
            fail_clause(text, "or-join needs its variables first: (or-join [?x] branches...)");
        std::span<const value> names(*vars);
        if (const vector* required = names.front().get_if<vector>()) {
            d.required = variables(*required, text);
            names = names.subspan(1);
        }
        d.join = d.required;
        for (const var_id v : variables(names, text)) {
            if (std::find(d.join.begin(), d.join.end(), v) == d.join.end()) d.join.push_back(v);
        }
        rest = rest.subspan(1);
    }
    for (const value& branch : rest) d.branches.push_back(clauses_of({&branch, 1}, source));
    if (d.branches.empty()) fail_clause(text, "expected at least one branch inside");
    if (!joined) check_or(d, text);
    return d;
}

void query_parser::check_or(disjunction& d, const std::string& text) {
    // An input has its value in every branch, whether the branch names it or not.
    const auto own = [&](const clauses& branch) {
        std::vector<var_id> vars = variables_of(branch);
        std::erase_if(vars, [&](var_id v) { return input_variables_.contains(v); });
        std::sort(vars.begin(), vars.end());
        return vars;
    };
    for (const clauses& branch : d.branches) {
        if (own(branch) != own(d.branches.front())) {
            fail_clause(text,
                        "all branches of `or` must use the same variables; use (or-join [?x ...] "
                        "...) to name the ones they share");
        }
        d.join = united(d.join, variables_of(branch));
    }
}

// -- Rules --

rule_set query_parser::rules(const value& v) {
    const std::vector<value>* items = sequence(v);
    if (items == nullptr)
        fail_clause({":in %", {shown(v)}},
                    "expected a vector of rules [(name ?x ...) clauses...], found " + shown(v));
    rule_set all;
    for (const value& one : *items) parse_rule(one, all);
    return all;
}

void query_parser::parse_rule(const value& v, rule_set& into) {
    const std::string text = shown(v);
    const std::vector<value>* items = sequence(v);
    if (items == nullptr || items->size() < 2)
        fail_clause(text, "expected a rule, [(name ?x ...) clauses...]");
    const std::vector<value>* head = sequence(items->front());
    if (head == nullptr || head->size() < 2 || symbol_text(head->front()) == nullptr) {
        fail_clause(place(text).at(shown(items->front())),
                    "a rule begins with its head (name ?x ...), found " + shown(items->front()));
    }
    rule_branch branch;
    branch.text = text;
    std::span<const value> params = std::span(*head).subspan(1);
    std::size_t required = 0;
    if (const vector* first = params.front().get_if<vector>()) {
        branch.params = variables(*first, text);
        required = branch.params.size();
        params = params.subspan(1);
    }
    for (const value& p : params) branch.params.push_back(variable(p, text));
    if (var_set(branch.params.begin(), branch.params.end()).size() != branch.params.size()) {
        fail_clause(place(text).at(shown(items->front())),
                    "the variables in a rule's head must differ");
    }
    branch.body = clauses_of(std::span(*items).subspan(1), source_name{"$"});
    rule& r = into[*symbol_text(head->front())];
    if (!r.branches.empty() && (r.arity != branch.params.size() || r.required != required)) {
        fail_clause("db.error/arity",
                    place(text).at(shown(items->front())),
                    "the rules named " + *symbol_text(head->front()) +
                        " must all take the same number of arguments, here " +
                        std::to_string(r.arity));
    }
    r.arity = branch.params.size();
    r.required = required;
    r.branches.push_back(std::move(branch));
}

}  // namespace tributary::datom::datalog
