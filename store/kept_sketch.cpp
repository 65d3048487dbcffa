#include "tributary/store/kept_sketch.hpp"

#include "tributary/store/keys.hpp"

namespace tributary {

namespace {

/// Entries that the stored cells may be behind: what an opened store reads again, and a small part
/// of what is written anyway.
constexpr node behind_max = 4096;
constexpr std::size_t cell_bytes = 24;

bytes encode(node up_to, const std::vector<sketch::cell>& cells) {
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

}  // namespace

kept_sketch::kept_sketch(staging& to, std::uint32_t handle, const crdt_id& crdt, each_id entries)
    : to_(to), handle_(handle), mapping_(crdt), entries_(std::move(entries)) {}

void kept_sketch::load() {
    if (loaded_) return;
    cells_.assign(cells_kept, {});
    const auto record = to_.get(keys::of(keys::space::sketch, handle_));
    if (record && record->size() == 8 + cells_kept * cell_bytes) {
        bytes_view rest = *record;
        const auto number = [&rest] {
            const std::uint64_t n = get_be64(rest);
            rest.remove_prefix(8);
            return n;
        };
        up_to_ = saved_ = number();
        for (sketch::cell& c : cells_) {
            c.ids = number();
            c.checks = number();
            c.count = static_cast<std::int64_t>(number());
        }
    }
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
    to_.put(keys::of(keys::space::sketch, handle_), encode(end, cells_));
    saved_ = end;
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
    if (kept < count) add(1, end, std::span(out).subspan(kept), first + kept, 1);
    return out;
}

}  // namespace tributary
