// Commands about the store as a whole: verify, backup, rm, gc.

#include "tributary/datom/verify.hpp"
#include "tributary/peer/repair.hpp"
#include "tributary/store/leveldb_kv.hpp"

#include <fmt/format.h>

#include "database_answers.hpp"
#include "datom_directory.hpp"
#include "output.hpp"
#include "progress.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

/// Checks a datom database: opened as it is, for what does not open cannot be asked about. Where a
/// process has it open, that one checks what it has.
int verify_database(const std::filesystem::path& dir) {
    progress bar("verifying " + dir.string());
    const auto problem = [&](const std::string& text) {
        bar.clear();
        log_line(text, "error");
    };
    const auto show = [&](std::int64_t done, std::int64_t all) {
        if (!keep_going()) throw error(errc::canceled, "interrupted before all was checked");
        bar.show(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(all), "transactions");
    };
    std::unique_ptr<kv> store;
    try {
        store = open_leveldb(dir, {.create = false});
    } catch (const error& e) {
        if (e.code() != errc::locked) throw;
    }
    datom::verified v;
    if (store) {
        v = datom::verify(*store, problem, show);
    } else {
        const value found = ask_database(dir, "verify/1", map{}, [&](const value& part) {
            if (const auto* at = part.get_if<vector>())
                show(at->at(0).as<std::int64_t>(), at->at(1).as<std::int64_t>());
            else if (!part.is_nil())
                problem(part.as<std::string>());
        });
        const auto number = [&](const char* name) {
            return found.find(value(keyword{name}))->as<std::int64_t>();
        };
        v.transactions = number("transactions");
        v.datoms = static_cast<std::uint64_t>(number("datoms"));
        v.entries = static_cast<std::uint64_t>(number("entries"));
        v.problems = static_cast<std::uint64_t>(number("problems"));
    }
    bar.clear();
    std::cout << dir.string() << ": " << with_commas(static_cast<std::uint64_t>(v.transactions))
              << " transactions, " << with_commas(v.datoms) << " datoms and "
              << with_commas(v.entries) << " index entries checked\n";
    if (v.problems > 0)
        log_line(std::to_string(v.problems) +
                     " problems; restore the directory, or make it anew from where its data came "
                     "from",
                 "error");
    return v.problems > 0 ? failed : ok;
}

crdt_summary crdt_to_verify(stage& replica, const std::string& name) {
    try {
        return replica.summary(name);
    } catch (const error& e) {
        if (e.code() != errc::not_found) throw;
        throw error(e.code(),
                    "there is no CRDT \"" + name +
                        "\" in this store, and no datom database in a directory of that name");
    }
}

int repair(const session& s, const std::string& url) {
    progress bar("repairing");
    repair_options options;
    options.url = url;
    options.progress = [&](const std::string& crdt, std::uint64_t done, std::uint64_t all) {
        if (!keep_going()) throw error(errc::canceled, "interrupted; the store is as it was");
        bar.show(done, all, "commits of " + crdt);
    };
    if (!s.has_store())
        throw error(errc::not_found, "there is no store in " + s.store_dir().string());
    const std::vector<repaired_crdt> done = repair_store(s.store_dir(), options);
    bar.clear();
    bool lost = false;
    for (const repaired_crdt& c : done) {
        std::cout << c.name << ": " << counted(c.kept, "commit") << " kept, "
                  << with_commas(c.fetched) << " fetched\n";
        for (const std::string& text : c.lost)
            log_line(c.name + ": lost: " + text + "; another peer may have it: trib sync " +
                         c.name + " URL",
                     "error");
        lost = lost || !c.lost.empty();
    }
    std::cout << "the damaged database is in " << (s.store_dir() / "db.damaged").string()
              << "; remove it when all is well\n";
    return lost ? failed : ok;
}

