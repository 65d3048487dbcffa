/// Raw index access: what database.hpp says of datoms, seek_datoms, rseek_datoms, index_range.
#include "tributary/datom/encoding.hpp"
#include "tributary/datom/reader.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <deque>

namespace tributary::datom {

namespace {

const char* name_of(index_order index) {
    switch (index) {
        case index_order::eavt:
            return "EAVT";
        case index_order::aevt:
            return "AEVT";
        case index_order::avet:
            return "AVET";
        default:
            return "VAET";
    }
}

/// The parts of a datom, in the order of the index.
const char* parts_of(index_order index) {
    switch (index) {
        case index_order::eavt:
            return "eavt";
        case index_order::aevt:
            return "aevt";
        case index_order::avet:
            return "avet";
        default:
            return "vaet";
    }
}

[[noreturn]] void refuse(errc code, const char* name, index_order index, const std::string& why) {
    throw error(code, name, std::string("datoms of ") + name_of(index) + ": " + why);
}

const attribute& attribute_part(const reader& r, index_order index, const value& v) {
    const attribute* a = r.find_attribute(v);
    const auto* name = v.get_if<keyword>();
    if (!a)
        refuse(errc::bad_input,
               "db.error/not-an-attribute",
               index,
               "expected an attribute (ident or id), found " + edn::print(v) +
                   (name ? nearest_name(r.attributes(), name->text) : missing_colon(v)));
    if (index == index_order::avet && !a->in_avet())
        refuse(errc::misuse,
               "db.error/attribute-not-indexed",
               index,
               ":" + a->ident.text + " is not in this index; give it :db/index true");
    if (index == index_order::vaet && !a->is_ref())
        refuse(errc::misuse,
               "db.error/attribute-not-indexed",
               index,
               ":" + a->ident.text + " is no reference, and this index has only references");
    return *a;
}

entity_id entity_part(const reader& r, index_order index, const value& v) {
    const auto e = r.entid(v);
    if (!e)
        refuse(errc::bad_input,
               "db.error/not-an-entity",
               index,
               "nothing found for the entity " + edn::print(v));
    return *e;
}

value value_part(const reader& r, index_order index, const attribute& a, const value& v) {
    if (a.is_ref()) return value(entity_part(r, index, v));
    if (!try_encode_raw(v, a))
        refuse(errc::bad_input,
               "db.error/wrong-type",
               index,
               ":" + a.ident.text + " takes " + name_of(a.type) + ", found " + edn::print(v));
    return v;
}

/// The parts a caller gave, resolved.
struct place : index_place {
    index_order index;
    std::size_t size = 0;
    bytes raw;            ///< of v
    value_view raw_view;  ///< points into it
    entity_id tx = 0;

    place(const reader& r, index_order order, const vector& parts);
    place(const place&) = delete;

    /// Of a datom with this, by the parts given, in the index's order.
    int order_of(const datom_ref& d) const;
};

place::place(const reader& r, index_order order, const vector& parts)
    : index(order), size(parts.size()) {
    if (size > 4)
        refuse(errc::misuse,
               "db.error/wrong-arity",
               index,
               "expected at most four parts, found " + std::to_string(size));
    for (std::size_t i = 0; i < size; ++i) {
        const value& part = parts[i];
        switch (parts_of(index)[i]) {
            case 'e':
                e = entity_part(r, index, part);
                break;
            case 'a':
                a = &attribute_part(r, index, part);
                break;
            case 'v':
                v = a ? value_part(r, index, *a, part) : value(entity_part(r, index, part));
                raw = a ? encode_raw(*v, *a) : raw_ref(v->as<std::int64_t>());
                raw_view = view_of_raw(raw);
                break;
            default:
                tx = entity_part(r, index, part);
                if (tx < tx_partition) tx = entity_of_t(tx);
        }
    }
}

template <class T>
int order_of_two(T x, T y) {
    return x < y ? -1 : x > y ? 1 : 0;
}

int place::order_of(const datom_ref& d) const {
    for (std::size_t i = 0; i < size; ++i) {
        int c = 0;
        switch (parts_of(index)[i]) {
            case 'e':
                c = order_of_two(d.e, *e);
                break;
            case 'a':
                c = order_of_two(d.a, a->id);
                break;
            case 'v':
                c = compare(d.v, raw_view);
                break;
            default:
                c = order_of_two(d.tx, tx);
        }
        if (c != 0) return c;
    }
    return 0;
}

/// Puts datoms that come in an index's order but for some of the same key into that order wholly,
/// backward if they come so.
class ordered {
public:
    ordered(index_order index, const schema& attributes, bool backward, datom_visitor visit)
        : index_(index), attributes_(attributes), backward_(backward), visit_(std::move(visit)) {}

