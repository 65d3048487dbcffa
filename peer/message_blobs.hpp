/// The messages about blobs, as peer/message.hpp.
#pragma once

#include "tributary/crdt/blob.hpp"
#include "tributary/peer/message.hpp"

namespace tributary::wire {

inline constexpr std::size_t blob_piece_bytes = 64u << 10;  ///< of a chunk, in a message
inline constexpr std::uint64_t blob_chunks_max = 4096;      ///< asked for in a message
inline constexpr std::size_t blob_asks_max = 64;            ///< not answered yet, on a connection

/// "Send me the manifest and these chunks of a blob that a commit of this CRDT names."
struct blob_ask {
    std::uint64_t sub = 0;
    blob_id id;
    bool manifest = false;
    std::uint64_t first = 0, count = 0;
};

/// The next bytes of the manifest or of a chunk. Both come from their beginning on, in order.
struct blob_part {
    std::uint64_t sub = 0;
    blob_id id;
    std::optional<std::uint64_t> chunk;  ///< none: the manifest
    std::uint64_t left = 0;              ///< bytes of it that are yet to come
    bytes_view data;                     ///< into the frame
};

/// How much of a blob the sender has.
struct blob_have {
    std::uint64_t sub = 0;
    blob_id id;
    std::uint64_t chunks = 0;
    bool answer = false;  ///< the end of the answer to an ask; else it is news
};

/// Whether the sender is still going to ask for blobs of this CRDT.
struct blob_lack {
    std::uint64_t sub = 0;
    bool more = false;
    std::uint64_t missing = 0;  ///< that it could not get on this connection
};

bytes encode(const blob_ask& m);
bytes encode(const blob_part& m);
bytes encode(const blob_have& m);
bytes encode(const blob_lack& m);

blob_ask read_blob_ask(bytes_view frame);
blob_part read_blob_part(bytes_view frame);
blob_have read_blob_have(bytes_view frame);
blob_lack read_blob_lack(bytes_view frame);

}  // namespace tributary::wire
