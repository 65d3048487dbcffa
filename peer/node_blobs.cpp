#include "tributary/peer/node_blobs.hpp"

#include "tributary/peer/node_stage.hpp"

#include <algorithm>

namespace tributary {

std::vector<blob_id> mentioned_blobs(std::span<const bytes> ops) {
    std::vector<blob_id> all;
    for (const bytes& op : ops)
        for (const blob_id& id : blobs_in_op(op)) all.push_back(id);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

blob_naming::blob_naming(commit_store& store,
                         blob_store& blobs,
                         crdt_handle h,
                         const std::vector<blob_id>& mentioned)
    : store_(store), handle_(h) {
    for (const blob_id& id : mentioned) {
        const bool here = blobs.is_whole(id);
        const auto made = here ? blobs.manifest(id) : nullptr;
        if (made) {
            here_.push_back(id);
            refs_.push_back({id, made->size()});
        } else if (const auto named = store.blobs(h).find(id)) {
            refs_.push_back(named->blob);
        }
    }
}

void blob_naming::note() const {
    for (const blob_id& id : here_) store_.blobs(handle_).note(id, true);
}

std::vector<blob_summary> node_stage::blobs(const std::string& name) {
    std::vector<blob_summary> out = node_.read([&](commit_store& store) {
        const crdt_handle h = require_crdt(store, name);
        std::vector<named_blob> named;
        store.blobs(h).each([&](const named_blob& b) { named.push_back(b); });
        std::sort(named.begin(), named.end());
        std::vector<blob_summary> listed;
        for (const named_blob& b : named)
            listed.push_back({b.blob.id, b.blob.size, 0, store.entry(h, b.number).id});
        return listed;
    });
    for (blob_summary& b : out) {
        const auto made = node_.blobs().manifest(b.id);
        if (made)
            b.here = std::min(node_.blobs().chunks_here(b.id) * made->chunk_bytes(), made->size());
    }
    return out;
}

}  // namespace tributary
