#include "tributary/datom/stored_reader.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/keys.hpp"

#include <algorithm>

namespace tributary::datom {

// -- Time

namespace {

std::int64_t t_at_instant(const kv_reader& store, inst at) {
    const auto cursor = store.cursor();
    cursor->seek_back(keys::of_instant(at.ms, entity_limit));
    if (!cursor->valid() || cursor->key().front() != keys::instant) return 0;
    const bytes_view key = cursor->key();
    return get_id(key.data() + key.size() - id_bytes);
}

void refuse_undone(const kv_reader& store, std::int64_t t) {
    // Undone ranges nest, so the first rewind after t is not always the one that undid it.
    const auto cursor = store.cursor();
    for (cursor->seek(keys::of_id(keys::rewind, t + 1));
         cursor->valid() && cursor->key().front() == keys::rewind;
         cursor->next()) {
        const rewind_mark m = unpack_rewind_mark(cursor->val());
        if (m.to >= t) continue;
        const std::int64_t by = get_id(cursor->key().data() + 1);
        throw error(errc::conflict,
                    "transaction " + std::to_string(t) + " was undone by the rewind " +
                        std::to_string(by) + " of stream \"" + m.stream + "\" to position " +
                        std::to_string(m.position) + "; ask as of " + std::to_string(m.to) +
                        " or earlier, or of " + std::to_string(by) +
                        " or later, or ask the history");
    }
}

}  // namespace

std::int64_t resolve_time(const kv_reader& store, const time_point& p) {
    if (const auto* at = std::get_if<inst>(&p)) return t_at_instant(store, *at);
    std::int64_t t = std::get<std::int64_t>(p);
    if (t >= tx_partition && t < user_partition) t = t_of_entity(t);
    if (t < 0)
        throw error(errc::bad_input,
                    "db.error/not-a-time-point",
                    "the time point " + std::to_string(t) +
                        " is negative; expected a t, a transaction's entity or an instant");
    return t;
}

std::int64_t first_t_from(const kv_reader& store, inst at, std::int64_t beyond) {
    const auto cursor = store.cursor();
    cursor->seek(keys::of_instant(at.ms, 0));
    if (!cursor->valid() || cursor->key().front() != keys::instant) return beyond;
    const bytes_view key = cursor->key();
    return get_id(key.data() + key.size() - id_bytes);
}

std::shared_ptr<const db::impl> stored_reader::as_of(const time_point& p) const {
    const std::int64_t t = resolve_time(*moment_.store, p);
    refuse_undone(*moment_.store, t);
    return at_t(t);
}

std::shared_ptr<const stored_reader> stored_reader::at_t(std::int64_t t) const {
    time_filter filter = filter_;
    if (t < moment_.basis_t) filter.limit_t = std::min(filter.limit_t, t);
    return std::make_shared<stored_reader>(moment_, filter, as_of_ ? std::min(*as_of_, t) : t);
}

std::shared_ptr<const db::impl> stored_reader::since(const time_point& p) const {
    time_filter filter = filter_;
    filter.since_t = std::max(filter.since_t, resolve_time(*moment_.store, p));
    return std::make_shared<stored_reader>(moment_, filter, as_of_);
}

std::shared_ptr<const db::impl> stored_reader::history() const {
    time_filter filter = filter_;
    filter.history = true;
    return std::make_shared<stored_reader>(moment_, filter, as_of_);
}

std::shared_ptr<const db::impl> stored_reader::without_history() const {
    time_filter filter = filter_;
    filter.history = false;
    return std::make_shared<stored_reader>(moment_, filter, as_of_);
}

std::optional<std::int64_t> stored_reader::since_t() const {
    if (filter_.since_t < 0) return std::nullopt;
    return filter_.since_t;
}

// -- Scans

void stored_reader::scan_prefix(bytes_view key, const datom_visitor& visit) const {
    twin_scan scan = open(key.front());
    for (scan.start(key.substr(1)); scan.valid() && visit(scan.get()); scan.next()) {
    }
}

void stored_reader::scan_eavt(entity_id e, const attribute* a, const datom_visitor& visit) const {
    if (e < 0 || e >= entity_limit) return;
    if (a && !a->many && filter_.current()) {
        const auto found = moment_.store->get(keys::of_e_a(keys::eavt, e, a->number()));
        if (!found) return;
        const bytes_view val = *found;
        const std::int64_t t = get_id(val.data()) & ~keys::restored_flag;
        visit({e, a->id, view_of_raw(val.substr(id_bytes)), entity_of_t(t), true});
        return;
    }
    scan_prefix(a ? keys::of_e_a(keys::eavt, e, a->number()) : keys::of_id(keys::eavt, e), visit);
}

void stored_reader::scan_aevt(const attribute& a,
                              std::optional<entity_id> e,
                              const datom_visitor& visit) const {
    if (e)
        scan_eavt(*e, &a, visit);
    else
        scan_prefix(keys::of_attribute(keys::aevt, a.number()), visit);
}

void stored_reader::scan_fact(entity_id e,
                              const attribute& a,
                              const value& v,
                              const datom_visitor& visit) const {
    const auto raw = try_encode_raw(v, a);
    if (!raw) return;
    const value_view wanted = view_of_raw(*raw);
    scan_eavt(e, &a, [&](const datom_ref& d) { return !(d.v == wanted) || visit(d); });
}

void stored_reader::scan_avet(const attribute& a,
                              const value& v,
                              const datom_visitor& visit) const {
    const auto raw = try_encode_raw(v, a);
    if (!raw) return;
    const value_view wanted = view_of_raw(*raw);
    if (a.is_ref() && !a.is_unique()) {
        scan_vaet(wanted.integer, &a, visit);
    } else if (a.indexed || a.is_unique()) {
        bytes key = keys::of_attribute(keys::avet, a.number());
        append_key(key, *raw);
        scan_prefix(key, visit);
    } else {
        scan_aevt(
            a, std::nullopt, [&](const datom_ref& d) { return !(d.v == wanted) || visit(d); });
    }
}

void stored_reader::scan_avet_range(const attribute& a,
                                    const value_range& range,
                                    const datom_visitor& visit) const {
    std::optional<bytes> lo, hi;
    if (range.lo && !(lo = try_encode_raw(*range.lo, a))) return;
    if (range.hi && !(hi = try_encode_raw(*range.hi, a))) return;
    const auto filtered = [&,
                           below = lo ? view_of_raw(*lo) : value_view{},
                           above = hi ? view_of_raw(*hi) : value_view{}](const datom_ref& d) {
        if (lo)
            if (const int c = compare(d.v, below); c < 0 || (c == 0 && !range.lo_included))
                return true;
        if (hi)
            if (const int c = compare(d.v, above); c > 0 || (c == 0 && !range.hi_included))
                return true;
        return visit(d);
    };
    if (!a.is_unique() && (a.is_ref() || !a.indexed)) {
        scan_aevt(a, std::nullopt, filtered);
        return;
    }
    const bytes whole = keys::of_attribute(keys::avet, a.number()).substr(1);
    bytes from = whole, to = whole;
    if (lo) append_key_bound(from, *lo);
    if (hi) append_key_bound(to, *hi);
    twin_scan scan = open(keys::avet);
    for (scan.start(from, prefix_end(to)); scan.valid() && filtered(scan.get()); scan.next()) {
    }
}

void stored_reader::scan_vaet(entity_id target,
                              const attribute* a,
                              const datom_visitor& visit) const {
    if (target < 0 || target >= entity_limit) return;
    scan_prefix(
        a ? keys::of_target(keys::vaet, target, a->number()) : keys::of_id(keys::vaet, target),
        visit);
}

void stored_reader::scan_all(const datom_visitor& visit) const {
    scan_prefix(bytes_view(&keys::eavt, 1), visit);
}

namespace {

/// The key of a place, with its space, as far as all twins have it.
bytes key_of(index_order index, const index_place& from) {
    const auto id = [](entity_id e) { return std::clamp<entity_id>(e, 0, entity_limit - 1); };
    switch (index) {
        case index_order::eavt:
            if (!from.e) return bytes(1, keys::eavt);
            if (!from.a) return keys::of_id(keys::eavt, id(*from.e));
            return keys::of_e_a(keys::eavt, id(*from.e), from.a->number());
        case index_order::aevt:
            if (!from.a) return bytes(1, keys::aevt);
            if (!from.e) return keys::of_attribute(keys::aevt, from.a->number());
            return keys::of_a_e(keys::aevt, from.a->number(), id(*from.e));
        case index_order::avet: {
            TRIBUTARY_CHECK(from.a && from.a->is_kept_by_value());
            bytes key = keys::of_attribute(keys::avet, from.a->number());
            if (from.v) append_key_bound(key, encode_raw(*from.v, from.a->type));
            return key;
        }
        case index_order::vaet: {
            if (!from.v) return bytes(1, keys::vaet);
            const entity_id target = id(from.v->as<std::int64_t>());
            if (!from.a) return keys::of_id(keys::vaet, target);
            bytes key = keys::of_target(keys::vaet, target, from.a->number());
            if (from.e) put_id(key, id(*from.e));
            return key;
        }
    }
    return {};
}

}  // namespace

void stored_reader::walk(index_order index,
                         const index_place& from,
                         bool backward,
                         const datom_visitor& visit) const {
    const bytes key = key_of(index, from);
    const bytes whole = index == index_order::avet
                            ? keys::of_attribute(keys::avet, from.a->number()).substr(1)
                            : bytes();
    twin_scan scan = open(key.front());
    if (backward)
        scan.start_back(bytes_view(key).substr(1), whole);
    else
        scan.start(bytes_view(key).substr(1), prefix_end(whole));
    for (; scan.valid() && visit(scan.get()); scan.next()) {
    }
}

// -- Fast forms

void stored_reader::scan_column(const attribute& a, const column_visitor& visit) const {
    twin_scan scan = open(keys::aevt);
    for (scan.start(keys::of_attribute(keys::aevt, a.number()).substr(1)); scan.valid();
         scan.next())
        if (!visit(scan.get().e, scan.get().v)) return;
}

namespace {

class stored_column final : public column_cursor {
public:
    stored_column(twin_scan scan, std::uint32_t number) : scan_(std::move(scan)), number_(number) {
        scan_.start(keys::of_attribute(keys::aevt, number).substr(1));
    }

