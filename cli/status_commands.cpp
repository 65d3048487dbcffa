// How things stand: status, watch.

#include <fmt/format.h>

#include "output.hpp"
#include "peer_rows.hpp"
#include "watch.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

std::int64_t whole(std::uint64_t n) { return static_cast<std::int64_t>(n); }

std::vector<std::vector<value>> replica_rows(const std::vector<crdt_summary>& replicas) {
    std::vector<std::vector<value>> rows;
    for (const crdt_summary& c : replicas) {
        rows.push_back({c.name, "address", address_of(c.id)});
        rows.push_back({c.name, "commits", whole(c.commits)});
        if (c.below) rows.push_back({c.name, "history", history_text(c)});
        rows.push_back({c.name, "ops", whole(c.ops)});
        rows.push_back({c.name, "heads", whole(c.heads.size())});
        if (c.heads.size() > 1)
            rows.push_back({c.name, "conflict", "see: trib conflicts " + c.name});
        if (c.equivocations > 0)
            rows.push_back({c.name,
                            "equivocations",
                            fmt::format("{}: an author wrote different commits with one number, "
                                        "from two stores or a restored one",
                                        with_commas(c.equivocations))});
        for (const auto& [what, text] : c.status)
            if (what != "disk free") rows.push_back({c.name, what, text});
    }
    return rows;
}

void print_status(const session& s, const std::string& name) {
    const auto replica = s.open();
    std::vector<std::vector<value>> rows =
        replica_rows(name.empty() ? replica->list() : std::vector{replica->summary(name)});
    const std::vector<peer_status> peers = replica->peers(name);
    const bool for_people = s.output == format::table;
    if (!for_people)
        for (const peer_status& p : peers) rows.push_back({p.crdt, "peer", peer_value(p)});
    const auto space = std::filesystem::space(s.store_dir());
    rows.push_back({"", "store", std::filesystem::absolute(s.store_dir()).string()});
    rows.push_back({"",
                    "disk free",
                    for_people ? value(human_bytes(space.available)) : value(space.available)});
    print_rows(s.output, {"crdt", "what", "value"}, rows);
    if (!for_people || peers.empty()) return;
    std::cout << std::endl;
    std::vector<std::vector<value>> table;
    for (const peer_status& p : peers) table.push_back(peer_row(p));
    print_rows(s.output, peer_columns, table);
}

void add_status(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "status",
                                "What is here, what stopped, and what each peer lacks, since when "
                                "and why",
                                "trib status");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name, "only this one");
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            print_status(s, *name);
            return ok;
        };
    });
}

void add_watch(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "watch",
                    "The same live: a table on a terminal, elsewhere a line for each change; ends "
                    "with SIGINT or SIGTERM",
                    "trib watch tweets");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name, "only this one");
    add_format(command, s, {"table", "json"});
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            watch(*replica, *name, s.output);
            return ok;
        };
    });
}

}  // namespace

void add_status_commands(CLI::App& app, session& s) {
    add_status(app, s);
    add_watch(app, s);
}

}  // namespace tributary::cli
