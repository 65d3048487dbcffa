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
struct typed_values {
    std::vector<value> values;
    std::vector<std::string> texts;  ///< as typed
};
/// EDN or @FILE each. Errors: bad_input; misuse for an option that there is not.
typed_values edn_arguments(const CLI::App* command);

struct typed_value {
    value read;
    std::string text;
};
/// An argument that is EDN, @FILE, or "-" for stdin; `what` names it in errors. Errors: bad_input;
/// misuse for the name of a file alone.
typed_value edn_argument(const std::string& what, const std::string& argument);

}  // namespace tributary::cli
