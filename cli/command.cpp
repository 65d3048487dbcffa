#include "command.hpp"

#include "tributary/value/json.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tributary::cli {

namespace {

std::atomic<bool> stop_asked{false};

void on_signal(int) {
    if (stop_asked.exchange(true)) _exit(interrupted);
}

}  // namespace

bool keep_going() { return !stop_asked; }

void watch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;  // without SA_RESTART: a read from a terminal or pipe ends
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

std::filesystem::path session::store_dir() const {
    if (!store.empty()) return store;
    if (const char* set = std::getenv("TRIB_STORE"); set != nullptr && *set != '\0') return set;
    if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0') {
        return std::filesystem::path(data) / "tributary";
    }
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
        throw error(errc::misuse,
                    "no store: give --store DIR, or set TRIB_STORE, XDG_DATA_HOME or HOME");
    }
    return std::filesystem::path(home) / ".local" / "share" / "tributary";
}

CLI::App* add_command(CLI::App& app,
                      const std::string& name,
                      const std::string& description,
                      const std::string& example) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer("Example:\n  " + example);
    return command;
}

void add_format(CLI::App* command, session& s) {
    const std::map<std::string, format> choices = {{"table", format::table},
                                                   {"edn", format::edn},
                                                   {"json", format::json},
                                                   {"csv", format::csv},
                                                   {"chart", format::chart}};
    command->add_option("--format", s.output, "table, edn, json, csv or chart")
        ->transform(CLI::CheckedTransformer(choices).description("table|edn|json|csv|chart"));
}

void log_line(const session& s, const std::string& text, const std::string& level) {
    static const auto logger = [&] {
        auto made = spdlog::get("tributary");
        if (!made) made = spdlog::stderr_logger_mt("tributary");
        return made;
    }();
    if (s.json_log) {
        logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%v})");
        logger->log(spdlog::level::from_str(level), json::print(text));
    } else {
        logger->set_pattern("%v");
        logger->log(spdlog::level::from_str(level), text);
    }
    logger->flush();
}

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
        throw error(errc::not_found, "cannot read " + file.string() + ": " + std::strerror(errno));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace tributary::cli
