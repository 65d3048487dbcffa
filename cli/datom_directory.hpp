/// A datom database on disk, shared by processes: who has it open answers the others over the
/// socket in its directory.
#pragma once

#include "tributary/store/local_socket.hpp"

#include "datom_service.hpp"
#include <filesystem>
#include <memory>
#include <string>

namespace tributary::cli {

class datom_directory {
public:
    /// Opens (or makes) `dir` in this process and serves it. Waits for a short-lived owner, such as
    /// a query; one that follows the log makes room. Errors: locked, naming who has it; not_found
    /// without `create`; those of require_room_for_database.
    datom_directory(const std::filesystem::path& dir, bool create, sharing allowed);
    /// Stops serving.
    ~datom_directory();

    datom::connection& connection() { return *connection_; }

private:
    std::unique_ptr<datom::connection> connection_;
    std::unique_ptr<local_server> server_;
};

bool is_database(const std::filesystem::path& dir);
/// Errors: not_found, saying how to make one; those of require_room_for_database.
void require_database(const std::filesystem::path& dir);

/// Whether a datom database may be in `dir`: there is one already, or no such directory, or nothing
/// in it. Errors: misuse, saying what is there instead.
void require_room_for_database(const std::filesystem::path& dir);

/// Has a request (cli/datom_service.hpp) answered by whatever process has `dir` open, or by this
/// one. `part` gets the parts before the last. What makes a database is tried in memory first, so
/// that a refusal leaves nothing behind. Errors: not_found (no database there and not `create`),
/// those of the request, canceled by Ctrl-C.
value ask_database(const std::filesystem::path& dir,
                   const std::string& method,
                   const value& args,
                   const std::function<void(const value&)>& part = {},
                   bool create = false);

/// Gives the transactions from the cursor `from` (datom/feed.hpp) on, and what is committed later,
/// each once, until Ctrl-C: through whatever process has `dir` open, or by opening it, whoever
/// comes and goes meanwhile. Errors: those of ask_database.
void follow_database(const std::filesystem::path& dir,
                     const std::string& from,
                     const std::function<void(const value& transactions)>& part);

}  // namespace tributary::cli
