/// Where ops are realized. A target keeps the cursor and commits it with the effects, in one
/// transaction of its own.
///
/// Implementations: datom database (realize/datom_target.hpp), a value in memory
/// (realize/identity_target.hpp). Thread rule: one thread.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/realize/dispatch.hpp"

#include <optional>
#include <string>

namespace tributary {

using datom::stream_cursor;

/// A commit at its place in a linear log. Two logs that have the same mainline commit at a place
/// are equal up to it.
struct linear_mark {
    commit_id id;
    bool mainline = false;
    bool operator==(const linear_mark&) const = default;
};

bytes encode(const linear_mark& m);
linear_mark decode_linear_mark(bytes_view data);

class realize_target {
public:
    virtual ~realize_target() = default;

    /// The durable cursor; its `commit` is an encoded linear_mark. Nothing before the first
    /// begin().
    virtual std::optional<stream_cursor> cursor() const = 0;
    /// What was applied at a position below the cursor's.
    virtual std::optional<linear_mark> applied_at(std::uint64_t position) const = 0;
    /// Makes `from` the cursor, durably: its epoch is higher than the durable one's, so that an
    /// older realizer of this stream fails at its next flush.
    virtual void begin(const stream_cursor& from) = 0;
    /// One op. Throws if it fails, and then nothing of it is staged.
    virtual void apply(const op& o, const op_context& context) = 0;
    /// An op that is not applied, and why: kept in the target. `o` is null if it could not even be
    /// decoded.
    virtual void record_failure(const op_context& context,
                                const op* o,
                                const std::string& reason,
                                bool quarantined) = 0;
    /// The end of a linear-log commit.
    virtual void end_commit(const stream_cursor& to, const op_context& commit) = 0;
    /// Everything since the last flush, cursor included, at once. Errors: conflict (fenced off),
    /// io, no_space; then nothing of it happened.
    virtual void flush() = 0;
    /// Forgets what is staged. Back to the last flush, or to an earlier end of a commit if that is
    /// what the target can do; cursor() tells.
    virtual void discard() = 0;
    virtual std::size_t staged_bytes() const = 0;
    /// Back to the state after `position` commits, or an earlier one if that is what the target can
    /// do; cursor() tells.
    virtual void rewind(std::uint64_t position) = 0;
};

}  // namespace tributary
