#include "datom_directory.hpp"

#include "tributary/store/memory_kv.hpp"

#include "command.hpp"
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

namespace tributary::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto owner_patience = 5s;
constexpr auto handover_patience = 1s;

/// A follower that has the directory open is asked to let the process that asks have it; others do
/// not know the request.
constexpr const char* leave_request = "leave/1";

request_handler handler_of(datom::connection& connection,
                           std::filesystem::path dir,
                           sharing allowed) {
    return [&connection, dir = std::move(dir), allowed](
               const std::string& method, const value& args, const emit_function& emit) {
        return answer_request(connection, dir, allowed, method, args, emit);
    };
}

/// What LevelDB makes before a directory has a database: a process that was killed then left it.
bool is_half_made(const std::string& file) {
    static const std::set<std::string> files = {
        "LOCK", "LOG", "LOG.old", "MANIFEST-000001", "000001.dbtmp"};
    return files.contains(file);
}

void make_database(const std::filesystem::path& dir) {
    require_room_for_database(dir);
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (!failed) std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
    if (failed)
        throw error(errc::io,
                    "cannot make the directory " + dir.string() + ": " + failed.message());
}

using opened_or_client =
    std::pair<std::unique_ptr<datom::connection>, std::unique_ptr<local_client>>;

opened_or_client open_or_ask(const std::filesystem::path& dir) {
    return open_or_connect<datom::connection>(
        dir, [&] { return datom::connection::open(dir, open_options()); });
}

/// Ends a client's call once the user asks to stop.
class stop_watch {
public:
    explicit stop_watch(local_client& client)
        : watcher_([this, &client] {
              while (!done_) {
                  if (!keep_going()) return client.cancel();
                  std::this_thread::sleep_for(50ms);
              }
          }) {}
    ~stop_watch() {
        done_ = true;
        watcher_.join();
    }

private:
    std::atomic<bool> done_{false};
    std::thread watcher_;
};

void ask_to_leave(local_client& owner) {
    try {
        owner.call(leave_request, map{});
    } catch (const error&) {  // it stays, or has left
    }
}

using part_taker = std::function<void(const value&)>;

/// Follows the log in this process, which serves the others meanwhile, until Ctrl-C or until one of
/// them wants the directory for itself.
void follow_here(const std::filesystem::path& dir,
                 std::unique_ptr<datom::connection> opened,
                 const value& request,
                 const part_taker& take) {
    std::atomic<bool> must_leave{false};
    {
        const request_handler answers = handler_of(*opened, dir, sharing::all);
        const local_server others(
            dir, [&](const std::string& method, const value& args, const emit_function& emit) {
                if (method != leave_request) return answers(method, args, emit);
                must_leave = true;
                return value();
            });
        answer_request(*opened, dir, sharing::all, "tx-range/1", request, [&](const value& p) {
            if (!p.is_nil()) take(p);
            return keep_going() && !must_leave;
        });
    }
    opened.reset();
    // Whoever asked gets there first.
    for (const auto until = std::chrono::steady_clock::now() + handover_patience;
         must_leave && keep_going() && std::chrono::steady_clock::now() < until &&
         !local_client::connect(dir);)
        std::this_thread::sleep_for(50ms);
}

/// Follows the log through the process that has the database open, while it has it.
void follow_there(local_client& owner, const value& request, const part_taker& take) {
    try {
        const stop_watch watch(owner);
        owner.call("tx-range/1", request, take);
    } catch (const error& e) {
        const bool it_left = e.code() == errc::unavailable || e.code() == errc::locked;
        if (keep_going() && !it_left) throw;
    }
}

}  // namespace

bool is_database(const std::filesystem::path& dir) {
    return std::filesystem::exists(dir / "CURRENT");
}

void require_database(const std::filesystem::path& dir) {
    require_room_for_database(dir);
    if (is_database(dir)) return;
    throw error(errc::not_found,
                "no datom database in " + dir.string() + "; make one with: trib transact " +
                    dir.string() + " TX, or trib realize CRDT --with MAP.edn --into " +
                    dir.string());
}

