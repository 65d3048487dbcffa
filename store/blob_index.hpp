/// Which blobs the commits of a CRDT name, and which of them are not known to be here: written with
/// the commits, so that nothing has to be looked for. Thread rule: one thread.
#pragma once

#include "tributary/crdt/blob.hpp"
#include "tributary/crdt/graph.hpp"
#include "tributary/store/staging.hpp"

#include <functional>
#include <optional>
#include <span>

namespace tributary {

/// A blob that a commit names. They are ordered by commits.
struct named_blob {
    node number = 0;  ///< of the first commit that names it
    blob_ref blob;
    auto operator<=>(const named_blob&) const = default;
};

class blob_index {
public:
    blob_index(staging& to, std::uint32_t handle) : to_(to), handle_(handle) {}

    /// Commit `number` names `refs`; those that are new count as not here.
    void add(node number, std::span<const blob_ref> refs);
    std::optional<named_blob> find(const blob_id& id) const;
    /// Whether `id` is here now. Does nothing if no commit names it.
    void note(const blob_id& id, bool here);
    /// The first blob after `after` that is not known to be here. O(log n), among durable ones.
    std::optional<named_blob> next_lacking(const named_blob& after) const;
    void each(const std::function<void(const named_blob&)>& visit) const;
    /// Changes whenever there may be more for next_lacking; and when that may be before what it has
    /// given already.
    std::uint64_t version() const { return version_; }
    std::uint64_t losses() const { return losses_; }

private:
    staging& to_;
    const std::uint32_t handle_;
    std::uint64_t version_ = 0, losses_ = 0;
};

}  // namespace tributary
