/// Transactions of a log as forms that would do the same again: what tx-range, export and import
/// write and read.
///
///     {:t 2, :instant #inst "2024-05-01T10:00:00.000Z",
///      :data [[:db/add 17592186044417 :person/name "Ann"]]}
///
/// What a realize stream's rewind did, :data, follows from where it went:
///
///     {:t 9, :instant ..., :rewind-to 6, :stream "tweets ...", :position 2, :data [...]}
#pragma once

#include "tributary/datom/database.hpp"

#include <map>

namespace tributary::cli {

/// What attributes are called. Fed with the transactions of a log in their order, it is what they
/// were called then; else what they are called now.
class attribute_names {
public:
    explicit attribute_names(datom::db d);
    /// The ident, or the id if there is none.
    value of(datom::entity_id attribute);
    /// Attributes that `tx` declares have their names in it, others are renamed after it.
    void declared_in(const datom::log_tx& tx);
    void renamed_in(const datom::log_tx& tx);

private:
    datom::db db_;
    datom::entity_id ident_;
    std::map<datom::entity_id, value> names_;
};

/// The instant's own datom is left out.
value as_forms(const datom::log_tx& tx, attribute_names& names);

}  // namespace tributary::cli
