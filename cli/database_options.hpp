/// Options and arguments that the commands of a datom database share.
#pragma once

#include "command.hpp"
#include <string>
#include <vector>

namespace tributary::cli {

/// --as-of, --since, --history, --with.
struct view_options {
    std::string as_of, since, with;
    bool history = false;
    /// Errors: bad_input.
    value as_value() const;
};
void add_view(CLI::App* command, view_options& v);
/// The view that "as-of:T", "since:T", "history" or "now" says, or several with commas. Errors:
/// misuse, bad_input.
value view_named(const std::string& text);

/// DATABASE
void add_database(CLI::App* command, std::string& dir);

/// Lets EDN follow the other arguments: its brackets and commas are not to be taken for CLI11's
/// own lists, so it is what is left over.
void take_edn_arguments(CLI::App* command);
/// Errors: bad_input; misuse for an option that there is not.
std::vector<value> edn_arguments(const CLI::App* command);

/// The argument itself, what is in the file of @FILE, or stdin for "-".
std::string text_argument(const std::string& text);

}  // namespace tributary::cli
