#include "tributary/crdt/sketch.hpp"

#include <sodium.h>

#include <algorithm>
#include <cmath>

namespace tributary::sketch {

short_id short_of(const commit_id& id) { return get_be64(id.view().substr(0, 8)); }

mapping::mapping(const crdt_id& crdt) { std::copy_n(crdt.raw.begin(), key_.size(), key_.begin()); }

std::uint64_t mapping::check(short_id id) const {
    bytes text;
    put_be64(text, id);
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(
        out, reinterpret_cast<const unsigned char*>(text.data()), text.size(), key_.data());
    return get_be64({reinterpret_cast<const char*>(out), sizeof out});
}

/// From cell i the chance to be in none of the cells i + 1 to x is the product of j / (j + 2), that
/// is (i + 1)(i + 2) / ((x + 1)(x + 2)): the next cell is the first at which it is below a uniform
/// random number.
void mapping::places::next() {
    // splitmix64 (Steele, Lea, Flood 2014)
    std::uint64_t z = random_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    const double uniform = (static_cast<double>(z >> 11) + 1) / 9007199254740992.0;  // 2^53
    const double i = static_cast<double>(at_);
    const double x = std::sqrt((i + 1) * (i + 2) / uniform + 0.25) - 1.5;
    at_ = x < 4294967296.0 ? static_cast<std::uint64_t>(x) + 1 : UINT64_MAX;
}

namespace {

void toggle(cell& c, short_id id, std::uint64_t check, std::int64_t times) {
    c.ids ^= id;
    c.checks ^= check;
    c.count += times;
}

}  // namespace

void add(const mapping& m, short_id id, std::span<cell> cells, std::uint64_t first, int times) {
    const std::uint64_t check = m.check(id);
    mapping::places p(check);
    while (p.at() < first) p.next();
    for (; p.at() - first < cells.size(); p.next()) toggle(cells[p.at() - first], id, check, times);
}

void decoder::remove(found& f) {
    for (; f.next.at() < cells_.size(); f.next.next()) {
        toggle(cells_[f.next.at()], f.id, f.check, f.ours ? -1 : 1);
        pure_.push_back(f.next.at());
    }
}

void decoder::read_off(std::size_t number) {
    const cell c = cells_[number];
    if ((c.count != 1 && c.count != -1) || mapping_.check(c.ids) != c.checks) return;
    // Of true sets each id is found once: what comes twice would go on for ever.
    if (!known_.insert(c.ids).second)
        throw error(errc::bad_input, "the peer's sketch is none of a set of commits");
    found_.push_back({c.ids, c.checks, c.count == 1, mapping::places(c.checks)});
    remove(found_.back());
}

void decoder::take(std::span<const cell> ours, std::span<const cell> theirs) {
    TRIBUTARY_CHECK(ours.size() == theirs.size());
    const std::size_t first = cells_.size();
    for (std::size_t i = 0; i < ours.size(); ++i) {
        pure_.push_back(cells_.size());
        cells_.push_back({ours[i].ids ^ theirs[i].ids,
                          ours[i].checks ^ theirs[i].checks,
                          ours[i].count - theirs[i].count});
    }
    estimate_from(first);
    for (found& f : found_) remove(f);
    while (!pure_.empty()) {
        const std::size_t number = pure_.back();
        pure_.pop_back();
        read_off(number);
    }
}

/// A cell's count is a sum over the difference, +1 or -1 with the cell's probability p, else 0. Its
/// mean is the excess times p, its variance the number of ids times p (1 - p), as good as.
void decoder::estimate_from(std::size_t first) {
    if (first == 0 && !cells_.empty()) excess_ = static_cast<double>(cells_[0].count);
    for (std::size_t i = std::max<std::size_t>(first, 1); i < cells_.size(); ++i) {
        const double p = 1 / (1 + static_cast<double>(i) / 2);
        const double beyond = static_cast<double>(cells_[i].count) - excess_ * p;
        squares_ += beyond * beyond / (p * (1 - p));
    }
}

double decoder::estimate() const {
    const double by_cells =
        cells_.size() > 1 ? squares_ / static_cast<double>(cells_.size() - 1) : 0;
    return std::max(by_cells, std::abs(excess_));
}

std::vector<short_id> decoder::found_of(bool ours) const {
    std::vector<short_id> ids;
    for (const found& f : found_)
        if (f.ours == ours) ids.push_back(f.id);
    return ids;
}

bool decoder::done() const { return !cells_.empty() && cells_.front() == cell(); }

}  // namespace tributary::sketch
