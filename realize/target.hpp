/// Where ops are realized. A target keeps the cursor and commits it with the effects, in one transaction of its own.
///
/// Implementations: datom database (realize/datom_target.hpp), in-memory identity (realize/identity_target.hpp).
#pragma once

#include <optional>
#include <string>

#include "tributary/datom/database.hpp"
#include "tributary/realize/dispatch.hpp"

namespace tributary {

using datom::stream_cursor;

class realize_target {
public:
    virtual ~realize_target() = default;

    virtual std::optional<stream_cursor> cursor() const = 0;
    virtual std::optional<commit_id> applied_at(std::uint64_t position) const = 0;
    /// Raises the epoch durably, so that another realizer of the same stream fails at its next flush; sets the digest.
    virtual void begin(const stream_cursor& from) = 0;
    /// One op; throws if it fails, and then nothing of it is staged.
    virtual void apply(const op& o, const op_context& context) = 0;
    /// An op that is not applied (skipped, quarantined), and why: kept in the target.
    virtual void record_failure(const op_context& context, const op* o, const std::string& reason, bool quarantined) = 0;
    /// The end of a linear-log commit.
    virtual void end_commit(const stream_cursor& to, const op_context& commit) = 0;
    /// Everything since the last flush, cursor included, at once. Errors: conflict (fenced off), io, no_space.
    virtual void flush() = 0;
    virtual void discard() = 0;
    virtual std::size_t staged_bytes() const = 0;
    /// Back to the state after `position` commits.
    virtual void rewind(std::uint64_t position) = 0;
};

}  // namespace tributary
