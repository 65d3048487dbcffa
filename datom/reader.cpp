#include "tributary/datom/reader.hpp"

#include "tributary/datom/bootstrap.hpp"

namespace tributary::datom {

const attribute* reader::find_attribute(const value& ident_or_id) const {
    if (const auto* id = ident_or_id.get_if<std::int64_t>()) return find_attribute(*id);
    if (const auto* name = ident_or_id.get_if<keyword>())
        return find_attribute(std::string_view(name->text));
    return nullptr;
}

std::optional<entity_id> reader::entid(const value& ident) const {
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

std::optional<keyword> reader::ident(entity_id e) const {
    if (const attribute* a = find_attribute(e)) return a->ident;
    auto found = lookup(e, *find_attribute(id_of(system_entity::ident)));
    if (!found) return std::nullopt;
    return found->as<keyword>();
}

}  // namespace tributary::datom
