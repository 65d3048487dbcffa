/// A datom database on disk, shared by processes: who has it open answers the queries of the others
/// over the socket in its directory.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/store/local_socket.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace tributary::cli {

class datom_directory {
public:
    /// Opens (or makes) `dir` in this process and serves it. Waits for a short-lived owner, such as
    /// a query. Errors: locked, naming who has it; not_found without `create`.
    datom_directory(const std::filesystem::path& dir, bool create);
    /// Stops serving.
    ~datom_directory();

    datom::connection& connection() { return *connection_; }

private:
    std::unique_ptr<datom::connection> connection_;
    std::unique_ptr<local_server> server_;
};

/// A query's answer: its result, and the names of its columns.
struct query_answer {
    value result;
    std::vector<std::string> columns;
};

/// Runs a query in whatever process has `dir` open, or in this one. `as_of`: nil, a t or an inst.
/// Errors: not_found (no database there), those of datom::query, canceled.
query_answer query_directory(const std::filesystem::path& dir,
                             const value& query,
                             const std::vector<value>& args,
                             const value& as_of);

}  // namespace tributary::cli
