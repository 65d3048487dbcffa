#include "tributary/store/blob_index.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/store/keys.hpp"

namespace tributary {

namespace {

using keys::space;

bytes lacking_key(std::uint32_t handle, const named_blob& b) {
    bytes key = keys::of(space::lacking_blob, handle, b.number);
    key += b.blob.id.view();
    return key;
}

bytes encode_size(std::uint64_t size) {
    bytes out;
    packed::put_uint(out, size);
    return out;
}

named_blob parse(const blob_id& id, bytes_view record) {
    packed::reader in(record, "the record of a blob");
    named_blob b;
    b.blob.id = id;
    b.blob.size = in.uint();
    b.number = in.uint();
    return b;
}

constexpr std::size_t handle_end = 5;

}  // namespace

void blob_index::add(node number, std::span<const blob_ref> refs) {
    for (const blob_ref& ref : refs) {
        bytes key = keys::of(space::blob, handle_, ref.id.view());
        if (to_.has(key)) continue;
        bytes record = encode_size(ref.size);
        packed::put_uint(record, number);
        to_.put(key, record);
        to_.put(lacking_key(handle_, {number, ref}), encode_size(ref.size));
        ++version_;
    }
}

std::optional<named_blob> blob_index::find(const blob_id& id) const {
    const auto record = to_.get(keys::of(space::blob, handle_, id.view()));
    if (!record) return std::nullopt;
    return parse(id, *record);
}

void blob_index::note(const blob_id& id, bool here) {
    const auto named = find(id);
    if (!named) return;
    bytes key = lacking_key(handle_, *named);
    if (to_.has(key) != here) return;
    if (here) {
        to_.erase(key);
    } else {
        to_.put(key, encode_size(named->blob.size));
        ++version_;
        ++losses_;
    }
}

std::optional<named_blob> blob_index::next_lacking(const named_blob& after) const {
    const bytes prefix = keys::of(space::lacking_blob, handle_);
    const bytes last = lacking_key(handle_, after);
    const auto at = to_.db().cursor();
    for (at->seek(last); at->valid() && at->key().starts_with(prefix); at->next()) {
        if (at->key() == last) continue;
        if (const auto* staged = to_.staged(at->key()); staged && !staged->val) continue;
        named_blob b;
        b.number = get_be64(at->key().substr(handle_end, 8));
        b.blob.id = blob_id::from_bytes(at->key().substr(handle_end + 8));
        b.blob.size = packed::reader(at->val(), "the record of a blob").uint();
        return b;
    }
    return std::nullopt;
}

void blob_index::each(const std::function<void(const named_blob&)>& visit) const {
    to_.each(keys::of(space::blob, handle_), [&](bytes_view key, bytes_view record) {
        visit(parse(blob_id::from_bytes(key.substr(handle_end)), record));
    });
}

}  // namespace tributary
