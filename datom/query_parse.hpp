/// Reads the parts of a query: what to return, inputs, clauses, rules. Private to the room.
#pragma once

#include "tributary/datom/query_ast.hpp"

#include <set>
#include <span>

namespace tributary::datom::datalog {

/// The text of a symbol; null for anything else.
inline const std::string* symbol_text(const value& v) {
    const symbol* s = v.get_if<symbol>();
    return s == nullptr ? nullptr : &s->text;
}
inline bool is_symbol(const value& v, std::string_view text) {
    const std::string* s = symbol_text(v);
    return s != nullptr && *s == text;
}
inline bool starts_symbol(const value& v, char first) {
    const std::string* s = symbol_text(v);
    return s != nullptr && !s->empty() && s->front() == first;
}
inline bool is_variable(const value& v) { return starts_symbol(v, '?'); }
inline bool is_source(const value& v) { return starts_symbol(v, '$'); }

/// The items of a vector or list; null for anything else.
const std::vector<value>* sequence(const value& v);

/// Of one query or set of rules. Errors: bad_input, naming the part and what was expected.
class query_parser {
public:
    query_parser(var_names& names, arena& memory) : names_(names), memory_(memory) {}

    parsed_query query(const value& q);
    rule_set rules(const value& v);

private:
    using sections = std::map<std::string, std::vector<value>>;

    // The query as a whole
    static sections split(const value& q);
    find_spec find(const std::vector<value>& from);
    find_element element(const value& v);
    find_element pull_element(const std::vector<value>& items, find_element e);
    void aggregate_element(const std::vector<value>& items, find_element& e);
    void result_keys(const sections& parts, find_spec& spec);
    void result_order(const std::vector<value>& from, find_spec& spec);
    std::size_t ordered_column(const value& v, const find_spec& spec) const;
    input one_input(const value& v);

    // Clauses: `clause_of` appends what `v` stands for; (and ...) is several clauses
    void clause_of(const value& v, const source_name& source, clauses& into);
    clauses clauses_of(std::span<const value> from, const source_name& source);
    pattern parse_pattern(std::span<const value> items, const source_name& source);
    call parse_call(const std::vector<value>& items, const std::string& text);
    void parse_called(const value& function, const std::string& text, call& into);
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

    binding parse_binding(const value& v, const place& where);
    var_id variable(const value& v, const place& where);
    std::vector<var_id> variables(std::span<const value> from, const place& where);
    term parse_term(const value& v);

    var_names& names_;
    arena& memory_;
    var_set input_variables_;
};

}  // namespace tributary::datom::datalog
