/// A database of facts in one directory: transactions, current and past states, Datalog. After
/// Datomic; docs/datom.md tells what is the same.
///
///     auto conn = datom::connection::open("people.datom");
///     conn->transact(edn::read("[{:db/ident :person/name"
///                              "  :db/valueType :db.type/string"
///                              "  :db/cardinality :db.cardinality/one}]"), now_ms);
///     auto n = datom::query(edn::read("[:find (count ?n) . :where [_ :person/name ?n]]"),
///                           {conn->current()});
#pragma once

#include "tributary/datom/types.hpp"
#include "tributary/store/kv.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tributary::datom {

class db;
struct with_report;
struct db_stats;

/// Which datoms a filtered database value shows. Sees the unfiltered one; called from any thread.
using datom_predicate = std::function<bool(const db& unfiltered, const datom& d)>;
/// Returns false to stop.
using datom_visit = std::function<bool(const datom& d)>;

/// A database value: what was known at a moment. Immutable, cheap to copy, safe to read from any
/// thread; later transactions never change its answers.
class db {
public:
    struct impl;
    explicit db(std::shared_ptr<const impl> i) : impl_(std::move(i)) {}

    // -- Time. Views compose in any order
    // ------------------------------------------------------------------------------------------------
    /// The t of the newest transaction in it (as_of keeps it).
    std::int64_t basis_t() const;
    /// The t the next transaction after the basis gets.
    std::int64_t next_t() const { return basis_t() + 1; }
    /// The points as_of and since were given, as t.
    std::optional<std::int64_t> as_of_t() const;
    std::optional<std::int64_t> since_t() const;
    bool is_history() const;
    bool is_filtered() const;

    /// The state after the given point. Errors: conflict if it names a transaction a rewind undid
    /// (the message names the rewind).
    db as_of(const time_point& p) const;
    /// Only what was said after the given point: of each fact the newest word since decides. What
    /// names entities (idents, lookup refs) must have been said since as well, attributes excepted.
    db since(const time_point& p) const;
    /// Every assertion and retraction there ever was, within as_of and since.
    db history() const;
    /// Only datoms for which `keep` is true, of those shown before.
    db filter(datom_predicate keep) const;
    /// What `tx_data` would do, without doing it: in memory, on top of this. Works on its own
    /// result too. Errors: as connection::transact; misuse on as_of, since, history, filter.
    with_report with(const value& tx_data, std::int64_t now_ms) const;

    /// Integer, ident keyword or lookup ref [attr value] to an entity; nothing if there is none.
    std::optional<entity_id> entid(const value& ident) const;
    std::optional<keyword> ident(entity_id e) const;

    /// All current facts of an entity (on history: all facts ever), in attribute order.
    std::vector<datom> facts_of(entity_id e) const;

    // -- Raw index access. Parts are given in the index's order, as many as wanted: entities as id,
    // ident or lookup ref, attributes as id or ident. Errors: bad_input for a part that names
    // nothing or fits no attribute, misuse for an attribute outside of the index
    // ------------------------------------------------------------------------------------------------
    /// All datoms whose leading parts are these, in index order.
    std::vector<datom> datoms(index_order index, const vector& parts = {}) const;
    void datoms(index_order index, const vector& parts, const datom_visit& visit) const;
    /// From the first datom at or after these parts to the end of the index.
    void seek_datoms(index_order index, const vector& parts, const datom_visit& visit) const;
    /// From the last datom at or before these parts back to the beginning.
    void rseek_datoms(index_order index, const vector& parts, const datom_visit& visit) const;
    /// The datoms of an AVET attribute with start <= v < end (<= with `end_included`), by value;
    /// nil is an open end.
    void index_range(const value& attribute,
                     const value& start,
                     const value& end,
                     const datom_visit& visit,
                     bool end_included = false) const;

