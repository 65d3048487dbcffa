/// The words of the datom database.
#pragma once

#include "tributary/value/value.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tributary::datom {

/// An entity id: partition bits << 42 | counter, as Datomic's, so that system, transaction and user
/// entities sort apart.
using entity_id = std::int64_t;
inline constexpr int partition_shift = 42;
inline constexpr entity_id tx_partition = entity_id{3} << partition_shift;
inline constexpr entity_id user_partition = entity_id{4} << partition_shift;

/// Transactions are numbered t = 1, 2, ...; the entity of transaction t is tx_partition + t.
constexpr entity_id entity_of_t(std::int64_t t) { return tx_partition + t; }
constexpr std::int64_t t_of_entity(entity_id tx) { return tx - tx_partition; }

/// A fact: entity, attribute, value, the transaction that said so, and whether it was asserted or
/// retracted.
struct datom {
    entity_id e = 0;
    entity_id a = 0;
    value v;  ///< refs are integers
    entity_id tx = 0;
    bool added = true;
    bool operator==(const datom&) const = default;
};

/// What a transaction did.
struct tx_report {
    std::int64_t t = 0;
    std::vector<datom> tx_data;
    std::map<value, entity_id> tempids;
};

/// What a rewind undid: the transactions after `to` and before its own t; and which realize stream
/// went back to which position with it.
struct rewind_mark {
    std::int64_t to = 0;
    std::string stream;
    std::uint64_t position = 0;
    bool operator==(const rewind_mark&) const = default;
};

/// One entry of the transaction log.
struct log_tx {
    std::int64_t t = 0;
    inst instant;
    std::optional<rewind_mark> rewind;  ///< its datoms are the inverse ones
    std::vector<datom> data;
    bool operator==(const log_tx&) const = default;
};

/// The orders datoms are kept in.
enum class index_order { eavt, aevt, avet, vaet };

/// A point in time: t or transaction entity (integer), or an instant: the last transaction at or
/// before it.
using time_point = std::variant<std::int64_t, inst>;

}  // namespace tributary::datom
