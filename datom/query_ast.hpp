/// A Datalog query, parsed. Private to the room.
#pragma once

#include "tributary/datom/fault.hpp"
#include "tributary/datom/query_cell.hpp"

#include <boost/container/flat_map.hpp>
#include <boost/container/flat_set.hpp>
#include <boost/container/small_vector.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tributary::datom::datalog {

/// Variables are numbered; `names` gives their text. Numbers are dense from 0.
using var_id = int;

/// Sets and maps of variables are small, and recursion makes and drops them in every round: they
/// live side by side, and mostly on the stack.
using var_set =
    boost::container::flat_set<var_id, std::less<>, boost::container::small_vector<var_id, 16>>;
template <class T>
using var_map = boost::container::
    flat_map<var_id, T, std::less<>, boost::container::small_vector<std::pair<var_id, T>, 16>>;

class var_names {
public:
    var_id of(std::string_view name);
    /// A variable no text can name, shown as `like`.
    var_id fresh(const std::string& like);
    const std::string& operator[](var_id v) const { return names_[static_cast<std::size_t>(v)]; }
    std::size_t size() const { return names_.size(); }

private:
    std::deque<std::string> names_;
    std::map<std::string, var_id, std::less<>> numbers_;
};

struct blank {};
/// `$`, `$name`, `%`: an input that is no value.
struct source_name {
    std::string text;
    bool operator==(const source_name&) const = default;
};
using term = std::variant<blank, var_id, cell, source_name>;

struct clause;
using clauses = std::vector<clause>;

/// [$src e a v tx added], or a tuple of any width of a collection.
struct pattern {
    source_name source;
    std::vector<term> terms;
};

struct binding {
    enum class form { ignore, variable, tuple, collection, relation };
    form shape = form::ignore;
    var_id var = 0;
    std::vector<binding> parts;  ///< of a tuple: its elements; of a collection or relation: the one
                                 ///< pattern of an element
};

struct builtin;

/// [(f args...)] keeps rows for which it is true, [(f args...) binding] binds what it returns.
struct call {
    std::string function;
    std::vector<term> args;
    std::optional<binding> result;
    bool by_value = false;            ///< the function is the value of the first argument
    const builtin* target = nullptr;  ///< what `function` names, once that is known
};

/// (not clauses...) and (not-join [vars] clauses...).
struct negation {
    source_name source;
    bool explicit_join = false;
    std::vector<var_id> join;
    clauses body;
};

/// (or branches...) and (or-join [[required] free...] branches...).
struct disjunction {
    source_name source;
    bool explicit_join = false;
    std::vector<var_id> required;
    std::vector<var_id> join;  ///< required ones included
    std::vector<clauses> branches;
};

/// (rule args...).
struct rule_call {
    source_name source;
    std::string name;
    std::vector<term> args;
};

struct clause {
    std::variant<pattern, call, negation, disjunction, rule_call> what;
    std::string text;  ///< as written, for messages
};

struct rule_branch {
    std::vector<var_id> params;
    clauses body;
    std::string text;
};
struct rule {
    std::size_t required = 0;  ///< the first so many parameters must be bound by the caller
    std::size_t arity = 0;
    std::vector<rule_branch> branches;
};
using rule_set = std::map<std::string, rule, std::less<>>;

/// A plain symbol of :in: a pull pattern or a function.
struct input_symbol {
    std::string text;
};

/// (pull $src ?e pattern): the pattern as written, or the input it is given as.
struct pull_form {
    source_name source;
    std::variant<value, var_id, input_symbol> pattern;
};

struct find_element {
    std::string aggregate;   ///< empty: the plain variable args.back()
    std::vector<term> args;  ///< the aggregated variable is last
    std::string text;
    std::optional<pull_form> pull;  ///< of the plain variable
    var_id var() const { return std::get<var_id>(args.back()); }
};

struct order_key {
    std::size_t column = 0;
    bool descending = false;
};

struct find_spec {
    enum class form { relation, collection, tuple, scalar };
    form shape = form::relation;
    std::vector<find_element> elements;
    std::vector<value> keys;  ///< of :keys, :strs, :syms: rows become maps
    std::vector<order_key> order;
    std::optional<std::size_t> limit;
    std::size_t offset = 0;

    bool is_cut() const { return limit.has_value() || offset > 0; }
};

struct input {
    std::variant<source_name, input_symbol, binding> what;
    std::string text;

    place where() const { return {":in " + text, {":in", text}}; }
};

struct parsed_query {
    find_spec find;
    std::vector<var_id> with;
    std::vector<input> inputs;
    bool inputs_given = false;  ///< else `inputs` is the default: [$] if a clause uses it
    clauses where;
    std::optional<std::chrono::milliseconds> timeout;
};

/// Errors: bad_input, naming the part and what was expected.
parsed_query parse_query(const value& q, var_names& names, arena& memory);
/// `rules` may be text; then a fault in them points into it.
rule_set parse_rules(const value& rules, var_names& names, arena& memory);
/// What messages call the text of rules.
inline constexpr const char* rules_text = "the rules: ";
/// Only the find elements' texts; only the inputs'.
std::vector<std::string> parse_columns(const value& q);
std::vector<std::string> parse_inputs(const value& q);
/// Those of :in; without it the database, if a clause asks one.
std::vector<input> expected_inputs(const parsed_query& q);

/// Each variable `c` mentions that the clauses around it can see, in order of appearance, each
/// once.
std::vector<var_id> variables_of(const clause& c);
std::vector<var_id> variables_of(const clauses& all);
/// `a` and then what else is in `b`.
std::vector<var_id> united(std::vector<var_id> a, const std::vector<var_id>& b);
void collect_variables(const binding& b, std::vector<var_id>& into);

}  // namespace tributary::datom::datalog
