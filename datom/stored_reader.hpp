/// The database value on a kv snapshot.
#pragma once

#include "tributary/datom/column_cache.hpp"
#include "tributary/datom/log.hpp"
#include "tributary/datom/reader.hpp"
#include "tributary/datom/twin_scan.hpp"
#include "tributary/datom/tx_functions.hpp"

#include <map>
#include <memory>
#include <vector>

namespace tributary::datom {

/// What a connection knows beside the facts: all of it unchanging once shared.
struct moment {
    std::shared_ptr<kv>
        owner;  ///< keeps the store open where it belongs to the connection; outlives the snapshot
    kv_snapshot store;
    std::shared_ptr<const schema> attributes;
    std::shared_ptr<const std::vector<std::uint64_t>>
        counts;  ///< current facts by attribute number
    std::int64_t basis_t = 0;
    std::shared_ptr<const tx_registry> functions;  ///< the connection's, which may get more
    /// What queries keep in memory (null: nothing), and by attribute number a t since which it has
    /// not changed. Both only of states that are stored.
    std::shared_ptr<column_cache> columns;
    std::shared_ptr<const std::vector<std::int64_t>> changed_t;
    std::size_t query_bytes = 0;  ///< what a query and those columns may take together

    /// What a query may take now.
    std::size_t query_memory() const { return query_bytes - (columns ? columns->bytes() : 0); }
};

/// See connection_options.
inline std::size_t query_bytes_of(const connection_options& o) { return o.memory_bytes / 4 * 3; }

class stored_reader final : public db::impl, public std::enable_shared_from_this<stored_reader> {
public:
    explicit stored_reader(moment m,
                           time_filter filter = {},
                           std::optional<std::int64_t> as_of = std::nullopt)
        : moment_(std::move(m)), filter_(filter), as_of_(as_of) {}

    std::shared_ptr<const db::impl> as_of(const time_point& p) const override;
    std::shared_ptr<const db::impl> since(const time_point& p) const override;
    std::shared_ptr<const db::impl> history() const override;
    std::shared_ptr<const db::impl> without_history() const override;
    const stored_reader& stored() const override { return *this; }
    /// The state after t, also where a rewind undid it later.
    std::shared_ptr<const stored_reader> at_t(std::int64_t t) const;

    std::int64_t basis_t() const override { return moment_.basis_t; }
    bool is_history() const override { return filter_.history; }
    bool is_filtered() const override { return false; }
    std::optional<std::int64_t> as_of_t() const override { return as_of_; }
    std::optional<std::int64_t> since_t() const override;
    const schema& attributes() const override { return *moment_.attributes; }

    void scan_eavt(entity_id e, const attribute* a, const datom_visitor& visit) const override;
    void scan_aevt(const attribute& a,
                   std::optional<entity_id> e,
                   const datom_visitor& visit) const override;
    void scan_fact(entity_id e,
                   const attribute& a,
                   const value& v,
                   const datom_visitor& visit) const override;
    void scan_avet(const attribute& a, const value& v, const datom_visitor& visit) const override;
    void scan_avet_range(const attribute& a,
                         const value_range& range,
                         const datom_visitor& visit) const override;
    void scan_vaet(entity_id target, const attribute* a, const datom_visitor& visit) const override;
    void scan_all(const datom_visitor& visit) const override;
    void walk(index_order index,
              const index_place& from,
              bool backward,
              const datom_visitor& visit) const override;

    void scan_column(const attribute& a, const column_visitor& visit) const override;
    std::unique_ptr<column_cursor> column(const attribute& a) const override;
    std::shared_ptr<const attribute_column> cached(const attribute& a,
                                                   std::size_t reads) const override;
    std::optional<value> lookup(entity_id e, const attribute& a) const override;
    std::optional<entity_id> lookup_unique(const attribute& a, const value& v) const override;
    std::uint64_t count(const attribute& a) const override;
    void scan_postings(const attribute& a,
                       std::string_view term,
                       bool prefix,
                       const posting_visitor& visit) const override;
    text_totals totals_of_texts(const attribute& a) const override;

    const moment& at() const { return moment_; }

private:
    /// Scans the datoms under a whole key prefix of a space.
    void scan_prefix(bytes_view key, const datom_visitor& visit) const;
    twin_scan open(char space) const {
        return {*moment_.store, *moment_.attributes, space, filter_};
    }
    moment moment_;
    time_filter filter_;
    std::optional<std::int64_t> as_of_;  ///< as given; beyond the basis there is nothing to hide
};

/// The t that `p` names. Errors: bad_input for a negative one.
std::int64_t resolve_time(const kv_reader& store, const time_point& p);
/// The first t whose instant is not before `at`; `beyond` if there is none.
std::int64_t first_t_from(const kv_reader& store, inst at, std::int64_t beyond);

}  // namespace tributary::datom
