/// Attributes, and the schema of a database value: a cache of what its datoms about attributes say.
///
/// Schema is ordinary datoms. System entities and attributes live in a partition of their own, so
/// that an attribute's number fits four bytes of a key and callers may choose small entity ids. The
/// newest schema of a database value serves its past states too.
#pragma once

#include "tributary/datom/types.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tributary::datom {

/// Where :db/* entities and all attributes live.
inline constexpr entity_id system_partition = entity_id{2} << partition_shift;
/// Where the ids that the database gives to users' entities end.
inline constexpr entity_id user_ids_end = user_partition + (entity_id{1} << partition_shift);
/// Ids are below this: six bytes in a key.
inline constexpr entity_id entity_limit = entity_id{1} << 47;

/// The numbers are the tag bytes of stored values and their order across types; never reuse one.
enum class value_type : std::uint8_t {
    boolean = 0x10,
    integer = 0x20,   ///< :db.type/long
    real = 0x28,      ///< :db.type/double
    decimal = 0x2c,   ///< :db.type/bigdec
    floating = 0x2a,  ///< :db.type/float: a double that fits 32 bits
    bigint = 0x2e,
    instant = 0x30,
    string = 0x40,
    uri = 0x44,  ///< a string to those outside
    keyword = 0x48,
    symbol = 0x50,
    uuid = 0x58,
    bytes = 0x60,
    ref = 0x68,
    tuple = 0x70,  ///< 2 to 8 values of other types, or nil in their places
};

inline constexpr std::size_t tuple_size_min = 2, tuple_size_max = 8;

enum class uniqueness : std::uint8_t { none, by_value, identity };

struct attribute {
    entity_id id = 0;
    keyword ident;
    value_type type = value_type::string;
    bool many = false;
    uniqueness unique = uniqueness::none;
    bool indexed = true;  ///< in AVET; false only for `:db/index false`. Unique ones and refs can
                          ///< always be looked up by value
    bool fulltext = false;
    std::string language;  ///< whose stems its words are indexed by; empty: the words themselves
    bool component = false;
    bool no_history = false;
    /// Of a tuple: the type of each element, or (uniform) the one type of all.
    std::vector<value_type> tuple_types;
    bool uniform = false;
    /// Of a composite tuple (:db/tupleAttrs), which the database keeps itself: the idents of its
    /// parts, and their ids, 0 where there is no such attribute (yet).
    std::vector<std::string> part_names;
    std::vector<entity_id> parts;
    /// The composite tuples this is a part of.
    std::vector<entity_id> composites;

    bool is_tuple() const { return type == value_type::tuple; }
    bool is_composite() const { return !part_names.empty(); }
    bool is_ref() const { return type == value_type::ref; }
    bool is_unique() const { return unique != uniqueness::none; }
    /// Whether AVET is open to callers, and whether its facts are kept in that order (other refs
    /// are kept by target).
    bool in_avet() const { return indexed || is_unique(); }
    bool is_kept_by_value() const { return is_unique() || (indexed && !is_ref()); }
    /// The attribute's four bytes in keys.
    std::uint32_t number() const { return static_cast<std::uint32_t>(id - system_partition); }
};

/// Immutable once shared.
class schema {
public:
    const attribute* find(entity_id a) const;
    /// By ident (`ns/name`), the present one or an older one that nothing else took.
    const attribute* find(std::string_view ident) const;
    /// In the order of their ids.
    std::vector<const attribute*> all() const;

    void put(const attribute& a);
    /// An older ident of `a`, unless something else has taken it.
    void put_alias(const std::string& ident, const attribute& a);
    void forget_ident(std::string_view ident);
    /// Finds the parts of composite tuples by their names; after every change of attributes.
    void link_composites();
    /// Whether an entity may be found by the parts of a composite tuple.
    bool has_identity_composites() const { return identity_composites_; }

private:
    struct text_hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    std::vector<std::optional<attribute>> by_number_;
    std::unordered_map<std::string, std::uint32_t, text_hash, std::equal_to<>> by_ident_;
    bool has_composites_ = false;
    bool identity_composites_ = false;
};

/// "; did you mean :tweet/text?" of the attribute nearest to `ident`, or nothing; for messages.
std::string nearest_name(const schema& known, std::string_view ident);

/// "; a colon may be missing: :tweet/text" of a symbol that stands for a keyword; nothing for other
/// values.
std::string missing_colon(const value& v);

/// ":db.type/string" and so on, both ways. Nothing for an unknown name.
std::optional<value_type> type_named(std::string_view ident);
const char* name_of(value_type t);
/// All of them with their colons, for messages.
std::string type_names_listed();

}  // namespace tributary::datom
