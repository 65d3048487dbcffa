/// A realize stream: applies every op of a linear log exactly once to a target.
///
/// Guarantee: each commit's ops are committed to the target exactly once, in an order that extends
/// causality, equal on all replicas with the same commits, and undone only back to a fork point and
/// only when a merge says so. Thread rule: one thread.
#pragma once

#include "tributary/realize/target.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

/// One commit as a reader of a linear log sees it.
struct linear_commit {
    std::uint64_t position = 0;
    linear_mark mark;
    commit_header header;
    std::string author_name;
    bytes body;  ///< empty with `erased`
    bool erased = false;
};

/// A linear log to read from: a store in this process or another one's. May throw
/// errc::unavailable.
class linear_source {
public:
    virtual ~linear_source() = default;
    virtual std::uint64_t length() = 0;
    virtual std::vector<commit_id> heads() = 0;
    /// The marks at [position, position + count), as far as there are any.
    virtual std::vector<linear_mark> marks(std::uint64_t position, std::uint64_t count) = 0;
    /// Up to `bytes_max` of bodies (at least one commit if there is one) from `position` on.
    virtual std::vector<linear_commit> read(std::uint64_t position, std::size_t bytes_max) = 0;
};

enum class failing_op { stop, skip, quarantine };
enum class conflict_mode { strict, follow_current };

struct stream_options {
    failing_op on_failure = failing_op::stop;
    conflict_mode mode = conflict_mode::strict;
    bool from_here = false;              ///< accept a changed dispatch map for what comes
    std::size_t flush_bytes = 4u << 20;  ///< of staged effects
    std::size_t flush_commits = 64;
};

struct stream_progress {
    std::uint64_t position = 0;                              ///< commits applied in all
    std::uint64_t length = 0;                                ///< of the linear log
    std::uint64_t ops = 0, failed = 0, rewound_commits = 0;  ///< by this object
};

enum class stream_stop { caught_up, conflict, canceled };

class realize_stream {
public:
    /// Everything but the options must outlive the stream.
    realize_stream(linear_source& source,
                   realize_target& target,
                   const dispatch_map& dispatch,
                   crdt_id crdt,
                   stream_options options);

    /// Single pass: applies what there is now and returns. Continuous reading is calling it
    /// whenever the source grew. Finds the common prefix of what was applied and the log first, and
    /// rewinds the target if the log goes another way from there; a log that merely is not as far
    /// yet (a restored backup, another replica) undoes nothing. `keep_going` is asked after each
    /// commit. In strict mode, nothing is applied while there are several heads. Errors: conflict
    /// (the dispatch map changed; the stream is of another CRDT; another realizer took over),
    /// unavailable (the source), and under failing_op::stop what the op threw (the message names
    /// commit, author and op); every commit before it is flushed, and nothing of its own. After an
    /// error run() may be called again: it goes on from what is durable.
    using keep_going_function = std::function<bool(const stream_progress&)>;
    stream_stop run(const keep_going_function& keep_going = {});

    const stream_progress& progress() const { return progress_; }

private:
    /// A commit at its place.
    struct place {
        std::uint64_t position = 0;
        linear_mark mark;
    };

    void begin();
    void go_back_to_durable();
    std::uint64_t common_prefix();
    bool is_aligned();
    bool align();
    void rewind(std::uint64_t prefix);
    std::vector<linear_commit> read_next();
    stream_stop apply_all(const keep_going_function& keep_going);
    void apply_again(std::uint64_t end);
    void apply(const linear_commit& c);
    bool apply_op(bytes_view encoded, const op_context& context);
    void refuse_op(const op_context& context, const op* o, const error& why);
    void flush();
    void flush_if_full();

    linear_source& source_;
    realize_target& target_;
    crdt_id crdt_;
    stream_options options_;
    bytes meaning_;  ///< what cursors keep as their dispatch: the map's digest, then the CRDT
    stream_progress progress_;  ///< of whole commits
    stream_progress flushed_;   ///< progress_ at the last flush
    stream_cursor cursor_;      ///< staged or durable
    std::uint64_t epoch_ = 0;
    std::optional<place>
        anchor_;  ///< the log's end when the target was last found to agree with the log
    bool begun_ = false;
    std::size_t commits_staged_ = 0;
};

}  // namespace tributary
