// What a transaction makes of the schema.

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/stems.hpp"
#include "tributary/datom/transaction.hpp"

#include <algorithm>

namespace tributary::datom {

namespace {

bool is_system(entity_id e) { return e >= system_partition && e < tx_partition; }

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

bool is_stored_otherwise(const attribute& x, const attribute& y) {
    return x.many != y.many || x.unique != y.unique || x.indexed != y.indexed;
}

}  // namespace

/// The schema after the transaction; null if it stays the same.
std::shared_ptr<const schema> transaction::changed_schema(const std::vector<effect>& all) {
    std::shared_ptr<schema> after;
    std::uint32_t form = 0;
    const auto change = [&](std::uint32_t by) -> schema& {
        if (!after) after = std::make_shared<schema>(*base_attributes_);
        form = by;
        return *after;
    };
    for (std::size_t i = 0; i < all.size();) {
        const entity_id e = all[i].fact.e;
        const std::size_t first = i;
        while (i < all.size() && all[i].fact.e == e) ++i;
        if (!is_system(e)) {
            for (std::size_t k = first; k < i; ++k)
                if (all[k].fact.a == id_of(system_entity::value_type_attribute))
                    refuse(errc::bad_input,
                           tx_error::invalid_schema,
                           all[k].form,
                           "the id of an attribute is given by the database; leave :db/id out or "
                           "make it a tempid");
            continue;
        }
        if (bootstrap_ident(e))
            refuse(errc::bad_input,
                   tx_error::invalid_alter,
                   all[first].form,
                   "the entities of the system cannot be changed");
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
        const attribute* before = base_attributes_->find(e);
        check_attribute(before, has_cardinality ? a : std::nullopt, all[first].form);
        if (before && is_stored_otherwise(*before, *a)) alter(*before, *a, all, all[first].form);
        change(all[first].form).put(*a);
    }
    // An ident that somebody else takes no longer names its former attribute.
    for (const effect& f : all) {
        if (!f.added || f.fact.a != id_of(system_entity::ident) || is_system(f.fact.e)) continue;
        const std::string_view ident = view_of_raw(f.fact.raw).text;
        if (base_attributes_->find(ident)) change(f.form).forget_ident(ident);
    }
    if (!after) return nullptr;
    after->link_composites();
    check_composites(*after, form);
    return after;
}

void transaction::check_attribute(const attribute* before,
                                  const std::optional<attribute>& after,
                                  std::uint32_t form) const {
    const auto refuse_new = [&](const std::string& reason) {
        refuse(errc::bad_input, tx_error::invalid_schema, form, reason);
    };
    if (!after)
        refuse_new(
            "an attribute needs :db/ident, :db/valueType (one of " + type_names_listed() +
            ") and :db/cardinality (:db.cardinality/one or /many); one of :db.type/tuple needs one "
            "of :db/tupleAttrs, :db/tupleTypes, :db/tupleType too, and no other does");
    const std::string_view ident = after->ident.text;
    const std::string_view space =
        ident.substr(0, ident.find('/') == ident.npos ? 0 : ident.find('/'));
    if (space == "db" || space.starts_with("db."))
        refuse_new("the namespace db is the system's; choose another for " + name_of(*after));
    if (after->fulltext && after->type != value_type::string)
        refuse_new(":db/fulltext is for strings");
    if (!after->language.empty() && !after->fulltext)
        refuse_new(":db/fulltextLanguage is for :db/fulltext attributes");
    if (!after->language.empty() && !is_stemming_language(after->language))
        refuse_new(":db/fulltextLanguage \"" + after->language + "\" is not known; there are " +
                   listed(stemming_languages()));
    if (after->component && !after->is_ref()) refuse_new(":db/isComponent is for refs");
    const std::size_t elements =
        after->is_composite() ? after->part_names.size() : after->tuple_types.size();
    if (after->is_tuple() && !after->uniform &&
        (elements < tuple_size_min || elements > tuple_size_max))
        refuse_new("a tuple has 2 to 8 elements");
    if (after->is_composite() && after->many) refuse_new("a composite tuple has cardinality one");
    if (!before) return;
    const bool same_tuple = before->part_names == after->part_names &&
                            before->uniform == after->uniform &&
                            (after->is_composite() || before->tuple_types == after->tuple_types);
    if (before->type != after->type || before->fulltext != after->fulltext ||
        before->language != after->language || !same_tuple)
        refuse(errc::bad_input,
               tx_error::invalid_alter,
               form,
               ":db/valueType, :db/fulltext, :db/fulltextLanguage and what tuples are made of "
               "cannot be changed; make a new attribute instead of " +
                   name_of(*after));
}

/// Parts are attributes of cardinality one, and stay those they were.
void transaction::check_composites(const schema& after, std::uint32_t form) const {
    for (const attribute* a : after.all()) {
        if (!a->is_composite()) continue;
        const attribute* before = base_attributes_->find(a->id);
        for (std::size_t i = 0; i < a->parts.size(); ++i) {
            if (before && before->parts[i] != 0 && before->parts[i] != a->parts[i])
                refuse(errc::bad_input,
                       tx_error::invalid_alter,
                       form,
                       "the ident :" + a->part_names[i] + " names a part of the tuple " +
                           name_of(*a) + " and cannot be given away");
            if (a->parts[i] == 0) continue;
            const attribute& part = *after.find(a->parts[i]);
            if (part.many || part.is_tuple() || bootstrap_ident(part.id))
                refuse(errc::bad_input,
                       tx_error::invalid_schema,
                       form,
                       name_of(part) + " cannot be a part of the tuple " + name_of(*a) +
                           ": parts have cardinality one and are no tuples");
        }
    }
}

/// Cardinality, uniqueness or index of an attribute change: its facts must fit, and are keyed anew.
void transaction::alter(const attribute& before,
                        const attribute& after,
                        const std::vector<effect>& all,
                        std::uint32_t form) {
    for (const effect& f : all)
        if (f.fact.a == before.id)
            refuse(errc::bad_input,
                   tx_error::invalid_alter,
                   f.form,
                   "this transaction alters " + name_of(before) +
                       "; put facts of it into another one");
    attribute_change change{before, after};
    if (const std::string why = base_.misfit(change); !why.empty())
        refuse(errc::conflict,
               tx_error::invalid_alter,
               form,
               name_of(after) + " cannot be altered: " + why);
    changes_.push_back(std::move(change));
}

}  // namespace tributary::datom
