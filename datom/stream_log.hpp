/// Where realize streams keep how far they are: in the database, in the batches of their effects.
#pragma once

#include "tributary/datom/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace tributary::datom {

/// A place in a stream's applied log: the commit (empty at position 0) and the t at its end.
struct applied_commit {
    std::int64_t t = 0;
    bytes commit;
};

bytes pack(const stream_cursor& c);
stream_cursor unpack_cursor(bytes_view data);
bytes pack(const applied_commit& a);
applied_commit unpack_applied(bytes_view data);

std::optional<stream_cursor> read_cursor(const kv_reader& store, const std::string& stream);
/// What had been applied after `position` commits.
std::optional<applied_commit> read_applied(const kv_reader& store,
                                           const std::string& stream,
                                           std::uint64_t position);
std::vector<std::string> stream_names(const kv_reader& store);
/// The last position of a stream whose t is at most `t`; nothing if it began later.
std::optional<std::uint64_t> position_at(const kv_reader& store,
                                         const std::string& stream,
                                         std::uint64_t last,
                                         std::int64_t t);

}  // namespace tributary::datom
