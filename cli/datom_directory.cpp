#include "datom_directory.hpp"

#include "command.hpp"
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace tributary::cli {

namespace {

using namespace std::chrono_literals;

datom::time_point time_point_of(const value& as_of) {
    if (const auto* t = as_of.get_if<inst>()) return *t;
    return as_of.as<std::int64_t>();
}

/// [result [column ...]] for [query [arg ...] as-of].
value answer(const datom::connection& connection,
             const value& request,
             const std::function<bool()>& wanted) {
    const vector& parts = request.as<vector>();
    if (parts.size() != 3) throw error(errc::bad_input, "expected [query args as-of]");
    datom::db db = connection.current();
    if (!parts[2].is_nil()) db = db.as_of(time_point_of(parts[2]));
    std::vector<datom::query_input> inputs = {db};
    for (const value& arg : parts[1].as<vector>()) inputs.emplace_back(arg);
    std::atomic<bool> cancel{false};
    datom::query_options options;
    options.cancel = &cancel;
    // A thread of its own, so that a client that goes away ends the query.
    auto result =
        std::async(std::launch::async, [&] { return datom::query(parts[0], inputs, options); });
    while (result.wait_for(50ms) != std::future_status::ready) {
        if (!wanted()) cancel = true;
    }
    vector columns;
    for (const std::string& name : datom::column_names(parts[0])) columns.emplace_back(name);
    return vector{result.get(), std::move(columns)};
}

request_handler handler_of(const datom::connection& connection) {
    return [&connection](const std::string& method,
                         const value& args,
                         const std::function<bool(const value&)>& emit) {
        if (method != "query")
            throw error(errc::misuse, "this database does not know the request " + method);
        return answer(connection, args, [&emit] { return emit(value()); });
    };
}

void require_database(const std::filesystem::path& dir) {
    if (std::filesystem::exists(dir / "CURRENT")) return;
    throw error(errc::not_found,
                "no datom database in " + dir.string() +
                    "; make one with: trib realize CRDT --with MAP.edn --into " + dir.string());
}

using opened_or_client =
    std::pair<std::unique_ptr<datom::connection>, std::unique_ptr<local_client>>;

opened_or_client open_or_ask(const std::filesystem::path& dir) {
    return open_or_connect<datom::connection>(dir, [&] { return datom::connection::open(dir); });
}

}  // namespace

datom_directory::datom_directory(const std::filesystem::path& dir, bool create) {
    if (create) {
        std::filesystem::create_directories(dir);
        std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
    } else {
        require_database(dir);
    }
    for (const auto deadline = std::chrono::steady_clock::now() + 5s; !connection_;) {
        auto [opened, client] = open_or_ask(dir);
        connection_ = std::move(opened);
        if (connection_) break;
        if (std::chrono::steady_clock::now() > deadline || !keep_going()) {
            throw error(errc::locked,
                        dir.string() + " is being written by the process " +
                            std::to_string(owner_pid(dir)) + "; stop that one first");
        }
        std::this_thread::sleep_for(50ms);
    }
    server_ = std::make_unique<local_server>(dir, handler_of(*connection_));
}

datom_directory::~datom_directory() { server_.reset(); }

query_answer query_directory(const std::filesystem::path& dir,
                             const value& query,
                             const std::vector<value>& args,
                             const value& as_of) {
    require_database(dir);
    const value request = vector{query, vector(args), as_of};
    value reply;
    for (int attempt = 0;; ++attempt) {
        auto [opened, client] = open_or_ask(dir);
        if (opened) {
            const local_server others(dir, handler_of(*opened));
            reply = answer(*opened, request, [] { return keep_going(); });
            break;
        }
        try {
            reply = client->call("query", request, [&c = *client](const value&) {
                if (!keep_going()) c.cancel();
            });
            break;
        } catch (const error& e) {
            if (e.code() != errc::unavailable || attempt == 5)
                throw;  // its owner left: open it here
        }
    }
    vector& parts = reply.as<vector>();
    query_answer out{std::move(parts[0]), {}};
    for (const value& name : parts[1].as<vector>()) out.columns.push_back(name.as<std::string>());
    return out;
}

}  // namespace tributary::cli
