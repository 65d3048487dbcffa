#include "tributary/crdt/blob.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>

namespace tributary {

namespace {

constexpr std::string_view blob_purpose = "trib.blob.1";
constexpr std::string_view chunk_purpose = "trib.chunk.1";
constexpr std::string_view address_front = "blob:1";
constexpr std::size_t address_bytes = 6 + 64;

bool is_address(bytes_view text) {
    const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    return text.size() == address_bytes && text.starts_with(address_front) &&
           std::all_of(text.begin() + address_front.size(), text.end(), hex);
}

}  // namespace

value blobs_ext(std::span<const blob_ref> refs) {
    if (refs.size() > blob_refs_max)
        throw error(errc::limit,
                    "a commit names at most " + std::to_string(blob_refs_max) +
                        " blobs; write it as several");
    if (refs.empty()) return make_map({});
    vector listed;
    for (const blob_ref& ref : refs)
        listed.push_back(vector{blob{bytes(ref.id.view())}, value(ref.size)});
    return make_map({{ext_blobs, std::move(listed)}});
}

std::vector<blob_ref> blobs_of_ext(const value& ext) {
    const value* found = ext.find(value(ext_blobs));
    const auto* listed = found ? found->get_if<vector>() : nullptr;
    if (!listed || listed->size() > blob_refs_max) return {};
    std::vector<blob_ref> refs;
    for (const value& each : *listed) {
        const auto* pair = each.get_if<vector>();
        if (!pair || pair->size() != 2) return {};
        const auto* id = pair->front().get_if<blob>();
        const auto* size = pair->back().get_if<std::int64_t>();
        if (!id || id->data.size() != 32 || !size || *size < 0) return {};
        refs.push_back({blob_id::from_bytes(id->data), static_cast<std::uint64_t>(*size)});
    }
    return refs;
}

std::string blob_address(const blob_id& id) { return std::string(address_front) + id.hex(); }

blob_id parse_blob_address(std::string_view text) {
    if (!is_address(text))
        throw error(errc::bad_input,
                    "\"" + std::string(text.substr(0, 100)) +
                        "\" is no blob: its address is \"blob:1\" and 64 hexadecimal digits");
    return blob_id::from_hex(text.substr(address_front.size()));
}

std::vector<blob_id> blobs_in_op(bytes_view op) {
    // A string of 70 bytes has one canonical head.
    static const bytes front = bytes("\xd9\x46") + bytes(address_front);
    std::vector<blob_id> found;
    for (std::size_t at = op.find(front); at != op.npos; at = op.find(front, at + 1)) {
        const bytes_view text = op.substr(at + 2, address_bytes);
        if (!is_address(text)) continue;
        const blob_id id = parse_blob_address(text);
        if (std::find(found.begin(), found.end(), id) == found.end()) found.push_back(id);
    }
    return found;
}

std::uint64_t blob_manifest::chunk_bytes_for(std::uint64_t size) {
    if (size > size_max) throw error(errc::limit, "a blob has at most a TiB");
    std::uint64_t chunk = 256u << 10;
    while (size > chunk * chunks_max) chunk *= 2;
    return chunk;
}

hash32 blob_manifest::hash_of_chunk(bytes_view chunk) { return hash(chunk_purpose, chunk); }

blob_manifest::blob_manifest(std::uint64_t size, std::uint64_t chunk_bytes, bytes hashes)
    : size_(size), chunk_bytes_(chunk_bytes), hashes_(std::move(hashes)) {
    if (chunk_bytes_ < chunk_bytes_least || chunk_bytes_ > chunk_bytes_most ||
        (chunk_bytes_ & (chunk_bytes_ - 1)) != 0)
        throw error(errc::bad_input, "a blob's chunks have a power of two from 1 KiB to 16 MiB");
    if (size_ > chunks_max * chunk_bytes_) throw error(errc::limit, "a blob of too many chunks");
    if (hashes_.size() != (size_ + chunk_bytes_ - 1) / chunk_bytes_ * 32)
        throw error(errc::bad_input, "a blob's manifest with another number of hashes than chunks");
}

blob_manifest blob_manifest::decode(bytes_view data) {
    if (data.size() > bytes_max) throw error(errc::limit, "a blob's manifest of too many bytes");
    packed::reader in(data, "a blob's manifest");
    const std::size_t fields = in.array();
    if (const std::uint64_t version = in.uint(); version != 1)
        throw error(version > 1 ? errc::newer_version : errc::bad_input,
                    "a blob's manifest of version " + std::to_string(version) +
                        "; this tributary knows version 1");
    if (fields != 4) in.fail("it has not 4 fields");
    const std::uint64_t size = in.uint(), chunk_bytes = in.uint();
    bytes hashes(in.bin());
    in.end();
    return {size, chunk_bytes, std::move(hashes)};
}

bytes blob_manifest::encode() const {
    bytes out;
    out.reserve(hashes_.size() + 32);
    packed::put_array(out, 4);
    packed::put_uint(out, 1);
    packed::put_uint(out, size_);
    packed::put_uint(out, chunk_bytes_);
    packed::put_bin(out, hashes_);
    return out;
}

blob_id blob_manifest::id() const { return hash_as<blob_id>(blob_purpose, encode()); }

}  // namespace tributary
