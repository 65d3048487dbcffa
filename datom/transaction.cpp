#include "tributary/datom/transaction.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace tributary::datom {

namespace {

constexpr std::size_t form_text_max = 200;

/// To tell the values of one attribute from those of another.
bytes number_bytes(const attribute& a) {
    bytes out;
    put_be32(out, a.number());
    return out;
}

std::string shown(const bytes& raw) { return edn::print(view_of_raw(raw).to_value()); }

}  // namespace

transaction::transaction(staged& base, std::int64_t now_ms, tx_functions functions, forms_are what)
    : base_(base),
      attributes_(base.attributes()),
      base_attributes_(base.attributes()),
      now_ms_(now_ms),
      t_(base.state().basis_t + 1),
      tx_(entity_of_t(t_)),
      functions_(std::move(functions)),
      what_(what) {
    next_.next_user = base.state().next_user;
    next_.next_system = base.state().next_system;
}

std::string transaction::text_of(std::uint32_t form) const {
    const auto cut = [](std::string text) {
        if (text.size() <= form_text_max) return text;
        text.resize(form_text_max);
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80)
            text.pop_back();
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.pop_back();
        return text + "...";
    };
    const value& shown_form = (*forms_)[form];
    const bool expanded = forms_ == &expanded_;
    const std::uint32_t number = expanded ? origins_[form] : form;
    std::string text = "form " + std::to_string(number + 1) + ", " + cut(edn::print(shown_form));
    if (expanded && !(shown_form == (*written_)[number]))
        text += " made by " + cut(edn::print((*written_)[number]));
    return text;
}

void transaction::refuse(errc code,
                         const char* name,
                         std::uint32_t form,
                         const std::string& reason) const {
    throw error(code, name, refusal(form, reason));
}

std::string transaction::refusal(std::uint32_t form, const std::string& reason) const {
    return "transaction" + (form < forms_->size() ? " " + text_of(form) : "") + ": " + reason;
}

tx_report transaction::run(const value& tx_data) {
    const auto* in_list = tx_data.get_if<list>();
    const auto* forms = in_list ? &in_list->items : tx_data.get_if<vector>();
    if (!forms)
        throw error(errc::bad_input,
                    tx_error::syntax,
                    std::string("a transaction is a vector of forms, found ") +
                        tributary::name_of(tx_data.type()));
    forms_ = forms;
    if (calls_functions(tx_data)) expand_calls(*forms);
    expand_all(*forms_);
    resolve_upserts();
    allocate();
    check_emptied();
    const std::int64_t instant_ms = settle_instant();
    std::vector<effect> all = effects();
    add_composites(all);
    check_unique(all);
    check_values(all);
    check_ensured(all);
    const auto used = attributes_;  // the effects point into it
    if (auto schema_after = changed_schema(all)) attributes_ = std::move(schema_after);
    return apply(std::move(all), instant_ms);
}

// -- Tempids

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
            refuse(errc::limit, tx_error::invalid_schema, c.form, "there are too many attributes");
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
    known->link_composites();
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
            if (!c.added || c.a->unique != uniqueness::identity || c.e >= 0) continue;
            bytes identity = number_bytes(*c.a);
            if (c.target) {
                const slot target = find(*c.target);
                if (target >= 0) c.holder = base_.holder(*c.a, raw_ref(target));
                identity += std::to_string(target);
            } else {
                if (!c.holder) c.holder = base_.holder(*c.a, c.raw);
                identity += c.raw;
            }
            // A lookup ref that says its own value again is not who has it.
            const auto& own = tempids_[-c.e - 1].lookup;
            if (find(c.e) >= 0 || (own && own->a->id == c.a->id && own->raw == c.raw)) continue;
            if (c.holder && *c.holder) {
                changed |= bind(c.e, **c.holder);
            } else if (const auto [it, is_new] =
                           new_identities.try_emplace(std::move(identity), c.e);
                       !is_new) {
                changed |= bind(c.e, it->second);
            }
        }
        if (attributes_->has_identity_composites()) changed |= bind_by_parts();
        if (has_lookups_) changed |= resolve_lookups();
    }
    check_upserts();
}

