/// Commits: what is appended, signed, replicated. Header and body are apart, so that a body can be
/// fetched later or erased while id and signature stay true. docs/formats.md gives the bytes.
#pragma once

#include "tributary/crdt/genesis.hpp"
#include "tributary/crdt/keys.hpp"
#include "tributary/value/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tributary {

using commit_id = id32<struct commit_tag>;

inline constexpr std::size_t parents_max = 64;
inline constexpr std::uint64_t body_bytes_max = 16u << 20;
inline constexpr std::uint32_t ops_max = 65536;
inline constexpr std::size_t header_bytes_max = 64u << 10;

/// An operation: the name of what to do and its parameters. What it means is decided by the
/// reader's dispatch map.
struct op {
    symbol name;
    value params;
};

/// Canonical bytes of [name params]. Errors of decode: bad_input.
bytes encode(const op& o);
op decode_op(bytes_view data);

struct commit_header {
    crdt_id crdt;
    public_key author;
    std::uint64_t seq = 1;           ///< this author's commits in this CRDT, from 1
    std::optional<commit_id> prev;   ///< this author's commit seq - 1; none for seq 1
    std::vector<commit_id> parents;  ///< ordered; the first is the mainline; none for a root
    std::uint64_t gen = 1;           ///< 1 + the greatest of the parents', 1 for a root
    std::int64_t time_ms = 0;        ///< the author's clock, advisory
    std::uint8_t codec = 0;          ///< of the body: 0 plain; 1 reserved for encryption
    std::uint32_t op_count = 0;
    std::uint64_t body_size = 0;  ///< bytes
    hash32 body_root;             ///< over the op ids
    value ext = make_map({});     ///< integer keys; unknown odd ones are ignored, unknown even ones
                                  ///< refused as newer_version
};

/// Keys of `ext`.
inline constexpr std::int64_t ext_grants = 2;       ///< [[key rights name] ...]
inline constexpr std::int64_t ext_revocations = 4;  ///< [[key last-seq] ...]

/// Errors of decode: bad_input, newer_version, limit.
bytes encode(const commit_header& h);
commit_header decode_header(bytes_view data);

/// A header's hash.
commit_id id_of_header(bytes_view header);

/// The body of encoded ops, and back. Views point into `body`. `split_body` does not decode the
/// ops. Errors: bad_input, limit.
bytes make_body(std::span<const bytes> ops);
std::vector<bytes_view> split_body(bytes_view body);
hash32 root_of_ops(std::span<const bytes_view> ops);

/// A commit as it travels and is stored. The signature may be absent: then a later commit of the
/// same author vouches for it.
struct commit {
    bytes header;
    std::optional<signature> sig;
    bytes body;
    bool body_checked = false;  ///< verify_body has succeeded with this header and body
};

/// Builds, hashes and signs. `h` must have everything but op_count, body_size and body_root, which
/// are filled in.
commit make_commit(commit_header h, std::span<const bytes> ops, const identity& author);

/// Whether `sig` is `author`'s over `id`.
bool verify(const public_key& author, const commit_id& id, const signature& sig);

/// Checks `body` against the header: size, op count, root. Errors: bad_input.
void verify_body(const commit_header& h, bytes_view body);

}  // namespace tributary
