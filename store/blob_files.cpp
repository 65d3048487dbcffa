/// Files of a directory of blobs, HEX being the blob's id:
///
///     HEX           the content of a whole blob
///     HEX.chunks    its manifest
///     HEX.part      what is here of a partial one, each chunk in its place
///     HEX.have      its durable chunks
///     new-...       being added; left over if nobody writes it any more
///
/// A name is given by rename, after what is named was synced; so a file that is there is right, but
/// for bits that flipped later. The exception is the manifest of a partial blob: one that a crash
/// tore does not have its hash, and counts as absent.
#include "tributary/store/blob_store.hpp"

#include "tributary/store/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <list>
#include <mutex>
#include <system_error>
#include <utility>

namespace tributary {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t piece_bytes = 64u << 10;
/// Blobs whose files and manifests are kept open.
constexpr std::size_t open_max = 16;
constexpr std::string_view fresh_front = "new-";
constexpr std::size_t hex_bytes = 64;

void make_private(const fs::path& dir) {
    std::error_code ec;
    if (fs::is_directory(dir, ec)) return;
    if (fs::create_directories(dir, ec); ec) fail_file(ec.value(), "make the directory", dir);
    if (fs::permissions(dir, fs::perms::owner_all, ec); ec) fail_file(ec.value(), "protect", dir);
}

void require_room(const fs::path& dir, std::uint64_t reserve_bytes) {
    struct ::statvfs s;
    if (::statvfs(dir.c_str(), &s) != 0) return;
    if (static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize >= reserve_bytes) return;
    throw error(errc::no_space,
                "cannot store a blob in " + dir.string() + ": less than " +
                    std::to_string(reserve_bytes >> 20) +
                    " MiB are free on the disk, which are left for commits; free some space");
}

/// A name nobody else uses.
fs::path fresh_name(const fs::path& dir) {
    return dir / (std::string(fresh_front) + to_hex(random_bytes(8)));
}

/// A small file that is there whole or not at all; `durable`: before this returns.
void replace_file(const fs::path& at, bytes_view data, bool durable) {
    const fs::path fresh = fresh_name(at.parent_path());
    try {
        const file to(fresh, O_WRONLY | O_CREAT | O_EXCL);
        to.write(0, data);
        if (durable) to.sync();
        rename_file(fresh, at);
    } catch (...) {
        ::unlink(fresh.c_str());
        throw;
    }
}

/// The names of a blob's files.
struct names {
    names(const fs::path& dir, const blob_id& id)
        : whole(dir / id.hex()),
          chunks(whole.string() + ".chunks"),
          part(whole.string() + ".part"),
          have(whole.string() + ".have") {}
    bool is_whole() const { return ::access(whole.c_str(), F_OK) == 0; }
    fs::path whole, chunks, part, have;
};

// -- Adding ---------------------------------------------------------------------------------------

class file_writer final : public blob_writer {
public:
    file_writer(const fs::path& dir, const blob_store_options& options)
        : dir_(dir), options_(options) {
        make_private(dir_);
        to_ = file(fresh_name(dir_), O_RDWR | O_CREAT | O_EXCL);
    }
    ~file_writer() override {
        if (!finished_) ::unlink(to_.path().c_str());
    }

    void append(bytes_view data) override {
        while (!data.empty()) {
            const bytes_view part = data.substr(0, chunk_bytes_ - chunk_.size());
            chunk_ += part;
            data.remove_prefix(part.size());
            if (chunk_.size() == chunk_bytes_) put_chunk();
        }
    }

    blob_ref finish() override {
        if (!chunk_.empty()) put_chunk();
        // More than 16 GiB are cut into larger chunks, which shows only now.
        const std::uint64_t fitting = blob_manifest::chunk_bytes_for(size_);
        if (fitting != chunk_bytes_) hash_again(fitting);
        const blob_manifest made(size_, chunk_bytes_, std::move(hashes_));
        const names at(dir_, made.id());
        to_.sync();
        replace_file(at.chunks, made.encode(), true);
        rename_file(to_.path(), at.whole);
        finished_ = true;
        sync_directory(dir_);
        ::unlink(at.part.c_str());
        ::unlink(at.have.c_str());
        return {made.id(), size_};
    }

private:
    void put_chunk() {
        if (size_ + chunk_.size() > blob_manifest::size_max)
            throw error(errc::limit, "a blob has at most a TiB");
        require_room(dir_, options_.reserve_bytes);
        to_.write(size_, chunk_);
        to_.start_writing(size_, chunk_.size());
        hashes_ += blob_manifest::hash_of_chunk(chunk_).view();
        size_ += chunk_.size();
        chunk_.clear();
    }

