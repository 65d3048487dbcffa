// Tuples: values as forms give them, and composites, which the database keeps.

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/transaction.hpp"
#include "tributary/value/edn.hpp"

namespace tributary::datom {

namespace {

/// No element of the tuple is nil.
bool is_whole(bytes_view raw) {
    bool whole = true;
    for_each_element(raw.substr(1), [&](bytes_view element) { whole = whole && !element.empty(); });
    return whole;
}

}  // namespace

/// The raw bytes of a value that is not a ref; elements of a tuple that are refs may be named as
/// entities are.
bytes transaction::raw_value(const attribute& a, const value& v) const {
    // A predicate may be named as functions are elsewhere.
    const bool names_predicate =
        a.id == id_of(system_entity::entity_preds) || a.id == id_of(system_entity::attribute_preds);
    if (const auto* k = names_predicate ? v.get_if<keyword>() : nullptr)
        return encode_raw(value(symbol{k->text}), a.type);
    if (!a.is_tuple()) return encode_raw(v, a.type);
    const auto* in_list = v.get_if<list>();
    const auto* items = in_list ? &in_list->items : v.get_if<vector>();
    if (!items) return encode_raw(v, a);
    vector resolved;
    for (std::size_t i = 0; i < items->size(); ++i) {
        const value& item = (*items)[i];
        const bool is_ref =
            i < tuple_size_max &&
            a.tuple_types[a.uniform ? 0 : std::min(i, a.tuple_types.size() - 1)] == value_type::ref;
        if (!is_ref || item.is_nil()) {
            resolved.push_back(item);
            continue;
        }
        const auto e = existing_entity(item);
        if (!e)
            throw error(errc::bad_input,
                        tx_error::not_an_entity,
                        "nothing is found for " + edn::print(item) + " in the tuple");
        resolved.emplace_back(*e);
    }
    return encode_raw(value(std::move(resolved)), a);
}

/// New entities that claim all parts of an identity that somebody has are that entity.
bool transaction::bind_by_parts() {
    std::map<slot, std::map<entity_id, bytes>> open;
    for (const claim& c : claims_) {
        const slot e = find(c.e);
        if (!c.added || e >= 0 || c.a->composites.empty()) continue;
        if (!c.target)
            open[e][c.a->id] = c.raw;
        else if (const slot target = find(*c.target); target >= 0)
            open[e][c.a->id] = raw_ref(target);
    }
    bool changed = false;
    std::unordered_map<bytes, slot> new_identities;
    for (const auto& [e, parts] : open) {
        for (const attribute* a : attributes_->all()) {
            if (find(e) >= 0) break;
            if (!a->is_composite() || a->unique != uniqueness::identity) continue;
            std::vector<bytes> elements;
            for (const entity_id part : a->parts)
                if (const auto it = parts.find(part); it != parts.end())
                    elements.push_back(it->second);
            if (elements.size() != a->parts.size()) continue;
            const bytes raw = raw_tuple(elements);
            bytes identity;
            put_be32(identity, a->number());
            if (const auto holder = base_.holder(*a, raw)) {
                changed |= bind(e, *holder);
            } else if (const auto [it, is_new] = new_identities.try_emplace(identity + raw, e);
                       !is_new) {
                changed |= bind(e, it->second);
            }
        }
    }
    return changed;
}

/// The composite tuples of the entities whose parts change, and whether those that forms claim are
/// what comes out.
void transaction::add_composites(std::vector<effect>& all) {
    // Of each tuple, the parts that change and what they are after this transaction.
    std::map<std::pair<entity_id, entity_id>, std::set<entity_id>> touched;
    std::map<std::pair<entity_id, entity_id>, bytes> after;
    for (const effect& f : all) {
        for (const entity_id composite : f.a->composites)
            touched[{f.fact.e, composite}].insert(f.a->id);
        if (f.a->composites.empty()) continue;
        bytes& raw = after[{f.fact.e, f.a->id}];
        if (f.added) raw = f.fact.raw;
    }
    // By form, those of the changing parts that it says something of.
    std::map<std::pair<entity_id, entity_id>, std::map<std::uint32_t, std::set<entity_id>>> saying;
    if (!touched.empty())
        for (const claim& c : claims_)
            for (const entity_id composite : c.a->composites)
                if (const auto it = touched.find({c.e, composite});
                    it != touched.end() && it->second.contains(c.a->id))
                    saying[it->first][c.form].insert(c.a->id);
    std::map<std::pair<entity_id, entity_id>, bytes> computed;
    for (const auto& [key, parts] : touched) {
        const auto& [e, id] = key;
        const attribute& a = *attributes_->find(id);
        std::vector<bytes> elements;
        bool empty = true;
        for (const entity_id part : a.parts) {
            bytes raw;
            if (const auto it = after.find({e, part}); it != after.end())
                raw = it->second;
            else if (const attribute* p = part ? attributes_->find(part) : nullptr)
                if (const auto now = base_.fact_of(e, *p)) raw = now->raw;
            empty = empty && raw.empty();
            elements.push_back(std::move(raw));
        }
        const bytes raw = empty ? bytes() : raw_tuple(elements);
        computed[key] = raw;
        auto now = base_.fact_of(e, a);
        auto& forms = saying[key];
        const std::uint32_t last = forms.rbegin()->first;
        std::erase_if(forms, [&](const auto& said) { return said.second.size() < parts.size(); });
        if (now && now->raw == raw) continue;
        // Every form asked for says another value of the tuple by itself.
        if (now && forms.empty() && what_ == forms_are::asked)
            refuse(errc::conflict,
                   tx_error::datoms_conflict,
                   last,
                   "several forms change parts of the tuple " + name_of(a) + " of entity " +
                       std::to_string(e) + "; change them in one map");
        const std::uint32_t form = forms.empty() ? last : forms.begin()->first;
        if (now) all.push_back({&a, std::move(*now), false, form, {}});
        if (!empty) all.push_back({&a, {e, id, raw, t_, false}, true, form, {}});
    }
    for (const claim& c : claims_) {
        if (!c.added || !c.a->is_composite()) continue;
        const auto it = computed.find({c.e, c.a->id});
        const auto now = base_.fact_of(c.e, *c.a);
        const bool is_now = now && now->raw == c.raw;
        // The parts are in its own form. As an identity it may have named the entity by what it
        // was.
        const bool is_made =
            it != computed.end() && it->second == c.raw && saying[it->first].contains(c.form);
        const bool comes_out = it == computed.end() ? is_now : is_made;
        if ((comes_out && is_whole(c.raw)) || (is_now && c.was_tempid)) continue;
        refuse(errc::bad_input,
               tx_error::syntax,
               c.form,
               name_of(*c.a) + " is made of its parts and cannot be set; leave it out");
    }
}

}  // namespace tributary::datom
