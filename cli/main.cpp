// trib: one binary, one subcommand each job.

#include "command.hpp"
#include "datom_service.hpp"
#include <malloc.h>
#include <pthread.h>

#include <clocale>

using namespace tributary;
using namespace tributary::cli;

namespace {

void add_global_options(CLI::App& app, session& s) {
    app.add_option("--store",
                   s.store,
                   "whose store: a directory (default: $TRIB_STORE, else the XDG data directory)");
    app.add_option_function<std::string>(
           "--log-format",
           [&s](const std::string& how) { s.json_log = how == "json"; },
           "text, or json: one object a line")
        ->check(CLI::IsMember({"text", "json"}));
    app.add_option_function<std::size_t>(
           "--memory",
           [](std::size_t mib) { open_options().memory_bytes = mib << 20; },
           "MiB a datom database and a query may take (default: 256)")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20));
    app.set_version_flag("--version", TRIBUTARY_VERSION);
    app.require_subcommand(1);
    app.fallthrough();  // global options may stand after the command too
}

/// What was typed is no command, or not what its command takes; or it asks for help.
int tell_usage(const CLI::App& app, const session& s, const CLI::ParseError& e) {
    const std::vector<std::string> unknown = app.remaining();
    const bool is_no_command = dynamic_cast<const CLI::RequiredError*>(&e) != nullptr &&
                               app.get_subcommands().empty() && !unknown.empty();
    if (!is_no_command && (e.get_exit_code() == 0 || !s.json_log))
        return app.exit(e) == 0 ? ok : wrong_usage;
    start_log(s);
    tell(usage_error(is_no_command
                         ? "there is no command \"" + unknown.front() + "\"; trib --help lists them"
                         : e.what()));
    return wrong_usage;
}

/// A peer is to take little private memory, and what it has read and written is to go back to the
/// system: large buffers at once, small ones from one heap instead of one a thread; and the usual 8
/// MiB for the stack of a thread, of which none here needs a quarter, count as private memory, too.
void spare_memory() {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return;
    if (pthread_attr_setstacksize(&attributes, 2u << 20) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

int exit_code_of(const error& e) {
    if (dynamic_cast<const usage_error*>(&e) != nullptr) return wrong_usage;
    // A query out of time is canceled as well.
    return e.code() == errc::canceled && !keep_going() ? interrupted : failed;
}

}  // namespace

int main(int argc, char** argv) {
    spare_memory();
    std::setlocale(LC_CTYPE, "C.UTF-8");  // for the width of what is printed
    CLI::App app(
        "Tributary: collect once, replicate anywhere, decide what it means when you read it",
        "trib");
    session s;
    add_global_options(app, s);
    add_replica_commands(app, s);
    add_member_commands(app, s);
    add_status_commands(app, s);
    add_store_commands(app, s);
    add_peer_commands(app, s);
    add_blob_commands(app, s);
    add_collect_command(app, s);
    add_tail_command(app, s);
    add_realize_command(app, s);
    add_query_commands(app, s);
    add_write_commands(app, s);
    add_repl_command(app, s);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return tell_usage(app, s, e);
    }
    try {
        watch_signals();
        start_log(s);
        return s.action();
    } catch (const error& e) {
        tell(e);
        return exit_code_of(e);
    } catch (const std::exception& e) {
        tell(e);
        return failed;
    }
}
