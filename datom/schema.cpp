#include "tributary/datom/schema.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/encoding.hpp"
#include "tributary/datom/fault.hpp"

namespace tributary::datom {

namespace {

struct type_name {
    value_type type;
    const char* ident;
};
constexpr type_name type_names[] = {
    {value_type::boolean, "db.type/boolean"},
    {value_type::integer, "db.type/long"},
    {value_type::real, "db.type/double"},
    {value_type::floating, "db.type/float"},
    {value_type::decimal, "db.type/bigdec"},
    {value_type::bigint, "db.type/bigint"},
    {value_type::instant, "db.type/instant"},
    {value_type::string, "db.type/string"},
    {value_type::uri, "db.type/uri"},
    {value_type::keyword, "db.type/keyword"},
    {value_type::symbol, "db.type/symbol"},
    {value_type::uuid, "db.type/uuid"},
    {value_type::bytes, "db.type/bytes"},
    {value_type::ref, "db.type/ref"},
    {value_type::tuple, "db.type/tuple"},
};

}  // namespace

std::string nearest_name(const schema& known, std::string_view ident) {
    std::vector<std::string_view> names;
    for (const attribute* a : known.all()) names.emplace_back(a->ident.text);
    return datalog::did_you_mean(ident, names, ":");
}

std::string missing_colon(const value& v) {
    const auto* s = v.get_if<symbol>();
    return s == nullptr ? "" : "; a colon may be missing: :" + s->text;
}

std::optional<value_type> type_named(std::string_view ident) {
    for (const auto& n : type_names)
        if (ident == n.ident) return n.type;
    return std::nullopt;
}

const char* name_of(value_type t) {
    for (const auto& n : type_names)
        if (n.type == t) return n.ident;
    return "unknown";
}

std::string type_names_listed() {
    std::string text;
    for (const auto& n : type_names) text += (text.empty() ? ":" : ", :") + std::string(n.ident);
    return text;
}

const attribute* schema::find(entity_id a) const {
    const entity_id n = a - system_partition;
    if (n < 0 || n >= static_cast<entity_id>(by_number_.size()) || !by_number_[n]) return nullptr;
    return &*by_number_[n];
}

const attribute* schema::find(std::string_view ident) const {
    const auto it = by_ident_.find(ident);
    return it == by_ident_.end() ? nullptr : &*by_number_[it->second];
}

std::vector<const attribute*> schema::all() const {
    std::vector<const attribute*> found;
    for (const auto& a : by_number_)
        if (a) found.push_back(&*a);
    return found;
}

void schema::put(const attribute& a) {
    if (by_number_.size() <= a.number()) by_number_.resize(a.number() + 1);
    by_number_[a.number()] = a;
    has_composites_ = has_composites_ || a.is_composite();
    by_ident_[a.ident.text] = a.number();
}

void schema::put_alias(const std::string& ident, const attribute& a) {
    by_ident_.emplace(ident, a.number());
}

void schema::forget_ident(std::string_view ident) {
    if (const auto it = by_ident_.find(ident); it != by_ident_.end()) by_ident_.erase(it);
}

void schema::link_composites() {
    if (!has_composites_) return;
    identity_composites_ = false;
    for (auto& a : by_number_)
        if (a) a->composites.clear();
    for (auto& a : by_number_) {
        if (!a || !a->is_composite()) continue;
        a->parts.clear();
        a->tuple_types.clear();
        for (const std::string& name : a->part_names) {
            const auto it = by_ident_.find(std::string_view(name));
            attribute* part = it == by_ident_.end() ? nullptr : &*by_number_[it->second];
            a->parts.push_back(part ? part->id : 0);
            a->tuple_types.push_back(part ? part->type : value_type::boolean);
            if (part) part->composites.push_back(a->id);
        }
        identity_composites_ = identity_composites_ || a->unique == uniqueness::identity;
    }
}

namespace {

/// The keywords of a stored tuple, as texts.
std::vector<std::string> names_in(const value_view& tuple) {
    std::vector<std::string> names;
    for_each_element(tuple.text, [&](bytes_view raw) {
        if (!raw.empty()) names.emplace_back(view_of_raw(raw).text);
    });
    return names;
}

/// Whether `name` is the type of an element of tuples.
bool add_element_type(attribute& a, std::string_view name) {
    const auto t = type_named(name);
    if (t) a.tuple_types.push_back(*t);
    return t && *t != value_type::tuple;
}

entity_id ref_of(const value_view& v) { return v.type == value_type::ref ? v.integer : 0; }

}  // namespace

std::optional<attribute> attribute_from(
    entity_id e, const std::vector<std::pair<entity_id, value_view>>& facts) {
    attribute a;
    a.id = e;
    bool typed = false;
    bool typed_elements = true;
    int tuple_kinds = 0;
    for (const auto& [id, v] : facts) {
        switch (static_cast<system_entity>(id - system_partition)) {
            case system_entity::ident:
                a.ident.text = v.text;
                break;
            case system_entity::value_type_attribute:
                if (const auto name = bootstrap_ident(ref_of(v)))
                    if (const auto t = type_named(*name)) {
                        a.type = *t;
                        typed = true;
                    }
                break;
            case system_entity::cardinality:
                a.many = ref_of(v) == id_of(system_entity::cardinality_many);
                break;
            case system_entity::unique:
                a.unique = ref_of(v) == id_of(system_entity::unique_identity)
                               ? uniqueness::identity
                               : uniqueness::by_value;
                break;
            case system_entity::index:
                a.indexed = v.integer != 0;
                break;
            case system_entity::fulltext:
                a.fulltext = v.integer != 0;
                break;
            case system_entity::fulltext_language:
                a.language = v.text;
                break;
            case system_entity::is_component:
                a.component = v.integer != 0;
                break;
            case system_entity::no_history:
                a.no_history = v.integer != 0;
                break;
            case system_entity::tuple_attrs:
                a.part_names = names_in(v);
                ++tuple_kinds;
                break;
            case system_entity::tuple_types:
                for (const std::string& name : names_in(v))
                    typed_elements = add_element_type(a, name) && typed_elements;
                ++tuple_kinds;
                break;
            case system_entity::tuple_type:
                typed_elements = add_element_type(a, v.text) && typed_elements;
                a.uniform = true;
                ++tuple_kinds;
                break;
            default:
                break;
        }
    }
    if (!typed || a.ident.text.empty() || !typed_elements) return std::nullopt;
    if (tuple_kinds != (a.is_tuple() ? 1 : 0)) return std::nullopt;
    return a;
}

namespace {

struct bootstrap_entity {
    system_entity id;
    const char* ident;
    const char* type;  ///< of an attribute
    bool unique_identity;
    const char* doc;
};

using enum system_entity;

constexpr bootstrap_entity bootstrap_entities[] = {
    {ident, "db/ident", "db.type/keyword", true, "A keyword that names an entity."},
    {value_type_attribute,
     "db/valueType",
     "db.type/ref",
     false,
     "The type of an attribute's values."},
    {cardinality,
     "db/cardinality",
     "db.type/ref",
     false,
     "Whether an entity has one value of an attribute, or many."},
    {unique,
     "db/unique",
     "db.type/ref",
     false,
     "Whether no two entities share a value of an attribute, and whether it identifies them."},
    {index,
     "db/index",
     "db.type/boolean",
     false,
     "False keeps an attribute out of the index by value."},
    {fulltext,
     "db/fulltext",
     "db.type/boolean",
     false,
     "Whether the words of an attribute's values are indexed."},
    {fulltext_language,
     "db/fulltextLanguage",
     "db.type/string",
     false,
     "The language whose stems the words of a full-text attribute are indexed by."},
    {is_component,
     "db/isComponent",
     "db.type/boolean",
     false,
     "Whether a referenced entity is a part of the one that refers to it."},
    {no_history,
     "db/noHistory",
     "db.type/boolean",
     false,
     "Whether superseded values of an attribute are forgotten."},
    {doc, "db/doc", "db.type/string", false, "What an entity is for."},
    {tx_instant, "db/txInstant", "db.type/instant", false, "When a transaction was made."},
    {tuple_attrs,
     "db/tupleAttrs",
     "db.type/tuple",
     false,
     "The attributes a composite tuple is made of."},
    {tuple_types, "db/tupleTypes", "db.type/tuple", false, "The types of a tuple's elements."},
    {tuple_type, "db/tupleType", "db.type/keyword", false, "The one type of a tuple's elements."},
    {ensure, "db/ensure", "db.type/ref", false, "A spec to check an entity by; never stored."},
    {entity_attrs,
     "db.entity/attrs",
     "db.type/keyword",
     false,
     "Of a spec: attributes an entity must have."},
    {entity_preds,
     "db.entity/preds",
     "db.type/symbol",
     false,
     "Of a spec: functions that must be true of an entity."},
    {attribute_preds,
     "db.attr/preds",
     "db.type/symbol",
     false,
     "Functions that must be true of an attribute's values."},
    {type_boolean, "db.type/boolean", nullptr, false, nullptr},
    {type_long, "db.type/long", nullptr, false, nullptr},
    {type_double, "db.type/double", nullptr, false, nullptr},
    {type_bigdec, "db.type/bigdec", nullptr, false, nullptr},
    {type_instant, "db.type/instant", nullptr, false, nullptr},
    {type_string, "db.type/string", nullptr, false, nullptr},
    {type_keyword, "db.type/keyword", nullptr, false, nullptr},
    {type_symbol, "db.type/symbol", nullptr, false, nullptr},
    {type_uuid, "db.type/uuid", nullptr, false, nullptr},
    {type_bytes, "db.type/bytes", nullptr, false, nullptr},
    {type_ref, "db.type/ref", nullptr, false, nullptr},
    {type_tuple, "db.type/tuple", nullptr, false, nullptr},
    {type_float, "db.type/float", nullptr, false, nullptr},
    {type_bigint, "db.type/bigint", nullptr, false, nullptr},
    {type_uri, "db.type/uri", nullptr, false, nullptr},
    {cardinality_one, "db.cardinality/one", nullptr, false, nullptr},
    {cardinality_many, "db.cardinality/many", nullptr, false, nullptr},
    {unique_value, "db.unique/value", nullptr, false, nullptr},
    {unique_identity, "db.unique/identity", nullptr, false, nullptr},
    {part_db, "db.part/db", nullptr, false, nullptr},
    {part_tx, "db.part/tx", nullptr, false, nullptr},
    {part_user, "db.part/user", nullptr, false, nullptr},
};

bool is_many(system_entity e) {
    return e == entity_attrs || e == entity_preds || e == attribute_preds;
}

}  // namespace

entity_id bootstrap_id(std::string_view name) {
    for (const auto& b : bootstrap_entities)
        if (name == b.ident) return id_of(b.id);
    return 0;
}

std::optional<std::string_view> bootstrap_ident(entity_id e) {
    for (const auto& b : bootstrap_entities)
        if (id_of(b.id) == e) return b.ident;
    return std::nullopt;
}

schema bootstrap_schema() {
    schema s;
    for (const auto& b : bootstrap_entities) {
        if (!b.type) continue;
        attribute a;
        a.id = id_of(b.id);
        a.ident = keyword{b.ident};
        a.type = *type_named(b.type);
        a.unique = b.unique_identity ? uniqueness::identity : uniqueness::none;
        a.many = is_many(b.id);
        if (a.is_tuple()) {
            a.tuple_types = {value_type::keyword};
            a.uniform = true;
        }
        s.put(a);
    }
    return s;
}

std::vector<datom> bootstrap_datoms() {
    std::vector<datom> datoms;
    const auto add = [&](system_entity e, system_entity a, value v) {
        datoms.push_back({id_of(e), id_of(a), std::move(v), entity_of_t(0), true});
    };
    for (const auto& b : bootstrap_entities) {
        add(b.id, ident, keyword{b.ident});
        if (!b.type) continue;
        add(b.id, value_type_attribute, bootstrap_id(b.type));
        add(b.id, cardinality, id_of(is_many(b.id) ? cardinality_many : cardinality_one));
        if (*type_named(b.type) == value_type::tuple)
            add(b.id, tuple_type, keyword{name_of(value_type::keyword)});
        if (b.unique_identity) add(b.id, unique, id_of(unique_identity));
        add(b.id, doc, b.doc);
    }
    return datoms;
}

}  // namespace tributary::datom