/// A tempid is one entity, whichever of its identities was looked up first.
void transaction::check_upserts() const {
    for (const claim& c : claims_) {
        if (c.e >= 0 || !c.added || !c.holder || !*c.holder || find(c.e) == **c.holder) continue;
        const value& name = tempids_[-c.e - 1].name;
        refuse(errc::conflict,
               tx_error::conflicting_upsert,
               c.form,
               (name.is_nil() ? std::string("the map") : "the tempid " + edn::print(name)) +
                   " is entity " + std::to_string(find(c.e)) + " by what else is said of it, but " +
                   name_of(*c.a) + " " + shown(c.target ? raw_ref(find(*c.target)) : c.raw) +
                   " is entity " + std::to_string(**c.holder));
    }
}

/// Lookup refs that found nothing stored are who claims that identity here under another name.
bool transaction::resolve_lookups() {
    bool changed = false;
    for (std::size_t i = 0; i < tempids_.size(); ++i) {
        auto& wanted = tempids_[i].lookup;
        if (!wanted || wanted->is_found) continue;
        const auto claimed = std::find_if(claims_.begin(), claims_.end(), [&](const claim& c) {
            return c.added && c.a->id == wanted->a->id && c.raw == wanted->raw &&
                   (c.e >= 0 || !tempids_[-c.e - 1].lookup);
        });
        if (claimed == claims_.end()) continue;
        wanted->is_found = true;
        const slot by_others = find(-static_cast<slot>(i) - 1), by_ref = find(claimed->e);
        if (by_others >= 0 && by_ref >= 0 && by_others != by_ref)
            refuse(errc::conflict,
                   tx_error::conflicting_upsert,
                   wanted->form,
                   "the lookup ref " + edn::print(tempids_[i].name) + " is entity " +
                       std::to_string(by_ref) + ", but entity " + std::to_string(by_others) +
                       " by what is said of it");
        changed |= bind(by_others, by_ref);
    }
    return changed;
}

void transaction::allocate() {
    // Ids that forms choose are given to nobody else.
    for (const claim& c : claims_)
        for (const entity_id id : {find(c.e), c.target ? find(*c.target) : 0})
            if (id >= next_.next_user && id < user_ids_end) next_.next_user = id + 1;
    for (const tempid& id : tempids_)
        if (id.lookup && !id.lookup->is_found)
            refuse(errc::bad_input,
                   tx_error::not_an_entity,
                   id.lookup->form,
                   "nothing is found for the lookup ref " + edn::print(id.name));
    for (std::size_t i = 0; i < tempids_.size(); ++i) {
        const slot s = find(-static_cast<slot>(i) - 1);
        if (s >= 0) continue;
        tempid& root = tempids_[-s - 1];
        if (!root.is_entity) {
            const auto used = std::find_if(claims_.begin(), claims_.end(), [&](const claim& c) {
                return c.target && find(*c.target) == s;
            });
            if (used == claims_.end()) continue;
            refuse(errc::bad_input,
                   tx_error::tempid_not_an_entity,
                   used->form,
                   root.name.is_nil()
                       ? std::string("an empty map says nothing of its entity")
                       : "the tempid " + edn::print(root.name) +
                             " is only used as a value; say something of its entity");
        }
        if (next_.next_user >= user_ids_end)
            refuse(errc::limit,
                   tx_error::not_an_entity,
                   static_cast<std::uint32_t>(forms_->size()),
                   "there is no id left for new entities: a transaction chose one at the end of "
                   "their partition");
        root.same = next_.next_user++;
    }
    for (claim& c : claims_) {
        if (c.a->is_composite()) c.was_tempid = c.e < 0;
        c.e = find(c.e);
        if (c.target) c.raw = raw_ref(find(*c.target));
    }
}

// -- From claims to effects