    bool add(const datom_ref& d) {
        if (!rows_.empty() && !is_same_key(rows_.front(), d) && !flush()) return false;
        hold(d);
        return true;
    }
    /// A datom that may be anywhere: for all of a set that is then flushed.
    void hold(const datom_ref& d) {
        rows_.push_back(d);
        rows_.back().v.text = texts_.emplace_back(d.v.text);
    }
    bool flush() {
        std::sort(rows_.begin(), rows_.end(), [&](const datom_ref& x, const datom_ref& y) {
            return (backward_ ? order_of(y, x) : order_of(x, y)) < 0;
        });
        const bool more = std::all_of(rows_.begin(), rows_.end(), visit_);
        rows_.clear();
        texts_.clear();
        return more;
    }

private:
    bool is_same_key(const datom_ref& x, const datom_ref& y) const {
        if (x.a != y.a) return false;
        switch (index_) {
            case index_order::avet: {
                const attribute* a = attributes_.find(x.a);
                return x.v == y.v && (x.e == y.e || (a && a->is_unique()));
            }
            case index_order::vaet:
                return x.v == y.v && x.e == y.e;
            default:
                return x.e == y.e;
        }
    }
    /// Of two datoms of one attribute.
    int order_of(const datom_ref& x, const datom_ref& y) const {
        const int e = order_of_two(x.e, y.e);
        const int v = compare(x.v, y.v);
        const bool by_value = index_ == index_order::avet || index_ == index_order::vaet;
        if (const int c = by_value ? v : e; c != 0) return c;
        if (const int c = by_value ? e : v; c != 0) return c;
        return order_of_two(x.tx, y.tx);
    }

