#include "tributary/datom/stored_reader.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/keys.hpp"

#include <algorithm>

namespace tributary::datom {

std::optional<std::int64_t> stored_reader::as_of_t() const {
    if (filter_.limit_t == time_filter{}.limit_t) return std::nullopt;
    return filter_.limit_t;
}

// -- Time
// ---------------------------------------------------------------------------------------------------------------------------------

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
    std::int64_t t = 0;
    if (const auto* at = std::get_if<inst>(&p)) {
        t = t_at_instant(store, *at);
    } else {
        t = std::get<std::int64_t>(p);
        if (t >= tx_partition && t < user_partition) t = t_of_entity(t);
        if (t < 0)
            throw error(errc::bad_input, "as of " + std::to_string(t) + ": a t is not negative");
    }
    refuse_undone(store, t);
    return t;
}

std::shared_ptr<const db::impl> stored_reader::as_of(const time_point& p) const {
    time_filter filter = filter_;
    const std::int64_t t = resolve_time(*moment_.store, p);
    // At or beyond the basis there is nothing to hide.
    if (t < moment_.basis_t) filter.limit_t = std::min(filter.limit_t, t);
    return std::make_shared<stored_reader>(moment_, filter);
}

std::shared_ptr<const db::impl> stored_reader::history() const {
    return std::make_shared<stored_reader>(moment_, time_filter{filter_.limit_t, true});
}

// -- Names
// --------------------------------------------------------------------------------------------------------------------------------

std::optional<entity_id> stored_reader::entid(const value& ident) const {
    if (const auto* id = ident.get_if<std::int64_t>()) return *id;
    if (const auto* name = ident.get_if<keyword>()) {
        if (const attribute* a = find_attribute(std::string_view(name->text))) return a->id;
        return lookup_unique(*find_attribute(id_of(system_entity::ident)), ident);
    }
    if (const auto* pair = ident.get_if<vector>(); pair && pair->size() == 2) {
        const attribute* a = find_attribute((*pair)[0]);
        if (!a || !a->is_unique())
            throw error(errc::bad_input,
                        "a lookup ref needs a :db/unique attribute; its first element names none");
        if (!a->is_ref() || (*pair)[1].get_if<std::int64_t>()) return lookup_unique(*a, (*pair)[1]);
        const auto target = entid((*pair)[1]);
        return target ? lookup_unique(*a, value(*target)) : std::nullopt;
    }
    throw error(errc::bad_input,
                std::string("an entity is named by an integer, an ident keyword or a lookup ref "
                            "[attribute value], not by a ") +
                    tributary::name_of(ident.type()));
}

std::optional<keyword> stored_reader::ident(entity_id e) const {
    if (const attribute* a = find_attribute(e)) return a->ident;
    auto found = lookup(e, *find_attribute(id_of(system_entity::ident)));
    if (!found) return std::nullopt;
    return found->as<keyword>();
}

const attribute* reader::find_attribute(const value& ident_or_id) const {
    if (const auto* id = ident_or_id.get_if<std::int64_t>()) return find_attribute(*id);
    if (const auto* name = ident_or_id.get_if<keyword>())
        return find_attribute(std::string_view(name->text));
    return nullptr;
}

// -- Scans
// --------------------------------------------------------------------------------------------------------------------------------

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
    const auto raw = try_encode_raw(v, a.type);
    if (!raw) return;
    const value_view wanted = view_of_raw(*raw);
    scan_eavt(e, &a, [&](const datom_ref& d) { return !(d.v == wanted) || visit(d); });
}

void stored_reader::scan_avet(const attribute& a,
                              const value& v,
                              const datom_visitor& visit) const {
    const auto raw = try_encode_raw(v, a.type);
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
    if (range.lo && !(lo = try_encode_raw(*range.lo, a.type))) return;
    if (range.hi && !(hi = try_encode_raw(*range.hi, a.type))) return;
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

// -- Fast forms
// ---------------------------------------------------------------------------------------------------------------------------

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
    if (!moment_.columns || filter_.history) return nullptr;
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
    if (filter_.history) return stored_reader(moment_, facts_filter()).lookup(e, a);
    std::optional<value> found;
    scan_eavt(e, &a, [&](const datom_ref& d) {
        found = d.v.to_value();
        return false;
    });
    return found;
}

std::optional<entity_id> stored_reader::lookup_unique(const attribute& a, const value& v) const {
    if (filter_.history) return stored_reader(moment_, facts_filter()).lookup_unique(a, v);
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
// ----------------------------------------------------------------------------------------------------------------------------

void stored_reader::scan_postings(const attribute& a,
                                  std::string_view term,
                                  bool prefix,
                                  const posting_visitor& visit) const {
    read_postings(*moment_.store, a, term, prefix, visit);
}

text_totals stored_reader::totals_of_texts(const attribute& a) const {
    return read_text_totals(*moment_.store, a);
}

// -- The public face
// ----------------------------------------------------------------------------------------------------------------------

std::int64_t db::basis_t() const { return impl_->basis_t(); }
db db::as_of(const time_point& p) const { return db(impl_->as_of(p)); }
db db::history() const { return db(impl_->history()); }
std::optional<entity_id> db::entid(const value& ident) const { return impl_->entid(ident); }
std::optional<keyword> db::ident(entity_id e) const { return impl_->ident(e); }

std::vector<datom> db::facts_of(entity_id e) const {
    std::vector<datom> facts;
    impl_->scan_eavt(e, nullptr, [&](const datom_ref& d) {
        facts.push_back(d.to_datom());
        return true;
    });
    return facts;
}

}  // namespace tributary::datom
