#include "tributary/datom/query_columns.hpp"

#include <cmath>
#include <limits>

namespace tributary::datom::datalog {

namespace {

using row = attribute_column::row;
using rows = counted_vector<row>;

constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t greatest = std::numeric_limits<std::int64_t>::max();

/// Reading a fact by a seek takes the time of so many read in a scan.
constexpr double seek_reads = 15;

/// Slots from `lo` to `hi`, both included.
struct slot_range {
    std::int64_t lo = least;
    std::int64_t hi = greatest;
    bool has(std::int64_t slot) const { return lo <= slot && slot <= hi; }
    bool is_all() const { return lo == least && hi == greatest; }
    void at_least(std::int64_t slot) { lo = std::max(lo, slot); }
    void at_most(std::int64_t slot) { hi = std::min(hi, slot); }
    void nothing() { *this = {greatest, least}; }
};

cell cell_at(const attribute_column& c, kind k, std::int64_t slot) {
    switch (k) {
        case kind::real:
            return cell::of(attribute_column::real_of(slot));
        case kind::boolean:
        case kind::integer:
        case kind::inst:
            return cell::number(k, slot);
        default:
            return cell::of_text(k, c.text(slot));
    }
}

/// A number as a slot of a column whose slots order numbers; nothing if a column of this type does
/// not compare with it slot by slot.
std::optional<std::int64_t> ordered_slot(const attribute_column& c, const cell& v) {
    switch (c.type()) {
        case value_type::integer:
        case value_type::instant:
            if (v.type != kind_of(c.type())) return std::nullopt;
            return v.integer;
        case value_type::real:
            if (v.is(kind::real) && !std::isnan(v.real)) return attribute_column::slot_of(v.real);
            return std::nullopt;
        default:
            return std::nullopt;
    }
}

/// Takes a comparison of the value with a constant into the range; false if it is something else.
bool narrow(slot_range& range, const inline_test& t, const attribute_column& c) {
    if (t.args.size() != 2) return false;
    const std::size_t* left = std::get_if<std::size_t>(&t.args[0]);
    const std::size_t* right = std::get_if<std::size_t>(&t.args[1]);
    if ((left == nullptr) == (right == nullptr)) return false;
    if (*(left != nullptr ? left : right) != at_v) return false;
    const std::string_view name = t.function->name;
    const bool strict = name == "<" || name == ">";
    if (!strict && name != "<=" && name != ">=") return false;
    const auto slot = ordered_slot(c, std::get<cell>(t.args[left != nullptr ? 1 : 0]));
    if (!slot) return false;
    const bool below = (name.front() == '<') == (left != nullptr);  // the value is below
    if (strict && *slot == (below ? least : greatest)) {
        range.nothing();
    } else if (below) {
        range.at_most(strict ? *slot - 1 : *slot);
    } else {
        range.at_least(strict ? *slot + 1 : *slot);
    }
    return true;
}

class column_matcher {
public:
    column_matcher(const match_request& request,
                   const attribute_column& column,
                   arena& memory,
                   stop_check& stop)
        : request_(request),
          terms_(request.on->terms),
          column_(column),
          kind_(kind_of(column.type())),
          stop_(stop),
          e_(use_of(at_e)),
          v_(use_of(at_v)),
          tests_(remaining_tests(), memory, stop) {
        row_[at_a] = std::get<cell>(terms_[at_a]);
        only_exists_ = !e_.fresh && !v_.fresh;
    }

    relation run() {
        if (request_.base != nullptr) return joined();
        if (v_.fresh && !e_.fresh && e_.constant == nullptr && tests_.empty()) return values();
        match_alone();
        relation r;
        r.rows = only_exists_ ? std::min<std::size_t>(right_.size(), 1) : right_.size();
        add_fresh(r);
        r.distinct = only_exists_ || differ();
        return r;
    }

private:
    /// What one place of the pattern is good for.
    struct use {
        const cell* constant = nullptr;
        const column* key = nullptr;  ///< of the base
        std::optional<var_id> fresh;  ///< becomes a column of the result
        bool kept() const { return constant != nullptr || key != nullptr || fresh; }
    };

