/// A damaged store made anew from what is intact in it and what a peer has.
#pragma once

#include "tributary/peer/stage.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace tributary {

struct repaired_crdt {
    std::string name;
    std::uint64_t kept = 0;         ///< commits that were intact here
    std::uint64_t fetched = 0;      ///< commits that a peer had
    std::vector<std::string> lost;  ///< what neither gave back, in words
    std::string unreached;          ///< why no peer could be asked though it was needed; else empty
};

struct repair_options {
    /// Who is asked for what is damaged, ws://HOST:PORT; the peer each CRDT was last synced with if
    /// empty.
    std::string url;
    /// Called about ten times a second; may throw to stop, then the store is as it was.
    std::function<void(const std::string& crdt, std::uint64_t done, std::uint64_t all)> progress;
};

/// Rebuilds every index from the commits that are intact, in their order of arrival, and fetches
/// the others. The new database replaces the old one in one step, which is kept beside it as
/// "db.damaged". If something is lost that a peer could have, nothing is replaced unless `url` was
/// given. Errors: locked (a process has the store open), bad_input (the database cannot be opened
/// at all), exists (there is a db.damaged already), io, no_space.
std::vector<repaired_crdt> repair_store(const std::filesystem::path& dir,
                                        const repair_options& options);

/// Ends a repair that was killed while it put the new database in place of the old one.
void finish_repair(const std::filesystem::path& dir);

}  // namespace tributary
