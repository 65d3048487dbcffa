/// Blobs: large binaries that ops refer to and that travel apart from commits, in chunks of which
/// each can be verified alone. Pure: what they are called and made of; store/blob_store.hpp keeps
/// them. docs/blobs.md tells the whole story, docs/formats.md the bytes.
///
/// An op names a blob by its address, a string anywhere in its params; the header of its commit
/// lists the blobs that its ops name, so that replication need not read bodies.
#pragma once

#include "tributary/value/hash.hpp"
#include "tributary/value/value.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tributary {

/// The hash of a blob's manifest.
using blob_id = id32<struct blob_tag>;

/// A blob as a commit names it.
struct blob_ref {
    blob_id id;
    std::uint64_t size = 0;  ///< bytes
    auto operator<=>(const blob_ref&) const = default;
};

/// Key of a commit header's `ext`: [[id size] ...].
inline constexpr std::int64_t ext_blobs = 3;
inline constexpr std::size_t blob_refs_max = 1024;  ///< in a commit

/// An `ext` that lists these blobs; empty if there are none. Errors: limit.
value blobs_ext(std::span<const blob_ref> refs);
/// The blobs that `ext` lists. What is no such list lists none: the key is one that older readers
/// ignore, so nobody may refuse a commit for it.
std::vector<blob_ref> blobs_of_ext(const value& ext);

/// "blob:1" and the id in hexadecimal.
std::string blob_address(const blob_id& id);
/// Errors: bad_input.
blob_id parse_blob_address(std::string_view text);
/// The blobs whose addresses are strings in an op's canonical bytes, each once. O(bytes).
std::vector<blob_id> blobs_in_op(bytes_view op);

/// What a blob is made of: chunks of one size (the last may be shorter) and their hashes.
class blob_manifest {
public:
    static constexpr std::uint64_t chunks_max = 1u << 16;
    static constexpr std::uint64_t chunk_bytes_least = 1u << 10, chunk_bytes_most = 16u << 20;
    /// A TiB.
    static constexpr std::uint64_t size_max = chunks_max * chunk_bytes_most;
    /// Of an encoded manifest.
    static constexpr std::size_t bytes_max = chunks_max * 32 + 64;

    /// What size of chunk a blob of `size` bytes is cut into, so that the same content has the same
    /// id wherever it is added: 256 KiB, doubled until no more than chunks_max are needed. Errors:
    /// limit.
    static std::uint64_t chunk_bytes_for(std::uint64_t size);
    static hash32 hash_of_chunk(bytes_view chunk);

    /// `hashes`: 32 bytes for each chunk. Errors: bad_input, limit.
    blob_manifest(std::uint64_t size, std::uint64_t chunk_bytes, bytes hashes);
    /// Errors: bad_input, newer_version, limit.
    static blob_manifest decode(bytes_view data);
    bytes encode() const;
    blob_id id() const;

    std::uint64_t size() const { return size_; }
    std::uint64_t chunk_bytes() const { return chunk_bytes_; }
    std::uint64_t count() const { return hashes_.size() / 32; }
    std::uint64_t size_of(std::uint64_t chunk) const {
        return std::min(chunk_bytes_, size_ - chunk * chunk_bytes_);
    }
    bool is_chunk(std::uint64_t chunk, bytes_view data) const {
        return data.size() == size_of(chunk) && hash_of_chunk(data).view() == hash_of(chunk);
    }
    bytes_view hash_of(std::uint64_t chunk) const {
        return bytes_view(hashes_).substr(chunk * 32, 32);
    }

private:
    std::uint64_t size_, chunk_bytes_;
    bytes hashes_;
};

}  // namespace tributary
