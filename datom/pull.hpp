/// Pull: a tree of what is known about an entity, by a pattern that says which attributes.
///
///     pull(conn->current(), edn::read("[:person/name {:person/friend [*]}]"), id);
///
/// docs/datom.md has the pattern's grammar. After Datomic.
#pragma once

#include "tributary/datom/database.hpp"

namespace tributary::datom {

/// The entity (id, ident or lookup ref) as a map; nil if nothing matches. `options` gives :xform
/// functions, timeout, cancel and memory. Errors: bad_input for a bad pattern, misuse on a history
/// value, canceled, limit (also for a result deeper than 2000 entities).
value pull(const db& d, const value& pattern, const value& e, const query_options& options = {});

/// The same for several, in their order.
value pull_many(const db& d,
                const value& pattern,
                std::span<const value> entities,
                const query_options& options = {});

}  // namespace tributary::datom