    void hash_again(std::uint64_t chunk_bytes) {
        chunk_bytes_ = chunk_bytes;
        hashes_.clear();
        for (std::uint64_t at = 0; at < size_; at += chunk_bytes)
            hashes_ += blob_manifest::hash_of_chunk(to_.read(at, chunk_bytes)).view();
    }

    const fs::path dir_;
    const blob_store_options options_;
    file to_;
    std::uint64_t chunk_bytes_ = blob_manifest::chunk_bytes_for(0);
    bytes chunk_;
    std::uint64_t size_ = 0;
    bytes hashes_;
    bool finished_ = false;
};

// -- Keeping --------------------------------------------------------------------------------------

/// A blob of which something is here. Chunks that are durable are noted by appending their number
/// + 1, 4 bytes, to a file, in which so a tail of zeros says nothing.
class open_blob {
public:
    /// Nothing if it is not here.
    static std::unique_ptr<open_blob> load(const fs::path& dir, const blob_id& id) {
        const names at(dir, id);
        if (::access(at.chunks.c_str(), F_OK) != 0) return nullptr;
        std::shared_ptr<const blob_manifest> made;
        try {
            made = std::make_shared<const blob_manifest>(blob_manifest::decode(
                file(at.chunks, O_RDONLY).read(0, blob_manifest::bytes_max + 1)));
        } catch (const error& e) {
            if (e.code() == errc::io) throw;
        }
        // It is begun anew. A whole blob without its manifest is of no use to anyone either.
        if (!made || made->id() != id) return nullptr;
        return std::unique_ptr<open_blob>(new open_blob(at, std::move(made)));
    }

    static void begin(const fs::path& dir, const blob_manifest& made) {
        replace_file(names(dir, made.id()).chunks, made.encode(), false);
    }

    const std::shared_ptr<const blob_manifest>& manifest() const { return made_; }
    bool whole() const { return whole_; }
    std::uint64_t chunks_here() const { return here_; }
    std::uint64_t next_missing(std::uint64_t from) const {
        while (from < made_->count() && has(from)) ++from;
        return std::min(from, made_->count());
    }

    std::optional<bytes> read(std::uint64_t chunk, std::uint64_t offset, std::size_t size) {
        if (chunk >= made_->count() || !has(chunk) || offset > made_->size_of(chunk))
            return std::nullopt;
        if (offset == 0 && !is_sound(chunk)) {
            drop(chunk);
            return std::nullopt;
        }
        size = std::min<std::uint64_t>(size, made_->size_of(chunk) - offset);
        bytes data = data_.read(chunk * made_->chunk_bytes() + offset, size);
        if (data.size() < size) return std::nullopt;
        return data;
    }

    void put(std::uint64_t chunk, bytes_view data) {
        if (has(chunk)) return;
        if (!writable_) {
            data_ = file(at_.part, O_RDWR | O_CREAT);
            writable_ = true;
        }
        const std::uint64_t offset = chunk * made_->chunk_bytes();
        data_.write(offset, data);
        data_.start_writing(offset, data.size());
        mark(chunk);
        unsynced_.push_back(chunk);
    }

    std::uint64_t unsynced_bytes() const { return unsynced_.size() * made_->chunk_bytes(); }

    void sync() {
        if (unsynced_.empty() || whole_) return;
        const std::vector<std::uint64_t> fresh = std::exchange(unsynced_, {});
        try {
            data_.sync();
        } catch (...) {
            // What the disk did not take is not known to be there, also if a later sync succeeds.
            for (const std::uint64_t chunk : fresh) unmark(chunk);
            throw;
        }
        note(fresh);
    }

    /// All chunks are here.
    void finish() {
        if (!writable_) data_ = file(at_.part, O_RDWR | O_CREAT);
        unsynced_.clear();
        try {
            file(at_.chunks, O_RDONLY).sync();
            data_.sync();
        } catch (...) {
            have_.clear();
            here_ = 0;
            throw;
        }
        rename_file(at_.part, at_.whole);
        sync_directory(at_.whole.parent_path());
        ::unlink(at_.have.c_str());
        have_.clear();
        whole_ = true;
        writable_ = false;
    }

private:
    open_blob(names at, std::shared_ptr<const blob_manifest> made)
        : at_(std::move(at)), made_(std::move(made)) {
        whole_ = at_.is_whole();
        if (whole_) {
            data_ = file(at_.whole, O_RDONLY);
            here_ = made_->count();
        } else if (::access(at_.part.c_str(), F_OK) == 0) {
            data_ = file(at_.part, O_RDWR);
            writable_ = true;
            load_have();
        }
    }

