/// What every database holds from the start: the entities that describe attributes. Their numbers
/// are part of the format; never reuse one.
#pragma once

#include "tributary/datom/schema.hpp"
#include "tributary/datom/value_view.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace tributary::datom {

enum class system_entity : entity_id {
    ident = 1,
    value_type_attribute = 2,
    cardinality = 3,
    unique = 4,
    index = 5,
    fulltext = 6,
    is_component = 7,
    no_history = 8,
    doc = 9,
    tx_instant = 10,
    tuple_attrs = 11,
    tuple_types = 12,
    tuple_type = 13,
    ensure = 14,
    entity_attrs = 15,
    entity_preds = 16,
    attribute_preds = 17,
    type_boolean = 20,
    type_long = 21,
    type_double = 22,
    type_bigdec = 23,
    type_instant = 24,
    type_string = 25,
    type_keyword = 26,
    type_symbol = 27,
    type_uuid = 28,
    type_bytes = 29,
    type_ref = 30,
    type_tuple = 31,
    type_float = 32,
    type_bigint = 33,
    type_uri = 34,
    cardinality_one = 40,
    cardinality_many = 41,
    unique_value = 42,
    unique_identity = 43,
    part_db = 50,
    part_tx = 51,
    part_user = 52,
    fulltext_language = 60,
};

/// Attributes of users are numbered from here; what is below is ours.
inline constexpr entity_id first_user_attribute = 256;

constexpr entity_id id_of(system_entity e) { return system_partition + static_cast<entity_id>(e); }

std::optional<std::string_view> bootstrap_ident(entity_id e);
/// 0 if nothing of ours has the name. A database made by an older tributary does not hold all of
/// them as facts.
entity_id bootstrap_id(std::string_view ident);
schema bootstrap_schema();
/// The facts of transaction 0.
std::vector<datom> bootstrap_datoms();

/// The attribute that the current facts (attribute, value) of `e` describe; nothing if they lack a
/// type or an ident.
std::optional<attribute> attribute_from(entity_id e,
                                        const std::vector<std::pair<entity_id, value_view>>& facts);

}  // namespace tributary::datom
