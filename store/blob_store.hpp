/// Blobs on this machine, whole and in part: content-addressed, streamed in, read in ranges, never
/// whole in memory.
///
/// A chunk counts as here only when it was verified; what has become durable of a partial blob is
/// still here after a crash, and what has not is merely fetched again. Chunks are verified again
/// whenever they are read: one with flipped bits is dropped, and its blob is partial from then on.
/// Thread rule: any thread.
#pragma once

#include "tributary/crdt/blob.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace tributary {

/// A blob while it is streamed in. Forgotten if it is destroyed before finish().
class blob_writer {
public:
    virtual ~blob_writer() = default;
    /// Errors: no_space, io, limit.
    virtual void append(bytes_view data) = 0;
    /// Durable when this returns. Errors: no_space, io.
    virtual blob_ref finish() = 0;
};

class blob_store {
public:
    virtual ~blob_store() = default;

    /// A new blob out of this machine.
    virtual std::unique_ptr<blob_writer> write() = 0;

    /// Whether all of it is here, durably. O(1).
    virtual bool is_whole(const blob_id& id) = 0;
    /// Of a blob of which anything is here.
    virtual std::shared_ptr<const blob_manifest> manifest(const blob_id& id) = 0;
    /// The first chunk from `from` on that is not here; the number of chunks if all are. Needs the
    /// manifest.
    virtual std::uint64_t next_missing(const blob_id& id, std::uint64_t from) = 0;
    /// How many chunks are here; 0 without a manifest.
    virtual std::uint64_t chunks_here(const blob_id& id) = 0;
    /// `size` bytes of a chunk from `offset` on. The chunk is verified when its beginning is read;
    /// nothing if it is not here, or turns out to be damaged, and is dropped. Errors: io.
    virtual std::optional<bytes> read(const blob_id& id,
                                      std::uint64_t chunk,
                                      std::uint64_t offset,
                                      std::size_t size) = 0;

    /// Makes room for a blob from elsewhere. Errors: no_space, io.
    virtual void begin(const blob_manifest& m) = 0;
    /// Takes a chunk of a blob that was begun; true if the blob is whole and durable now. Errors:
    /// bad_input (not what the manifest says; nothing is kept), no_space, io.
    virtual bool put(const blob_id& id, std::uint64_t chunk, bytes_view data) = 0;
    /// Makes what was put durable; it need not be called. Errors: no_space, io.
    virtual void sync() = 0;

    struct swept {
        std::uint64_t blobs = 0, bytes = 0;
    };
    /// Removes the blobs, whole or in part, that nobody names and that were not touched for
    /// `age_s` seconds, and what writers that were killed left behind. The age spares what was
    /// added just now and is yet to be named. Errors: io.
    virtual swept sweep(const std::function<bool(const blob_id&)>& is_named,
                        std::int64_t age_s) = 0;
};

struct blob_store_options {
    /// What blobs from elsewhere leave free on the disk, so that commits can go on.
    std::uint64_t reserve_bytes = 64u << 20;
    /// Partial blobs are made durable after so much has come.
    std::uint64_t sync_bytes = 4u << 20;
};

/// Where in the directory of a replica they are.
inline constexpr const char* blobs_directory = "blobs";

/// Blobs as files in `dir`, which is made (mode 0700) with the first of them. Whole blobs may be
/// added, read and removed by several processes at a time; only one may receive partial ones.
/// docs/formats.md says which files there are. Errors: io.
std::unique_ptr<blob_store> open_blob_files(const std::filesystem::path& dir,
                                            blob_store_options options = {});

/// Copies the whole blobs in `from` to `to`, by hard links where that is possible; those that are
/// there already are skipped. For backups. Returns bytes copied or linked. Errors: io, no_space.
std::uint64_t copy_blob_files(const std::filesystem::path& from, const std::filesystem::path& to);

/// Blobs in memory, for tests, the simulator and peers without a directory. Thread rule: one
/// thread.
class memory_blobs : public blob_store {
public:
    /// What was put since the last sync() is gone, but for the first `kept` chunks of it.
    virtual void crash(std::size_t kept = 0) = 0;
    virtual std::size_t unsynced_count() const = 0;
    /// Puts fail with errc::no_space while it is full.
    virtual void set_full(bool full) = 0;
    /// Flips a bit of a chunk that is here.
    virtual void damage(const blob_id& id, std::uint64_t chunk) = 0;
    /// A whole blob of chunks of this size.
    virtual blob_ref add(bytes_view data, std::uint64_t chunk_bytes) = 0;
};
std::unique_ptr<memory_blobs> make_memory_blobs();

}  // namespace tributary
