/// Tables of cells, column by column, and the joins between them. Private to the room.
#pragma once

#include "tributary/datom/query_ast.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

namespace tributary::datom::datalog {

/// Throws errc::canceled once the query's time is over or its user left. Cheap enough to ask at
/// every row.
class stop_check {
public:
    stop_check(std::optional<std::chrono::milliseconds> timeout, const std::atomic<bool>* cancel);
    void operator()() {
        if ((++ticks_ & 1023U) == 0) look();
    }
    void look() const;
    /// Nothing if there is no end.
    std::optional<std::chrono::milliseconds> time_left() const;

private:
    std::optional<std::chrono::steady_clock::time_point> deadline_;
    const std::atomic<bool>* cancel_;
    std::optional<std::chrono::milliseconds> timeout_;
    unsigned ticks_ = 0;
};

using column = counted_vector<cell>;

/// Rows over variables. With no variables: one row means true, none false.
struct relation {
    std::vector<var_id> vars;
    std::vector<column> columns;
    std::size_t rows = 0;
    bool distinct = false;  ///< known to hold no row twice

    /// -1 if there is none.
    int column_of(var_id v) const {
        const auto at = std::find(vars.begin(), vars.end(), v);
        return at == vars.end() ? -1 : static_cast<int>(at - vars.begin());
    }
    bool has(var_id v) const { return column_of(v) >= 0; }
    const column& of(var_id v) const { return columns[static_cast<std::size_t>(column_of(v))]; }
    void add_column(var_id v, column c) {
        vars.push_back(v);
        columns.push_back(std::move(c));
    }
};

using row_id = std::uint32_t;
using row_ids = counted_vector<row_id>;
inline constexpr row_id no_row = UINT32_MAX;

/// A step of a query may have so many rows: a gigabyte a column. A product by mistake should end as
/// an error, not with the machine's memory.
inline constexpr std::size_t rows_max = std::size_t{1} << 26;
[[noreturn]] void fail_too_many_rows();
/// Errors: limit beyond rows_max.
inline void check_rows(std::size_t rows) {
    if (rows > rows_max) fail_too_many_rows();
}

/// Rows of a relation by some columns: by hash, or, where one column of ascending integers
/// (entities as indexes give them) is the key, by searching from where the last search ended, so
/// that joining two scans is a merge. A view: the columns must outlive it and stay as they are. Not
/// thread-safe.
class row_index {
public:
    /// Errors: limit beyond rows_max.
    row_index(std::vector<const column*> keys, std::size_t rows, stop_check& stop);

    /// The first row with these keys (one cell a key column); `next` gives the others.
    row_id find(const cell* keys) const {
        return ascending_ ? find_ascending(keys[0]) : find_hashed(keys);
    }
    row_id next(row_id row) const { return ascending_ ? next_ascending(row) : next_[row]; }

private:
    struct slot {
        std::uint32_t hash = 0;
        row_id row = no_row;
    };
    void insert(row_id row);
    row_id find_hashed(const cell* keys) const;
    row_id find_ascending(const cell& key) const;
    row_id next_ascending(row_id row) const;

    std::vector<const column*> keys_;
    std::size_t rows_;
    bool ascending_ = false;
    mutable std::size_t near_ = 0;  ///< where the last search ended
    counted_vector<slot> slots_;
    row_ids next_;
    std::uint32_t mask_ = 0;
};

/// Rows that only grow, each once, in the order they came.
class growing_relation {
public:
    growing_relation() { all_.distinct = true; }
    explicit growing_relation(std::vector<var_id> vars) : growing_relation() {
        all_.columns.resize(vars.size());
        all_.vars = std::move(vars);
    }

    const relation& all() const { return all_; }
    std::size_t size() const { return all_.rows; }
    /// False if the row (a cell for each variable) was there. Errors: limit beyond rows_max.
    bool add(const cell* row);
    /// Rows from the `first` on; a copy.
    relation from(std::size_t first) const;

private:
    void grow();

    struct slot {
        std::uint32_t hash = 0;
        row_id row = no_row;
    };
    relation all_;
    counted_vector<slot> slots_;
};

/// Of `rows` rows, the first of each that are equal in `columns`, in order. With no columns: the
/// first row, if there is one.
row_ids distinct_rows(const std::vector<const column*>& columns,
                      std::size_t rows,
                      stop_check& stop);

/// For each row the number of its group (rows equal in `columns`); groups are numbered from 0 by
/// first appearance.
row_ids group_rows(const std::vector<const column*>& columns,
                   std::size_t rows,
                   std::size_t& groups,
                   stop_check& stop);

column gather(const column& from, const row_ids& rows);
/// The same of a column nobody needs afterwards: if these are all its rows, in order, it is not
/// copied, and its memory is free before the next one is made.
column take_rows(column& from, const row_ids& rows);
/// Only the given rows, in that order.
void select(relation& r, const row_ids& rows);
/// Only these variables (those of them it has), each row once.
relation project(const relation& r, const std::vector<var_id>& vars, stop_check& stop);
void make_distinct(relation& r, stop_check& stop);

/// Natural join; without common variables the product.
relation join(const relation& a, const relation& b, stop_check& stop);
/// The rows of `a` that have (or, with `keep` false, have not) a partner in `b` on their common
/// variables.
void filter_by(relation& a, const relation& b, bool keep, stop_check& stop);

}  // namespace tributary::datom::datalog
