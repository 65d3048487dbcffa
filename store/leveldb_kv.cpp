/// Why a write that failed closes the database: LevelDB leaves a torn record in its log, appends
/// later records behind it, acknowledges them as synced, and drops them when it next reads that
/// log. So after a failed write the handle only serves reads (its memory never saw the failed
/// batch), and the next write first closes and opens the directory, which ends the log at the torn
/// record and rewrites what is before it into a synced table.
///
/// LevelDB's process lock forbids two handles on a directory, so the old one must be gone first:
/// cursors keep it open (their views point into it), hence the write waits a while for them;
/// snapshots do not, they fail from then on.
#include "tributary/store/leveldb_kv.hpp"

#include "tributary/store/leveldb_env.hpp"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string_view>
#include <system_error>
#include <thread>

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr auto drain_patience = std::chrono::seconds(5);
constexpr auto poll_interval = std::chrono::milliseconds(1);
constexpr int bloom_bits_per_key = 10;
constexpr std::size_t room_to_open_bytes = 1u << 20;

leveldb::Slice slice_of(bytes_view v) { return {v.data(), v.size()}; }
bytes_view view_of(const leveldb::Slice& s) { return {s.data(), s.size()}; }

bool is_full(std::string_view text) {
    return text.find("No space left on device") != text.npos ||
           text.find("Disk quota exceeded") != text.npos;
}

bool is_forbidden(std::string_view text) {
    return text.find("Permission denied") != text.npos ||
           text.find("Operation not permitted") != text.npos ||
           text.find("Read-only file system") != text.npos;
}

[[noreturn]] void fail(const leveldb::Status& status, const char* doing, const fs::path& dir) {
    const std::string text = status.ToString();
    const std::string where = std::string("cannot ") + doing + " the database " + dir.string();
    if (is_full(text))
        throw error(errc::no_space, where + ": the disk is full; free some space and try again");
    if (is_forbidden(text))
        throw error(errc::io,
                    where + ": it is not allowed to write there, which is needed even to read (" +
                        text + "); ask as its owner, or copy the directory and ask the copy");
    if (status.IsIOError() && text.find("/LOCK: ") != text.npos)
        throw error(errc::locked, where + ": another process has it open");
    if (status.IsCorruption() || status.IsInvalidArgument()) {
        throw error(errc::bad_input,
                    where + ": it is damaged or not tributary's (" + text +
                        "); restore it or clone it again");
    }
    throw error(errc::io, where + ": " + text);
}

/// Of an open database: what is in it was written here, so it is damaged. `key` is where it was
/// read.
[[noreturn]] void fail_reading(const leveldb::Status& status, bytes_view key, const fs::path& dir) {
    if (!status.IsCorruption()) fail(status, "read", dir);
    fail_damaged(dir, key, status.ToString());
}

/// What must outlive the database: LevelDB borrows it.
struct tools {
    explicit tools(const leveldb_options& o)
        : env(o.leave_out_damage),
          cache(leveldb::NewLRUCache(o.block_cache_bytes)),
          filter(leveldb::NewBloomFilterPolicy(bloom_bits_per_key)) {
        options.create_if_missing = true;
        options.env = &env;
        // Also for compactions, which else would give damaged bytes a good checksum, and for bloom
        // filters, which else would hide keys.
        options.paranoid_checks = !o.leave_out_damage;
        options.write_buffer_size = o.write_buffer_bytes;
        options.block_size = o.block_bytes;
        options.block_cache = cache.get();
        options.filter_policy = filter.get();
    }
    leveldb_env env;
    std::unique_ptr<leveldb::Cache> cache;
    std::unique_ptr<const leveldb::FilterPolicy> filter;
    leveldb::Options options;
};

/// An open database. Lives as long as anyone reads from it.
class handle {
public:
    handle(const tools& t, const fs::path& dir) : dir_(dir), env_(t.env) {
        leveldb::DB* opened = nullptr;
        const leveldb::Status status = leveldb::DB::Open(t.options, dir.string(), &opened);
        if (!status.ok()) fail(status, "open", dir);
        db_.reset(opened);
    }
    ~handle() {
        for (const leveldb::Snapshot* s : snapshots_) db_->ReleaseSnapshot(s);
        db_.reset();
        closed_->store(true);
    }
    handle(const handle&) = delete;
    handle& operator=(const handle&) = delete;

    leveldb::DB& db() const { return *db_; }
    const fs::path& dir() const { return dir_; }
    std::uint64_t reads() const { return env_.reads(); }
    /// Turns true when the directory's lock is free again, a moment after the last owner let go.
    std::shared_ptr<const std::atomic<bool>> closed() const { return closed_; }

