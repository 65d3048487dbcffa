/// Transactions that only might be: run on top of a database value, in memory.
#include "tributary/datom/staged.hpp"
#include "tributary/datom/stored_reader.hpp"
#include "tributary/datom/transaction.hpp"
#include "tributary/store/overlay_kv.hpp"

namespace tributary::datom {

namespace {

/// The view that `with` cannot stand on, or null.
const char* view_of(const db& d) {
    if (d.is_history()) return "history";
    if (d.is_filtered()) return "a filter";
    if (d.as_of_t()) return "as-of";
    if (d.since_t()) return "since";
    return nullptr;
}

}  // namespace

with_report db::with(const value& tx_data, std::int64_t now_ms) const {
    if (const char* view = view_of(*this))
        throw error(errc::misuse,
                    "db.error/with-on-view",
                    std::string("with on ") + view +
                        ": what it adds could not be seen there; use with first and take the view "
                        "of its result");
    return speculate(
        *this, tx_data, now_ms, {impl_->stored().at().functions, [this] { return *this; }});
}

with_report speculate(const db& on,
                      const value& tx_data,
                      std::int64_t now_ms,
                      tx_functions functions) {
    const moment& before = on.get().stored().at();
    const std::unique_ptr<kv> store = make_overlay_kv(before.store);
    staged changes(*store, before.attributes);
    tx_report report = transaction(changes, now_ms, std::move(functions)).run(tx_data);
    store->write(changes.take_batch(), false);

    moment after;
    after.owner = before.owner;
    after.store = store->snapshot();
    after.attributes = changes.attributes();
    after.counts = std::make_shared<const std::vector<std::uint64_t>>(changes.state().counts);
    after.basis_t = changes.state().basis_t;
    after.functions = before.functions;
    after.query_bytes = before.query_bytes;
    return {std::move(report), on, db(std::make_shared<stored_reader>(std::move(after)))};
}

}  // namespace tributary::datom
