/// What names of functions stand for in one query: inputs, registered functions, built-ins. Private
/// to the room.
#pragma once

#include "tributary/datom/builtins.hpp"
#include "tributary/datom/database.hpp"
#include "tributary/datom/query_ast.hpp"

#include <map>
#include <memory>

namespace tributary::datom::datalog {

/// A function as a value of a query is its name, a symbol, or (complement f).
class function_table {
public:
    /// `options` must outlive it.
    explicit function_table(const query_options& options);
    function_table(const function_table&) = delete;
    function_table& operator=(const function_table&) = delete;

    /// A function given as the input of this name.
    void add(const std::string& name, query_function f);

    /// Null if there is none. Given ones come before built-ins.
    const builtin* find(std::string_view name) const;
    const query_function* find_given(std::string_view name) const;
    /// Calls the function that is its first argument.
    const builtin& by_value() const { return by_value_; }

    /// Finds the targets of all calls in `body`. Errors: bad_input naming the clause.
    void bind(clauses& body) const;

private:
    struct given {
        query_function function;
        given_function code;
        builtin entry;
    };
    void bind(clause& c) const;
    cell call_value(call_context& c, std::span<const cell> args) const;

    const query_options& options_;
    std::map<std::string, std::unique_ptr<given>, std::less<>> given_;
    given_function call_value_;
    given_function nested_;
    builtin by_value_;
    builtin nested_query_;
};

/// Calls a function of the user's; its result in `memory`.
cell call_given(const query_function& f, std::span<const cell> args, arena& memory);

}  // namespace tributary::datom::datalog
