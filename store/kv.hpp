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

/// Changes that become visible and durable together. The last change of a key wins. Keys and values
/// are copied into blocks of the batch's own, so that a million of them cost no allocation each.
class kv_batch {
public:
    struct change {
        bytes_view key;
        std::optional<bytes_view> val;  ///< nothing: erased
    };

    kv_batch() = default;
    kv_batch(kv_batch&& from) noexcept { *this = std::move(from); }
    kv_batch& operator=(kv_batch&& from) noexcept;
    kv_batch copy() const;

    void put(bytes_view key, bytes_view val) {
        const bytes_view kept = keep(key);
        changes_.push_back({kept, keep(val)});
    }
    void erase(bytes_view key) { changes_.push_back({keep(key), std::nullopt}); }
    void reserve(std::size_t changes) { changes_.reserve(changes); }
    bool empty() const { return changes_.empty(); }
    void clear() { *this = kv_batch(); }
    /// Bytes of keys and values.
    std::size_t size_bytes() const { return size_; }
    /// The views are valid until the batch is cleared or gone, also in one it is moved to.
    const std::vector<change>& changes() const { return changes_; }

private:
    bytes_view keep(bytes_view b);

    std::vector<change> changes_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    char* next_ = nullptr;  ///< what is free of the last block
    std::size_t room_ = 0;
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
