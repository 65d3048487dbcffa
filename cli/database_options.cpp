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
        entries.emplace_back(keyword{"with"}, read_edn("the transaction", text_argument(with)));
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
            throw error(
                errc::misuse,
                "a view is as-of:T, since:T, history or now, or several with commas, found " + one);
    }
    return v.as_value();
}

void add_view(CLI::App* command, view_options& v) {
    command->add_option("--as-of", v.as_of, "as the database was: a t, or an ISO 8601 time");
    command->add_option("--since", v.since, "only what was said after: a t, or an ISO 8601 time");
    command->add_flag("--history", v.history, "every assertion and retraction there ever was");
    command->add_option(
        "--with", v.with, "as if this transaction (EDN, or @FILE) had been done, which it is not");
}

void add_database(CLI::App* command, std::string& dir) {
    command->add_option("DATABASE", dir, "its directory")->required();
}

void take_edn_arguments(CLI::App* command) { command->allow_extras()->fallthrough(false); }

std::vector<value> edn_arguments(const CLI::App* command) {
    std::vector<value> out;
    for (const std::string& arg : command->remaining()) {
        if (arg.starts_with("--"))
            throw error(
                errc::misuse,
                "there is no option " + arg + "; see: trib " + command->get_name() + " --help");
        out.push_back(read_edn("the argument " + arg, arg));
    }
    return out;
}

std::string text_argument(const std::string& text) {
    if (text == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
    return text.starts_with('@') ? read_file(text.substr(1)) : text;
}

}  // namespace tributary::cli
