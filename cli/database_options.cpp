#include "database_options.hpp"

#include "database_answers.hpp"
#include <iostream>
#include <iterator>

namespace tributary::cli {

value view_options::as_value() const {
    std::vector<std::pair<value, value>> entries;
    if (!as_of.empty()) entries.emplace_back(keyword{"as-of"}, point_in_time(as_of));
    if (!since.empty()) entries.emplace_back(keyword{"since"}, point_in_time(since));
    if (history) entries.emplace_back(keyword{"history"}, true);
    if (!with.empty())
        entries.emplace_back(keyword{"with"}, edn_argument("the transaction", with).read);
    return make_map(std::move(entries));
}

value view_named(const std::string& text) {
    view_options v;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string one = text.substr(at, end - at);
        at = end + 1;
        if (one.starts_with("as-of:"))
            v.as_of = one.substr(6);
        else if (one.starts_with("since:"))
            v.since = one.substr(6);
        else if (one == "history")
            v.history = true;
        else if (one != "now")
            throw usage_error(
                "a view is as-of:T, since:T, history or now, or several with commas, found " + one);
    }
    return v.as_value();
}

void add_view(CLI::App* command, view_options& v) {
    command->add_option("--as-of",
                        v.as_of,
                        "as the database was: a t, or an ISO 8601 time (UTC) of "
                        "transactions here; a date alone is its beginning");
    command->add_option("--since", v.since, "only what was said after: a t, or an ISO 8601 time");
    command->add_flag("--history", v.history, "every assertion and retraction there ever was");
    command->add_option(
        "--with", v.with, "as if this transaction (EDN, or @FILE) had been done, which it is not");
}

void add_database(CLI::App* command, std::string& dir) {
    command->add_option("DATABASE", dir, "its directory")->required();
}

void take_edn_arguments(CLI::App* command) { command->allow_extras()->fallthrough(false); }

namespace {

std::string text_of(const std::string& argument) {
    if (argument == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
    return argument.starts_with('@') ? read_file(argument.substr(1)) : argument;
}

/// People forget the @ of a file.
[[noreturn]] void fail_file(const std::string& what, const std::string& name) {
    throw usage_error(what + ": expected EDN, found the name " + name +
                      "; what is in a file is given as @" + name);
}

}  // namespace

typed_values edn_arguments(const CLI::App* command) {
    typed_values all;
    for (const std::string& arg : command->remaining()) {
        if (arg.starts_with("--"))
            throw usage_error("there is no option " + arg + "; see: trib " + command->get_name() +
                              " --help");
        const std::string what = "the argument " + arg;
        if (arg.ends_with(".edn") && !arg.starts_with('@')) fail_file(what, arg);
        all.texts.push_back(arg == "-" ? arg : text_of(arg));
        all.values.push_back(read_edn(what, all.texts.back()));
    }
    return all;
}

typed_value edn_argument(const std::string& what, const std::string& argument) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(argument, ignored)) fail_file(what, argument);
    typed_value typed;
    typed.text = text_of(argument);
    typed.read = read_edn(what, typed.text);
    if (typed.text == argument && typed.read.get_if<symbol>() != nullptr) fail_file(what, argument);
    return typed;
}

}  // namespace tributary::cli
