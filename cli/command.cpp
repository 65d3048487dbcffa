#include "command.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "datom_directory.hpp"
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>

namespace tributary::cli {

namespace {

constexpr const char* own_log = "trib";

std::atomic<bool> stop_asked{false};
bool is_json_log = false;

std::atomic<std::time_t> stop_asked_s{0};

/// A terminal and a supervisor may both pass on one Ctrl-C: only one that comes later means "at
/// once".
void on_signal(int) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!stop_asked.exchange(true)) {
        stop_asked_s = now.tv_sec;
    } else if (now.tv_sec - stop_asked_s > 1) {
        _exit(interrupted);
    }
}

/// {"time":...,"level":...,"message":...} with the message as a JSON string.
class json_formatter : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
        const auto since = message.time.time_since_epoch();
        const inst time{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
        const std::string_view text(message.payload.data(), message.payload.size());
        const auto level = spdlog::level::to_string_view(message.level);
        fmt::format_to(std::back_inserter(out),
                       "{{\"time\":\"{}\",\"level\":\"{}\",\"message\":{}}}\n",
                       format_instant(time),
                       std::string_view(level.data(), level.size()),
                       json::print(text));
    }
    std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<json_formatter>();
    }
};

}  // namespace

bool keep_going() { return !stop_asked; }

void go_on() { stop_asked = false; }

void tell(const std::exception& e) {
    const auto* ours = dynamic_cast<const error*>(&e);
    const std::string name = ours ? std::string(ours->name()) + ": " : std::string();
    log_line((is_json_log ? name : "trib: " + name) + e.what(), "error");
}

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

bool session::has_store() const {
    std::error_code failed;
    const auto found = std::filesystem::status(store_dir() / "identity", failed);
    return found.type() != std::filesystem::file_type::not_found;
}

std::unique_ptr<stage> session::open() const {
    if (has_store()) return stage::open(store_dir());
    throw error(
        errc::not_found,
        "there is no store in " + store_dir().string() + "; trib create or trib clone makes one");
}

std::unique_ptr<stage> session::open_or_make() const {
    if (!has_store() && is_database(store_dir()))
        throw error(
            errc::misuse,
            store_dir().string() + " is a datom database; a store needs a directory of its own");
    return stage::open(store_dir());
}

CLI::App* add_command(CLI::App& app,
                      const std::string& name,
                      const std::string& description,
                      const std::string& example) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer("Example:\n  " + example);
    return command;
}

void add_format(CLI::App* command, session& s, const std::vector<std::string>& names) {
    static const std::map<std::string, format> all = {{"table", format::table},
                                                      {"edn", format::edn},
                                                      {"json", format::json},
                                                      {"csv", format::csv},
                                                      {"chart", format::chart}};
    std::vector<std::pair<std::string, format>> choices;
    for (const std::string& name : names) choices.emplace_back(name, all.at(name));
    add_choice(command, "--format", s.output, choices, "how to print it (default: table)");
}

std::string user_name() {
    if (const char* user = std::getenv("USER"); user != nullptr && *user != '\0') return user;
    const passwd* entry = getpwuid(getuid());
    return entry != nullptr ? entry->pw_name : "";
}

void start_log(const session& s) {
    is_json_log = s.json_log;
    const auto own = spdlog::stderr_logger_mt(own_log);
    const auto library = std::make_shared<spdlog::logger>("tributary", own->sinks().front());
    spdlog::register_logger(library);
    for (const auto& logger : {own, library}) {
        logger->flush_on(spdlog::level::trace);
        if (s.json_log)
            logger->set_formatter(std::make_unique<json_formatter>());
        else
            logger->set_pattern("%v");
    }
    // People are told what their command came to; how each connection ended is for who reads logs.
    if (!s.json_log) library->set_level(spdlog::level::warn);
}

void log_line(const std::string& text, const std::string& level) {
    std::fflush(stdout);  // what was said before stands before it where both go to one file
    spdlog::get(own_log)->log(spdlog::level::from_str(level), text);
}

value read_edn(const std::string& what, const std::string& text) {
    try {
        return edn::read(text);
    } catch (const error& e) {
        throw error(e.code(), e.name(), what + ": " + e.what());
    }
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
