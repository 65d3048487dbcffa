/// Both ends of an exchange of sketches (crdt/sketch.hpp), for one subscription: what is told is of
/// the log as it was when the exchange began, whatever is added meanwhile. Thread rule: one thread.
#pragma once

#include "tributary/peer/message.hpp"

#include <optional>
#include <vector>

namespace tributary {

/// The first `most` cells of a log's first `end` entries.
class frozen_cells {
public:
    frozen_cells(const commit_store& store, crdt_handle h, node end, std::uint64_t most)
        : store_(store), handle_(h), end_(end), most_(most) {}
    /// `first` must not go back. `likely`: so many cells will be asked for in all.
    std::span<const sketch::cell> get(std::uint64_t first, std::size_t count, std::uint64_t likely);
    node end() const { return end_; }

private:
    const commit_store& store_;
    crdt_handle handle_;
    node end_;
    std::uint64_t most_;
    std::uint64_t from_ = 0;
    std::vector<sketch::cell> cells_;
};

/// Sends cells for as long as the other side wants more.
class sketch_source {
public:
    /// Sends `most` cells at most.
    sketch_source(const commit_store& store, crdt_handle h, arrival_cursor end, std::uint64_t most)
        : cells_(store, h, end.seq, most), end_(end), most_(most) {}

    /// So many are wanted in all. Errors: limit, bad_input (again and again a few more).
    void want(std::uint64_t total);
    bool has_more() const { return sent_ < wanted_; }
    wire::cells next(std::uint64_t sub);
    std::size_t memory() const { return wanted_ * sizeof(sketch::cell); }  ///< bytes, at most

private:
    frozen_cells cells_;
    arrival_cursor end_;
    std::uint64_t most_;
    std::uint64_t sent_ = 0, wanted_ = 0;
};

/// Finds out from the other side's cells what either side lacks.
class sketch_reader {
public:
    /// Takes `most` cells at most.
    sketch_reader(const commit_store& store,
                  crdt_handle h,
                  node end,
                  const arrival_cursor& theirs,
                  std::uint64_t most);
    sketch_reader(const sketch_reader&) = delete;
    sketch_reader& operator=(const sketch_reader&) = delete;

    /// Errors: bad_input (out of turn, or no cells of a set).
    void take(const wire::cells& m);
    bool done() const { return decoder_.done(); }
    /// Whether all cells that were asked for are here, and they were not enough.
    bool needs_more() const { return !done() && decoder_.taken() >= wanted_; }
    /// How many to ask for then, in all. Nothing: it has had all it may.
    std::optional<std::uint64_t> ask();
    std::uint64_t asked() const { return wanted_; }

    /// Bytes, at most: the cells of both sides.
    std::size_t memory() const { return 2 * wanted_ * sizeof(sketch::cell); }

    /// Of the log that the cells are of.
    const arrival_cursor& theirs() const { return theirs_; }
    std::vector<sketch::short_id> lacks() const;
    /// What the other side lacks of our first end() entries, ascending.
    std::vector<node> lacking() const;
    node end() const { return cells_.end(); }

private:
    const commit_store& store_;
    crdt_handle handle_;
    sketch::mapping mapping_;
    sketch::decoder decoder_;
    frozen_cells cells_;
    arrival_cursor theirs_;
    std::uint64_t most_;
    std::uint64_t wanted_ = 0;
};

}  // namespace tributary
