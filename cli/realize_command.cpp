// realize.

#include "tributary/realize/datom_target.hpp"
#include "tributary/realize/stage_source.hpp"
#include "tributary/realize/stream.hpp"
#include "tributary/value/instant.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>

#include "datom_directory.hpp"
#include "output.hpp"
#include "progress.hpp"
#include <iostream>
#include <thread>

namespace tributary::cli {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A database that is of no use once its making has ended: the new one if that failed, else the
/// old one, exchanged for it.
struct removed_at_end {
    fs::path dir;
    ~removed_at_end() {
        std::error_code ignored;
        fs::remove_all(dir, ignored);
    }
};

struct realize_options {
    std::string crdt, map_file, into, log = "main";
    bool follow = false, rebuild = false;
    stream_options stream;
};

/// A realize stream between the replica and a database, and what people are told about it.
class realizer {
public:
    realizer(const session& s, const realize_options& options)
        : session_(s),
          options_(options),
          dispatch_(read_map()),
          replica_(s.open()),
          crdt_(replica_->summary(options.crdt).id) {}

    int run() {
        if (options_.rebuild) return rebuild();
        if (is_database(options_.into)) return realize(options_.into, options_.follow);
        require_room_for_database(options_.into);
        try {
            return realize(options_.into, options_.follow);
        } catch (...) {
            // A first realize that applies nothing leaves nothing that a mended map could not use.
            if (!has_applied_) fs::remove_all(fs::weakly_canonical(options_.into));
            throw;
        }
    }

private:
    dispatch_map read_map() const {
        try {
            return read_dispatch_map(read_file(options_.map_file));
        } catch (const error& e) {
            throw error(e.code(), options_.map_file + ": " + e.what());
        }
    }

    int realize(const fs::path& into, bool follow) {
        datom_directory directory(into, true, sharing::realized);
        datom_target target(directory.connection(), options_.log, dispatch_);
        stage_source source(*replica_, options_.crdt);
        realize_stream stream(source, target, dispatch_, crdt_, options_.stream);
        progress bar("realizing " + options_.crdt);
        int result = ok;
        for (bool reported_conflict = false;;) {
            const std::uint64_t commits = replica_->summary(options_.crdt).commits;
            const stream_stop stop = pass(stream, bar);
            if (stop == stream_stop::conflict && !reported_conflict) report_conflict(bar);
            reported_conflict = stop == stream_stop::conflict;
            result = reported_conflict ? in_conflict : ok;
            if (stop == stream_stop::canceled || !follow || !keep_going()) break;
            replica_->wait_for_change(options_.crdt, commits, 500ms);
        }
        bar.clear();
        const bool was_interrupted =
            !keep_going() && !follow && stream.progress().position < stream.progress().length;
        report(stream.progress(), was_interrupted ? interrupted : result);
        return was_interrupted ? interrupted : result;
    }

    stream_stop pass(realize_stream& stream, progress& bar) {
        try {
            return stream.run([&](const stream_progress& p) {
                has_applied_ = has_applied_ || p.ops + p.failed > 0;
                bar.show(p.position, p.length, "commits", with_commas(p.ops) + " ops");
                return keep_going();
            });
        } catch (const error& e) {
            bar.clear();
            note_status(std::string("stopped: ") + e.what());
            throw;
        }
    }

    void report_conflict(progress& bar) {
        bar.clear();
        const std::size_t heads = replica_->summary(options_.crdt).heads.size();
        const std::string text = fmt::format(
            "{} has {} heads: what is applied stays, nothing more is until they are merged; see: "
            "trib conflicts {}",
            options_.crdt,
            heads,
            options_.crdt);
        log_line(text, "warn");
        note_status("stopped: " + text);
    }

    void report(const stream_progress& p, int result) {
        std::string text = fmt::format("{} applied in all, {} in this run",
                                       counted(p.position, "commit"),
                                       counted(p.ops, "op"));
        if (p.failed > 0)
            text += fmt::format(", {} failed (kept as :op/failed)", counted(p.failed, "op"));
        if (p.rewound_commits > 0)
            text += fmt::format(", {} undone and applied again in their merged order",
                                counted(p.rewound_commits, "commit"));
        if (result == interrupted) text += "; interrupted: run it again to go on";
        std::cout << text << '\n';
        if (result != in_conflict) note_status(text);
    }