    index_order index_;
    const schema& attributes_;
    bool backward_;
    datom_visitor visit_;
    std::vector<datom_ref> rows_;
    std::deque<bytes> texts_;
};

/// Runs `scan` with a visitor; what it finds reaches `visit` in the index's order.
template <class Scan>
void in_order(
    const reader& r, index_order index, bool backward, const datom_visitor& visit, Scan&& scan) {
    if (!r.is_history()) {
        scan(visit);
        return;
    }
    ordered all(index, r.attributes(), backward, visit);
    bool more = true;
    scan([&](const datom_ref& d) { return more = all.add(d); });
    if (more) all.flush();
}

/// The datoms of an AVET attribute with a value in the range, in order. References are not kept in
/// it.
void scan_values(const reader& r,
                 const attribute& a,
                 const value_range& range,
                 bool backward,
                 const datom_visitor& visit) {
    if (!a.is_kept_by_value()) {
        ordered all(index_order::avet, r.attributes(), backward, visit);
        r.scan_avet_range(a, range, [&](const datom_ref& d) {
            all.hold(d);
            return true;
        });
        all.flush();
    } else if (backward) {
        TRIBUTARY_CHECK(!range.lo);
        r.walk(index_order::avet, {.a = &a, .v = range.hi}, true, visit);
    } else {
        r.scan_avet_range(a, range, visit);
    }
}

/// AVET from the place on, or all of it: one attribute after the other.
void scan_avet_from(const reader& r, const place& from, bool backward, const datom_visitor& visit) {
    bool more = true;
    const datom_visitor each = [&](const datom_ref& d) { return more = visit(d); };
    std::vector<const attribute*> all = r.attributes().all();
    if (backward) std::reverse(all.begin(), all.end());
    for (const attribute* a : all) {
        if (!more) return;
        if (!a->in_avet()) continue;
        if (from.a && (backward ? a->id > from.a->id : a->id < from.a->id)) continue;
        value_range range;
        if (from.a == a) (backward ? range.hi : range.lo) = from.v;
        scan_values(r, *a, range, backward, each);
    }
}

void scan_matching(const reader& r, const place& p, const datom_visitor& visit) {
    const bool has_fact = p.e && p.a && p.v;
    if (has_fact) {
        r.scan_fact(*p.e, *p.a, *p.v, visit);
        return;
    }
    switch (p.index) {
        case index_order::eavt:
            if (p.e)
                r.scan_eavt(*p.e, p.a, visit);
            else
                r.scan_all(visit);
            return;
        case index_order::aevt:
            if (p.a)
                r.scan_aevt(*p.a, p.e, visit);
            else
                r.walk(p.index, {}, false, visit);
            return;
        case index_order::avet:
            if (!p.a)
                scan_avet_from(r, p, false, visit);
            else if (p.v)
                r.scan_avet(*p.a, *p.v, visit);
            else
                scan_values(r, *p.a, {}, false, visit);
            return;
        case index_order::vaet:
            if (p.v)
                r.scan_vaet(p.v->as<std::int64_t>(), p.a, visit);
            else
                r.walk(p.index, {}, false, visit);
    }
}

void seek(const reader& r,
          index_order index,
          const vector& parts,
          bool backward,
          const datom_visit& visit) {
    const place from(r, index, parts);
    const datom_visitor from_there = [&](const datom_ref& d) {
        const int c = from.order_of(d);
        return (backward ? c > 0 : c < 0) || visit(d.to_datom());
    };
    in_order(r, index, backward, from_there, [&](const datom_visitor& each) {
        if (index == index_order::avet)
            scan_avet_from(r, from, backward, each);
        else
            r.walk(index, from, backward, each);
    });
}

}  // namespace

void db::datoms(index_order index, const vector& parts, const datom_visit& visit) const {
    const reader& r = get();
    const place wanted(r, index, parts);
    const datom_visitor matching = [&](const datom_ref& d) {
        return wanted.order_of(d) != 0 || visit(d.to_datom());
    };
    in_order(r, index, false, matching, [&](const datom_visitor& each) {
        scan_matching(r, wanted, each);
    });
}

std::vector<datom> db::datoms(index_order index, const vector& parts) const {
    std::vector<datom> all;
    datoms(index, parts, [&](const datom& d) {
        all.push_back(d);
        return true;
    });
    return all;
}

void db::seek_datoms(index_order index, const vector& parts, const datom_visit& visit) const {
    seek(get(), index, parts, false, visit);
}

void db::rseek_datoms(index_order index, const vector& parts, const datom_visit& visit) const {
    seek(get(), index, parts, true, visit);
}

void db::index_range(const value& attribute_name,
                     const value& start,
                     const value& end,
                     const datom_visit& visit,
                     bool end_included) const {
    const reader& r = get();
    const attribute& a = attribute_part(r, index_order::avet, attribute_name);
    value_range range;
    if (!start.is_nil()) range.lo = value_part(r, index_order::avet, a, start);
    if (!end.is_nil()) range.hi = value_part(r, index_order::avet, a, end);
    range.hi_included = end_included;
    const datom_visitor each = [&](const datom_ref& d) { return visit(d.to_datom()); };
    in_order(r, index_order::avet, false, each, [&](const datom_visitor& found) {
        scan_values(r, a, range, false, found);
    });
}

}  // namespace tributary::datom
