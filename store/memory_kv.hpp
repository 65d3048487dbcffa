/// kv in memory: for tests, the simulator and in-memory peers.
#pragma once

#include "tributary/store/kv.hpp"

namespace tributary {

/// A memory kv that can also die: what a machine's disk would hold after a power cut.
class memory_kv : public kv {
public:
    virtual ~memory_kv() = default;
    /// From now on only what was synced (plus the first `unsynced_kept` unsynced batches, whole) is
    /// there: a power cut and a restart.
    virtual void crash(std::size_t unsynced_kept = 0) = 0;
    /// The `n`th write from now on (1 = the next) throws errc::no_space or io and leaves nothing; 0
    /// switches it off.
    virtual void fail_at(std::size_t n, errc code = errc::no_space) = 0;
    virtual std::size_t write_count() const = 0;
};

std::unique_ptr<memory_kv> make_memory_kv();

}  // namespace tributary
