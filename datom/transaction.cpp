#include "tributary/datom/transaction.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/stems.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <tuple>

namespace tributary::datom {

namespace {

constexpr std::size_t form_text_max = 200;

bool is_system(entity_id e) { return e >= system_partition && e < tx_partition; }

/// To tell the values of one attribute from those of another.
bytes number_bytes(const attribute& a) {
    bytes out;
    put_be32(out, a.number());
    return out;
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

std::string shown(const bytes& raw) { return edn::print(view_of_raw(raw).to_value()); }

}  // namespace

transaction::transaction(staged& base, std::int64_t now_ms)
    : base_(base),
      attributes_(base.attributes()),
      base_attributes_(base.attributes()),
      now_ms_(now_ms),
      t_(base.state().basis_t + 1),
      tx_(entity_of_t(t_)) {
    next_.next_user = base.state().next_user;
    next_.next_system = base.state().next_system;
}

void transaction::refuse(errc code, std::uint32_t form, const std::string& reason) const {
    if (form >= forms_->size()) throw error(code, "transaction: " + reason);
    std::string text = edn::print((*forms_)[form]);
    if (text.size() > form_text_max) {
        text.resize(form_text_max);
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80)
            text.pop_back();
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.pop_back();
        text += "...";
    }
    throw error(code, "transaction form " + std::to_string(form + 1) + ", " + text + ": " + reason);
}

tx_report transaction::run(const value& tx_data) {
    const auto* in_list = tx_data.get_if<list>();
    const auto* forms = in_list ? &in_list->items : tx_data.get_if<vector>();
    if (!forms)
        throw error(errc::bad_input,
                    std::string("a transaction is a vector of forms, found ") +
                        tributary::name_of(tx_data.type()));
    forms_ = forms;
    expand_all(*forms);
    resolve_upserts();
    allocate();
    const std::int64_t instant_ms = settle_instant();
    std::vector<effect> all = effects();
    check_unique(all);
    const auto used = attributes_;  // the effects point into it
    if (auto schema_after = changed_schema(all)) attributes_ = std::move(schema_after);
    return apply(std::move(all), instant_ms);
}

// -- Tempids
// ----------------------------------------------------------------------------------------------------------------------------------

transaction::slot transaction::find(slot s) const {
    while (s < 0 && tempids_[-s - 1].same) s = *tempids_[-s - 1].same;
    return s;
}

/// Makes two slots one. False if they were already.
bool transaction::bind(slot s, slot to) {
    s = find(s);
    to = find(to);
    if (s == to) return false;
    if (s >= 0) std::swap(s, to);
    TRIBUTARY_CHECK(s < 0);
    tempid& from = tempids_[-s - 1];
    from.same = to;
    if (to < 0) {
        tempids_[-to - 1].is_entity |= from.is_entity;
        tempids_[-to - 1].is_attribute |= from.is_attribute;
    }
    return true;
}

/// Gives the attributes declared by the claims so far their ids, and makes them known to the forms
/// that follow.
void transaction::declare_attributes() {
    resolve_upserts();
    auto known = std::make_shared<schema>(*attributes_);
    std::vector<entity_id> declared;
    for (const claim& c : claims_) {
        const slot s = find(c.e);
        if (s >= 0 || !tempids_[-s - 1].is_attribute) continue;
        if (next_.next_system - system_partition > 0xffff'ffff)
            refuse(errc::limit, c.form, "there are too many attributes");
        tempids_[-s - 1].same = next_.next_system++;
        declared.push_back(next_.next_system - 1);
    }
    std::unordered_map<entity_id, std::vector<std::pair<entity_id, value_view>>> facts;
    for (const claim& c : claims_) {
        const slot e = find(c.e);
        if (!c.added || std::find(declared.begin(), declared.end(), e) == declared.end()) continue;
        value_view v;
        v.type = value_type::ref;
        if (c.target)
            v.integer = find(*c.target);
        else
            v = view_of_raw(c.raw);
        facts[e].emplace_back(c.a->id, v);
    }
    for (const auto& [e, about] : facts)
        if (const auto a = attribute_from(e, about)) known->put(*a);
    attributes_ = std::move(known);
}

/// Tempids that claim an identity somebody has are that entity; those that claim the same new
/// identity are one.
void transaction::resolve_upserts() {
    std::unordered_map<bytes, slot> new_identities;
    for (bool changed = true; changed;) {
        changed = false;
        new_identities.clear();
        for (claim& c : claims_) {
            if (!c.added || c.a->unique != uniqueness::identity || find(c.e) >= 0) continue;
            bytes identity = number_bytes(*c.a);
            if (c.target) {
                const slot target = find(*c.target);
                if (target >= 0) c.holder = base_.holder(*c.a, raw_ref(target));
                identity += std::to_string(target);
            } else {
                if (!c.holder) c.holder = base_.holder(*c.a, c.raw);
                identity += c.raw;
            }
            if (c.holder && *c.holder) {
                changed |= bind(c.e, **c.holder);
            } else if (const auto [it, is_new] =
                           new_identities.try_emplace(std::move(identity), c.e);
                       !is_new) {
                changed |= bind(c.e, it->second);
            }
        }
        if (has_lookups_) changed |= resolve_lookups();
    }
}

/// Lookup refs that found nothing stored are who claims that identity here.
bool transaction::resolve_lookups() {
    bool changed = false;
    for (std::size_t i = 0; i < tempids_.size(); ++i) {
        const tempid& id = tempids_[i];
        if (!id.lookup || id.same) continue;
        const auto claimed = std::find_if(claims_.begin(), claims_.end(), [&](const claim& c) {
            return c.added && c.a->id == id.lookup->a->id && c.raw == id.lookup->raw;
        });
        if (claimed != claims_.end()) changed |= bind(-static_cast<slot>(i) - 1, claimed->e);
    }
    return changed;
}

void transaction::allocate() {
    for (std::size_t i = 0; i < tempids_.size(); ++i) {
        const slot s = find(-static_cast<slot>(i) - 1);
        if (s >= 0) continue;
        tempid& root = tempids_[-s - 1];
        if (root.lookup)
            refuse(errc::bad_input,
                   root.lookup->form,
                   "nothing is found for the lookup ref " + edn::print(root.name));
        if (!root.is_entity) {
            const auto used = std::find_if(claims_.begin(), claims_.end(), [&](const claim& c) {
                return c.target && find(*c.target) == s;
            });
            if (used == claims_.end()) continue;
            refuse(errc::bad_input,
                   used->form,
                   root.name.is_nil()
                       ? std::string("an empty map says nothing of its entity")
                       : "the tempid " + edn::print(root.name) +
                             " is only used as a value; say something of its entity");
        }
        root.same = next_.next_user++;
    }
    for (claim& c : claims_) {
        c.e = find(c.e);
        if (c.target) c.raw = raw_ref(find(*c.target));
        for (const entity_id id : {c.e, c.target ? find(*c.target) : 0})
            if (id >= next_.next_user && id < user_partition + (entity_id{1} << partition_shift))
                next_.next_user = id + 1;
    }
}

// -- From claims to effects
// -------------------------------------------------------------------------------------------------------------------

/// The transaction's own instant: what the forms say, else now, never before the last one's.
std::int64_t transaction::settle_instant() {
    const entity_id instant = id_of(system_entity::tx_instant);
    const auto& last = base_.state();
    for (const claim& c : claims_) {
        if (c.a->id != instant) continue;
        if (c.e != tx_ || !c.added)
            refuse(errc::bad_input,
                   c.form,
                   ":db/txInstant can only be set for the transaction itself, \"datomic.tx\"");
        const std::int64_t ms = view_of_raw(c.raw).integer;
        if (last.has_instant && ms < last.last_instant_ms)
            refuse(errc::bad_input,
                   c.form,
                   ":db/txInstant is before that of the last transaction, " +
                       edn::print(value(inst{last.last_instant_ms})));
        return ms;
    }
    const std::int64_t ms = last.has_instant ? std::max(now_ms_, last.last_instant_ms) : now_ms_;
    const attribute& a = *attributes_->find(instant);
    add_claim(tx_, a, encode_raw(value(inst{ms}), a.type), std::nullopt, true);
    return ms;
}

std::vector<transaction::effect> transaction::effects() {
    std::vector<claim*> sorted;
    sorted.reserve(claims_.size());
    for (claim& c : claims_) sorted.push_back(&c);
    std::sort(sorted.begin(), sorted.end(), [](const claim* x, const claim* y) {
        return std::tie(x->e, x->a->id, x->raw, x->added, x->form) <
               std::tie(y->e, y->a->id, y->raw, y->added, y->form);
    });
    std::vector<effect> all;
    all.reserve(sorted.size());
    std::vector<claim*> group;
    for (std::size_t i = 0; i < sorted.size();) {
        group.clear();
        for (const claim* first = sorted[i];
             i < sorted.size() && sorted[i]->e == first->e && sorted[i]->a->id == first->a->id;
             ++i) {
            claim* c = sorted[i];
            if (!group.empty() && group.back()->raw == c->raw) {
                if (group.back()->added == c->added) continue;
                refuse(errc::conflict,
                       c->form,
                       name_of(*c->a) + " " + shown(c->raw) + " of entity " + std::to_string(c->e) +
                           " is both added and retracted in one transaction");
            }
            group.push_back(c);
        }
        add_effects(group, all);
    }
    return all;
}

/// What the claims about one (e, a) change.
void transaction::add_effects(std::vector<claim*>& group, std::vector<effect>& out) {
    const claim& any = *group.front();
    const attribute& a = *any.a;
    const bool is_new = any.e == tx_ || base_.is_unused(any.e);
    const auto assert_it = [&](const claim& c) {
        out.push_back({&a, {c.e, a.id, c.raw, t_, false}, true, c.form, c.holder});
    };
    if (a.many) {
        for (const claim* c : group) {
            auto now = is_new ? std::nullopt : base_.fact(c->e, a, c->raw);
            if (c->added && !now) assert_it(*c);
            if (!c->added && now) out.push_back({&a, std::move(*now), false, c->form, {}});
        }
        return;
    }
    const claim* added = nullptr;
    for (const claim* c : group) {
        if (!c->added) continue;
        if (added)
            refuse(errc::conflict,
                   c->form,
                   name_of(a) + " of entity " + std::to_string(c->e) +
                       " has cardinality one, but the transaction gives it two values, " +
                       shown(added->raw) + " and " + shown(c->raw));
        added = c;
    }
    auto now = is_new ? std::nullopt : base_.fact_of(any.e, a);
    if (added && now && now->raw == added->raw) return;
    const bool retracted = now && std::any_of(group.begin(), group.end(), [&](const claim* c) {
                               return c->raw == now->raw;
                           });
    if (now && (added || retracted)) out.push_back({&a, std::move(*now), false, any.form, {}});
    if (added) assert_it(*added);
}

void transaction::check_unique(const std::vector<effect>& all) const {
    std::unordered_map<bytes, entity_id> taken;
    std::unordered_set<bytes> freed;
    for (const effect& f : all)
        if (!f.added && f.a->is_unique()) freed.insert(number_bytes(*f.a) + f.fact.raw);
    for (const effect& f : all) {
        if (!f.added || !f.a->is_unique()) continue;
        bytes claimed = number_bytes(*f.a) + f.fact.raw;
        const auto holder = f.holder ? *f.holder : base_.holder(*f.a, f.fact.raw);
        const bool is_freed = freed.contains(claimed);
        const auto [it, is_first] = taken.try_emplace(std::move(claimed), f.fact.e);
        if (is_first && (!holder || *holder == f.fact.e || is_freed)) continue;
        refuse(errc::conflict,
               f.form,
               name_of(*f.a) + " " + shown(f.fact.raw) + " is unique and belongs to entity " +
                   std::to_string(is_first ? *holder : it->second) + "; entity " +
                   std::to_string(f.fact.e) + " cannot have it too");
    }
}

// -- Schema
// -----------------------------------------------------------------------------------------------------------------------------------

/// The schema after the transaction; null if it stays the same.
std::shared_ptr<const schema> transaction::changed_schema(const std::vector<effect>& all) const {
    std::shared_ptr<schema> after;
    for (std::size_t i = 0; i < all.size();) {
        const entity_id e = all[i].fact.e;
        const std::size_t first = i;
        while (i < all.size() && all[i].fact.e == e) ++i;
        if (!is_system(e)) {
            for (std::size_t k = first; k < i; ++k)
                if (all[k].fact.a == id_of(system_entity::value_type_attribute))
                    refuse(errc::bad_input,
                           all[k].form,
                           "the id of an attribute is given by the database; leave :db/id out or "
                           "make it a tempid");
            continue;
        }
        if (bootstrap_ident(e))
            refuse(
                errc::bad_input, all[first].form, "the entities of the system cannot be changed");
        std::vector<stored_fact> facts = base_.facts_of(e, nullptr);
        for (std::size_t k = first; k < i; ++k) {
            const effect& f = all[k];
            std::erase_if(facts, [&](const stored_fact& old) {
                return old.a == f.fact.a && old.raw == f.fact.raw;
            });
            if (f.added) facts.push_back(f.fact);
        }
        std::vector<std::pair<entity_id, value_view>> views;
        for (const stored_fact& f : facts) views.emplace_back(f.a, view_of_raw(f.raw));
        const auto a = attribute_from(e, views);
        const bool has_cardinality =
            std::any_of(facts.begin(), facts.end(), [](const stored_fact& f) {
                return f.a == id_of(system_entity::cardinality);
            });
        check_attribute(
            base_attributes_->find(e), has_cardinality ? a : std::nullopt, all[first].form);
        if (!after) after = std::make_shared<schema>(*base_attributes_);
        after->put(*a);
    }
    // An ident that somebody else takes no longer names its former attribute.
    for (const effect& f : all) {
        if (!f.added || f.fact.a != id_of(system_entity::ident) || is_system(f.fact.e)) continue;
        if (!after) after = std::make_shared<schema>(*base_attributes_);
        after->forget_ident(view_of_raw(f.fact.raw).text);
    }
    return after;
}

void transaction::check_attribute(const attribute* before,
                                  const std::optional<attribute>& after,
                                  std::uint32_t form) const {
    if (!after)
        refuse(errc::bad_input,
               form,
               "an attribute needs :db/ident, :db/valueType (one of :db.type/long, /string, ...) "
               "and :db/cardinality (:db.cardinality/one or /many)");
    const std::string_view ident = after->ident.text;
    const std::string_view space =
        ident.substr(0, ident.find('/') == ident.npos ? 0 : ident.find('/'));
    if (space == "db" || space.starts_with("db."))
        refuse(errc::bad_input,
               form,
               "the namespace db is the system's; choose another for " + name_of(*after));
    if (after->fulltext && after->type != value_type::string)
        refuse(errc::bad_input, form, ":db/fulltext is for strings");
    if (!after->language.empty() && !after->fulltext)
        refuse(errc::bad_input, form, ":db/fulltextLanguage is for :db/fulltext attributes");
    if (!after->language.empty() && !is_stemming_language(after->language))
        refuse(errc::bad_input,
               form,
               ":db/fulltextLanguage \"" + after->language + "\" is not known; there are " +
                   listed(stemming_languages()));
    if (after->component && !after->is_ref())
        refuse(errc::bad_input, form, ":db/isComponent is for refs");
    if (!before) return;
    if (before->type != after->type || before->fulltext != after->fulltext ||
        before->language != after->language)
        refuse(errc::bad_input,
               form,
               ":db/valueType, :db/fulltext and :db/fulltextLanguage of " + name_of(*after) +
                   " cannot be changed; make a new attribute");
    const bool is_stored_otherwise = before->many != after->many ||
                                     before->unique != after->unique ||
                                     before->indexed != after->indexed;
    if (is_stored_otherwise && base_.has_had_facts(*before))
        refuse(errc::bad_input,
               form,
               ":db/cardinality, :db/unique and :db/index of " + name_of(*after) +
                   " can only be changed before it has facts; make a new attribute");
}

// -- The end
// ----------------------------------------------------------------------------------------------------------------------------------

tx_report transaction::apply(std::vector<effect> all, std::int64_t instant_ms) {
    tx_report report;
    report.t = t_;
    log_entry entry;
    entry.t = t_;
    entry.instant_ms = instant_ms;
    report.tx_data.reserve(all.size());
    entry.datoms.reserve(all.size());
    // Retractions first: a value they free may be taken anew under the same key.
    for (const effect& f : all)
        if (!f.added) base_.remove_fact(*f.a, f.fact, t_);
    for (effect& f : all) {
        if (f.added) base_.add_fact(*f.a, f.fact.e, f.fact.raw, t_);
        report.tx_data.push_back(
            {f.fact.e, f.fact.a, view_of_raw(f.fact.raw).to_value(), tx_, f.added});
        entry.datoms.push_back(
            {f.fact.e, f.fact.a, std::move(f.fact.raw), f.added, f.added ? 0 : f.fact.asserted_t});
    }
    base_.end_transaction(entry, std::move(next_), attributes_);
    for (const tempid& id : tempids_)
        if (!id.name.is_nil() && !id.lookup && id.same)
            report.tempids.emplace(id.name, find(*id.same));
    return report;
}

}  // namespace tributary::datom
