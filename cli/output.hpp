/// Printing rows for people (table, chart) and programs (edn, json, csv).
#pragma once

#include "tributary/peer/stage.hpp"
#include "tributary/value/value.hpp"

#include "command.hpp"
#include <string>
#include <vector>

namespace tributary::cli {

/// As text in a cell: strings, numbers, instants and uuids bare, bytes in hexadecimal, everything
/// else as EDN.
std::string cell_text(const value& v);

/// Prints rows under column names on stdout. A chart takes rows of a label and a number. Errors:
/// misuse if the rows do not fit the format.
void print_rows(format f,
                const std::vector<std::string>& columns,
                const std::vector<std::vector<value>>& rows);

/// One line of CSV.
void print_csv_line(const std::vector<value>& cells);

/// Prints a single value: bare for people and csv.
void print_value(format f, const value& v);

/// Line breaks and other controls would tear a table apart.
std::string on_one_line(std::string text);

/// Of stdout; 100 if it is none.
std::size_t terminal_columns();
/// Columns a terminal would use for UTF-8 text.
std::size_t display_width(const std::string& text);

/// "1,234,567"
std::string with_commas(std::uint64_t n);
/// "1 commit", "1,234 commits"
std::string counted(std::uint64_t n, const std::string& unit);
/// "all", or "partial: 1,000 of 3,000,000 commits".
std::string history_text(const crdt_summary& c);
/// "12.3 MB".
std::string human_bytes(std::uint64_t n);

}  // namespace tributary::cli
