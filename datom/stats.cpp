/// db::stats: exact where it is cheap, estimated from a sample where it is not.
#include "tributary/datom/encoding.hpp"
#include "tributary/datom/reader.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace tributary::datom {

namespace {

/// As many facts of an attribute are looked at to estimate how many different values it has.
constexpr std::size_t sample_rows = 2048;

/// The first or last value of an attribute; nil if it has none.
value end_of(const reader& r, const attribute& a, bool last) {
    value found;
    const auto take = [&](const datom_ref& d) {
        found = d.v.to_value();
        return false;
    };
    if (last)
        r.walk(index_order::avet, {.a = &a}, true, take);
    else
        r.scan_avet_range(a, {}, take);
    return found;
}

/// Counts how often values occur.
class value_counter {
public:
    void add(const value_view& v) {
        ++rows_;
        if (v.text.empty())
            ++numbers_[static_cast<std::uint64_t>(v.integer) ^ std::hash<double>()(v.real)];
        else
            ++texts_[std::string(v.text)];
    }
    std::size_t rows() const { return rows_; }
    std::uint64_t distinct() const { return numbers_.size() + texts_.size(); }
    /// Of the whole, of which this is a sample: the more values were met but once, the more are
    /// unseen. Haas, Stokes: "Estimating the Number of Classes in a Finite Population", JASA 1998.
    std::uint64_t estimate(std::uint64_t all) const {
        double once = 0;
        for (const auto& [v, n] : numbers_) once += n == 1;
        for (const auto& [v, n] : texts_) once += n == 1;
        const auto seen = static_cast<double>(rows_);
        const double unseen_part = 1 - seen / static_cast<double>(all);
        const double guess = static_cast<double>(distinct()) / (1 - unseen_part * once / seen);
        return std::min(all, static_cast<std::uint64_t>(std::llround(guess)));
    }

private:
    std::size_t rows_ = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
    std::unordered_map<std::string, std::uint32_t> texts_;
};

/// On a current value: from the counters, the ends of AVET and a sample.
attribute_stats quick_stats(const reader& r, const attribute& a) {
    attribute_stats s;
    s.datoms = r.count(a);
    if (a.is_kept_by_value()) {
        s.min = end_of(r, a, false);
        s.max = end_of(r, a, true);
    }
    if (a.is_unique()) {
        s.distinct = s.datoms;
        s.distinct_is_exact = true;
        return s;
    }
    value_counter sample;
    r.scan_column(a, [&](entity_id, const value_view& v) {
        sample.add(v);
        return sample.rows() < sample_rows;
    });
    s.distinct_is_exact = sample.rows() >= s.datoms;
    if (sample.rows() > 0)
        s.distinct = s.distinct_is_exact ? sample.distinct() : sample.estimate(s.datoms);
    return s;
}

/// On any other: everything is looked at.
attribute_stats full_stats(const reader& r, const attribute& a) {
    attribute_stats s;
    value_counter all;
    std::optional<datom_ref> least, most;
    bytes least_text, most_text;
    r.scan_aevt(a, std::nullopt, [&](const datom_ref& d) {
        all.add(d.v);
        const auto keep = [&](std::optional<datom_ref>& end, bytes& text) {
            text = d.v.text;
            end = d;
            end->v.text = text;
        };
        if (!a.is_kept_by_value()) return true;
        if (!least || compare(d.v, least->v) < 0) keep(least, least_text);
        if (!most || compare(d.v, most->v) > 0) keep(most, most_text);
        return true;
    });
    s.datoms = all.rows();
    s.distinct = all.distinct();
    s.distinct_is_exact = true;
    if (least) s.min = least->v.to_value();
    if (most) s.max = most->v.to_value();
    return s;
}

}  // namespace

db_stats db::stats() const {
    const reader& r = get();
    const bool is_current = !r.is_history() && !r.is_filtered() && !r.as_of_t() && !r.since_t();
    db_stats all;
    for (const attribute* a : r.attributes().all()) {
        attribute_stats s = is_current ? quick_stats(r, *a) : full_stats(r, *a);
        if (s.datoms == 0) continue;
        all.datoms += s.datoms;
        all.attributes.emplace(a->ident, std::move(s));
    }
    return all;
}

}  // namespace tributary::datom
