/// The full check of a datom database: nothing in its indexes is believed.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/store/kv.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace tributary::datom {

struct verified {
    std::int64_t transactions = 0;
    std::uint64_t datoms = 0;   ///< in the log
    std::uint64_t entries = 0;  ///< read from the indexes
    std::uint64_t problems = 0;
};

/// Replays the log and compares what every index must hold by it with what it holds: the facts by
/// entity, attribute, value and target, past ones too, holders of unique values, instants, rewinds,
/// the words of texts (with their times; older postings need only be there), the counters of the
/// state record. The records of streams, which the log does not tell of, must agree with each
/// other. `problem` is called with what differs, in words; beyond a hundred they are only counted.
/// What cannot be read is a problem too. `progress` gets transactions done, of how many.
///
/// Reads the log two times and each index once, and both once more if something differs. Memory:
/// checksums of fixed size, the schema, and those facts that rewinds undid.
/// Thread rule: `store` must not change meanwhile; give a snapshot.
verified verify(const kv_reader& store,
                const std::function<void(const std::string&)>& problem,
                const std::function<void(std::int64_t done, std::int64_t all)>& progress);

/// The same of the database a value is of, at its basis.
verified verify(const db& database,
                const std::function<void(const std::string&)>& problem,
                const std::function<void(std::int64_t done, std::int64_t all)>& progress);

}  // namespace tributary::datom
