#include "tributary/datom/query_ast.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <set>

namespace tributary::datom::datalog {

namespace {

std::string shown(const value& v) {
    std::string text = edn::print(v);
    if (text.size() > 200) text = text.substr(0, 197) + "...";
    return text;
}

[[noreturn]] void fail(const std::string& problem) {
    throw error(errc::bad_input, "query: " + problem);
}

const std::string* symbol_text(const value& v) {
    const symbol* s = v.get_if<symbol>();
    return s == nullptr ? nullptr : &s->text;
}
bool is_symbol(const value& v, std::string_view text) {
    const std::string* s = symbol_text(v);
    return s != nullptr && *s == text;
}
bool starts_symbol(const value& v, char first) {
    const std::string* s = symbol_text(v);
    return s != nullptr && !s->empty() && s->front() == first;
}
bool is_variable(const value& v) { return starts_symbol(v, '?'); }
bool is_source(const value& v) { return starts_symbol(v, '$'); }

/// The items of a vector or list; null for anything else.
const std::vector<value>* sequence(const value& v) {
    if (const vector* items = v.get_if<vector>()) return items;
    if (const list* l = v.get_if<list>()) return &l->items;
    return nullptr;
}

class parser {
public:
    parser(var_names& names, arena& memory) : names_(names), memory_(memory) {}

    parsed_query query(const value& q);
    rule_set rules(const value& v);

private:
    using sections = std::map<std::string, std::vector<value>>;

    static sections split(const value& q);
    find_spec find(const std::vector<value>& from);
    find_element element(const value& v);
    void result_keys(const sections& parts, find_spec& spec);
    input one_input(const value& v);
    binding parse_binding(const value& v, const std::string& text);
    var_id variable(const value& v, const std::string& where);
    std::vector<var_id> variables(std::span<const value> from, const std::string& where);
    term parse_term(const value& v);

    /// Appends what `v` stands for; (and ...) is several clauses.
    void clause_of(const value& v, const source_name& source, clauses& into);
    clauses clauses_of(std::span<const value> from, const source_name& source);
    pattern parse_pattern(std::span<const value> items, const source_name& source);
    call parse_call(const std::vector<value>& items, const std::string& text);
    negation parse_not(std::span<const value> rest,
                       bool joined,
                       const source_name& source,
                       const std::string& text);
    disjunction parse_or(std::span<const value> rest,
                         bool joined,
                         const source_name& source,
                         const std::string& text);
    void check_or(disjunction& d, const std::string& text);
    void parse_rule(const value& v, rule_set& into);

