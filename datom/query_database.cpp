#include "tributary/datom/encoding.hpp"
#include "tributary/datom/fulltext.hpp"
#include "tributary/datom/query_columns.hpp"
#include "tributary/datom/reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace tributary::datom::datalog {

kind kind_of(value_type t) {
    switch (t) {
        case value_type::boolean:
            return kind::boolean;
        case value_type::integer:
        case value_type::ref:
            return kind::integer;
        case value_type::instant:
            return kind::inst;
        case value_type::real:
        case value_type::floating:
            return kind::real;
        case value_type::bigint:
            return kind::bigint;
        case value_type::decimal:
            return kind::decimal;
        case value_type::string:
        case value_type::uri:
            return kind::string;
        case value_type::keyword:
            return kind::keyword;
        case value_type::symbol:
            return kind::symbol;
        case value_type::uuid:
            return kind::uuid;
        case value_type::bytes:
            return kind::bytes;
        case value_type::tuple:
            return kind::vector;
    }
    return kind::nil;
}

namespace {

[[noreturn]] void fail(const char* name, const std::string& problem) {
    throw error(errc::bad_input, name, problem);
}
constexpr const char* unknown_attribute = "db.error/unknown-attribute";
constexpr const char* unknown_entity = "db.error/unknown-entity";

/// As many rows as are counted before an estimate is good enough.
constexpr std::size_t probe_rows_max = 512;
/// Values whose rows are counted to know how many a value has: each so many facts after the other.
constexpr std::size_t sampled_values = 8, sampled_apart = 8;

/// Only a tuple takes memory.
cell cell_of(const value_view& v, arena& memory) {
    switch (v.type) {
        case value_type::boolean:
            return cell::of(v.integer != 0);
        case value_type::integer:
        case value_type::ref:
            return cell::of(v.integer);
        case value_type::instant:
            return cell::number(kind::inst, v.integer);
        case value_type::real:
        case value_type::floating:
            return cell::of(v.real);
        case value_type::bigint:
            return cell::of_text(kind::bigint, v.text);
        case value_type::decimal:
            return cell::of_text(kind::decimal, v.text);
        case value_type::string:
        case value_type::uri:
            return cell::of_text(kind::string, v.text);
        case value_type::keyword:
            return cell::of_text(kind::keyword, v.text);
        case value_type::symbol:
            return cell::of_text(kind::symbol, v.text);
        case value_type::uuid:
            return cell::of_text(kind::uuid, v.text);
        case value_type::bytes:
            return cell::of_text(kind::bytes, v.text);
        case value_type::tuple: {
            std::array<cell, tuple_size_max> items;
            std::size_t n = 0;
            for_each_element(v.text, [&](bytes_view raw) {
                if (n < items.size())
                    items[n++] = raw.empty() ? cell() : cell_of(view_of_raw(raw), memory);
            });
            const auto kept = memory.make<cell>(n);
            std::copy_n(items.begin(), n, kept.begin());
            return cell::of_items(kind::vector, kept);
        }
    }
    return {};
}

/// The part of an attribute's value index that can hold values within the bounds; nothing if there
/// are none or the index cannot help.
std::optional<value_range> range_of(const attribute& a, const value_bounds& bounds) {
    const bool by_size = a.type == value_type::integer || a.type == value_type::real ||
                         a.type == value_type::instant;
    if (!a.indexed || !by_size) return std::nullopt;
    const auto bound = [&](const std::optional<cell>& c) -> std::optional<value> {
        if (!c) return std::nullopt;
        if (c->is(kind::real) && std::isnan(c->real)) return std::nullopt;
        // Adding 0.0 turns -0.0, which is never stored, into the 0.0 it equals.
        if (a.type == value_type::real && c->is_number()) return value(as_double(*c) + 0.0);
        if (c->type != kind_of(a.type)) return std::nullopt;
        return to_value(*c);
    };
    value_range range{bound(bounds.lo), bound(bounds.hi)};
    if (!range.lo && !range.hi) return std::nullopt;
    return range;
}

class database_source : public source {
public:
    database_source(const db& database, arena& memory, bool lenient)
        : db_(database), reader_(db_.get()), memory_(memory), lenient_(lenient) {}

