#include "tributary/datom/query_order.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>

namespace tributary::datom::datalog {

namespace {

/// As the values compare; most cells without making values of them.
std::strong_ordering canonical_compare(const cell& a, const cell& b) {
    if (a.type == b.type) {
        if (a.is(kind::integer) && a.integer >= 0 && b.integer >= 0) return a.integer <=> b.integer;
        // The canonical bytes of a string begin with its length.
        if (a.is(kind::string))
            return a.size != b.size ? a.size <=> b.size : a.view().compare(b.view()) <=> 0;
        if (a.is(kind::boolean)) return a.integer <=> b.integer;
        // As those of a vector do with its size.
        if (a.is(kind::vector)) {
            if (a.size != b.size) return a.size <=> b.size;
            for (std::uint32_t i = 0; i < a.size; ++i) {
                if (const auto c = canonical_compare(a.items[i], b.items[i]); c != 0) return c;
            }
            return std::strong_ordering::equal;
        }
    }
    return to_value(a) <=> to_value(b);
}

/// As many of the first columns as fit into 64 bits, side by side, if they hold integers that are
/// not negative: then comparing one number compares them all.
class packed_columns {
public:
    packed_columns(const std::vector<column>& columns, std::size_t rows) : keys_(rows, 0) {
        int bits_left = 64;
        for (const column& c : columns) {
            std::int64_t lo = std::numeric_limits<std::int64_t>::max();
            std::int64_t hi = 0;
            const bool fit = std::all_of(c.begin(), c.end(), [&](const cell& one) {
                lo = std::min(lo, one.integer);
                hi = std::max(hi, one.integer);
                return one.is(kind::integer) && one.integer >= 0;
            });
            const int bits = fit ? std::bit_width(static_cast<std::uint64_t>(hi - lo)) : 65;
            if (bits > bits_left || rows == 0) break;
            bits_left -= bits;
            for (std::size_t row = 0; row < rows; ++row) {
                keys_[row] = (bits == 64 ? 0 : keys_[row] << bits) |
                             static_cast<std::uint64_t>(c[row].integer - lo);
            }
            ++count_;
        }
    }
    std::uint64_t operator[](std::size_t row) const { return keys_[row]; }
    /// How many columns are in it.
    std::size_t count() const { return count_; }

private:
    counted_vector<std::uint64_t> keys_;
    std::size_t count_ = 0;
};

struct keyed_row {
    std::uint64_t key;
    row_id row;
};

/// By key, rows of one key as they were: byte by byte, the lowest first.
void sort_by_key(counted_vector<keyed_row>& rows) {
    std::uint64_t used = 0;
    for (const keyed_row& r : rows) used |= r.key;
    counted_vector<keyed_row> sorted(rows.size());
    for (int shift = 0; shift < 64 && (used >> shift) != 0; shift += 8) {
        std::array<std::size_t, 257> begin{};
        for (const keyed_row& r : rows) ++begin[((r.key >> shift) & 0xff) + 1];
        std::partial_sum(begin.begin(), begin.end(), begin.begin());
        for (const keyed_row& r : rows) sorted[begin[(r.key >> shift) & 0xff]++] = r;
        rows.swap(sorted);
    }
}

}  // namespace

row_ids canonical_order(const std::vector<column>& columns, stop_check& stop) {
    const std::size_t rows = columns.front().size();
    const packed_columns packed(columns, rows);
    const auto order = [&](row_id a, row_id b) {
        stop();
        for (std::size_t i = packed.count(); i < columns.size(); ++i) {
            if (const auto c = canonical_compare(columns[i][a], columns[i][b]); c != 0) return c;
        }
        return std::strong_ordering::equal;
    };
    counted_vector<keyed_row> items(rows);
    for (row_id row = 0; row < rows; ++row) items[row] = {packed[row], row};
    const auto by_key = [](const keyed_row& a, const keyed_row& b) { return a.key < b.key; };
    stop.look();
    if (!std::is_sorted(items.begin(), items.end(), by_key)) sort_by_key(items);
    for (auto at = items.begin(); packed.count() < columns.size() && at != items.end();) {
        const auto end =
            std::find_if(at, items.end(), [&](const keyed_row& r) { return r.key != at->key; });
        std::sort(at, end, [&](const keyed_row& a, const keyed_row& b) {
            return order(a.row, b.row) < 0;
        });
        at = end;
    }
    row_ids sorted;
    sorted.reserve(rows);
    const keyed_row* last = nullptr;
    for (const keyed_row& one : items) {
        if (last != nullptr && last->key == one.key && order(last->row, one.row) == 0) continue;
        sorted.push_back(one.row);
        last = &one;
    }
    return sorted;
}

}  // namespace tributary::datom::datalog
