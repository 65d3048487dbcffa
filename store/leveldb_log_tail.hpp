/// What the end of a LevelDB write-ahead log is: whole, torn by a power cut, or damaged.
///
/// LevelDB's own reader cannot tell these apart: it drops what it does not understand, and goes on
/// behind it. Every write here is synced before the next begins, so only the last record can be
/// torn; anything else that does not check is damage to what was acknowledged.
#pragma once

#include "tributary/value/bytes.hpp"

#include <cstddef>

namespace tributary {

struct leveldb_log_tail {
    enum class state { whole, torn, damaged } is = state::whole;
    std::size_t at = 0;  ///< where the record begins that is torn or damaged
};

/// Judges the bytes of a log file. A record that does not check is torn if no whole record follows
/// it and bytes of it are missing: the file ends early, or goes on in zeros or in nothing that
/// looks like a log. O(size); checksums are computed only where something is wrong, and of the last
/// record, as LevelDB computes them all when it reads the log.
leveldb_log_tail judge_leveldb_log(bytes_view log);

}  // namespace tributary
