// Commands about the replica itself: id, fork, pull, heads, log, conflicts, merge.

#include "tributary/store/local_socket.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>

#include "database_answers.hpp"
#include "database_options.hpp"
#include "datom_directory.hpp"
#include "graph_lines.hpp"
#include "output.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

constexpr std::size_t page_bytes = 256u << 10;

std::string author_of(const commit_view& c) {
    return c.author_name.empty() ? c.header.author.brief() : c.author_name;
}

void add_id(CLI::App& app, session& s) {
    auto* command =
        add_command(app, "id", "Print my public key; an identity is made on first use", "trib id");
    command->callback([&s] {
        s.action = [&s] {
            std::cout << s.open_or_make()->key().hex() << '\n';
            return ok;
        };
    });
}

void add_fork(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "fork",
                                "A new CRDT of mine that begins with the history of another",
                                "trib fork tweets my-tweets");
    auto name = std::make_shared<std::string>();
    auto fresh = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command->add_option("NEW", *fresh)->required();
    command->callback([=, &s] {
        s.action = [=, &s] {
            std::cout << address_of(s.open()->fork(*name, *fresh)) << '\n';
            return ok;
        };
    });
}

void add_pull(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "pull",
                    "Take the commits of another CRDT here into one of mine; or, with "
                    "three arguments and more, what a pattern names of entities",
                    "trib pull tweets my-tweets\n  trib pull people.datom '[:person/name "
                    "{:person/friend [:person/name]}]' '[:person/email "
                    "\"ann@example.org\"]'");
    auto name = std::make_shared<std::string>();
    auto from = std::make_shared<std::string>();
    auto view = std::make_shared<view_options>();
    command->add_option("CRDT", *name, "what takes; or a datom database's directory")->required();
    command->add_option("FROM", *from, "what is taken; or a pull pattern")->required();
    take_edn_arguments(command);
    command->footer("After a pattern: ENTITY..., as EDN: an id, an ident or a lookup ref\n\n" +
                    command->get_footer());
    add_view(command, *view);
    add_format(command, s, {"table", "edn", "json"});
    command->callback([=, &s] {
        s.action = [=, &s] {
            if (const std::vector<value> entities = edn_arguments(command).values;
                !entities.empty()) {
                show_pull({*name, view->as_value(), s.output, 0, {}, {}},
                          edn_argument("the pattern", *from).text,
                          entities);
                return ok;
            }
            if (is_database(*name) || from->starts_with('['))
                throw usage_error("expected: trib pull DATABASE PATTERN ENTITY...");
            std::cout << s.open()->pull(*name, *from).hex() << '\n';
            return ok;
        };
    });
}

std::vector<value> log_row(const commit_view& c) {
    return {c.id.brief(),
            inst{c.header.time_ms},
            author_of(c),
            static_cast<std::int64_t>(c.header.op_count)};
}

/// For people: what is not to be seen here.
void print_beginning(const crdt_summary& c) {
    if (c.below)
        std::cout << '(' << counted(*c.below, "older commit") << " not here: trib deepen " << c.name
                  << ")\n";
}

void add_heads(CLI::App& app, session& s) {
    auto* command =
        add_command(app, "heads", "The heads, the current one first", "trib heads tweets");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s] {
            const auto replica = s.open();
            const crdt_summary summary = replica->summary(*name);
            std::vector<std::vector<value>> rows;
            for (const commit_id& head : summary.heads) {
                const std::optional<commit_view> c = replica->find(*name, head, false);
                std::vector<value> row = {
                    head.hex(), head == summary.current, inst{c->header.time_ms}, author_of(*c)};
                rows.insert(head == summary.current ? rows.begin() : rows.end(), std::move(row));
            }
            print_rows(s.output, {"head", "current", "time", "author"}, rows);
            if (s.output == format::table) print_beginning(summary);
            return ok;
        };
    });
}

/// [[op-name params] ...]
value ops_of(const commit_view& c) {
    vector out;
    for (const bytes_view encoded : split_body(c.body)) {
        op decoded = decode_op(encoded);
        out.push_back(vector{decoded.name, std::move(decoded.params)});
    }
    return out;
}

void print_ops(const commit_view& c) {
    for (const bytes_view encoded : split_body(c.body)) {
        const op decoded = decode_op(encoded);
        std::cout << "    (" << decoded.name.text << ' ' << edn::print(decoded.params) << ")\n";
    }
}

/// Prints commits of the linear log from the newest back, like git, without holding the history in
/// memory.
int print_log(session& s, const std::string& name, bool ops, bool graph, std::uint64_t most) {
    const auto replica = s.open();
    const crdt_summary summary = replica->summary(name);
    std::uint64_t end = graph ? summary.commits : summary.linear_length;
    graph_lines lines;
    std::vector<std::vector<value>> rows;
    constexpr std::uint64_t page = 256;
    while (end > 0 && most > 0 && keep_going()) {
        const std::uint64_t first = end - std::min({end, page, most});
        std::vector<commit_view> commits;  // a page may come in several parts
        while (commits.size() < end - first) {
            const std::uint64_t at = first + commits.size();
            const auto part = graph ? replica->read_arrival(name, at + 1, page_bytes, ops)
                                    : replica->read_linear(name, at, page_bytes, ops);
            if (part.empty()) break;
            commits.insert(commits.end(), part.begin(), part.end());
        }
        commits.resize(std::min<std::size_t>(commits.size(), end - first));
        for (auto c = commits.rbegin(); c != commits.rend(); ++c) {
            if (s.output != format::table) {
                rows.push_back(log_row(*c));
                if (ops) rows.back().push_back(ops_of(*c));
                continue;
            }
            const graph_lines::drawing drawn =
                graph ? lines.next(c->id, c->header.parents) : graph_lines::drawing{};
            for (const std::string& line : drawn.above) std::cout << line << '\n';
            std::cout << drawn.left << c->id.brief() << "  "
                      << format_instant(inst{c->header.time_ms}) << "  " << author_of(*c) << "  "
                      << counted(c->header.op_count, "op")
                      << (c->linearized ? "" : "  (not counted: its author had no right)") << '\n';
            for (const std::string& line : drawn.below) std::cout << line << '\n';
            if (ops) print_ops(*c);
        }
        most -= end - first;
        end = first;
    }
    if (s.output == format::table && end == 0) print_beginning(summary);
    if (s.output != format::table) {
        std::vector<std::string> columns = {"commit", "time", "author", "ops"};
        if (ops) columns.push_back("operations");
        print_rows(s.output, columns, rows);
    }
    return ok;
}

