#include "tributary/datom/database.hpp"

#include "tributary/datom/encoding.hpp"
#include "tributary/datom/filtered_reader.hpp"
#include "tributary/datom/log.hpp"
#include "tributary/datom/stored_reader.hpp"

#include <algorithm>

namespace tributary::datom {

// -- Time

std::int64_t db::basis_t() const { return impl_->basis_t(); }
std::optional<std::int64_t> db::as_of_t() const { return impl_->as_of_t(); }
std::optional<std::int64_t> db::since_t() const { return impl_->since_t(); }
bool db::is_history() const { return impl_->is_history(); }
bool db::is_filtered() const { return impl_->is_filtered(); }

db db::as_of(const time_point& p) const { return db(impl_->as_of(p)); }
db db::since(const time_point& p) const { return db(impl_->since(p)); }
db db::history() const { return db(impl_->history()); }
db db::filter(datom_predicate keep) const {
    return db(filtered_reader::make(impl_, std::move(keep)));
}

// -- Names and facts

std::optional<entity_id> db::entid(const value& ident) const { return impl_->entid(ident); }
std::optional<keyword> db::ident(entity_id e) const { return impl_->ident(e); }

std::vector<datom> db::facts_of(entity_id e) const {
    std::vector<datom> facts;
    impl_->scan_eavt(e, nullptr, [&](const datom_ref& d) {
        facts.push_back(d.to_datom());
        return true;
    });
    return facts;
}

// -- The log

void db::tx_range(const std::optional<time_point>& start,
                  const std::optional<time_point>& end,
                  const std::function<bool(const log_tx&)>& visit) const {
    const moment& m = impl_->stored().at();
    const std::int64_t beyond = m.basis_t + 1;
    const auto bound = [&](const time_point& p) {
        if (const auto* at = std::get_if<inst>(&p)) return first_t_from(*m.store, *at, beyond);
        return resolve_time(*m.store, p);
    };
    // Transaction 0 is what every database begins with.
    const std::int64_t first = start ? std::max<std::int64_t>(bound(*start), 1) : 1;
    const std::int64_t last = end ? std::min(bound(*end), beyond) : beyond;
    log_tx tx;
    scan_log_bytes(*m.store, first, last, [&](std::int64_t t, bytes_view data) {
        tx.data.clear();
        const log_entry head = read_log_entry(t, data, [&](const log_datom_view& d) {
            const datom_ref found{d.e, d.a, view_of_raw(d.raw), entity_of_t(t), d.added};
            if (impl_->shows(found)) tx.data.push_back(found.to_datom());
        });
        tx.t = t;
        tx.instant = inst{head.instant_ms};
        tx.rewind = head.rewind;
        return visit(tx);
    });
}

}  // namespace tributary::datom