    const leveldb::Snapshot* take_snapshot() {
        const std::lock_guard lock(mutex_);
        return *snapshots_.insert(db_->GetSnapshot()).first;
    }
    void release(const leveldb::Snapshot* s) {
        const std::lock_guard lock(mutex_);
        snapshots_.erase(s);
        db_->ReleaseSnapshot(s);
    }

private:
    fs::path dir_;
    const leveldb_env& env_;
    std::unique_ptr<leveldb::DB> db_;
    std::mutex mutex_;
    std::set<const leveldb::Snapshot*> snapshots_;
    std::shared_ptr<std::atomic<bool>> closed_ = std::make_shared<std::atomic<bool>>(false);
};

leveldb::ReadOptions reading_at(const leveldb::Snapshot* snapshot) {
    leveldb::ReadOptions options;
    options.snapshot = snapshot;
    options.verify_checksums = true;
    return options;
}

std::optional<bytes> get_from(const handle& h, bytes_view key, const leveldb::Snapshot* snapshot) {
    std::string found;
    const leveldb::Status status = h.db().Get(reading_at(snapshot), slice_of(key), &found);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) fail_reading(status, key, h.dir());
    return found;
}

/// LevelDB's iterators step over a block that they cannot read, and only their status tells. It
/// takes long to ask, so it is asked only after something was read from a file: blocks in the cache
/// are sound.
class leveldb_cursor : public kv_cursor {
public:
    leveldb_cursor(std::shared_ptr<handle> h, const leveldb::Snapshot* snapshot)
        : handle_(std::move(h)),
          reads_(handle_->reads()),
          it_(handle_->db().NewIterator(reading_at(snapshot))) {}

    void seek(bytes_view key) override {
        it_->Seek(slice_of(key));
        check(key);
    }
    void seek_back(bytes_view key) override {
        it_->Seek(slice_of(key));
        if (!it_->Valid()) {
            check(key);
            it_->SeekToLast();
        } else if (view_of(it_->key()) != key) {
            it_->Prev();
        }
        check(key);
    }
    bool valid() const override { return it_->Valid(); }
    void next() override {
        it_->Next();
        check({});
    }
    void prev() override {
        it_->Prev();
        check({});
    }
    bytes_view key() const override { return view_of(it_->key()); }
    bytes_view val() const override { return view_of(it_->value()); }

private:
    void check(bytes_view near) {
        const std::uint64_t reads = handle_->reads();
        if (it_->Valid() && reads == reads_) return;
        reads_ = reads;
        const leveldb::Status status = it_->status();
        if (status.ok()) return;
        fail_reading(status, near.empty() && it_->Valid() ? key() : near, handle_->dir());
    }

    std::shared_ptr<handle> handle_;
    std::uint64_t reads_;
    std::unique_ptr<leveldb::Iterator> it_;
};

class leveldb_snapshot : public kv_reader {
public:
    explicit leveldb_snapshot(const std::shared_ptr<handle>& h)
        : handle_(h), snapshot_(h->take_snapshot()) {}
    ~leveldb_snapshot() override {
        if (const auto h = handle_.lock()) h->release(snapshot_);
    }
    leveldb_snapshot(const leveldb_snapshot&) = delete;
    leveldb_snapshot& operator=(const leveldb_snapshot&) = delete;

    std::optional<bytes> get(bytes_view key) const override {
        return get_from(*open_handle(), key, snapshot_);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<leveldb_cursor>(open_handle(), snapshot_);
    }

private:
    std::shared_ptr<handle> open_handle() const {
        auto h = handle_.lock();
        if (!h)
            throw error(errc::io,
                        "this snapshot ended when the database was opened anew after a failed "
                        "write; take a new one");
        return h;
    }

    std::weak_ptr<handle> handle_;
    const leveldb::Snapshot* snapshot_;
};

class leveldb_kv : public kv {
public:
    leveldb_kv(fs::path dir, const leveldb_options& options)
        : dir_(std::move(dir)),
          options_(options),
          tools_(options),
          handle_(std::make_shared<handle>(tools_, dir_)) {}

    std::optional<bytes> get(bytes_view key) const override {
        return get_from(*current(), key, nullptr);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<leveldb_cursor>(current(), nullptr);
    }
    kv_snapshot snapshot() const override { return std::make_shared<leveldb_snapshot>(current()); }

    void compact() override { current()->db().CompactRange(nullptr, nullptr); }

    void write(const kv_batch& b, bool sync) override {
        if (failed_) recover();
        const std::shared_ptr<handle> h = current();
        const leveldb::Status status = put(*h, b, sync);
        if (status.ok()) return;
        failed_ = true;
        before_ = inverse_of(*h, b);
        fail(status, "write to", dir_);
    }

private:
    static leveldb::Status put(const handle& h, const kv_batch& b, bool sync) {
        leveldb::WriteBatch batch;
        for (const auto& [key, val] : b.changes()) {
            if (val) {
                batch.Put(slice_of(key), slice_of(*val));
            } else {
                batch.Delete(slice_of(key));
            }
        }
        leveldb::WriteOptions options;
        options.sync = sync;
        return h.db().Write(options, &batch);
    }

