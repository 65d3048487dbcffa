/// What the commands share: whose store, how to print, when to stop. Each cli/*.cpp adds some
/// commands to the app; main.cpp runs the one that was chosen.
#pragma once

#include "tributary/peer/stage.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace tributary::cli {

/// Exit codes, part of the interface: see README.
enum exit_code {
    ok = 0,
    failed = 1,
    wrong_usage = 2,
    input_rejected = 3,
    in_conflict = 4,
    interrupted = 130
};

/// A command line that its command does not take; ends with wrong_usage.
struct usage_error : error {
    explicit usage_error(const std::string& what) : error(errc::misuse, what) {}
};

enum class format { table, edn, json, csv, chart };

/// The global options, and the action of the chosen command.
struct session {
    std::string store;  ///< empty: $TRIB_STORE or the XDG data directory
    bool json_log = false;
    format output = format::table;
    std::function<int()> action;

    std::filesystem::path store_dir() const;
    bool has_store() const;
    /// The store that is there. Errors: not_found; those of stage::open.
    std::unique_ptr<stage> open() const;
    /// Makes the store, with an identity, if there is none. Errors: misuse if a database is there;
    /// those of stage::open.
    std::unique_ptr<stage> open_or_make() const;
};

/// Adds a command with a description and an example, shown by --help.
CLI::App* add_command(CLI::App& app,
                      const std::string& name,
                      const std::string& description,
                      const std::string& example);

/// An option that takes one of these words.
template <class T>
CLI::Option* add_choice(CLI::App* command,
                        const std::string& name,
                        T& chosen,
                        const std::vector<std::pair<std::string, T>>& choices,
                        const std::string& help) {
    std::string listed;
    for (const auto& choice : choices) listed += (listed.empty() ? "" : "|") + choice.first;
    return command
        ->add_option_function<std::string>(
            name,
            [name, &chosen, choices, listed](const std::string& word) {
                for (const auto& [known, meant] : choices)
                    if (known == word) return void(chosen = meant);
                throw CLI::ValidationError(name, "expected " + listed + ", found " + word);
            },
            help)
        ->type_name(listed);
}

/// --format with these choices.
void add_format(CLI::App* command,
                session& s,
                const std::vector<std::string>& names = {"table", "edn", "json", "csv"});

/// Who runs this.
std::string user_name();

void add_replica_commands(CLI::App& app,
                          session& s);  // id, fork, pull, heads, log, conflicts, merge
void add_member_commands(CLI::App& app, session& s);  // create, grant, revoke, members, rotate
void add_status_commands(CLI::App& app, session& s);  // status, watch
void add_store_commands(CLI::App& app, session& s);   // verify, backup, rm, gc
void add_peer_commands(CLI::App& app, session& s);    // serve, ls, clone, deepen, sync
void add_blob_commands(CLI::App& app, session& s);    // blob add, ls, get, cat
void add_collect_command(CLI::App& app, session& s);
void add_tail_command(CLI::App& app, session& s);
void add_realize_command(CLI::App& app, session& s);
void add_query_commands(CLI::App& app, session& s);  // query, explain, entity, datoms, history,
                                                     // tx-range, schema, stats
void add_write_commands(CLI::App& app, session& s);  // transact, import, export
void add_repl_command(CLI::App& app, session& s);

/// False once the user or the system asked to stop (SIGINT, SIGTERM). A second SIGINT ends the
/// process at once.
bool keep_going();
void watch_signals();
/// Forgets that they asked: where it only ended what was being done.
void go_on();
/// Says what went wrong on stderr, or as the log is written.
void tell(const std::exception& e);

/// Logs one line, as text or as JSON, on stderr.
void log_line(const std::string& text, const std::string& level = "info");

/// Makes the log that log_line and the library write to.
void start_log(const session& s);

/// Reads EDN text. Errors: bad_input, which names `what` it is.
value read_edn(const std::string& what, const std::string& text);

/// Reads a whole file. Errors: not_found, io.
std::string read_file(const std::filesystem::path& file);

}  // namespace tributary::cli
