#include "tributary/store/deepen.hpp"

#include <algorithm>
#include <unordered_set>

namespace tributary {

std::vector<commit_id> needed_below(const commit_store& store, crdt_handle h) {
    std::vector<commit_id> ids = store.floor(h);
    if (const auto cut = store.cut_of(h))
        for (const commit& c : cut->proofs) {
            const commit_id id = id_of_header(c.header);
            const auto n = store.find(h, id);
            if (n && !store.entry(h, *n).sig) ids.push_back(id);
        }
    std::sort(ids.begin(), ids.end());
    return ids;
}

node copy_above(commit_store& store,
                crdt_handle h,
                crdt_handle made,
                node first,
                std::size_t commits_max,
                std::size_t bytes_max) {
    std::vector<commit> chunk;
    std::vector<commit_id> below;
    std::unordered_set<commit_id> unvouched;  // by a later one of their authors
    std::size_t size = 0, may_end = 0;
    store.scan(h, first, [&](const arrival_entry& e, bytes_view body) {
        size += e.header.size() + body.size();
        const bool full = chunk.size() >= commits_max || size > bytes_max;
        if (full && may_end > 0) return false;
        const commit_header header = decode_header(e.header);
        std::vector<commit_id> named = header.parents;
        if (header.prev) {
            unvouched.erase(*header.prev);
            named.push_back(*header.prev);
        }
        // Perhaps below both; those that came from the peer are found first.
        for (const commit_id& id : named)
            if (store.is_below(h, id)) below.push_back(id);
        if (!e.sig && !store.is_proven(h, e.id)) unvouched.insert(e.id);
        chunk.push_back({e.header, e.sig, bytes(body)});
        if (unvouched.empty()) may_end = chunk.size();
        return true;
    });
    if (may_end == 0) may_end = chunk.size();  // then ingest says who did not sign
    chunk.resize(may_end);
    if (!chunk.empty()) store.ingest(made, std::move(chunk), chunk_from::here, below);
    return first + may_end;
}

}  // namespace tributary
