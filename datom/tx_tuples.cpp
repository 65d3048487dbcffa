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

/// New entities that claim all parts of an identity that somebody has, or that another new entity
/// claims, are that entity.
bool transaction::bind_by_parts() {
    // What a part is; of a ref to a new entity, which.
    struct part {
        bytes raw;
        slot target = 0;
    };
    std::map<slot, std::map<entity_id, part>> open;
    for (const claim& c : claims_) {
        const slot e = find(c.e);
        if (!c.added || e >= 0 || c.a->composites.empty()) continue;
        const slot target = c.target ? find(*c.target) : 0;
        open[e][c.a->id] = {c.target ? raw_ref(target) : c.raw, std::min<slot>(target, 0)};
    }
    bool changed = false;
    std::unordered_map<bytes, slot> new_identities;
    for (const auto& [e, parts] : open) {
        for (const attribute* a : attributes_->all()) {
            if (find(e) >= 0) break;
            if (!a->is_composite() || a->unique != uniqueness::identity) continue;
            std::vector<bytes> elements;
            std::string targets;
            bool all_stored = true;
            for (const entity_id id : a->parts) {
                const auto it = parts.find(id);
                if (it == parts.end()) break;
                elements.push_back(it->second.raw);
                targets += std::to_string(it->second.target) + ' ';
                all_stored = all_stored && it->second.target == 0;
            }
            if (elements.size() != a->parts.size()) continue;
            const bytes raw = raw_tuple(elements);
            bytes identity;
            put_be32(identity, a->number());
            const auto holder = all_stored ? base_.holder(*a, raw) : std::nullopt;
            if (holder) {
                changed |= bind(e, *holder);
            } else if (const auto [it, is_new] =
                           new_identities.try_emplace(identity + targets + raw, e);
                       !is_new) {
                changed |= bind(e, it->second);
            }
        }
    }
    return changed;
}

/// Of what the transaction changes or says: the composite tuples that are made anew. One that is
/// not there yet, because it was declared after its parts, is made when they are said again.
transaction::touched_tuples transaction::find_touched(const std::vector<effect>& all) const {
    touched_tuples touched;
    for (const effect& f : all)
        for (const entity_id composite : f.a->composites)
            touched[{f.fact.e, composite}].parts.insert(f.a->id);
    for (const claim& c : claims_)
        for (const entity_id composite : c.a->composites)
            if (const auto key = std::pair(c.e, composite);
                c.added && !touched.contains(key) &&
                !base_.fact_of(c.e, *attributes_->find(composite)))
                touched[key].parts.insert(c.a->id);
    if (touched.empty()) return touched;
    for (const claim& c : claims_)
        for (const entity_id composite : c.a->composites)
            if (const auto it = touched.find({c.e, composite});
                it != touched.end() && it->second.parts.contains(c.a->id))
                it->second.forms[c.form].insert(c.a->id);
    return touched;
}

/// The tuple's elements after the transaction, of which `changed` has the parts that change; empty
/// if it has none.
bytes transaction::tuple_after(entity_id e,
                               const attribute& tuple,
                               const std::map<std::pair<entity_id, entity_id>, bytes>& changed) {
    std::vector<bytes> elements;
    bool empty = true;
    for (const entity_id part : tuple.parts) {
        bytes raw;
        if (const auto it = changed.find({e, part}); it != changed.end())
            raw = it->second;
        else if (const attribute* p = part ? attributes_->find(part) : nullptr)
            if (const auto now = base_.fact_of(e, *p)) raw = now->raw;
        empty = empty && raw.empty();
        elements.push_back(std::move(raw));
    }
    return empty ? bytes() : raw_tuple(elements);
}

/// Whether the form, as it was written, is a :db/add.
bool transaction::is_addition(std::uint32_t form) const {
    const value& written = forms_ == &expanded_ ? (*written_)[origins_[form]] : (*forms_)[form];
    const auto* items = written.get_if<vector>();
    return items && !items->empty() && items->front() == value(keyword{"db/add"});
}

/// The form that changes the tuple: the first one that says all its parts that change, if any does.
std::uint32_t transaction::form_of(const touched_tuple& t) const {
    for (const auto& [form, said] : t.forms)
        if (said.size() == t.parts.size()) return form;
    return t.forms.rbegin()->first;
}

/// Every :db/add says another value of the tuple by itself.
void transaction::check_one_value(entity_id e,
                                  const attribute& tuple,
                                  const touched_tuple& t) const {
    if (what_ != forms_are::asked) return;
    for (const auto& [form, said] : t.forms)
        if (said.size() == t.parts.size() || !is_addition(form)) return;
    refuse(errc::conflict,
           tx_error::datoms_conflict,
           form_of(t),
           "several :db/add change parts of the tuple " + name_of(tuple) + " of entity " +
               std::to_string(e) + "; change them in one map");
}

void transaction::add_composites(std::vector<effect>& all) {
    touched_tuples touched = find_touched(all);
    std::map<std::pair<entity_id, entity_id>, bytes> changed;
    for (const effect& f : all) {
        if (f.a->composites.empty()) continue;
        bytes& raw = changed[{f.fact.e, f.a->id}];
        if (f.added) raw = f.fact.raw;
    }
    for (auto& [key, t] : touched) {
        const auto& [e, id] = key;
        const attribute& a = *attributes_->find(id);
        t.raw = tuple_after(e, a, changed);
        auto now = base_.fact_of(e, a);
        if (now && now->raw == t.raw) continue;
        if (now) check_one_value(e, a, t);
        const std::uint32_t form = form_of(t);
        if (now) all.push_back({&a, std::move(*now), false, form, {}});
        if (!t.raw.empty()) all.push_back({&a, {e, id, t.raw, t_, false}, true, form, {}});
    }
    check_said_composites(touched);
}

/// A form may say a composite tuple if that is what it makes of it.
void transaction::check_said_composites(const touched_tuples& touched) const {
    for (const claim& c : claims_) {
        if (!c.added || !c.a->is_composite()) continue;
        const auto it = touched.find({c.e, c.a->id});
        const auto now = base_.fact_of(c.e, *c.a);
        const bool is_now = now && now->raw == c.raw;
        // The parts are in its own form. As an identity it may have named the entity by what it
        // was.
        const auto makes_it = [&](const touched_tuple& t) {
            const auto said = t.forms.find(c.form);
            return t.raw == c.raw && said != t.forms.end() && said->second.size() == t.parts.size();
        };
        const bool comes_out = it == touched.end() ? is_now : makes_it(it->second);
        if ((comes_out && is_whole(c.raw)) || (is_now && c.was_tempid)) continue;
        refuse(errc::bad_input,
               tx_error::syntax,
               c.form,
               name_of(*c.a) + " is made of its parts and cannot be set; leave it out");
    }
}

}  // namespace tributary::datom