    /// What `h` has under the keys of `b`.
    static kv_batch inverse_of(const handle& h, const kv_batch& b) {
        kv_batch inverse;
        for (const auto& change : b.changes()) {
            if (const auto old = get_from(h, change.key, nullptr)) {
                inverse.put(change.key, *old);
            } else {
                inverse.erase(change.key);
            }
        }
        return inverse;
    }

    std::shared_ptr<handle> current() const {
        const std::shared_lock lock(mutex_);
        if (!handle_) {
            throw error(
                errc::io,
                "the database " + dir_.string() +
                    " could not be opened anew after a failed write; the next write tries again");
        }
        return handle_;
    }

    void recover() {
        check_room();
        close_when_unused();
        open_again();
        undo_failed();
        failed_ = false;
    }

    /// LevelDB writes when it opens: what is in its log becomes a table. On a disk that is still
    /// full the open handle is kept, so that reads go on.
    void check_room() const {
        std::error_code ec;
        std::uintmax_t needed = room_to_open_bytes;
        for (fs::directory_iterator file(dir_, ec), end; !ec && file != end; file.increment(ec))
            if (file->path().extension() == ".log") needed += file->file_size(ec);
        const fs::space_info space = fs::space(dir_, ec);
        if (!ec && space.available < needed) {
            throw error(errc::no_space,
                        "cannot write to the database " + dir_.string() +
                            ": an earlier write failed and the disk is still full; once " +
                            std::to_string((needed + (1u << 20) - 1) >> 20) +
                            " MiB are free, try again");
        }
    }

    void close_when_unused() {
        const auto deadline = std::chrono::steady_clock::now() + drain_patience;
        while (!try_close()) {
            if (std::chrono::steady_clock::now() > deadline) {
                throw error(errc::io,
                            "cannot open the database " + dir_.string() +
                                " anew after a failed write: a reader still has a cursor on it; "
                                "end it and try again");
            }
            std::this_thread::sleep_for(poll_interval);
        }
    }

    /// Closes the handle unless a reader is using it.
    bool try_close() {
        const std::unique_lock lock(mutex_);
        if (!handle_) return true;
        const std::shared_ptr<const std::atomic<bool>> closed = handle_->closed();
        const std::weak_ptr<handle> old = handle_;
        handle_.reset();
        handle_ = old.lock();
        if (handle_) return false;
        while (!closed->load()) std::this_thread::sleep_for(poll_interval);
        return true;
    }

    void open_again() {
        auto opened = std::make_shared<handle>(tools_, dir_);
        const std::unique_lock lock(mutex_);
        handle_ = std::move(opened);
    }

    /// A batch whose sync failed may be whole in the log and be back now, although its writer was
    /// told that it is not there.
    void undo_failed() {
        const std::shared_ptr<handle> h = current();
        kv_batch undo;
        for (const auto& [key, val] : before_.changes()) {
            if (get_from(*h, key, nullptr) == val) continue;
            if (val) {
                undo.put(key, *val);
            } else {
                undo.erase(key);
            }
        }
        if (undo.empty()) return;
        const leveldb::Status status = put(*h, undo, true);
        if (!status.ok()) fail(status, "write to", dir_);
    }

    const fs::path dir_;
    const leveldb_options options_;
    const tools tools_;
    mutable std::shared_mutex mutex_;  ///< guards the pointer handle_
    std::shared_ptr<handle> handle_;   ///< null if opening anew failed
    bool failed_ = false;              ///< the last write failed: recover() before the next
    kv_batch before_;                  ///< what was there before the batch that failed
};

}  // namespace

namespace {

/// LevelDB would begin anew, and remove them.
void require_no_tables(const fs::path& dir) {
    std::error_code ec;
    for (fs::directory_iterator at(dir, ec), end; !ec && at != end; at.increment(ec))
        if (at->path().extension() == ".ldb" || at->path().extension() == ".log")
            throw error(errc::bad_input,
                        "cannot open the database " + dir.string() +
                            ": it is damaged (its file CURRENT is missing); restore it or clone "
                            "it again");
}

}  // namespace

std::unique_ptr<kv> open_leveldb(const fs::path& dir, const leveldb_options& options) {
    std::error_code ec;
    if (!fs::exists(dir / "CURRENT", ec)) {
        require_no_tables(dir);
        if (!options.create)
            throw error(errc::not_found, "there is no database in " + dir.string());
        // Private from the start: the directory also holds the socket that lets others in
        // (store/local_socket.hpp).
        const bool created = fs::create_directories(dir, ec);
        if (created) fs::permissions(dir, fs::perms::owner_all, ec);
        if (ec) {
            const errc code = is_full(ec.message()) ? errc::no_space : errc::io;
            throw error(code, "cannot make the directory " + dir.string() + ": " + ec.message());
        }
    }
    return std::make_unique<leveldb_kv>(dir, options);
}

}  // namespace tributary
