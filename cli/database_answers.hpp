/// Asking a datom database and printing what it says: shared by the commands and the repl.
#pragma once

#include "tributary/value/value.hpp"

#include "command.hpp"
#include <map>
#include <optional>
#include <string>

namespace tributary::cli {

/// Which database, as it was when, printed how.
struct asked {
    std::string dir;
    value view = map{};  ///< :as-of, :since, :history, :with
    format output = format::table;
    std::uint64_t most = ~std::uint64_t{0};  ///< rows
    std::string svg_file;                    ///< where a chart goes instead of stdout
    std::optional<std::int64_t> timeout_ms;
};

struct question {
    value query;
    std::vector<value> args;
    std::map<std::string, std::string> databases;  ///< directories by name, without the $
    std::map<std::string, value> views;            ///< like asked::view, by name
    /// Of the query alone and of each of `args` as typed, which errors then point into.
    std::string text;
    std::vector<std::string> arg_texts;
};

// Errors of all: those of ask_database; misuse if the answer does not fit the format.
void show_query(const asked& a, const question& q);
void show_explain(const asked& a, const question& q);
/// `pattern` may be text.
void show_pull(const asked& a, const value& pattern, const std::vector<value>& entities);
void show_entity(const asked& a, const value& entity);
/// `where`: {:from value :to value}, or {:seek :on}, {:seek :back}
void show_datoms(const asked& a,
                 const value& index,
                 const std::vector<value>& parts,
                 const value& where = map{});
void show_history(const asked& a, const value& entity);
/// `where`: {:start :end} or {:from "cursor"}
void show_tx_range(const asked& a, const value& where);
/// All from the cursor on, until Ctrl-C.
void show_feed(const asked& a, const std::string& from);
void show_schema(const asked& a);
void show_stats(const asked& a);
/// Makes the database if there is none, and says so on stderr.
void show_transact(const asked& a, const value& tx_data);

/// A t, or an ISO 8601 time, as :as-of and the like want it. Errors: bad_input.
value point_in_time(const std::string& text);

}  // namespace tributary::cli
