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
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tributary::datom {

/// A database value: what was known at a moment. Immutable, cheap to copy, safe to read from any
/// thread; later transactions never change its answers.
class db {
public:
    struct impl;
    explicit db(std::shared_ptr<const impl> i) : impl_(std::move(i)) {}

    /// The t of the newest transaction in it (as_of keeps it).
    std::int64_t basis_t() const;

    /// The state after the given point. Errors: conflict if it names a transaction a rewind undid
    /// (the message names the rewind).
    db as_of(const time_point& p) const;
    /// Every assertion and retraction there ever was.
    db history() const;

    /// Integer, ident keyword or lookup ref [attr value] to an entity; nothing if there is none.
    std::optional<entity_id> entid(const value& ident) const;
    std::optional<keyword> ident(entity_id e) const;

    /// All current facts of an entity (on history: all facts ever), in attribute order.
    std::vector<datom> facts_of(entity_id e) const;

    const impl& get() const { return *impl_; }

private:
    std::shared_ptr<const impl> impl_;
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

/// One writer at a time. Thread rule: current() from any thread, everything else from one.
class connection {
public:
    virtual ~connection() = default;

    /// Opens or creates. Errors: as open_leveldb; newer_version.
    static std::unique_ptr<connection> open(const std::filesystem::path& dir);
    /// On a kv of the caller's, which must outlive the connection (tests, in-memory databases).
    static std::unique_ptr<connection> on(kv& store);

    virtual db current() const = 0;

    /// One transaction, durable when this returns. `tx_data` is a vector of map and list forms.
    /// `now` (ms) is :db/txInstant unless the forms set it; never less than the last one's. Errors:
    /// bad_input (form and reason), conflict (uniqueness, contradiction); nothing is changed then.
    /// Errors: misuse if realize streams own this database.
    virtual tx_report transact(const value& tx_data, std::int64_t now_ms) = 0;

    // -- Batches: several transactions, each seeing the last, in one synced write
    // -----------------------------------------------------
    /// Applies `tx_data` on top of what is staged. Errors: as transact; what was staged before is
    /// unharmed.
    virtual tx_report stage(const value& tx_data, std::int64_t now_ms) = 0;
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
};

/// Options of a query.
struct query_options {
    std::optional<std::chrono::milliseconds> timeout;  ///< errc::canceled beyond
    const std::atomic<bool>* cancel = nullptr;         ///< errc::canceled soon after it turns true
};

/// An input of a query: a database for $-variables, else a value.
using query_input = std::variant<db, value>;

/// A Datalog query: EDN vector or map form. Inputs in the order of :in (default [$]). The result: a
/// set of vectors for a relation, a vector for [?x ...] and [?x ?y], the value (or nil) for `?x .`.
/// Entities print as integers. Errors: bad_input naming the clause, canceled.
value query(const value& q,
            const std::vector<query_input>& inputs,
            const query_options& options = {});

/// The names of the columns of `q`, for tables: "?u", "(count ?t)", ...
std::vector<std::string> column_names(const value& q);

}  // namespace tributary::datom
