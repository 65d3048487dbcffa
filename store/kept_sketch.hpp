/// The first cells of the sketch (crdt/sketch.hpp) of a CRDT's whole arrival log, kept up with it,
/// so that peers are told what they differ by without reading history. The first few are kept in
/// memory. The many that large differences need are on disk only, and follow the log in long steps:
/// who asks for them pays for what came since the last one. Thread rule: one thread.
#pragma once

#include "tributary/crdt/graph.hpp"
#include "tributary/crdt/sketch.hpp"
#include "tributary/store/staging.hpp"

#include <functional>

namespace tributary {

class kept_sketch {
public:
    /// Cells kept in memory, enough for differences of about 5,800 commits; and in all, for 190,000.
    static constexpr std::size_t cells_kept = 8192, cells_stored = 1u << 18;
    /// Calls `visit` for the log's entries `first` to `last`, in order.
    using each_id = std::function<void(
        node first, node last, const std::function<void(const commit_id&)>& visit)>;

    kept_sketch(staging& to, std::uint32_t handle, const crdt_id& crdt, each_id entries);
    /// The log has a new entry.
    void added(node n, const commit_id& id);
    /// Stages the cells of the first `end` entries, all there are, if those stored are far behind.
    void save(node end);

    /// Cells `first` to `first + count` of the log's first `end` entries, of `now` that there are.
    /// Costs what came after `end`, for cells beyond cells_kept at most 131,072 ids, and beyond
    /// cells_stored all of them.
    std::vector<sketch::cell> cells(node end, node now, std::uint64_t first, std::size_t count);

private:
    void load();
    void follow(node end);
    void add(node first, node last, std::span<sketch::cell> cells, std::uint64_t at, int times);
    node load_stored(std::uint64_t first, std::span<sketch::cell> cells) const;
    void fill(node end, std::uint64_t first, std::span<sketch::cell> cells);

    staging& to_;
    std::uint32_t handle_;
    sketch::mapping mapping_;
    each_id entries_;
    bool loaded_ = false;
    std::vector<sketch::cell> cells_;
    node up_to_ = 0;  ///< entries that are in cells_
    node saved_ = 0;  ///< in those of them that are stored
    node far_saved_ = 0;  ///< in the cells that are stored only
};

}  // namespace tributary