    bool valid() const override { return scan_.valid(); }
    void next() override { scan_.next(); }
    void seek(entity_id e) override {
        // A few steps cost less than a seek.
        for (int steps = 0; steps < 16; ++steps) {
            if (!scan_.valid() || scan_.get().e >= e) return;
            scan_.next();
        }
        scan_.seek(keys::of_a_e(keys::aevt, number_, e).substr(1));
    }
    const datom_ref& get() const override { return scan_.get(); }

private:
    twin_scan scan_;
    std::uint32_t number_;
};

}  // namespace

std::unique_ptr<column_cursor> stored_reader::column(const attribute& a) const {
    return std::make_unique<stored_column>(open(keys::aevt), a.number());
}

std::shared_ptr<const attribute_column> stored_reader::cached(const attribute& a,
                                                              std::size_t reads) const {
    if (!moment_.columns || filter_.history || filter_.since_t >= 0) return nullptr;
    std::int64_t t = a.number() < moment_.changed_t->size() ? (*moment_.changed_t)[a.number()] : 0;
    if (filter_.limit_t < t) {
        // What is left of a past without history differs from store to store.
        if (a.no_history) return nullptr;
        t = filter_.limit_t;
    }
    return moment_.columns->get({&a, t, count(a), reads},
                                [&](const column_visitor& visit) { scan_column(a, visit); });
}

std::optional<value> stored_reader::lookup(entity_id e, const attribute& a) const {
    if (filter_.history) return without_history()->lookup(e, a);
    std::optional<value> found;
    scan_eavt(e, &a, [&](const datom_ref& d) {
        found = d.v.to_value();
        return false;
    });
    return found;
}

std::optional<entity_id> stored_reader::lookup_unique(const attribute& a, const value& v) const {
    if (filter_.history) return without_history()->lookup_unique(a, v);
    std::optional<entity_id> found;
    scan_avet(a, v, [&](const datom_ref& d) {
        found = d.e;
        return false;
    });
    return found;
}

std::uint64_t stored_reader::count(const attribute& a) const {
    return a.number() < moment_.counts->size() ? (*moment_.counts)[a.number()] : 0;
}

// -- Full text

void stored_reader::scan_postings(const attribute& a,
                                  std::string_view term,
                                  bool prefix,
                                  const posting_visitor& visit) const {
    read_postings(*moment_.store, a, term, prefix, visit);
}

text_totals stored_reader::totals_of_texts(const attribute& a) const {
    return read_text_totals(*moment_.store, a);
}

}  // namespace tributary::datom
