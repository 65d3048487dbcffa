/// kv on LevelDB.
#pragma once

#include "tributary/store/kv.hpp"

#include <filesystem>

namespace tributary {

struct leveldb_options {
    std::size_t block_cache_bytes = 16u << 20;
    std::size_t write_buffer_bytes = 16u << 20;
    std::size_t block_bytes = 16u << 10;
    bool create = true;
    /// Opens although bytes at rest have changed: of a damaged log only what is before the damage
    /// is there. For repairs, on a copy. Reads of damaged blocks still fail.
    bool leave_out_damage = false;
};

/// Opens, O(1) in what is stored but for an unflushed log of at most write_buffer_bytes. Errors:
/// locked (another process has it), not_found (no database and not `create`), io (also: not allowed
/// to write there), no_space, bad_input (no tributary database or damaged).
std::unique_ptr<kv> open_leveldb(const std::filesystem::path& dir,
                                 const leveldb_options& options = {});

}  // namespace tributary
