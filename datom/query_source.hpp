/// What a pattern of a query is matched against: a database value or a collection of tuples.
/// Private to the room.
#pragma once

#include "tributary/datom/column_cache.hpp"
#include "tributary/datom/database.hpp"
#include "tributary/datom/query_cell.hpp"

#include <functional>
#include <map>
#include <optional>
#include <span>

namespace tributary::datom::datalog {

/// What is known of a pattern's position before it is matched.
struct position {
    enum class state { open, bound, constant };
    state is = state::open;
    const cell* value = nullptr;  ///< of a constant
};

/// What tests of the query demand of a pattern's value, both ends included: a scan may leave out
/// what is beyond, but need not.
struct value_bounds {
    std::optional<cell> lo;
    std::optional<cell> hi;
};

/// Places of a row of a database.
enum : unsigned { at_e, at_a, at_v, at_tx, at_added, database_width };

/// A row has `width` cells, valid only during the visit. Returns false to stop.
using row_visitor = std::function<bool(const cell* row, std::size_t width)>;

/// Errors: all throw bad_input with a message that says what is wrong with the value; the caller
/// names the clause.
class source {
public:
    virtual ~source() = default;

    virtual bool is_database() const = 0;
    /// As it was given to the query.
    virtual query_input as_input() const = 0;
    /// A literal as it is stored: idents and lookup refs become entity ids, integers widen for an
    /// attribute of doubles. `attribute` is the (resolved) literal of the attribute position, if it
    /// has one. Errors: an unknown attribute or ident, a lookup ref to nothing, a value the
    /// attribute cannot have, more places than there are.
    virtual cell literal(std::size_t place, const cell& c, const cell* attribute) const = 0;
    /// An entity given as id, ident or lookup ref; nothing if it is none. Errors: a lookup ref to
    /// nothing.
    virtual std::optional<cell> entity(const cell& c) const = 0;
    /// An entity's ident as a keyword, or nil.
    virtual cell ident(const cell& e) const = 0;
    /// Of a (resolved) attribute; nothing if it is none.
    virtual std::optional<value_type> type_of(const cell& attribute) const = 0;
    bool is_ref(const cell& attribute) const { return type_of(attribute) == value_type::ref; }
    /// A value as the (resolved) attribute stores it: integers widen. Nothing if it cannot.
    virtual std::optional<cell> stored(const cell& attribute, const cell& c) const = 0;
    /// True if an entity may have several values of the (resolved) attribute, or be that of several
    /// others if looked at in `reverse`.
    virtual bool is_many(const cell& /*attribute*/, bool /*reverse*/) const { return false; }

    /// Rows equal to `fixed` where it is not null. `wanted`: bit n set if the visitor looks at
    /// place n; the others may be anything.
    virtual void scan(std::span<const cell* const> fixed,
                      unsigned wanted,
                      const value_bounds& bounds,
                      const row_visitor& visit) const = 0;
    /// How many rows one scan with these positions would give, about.
    virtual double estimate(std::span<const position> positions,
                            const value_bounds& bounds) const = 0;
    /// True if a scan with these positions fixed would seek instead of looking at everything.
    virtual bool can_seek(std::span<const position> positions) const = 0;
    /// True if rows over these places (bit set: kept or fixed) never repeat.
    virtual bool rows_differ(std::span<const position> positions, unsigned kept) const = 0;

    /// The facts of a (resolved) attribute in memory, or null; `reads` as in reader::cached, 0 for
    /// only asking. Lives as long as the source.
    virtual const attribute_column* column(const cell& /*attribute*/, std::size_t /*reads*/) const {
        return nullptr;
    }

    /// Rows (e, v, tx, score) of a full-text search.
    virtual void fulltext(const cell& attribute,
                          std::string_view words,
                          const row_visitor& visit) const = 0;
};

/// The kind of cells that values of an attribute of this type are.
kind kind_of(value_type t);

/// The sources clauses see: `$`, `$name`. Inside a rule `$` is the source it was called on.
using source_map = std::map<std::string, const source*, std::less<>>;

/// `memory` must outlive the source. `lenient`: an attribute nobody defined has no facts, and a
/// value of another type than the attribute's none either, instead of being errors.
std::unique_ptr<source> make_source(const db& database, arena& memory, bool lenient);
/// Errors: bad_input unless it is a collection of tuples.
std::unique_ptr<source> make_source(const value& tuples, arena& memory);

}  // namespace tributary::datom::datalog