    /// For `trib status`; a stream that cannot say how it is still realizes.
    void note_status(const std::string& text) {
        try {
            const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch());
            const std::string where = fs::absolute(options_.into).lexically_normal().string();
            replica_->put_marks(options_.crdt,
                                {{"status/realize into " + where,
                                  format_instant(inst{now.count()}) + ": " + text}});
        } catch (const error& e) {
            log_line(std::string("the status could not be noted: ") + e.what(), "warn");
        }
    }

    /// Builds a new database beside the old one, and swaps them once it has caught up.
    int rebuild() {
        // A link stays one: what it leads to is replaced.
        const fs::path into = fs::weakly_canonical(options_.into);
        const fs::path fresh = into.string() + ".rebuild";
        for (const fs::path& replaced : {into, fresh}) require_nothing_lost(replaced);
        fs::remove_all(fresh);
        const int result = replace(into, fresh);
        return result == ok && options_.follow ? realize(into, true) : result;
    }

    int replace(const fs::path& into, const fs::path& fresh) {
        const removed_at_end unfinished{fresh};
        const int result = realize(fresh, false);
        if (result == ok && keep_going()) {
            swap_in(fresh, into);
            return ok;
        }
        std::cerr << options_.into << " is as it was\n";
        return result != ok ? result : static_cast<int>(interrupted);
    }

    /// Of what a rebuild puts another database in the place of. Errors: misuse if that has anything
    /// that this stream does not make again.
    void require_nothing_lost(const fs::path& dir) {
        require_room_for_database(dir);
        if (!is_database(dir)) return;
        datom_directory directory(dir, false, sharing::realized);
        const datom::connection& database = directory.connection();
        const auto refuse = [&](const std::string& what) {
            throw error(errc::misuse,
                        dir.string() + " has " + what +
                            ", which --rebuild would lose; realize into another directory");
        };
        if (has_facts_of_its_own(database)) refuse("facts that came from no stream");
        for (const std::string& stream : database.streams()) {
            if (stream != options_.log) refuse("the stream \"" + stream + "\" (--log) too");
            if (!database.cursor(stream)->dispatch.ends_with(crdt_.view()))
                refuse("what was realized from another CRDT");
        }
    }

    void swap_in(const fs::path& fresh, const fs::path& into) {
        if (!fs::exists(into)) {
            fs::rename(fresh, into);
            return;
        }
        const datom_directory old(into, true, sharing::realized);  // nobody else may be writing it
        if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, into.c_str(), RENAME_EXCHANGE) != 0) {
            throw error(errc::io,
                        "cannot exchange " + fresh.string() + " and " + into.string() + ": " +
                            std::strerror(errno));
        }
    }

    const session& session_;
    const realize_options& options_;
    dispatch_map dispatch_;
    std::unique_ptr<stage> replica_;
    crdt_id crdt_;
    bool has_applied_ = false;  ///< an op, durably or not
};

}  // namespace

void add_realize_command(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "realize",
                    "Apply every op once, through a dispatch map, to a datom database",
                    "trib realize tweets --with tweets.edn --into tweets.datom --follow");
    auto options = std::make_shared<realize_options>();
    command->add_option("CRDT", options->crdt)->required();
    command
        ->add_option(
            "--with", options->map_file, "the dispatch map: {:schema [...] :ops {op [...]}} as EDN")
        ->required();
    command->add_option("--into", options->into, "the database's directory")->required();
    command
        ->add_option(
            "--log", options->log, "which applied log, for several streams into one database")
        ->capture_default_str();
    command->add_flag(
        "--follow", options->follow, "stay and apply what arrives, until interrupted");
    auto* rebuild = command->add_flag(
        "--rebuild",
        options->rebuild,
        "all of it again into a new database, which then takes the place of the old one");
    command
        ->add_flag("--from-here",
                   options->stream.from_here,
                   "accept a changed dispatch map for what comes")
        ->excludes(rebuild);
    add_choice(command,
               "--on-failure",
               options->stream.on_failure,
               {{"stop", failing_op::stop},
                {"skip", failing_op::skip},
                {"quarantine", failing_op::quarantine}},
               "what to do with an op that fails (default: stop)");
    add_choice(command,
               "--mode",
               options->stream.mode,
               {{"strict", conflict_mode::strict}, {"current", conflict_mode::follow_current}},
               "with several heads: stop (strict, the default) or follow the current one");
    command->callback([=, &s] { s.action = [=, &s] { return realizer(s, *options).run(); }; });
}

}  // namespace tributary::cli
