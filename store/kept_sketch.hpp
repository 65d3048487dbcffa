/// The first cells of the sketch (crdt/sketch.hpp) of a CRDT's whole arrival log, kept up with it,
/// so that peers are told what they differ by without reading history. Thread rule: one thread.
#pragma once

#include "tributary/crdt/graph.hpp"
#include "tributary/crdt/sketch.hpp"
#include "tributary/store/staging.hpp"

#include <functional>

namespace tributary {

class kept_sketch {
public:
    /// Cells kept: enough for differences of about 3,000 commits.
    static constexpr std::size_t cells_kept = 4096;
    /// Calls `visit` for the log's entries `first` to `last`, in order.
    using each_id = std::function<void(
        node first, node last, const std::function<void(const commit_id&)>& visit)>;

    kept_sketch(staging& to, std::uint32_t handle, const crdt_id& crdt, each_id entries);
    /// The log has a new entry.
    void added(node n, const commit_id& id);
    /// Stages the cells of the first `end` entries, all there are, if those stored are far behind.
    void save(node end);

    /// Cells `first` to `first + count` of the log's first `end` entries, of `now` that there are.
    /// Costs what came after `end`, and reads all ids for cells that are not kept.
    std::vector<sketch::cell> cells(node end, node now, std::uint64_t first, std::size_t count);

private:
    void load();
    void follow(node end);
    void add(node first, node last, std::span<sketch::cell> cells, std::uint64_t at, int times);

    staging& to_;
    std::uint32_t handle_;
    sketch::mapping mapping_;
    each_id entries_;
    bool loaded_ = false;
    std::vector<sketch::cell> cells_;
    node up_to_ = 0;  ///< entries that are in cells_
    node saved_ = 0;  ///< in the cells stored
};

}  // namespace tributary
