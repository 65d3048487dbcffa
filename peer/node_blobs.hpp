/// What the process that has a replica open does about its blobs.
#pragma once

#include "tributary/peer/node.hpp"
#include "tributary/store/blob_index.hpp"

#include <span>
#include <vector>

namespace tributary {

/// The blobs that encoded ops mention, each once. O(bytes), any thread.
std::vector<blob_id> mentioned_blobs(std::span<const bytes> ops);

/// What a commit that is written here names of what its ops mention: blobs that are here whole, and
/// those that a commit of the CRDT names already. On the store thread.
class blob_naming {
public:
    blob_naming(commit_store& store,
                blob_store& blobs,
                crdt_handle h,
                const std::vector<blob_id>& mentioned);
    /// For its header. Errors: limit.
    value ext() const { return blobs_ext(refs_); }
    /// Once it is appended: what is here need not be fetched.
    void note() const;

private:
    commit_store& store_;
    crdt_handle handle_;
    std::vector<blob_ref> refs_;
    std::vector<blob_id> here_;
};

}  // namespace tributary
