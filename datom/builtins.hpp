/// The functions a query may call. Private to the room.
#pragma once

#include "tributary/datom/query_cell.hpp"
#include "tributary/datom/query_source.hpp"

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
    std::shared_ptr<void> cache;  ///< for the function's own use from row to row
};

/// Returns nil for "nothing": the row is dropped. Errors: bad_input, saying what is wrong with the
/// arguments.
using builtin_function = cell (*)(call_context&, std::span<const cell>);

struct builtin {
    std::string_view name;
    std::size_t args_min;
    std::size_t args_max;
    builtin_function run;
    bool needs_source = false;  ///< takes a $-argument first, not counted
};

inline constexpr std::size_t any_number = SIZE_MAX;

/// Null if there is none. `clojure.string/x` and `str/x` name the same.
const builtin* find_builtin(std::string_view name);

std::span<const builtin> number_builtins();
std::span<const builtin> value_builtins();
std::span<const builtin> text_builtins();
std::span<const builtin> database_builtins();

[[noreturn]] void fail_call(const std::string& problem);

}  // namespace tributary::datom::datalog