    /// Entries of the transaction log with start <= t < end, up to the basis, ascending; nothing is
    /// an open end. `visit` returns false to stop. Of a view only filters matter.
    void tx_range(const std::optional<time_point>& start,
                  const std::optional<time_point>& end,
                  const std::function<bool(const log_tx&)>& visit) const;

    /// Counts by attribute, and more. O(attributes) on a current value, else O(datoms).
    db_stats stats() const;

    const impl& get() const { return *impl_; }

private:
    std::shared_ptr<const impl> impl_;
};

/// What a speculative transaction would do.
struct with_report : tx_report {
    db db_before, db_after;
};

struct attribute_stats {
    std::uint64_t datoms = 0;
    std::uint64_t distinct = 0;  ///< different values; an estimate where `distinct_is_exact` is not
    bool distinct_is_exact = false;
    value min, max;  ///< nil if there is none, not in AVET, or a ref: ids have no size
};
struct db_stats {
    std::uint64_t datoms = 0;
    std::map<keyword, attribute_stats> attributes;
};

/// The applied log of a realize stream, kept in the database it realizes into. The tests of
/// exactly-once stand on this struct.
struct stream_cursor {
    std::uint64_t position = 0;  ///< commits of the linear log applied
    bytes commit;                ///< the last one, in the stream's own words; empty at position 0
    bytes dispatch;  ///< what was realized through which dispatch map, in the stream's own words
    std::uint64_t epoch =
        0;  ///< which realizer: raised at its start, so that an older one is fenced off
    bool operator==(const stream_cursor&) const = default;
};

/// A function transactions call by name: [:ns/name arg...]. It is given the database before the
/// transaction and returns transaction forms, which may call functions again. What it throws ends
/// the transaction.
using tx_function = std::function<value(const db& before, std::span<const value> args)>;

/// Options of a connection.
struct connection_options {
    /// What it and a query may take of memory: an eighth keeps blocks as they are stored, up to a
    /// quarter columns of attributes; a query at work and its result have three quarters but for
    /// those columns, the rest is for writing. Queries on several threads take as much each.
    std::size_t memory_bytes = std::size_t{256} << 20;
};

/// What a transaction's forms are: asked for, so that each must make sense by itself; or datoms of
/// a transaction that was (a log's), of which only all together need to.
enum class forms_are { asked, logged };

/// Thread rule: current(), transact(), wait_beyond() and define() from any thread (concurrent
/// transactions share their syncs); everything else from one, and not while others transact.
class connection {
public:
    virtual ~connection() = default;

    /// Opens or creates. Errors: as open_leveldb; newer_version.
    static std::unique_ptr<connection> open(const std::filesystem::path& dir,
                                            const connection_options& options = {});
    /// On a kv of the caller's, which must outlive the connection (tests, in-memory databases).
    static std::unique_ptr<connection> on(kv& store);

    virtual db current() const = 0;

    /// One transaction, durable when this returns. `tx_data` is a vector of map and list forms.
    /// `now` (ms) is :db/txInstant unless the forms set it; never less than the last one's. Errors:
    /// bad_input (form and reason), conflict (uniqueness, contradiction); nothing is changed then.
    /// Errors: misuse if realize streams own this database.
    virtual tx_report transact(const value& tx_data, std::int64_t now_ms) = 0;
    /// Makes [:ns/name arg...] call `f` in transactions of this connection, and in `with` on its
    /// database values. `f` lives as long as any of them, so it must not hold one; calls in several
    /// threads may overlap.
    virtual void define(const keyword& name, tx_function f) = 0;
    /// Waits until current().basis_t() > t; false when the time is over first, or `*stop` is true
    /// (looked at when it is called and after wake()).
    virtual bool wait_beyond(std::int64_t t,
                             std::chrono::milliseconds timeout,
                             const std::atomic<bool>* stop = nullptr) const = 0;
    /// Lets those who wait look at their `stop`.
    virtual void wake() const = 0;

