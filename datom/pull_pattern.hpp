/// A pull pattern, parsed against a schema. Private to the room.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/datom/query_budget.hpp"
#include "tributary/datom/reader.hpp"

#include <limits>
#include <memory>
#include <span>

namespace tributary::datom {

struct pull_pattern;

/// What is asked of one attribute (or of :db/id).
struct pull_spec {
    value key;                        ///< under which the result stands
    const attribute* what = nullptr;  ///< null if there is no such attribute: nothing matches
    bool is_id = false;
    bool reverse = false;
    std::size_t limit = 1000;
    std::optional<value> fallback;
    const query_function* transform = nullptr;
    /// Where refs lead: by a pattern of its own, or (recursive) by the one this stands in.
    std::shared_ptr<const pull_pattern> pattern;
    bool recursive = false;
    std::uint64_t levels = std::numeric_limits<std::uint64_t>::max();

    /// One value, not a vector of them.
    bool single() const { return reverse ? what->component : !what->many; }
    /// Without a pattern, what belongs to an entity is shown with it, whole.
    bool shows_component() const { return what->component && !reverse && !pattern && !recursive; }
    bool follows() const { return pattern || recursive || shows_component(); }
};

struct pull_pattern {
    bool everything = false;  ///< `*`: :db/id, and all attributes that no spec names
    std::vector<pull_spec> specs;

    bool names(entity_id attribute) const;
};

/// Points into `schema` and `options`. `pattern` may be text. Errors: bad_input
/// db.error/invalid-pull, db.error/unknown-attribute (unless options.lenient) and
/// db.error/unknown-function, naming the part and pointing at it in a text.
pull_pattern parse_pull(const value& pattern,
                        const schema& attributes,
                        const query_options& options);

/// Pulled entities, and the memory they take, which counts while they are here.
struct counted_pulls {
    std::vector<value> values;
    datalog::counted_bytes bytes;
};

/// As pull_many (datom/pull.hpp), within the budget of the query that asks, if one does.
counted_pulls pull_counted(const db& d,
                           const value& pattern,
                           std::span<const value> entities,
                           const query_options& options);

}  // namespace tributary::datom