void require_room_for_database(const std::filesystem::path& dir) {
    namespace fs = std::filesystem;
    if (is_database(dir) || !fs::exists(fs::symlink_status(dir))) return;
    const std::string needs = "; a new database needs a directory of its own, absent or empty";
    if (!fs::is_directory(dir))
        throw error(errc::misuse, dir.string() + " is no directory" + needs);
    if (fs::exists(dir / "identity"))
        throw error(errc::misuse, dir.string() + " is a store" + needs);
    for (const fs::directory_entry& found : fs::directory_iterator(dir)) {
        const std::string file = found.path().filename().string();
        if (is_half_made(file)) continue;
        throw error(errc::misuse,
                    dir.string() + " is no datom database and has other files in it, such as " +
                        file + needs);
    }
}

datom_directory::datom_directory(const std::filesystem::path& dir, bool create, sharing allowed) {
    if (create)
        make_database(dir);
    else
        require_database(dir);
    for (const auto deadline = std::chrono::steady_clock::now() + owner_patience; !connection_;) {
        auto [opened, client] = open_or_ask(dir);
        connection_ = std::move(opened);
        if (connection_) break;
        ask_to_leave(*client);
        if (std::chrono::steady_clock::now() > deadline || !keep_going()) {
            throw error(errc::locked,
                        dir.string() + " is being written by the process " +
                            std::to_string(owner_pid(dir)) + "; stop that one first");
        }
        std::this_thread::sleep_for(50ms);
    }
    server_ = std::make_unique<local_server>(dir, handler_of(*connection_, dir, allowed));
}

datom_directory::~datom_directory() { server_.reset(); }

value ask_database(const std::filesystem::path& dir,
                   const std::string& method,
                   const value& args,
                   const part_taker& part,
                   bool create) {
    if (create && !is_database(dir)) {
        const auto memory = make_memory_kv();
        const auto trial = datom::connection::on(*memory);
        answer_request(*trial, dir, sharing::all, method, args, [](const value&) { return true; });
        make_database(dir);
    } else {
        require_database(dir);
    }
    bool has_begun = false;
    const auto take = [&](const value& p) {
        has_begun = true;
        if (part) part(p);
    };
    for (const auto deadline = std::chrono::steady_clock::now() + owner_patience;;) {
        auto [opened, client] = open_or_ask(dir);
        if (opened) {
            const local_server others(dir, handler_of(*opened, dir, sharing::reads));
            return answer_request(*opened, dir, sharing::all, method, args, [&](const value& p) {
                if (!p.is_nil()) take(p);
                return keep_going();
            });
        }
        bool may_have_written = false;
        try {
            const stop_watch watch(*client);
            if (method.starts_with("transact")) {
                // Whoever is gone soon says so before it has anything to write.
                client->call("writes/1", map{});
                may_have_written = true;
            }
            return client->call(method, args, take);
        } catch (const error& e) {
            // Its owner left, or is about to: open it here.
            const bool is_worth_trying =
                e.code() == errc::locked ||
                (e.code() == errc::unavailable && !has_begun && !may_have_written);
            if (!is_worth_trying || std::chrono::steady_clock::now() > deadline) throw;
        }
        std::this_thread::sleep_for(20ms);
    }
}

void follow_database(const std::filesystem::path& dir,
                     const std::string& from,
                     const std::function<void(const value& transactions)>& part) {
    const keyword t{"t"};
    const auto after = [](const value& last) {
        return "after:" + std::to_string(last.as<std::int64_t>());
    };
    // What comes while nobody has the database open is not to be missed.
    std::string cursor = from == "latest" ? after(ask_database(dir, "basis-t/1", map{})) : from;
    const auto take = [&](const value& transactions) {
        part(transactions);
        cursor = after(*transactions.as<vector>().back().find(t));
    };
    while (keep_going()) {
        require_database(dir);
        auto [opened, owner] = open_or_ask(dir);
        const value request = make_map({{keyword{"from"}, cursor}, {keyword{"follow"}, true}});
        if (opened)
            follow_here(dir, std::move(opened), request, take);
        else
            follow_there(*owner, request, take);
        if (keep_going()) std::this_thread::sleep_for(20ms);
    }
}

}  // namespace tributary::cli