    void load_have() {
        if (::access(at_.have.c_str(), F_OK) != 0) return;
        // Damaged chunks may have come again, so that some stand there twice.
        const bytes noted = file(at_.have, O_RDONLY).read(0, 8 * blob_manifest::chunks_max);
        for (std::size_t i = 0; i + 4 <= noted.size(); i += 4) {
            const std::uint64_t chunk = get_be32(bytes_view(noted).substr(i, 4));
            if (chunk > 0 && chunk <= made_->count()) mark(chunk - 1);
        }
    }

    void note(const std::vector<std::uint64_t>& chunks) const {
        bytes more;
        for (const std::uint64_t chunk : chunks) put_be32(more, static_cast<unsigned>(chunk + 1));
        const file to(at_.have, O_WRONLY | O_CREAT);
        struct ::stat s;
        const std::uint64_t end = ::stat(at_.have.c_str(), &s) == 0 ? s.st_size / 4 * 4 : 0;
        to.write(end, more);
    }

    bool has(std::uint64_t chunk) const { return whole_ || (!have_.empty() && have_[chunk]); }
    void mark(std::uint64_t chunk) {
        if (have_.empty()) have_.resize(made_->count());
        if (!have_[chunk]) ++here_;
        have_[chunk] = true;
    }
    void unmark(std::uint64_t chunk) {
        if (have_[chunk]) --here_;
        have_[chunk] = false;
    }

    bool is_sound(std::uint64_t chunk) const {
        // A chunk may be large; its hash needs it whole all the same, for a moment.
        return made_->is_chunk(chunk,
                               data_.read(chunk * made_->chunk_bytes(), made_->size_of(chunk)));
    }

    /// A damaged chunk: what is left is a partial blob.
    void drop(std::uint64_t chunk) {
        if (whole_) {
            have_.assign(made_->count(), true);
            here_ = made_->count();
        }
        unmark(chunk);
        bytes noted;
        for (std::uint64_t i = 0; i < made_->count(); ++i)
            if (have_[i]) put_be32(noted, static_cast<unsigned>(i + 1));
        replace_file(at_.have, noted, true);
        if (!whole_) return;
        rename_file(at_.whole, at_.part);
        sync_directory(at_.whole.parent_path());
        data_ = file(at_.part, O_RDWR);
        writable_ = true;
        whole_ = false;
    }

    const names at_;
    const std::shared_ptr<const blob_manifest> made_;
    file data_;
    bool whole_ = false, writable_ = false;
    std::vector<bool> have_;  ///< of a partial one; empty: nothing
    std::uint64_t here_ = 0;
    std::vector<std::uint64_t> unsynced_;
};

class blob_files final : public blob_store {
public:
    blob_files(fs::path dir, blob_store_options options)
        : dir_(std::move(dir)), options_(options) {}
    ~blob_files() override {
        for (auto& [id, b] : open_) try_sync(*b);
    }

    std::unique_ptr<blob_writer> write() override {
        return std::make_unique<file_writer>(dir_, options_);
    }

    bool is_whole(const blob_id& id) override { return names(dir_, id).is_whole(); }

    std::shared_ptr<const blob_manifest> manifest(const blob_id& id) override {
        const std::lock_guard lock(mutex_);
        const open_blob* b = find(id);
        return b ? b->manifest() : nullptr;
    }
    std::uint64_t next_missing(const blob_id& id, std::uint64_t from) override {
        const std::lock_guard lock(mutex_);
        return require(id).next_missing(from);
    }
    std::uint64_t chunks_here(const blob_id& id) override {
        const std::lock_guard lock(mutex_);
        const open_blob* b = find(id);
        return b ? b->chunks_here() : 0;
    }
    std::optional<bytes> read(const blob_id& id,
                              std::uint64_t chunk,
                              std::uint64_t offset,
                              std::size_t size) override {
        const std::lock_guard lock(mutex_);
        open_blob* b = find(id);
        return b ? b->read(chunk, offset, size) : std::nullopt;
    }

    void begin(const blob_manifest& m) override {
        const std::lock_guard lock(mutex_);
        const blob_id id = m.id();
        if (find(id)) return;
        make_private(dir_);
        require_room(dir_, options_.reserve_bytes);
        open_blob::begin(dir_, m);
        if (m.count() == 0) require(id).finish();
    }
    bool put(const blob_id& id, std::uint64_t chunk, bytes_view data) override {
        const std::lock_guard lock(mutex_);
        open_blob& b = require(id);
        if (chunk >= b.manifest()->count() || !b.manifest()->is_chunk(chunk, data))
            throw error(errc::bad_input, "a chunk that is not of its blob");
        if (b.whole()) return true;
        require_room(dir_, options_.reserve_bytes);
        b.put(chunk, data);
        if (b.chunks_here() == b.manifest()->count()) {
            b.finish();
        } else if (b.unsynced_bytes() >= options_.sync_bytes) {
            b.sync();
        }
        return b.whole();
    }
    void sync() override {
        const std::lock_guard lock(mutex_);
        for (auto& [id, b] : open_) b->sync();
    }

