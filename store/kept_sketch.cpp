#include "tributary/store/kept_sketch.hpp"

#include "tributary/store/keys.hpp"

#include <algorithm>
#include <optional>

namespace tributary {

namespace {

using keys::space;

/// Entries that the stored cells may be behind: what is read again when they are needed, and a
/// small part of what is written anyway.
constexpr node behind_max = 8192, far_behind_max = 1u << 17;
constexpr std::size_t cell_bytes = 24;
/// A record has this many cells.
constexpr std::size_t page_cells = kept_sketch::cells_kept;

bytes encode(node up_to, std::span<const sketch::cell> cells) {
    bytes out;
    out.reserve(8 + cells.size() * cell_bytes);
    put_be64(out, up_to);
    for (const sketch::cell& c : cells) {
        put_be64(out, c.ids);
        put_be64(out, c.checks);
        put_be64(out, static_cast<std::uint64_t>(c.count));
    }
    return out;
}

/// How many entries are in the cells of a record; 0 if it is none.
node up_to_of(const std::optional<bytes>& record) {
    return record && record->size() == 8 + page_cells * cell_bytes ? get_be64(*record) : 0;
}

sketch::cell cell_of(const bytes& record, std::size_t number) {
    const bytes_view at = bytes_view(record).substr(8 + number * cell_bytes);
    return {get_be64(at), get_be64(at.substr(8)), static_cast<std::int64_t>(get_be64(at.substr(16)))};
}

}  // namespace

kept_sketch::kept_sketch(staging& to, std::uint32_t handle, const crdt_id& crdt, each_id entries)
    : to_(to), handle_(handle), mapping_(crdt), entries_(std::move(entries)) {}

void kept_sketch::load() {
    if (loaded_) return;
    cells_.assign(cells_kept, {});
    const auto record = to_.get(keys::of(space::sketch, handle_, 0));
    up_to_ = saved_ = up_to_of(record);
    for (std::size_t i = 0; saved_ > 0 && i < cells_kept; ++i) cells_[i] = cell_of(*record, i);
    far_saved_ = up_to_of(to_.get(keys::of(space::sketch, handle_, cells_kept)));
    loaded_ = true;
}

void kept_sketch::add(
    node first, node last, std::span<sketch::cell> cells, std::uint64_t at, int times) {
    if (first > last) return;
    entries_(first, last, [&](const commit_id& id) {
        sketch::add(mapping_, sketch::short_of(id), cells, at, times);
    });
}

void kept_sketch::follow(node end) {
    load();
    add(up_to_ + 1, end, cells_, 0, 1);
    up_to_ = end;
}

void kept_sketch::added(node n, const commit_id& id) {
    if (!loaded_ || up_to_ + 1 != n) return;
    sketch::add(mapping_, sketch::short_of(id), cells_);
    up_to_ = n;
}

void kept_sketch::save(node end) {
    if (end < behind_max) return;
    load();
    if (end - saved_ < behind_max) return;
    follow(end);
    to_.put(keys::of(space::sketch, handle_, 0), encode(end, cells_));
    saved_ = end;
    if (end - far_saved_ < far_behind_max) return;
    std::vector<sketch::cell> far(cells_stored - cells_kept);
    fill(end, cells_kept, far);
    for (std::size_t at = 0; at < far.size(); at += page_cells)
        to_.put(keys::of(space::sketch, handle_, cells_kept + at),
                encode(end, std::span(far).subspan(at, page_cells)));
    far_saved_ = end;
}

/// Reads stored cells from `first` on; how many entries are in them.
node kept_sketch::load_stored(std::uint64_t first, std::span<sketch::cell> cells) const {
    if (far_saved_ == 0 || first + cells.size() > cells_stored) return 0;
    bytes page;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::size_t in_page = (first + i) % page_cells;
        if (i == 0 || in_page == 0) {
            auto record = to_.get(keys::of(space::sketch, handle_, first + i - in_page));
            if (up_to_of(record) != far_saved_) {
                std::fill(cells.begin(), cells.end(), sketch::cell{});
                return 0;
            }
            page = *std::move(record);
        }
        cells[i] = cell_of(page, in_page);
    }
    return far_saved_;
}

/// Sets cells that are not kept to those of the first `end` entries.
void kept_sketch::fill(node end, std::uint64_t first, std::span<sketch::cell> cells) {
    const node stored = load_stored(first, cells);
    add(stored + 1, end, cells, first, 1);
    add(end + 1, stored, cells, first, -1);
}

std::vector<sketch::cell> kept_sketch::cells(node end,
                                             node now,
                                             std::uint64_t first,
                                             std::size_t count) {
    follow(now);
    std::vector<sketch::cell> out(count);
    const std::size_t kept =
        first < cells_kept ? std::min<std::size_t>(count, cells_kept - first) : 0;
    std::copy_n(cells_.begin() + static_cast<std::ptrdiff_t>(std::min(first, cells_.size())),
                kept,
                out.begin());
    add(end + 1, now, std::span(out).first(kept), first, -1);
    if (kept < count) fill(end, first + kept, std::span(out).subspan(kept));
    return out;
}

}  // namespace tributary
