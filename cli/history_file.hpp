/// A database's whole history as a file: EDN, a transaction a line, in the form of
/// transaction_text.hpp. docs/datom.md tells what is the same after an import.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tributary::cli {

/// Writes to `file`, which is there only once it is whole, or to stdout ("-"). Returns the number
/// of transactions. Errors: those of ask_database, io, canceled.
std::uint64_t export_history(const std::filesystem::path& dir, const std::string& file);

struct import_result {
    std::uint64_t transactions = 0;
    std::uint64_t found = 0;  ///< of them, which an import cut short had left
    bool is_whole = true;     ///< false: interrupted between two transactions
};
/// Makes a database of what was exported, or goes on with one that was cut short. Errors: exists
/// (`dir` has transactions that are not how the file begins); bad_input naming the line: the
/// transactions before it are there then, each whole.
import_result import_history(const std::filesystem::path& dir, const std::string& file);

}  // namespace tributary::cli
