/// How queries read a database value: datoms by index, each scan honouring as-of, since, history
/// and filter.
///
///     const reader& r = some_db.get();
///     const attribute* text = r.find_attribute("tweet/text");
///     r.scan_column(*text, [&](entity_id e, const value_view& v) { ...; return true; });
///
/// Visitors return false to stop; the views they get die with the visit. Without history there is
/// one datom per visible fact, all `added`. With history there is one per assertion and per
/// retraction; then the order within one (e, a) or (a, v, e) is unspecified. Thread rule: const and
/// safe from any thread.
#pragma once

#include "tributary/datom/column_cache.hpp"
#include "tributary/datom/database.hpp"
#include "tributary/datom/schema.hpp"
#include "tributary/datom/text_index.hpp"
#include "tributary/datom/value_view.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace tributary::datom {

struct datom_ref {
    entity_id e = 0;
    entity_id a = 0;
    value_view v;
    entity_id tx = 0;
    bool added = true;

    datom to_datom() const { return {e, a, v.to_value(), tx, added}; }
};

using datom_visitor = std::function<bool(const datom_ref&)>;
using column_visitor = std::function<bool(entity_id e, const value_view& v)>;

/// Values from `lo` to `hi`, each end open if absent.
struct value_range {
    std::optional<value> lo;
    std::optional<value> hi;
    bool lo_included = true;
    bool hi_included = true;
};

/// A place in an index, by its leading parts. The value of VAET is the entity in `v`.
struct index_place {
    std::optional<entity_id> e;
    const attribute* a = nullptr;
    std::optional<value> v;
};

/// The facts of one attribute in entity order, pulled: for merge joins. Views are valid until the
/// cursor moves.
class column_cursor {
public:
    virtual ~column_cursor() = default;
    virtual bool valid() const = 0;
    virtual void next() = 0;
    /// Forward to the first fact whose entity is >= e; cheap if it is near.
    virtual void seek(entity_id e) = 0;
    virtual const datom_ref& get() const = 0;
};

class reader {
public:
    virtual ~reader() = default;

    // -- What kind of database value
    // ---------------------------------------------------------------------------------------------
    virtual std::int64_t basis_t() const = 0;
    virtual bool is_history() const = 0;
    /// The points of as_of and since as a t, if they were given.
    virtual std::optional<std::int64_t> as_of_t() const = 0;
    virtual std::optional<std::int64_t> since_t() const = 0;
    virtual bool is_filtered() const = 0;
    /// Whether the filters keep it.
    virtual bool shows(const datom_ref&) const { return true; }

    // -- Names
    // ----------------------------------------------------------------------------------------------------------------------
    virtual const schema& attributes() const = 0;
    /// By ident (`ns/name` without the colon), or by keyword, or by entity id; null if there is
    /// none.
    const attribute* find_attribute(std::string_view ident) const {
        return attributes().find(ident);
    }
    const attribute* find_attribute(const std::string& ident) const {
        return attributes().find(ident);
    }
    const attribute* find_attribute(const char* ident) const { return attributes().find(ident); }
    const attribute* find_attribute(entity_id a) const { return attributes().find(a); }
    const attribute* find_attribute(const value& ident_or_id) const;
    /// Integer, ident keyword or lookup ref to an entity; nothing if there is none. Errors:
    /// bad_input for anything else.
    std::optional<entity_id> entid(const value& ident) const;
    value named_parts(const attribute& a, const value& tuple) const;
    std::optional<keyword> ident(entity_id e) const;

    // -- Scans
    // ------------------------------------------------------------------------------------------------------------------------
    // A value is given as the data model's value of the attribute's type (refs as integer ids). One
    // that cannot be of that type matches nothing.

    /// The facts of an entity, by attribute then value.
    virtual void scan_eavt(entity_id e, const attribute* a, const datom_visitor& visit) const = 0;
    /// The facts of an attribute by entity, or those of one entity.
    virtual void scan_aevt(const attribute& a,
                           std::optional<entity_id> e,
                           const datom_visitor& visit) const = 0;
    /// The facts (e a v), by tx: at most one without history.
    virtual void scan_fact(entity_id e,
                           const attribute& a,
                           const value& v,
                           const datom_visitor& visit) const = 0;
    /// The facts of an attribute with this value, by entity. Falls back on a column scan for an
    /// attribute outside of AVET.
    virtual void scan_avet(const attribute& a,
                           const value& v,
                           const datom_visitor& visit) const = 0;
    /// The facts of an attribute with a value in the range, by value then entity. Strings and bytes
    /// longer than 256 bytes that share their first 128 come in no particular order among
    /// themselves; an attribute outside of AVET comes by entity.
    virtual void scan_avet_range(const attribute& a,
                                 const value_range& range,
                                 const datom_visitor& visit) const = 0;
    /// The facts that refer to an entity, by attribute (or only of one) then entity.
    virtual void scan_vaet(entity_id target,
                           const attribute* a,
                           const datom_visitor& visit) const = 0;
    /// Everything, by entity, attribute, value; schema and transaction entities included.
    virtual void scan_all(const datom_visitor& visit) const = 0;
    /// From the first datom at or after `from` to the end of the index; with `backward` from the
    /// last one at or before it (a place names all datoms it leads to) to the beginning. May begin
    /// too early by the facts of one (e, a). Of AVET one walks one attribute, which must be kept by
    /// value.
    virtual void walk(index_order index,
                      const index_place& from,
                      bool backward,
                      const datom_visitor& visit) const = 0;

    // -- Fast forms
    // -------------------------------------------------------------------------------------------------------------------
    /// (e, value) of an attribute in entity order, no allocation a fact. On history: assertions and
    /// retractions alike.
    virtual void scan_column(const attribute& a, const column_visitor& visit) const = 0;
    /// Must not outlive this reader.
    virtual std::unique_ptr<column_cursor> column(const attribute& a) const = 0;
    /// The attribute's facts in memory, or null: not every view has columns, and one is made only
    /// where it pays. `reads`: about how many facts the caller would read without it.
    virtual std::shared_ptr<const attribute_column> cached(const attribute&,
                                                           std::size_t /*reads*/) const {
        return nullptr;
    }
    /// The value of a cardinality-one attribute (the first one of a many); on history, the one that
    /// holds at its end.
    virtual std::optional<value> lookup(entity_id e, const attribute& a) const = 0;
    /// The entity that holds a unique value; on history, at its end.
    virtual std::optional<entity_id> lookup_unique(const attribute& a, const value& v) const = 0;
    /// The number of current facts at the basis (as-of keeps the basis's figure): for planning and
    /// statistics. O(1).
    virtual std::uint64_t count(const attribute& a) const = 0;

    // -- Full text
    // --------------------------------------------------------------------------------------------------------------------
    /// The postings of a term of a full-text attribute, or of all terms that begin with it,
    /// whatever this value shows (datom/fulltext.hpp searches).
    virtual void scan_postings(const attribute& a,
                               std::string_view term,
                               bool prefix,
                               const posting_visitor& visit) const = 0;
    /// O(1).
    virtual text_totals totals_of_texts(const attribute& a) const = 0;
};

class stored_reader;

/// What a db holds.
struct db::impl : reader {
    virtual std::shared_ptr<const impl> as_of(const time_point& p) const = 0;
    virtual std::shared_ptr<const impl> since(const time_point& p) const = 0;
    virtual std::shared_ptr<const impl> history() const = 0;
    /// The same window as facts instead of events.
    virtual std::shared_ptr<const impl> without_history() const = 0;
    /// What it reads, unfiltered.
    virtual const stored_reader& stored() const = 0;
};

}  // namespace tributary::datom
