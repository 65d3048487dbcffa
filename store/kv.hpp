/// An ordered map of bytes to bytes with atomic batches: the one thing everything durable here
/// stands on.
///
/// Implementations: LevelDB (store/leveldb_kv.hpp), memory (store/memory_kv.hpp, also the
/// crash-simulating one of the tests). Thread rule: reads and snapshots from any thread; `write`
/// from one thread at a time.
#pragma once

#include "tributary/value/bytes.hpp"
#include "tributary/value/error.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tributary {

/// Changes that become visible and durable together. The last change of a key wins.
class kv_batch {
public:
    void put(bytes key, bytes val) {
        size_ += key.size() + val.size();
        changes_.emplace_back(std::move(key), std::move(val));
    }
    void erase(bytes key) {
        size_ += key.size();
        changes_.emplace_back(std::move(key), std::nullopt);
    }
    void reserve(std::size_t changes) { changes_.reserve(changes); }
    bool empty() const { return changes_.empty(); }
    void clear() {
        changes_.clear();
        size_ = 0;
    }
    /// Bytes of keys and values.
    std::size_t size_bytes() const { return size_; }
    const std::vector<std::pair<bytes, std::optional<bytes>>>& changes() const { return changes_; }

private:
    std::vector<std::pair<bytes, std::optional<bytes>>> changes_;
    std::size_t size_ = 0;
};

/// Reads keys in order. Views are valid until the cursor moves. A cursor sees the state at its
/// creation.
class kv_cursor {
public:
    virtual ~kv_cursor() = default;
    /// To the first key >= `key` / the last key <= `key` / the first of all.
    virtual void seek(bytes_view key) = 0;
    virtual void seek_back(bytes_view key) = 0;
    virtual bool valid() const = 0;
    virtual void next() = 0;
    virtual void prev() = 0;
    virtual bytes_view key() const = 0;
    virtual bytes_view val() const = 0;
};

class kv_reader {
public:
    virtual ~kv_reader() = default;
    virtual std::optional<bytes> get(bytes_view key) const = 0;
    virtual std::unique_ptr<kv_cursor> cursor() const = 0;
};

/// An unchanging view of a moment. Must not outlive its kv. After a write that failed (below) its
/// reads may fail with errc::io: take a new one then.
using kv_snapshot = std::shared_ptr<const kv_reader>;

class kv : public kv_reader {
public:
    /// All of `b` or nothing. With `sync` it is on the disk when this returns. Errors: io,
    /// no_space; then nothing of `b` is visible, now or later, and what was synced before is still
    /// there (LevelDB would lose later writes after a failed one, so the implementation reopens
    /// itself).
    virtual void write(const kv_batch& b, bool sync) = 0;
    virtual kv_snapshot snapshot() const = 0;
    /// Gives back the room of what was erased and overwritten, where there is any to give. Takes
    /// long; others may read and write meanwhile. Errors: io, no_space.
    virtual void compact() {}
};

/// Throws errc::io: a record of the database in `dir` that was written here cannot be read, `key`
/// is its own or one near it.
[[noreturn]] void fail_damaged(const std::filesystem::path& dir,
                               bytes_view key,
                               const std::string& what);

/// The smallest key greater than every key that begins with `prefix`; empty if there is none.
bytes prefix_end(bytes_view prefix);

}  // namespace tributary
