/// kv in memory: for tests, the simulator and in-memory peers.
#pragma once

#include "tributary/store/kv.hpp"

namespace tributary {

/// A memory kv that can also die: what a machine's disk would hold after a power cut.
///
/// A batch survives whole or not at all. There is no half of one to model: LevelDB writes a batch
/// as one record of checksummed parts, so a record torn at any byte is, when the log is read again,
/// as if it had never been begun (tests/store/leveldb_torn_test.cpp tears real ones). That batches
/// survive in order is true of LevelDB as long as no more than one is under way: every write that
/// is promised to anyone here is synced.
class memory_kv : public kv {
public:
    virtual ~memory_kv() = default;
    /// From now on only what was synced, and the first `unsynced_kept` of the unsynced batches, is
    /// there: a power cut that tore the batch after them, and a restart.
    virtual void crash(std::size_t unsynced_kept = 0) = 0;
    /// The power goes during the `n`th write from now (1 = the next; 0 switches it off), synced or
    /// not: that write and all later ones throw errc::io, nothing of it is visible, and it is the
    /// last of the unsynced batches of which crash() keeps some.
    virtual void cut_at(std::size_t n) = 0;
    /// Whether the power is gone, until crash().
    virtual bool is_cut() const = 0;
    /// How many batches are not synced: the most that crash() can keep.
    virtual std::size_t unsynced_count() const = 0;
    /// The `n`th write from now on (1 = the next) throws errc::no_space or io and leaves nothing; 0
    /// switches it off.
    virtual void fail_at(std::size_t n, errc code = errc::no_space) = 0;
    virtual std::size_t write_count() const = 0;
};

std::unique_ptr<memory_kv> make_memory_kv();

}  // namespace tributary
