/// The functions a query may call. Private to the room.
#pragma once

#include "tributary/datom/query_cell.hpp"
#include "tributary/datom/query_source.hpp"

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace tributary::datom::datalog {

/// What a call may use besides its arguments. One lives as long as a clause's evaluation, so that
/// `pattern_cache` serves all rows.
struct call_context {
    arena& memory;
    const source* database = nullptr;  ///< the $-argument, if there is one
    std::function<void()> stop;
    std::shared_ptr<void> cache;          ///< for the function's own use from row to row
    const source_map* sources = nullptr;  ///< those the clause sees
    std::function<std::optional<std::chrono::milliseconds>()> time_left;
};

/// Returns nil for "nothing": the row is dropped. Errors: bad_input, saying what is wrong with the
/// arguments.
using builtin_function = cell (*)(call_context&, std::span<const cell>);
/// The same of a function that has state: one given to the query.
using given_function = std::function<cell(call_context&, std::span<const cell>)>;

struct builtin {
    std::string_view name;
    std::size_t args_min = 0;
    std::size_t args_max = 0;
    builtin_function code = nullptr;
    bool needs_source = false;              ///< takes a $-argument first, not counted
    const given_function* given = nullptr;  ///< instead of `code`
    bool names_sources = false;             ///< $-arguments may stand anywhere and come as symbols

    cell run(call_context& c, std::span<const cell> args) const {
        return given == nullptr ? code(c, args) : (*given)(c, args);
    }
};

inline constexpr std::size_t any_number = SIZE_MAX;

/// Null if there is none. `clojure.string/x` and `str/x` name the same.
const builtin* find_builtin(std::string_view name);
/// Of a comparison the one that takes values of any types, in the order across them that
/// collections of the data model have; others as they are.
const builtin* comparing_all_types(const builtin* b);

std::span<const builtin> number_builtins();
std::span<const builtin> value_builtins();
std::span<const builtin> order_builtins();
std::span<const builtin> text_builtins();
std::span<const builtin> string_builtins();
std::span<const builtin> database_builtins();

/// Errors: bad_input if it is no string.
std::string_view text_of(const cell& c);
cell new_string(call_context& c, std::string_view text);
/// In characters (code points), the unit of count and subs.
std::size_t length(std::string_view utf8);

/// Without a name: a type mismatch.
[[noreturn]] void fail_call(const std::string& problem);
[[noreturn]] void fail_call(const char* name, const std::string& problem);

}  // namespace tributary::datom::datalog
