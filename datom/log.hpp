/// The transaction log: what every transaction did, in order of t. The source that mirrors,
/// change-data-capture and rewinds read.
#pragma once

#include "tributary/datom/types.hpp"
#include "tributary/store/kv.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tributary::datom {

struct log_datom {
    entity_id e = 0;
    entity_id a = 0;
    bytes raw;  ///< the value (datom/encoding.hpp)
    bool added = true;
    std::int64_t asserted_t = 0;  ///< of a retraction: when the fact had been asserted
    bool operator==(const log_datom&) const = default;
};

struct log_entry {
    std::int64_t t = 0;
    std::int64_t instant_ms = 0;
    std::optional<rewind_mark> rewind;
    std::vector<log_datom> datoms;
    bool operator==(const log_entry&) const = default;
};

/// A datom of a stored entry, seen in place.
struct log_datom_view {
    entity_id e = 0;
    entity_id a = 0;
    bytes_view raw;
    bool added = true;
    std::int64_t asserted_t = 0;
};

/// The value under L t. Appends to `out`.
void pack(bytes& out, const log_entry& entry);
/// Errors: io (damaged), newer_version.
log_entry unpack_log_entry(std::int64_t t, bytes_view data);
/// The same, each datom given to `visit` instead of kept.
log_entry read_log_entry(std::int64_t t,
                         bytes_view data,
                         const std::function<void(const log_datom_view&)>& visit);

bytes pack(const rewind_mark& m);
rewind_mark unpack_rewind_mark(bytes_view data);

/// Entries with first <= t < end, ascending; `visit` returns false to stop.
void scan_log(const kv_reader& store,
              std::int64_t first,
              std::int64_t end,
              const std::function<bool(const log_entry&)>& visit);
/// The same, as they are stored.
void scan_log_bytes(const kv_reader& store,
                    std::int64_t first,
                    std::int64_t end,
                    const std::function<bool(std::int64_t t, bytes_view entry)>& visit);

}  // namespace tributary::datom