    swept sweep(const std::function<bool(const blob_id&)>& is_named, std::int64_t age_s) override {
        const std::lock_guard lock(mutex_);
        swept out;
        std::error_code ec;
        std::vector<blob_id> gone;
        const std::int64_t now = std::time(nullptr);
        for (const auto& entry : fs::directory_iterator(dir_, ec)) {
            struct ::stat s;
            if (::stat(entry.path().c_str(), &s) != 0 || now - s.st_mtime < age_s) continue;
            const std::string name = entry.path().filename().string();
            if (name.starts_with(fresh_front)) {
                ::unlink(entry.path().c_str());
                continue;
            }
            const blob_id* id = nullptr;
            try {
                gone.push_back(blob_id::from_hex(name.substr(0, hex_bytes)));
                id = &gone.back();
            } catch (const error&) {
                continue;  // not ours
            }
            if (is_named(*id)) {
                gone.pop_back();
                continue;
            }
            if (name.size() == hex_bytes || name.ends_with(".part")) {
                ++out.blobs;
                out.bytes += static_cast<std::uint64_t>(s.st_blocks) * 512;
            }
        }
        for (const blob_id& id : gone) remove(id);
        return out;
    }

private:
    using slot = std::pair<blob_id, std::unique_ptr<open_blob>>;

    /// The blob, opened; what other processes did to its files is noticed.
    open_blob* find(const blob_id& id) {
        const auto at =
            std::find_if(open_.begin(), open_.end(), [&](const slot& s) { return s.first == id; });
        if (at != open_.end()) {
            if (at->second->whole() == is_whole(id)) {
                open_.splice(open_.begin(), open_, at);
                return at->second.get();
            }
            try_sync(*at->second);
            open_.erase(at);
        }
        auto loaded = open_blob::load(dir_, id);
        if (!loaded) return nullptr;
        open_.emplace_front(id, std::move(loaded));
        if (open_.size() > open_max) {
            try_sync(*open_.back().second);
            open_.pop_back();
        }
        return open_.front().second.get();
    }
    open_blob& require(const blob_id& id) {
        open_blob* b = find(id);
        if (!b) throw error(errc::io, "blob " + id.brief() + " is gone from " + dir_.string());
        return *b;
    }

    /// Where nobody can be told; what was not synced is fetched again.
    static void try_sync(open_blob& b) {
        try {
            b.sync();
        } catch (const error&) {
        }
    }

    void remove(const blob_id& id) {
        open_.remove_if([&](const slot& s) { return s.first == id; });
        const names at(dir_, id);
        // The manifest goes last: without it nobody would know what the rest is.
        for (const fs::path& each : {at.whole, at.part, at.have, at.chunks})
            if (::unlink(each.c_str()) != 0 && errno != ENOENT) fail_file(errno, "remove", each);
    }

    const fs::path dir_;
    const blob_store_options options_;
    std::mutex mutex_;
    std::list<slot> open_;  ///< the last used first
};

}  // namespace

std::unique_ptr<blob_store> open_blob_files(const fs::path& dir, blob_store_options options) {
    return std::make_unique<blob_files>(dir, options);
}

std::uint64_t copy_blob_files(const fs::path& from, const fs::path& to) {
    std::error_code ec;
    std::uint64_t copied = 0;
    for (const auto& entry : fs::directory_iterator(from, ec)) {
        const std::string name = entry.path().filename().string();
        if (name.size() != hex_bytes) continue;
        make_private(to);
        // The manifest first: a blob that is there is whole.
        for (const std::string& each : {name + ".chunks", name}) {
            const fs::path target = to / each;
            if (fs::exists(target, ec)) continue;
            if (::link((from / each).c_str(), target.c_str()) == 0) {
                copied += each == name ? fs::file_size(target, ec) : 0;
                continue;
            }
            const fs::path fresh = fresh_name(to);
            fs::copy_file(from / each, fresh, ec);
            if (ec) fail_file(ec.value(), "copy", from / each);
            file(fresh, O_RDONLY).sync();
            rename_file(fresh, target);
            copied += each == name ? fs::file_size(target, ec) : 0;
        }
    }
    if (copied > 0) sync_directory(to);
    return copied;
}

}  // namespace tributary