    use use_of(std::size_t place) const {
        use u;
        if (place >= terms_.size()) return u;
        u.constant = std::get_if<cell>(&terms_[place]);
        if (const var_id* v = std::get_if<var_id>(&terms_[place])) {
            if (request_.base != nullptr && request_.base->has(*v))
                u.key = &request_.base->of(*v);
            else if (request_.live->contains(*v))
                u.fresh = *v;
        }
        return u;
    }

    std::vector<inline_test> remaining_tests() {
        std::vector<inline_test> rest;
        for (const inline_test& t : request_.tests) {
            if (!narrow(range_, t, column_)) rest.push_back(t);
        }
        return rest;
    }

    bool passes(row r) {
        if (!range_.has(column_.slots()[r])) return false;
        if (tests_.empty()) return true;
        row_[at_e] = cell::of(std::int64_t{column_.entities()[r]});
        row_[at_v] = cell_at(column_, kind_, column_.slots()[r]);
        return tests_.pass(row_.data());
    }

    /// Each value once, without looking at rows.
    relation values() {
        column all;
        std::int64_t last = 0;
        for (const row r : column_.rows_within(range_.lo, range_.hi)) {
            const std::int64_t slot = column_.slots()[r];
            if (all.empty() || slot != last) all.push_back(cell_at(column_, kind_, slot));
            last = slot;
        }
        relation r;
        r.rows = all.size();
        r.add_column(*v_.fresh, std::move(all));
        r.distinct = true;
        return r;
    }

    void match_alone() {
        const auto take = [&](row r) {
            stop_();
            if (passes(r)) right_.push_back(r);
        };
        if (e_.constant != nullptr) {
            row near = 0;
            each_of(*e_.constant, v_.constant, near, take);
            return;
        }
        if (v_.constant != nullptr) {
            const auto slot = slot_of(column_, *v_.constant);
            if (slot && range_.has(*slot)) {
                const auto found = column_.rows_with(*slot);
                right_.reserve(found.size());
                for (const row r : found) take(r);
            }
            return;
        }
        if (!range_.is_all()) {
            // A narrow range by value, put in the order of entities; else all, in that order.
            const auto within = column_.rows_within(range_.lo, range_.hi);
            right_.reserve(within.size());
            if (within.size() < column_.size() / 16) {
                for (const row r : within) take(r);
                std::sort(right_.begin(), right_.end());
                return;
            }
        } else {
            right_.reserve(column_.size());
        }
        for (row r = 0; r < column_.size(); ++r) take(r);
    }

    template <class Take>
    void each_of(const cell& e, const cell* v, row& near, const Take& take) {
        if (!e.is(kind::integer)) return;
        std::optional<std::int64_t> slot;
        if (v != nullptr && !(slot = slot_of(column_, *v))) return;
        const auto found = column_.rows_of(e.integer, near);
        for (row r = found.begin; r < found.end; ++r) {
            if (!slot || column_.slots()[r] == *slot) take(r);
        }
    }

    /// For each row of the base the rows that belong to it.
    relation joined() {
        relation& base = *request_.base;
        row_ids left;
        left.reserve(base.rows);
        right_.reserve(only_exists_ ? 0 : base.rows);
        row near = 0;
        for (row_id at = 0; at < base.rows; ++at) {
            stop_();
            bool found = false;
            const auto take = [&](row r) {
                if ((only_exists_ && found) || !passes(r)) return;
                found = true;
                left.push_back(at);
                if (!only_exists_) right_.push_back(r);
            };
            const cell* e = e_.key != nullptr ? &(*e_.key)[at] : e_.constant;
            const cell* v = v_.key != nullptr ? &(*v_.key)[at] : v_.constant;
            if (e != nullptr) {
                each_of(*e, v, near, take);
            } else if (const auto slot = slot_of(column_, *v)) {
                for (const row r : column_.rows_with(*slot)) {
                    stop_();
                    take(r);
                    if (only_exists_ && found) break;
                }
            }
            check_rows(left.size());
        }
        relation r;
        r.rows = left.size();
        bool base_whole = base.distinct;
        for (std::size_t i = 0; i < base.vars.size(); ++i) {
            if (request_.live->contains(base.vars[i]))
                r.add_column(base.vars[i], take_rows(base.columns[i], left));
            else
                base_whole = false;
        }
        add_fresh(r);
        r.distinct = base_whole && (only_exists_ || differ());
        return r;
    }

