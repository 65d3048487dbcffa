#include "tributary/peer/message_blobs.hpp"

#include "tributary/peer/message_bytes.hpp"

namespace tributary::wire {

bytes encode(const blob_ask& m) {
    bytes out = begin(message_type::blob_ask, 5);
    put_number(out, m.sub);
    put_bin(out, m.id.view());
    put_bool(out, m.manifest);
    put_number(out, m.first);
    put_number(out, m.count);
    return out;
}

blob_ask read_blob_ask(bytes_view frame) {
    reader in = open(frame, 5);
    blob_ask m;
    m.sub = in.number();
    m.id = in.id<blob_id>();
    m.manifest = in.boolean();
    m.first = in.number();
    const std::size_t start = in.offset();
    m.count = in.number();
    if (m.count > blob_chunks_max) malformed(start, "too many chunks");
    in.end();
    return m;
}

bytes encode(const blob_part& m) {
    bytes out = begin(message_type::blob_part, 5);
    put_number(out, m.sub);
    put_bin(out, m.id.view());
    if (m.chunk) {
        put_number(out, *m.chunk);
    } else {
        put_nil(out);
    }
    put_number(out, m.left);
    out.reserve(out.size() + m.data.size() + 5);
    put_bin(out, m.data);
    return out;
}

blob_part read_blob_part(bytes_view frame) {
    reader in = open(frame, 5);
    blob_part m;
    m.sub = in.number();
    m.id = in.id<blob_id>();
    if (!in.nil()) m.chunk = in.number();
    m.left = in.number();
    const std::size_t start = in.offset();
    m.data = in.bin();
    if (m.data.empty() || m.data.size() > blob_piece_bytes)
        malformed(start, "a piece of no bytes, or of too many");
    in.end();
    return m;
}

bytes encode(const blob_have& m) {
    bytes out = begin(message_type::blob_have, 4);
    put_number(out, m.sub);
    put_bin(out, m.id.view());
    put_number(out, m.chunks);
    put_bool(out, m.answer);
    return out;
}

blob_have read_blob_have(bytes_view frame) {
    reader in = open(frame, 4);
    blob_have m;
    m.sub = in.number();
    m.id = in.id<blob_id>();
    m.chunks = in.number();
    m.answer = in.boolean();
    in.end();
    return m;
}

bytes encode(const blob_lack& m) {
    bytes out = begin(message_type::blob_lack, 3);
    put_number(out, m.sub);
    put_bool(out, m.more);
    put_number(out, m.missing);
    return out;
}

blob_lack read_blob_lack(bytes_view frame) {
    reader in = open(frame, 3);
    blob_lack m;
    m.sub = in.number();
    m.more = in.boolean();
    m.missing = in.number();
    in.end();
    return m;
}

}  // namespace tributary::wire
