#include "tributary/peer/session_sketch.hpp"

#include <algorithm>

namespace tributary {

namespace {

/// Cells for each id of a difference that are nearly always enough; and of a large one, for which a
/// guess too high costs more than a round trip.
constexpr double cells_per_id = 1.4, cells_per_id_of_many = 1.3;

}  // namespace

std::span<const sketch::cell> frozen_cells::get(std::uint64_t first,
                                                std::size_t count,
                                                std::uint64_t likely) {
    TRIBUTARY_CHECK(first >= from_);
    if (first + count > from_ + cells_.size()) {
        // Beyond what is kept, each time costs all ids: there are few times.
        const std::uint64_t last =
            std::max(first + count, std::min<std::uint64_t>(std::max(likely, 2 * first), most_));
        cells_ = store_.cells(handle_, end_, first, last - first);
        from_ = first;
    }
    return std::span(cells_).subspan(first - from_, count);
}

void sketch_source::want(std::uint64_t total) {
    if (total > most_)
        throw error(errc::limit, "limit/sketch-cells", "the peer asks for too large a sketch");
    if (total < std::min(wanted_ + wanted_ / 16, most_))
        throw error(errc::bad_input, "the peer asks for a sketch in too small pieces");
    wanted_ = total;
}

wire::cells sketch_source::next(std::uint64_t sub) {
    const std::size_t count = std::min<std::uint64_t>(wanted_ - sent_, wire::cells_max);
    const auto cells = cells_.get(sent_, count, wanted_);
    wire::cells m{sub, end_, sent_, {cells.begin(), cells.end()}};
    sent_ += count;
    return m;
}

sketch_reader::sketch_reader(const commit_store& store,
                             crdt_handle h,
                             node end,
                             const arrival_cursor& theirs,
                             std::uint64_t most)
    : store_(store),
      handle_(h),
      mapping_(store.state(h).id),
      decoder_(mapping_),
      cells_(store, h, end, most),
      theirs_(theirs),
      most_(most) {}

void sketch_reader::take(const wire::cells& m) {
    if (m.items.empty() || m.first != decoder_.taken() || m.end != theirs_ ||
        decoder_.taken() + m.items.size() > most_)
        throw error(errc::bad_input, "cells of a sketch out of turn");
    decoder_.take(cells_.get(m.first, m.items.size(), wanted_), m.items);
}

std::optional<std::uint64_t> sketch_reader::ask() {
    const std::uint64_t taken = decoder_.taken();
    if (taken == most_) return std::nullopt;
    // The first guess is good to about a tenth; after that, as little too many as possible, but
    // few round trips while cells are few.
    const bool is_first = wanted_ == 0;
    const double most = static_cast<double>(most_);
    const double per_id =
        decoder_.estimate() < wire::cells_max ? cells_per_id : cells_per_id_of_many;
    const double guessed = is_first ? per_id * decoder_.estimate() : 0;
    const double step = static_cast<double>(taken + taken / (taken < wire::cells_max ? 4 : 16) + 1);
    wanted_ = static_cast<std::uint64_t>(std::min(std::max(guessed, step), most));
    return wanted_;
}

std::vector<sketch::short_id> sketch_reader::lacks() const {
    std::vector<sketch::short_id> ids = decoder_.only_theirs();
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<node> sketch_reader::lacking() const {
    std::vector<node> nodes = store_.find_short(handle_, decoder_.only_ours());
    std::erase_if(nodes, [this](node n) { return n > end(); });
    return nodes;
}

}  // namespace tributary
