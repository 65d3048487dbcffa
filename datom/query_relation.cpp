#include "tributary/datom/query_relation.hpp"

#include <bit>

namespace tributary::datom::datalog {

namespace {

std::uint32_t hash_row(const std::vector<const column*>& keys, row_id row) {
    if (keys.size() == 1) return hash((*keys[0])[row]);
    std::uint32_t h = 0;
    for (const column* key : keys)
        h = mix((static_cast<std::uint64_t>(h) << 32) | hash((*key)[row]));
    return h;
}

std::uint32_t hash_cells(const cell* cells, std::size_t n) {
    if (n == 1) return hash(cells[0]);
    std::uint32_t h = 0;
    for (std::size_t i = 0; i < n; ++i)
        h = mix((static_cast<std::uint64_t>(h) << 32) | hash(cells[i]));
    return h;
}

bool same_row(const std::vector<const column*>& keys, row_id a, row_id b) {
    return std::all_of(
        keys.begin(), keys.end(), [&](const column* key) { return equal((*key)[a], (*key)[b]); });
}

bool is_ascending(const column& keys) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (!keys[i].is(kind::integer)) return false;
        if (i > 0 && keys[i].integer < keys[i - 1].integer) return false;
    }
    return true;
}

/// A power of two with at least half of it free.
std::size_t table_size(std::size_t rows) {
    return std::bit_ceil(std::max<std::size_t>(rows * 2, 8));
}

/// Calls new_row(row) for the first of equal rows and old_row(row, first) for the others.
template <class New, class Old>
void visit_equal_rows(const std::vector<const column*>& keys,
                      std::size_t rows,
                      stop_check& stop,
                      New new_row,
                      Old old_row) {
    check_rows(rows);
    struct slot {
        std::uint32_t hash = 0;
        row_id row = no_row;
    };
    // Grown with the number of distinct rows, so that few groups stay in the processor's cache.
    counted_vector<slot> slots(table_size(std::min<std::size_t>(rows, 512)));
    std::size_t used = 0;
    for (row_id row = 0; row < rows; ++row) {
        stop();
        if (used * 2 >= slots.size()) {
            counted_vector<slot> larger(slots.size() * 4);
            for (const slot& s : slots) {
                if (s.row == no_row) continue;
                std::size_t at = s.hash & (larger.size() - 1);
                while (larger[at].row != no_row) at = (at + 1) & (larger.size() - 1);
                larger[at] = s;
            }
            slots = std::move(larger);
        }
        const std::uint32_t h = hash_row(keys, row);
        std::size_t at = h & (slots.size() - 1);
        while (slots[at].row != no_row &&
               !(slots[at].hash == h && same_row(keys, slots[at].row, row))) {
            at = (at + 1) & (slots.size() - 1);
        }
        if (slots[at].row == no_row) {
            slots[at] = {h, row};
            ++used;
            new_row(row);
        } else {
            old_row(row, slots[at].row);
        }
    }
}

std::vector<const column*> columns_of(const relation& r, const std::vector<var_id>& vars) {
    std::vector<const column*> all;
    for (const var_id v : vars) all.push_back(&r.of(v));
    return all;
}

std::vector<var_id> common_variables(const relation& a, const relation& b) {
    std::vector<var_id> both;
    for (const var_id v : a.vars) {
        if (b.has(v)) both.push_back(v);
    }
    return both;
}

/// Rows that belong together, side by side.
struct pairs {
    row_ids left, right;
    void add(row_id l, row_id r) {
        left.push_back(l);
        right.push_back(r);
    }
};

pairs product_pairs(std::size_t a, std::size_t b, stop_check& stop) {
    if (b != 0 && a > rows_max / b) fail_too_many_rows();
    pairs p;
    p.left.reserve(a * b);
    p.right.reserve(a * b);
    for (row_id l = 0; l < a; ++l) {
        for (row_id r = 0; r < b; ++r) {
            stop();
            p.add(l, r);
        }
    }
    return p;
}

/// Pairs (row of `probe`, row of `built`) with equal keys.
pairs matching_pairs(const relation& probe,
                     const relation& built,
                     const std::vector<var_id>& on,
                     stop_check& stop) {
    const row_index index(columns_of(built, on), built.rows, stop);
    const std::vector<const column*> keys = columns_of(probe, on);
    std::vector<cell> key(keys.size());
    pairs p;
    for (row_id row = 0; row < probe.rows; ++row) {
        for (std::size_t k = 0; k < keys.size(); ++k) key[k] = (*keys[k])[row];
        for (row_id match = index.find(key.data()); match != no_row; match = index.next(match)) {
            stop();
            check_rows(p.left.size());
            p.add(row, match);
        }
        stop();
    }
    return p;
}

}  // namespace

