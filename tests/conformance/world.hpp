/// The databases of a case, and what their ids are called in what is expected.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/store/memory_kv.hpp"

#include "conformance/cases.hpp"
#include "conformance/compare.hpp"

namespace tributary::conformance {

/// Which datoms a case sees besides its data: those of the schema and of bootstrap, and the
/// :db/txInstant of transactions.
struct sight {
    bool schema = true;
    bool instants = true;
};

/// A database in memory: a transaction of schema, then the data transactions, counted from 1.
class world {
public:
    /// `txs` are vectors of forms, each a transaction; `instants` (may be nil) their moments.
    world(const value& schema, const vector& txs, const value& instants);
    /// The database `n` of a case: its dataset, its :schema and :tx, or one of its :dbs.
    static world of(const test_case& c, std::size_t n, const value* dataset_name = nullptr);

    datom::db current() const { return conn_->current(); }
    /// The views of `{:db n :view [...]}` one on another, in this order; speculative transactions
    /// come first but in a case that `expects_error`.
    datom::db seen_through(const value& views, bool expects_error) const;
    datom::tx_report transact(const value& forms);
    datom::with_report speculate(const datom::db& on, const value& forms) const;

    bool shows(sight s, const datom::datom& d) const;
    /// `:tx/t3` is the entity of the third data transaction, wherever it stands.
    value with_tx_ids(const value& v) const;
    /// Ids of attributes and of what else is part of every database, as idents.
    value with_idents(const value& v) const;
    /// The way our ids may be called otherwise: ids we gave out by any whole number, of them those
    /// in `new_ids` by one of `names` if both are given; transactions also as :tx/tN.
    matcher renaming(const value* new_ids, const value* names) const;

private:
    datom::time_point point(const value& p) const;
    datom::entity_id tx_entity(std::int64_t n) const;
    /// When a transaction of these forms happens: after the last one, and not before what it says.
    std::int64_t time_for(const value& forms) const;

    std::unique_ptr<memory_kv> store_;
    std::unique_ptr<datom::connection> conn_;
    datom::entity_id tx_instant_ = 0;
    std::int64_t schema_t_ = 0;
    std::int64_t now_ = 1000;
};

}  // namespace tributary::conformance