/// The transaction's own instant: what the forms say, else now, never before the last one's.
std::int64_t transaction::settle_instant() {
    const entity_id instant = id_of(system_entity::tx_instant);
    const auto& last = base_.state();
    std::optional<std::int64_t> given;
    for (const claim& c : claims_) {
        if (c.a->id != instant) continue;
        if (c.e != tx_ || !c.added)
            refuse(errc::bad_input,
                   tx_error::tx_instant,
                   c.form,
                   ":db/txInstant can only be set for the transaction itself, \"datomic.tx\"");
        const std::int64_t ms = view_of_raw(c.raw).integer;
        if (last.has_instant && ms < last.last_instant_ms)
            refuse(errc::bad_input,
                   tx_error::tx_instant,
                   c.form,
                   ":db/txInstant is before that of the last transaction, " +
                       edn::print(value(inst{last.last_instant_ms})));
        if (ms > now_ms_)
            refuse(errc::bad_input,
                   tx_error::tx_instant,
                   c.form,
                   ":db/txInstant is in the future; now is " + edn::print(value(inst{now_ms_})));
        given = ms;
    }
    if (given) return *given;
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
                       tx_error::datoms_conflict,
                       c->form,
                       name_of(*c->a) + " " + shown(c->raw) + " of entity " + std::to_string(c->e) +
                           " is both added and retracted in one transaction");
            }
            group.push_back(c);
        }
        // What holds of composites follows from their parts.
        if (!group.front()->a->is_composite()) add_effects(group, all);
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
                   tx_error::datoms_conflict,
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

void transaction::check_emptied() const {
    for (const emptied& gone : emptied_)
        for (const claim& c : claims_)
            if (c.added && c.e == gone.e && c.a->id == gone.a->id)
                refuse(errc::conflict,
                       tx_error::datoms_conflict,
                       c.form,
                       "the transaction adds " + name_of(*c.a) + " of entity " +
                           std::to_string(c.e) + ", of which it retracts the attribute");
}

/// Whether it is a list about an entity that was there: not about whoever has what it says.
bool transaction::names_entity(std::uint32_t form) const {
    const auto* items = (*forms_)[form].get_if<vector>();
    if (!items || items->size() < 2) return false;
    const auto* id = (*items)[1].get_if<std::int64_t>();
    return id ? *id >= 0 : (*items)[1].get_if<std::string>() == nullptr;
}

void transaction::check_unique(const std::vector<effect>& all) const {
    // Who names its entity by the value would be two entities at once.
    const auto conflict_name = [&](const effect& f) {
        const bool is_upsert = f.a->unique == uniqueness::identity &&
                               std::any_of(claims_.begin(), claims_.end(), [&](const claim& c) {
                                   return c.added && c.e == f.fact.e && c.a->id == f.a->id &&
                                          c.raw == f.fact.raw && c.form < forms_->size() &&
                                          !names_entity(c.form);
                               });
        return is_upsert ? tx_error::conflicting_upsert : tx_error::unique_conflict;
    };
    // Of several conflicts (enough of them), the one whose name comes first.
    std::optional<error> found;
    int conflicts = 0;
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
        if (++conflicts > 100) break;
        const char* name = conflict_name(f);
        if (!found || std::string_view(name) < found->name())
            found =
                error(errc::conflict,
                      name,
                      refusal(f.form,
                              name_of(*f.a) + " " + shown(f.fact.raw) +
                                  " is unique and belongs to entity " +
                                  std::to_string(is_first ? *holder : it->second) + "; entity " +
                                  std::to_string(f.fact.e) + " cannot have it too"));
    }
    if (found) throw *found;
}

// -- The end

tx_report transaction::apply(std::vector<effect> all, std::int64_t instant_ms) {
    tx_report report;
    report.t = t_;
    log_entry entry;
    entry.t = t_;
    entry.instant_ms = instant_ms;
    report.tx_data.reserve(all.size());
    entry.datoms.reserve(all.size());
    for (const attribute_change& c : changes_) base_.alter(c);
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
    for (const std::string& name : tx_names_) report.tempids.emplace(name, tx_);
    return report;
}

}  // namespace tributary::datom
