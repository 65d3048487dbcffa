#include "tributary/datom/query_parse.hpp"

#include <algorithm>

namespace tributary::datom::datalog {

namespace {

/// A part of the query by its name, and what is at fault in it.
place in_part(const std::string& part, const value& v) { return place(part).at(shown(v)); }

std::size_t whole_number(const std::vector<value>& from, const std::string& part) {
    const std::int64_t* n = from.size() == 1 ? from[0].get_if<std::int64_t>() : nullptr;
    if (n == nullptr || *n < 0) {
        fail_clause(from.empty() ? place(part) : in_part(part, from.back()),
                    "expected one whole number that is not negative, as in " + part + " 10");
    }
    return static_cast<std::size_t>(*n);
}

std::vector<std::string_view> names_of(const std::set<std::string>& all) {
    return {all.begin(), all.end()};
}

}  // namespace

const std::vector<value>* sequence(const value& v) {
    if (const vector* items = v.get_if<vector>()) return items;
    if (const list* l = v.get_if<list>()) return &l->items;
    return nullptr;
}

query_parser::sections query_parser::split(const value& q) {
    static const std::set<std::string> known{"find",
                                             "with",
                                             "in",
                                             "where",
                                             "keys",
                                             "strs",
                                             "syms",
                                             "order-by",
                                             "limit",
                                             "offset",
                                             "timeout"};
    sections parts;
    const auto open = [&](const value& key) -> std::vector<value>& {
        const keyword* k = key.get_if<keyword>();
        if (k != nullptr && parts.contains("order-by") && (k->text == "asc" || k->text == "desc"))
            fail_clause(in_part(":order-by", key),
                        "what to order by and which way stands in a vector: [?x :desc]");
        if (k == nullptr || !known.contains(k->text)) {
            fail_clause(shown(key),
                        "expected :find, :keys, :strs, :syms, :with, :in, :where, :order-by, "
                        ":limit, :offset or :timeout" +
                            (k ? did_you_mean(k->text, names_of(known), ":") : std::string()));
        }
        if (parts.contains(k->text))
            fail_clause({shown(key), {shown(key), shown(key)}},
                        "a second part of this name; put everything into one");
        return parts[k->text];
    };
    if (const map* m = q.get_if<map>()) {
        for (const auto& [key, v] : m->entries) {
            std::vector<value>& part = open(key);
            const std::vector<value>* items = sequence(v);
            const bool ordering = key == value(keyword{"order-by"});
            const bool single = ordering || key == value(keyword{"limit"}) ||
                                key == value(keyword{"offset"}) || key == value(keyword{"timeout"});
            if (items == nullptr && !single)
                fail_clause(in_part(shown(key), v), "in the map form it needs a vector");
            part = single ? std::vector<value>{v} : *items;
        }
        return parts;
    }
    const std::vector<value>* items = sequence(q);
    if (items == nullptr) {
        fail_clause(shown(q),
                    "expected a vector like [:find ?e :where [?e :name]] or a map with these keys");
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

parsed_query query_parser::query(const value& q) {
    sections parts = split(q);
    parsed_query parsed;
    if (!parts.contains("find"))
        fail_clause(shown(q),
                    "it has no :find, which says what to return, as in [:find ?e :where [?e "
                    ":name]]");
    if (parts["find"].empty()) fail_clause(":find", "it names nothing to return");
    parsed.find = find(parts["find"]);
    result_keys(parts, parsed.find);
    if (parts.contains("order-by")) result_order(parts["order-by"], parsed.find);
    if (parts.contains("limit")) parsed.find.limit = whole_number(parts["limit"], ":limit");
    if (parts.contains("offset")) parsed.find.offset = whole_number(parts["offset"], ":offset");
    if (parts.contains("timeout")) {
        const std::size_t ms = whole_number(parts["timeout"], ":timeout");
        parsed.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(ms));
    }
    for (const value& v : parts["with"]) parsed.with.push_back(variable(v, in_part(":with", v)));
    parsed.inputs_given = parts.contains("in");
    for (const value& v : parts["in"]) parsed.inputs.push_back(one_input(v));
    for (const value& v : parts["where"]) {
        if (sequence(v) == nullptr)
            fail_clause(in_part(":where", v),
                        "expected a clause, found " + shown(v) +
                            (q.get_if<map>() ? "; in the map form it takes a vector of clauses: "
                                               ":where [[?e :name ?n]]"
                                             : "; a clause is a vector or list, as in :where "
                                               "[?e :name ?n]"));
    }
    parsed.where = clauses_of(parts["where"], source_name{"$"});
    return parsed;
}

find_spec query_parser::find(const std::vector<value>& from) {
    find_spec spec;
    const auto add = [&](std::span<const value> elements) {
        for (const value& v : elements) spec.elements.push_back(element(v));
    };
    const vector* only = from.size() == 1 ? from[0].get_if<vector>() : nullptr;
    if (only != nullptr && only->size() == 2 && is_symbol(only->back(), "...")) {
        spec.shape = find_spec::form::collection;
        add(std::span(*only).first(1));
    } else if (only != nullptr) {
        if (only->empty()) fail_clause(in_part(":find", from[0]), "[] names nothing to return");
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

find_element query_parser::element(const value& v) {
    find_element e;
    e.text = shown(v);
    if (is_variable(v)) {
        e.args.push_back(variable(v, e.text));
        return e;
    }
    const list* l = v.get_if<list>();
    if (l == nullptr || l->items.empty() || symbol_text(l->items[0]) == nullptr) {
        fail_clause(in_part(":find", v),
                    "expected a variable like ?x, an aggregate like (count ?x) or (pull ?e "
                    "[:name]), found " +
                        e.text);
    }
    if (is_symbol(l->items[0], "pull")) return pull_element(l->items, std::move(e));
    aggregate_element(l->items, e);
    return e;
}

find_element query_parser::pull_element(const std::vector<value>& items, find_element e) {
    std::span<const value> rest = std::span(items).subspan(1);
    pull_form form{source_name{"$"}, value()};
    if (!rest.empty() && is_source(rest.front())) {
        form.source.text = *symbol_text(rest.front());
        rest = rest.subspan(1);
    }
    if (rest.size() != 2 || !is_variable(rest[0])) {
        fail_clause(e.text, "expected (pull ?e pattern) or (pull $source ?e pattern)");
    }
    e.args.push_back(variable(rest[0], e.text));
    if (is_variable(rest[1])) {
        form.pattern = variable(rest[1], e.text);
    } else if (const std::string* name = symbol_text(rest[1])) {
        form.pattern = input_symbol{*name};
    } else {
        form.pattern = rest[1];
    }
    e.pull = std::move(form);
    return e;
}

void query_parser::aggregate_element(const std::vector<value>& items, find_element& e) {
    std::span<const value> rest(items);
    if (is_symbol(rest.front(), "aggregate")) rest = rest.subspan(1);
    if (rest.size() < 2 || symbol_text(rest.front()) == nullptr || !is_variable(rest.back())) {
        fail_clause(e.text,
                    "an aggregate ends with the variable it is over, as in (count ?x) or "
                    "(aggregate f ?x)");
    }
    e.aggregate = *symbol_text(rest.front());
    for (const value& arg : rest.subspan(1)) {
        e.args.push_back(parse_term(arg));
        if (std::holds_alternative<blank>(e.args.back()) ||
            std::holds_alternative<source_name>(e.args.back())) {
            fail_clause(place(e.text).at(shown(arg)),
                        "expected variables and constants as arguments, found " + shown(arg));
        }
    }
}

void query_parser::result_keys(const sections& parts, find_spec& spec) {
    for (const char* name : {"keys", "strs", "syms"}) {
        const auto part = parts.find(name);
        if (part == parts.end()) continue;
        const std::string where = std::string(":") + name;
        if (!spec.keys.empty()) fail_clause(where, "only one of :keys, :strs, :syms may be given");
        if (spec.shape == find_spec::form::collection || spec.shape == find_spec::form::scalar) {
            fail_clause(where,
                        "needs a relation or a tuple in :find, not a collection or a scalar");
        }
        if (part->second.size() != spec.elements.size()) {
            fail_clause(where,
                        counted(part->second.size(), "name") + " for " +
                            counted(spec.elements.size(), "element") + " of :find");
        }
        for (const value& v : part->second) {
            const std::string* text = symbol_text(v);
            if (text == nullptr)
                fail_clause(in_part(where, v), "expected symbols, found " + shown(v));
            spec.keys.push_back(where == ":keys" ? value(keyword{*text})
                                                 : (where == ":strs" ? value(*text) : v));
        }
    }
}

void query_parser::result_order(const std::vector<value>& from, find_spec& spec) {
    const std::vector<value>* several = from.size() == 1 ? from[0].get_if<vector>() : nullptr;
    for (const value& v : several == nullptr ? from : *several) {
        const keyword* way = v.get_if<keyword>();
        if (way == nullptr) {
            spec.order.push_back({ordered_column(v, spec), false});
        } else if (spec.order.empty() || (way->text != "asc" && way->text != "desc")) {
            fail_clause(in_part(":order-by", v),
                        "expected [?x :desc ?y :asc ...], found " + shown(v));
        } else {
            spec.order.back().descending = way->text == "desc";
        }
    }
    if (spec.order.empty()) fail_clause(":order-by", "expected what to order by, as in [?x :desc]");
}

std::size_t query_parser::ordered_column(const value& v, const find_spec& spec) const {
    const std::int64_t* number = v.get_if<std::int64_t>();
    if (number != nullptr && std::cmp_less(*number, spec.elements.size()) && *number >= 0)
        return static_cast<std::size_t>(*number);
    const std::string text = shown(v);
    for (std::size_t i = 0; i < spec.elements.size(); ++i) {
        const find_element& e = spec.elements[i];
        if (e.text == text || (e.pull && names_[e.var()] == text)) return i;
    }
    fail_clause(in_part(":order-by", v),
                "expected a variable or aggregate of :find or its number from 0, found " + text);
}

input query_parser::one_input(const value& v) {
    input in;
    in.text = shown(v);
    if (is_source(v) || is_symbol(v, "%")) {
        in.what = source_name{*symbol_text(v)};
        return in;
    }
    if (symbol_text(v) != nullptr && !is_variable(v) && !is_symbol(v, "_")) {
        in.what = input_symbol{*symbol_text(v)};
        return in;
    }
    in.what = parse_binding(v, in.where());
    std::vector<var_id> vars;
    collect_variables(std::get<binding>(in.what), vars);
    input_variables_.insert(vars.begin(), vars.end());
    return in;
}

parsed_query parse_query(const value& q, var_names& names, arena& memory) {
    return query_parser(names, memory).query(q);
}

rule_set parse_rules(const value& rules, var_names& names, arena& memory) {
    query_parser parser(names, memory);
    return with_places(rules, rules_text, [&](const value& read) { return parser.rules(read); });
}

std::vector<std::string> parse_columns(const value& q) {
    var_names names;
    arena memory;
    const parsed_query parsed =
        with_places(q, "", [&](const value& read) { return parse_query(read, names, memory); });
    std::vector<std::string> columns;
    for (std::size_t i = 0; i < parsed.find.elements.size(); ++i) {
        columns.push_back(parsed.find.keys.empty() ? parsed.find.elements[i].text
                                                   : shown(parsed.find.keys[i]));
    }
    return columns;
}

std::vector<std::string> parse_inputs(const value& q) {
    var_names names;
    arena memory;
    const parsed_query parsed =
        with_places(q, "", [&](const value& read) { return parse_query(read, names, memory); });
    std::vector<std::string> inputs;
    for (const input& in : expected_inputs(parsed)) inputs.push_back(in.text);
    return inputs;
}

}  // namespace tributary::datom::datalog