    var_names& names_;
    arena& memory_;
    std::set<var_id> input_variables_;
};

// -- The query as a whole --

parser::sections parser::split(const value& q) {
    static const std::set<std::string> known{"find", "with", "in", "where", "keys", "strs", "syms"};
    sections parts;
    const auto open = [&](const value& key) -> std::vector<value>& {
        const keyword* k = key.get_if<keyword>();
        if (k == nullptr || !known.contains(k->text)) {
            fail("expected :find, :with, :in, :where, :keys, :strs or :syms, found " + shown(key));
        }
        if (parts.contains(k->text)) fail("two parts :" + k->text + "; put everything into one");
        return parts[k->text];
    };
    if (const map* m = q.get_if<map>()) {
        for (const auto& [key, v] : m->entries) {
            const std::vector<value>* items = sequence(v);
            if (items == nullptr)
                fail("in the map form " + shown(key) + " needs a vector, found " + shown(v));
            open(key) = *items;
        }
        return parts;
    }
    const std::vector<value>* items = sequence(q);
    if (items == nullptr) {
        fail(
            "expected a vector like [:find ?e :where [?e :name]] or a map with these keys, found " +
            shown(q));
    }
    std::vector<value>* current = nullptr;
    for (const value& v : *items) {
        if (const keyword* k = v.get_if<keyword>(); k != nullptr || current == nullptr) {
            current = &open(v);
        } else {
            current->push_back(v);
        }
    }
    return parts;
}

parsed_query parser::query(const value& q) {
    if (const std::string* text = q.get_if<std::string>()) return query(edn::read(*text));
    sections parts = split(q);
    parsed_query parsed;
    if (parts["find"].empty())
        fail(
            ":find is missing or empty; it says what to return, as in [:find ?e :where [?e "
            ":name]]");
    parsed.find = find(parts["find"]);
    result_keys(parts, parsed.find);
    for (const value& v : parts["with"]) parsed.with.push_back(variable(v, "in :with"));
    parsed.inputs_given = parts.contains("in");
    for (const value& v : parts["in"]) parsed.inputs.push_back(one_input(v));
    parsed.where = clauses_of(parts["where"], source_name{"$"});
    return parsed;
}

find_spec parser::find(const std::vector<value>& from) {
    find_spec spec;
    const auto add = [&](std::span<const value> elements) {
        for (const value& v : elements) spec.elements.push_back(element(v));
    };
    const vector* only = from.size() == 1 ? from[0].get_if<vector>() : nullptr;
    if (only != nullptr && only->size() == 2 && is_symbol(only->back(), "...")) {
        spec.shape = find_spec::form::collection;
        add(std::span(*only).first(1));
    } else if (only != nullptr) {
        if (only->empty()) fail(":find [] names nothing to return");
        spec.shape = find_spec::form::tuple;
        add(*only);
    } else if (from.size() == 2 && is_symbol(from[1], ".")) {
        spec.shape = find_spec::form::scalar;
        add(std::span(from).first(1));
    } else {
        add(from);
    }
    return spec;
}

find_element parser::element(const value& v) {
    find_element e;
    e.text = shown(v);
    if (is_variable(v)) {
        e.args.push_back(variable(v, "in :find"));
        return e;
    }
    const list* l = v.get_if<list>();
    if (l == nullptr || l->items.empty() || symbol_text(l->items[0]) == nullptr) {
        fail("in :find expected a variable like ?x or an aggregate like (count ?x), found " +
             e.text);
    }
    e.aggregate = *symbol_text(l->items[0]);
    if (e.aggregate == "pull")
        fail("in :find " + e.text +
             ": pull is not available in queries yet; ask for the attributes in :where");
    if (l->items.size() < 2 || !is_variable(l->items.back())) {
        fail("in :find " + e.text + ": an aggregate ends with the variable it is over, as in (" +
             e.aggregate + " ?x)");
    }
    for (const value& arg : std::span(l->items).subspan(1)) {
        e.args.push_back(parse_term(arg));
        if (std::holds_alternative<blank>(e.args.back()) ||
            std::holds_alternative<source_name>(e.args.back())) {
            fail("in :find " + e.text + ": expected variables and constants as arguments, found " +
                 shown(arg));
        }
    }
    return e;
}

void parser::result_keys(const sections& parts, find_spec& spec) {
    for (const char* name : {"keys", "strs", "syms"}) {
        const auto part = parts.find(name);
        if (part == parts.end()) continue;
        const std::string where = std::string(":") + name;
        if (!spec.keys.empty()) fail("only one of :keys, :strs, :syms may be given");
        if (spec.shape == find_spec::form::collection || spec.shape == find_spec::form::scalar) {
            fail(where + " needs a relation or a tuple in :find, not a collection or a scalar");
        }
        if (part->second.size() != spec.elements.size()) {
            fail(where + " has " + std::to_string(part->second.size()) + " names for " +
                 std::to_string(spec.elements.size()) + " elements of :find");
        }
        for (const value& v : part->second) {
            const std::string* text = symbol_text(v);
            if (text == nullptr) fail(where + " takes symbols, found " + shown(v));
            spec.keys.push_back(where == ":keys" ? value(keyword{*text})
                                                 : (where == ":strs" ? value(*text) : v));
        }
    }
}

input parser::one_input(const value& v) {
    input in;
    in.text = shown(v);
    if (is_source(v) || is_symbol(v, "%")) {
        in.what = source_name{*symbol_text(v)};
    } else {
        in.what = parse_binding(v, ":in " + in.text);
        std::vector<var_id> vars;
        collect_variables(std::get<binding>(in.what), vars);
        input_variables_.insert(vars.begin(), vars.end());
    }
    return in;
}

binding parser::parse_binding(const value& v, const std::string& text) {
    binding b;
    if (is_symbol(v, "_")) return b;
    if (is_variable(v)) {
        b.shape = binding::form::variable;
        b.var = names_.of(*symbol_text(v));
        return b;
    }
    const vector* items = v.get_if<vector>();
    if (items == nullptr || items->empty()) {
        fail_clause(text,
                    "expected a binding: ?x, _, [?x ?y], [?x ...] or [[?x ?y]]; found " + shown(v));
    }
    if (items->size() == 2 && is_symbol(items->back(), "...")) {
        b.shape = binding::form::collection;
        b.parts.push_back(parse_binding(items->front(), text));
    } else if (items->size() == 1 && items->front().get_if<vector>() != nullptr) {
        b.shape = binding::form::relation;
        b.parts.push_back(parse_binding(items->front(), text));
    } else {
        b.shape = binding::form::tuple;
        for (const value& part : *items) b.parts.push_back(parse_binding(part, text));
    }
    return b;
}

var_id parser::variable(const value& v, const std::string& where) {
    if (!is_variable(v)) fail(where + " expected a variable like ?x, found " + shown(v));
    return names_.of(*symbol_text(v));
}

std::vector<var_id> parser::variables(std::span<const value> from, const std::string& where) {
    std::vector<var_id> all;
    for (const value& v : from) {
        const var_id var = variable(v, where);
        if (std::find(all.begin(), all.end(), var) == all.end()) all.push_back(var);
    }
    return all;
}

term parser::parse_term(const value& v) {
    if (is_symbol(v, "_")) return blank{};
    if (is_variable(v)) return names_.of(*symbol_text(v));
    if (is_source(v)) return source_name{*symbol_text(v)};
    return to_cell(v, memory_);
}

// -- Clauses --

clauses parser::clauses_of(std::span<const value> from, const source_name& source) {
    clauses all;
    for (const value& v : from) clause_of(v, source, all);
    return all;
}

void parser::clause_of(const value& v, const source_name& source, clauses& into) {
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

pattern parser::parse_pattern(std::span<const value> items, const source_name& source) {
    pattern p{source, {}};
    if (is_source(items.front())) {
        p.source.text = *symbol_text(items.front());
        items = items.subspan(1);
    }
    for (const value& v : items) p.terms.push_back(parse_term(v));
    return p;
}

call parser::parse_call(const std::vector<value>& items, const std::string& text) {
    if (items.size() > 2) fail_clause(text, "expected [(f args...)] or [(f args...) binding]");
    const std::vector<value>& form = items[0].as<list>().items;
    if (form.empty() || symbol_text(form[0]) == nullptr)
        fail_clause(text, "expected the name of a function first");
    call c;
    c.function = *symbol_text(form[0]);
    if (c.function.front() == '?') {
        fail_clause(text, "a function is called by its name; " + c.function + " is a variable");
    }
    for (const value& arg : std::span(form).subspan(1)) c.args.push_back(parse_term(arg));
    for (const term& arg : c.args) {
        if (std::holds_alternative<blank>(arg))
            fail_clause(text, "_ is no argument; give a variable or a constant");
    }
    if (items.size() == 2) c.result = parse_binding(items[1], text);
    return c;
}

negation parser::parse_not(std::span<const value> rest,
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
        n.join = variables(*vars, "in " + text);
        rest = rest.subspan(1);
    }
    n.body = clauses_of(rest, source);
    if (n.body.empty()) fail_clause(text, "expected at least one clause inside");
    return n;
}

disjunction parser::parse_or(std::span<const value> rest,
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
            d.required = variables(*required, "in " + text);
            names = names.subspan(1);
        }
        d.join = d.required;
        for (const var_id v : variables(names, "in " + text)) {
            if (std::find(d.join.begin(), d.join.end(), v) == d.join.end()) d.join.push_back(v);
        }
        rest = rest.subspan(1);
    }
    for (const value& branch : rest) d.branches.push_back(clauses_of({&branch, 1}, source));
    if (d.branches.empty()) fail_clause(text, "expected at least one branch inside");
    if (!joined) check_or(d, text);
    return d;
}

