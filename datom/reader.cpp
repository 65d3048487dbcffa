#include "tributary/datom/reader.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/fault.hpp"
#include "tributary/value/edn.hpp"

namespace tributary::datom {

const attribute* reader::find_attribute(const value& ident_or_id) const {
    if (const auto* id = ident_or_id.get_if<std::int64_t>()) return find_attribute(*id);
    if (const auto* name = ident_or_id.get_if<keyword>())
        return find_attribute(std::string_view(name->text));
    return nullptr;
}

/// A tuple with the ids of the entities it names by idents and lookup refs; nil if one is unknown.
value reader::named_parts(const attribute& a, const value& tuple) const {
    const auto* items = tuple.get_if<vector>();
    if (!items) return tuple;
    vector parts = *items;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::size_t at = a.uniform ? 0 : i;
        if (at >= a.tuple_types.size() || a.tuple_types[at] != value_type::ref) continue;
        if (parts[i].is_nil() || parts[i].get_if<std::int64_t>()) continue;
        const auto e = entid(parts[i]);
        if (!e) return {};
        parts[i] = *e;
    }
    return value(std::move(parts));
}

std::optional<entity_id> reader::entid(const value& ident) const {
    if (const auto* id = ident.get_if<std::int64_t>()) return *id;
    if (const auto* name = ident.get_if<keyword>()) {
        if (const attribute* a = find_attribute(std::string_view(name->text))) return a->id;
        const auto found = lookup_unique(*find_attribute(id_of(system_entity::ident)), ident);
        if (found) return found;
        const entity_id ours = bootstrap_id(name->text);
        return ours ? std::optional(ours) : std::nullopt;
    }
    if (const auto* pair = ident.get_if<vector>(); pair && pair->size() == 2) {
        const attribute* a = find_attribute((*pair)[0]);
        const auto* name = (*pair)[0].get_if<keyword>();
        if (!a && name)
            throw error(errc::bad_input,
                        "db.error/unknown-attribute",
                        "in the lookup ref " + edn::print(ident) + ": no attribute is named :" +
                            name->text + nearest_name(attributes(), name->text));
        if (!a || !a->is_unique())
            throw error(errc::bad_input,
                        "db.error/not-an-entity",
                        "the lookup ref " + edn::print(ident) +
                            " needs a :db/unique attribute first, [attribute value]" +
                            missing_colon((*pair)[0]));
        if (a->is_tuple()) return lookup_unique(*a, named_parts(*a, (*pair)[1]));
        if (!a->is_ref() || (*pair)[1].get_if<std::int64_t>()) return lookup_unique(*a, (*pair)[1]);
        const auto target = entid((*pair)[1]);
        return target ? lookup_unique(*a, value(*target)) : std::nullopt;
    }
    throw error(errc::bad_input,
                "db.error/not-an-entity",
                "an entity is named by an integer, an ident keyword or a lookup ref [attribute "
                "value], found the " +
                    (tributary::name_of(ident.type()) + (" " + datalog::shown(ident))) +
                    missing_colon(ident));
}

std::optional<keyword> reader::ident(entity_id e) const {
    if (const attribute* a = find_attribute(e)) return a->ident;
    auto found = lookup(e, *find_attribute(id_of(system_entity::ident)));
    if (found) return found->as<keyword>();
    if (const auto ours = bootstrap_ident(e)) return keyword{std::string(*ours)};
    return std::nullopt;
}

}  // namespace tributary::datom