void add_verify(CLI::App& app, session& s) {
    auto* command = add_command(
        app,
        "verify",
        "Read everything back: every hash and signature, or every index of a datom database",
        "trib verify tweets");
    auto name = std::make_shared<std::string>();
    auto url = std::make_shared<std::string>();
    command->add_option("CRDT", *name, "only this one, or the directory of a datom database");
    auto* repairing =
        command
            ->add_option("--repair",
                         *url,
                         "make the store anew from what is intact, and fetch the rest from this "
                         "peer (default: the one used last)")
            ->type_name("[URL]")
            ->expected(0, 1);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            if (repairing->count() > 0) {
                if (!name->empty())
                    throw usage_error(
                        "--repair is of a whole store; expected: trib verify --repair "
                        "[URL]");
                return repair(s, *url);
            }
            if (!name->empty() && is_database(*name)) return verify_database(*name);
            if (!name->empty() && !s.has_store())
                throw error(errc::not_found,
                            "there is no datom database in " + *name + ", and no store in " +
                                s.store_dir().string() + " which could have a CRDT of that name");
            const auto replica = s.open();
            std::uint64_t problems = 0;
            for (const crdt_summary& c :
                 name->empty() ? replica->list() : std::vector{crdt_to_verify(*replica, *name)}) {
                progress bar("verifying " + c.name);
                const std::uint64_t commits = replica->verify(
                    c.name,
                    [&](const std::string& problem) {
                        bar.clear();
                        log_line(c.name + ": " + problem, "error");
                        ++problems;
                    },
                    [&](std::uint64_t done, std::uint64_t all) {
                        if (!keep_going())
                            throw error(errc::canceled, "interrupted before all was checked");
                        bar.show(done, all, "commits");
                    });
                bar.clear();
                std::cout << c.name << ": " << counted(commits, "commit") << " checked\n";
                if (c.equivocations > 0)
                    log_line(fmt::format("{}: {}: an author wrote different commits with one "
                                         "number, from two stores or a restored one",
                                         c.name,
                                         counted(c.equivocations, "equivocation")),
                             "warn");
            }
            if (problems > 0)
                log_line(
                    std::to_string(problems) +
                        " problems; trib verify --repair [URL] makes the store anew from what is "
                        "intact and what a peer has",
                    "error");
            return problems > 0 ? failed : ok;
        };
    });
}

void add_backup(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "backup",
                                "Copy the whole store, identity included, while it is in use",
                                "trib backup /mnt/backup/tweets-2026-11-27");
    auto to = std::make_shared<std::string>();
    command->add_option("DIRECTORY", *to, "a new directory; it appears when the copy is complete")
        ->required();
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            progress bar("copying");
            const std::uint64_t size = s.open()->backup(*to, [&](std::uint64_t done) {
                if (!keep_going())
                    throw error(errc::canceled, "interrupted; there is no half of a copy left");
                bar.show(done >> 10, 0, "KiB");
            });
            bar.clear();
            std::cout << human_bytes(size) << " copied to " << *to
                      << "; it is a store: trib verify --store " << *to << '\n';
            return ok;
        };
    });
}

void add_rm(CLI::App& app, session& s) {
    auto* command = add_command(
        app, "rm", "Remove a replica from this store; peers keep theirs", "trib rm tweets");
    auto name = std::make_shared<std::string>();
    auto force = std::make_shared<bool>(false);
    command->add_option("CRDT", *name)->required();
    command->add_flag("--force", *force, "even if no peer has all of its commits");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            s.open()->remove(*name, *force);
            std::cout << *name << " is removed\n";
            return ok;
        };
    });
}

void add_gc(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "gc",
                                "Give back the room of what nothing needs; never anything that a "
                                "peer may still ask for",
                                "trib gc --dry-run");
    auto look = std::make_shared<bool>(false);
    command->add_flag("--dry-run", *look, "only say what there is");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const garbage_report found = s.open()->collect_garbage(*look);
            std::cout << counted(found.records, "record") << " of removed replicas, "
                      << human_bytes(found.bytes) << (*look ? "" : ", dropped") << '\n';
            if (!*look)
                std::cout << counted(found.blobs, "blob") << " that no commit names, "
                          << human_bytes(found.blob_bytes) << ", dropped\n";
            return ok;
        };
    });
}

}  // namespace

void add_store_commands(CLI::App& app, session& s) {
    add_verify(app, s);
    add_backup(app, s);
    add_rm(app, s);
    add_gc(app, s);
}

}  // namespace tributary::cli