    void add_fresh(relation& r) const {
        if (e_.fresh) {
            column all;
            all.reserve(right_.size());
            for (const row at : right_)
                all.push_back(cell::of(std::int64_t{column_.entities()[at]}));
            r.add_column(*e_.fresh, std::move(all));
        }
        if (v_.fresh) {
            column all;
            all.reserve(right_.size());
            for (const row at : right_) all.push_back(cell_at(column_, kind_, column_.slots()[at]));
            r.add_column(*v_.fresh, std::move(all));
        }
    }

    bool differ() const {
        std::vector<position> positions(terms_.size());
        for (std::size_t i = 0; i < positions.size(); ++i) {
            if (const cell* c = std::get_if<cell>(&terms_[i]))
                positions[i] = {position::state::constant, c};
        }
        const unsigned kept =
            1U << at_a | (e_.kept() ? 1U << at_e : 0) | (v_.kept() ? 1U << at_v : 0);
        return request_.on->on->rows_differ(positions, kept);
    }

    const match_request& request_;
    const std::vector<term>& terms_;
    const attribute_column& column_;
    const kind kind_;
    stop_check& stop_;
    const use e_, v_;
    slot_range range_;
    row_tests tests_;
    bool only_exists_ = false;
    std::array<cell, database_width> row_;
    rows right_;
};

/// A pattern [e :a v] whose places differ.
bool is_simple(const match_request& request) {
    const std::vector<term>& terms = request.on->terms;
    if (!request.on->on->is_database() || terms.size() <= at_a ||
        !std::holds_alternative<cell>(terms[at_a]))
        return false;
    for (std::size_t place = at_tx; place < terms.size(); ++place) {
        if (!std::holds_alternative<blank>(terms[place])) return false;
    }
    const var_id* e = std::get_if<var_id>(&terms[at_e]);
    const var_id* v = terms.size() > at_v ? std::get_if<var_id>(&terms[at_v]) : nullptr;
    if (e != nullptr && v != nullptr && *e == *v) return false;
    if (request.base == nullptr) return true;
    return (e != nullptr && request.base->has(*e)) || (v != nullptr && request.base->has(*v));
}

}  // namespace

std::optional<relation> match_column(const match_request& request,
                                     arena& memory,
                                     stop_check& stop) {
    if (!is_simple(request)) return std::nullopt;
    const double reads = request.base != nullptr && request.seek
                             ? static_cast<double>(request.base->rows) * seek_reads
                             : request.rows_expected;
    const attribute_column* column = request.on->on->column(
        std::get<cell>(request.on->terms[at_a]), static_cast<std::size_t>(std::max(reads, 1.0)));
    if (column == nullptr) return std::nullopt;
    return column_matcher(request, *column, memory, stop).run();
}

std::optional<std::int64_t> slot_of(const attribute_column& c, const cell& v) {
    if (v.type != kind_of(c.type())) return std::nullopt;
    if (v.is_text()) return c.slot_of(v.view());
    if (v.is(kind::real)) return attribute_column::slot_of(v.real);
    return v.integer;
}

std::optional<std::pair<std::int64_t, std::int64_t>> slots_within(const attribute_column& c,
                                                                  const value_bounds& bounds) {
    const auto lo = bounds.lo ? ordered_slot(c, *bounds.lo) : std::nullopt;
    const auto hi = bounds.hi ? ordered_slot(c, *bounds.hi) : std::nullopt;
    if (!lo && !hi) return std::nullopt;
    return std::pair(lo.value_or(least), hi.value_or(greatest));
}

}  // namespace tributary::datom::datalog