void fail_too_many_rows() {
    throw error(errc::limit,
                "db.error/memory-limit",
                "query: a step has more than " + std::to_string(rows_max) +
                    " rows; join its clauses by a shared variable or select less");
}

stop_check::stop_check(std::optional<std::chrono::milliseconds> timeout,
                       const std::atomic<bool>* cancel)
    : cancel_(cancel), timeout_(timeout) {
    // A year is as good as any longer time, and adding it to a clock's cannot overflow.
    constexpr std::chrono::hours year{366 * 24};
    if (timeout)
        deadline_ =
            std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(*timeout, year);
}

std::optional<std::chrono::milliseconds> stop_check::time_left() const {
    if (!deadline_) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ -
                                                                 std::chrono::steady_clock::now());
}

void stop_check::look() const {
    if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) {
        throw error(errc::canceled, "db.error/canceled", "query: canceled");
    }
    if (deadline_ && std::chrono::steady_clock::now() > *deadline_) {
        throw error(errc::canceled,
                    "db.error/timeout",
                    "query: not finished within its timeout of " +
                        std::to_string(timeout_->count()) + " ms; allow more time or select less");
    }
}

row_index::row_index(std::vector<const column*> keys, std::size_t rows, stop_check& stop)
    : keys_(std::move(keys)), rows_(rows) {
    check_rows(rows);
    ascending_ = keys_.size() == 1 && is_ascending(*keys_[0]);
    if (ascending_) return;
    slots_.resize(table_size(rows));
    next_.assign(rows, no_row);
    mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
    // Backwards, so that chains run forwards.
    for (std::size_t row = rows; row-- > 0;) {
        stop();
        insert(static_cast<row_id>(row));
    }
}

row_id row_index::find_ascending(const cell& key) const {
    if (!key.is(kind::integer)) return no_row;
    const column& all = *keys_[0];
    const auto before = [](const cell& c, std::int64_t wanted) { return c.integer < wanted; };
    std::size_t from = 0;
    std::size_t to = std::min(near_, rows_);
    // Doubling steps forward: a search costs the logarithm of the distance.
    for (std::size_t step = 1; to < rows_ && all[to].integer < key.integer; step *= 2) {
        from = to + 1;
        to = std::min(to + step, rows_);
    }
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::max(from, to));
    near_ =
        static_cast<std::size_t>(std::lower_bound(begin, end, key.integer, before) - all.begin());
    return near_ < rows_ && all[near_].integer == key.integer ? static_cast<row_id>(near_) : no_row;
}

row_id row_index::next_ascending(row_id row) const {
    const column& all = *keys_[0];
    return row + 1 < rows_ && all[row + 1].integer == all[row].integer ? row + 1 : no_row;
}

void row_index::insert(row_id row) {
    const std::uint32_t h = hash_row(keys_, row);
    std::uint32_t at = h & mask_;
    while (slots_[at].row != no_row &&
           !(slots_[at].hash == h && same_row(keys_, slots_[at].row, row))) {
        at = (at + 1) & mask_;
    }
    next_[row] = slots_[at].row;
    slots_[at] = {h, row};
}

row_id row_index::find_hashed(const cell* keys) const {
    const std::uint32_t h = hash_cells(keys, keys_.size());
    for (std::uint32_t at = h & mask_; slots_[at].row != no_row; at = (at + 1) & mask_) {
        if (slots_[at].hash != h) continue;
        bool same = true;
        for (std::size_t k = 0; same && k < keys_.size(); ++k)
            same = equal((*keys_[k])[slots_[at].row], keys[k]);
        if (same) return slots_[at].row;
    }
    return no_row;
}

bool growing_relation::add(const cell* row) {
    if (all_.columns.empty()) {
        if (all_.rows == 1) return false;
        all_.rows = 1;
        return true;
    }
    check_rows(all_.rows);
    if (all_.rows * 2 >= slots_.size()) grow();
    const std::size_t mask = slots_.size() - 1;
    const std::uint32_t h = hash_cells(row, all_.columns.size());
    std::size_t at = h & mask;
    for (; slots_[at].row != no_row; at = (at + 1) & mask) {
        if (slots_[at].hash != h) continue;
        bool same = true;
        for (std::size_t i = 0; same && i < all_.columns.size(); ++i)
            same = equal(all_.columns[i][slots_[at].row], row[i]);
        if (same) return false;
    }
    slots_[at] = {h, static_cast<row_id>(all_.rows)};
    for (std::size_t i = 0; i < all_.columns.size(); ++i) all_.columns[i].push_back(row[i]);
    ++all_.rows;
    return true;
}

