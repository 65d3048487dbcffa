// What writes a datom database: transact, import; and export, import's other half.

#include "tributary/value/edn.hpp"

#include "database_answers.hpp"
#include "database_options.hpp"
#include "history_file.hpp"
#include "output.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

void add_transact(CLI::App& app, session& s) {
    auto* command = add_command(
        app,
        "transact",
        "Write facts: a vector of forms, all or nothing; makes the database if there is none",
        "trib transact people.datom '[{:db/id \"ann\" :person/name \"Ann\"}]'");
    auto dir = std::make_shared<std::string>();
    auto text = std::make_shared<std::string>();
    add_database(command, *dir);
    command->add_option("TX", *text, "as EDN, @FILE, or - for stdin")->required();
    add_format(command, s, {"table", "edn", "json"});
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const value tx_data = edn_argument("the transaction", *text).read;
            show_transact({*dir, map{}, s.output, 0, {}, {}}, tx_data);
            return ok;
        };
    });
}

void add_export(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "export",
                                "The whole history as EDN, a transaction a line",
                                "trib export people.datom people.edn");
    auto dir = std::make_shared<std::string>();
    auto file = std::make_shared<std::string>("-");
    add_database(command, *dir);
    command->add_option("FILE", *file, "where to (default: stdout); there only once it is whole");
    command->callback([=, &s] {
        s.action = [=]() -> int {
            const std::uint64_t count = export_history(*dir, *file);
            if (*file != "-")
                std::cout << counted(count, "transaction") << " exported to " << *file << '\n';
            return ok;
        };
    });
}

void add_import(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "import",
                    "An exported history, again, into a new database; goes on if it was cut short",
                    "trib import copy.datom people.edn");
    auto dir = std::make_shared<std::string>();
    auto file = std::make_shared<std::string>();
    add_database(command, *dir);
    command->add_option("FILE", *file, "what export wrote; - for stdin")->required();
    command->callback([=, &s] {
        s.action = [=]() -> int {
            const import_result done = import_history(*dir, *file);
            std::ostream& out = done.is_whole ? std::cout : std::cerr;
            out << counted(done.transactions, "transaction") << " imported";
            if (done.found > 0) out << ", " << with_commas(done.found) << " of them earlier";
            if (!done.is_whole) out << "; interrupted: import again to go on";
            out << '\n';
            return done.is_whole ? ok : interrupted;
        };
    });
}

}  // namespace

void add_write_commands(CLI::App& app, session& s) {
    add_transact(app, s);
    add_import(app, s);
    add_export(app, s);
}

}  // namespace tributary::cli
