/// What LevelDB sees of the file system: the real one, watched, so that nothing damaged goes
/// unnoticed.
#pragma once

#include <leveldb/env.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace tributary {

/// Table files count their reads. Write-ahead logs are judged when they are read
/// (store/leveldb_log_tail.hpp): the torn end of one is left out, a damaged one is refused.
/// Thread rule: any thread.
class leveldb_env : public leveldb::EnvWrapper {
public:
    /// `cut_damaged_logs`: of a damaged log what is before the damage is read, instead of nothing.
    explicit leveldb_env(bool cut_damaged_logs = false)
        : EnvWrapper(leveldb::Env::Default()), cut_damaged_logs_(cut_damaged_logs) {}

    /// How often table files were opened or read.
    std::uint64_t reads() const { return reads_.load(std::memory_order_relaxed); }

    leveldb::Status NewRandomAccessFile(const std::string& name,
                                        leveldb::RandomAccessFile** file) override;
    leveldb::Status NewSequentialFile(const std::string& name,
                                      leveldb::SequentialFile** file) override;

private:
    const bool cut_damaged_logs_;
    std::atomic<std::uint64_t> reads_{0};
};

}  // namespace tributary