void parser::check_or(disjunction& d, const std::string& text) {
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

rule_set parser::rules(const value& v) {
    if (const std::string* text = v.get_if<std::string>()) return rules(edn::read(*text));
    const std::vector<value>* items = sequence(v);
    if (items == nullptr) fail("rules (%) must be a vector of rules, found " + shown(v));
    rule_set all;
    for (const value& one : *items) parse_rule(one, all);
    return all;
}

void parser::parse_rule(const value& v, rule_set& into) {
    const std::string text = shown(v);
    const std::vector<value>* items = sequence(v);
    if (items == nullptr || items->size() < 2)
        fail_clause(text, "a rule is [(name ?x ...) clauses...]");
    const std::vector<value>* head = sequence(items->front());
    if (head == nullptr || head->size() < 2 || symbol_text(head->front()) == nullptr) {
        fail_clause(text, "a rule begins with its head: (name ?x ...)");
    }
    rule_branch branch;
    branch.text = text;
    std::span<const value> params = std::span(*head).subspan(1);
    std::size_t required = 0;
    if (const vector* first = params.front().get_if<vector>()) {
        branch.params = variables(*first, "in the head of the rule " + text);
        required = branch.params.size();
        params = params.subspan(1);
    }
    for (const value& p : params)
        branch.params.push_back(variable(p, "in the head of the rule " + text));
    if (std::set<var_id>(branch.params.begin(), branch.params.end()).size() !=
        branch.params.size()) {
        fail_clause(text, "the variables in a rule's head must differ");
    }
    branch.body = clauses_of(std::span(*items).subspan(1), source_name{"$"});
    rule& r = into[*symbol_text(head->front())];
    if (!r.branches.empty() && (r.arity != branch.params.size() || r.required != required)) {
        fail_clause(text,
                    "the rules named " + *symbol_text(head->front()) +
                        " must all take the same number of arguments");
    }
    r.arity = branch.params.size();
    r.required = required;
    r.branches.push_back(std::move(branch));
}

}  // namespace

parsed_query parse_query(const value& q, var_names& names, arena& memory) {
    return parser(names, memory).query(q);
}

rule_set parse_rules(const value& rules, var_names& names, arena& memory) {
    return parser(names, memory).rules(rules);
}

std::vector<std::string> parse_columns(const value& q) {
    var_names names;
    arena memory;
    const parsed_query parsed = parse_query(q, names, memory);
    std::vector<std::string> columns;
    for (std::size_t i = 0; i < parsed.find.elements.size(); ++i) {
        columns.push_back(parsed.find.keys.empty() ? parsed.find.elements[i].text
                                                   : shown(parsed.find.keys[i]));
    }
    return columns;
}

}  // namespace tributary::datom::datalog
