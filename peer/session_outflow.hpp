/// What one subscription sends: which commits the other side lacks, in the order of the arrival
/// log, cut into chunks, within a window.
///
/// A plan is made from what the receiver says it has. It is a list of commits found by a graph walk
/// (or none) up to a place in the log, and after that the log itself without the ranges that came
/// from this very connection. Thread rule: one thread.
#pragma once

#include "tributary/peer/message.hpp"

#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace tributary {

class outflow {
public:
    struct chunk {
        bytes frame;
        std::size_t commits = 0;
        std::size_t payload_bytes = 0;
        std::vector<commit_id> below;  ///< what its commits name that the receiver never gets
    };
    /// Where a partial receiver begins, in terms of the log here: above its first `at` entries, or
    /// else above `floor` and their ancestors.
    struct beginning {
        node at = 0;
        std::vector<node> floor;
    };

    outflow(commit_store& store, crdt_handle h, const hub_options& options, bool continuous)
        : store_(store),
          handle_(h),
          options_(options),
          continuous_(continuous),
          window_(options.window_bytes) {}

    void receiver_begins(beginning where) { beginning_ = std::move(where); }

    /// Streams the log after entry `position`, which the receiver has up to there.
    void plan_log(std::uint64_t round, node position, node end);
    /// Plans from what the receiver has. False: that says too little.
    bool plan(const wire::holding& have, node end);
    /// Streams `list` of the log's first `list_end` entries, the rest of which the receiver has,
    /// and what comes after them.
    void plan_list(std::uint64_t round, std::vector<node> list, node list_end, node end);
    /// Plans for a receiver that is partial, or that is sent to by a replica that is, where plan()
    /// could not: everything here that the receiver may lack.
    void plan_roughly(const wire::holding& have, node end);
    /// The first of the log for a new replica that begins above entry `at`.
    void plan_above(std::uint64_t round, node at, node end);

    bool planned() const { return planned_; }
    /// Whether the last plan was given up because too many shared commits would have been visited.
    bool overran() const { return overran_; }
    std::size_t memory() const { return list_.size() * sizeof(node); }  ///< of the plan, bytes
    bool is_live() const { return continuous_; }
    /// Whether the receiver's first `end` commits were known to be here when the plan was made.
    bool knows(std::uint64_t end) const { return planned_ && end <= known_; }
    std::uint64_t round() const { return round_; }

    /// Entries `first` to `last` came from this connection.
    void skip(node first, node last);
    /// Moves over entries that the receiver has anyway.
    void settle(node end);

    /// Whether there is something to send now, if the window allows.
    bool has_more(node end) const;
    bool window_open() const { return in_flight_bytes_ < window_; }
    void limit_window(std::uint64_t bytes);

    /// The next chunk. `with_cursor`: it says how far the receiver has the log then. Needs
    /// has_more.
    chunk next_chunk(std::uint64_t sub, node end, bool with_cursor);
    /// Whether the receiver should hear where the cursor is though there is nothing to send.
    bool owes_cursor() const;
    chunk cursor_chunk(std::uint64_t sub);

    /// Errors: bad_input (acknowledges what was never sent).
    void acked(std::uint64_t chunks);

    /// Everything that was there when the plan was made is sent and acknowledged.
    bool complete(node end) const;
    /// Whether the plan is to send entry `n`.
    bool covers(node n) const;
    /// How many commits the receiver has not acknowledged, if there is a plan.
    std::optional<std::uint64_t> unacknowledged(node end) const;
    /// The receiver has, durably, the log up to here.
    node acked_position() const { return in_flight_.empty() ? position_ : acked_position_; }
    /// After a failed flush: nothing beyond `end` exists any more. False if the plan was built on
    /// it.
    bool retreat(node end);

    arrival_cursor cursor_at(node n) const;

private:
    struct sent {
        std::size_t bytes;
        node position;
    };
    std::vector<node> known_of(const wire::holding& have) const;
    std::optional<node> place_of(const wire::holding& have, const std::vector<node>& known) const;
    node next_wanted(node after, node end) const;
    void begin(std::uint64_t round, node position, node end);
    void move_to(node position);
    void plan_all_above(std::uint64_t round, node end);
    bool is_below(const commit_id& id) const;

    commit_store& store_;
    crdt_handle handle_;
    const hub_options& options_;
    bool continuous_;

    std::optional<beginning> beginning_;

    bool planned_ = false;
    bool overran_ = false;
    std::uint64_t known_ = 0;
    std::uint64_t round_ = 0;
    node position_ = 0;  ///< the receiver has everything up to here once what is in flight arrives
    node target_ = 0;    ///< the log's end when the plan was made
    std::vector<node> list_;  ///< what to send up to list_end_, ascending
    node list_end_ = 0;
    std::deque<std::pair<node, node>> skips_;
    std::optional<node> announced_;  ///< the last cursor sent
    bool done_told_ = false;

    std::deque<sent> in_flight_;
    std::size_t in_flight_bytes_ = 0;
    std::uint64_t window_;
    std::uint64_t chunks_acked_ = 0;
    node acked_position_ = 0;
};

}  // namespace tributary
