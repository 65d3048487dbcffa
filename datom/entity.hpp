/// An entity as a lazy map: attributes are read when asked for. After Datomic.
#pragma once

#include "tributary/datom/database.hpp"

namespace tributary::datom {

/// Cheap to copy; the same entity of equal database values is equal. Thread rule: as db.
class entity {
public:
    /// By id, ident or lookup ref. Errors: misuse on a history value.
    static std::optional<entity> of(const db& d, const value& id);

    entity_id id() const { return id_; }
    const db& database() const { return db_; }

    /// The value of an attribute (`ns/name` keyword; `:db/id` too): nil if there is none, a set for
    /// cardinality many; refs as entity ids, or as the target's ident where it has one.
    /// `:ns/_name` gives the set of ids of those that refer to it (one id if it is a component).
    value get(const keyword& attribute) const;
    /// Where a ref attribute (or `:ns/_name`) leads.
    std::vector<entity> follow(const keyword& attribute) const;
    /// The attributes it has.
    std::vector<keyword> keys() const;
    /// All attributes as a map without :db/id, components as maps with it, recursively.
    value touch() const;

    bool operator==(const entity& other) const;

private:
    entity(db d, entity_id id) : db_(std::move(d)), id_(id) {}
    db db_;
    entity_id id_;
};

}  // namespace tributary::datom