    // -- Batches: several transactions, each seeing the last, in one synced write
    // -----------------------------------------------------
    /// Applies `tx_data` on top of what is staged. Errors: as transact; what was staged before is
    /// unharmed.
    virtual tx_report stage(const value& tx_data,
                            std::int64_t now_ms,
                            forms_are what = forms_are::asked) = 0;
    /// Stages the end of a linear-log commit: the cursor of `stream` moves to `to`. The batch may
    /// be flushed only at such ends.
    virtual void stage_cursor(const std::string& stream, const stream_cursor& to) = 0;
    /// Writes everything staged. Compares every moved stream's durable cursor with the one the
    /// batch began from. Errors: conflict (another realizer moved it), io, no_space; then nothing
    /// of the batch happened.
    virtual void flush() = 0;
    /// Forgets everything staged.
    virtual void discard() = 0;
    virtual std::size_t staged_bytes() const = 0;

    // -- Realize streams
    // ------------------------------------------------------------------------------------------------------------------
    /// The durable cursor of a stream, if it ever wrote here.
    virtual std::optional<stream_cursor> cursor(const std::string& stream) const = 0;
    virtual std::vector<std::string> streams() const = 0;
    /// The commit applied at `position` of a stream, in the stream's own words; nothing beyond its
    /// cursor.
    virtual std::optional<bytes> applied_at(const std::string& stream,
                                            std::uint64_t position) const = 0;
    /// Undoes everything after `position` commits of `stream` were applied: a rewind entry with the
    /// inverse datoms, the cursors of all streams as they were then, in one synced write. The
    /// undone stays readable in history.
    virtual void rewind(const std::string& stream, std::uint64_t position, std::int64_t now_ms) = 0;
    /// Stages what such an entry of another database's log did, on a copy, which has no streams. A
    /// batch of its own. Errors: misuse if there are streams or anything is staged, bad_input if
    /// the copy has not been at `mark.to`.
    virtual tx_report stage_rewind(const rewind_mark& mark, std::int64_t now_ms) = 0;
};

/// A function queries may call (as an input or registered), or an aggregate (its argument: one
/// vector of the group's values). Errors it throws end the query.
using query_function = std::function<value(std::span<const value> args)>;

/// Options of a query, a pull, an explanation.
struct query_options {
    std::optional<std::chrono::milliseconds> timeout;  ///< errc::canceled beyond
    const std::atomic<bool>* cancel = nullptr;         ///< errc::canceled soon after it turns true
    /// errc::limit beyond. Unset: what the connection of the (first) database has for it, or would
    /// have by default where there is none.
    std::optional<std::size_t> memory_bytes;
    /// By the name that stands in the query: predicates, functions, aggregates and :xform of pull.
    std::map<std::string, query_function> functions;
    /// An attribute nobody defined has no facts, and none has a value of another type than its
    /// attribute's, instead of both being errors.
    bool lenient = false;
};

/// An input of a query: a database for $-variables, a function for a plain symbol, else a value.
using query_input = std::variant<db, value, query_function>;

/// A Datalog query: EDN vector or map form. Inputs in the order of :in (default [$]). The result: a
/// set of vectors for a relation, a vector for [?x ...] and [?x ?y], the value (or nil) for `?x .`.
/// Entities print as integers. Errors: bad_input naming the clause, canceled.
value query(const value& q,
            const std::vector<query_input>& inputs,
            const query_options& options = {});

/// Runs `q` and says how: a map of :steps, in the order in which clauses ran first, each with its
/// :clause, :access (the index), :rows-estimated and :rows, :runs, :ms and :why it came next, and
/// of :ms in all. :depth is above 0 within `or`, `not` and rules, whose clauses may run many times.
value explain(const value& q,
              const std::vector<query_input>& inputs,
              const query_options& options = {});

/// The names of the columns of `q`, for tables: "?u", "(count ?t)", ...
std::vector<std::string> column_names(const value& q);
/// What `q` takes, in order, as :in has it: "$", "?x", "[?y ...]", "%"; without :in "$", if a
/// clause asks a database.
std::vector<std::string> input_names(const value& q);

}  // namespace tributary::datom