    bool is_database() const override { return true; }
    query_input as_input() const override { return db_; }
    cell literal(std::size_t place, const cell& c, const cell* attribute_id) const override;
    std::optional<cell> entity(const cell& c) const override;
    cell ident(const cell& e) const override {
        const std::optional<keyword> found = reader_.ident(e.integer);
        return found ? cell::of_text(kind::keyword, memory_.copy(found->text)) : cell();
    }
    std::optional<value_type> type_of(const cell& a) const override {
        const attribute* found = find(a);
        return found == nullptr ? std::nullopt : std::optional(found->type);
    }
    std::optional<cell> stored(const cell& a, const cell& c) const override {
        try {
            return stored(*find(a), c);
        } catch (const error&) {
            return std::nullopt;
        }
    }
    bool is_many(const cell& a, bool reverse) const override {
        const attribute* found = find(a);
        return found != nullptr && (reverse ? !found->component : found->many);
    }
    void scan(std::span<const cell* const> fixed,
              unsigned wanted,
              const value_bounds& bounds,
              const row_visitor& visit) const override;
    double estimate(std::span<const position> positions, const value_bounds& bounds) const override;
    bool can_seek(std::span<const position> positions) const override;
    bool rows_differ(std::span<const position> positions, unsigned kept) const override;
    const attribute_column* column(const cell& a, std::size_t reads) const override;
    void fulltext(const cell& attribute,
                  std::string_view words,
                  const row_visitor& visit) const override;

private:
    const attribute* find(const cell& a) const {
        return a.is(kind::integer) ? reader_.find_attribute(entity_id{a.integer}) : nullptr;
    }
    cell entity_or_fail(const cell& c) const;
    cell stored(const attribute& a, const cell& c) const;
    cell stored_or_fail(const attribute& a, const cell& c) const;
    void scan_attribute(const attribute& a,
                        std::span<const cell* const> fixed,
                        unsigned wanted,
                        const value_bounds& bounds,
                        const row_visitor& visit) const;
    void scan_value(const cell& v, const datom_visitor& visit) const;
    double rows_with_value(const attribute& a, const cell& v) const;
    double rows_each(const attribute& a) const;
    double rows_within(const attribute& a, const value_range& range) const;
    double rows_of(const attribute& a,
                   bool e_known,
                   const position& v,
                   const value_bounds& bounds) const;
    double total() const;

