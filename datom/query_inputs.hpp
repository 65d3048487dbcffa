/// What a query was given: sources, rules and values for variables. Private to the room.
#pragma once

#include "tributary/datom/query_exec.hpp"
#include "tributary/datom/query_functions.hpp"
#include "tributary/datom/rule_params.hpp"

namespace tributary::datom::datalog {

class query_inputs {
public:
    /// Functions among the inputs go to `functions`, and the calls of the rules are bound to it.
    /// Errors: bad_input: too few or too many inputs, one of the wrong kind or shape.
    query_inputs(const parsed_query& q,
                 const std::vector<query_input>& given,
                 function_table& functions,
                 bool lenient,
                 var_names& names,
                 arena& memory,
                 stop_check& stop);

    /// An input may name an entity by ident or lookup ref, or be an integer where an attribute has
    /// doubles, as literals may. Where clauses use such a variable in a place of a pattern or hand
    /// it to a rule that does, they
    /// get a variable of their own with what that place can hold; so the query's other uses of it
    /// still see what was given, and each source resolves it for itself.
    void fit_to_places(clauses& body, var_names& names);

    const source_map& sources() const { return sources_; }
    const rule_set& rules() const { return rules_; }
    std::vector<var_id> variables() const;
    /// Variables that stand for a function or database instead of a value.
    const var_set& special_variables() const { return special_; }
    /// Where a call names a database given for a variable (a log), it gets the source.
    void name_sources(clauses& body, const var_names& names) const;
    /// The pattern a pull of `text` is given. Errors: bad_input if it is no input.
    value pull_pattern(const pull_form& form, const std::string& text) const;
    /// The rows the inputs stand for; taken out, once.
    environment start();

private:
    void take(const input& in, const query_input& given, var_names& names);
    void take(const input& in, const source_name& name, const query_input& given, var_names& names);
    void take(const input& in, const input_symbol& symbol, const query_input& given);
    void take(const input& in, const binding& b, const query_input& given, var_names& names);
    void add_source(const input& in, const std::string& name, const query_input& given);
    /// The variable that stands for `v` as an entity of this source.
    var_id resolved(var_id v, const source& on, var_names& names);
    /// The one that stands for `v` as values of the (resolved) attribute: `v` if they are already.
    var_id fitted(var_id v, const source& on, const cell& attribute, var_names& names);
    using conversion = std::function<cell(const cell&)>;
    var_id converted(
        var_id v, const source& on, value_type to, const conversion& convert, var_names& names);
    bool any_is(var_id v, const std::function<bool(const cell&)>& test) const;
    void rewrite(clause& c, var_names& names);
    void rewrite(pattern& p, const std::string& text, var_names& names);
    void rewrite(rule_call& r, const std::string& text, var_names& names);

    function_table& functions_;
    bool lenient_;
    arena& memory_;
    stop_check& stop_;
    std::vector<std::unique_ptr<source>> owned_;
    source_map sources_;
    rule_set rules_;
    std::map<const source*, entity_params> entity_params_;  ///< of the rules
    std::vector<relation> values_;
    std::map<std::string, value, std::less<>> symbols_;
    var_set special_;
    std::map<std::tuple<var_id, const source*, value_type>, var_id> converted_;
    std::vector<std::pair<var_id, var_id>> stands_for_;  ///< (given, made of it)
};

}  // namespace tributary::datom::datalog