void add_log(CLI::App& app, session& s) {
    auto* command =
        add_command(app, "log", "Commits, the newest first", "trib log tweets --ops -n 3");
    auto name = std::make_shared<std::string>();
    auto ops = std::make_shared<bool>(false);
    auto graph = std::make_shared<bool>(false);
    auto most = std::make_shared<std::uint64_t>(~std::uint64_t{0});
    command->add_option("CRDT", *name)->required();
    command->add_flag("--ops", *ops, "with their operations");
    command->add_flag(
        "--graph", *graph, "all commits, also those of other heads, with lines to their parents");
    command->add_option("-n", *most, "at most so many")->check(CLI::PositiveNumber);
    add_format(command, s);
    command->callback(
        [=, &s] { s.action = [=, &s] { return print_log(s, *name, *ops, *graph, *most); }; });
}

void add_conflicts(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "conflicts",
                                "Where several heads parted, and what each side has",
                                "trib conflicts tweets");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            if (replica->summary(*name).heads.size() < 2) {
                if (s.output == format::table) std::cout << "no conflict: one head\n";
                return ok;
            }
            const conflict_summary conflict = replica->conflicts(*name);
            std::vector<std::vector<value>> rows;
            for (const auto& side : conflict.sides) {
                for (const commit_view& c : side.commits) {
                    std::vector<value> row = log_row(c);
                    row.insert(row.begin(), side.head.brief());
                    rows.push_back(std::move(row));
                }
            }
            if (s.output == format::table) {
                std::cout << conflict.sides.size() << " heads; fork point:";
                for (const commit_id& fork : conflict.fork_points) std::cout << ' ' << fork.brief();
                std::cout << (conflict.fork_points.empty() ? " none, they never met" : "")
                          << "\n\n";
            }
            print_rows(s.output, {"head", "commit", "time", "author", "ops"}, rows);
            if (s.output == format::table)
                std::cout << "\nwhat each did: trib log " << *name
                          << " --graph --ops\njoin them: trib merge " << *name << '\n';
            return in_conflict;
        };
    });
}

/// A head by its id or an unambiguous beginning of it.
commit_id find_head(const crdt_summary& summary, const std::string& text) {
    std::vector<commit_id> found;
    for (const commit_id& head : summary.heads) {
        if (head.hex().rfind(text, 0) == 0) found.push_back(head);
    }
    if (found.size() == 1) return found.front();
    throw error(
        found.empty() ? errc::not_found : errc::misuse,
        text + (found.empty() ? " is not a head of " : " is the beginning of several heads of ") +
            summary.name + "; see: trib heads " + summary.name);
}

/// The ops in a file of [[op-name params] ...]. Errors: bad_input naming the file.
std::vector<op> read_corrections(const std::string& file) {
    const value source = read_edn(file, read_file(file));
    const auto* entries = source.get_if<vector>();
    if (entries == nullptr)
        throw error(errc::bad_input,
                    file + ": expected [[op-name params] ...], found " + edn::describe(source));
    std::vector<op> ops;
    for (const value& entry : *entries) {
        const auto* pair = entry.get_if<vector>();
        const auto* name =
            pair != nullptr && pair->size() == 2 ? pair->front().get_if<symbol>() : nullptr;
        if (name == nullptr)
            throw error(errc::bad_input,
                        file + ": expected [op-name params], found " + edn::describe(entry));
        ops.push_back({*name, pair->back()});
    }
    return ops;
}

void add_merge(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "merge",
                    "Join the heads in one commit; the order decides the order of their ops",
                    "trib merge tweets --order 5d41,9a0c");
    auto name = std::make_shared<std::string>();
    auto order = std::make_shared<std::vector<std::string>>();
    auto corrections = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command
        ->add_option(
            "--order",
            *order,
            "all heads, the first parent first (default: the current head, then the others)")
        ->delimiter(',');
    command->add_option(
        "--with", *corrections, "a file of correcting ops: [[op-name params] ...] as EDN");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            const crdt_summary summary = replica->summary(*name);
            std::vector<commit_id> parents;
            for (const std::string& text : *order) parents.push_back(find_head(summary, text));
            const std::vector<op> ops =
                corrections->empty() ? std::vector<op>() : read_corrections(*corrections);
            std::cout << replica->merge(*name, parents, ops).hex() << '\n';
            return ok;
        };
    });
}

}  // namespace

void add_replica_commands(CLI::App& app, session& s) {
    add_id(app, s);
    add_fork(app, s);
    add_pull(app, s);
    add_heads(app, s);
    add_log(app, s);
    add_conflicts(app, s);
    add_merge(app, s);
}

}  // namespace tributary::cli