void growing_relation::grow() {
    counted_vector<slot> larger(std::max<std::size_t>(16, slots_.size() * 4));
    for (const slot& s : slots_) {
        if (s.row == no_row) continue;
        std::size_t at = s.hash & (larger.size() - 1);
        while (larger[at].row != no_row) at = (at + 1) & (larger.size() - 1);
        larger[at] = s;
    }
    slots_ = std::move(larger);
}

relation growing_relation::from(std::size_t first) const {
    relation r;
    r.vars = all_.vars;
    r.rows = all_.rows - first;
    r.distinct = true;
    for (const column& c : all_.columns)
        r.columns.emplace_back(c.begin() + static_cast<std::ptrdiff_t>(first), c.end());
    return r;
}

row_ids distinct_rows(const std::vector<const column*>& columns,
                      std::size_t rows,
                      stop_check& stop) {
    row_ids first;
    if (columns.empty()) {
        if (rows > 0) first.push_back(0);
        return first;
    }
    visit_equal_rows(
        columns, rows, stop, [&](row_id row) { first.push_back(row); }, [](row_id, row_id) {});
    return first;
}

row_ids group_rows(const std::vector<const column*>& columns,
                   std::size_t rows,
                   std::size_t& groups,
                   stop_check& stop) {
    row_ids group(rows, 0);
    groups = 0;
    if (columns.empty()) {
        groups = rows > 0 ? 1 : 0;
        return group;
    }
    visit_equal_rows(
        columns,
        rows,
        stop,
        [&](row_id row) { group[row] = static_cast<row_id>(groups++); },
        [&](row_id row, row_id first) { group[row] = group[first]; });
    return group;
}

column gather(const column& from, const row_ids& rows) {
    column to;
    to.reserve(rows.size());
    for (const row_id row : rows) to.push_back(from[row]);
    return to;
}

column take_rows(column& from, const row_ids& rows) {
    bool all = rows.size() == from.size();
    for (std::size_t i = 0; all && i < rows.size(); ++i) all = rows[i] == i;
    column taken = all ? std::move(from) : gather(from, rows);
    column().swap(from);
    return taken;
}

void select(relation& r, const row_ids& rows) {
    for (column& c : r.columns) c = take_rows(c, rows);
    r.rows = rows.size();
}

void make_distinct(relation& r, stop_check& stop) {
    if (!r.distinct && r.rows > 1) select(r, distinct_rows(columns_of(r, r.vars), r.rows, stop));
    r.distinct = true;
}

relation project(const relation& r, const std::vector<var_id>& vars, stop_check& stop) {
    relation p;
    for (const var_id v : vars) {
        if (r.has(v)) p.vars.push_back(v);
    }
    const row_ids rows = distinct_rows(columns_of(r, p.vars), r.rows, stop);
    for (const var_id v : p.vars) p.columns.push_back(gather(r.of(v), rows));
    p.rows = rows.size();
    p.distinct = true;
    return p;
}

relation join(const relation& a, const relation& b, stop_check& stop) {
    const std::vector<var_id> on = common_variables(a, b);
    pairs p;
    if (on.empty()) {
        p = product_pairs(a.rows, b.rows, stop);
    } else if (b.rows <= a.rows) {
        p = matching_pairs(a, b, on, stop);
    } else {
        p = matching_pairs(b, a, on, stop);
        std::swap(p.left, p.right);
    }
    relation joined;
    joined.rows = p.left.size();
    joined.distinct = a.distinct && b.distinct;
    for (std::size_t i = 0; i < a.vars.size(); ++i)
        joined.add_column(a.vars[i], gather(a.columns[i], p.left));
    for (std::size_t i = 0; i < b.vars.size(); ++i) {
        if (!a.has(b.vars[i])) joined.add_column(b.vars[i], gather(b.columns[i], p.right));
    }
    return joined;
}

void filter_by(relation& a, const relation& b, bool keep, stop_check& stop) {
    const std::vector<var_id> on = common_variables(a, b);
    row_ids kept;
    if (on.empty()) {
        if ((b.rows > 0) == keep) return;
        select(a, kept);
        return;
    }
    const row_index index(columns_of(b, on), b.rows, stop);
    const std::vector<const column*> keys = columns_of(a, on);
    std::vector<cell> key(keys.size());
    for (row_id row = 0; row < a.rows; ++row) {
        stop();
        for (std::size_t k = 0; k < keys.size(); ++k) key[k] = (*keys[k])[row];
        if ((index.find(key.data()) != no_row) == keep) kept.push_back(row);
    }
    select(a, kept);
}

}  // namespace tributary::datom::datalog