    db db_;
    const reader& reader_;
    arena& memory_;
    /// What cells point into, too.
    mutable std::map<entity_id, std::shared_ptr<const attribute_column>> columns_;
    mutable std::map<entity_id, double> rows_each_;
    bool lenient_;
};

const attribute_column* database_source::column(const cell& a, std::size_t reads) const {
    const attribute* found = find(a);
    if (found == nullptr) return nullptr;
    const auto [at, fresh] = columns_.try_emplace(found->id);
    if (!at->second) at->second = reader_.cached(*found, reads);
    return at->second.get();
}

cell database_source::entity_or_fail(const cell& c) const {
    const std::optional<cell> found = entity(c);
    if (found) return *found;
    if (c.is(kind::keyword)) {
        fail(unknown_entity,
             "no entity is named " + describe(c) + nearest_name(reader_.attributes(), c.view()));
    }
    fail("db.error/type-mismatch",
         "expected an entity (an id, an ident or a lookup ref [attribute value]), found " +
             describe(c) + missing_colon(to_value(c)));
}

std::optional<cell> database_source::entity(const cell& c) const {
    if (c.is(kind::integer)) return c;
    const bool reference = c.is(kind::vector) && c.size == 2 && c.items[0].is(kind::keyword);
    if (!c.is(kind::keyword) && !reference) return std::nullopt;
    const std::optional<entity_id> e = reader_.entid(to_value(c));
    if (!e && reference) {
        fail(unknown_entity,
             "nothing found for the lookup ref " + describe(c) + "; a clause like [?e " +
                 describe(c.items[0]) + " " + describe(c.items[1]) + "] may find nothing");
    }
    if (!e) return std::nullopt;
    return cell::of(std::int64_t{*e});
}

/// Errors: bad_input db.error/wrong-type.
cell database_source::stored(const attribute& a, const cell& c) const {
    const value v = to_value(c);
    const bytes raw = encode_raw(a.is_tuple() ? reader_.named_parts(a, v) : v, a);
    return persist(cell_of(view_of_raw(raw), memory_), memory_);
}

cell database_source::stored_or_fail(const attribute& a, const cell& c) const {
    try {
        return stored(a, c);
    } catch (const error& e) {
        if (lenient_ || e.code() != errc::bad_input) return c;  // and matches nothing
        std::string hint;
        if (c.is_nil())
            hint = "; (missing? $ ?e :" + a.ident.text + ") is true of entities without one";
        fail(e.name(), describe(c) + " is no value of :" + a.ident.text + ": " + e.what() + hint);
    }
}

cell database_source::literal(std::size_t place, const cell& c, const cell* attribute_id) const {
    switch (place) {
        case at_e:
            return entity_or_fail(c);
        case at_a:
            if (c.is(kind::keyword) && reader_.find_attribute(c.view()) == nullptr) {
                if (lenient_) return {};
                fail(unknown_attribute,
                     "no attribute is named " + describe(c) +
                         nearest_name(reader_.attributes(), c.view()));
            }
            if (c.is(kind::keyword))
                return cell::of(std::int64_t{reader_.find_attribute(c.view())->id});
            return entity_or_fail(c);
        case at_v: {
            const attribute* a = attribute_id == nullptr ? nullptr : find(*attribute_id);
            if (a == nullptr) return c;
            return a->is_ref() ? entity_or_fail(c) : stored_or_fail(*a, c);
        }
        case at_tx:
            if (!c.is(kind::integer) && !lenient_) {
                fail("db.error/wrong-type",
                     "the fourth place of a pattern is a transaction, by its id, found " +
                         describe(c));
            }
            return c;
        case at_added:
            if (c.is(kind::boolean)) return c;
            if (c.is(kind::keyword) && c.view() == "db/add") return cell::of(true);
            if (c.is(kind::keyword) && c.view() == "db/retract") return cell::of(false);
            fail("db.error/type-mismatch",
                 "the fifth place of a pattern is true (asserted) or false (retracted), found " +
                     describe(c));
        default:
            fail("db.error/arity",
                 "a pattern on a database has at most five places: [entity attribute value "
                 "transaction added]");
    }
}

void database_source::scan(std::span<const cell* const> fixed,
                           unsigned wanted,
                           const value_bounds& bounds,
                           const row_visitor& visit) const {
    const auto fixed_at = [&](unsigned place) {
        return place < fixed.size() ? fixed[place] : nullptr;
    };
    const cell* a = fixed_at(at_a);
    const cell* e = fixed_at(at_e);
    const cell* v = fixed_at(at_v);
    if (e != nullptr && !e->is(kind::integer)) return;
    if (a != nullptr) {
        if (const attribute* found = find(*a)) scan_attribute(*found, fixed, wanted, bounds, visit);
        return;
    }
    const datom_visitor each = [&](const datom_ref& d) {
        std::array<cell, database_width> row{cell::of(std::int64_t{d.e}),
                                             cell::of(std::int64_t{d.a}),
                                             cell_of(d.v, memory_),
                                             cell::of(std::int64_t{d.tx}),
                                             cell::of(d.added)};
        for (unsigned place = 0; place < fixed.size(); ++place) {
            if (fixed[place] != nullptr && !equal(row[place], *fixed[place])) return true;
        }
        return visit(row.data(), row.size());
    };
    if (e != nullptr) {
        reader_.scan_eavt(e->integer, nullptr, each);
    } else if (v != nullptr) {
        scan_value(*v, each);
    } else {
        reader_.scan_all(each);
    }
}

void database_source::scan_value(const cell& v, const datom_visitor& visit) const {
    const value wanted = to_value(v);
    bool more = true;
    const datom_visitor each = [&](const datom_ref& d) { return more = visit(d); };
    for (const attribute* a : reader_.attributes().all()) {
        if (!more) return;
        if (kind_of(a->type) == v.type) reader_.scan_avet(*a, wanted, each);
    }
}

void database_source::scan_attribute(const attribute& a,
                                     std::span<const cell* const> fixed,
                                     unsigned wanted,
                                     const value_bounds& bounds,
                                     const row_visitor& visit) const {
    const auto fixed_at = [&](unsigned place) {
        return place < fixed.size() ? fixed[place] : nullptr;
    };
    const cell* e = fixed_at(at_e);
    const cell* v = fixed_at(at_v);
    const cell* tx = fixed_at(at_tx);
    const cell* added = fixed_at(at_added);
    if (v != nullptr && v->type != kind_of(a.type)) return;
    std::array<cell, database_width> row;
    row[at_a] = cell::of(std::int64_t{a.id});
    constexpr unsigned beyond_column = 1U << at_tx | 1U << at_added;
    const std::optional<value_range> range = range_of(a, bounds);
    if (!range && e == nullptr && v == nullptr && tx == nullptr && added == nullptr &&
        (wanted & beyond_column) == 0) {
        reader_.scan_column(a, [&](entity_id entity, const value_view& found) {
            row[at_e] = cell::of(std::int64_t{entity});
            row[at_v] = cell_of(found, memory_);
            return visit(row.data(), row.size());
        });
        return;
    }
    const datom_visitor each = [&](const datom_ref& d) {
        row[at_e] = cell::of(std::int64_t{d.e});
        row[at_v] = cell_of(d.v, memory_);
        row[at_tx] = cell::of(std::int64_t{d.tx});
        row[at_added] = cell::of(d.added);
        if (tx != nullptr && !equal(row[at_tx], *tx)) return true;
        if (added != nullptr && !equal(row[at_added], *added)) return true;
        return visit(row.data(), row.size());
    };
    if (e != nullptr && v != nullptr) {
        reader_.scan_fact(e->integer, a, to_value(*v), each);
    } else if (e != nullptr) {
        reader_.scan_aevt(a, e->integer, each);
    } else if (v != nullptr && a.is_ref()) {
        reader_.scan_vaet(v->integer, &a, each);
    } else if (v != nullptr) {
        reader_.scan_avet(a, to_value(*v), each);
    } else if (range) {
        reader_.scan_avet_range(a, *range, each);
    } else {
        reader_.scan_aevt(a, std::nullopt, each);
    }
}

double database_source::rows_with_value(const attribute& a, const cell& v) const {
    if (a.is_unique()) return 1;
    const auto all = static_cast<double>(reader_.count(a));
    if (v.type != kind_of(a.type)) return 0;
    if (const attribute_column* c = column(cell::of(std::int64_t{a.id}), 0)) {
        const auto slot = slot_of(*c, v);
        return slot ? static_cast<double>(c->rows_with(*slot).size()) : 0;
    }
    if (!a.indexed && !a.is_ref()) return all;
    std::size_t seen = 0;
    const datom_visitor count = [&](const datom_ref&) { return ++seen < probe_rows_max; };
    if (a.is_ref()) {
        reader_.scan_vaet(v.integer, &a, count);
    } else {
        reader_.scan_avet(a, to_value(v), count);
    }
    if (seen < probe_rows_max) return static_cast<double>(seen);
    return std::max(static_cast<double>(seen), all / 10);
}

/// Rows with one value of the attribute, about: those of a few values, met as often as they occur.
double database_source::rows_each(const attribute& a) const {
    const auto [at, fresh] = rows_each_.try_emplace(a.id, 0);
    if (!fresh) return at->second;
    std::vector<cell> values;
    std::size_t seen = 0;
    reader_.scan_column(a, [&](entity_id, const value_view& v) {
        if (seen++ % sampled_apart == 0) values.push_back(persist(cell_of(v, memory_), memory_));
        return values.size() < sampled_values;
    });
    double rows = 0;
    for (const cell& v : values) rows += rows_with_value(a, v);
    at->second = rows / std::max(1.0, static_cast<double>(values.size()));
    return at->second;
}

double database_source::total() const {
    double all = 0;
    for (const attribute* a : reader_.attributes().all())
        all += static_cast<double>(reader_.count(*a));
    return all;
}

double database_source::rows_within(const attribute& a, const value_range& range) const {
    std::size_t seen = 0;
    reader_.scan_avet_range(a, range, [&](const datom_ref&) { return ++seen < probe_rows_max; });
    if (seen < probe_rows_max) return static_cast<double>(seen);
    return std::max(static_cast<double>(seen), static_cast<double>(reader_.count(a)) / 3);
}

double database_source::rows_of(const attribute& a,
                                bool e_known,
                                const position& v,
                                const value_bounds& bounds) const {
    const auto all = static_cast<double>(reader_.count(a));
    const attribute_column* c = column(cell::of(std::int64_t{a.id}), 0);
    if (e_known) {
        const double each = std::min(all, a.many ? 4.0 : 1.0);
        if (c == nullptr || v.is != position::state::constant) return each;
        return each * rows_with_value(a, *v.value) / std::max(all, 1.0);
    }
    if (v.is == position::state::constant) return rows_with_value(a, *v.value);
    if (v.is == position::state::bound) {
        if (a.is_unique()) return 1;
        if (c == nullptr) return a.indexed || a.is_ref() ? rows_each(a) : std::sqrt(all);
        return all / std::max<double>(1, static_cast<double>(c->distinct_values()));
    }
    if (c != nullptr) {
        const auto slots = slots_within(*c, bounds);
        return slots ? static_cast<double>(c->rows_within(slots->first, slots->second).size())
                     : static_cast<double>(c->size());
    }
    const std::optional<value_range> range = range_of(a, bounds);
    return range ? std::min(all, rows_within(a, *range)) : all;
}

double database_source::estimate(std::span<const position> positions,
                                 const value_bounds& bounds) const {
    const auto at = [&](unsigned place) {
        return place < positions.size() ? positions[place] : position{};
    };
    const bool e_known = at(at_e).is != position::state::open;
    const bool v_known = at(at_v).is != position::state::open;
    double rows = 0;
    if (at(at_a).is == position::state::constant) {
        const attribute* a = find(*at(at_a).value);
        if (a == nullptr) return 0;
        rows = rows_of(*a, e_known, at(at_v), bounds);
    } else if (e_known) {
        rows = v_known ? 1 : 10;
    } else {
        rows = v_known ? std::sqrt(total()) : total();
    }
    if (at(at_tx).is != position::state::open) rows = std::max(1.0, rows / 100);
    return rows;
}

bool database_source::can_seek(std::span<const position> positions) const {
    const auto known = [&](unsigned place) {
        return place < positions.size() && positions[place].is != position::state::open;
    };
    if (known(at_e)) return true;
    if (!known(at_v)) return known(at_a) && positions[at_a].is == position::state::bound;
    if (!known(at_a) || positions[at_a].is == position::state::bound) return true;
    const attribute* a = find(*positions[at_a].value);
    return a != nullptr && (a->indexed || a->is_unique() || a->is_ref());
}

bool database_source::rows_differ(std::span<const position> positions, unsigned kept) const {
    if (reader_.is_history()) return false;
    const auto has = [&](unsigned place) { return (kept >> place & 1U) != 0; };
    if (has(at_e) && has(at_a) && has(at_v)) return true;
    if (!has(at_e) || !has(at_a) || positions[at_a].is != position::state::constant) return false;
    const attribute* a = find(*positions[at_a].value);
    return a != nullptr && !a->many;
}

void database_source::fulltext(const cell& attribute_name,
                               std::string_view text,
                               const row_visitor& visit) const {
    const cell a_id = literal(at_a, attribute_name, nullptr);
    const attribute* a = find(a_id);
    if (a == nullptr || !a->fulltext) {
        fail("db.error/type-mismatch",
             "the attribute " + describe(attribute_name) +
                 " is not full-text, which is said when an attribute is made; make one with "
                 ":db/fulltext true and copy the texts to it");
    }
    for (const text_match& m : search_text(reader_, *a, text)) {
        const std::array<cell, 4> row{cell::of(std::int64_t{m.e}),
                                      persist(cell::of_text(kind::string, m.text), memory_),
                                      cell::of(std::int64_t{m.tx}),
                                      cell::of(m.score)};
        if (!visit(row.data(), row.size())) return;
    }
}

}  // namespace

std::unique_ptr<source> make_source(const db& database, arena& memory, bool lenient) {
    return std::make_unique<database_source>(database, memory, lenient);
}

}  // namespace tributary::datom::datalog
