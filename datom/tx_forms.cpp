// From transaction forms to claims.

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/transaction.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>

namespace tributary::datom {

namespace {

constexpr std::string_view value_type_ident = "db/valueType";

/// A keyword's text, or that of a string ":ns/name"; empty for anything else.
std::string_view name_text(const value& v) {
    if (const auto* k = v.get_if<keyword>()) return k->text;
    if (const auto* s = v.get_if<std::string>(); s && s->size() > 1 && s->front() == ':')
        return std::string_view(*s).substr(1);
    return {};
}

const std::vector<value>* sequence_of(const value& v) {
    if (const auto* items = v.get_if<vector>()) return items;
    if (const auto* l = v.get_if<list>()) return &l->items;
    return nullptr;
}

/// Whether a form says something of the type of an attribute: such forms come first, so that others
/// may use the attribute.
bool declares_attribute(const value& form) {
    if (const auto* m = form.get_if<map>()) {
        for (const auto& [k, v] : m->entries)
            if (name_text(k) == value_type_ident) return true;
        return false;
    }
    const auto* items = sequence_of(form);
    return items && items->size() > 2 && name_text((*items)[0]) == "db/add" &&
           name_text((*items)[2]).starts_with("db/");
}

/// What older schemas say to install an attribute or a partition goes without saying here.
bool installs(std::string_view attribute) {
    return attribute.starts_with("db.install/") || attribute.starts_with("db.alter/");
}

const value* value_of(const map& m, std::string_view name) {
    for (const auto& [k, v] : m.entries)
        if (name_text(k) == name) return &v;
    return nullptr;
}

/// Errors: bad_input unless `v` may name an entity that a ref leads to.
void require_reference(const value& v) {
    const auto* items = v.get_if<vector>();
    if (v.get_if<std::int64_t>() || v.get_if<std::string>() || v.get_if<keyword>() ||
        (items && !items->empty()))
        return;
    throw error(errc::bad_input,
                tx_error::wrong_type,
                v.is_nil() ? std::string("nil is not a value; retract the fact instead")
                           : "a reference is an id, a tempid, an ident or a lookup ref, found " +
                                 edn::print(v));
}

/// "ns/_name" to "ns/name", "_name" to "name"; empty if it is not reversed.
std::string reversed(std::string_view name) {
    const auto slash = name.find('/');
    const std::size_t at = slash == name.npos ? 0 : slash + 1;
    if (at + 1 >= name.size() || name[at] != '_') return {};
    return std::string(name.substr(0, at)).append(name.substr(at + 1));
}

}  // namespace

void transaction::expand_all(const std::vector<value>& forms) {
    const auto pass = [&](bool declaring, bool any) {
        for (form_ = 0; form_ < forms.size(); ++form_)
            if (any || declares_attribute(forms[form_]) == declaring) expand(forms[form_]);
    };
    bool declared = false;
    for (const value& f : forms) declared = declared || declares_attribute(f);
    if (declared) {
        pass(true, false);
        if (fault_) throw *fault_;
        declare_attributes();
    }
    pass(false, !declared);
    if (fault_) throw *fault_;
}

/// A form that is refused is remembered: which of several is told must not depend on their order.
void transaction::expand(const value& form) {
    map_depth_ = 0;
    try {
        expand_form(form);
    } catch (const error& e) {
        const bool named = std::string_view(e.name()).starts_with("db.error/");
        const char* name = named ? e.name() : tx_error::syntax;
        if (!fault_ || std::string_view(name) < fault_->name())
            fault_ = error(e.code(), name, refusal(form_, e.what()));
    }
}

void transaction::expand_form(const value& form) {
    if (const auto* m = form.get_if<map>())
        expand_map(*m);
    else if (const auto* items = sequence_of(form))
        expand_list(*items);
    else if (!form.is_nil())
        throw error(
            errc::bad_input,
            std::string("a form is a map {attribute value ...} or a list [operation ...], found ") +
                tributary::name_of(form.type()));
}

// -- Names

const attribute* transaction::find_attribute(const value& name) const {
    if (const auto* id = name.get_if<std::int64_t>()) return attributes_->find(*id);
    const std::string_view text = name_text(name);
    return text.empty() ? nullptr : attributes_->find(text);
}

const attribute& transaction::attribute_named(const value& name) const {
    if (const attribute* a = find_attribute(name)) return *a;
    const std::string_view text = name_text(name);
    if (text.empty() && !name.get_if<std::int64_t>())
        throw error(errc::bad_input,
                    std::string("an attribute is named by a keyword, found ") +
                        tributary::name_of(name.type()) + missing_colon(name));
    const std::string shown =
        text.empty() ? std::to_string(name.as<std::int64_t>()) : ":" + std::string(text);
    const std::string nearest = nearest_name(*attributes_, text);
    throw error(errc::bad_input,
                tx_error::not_an_entity,
                "there is no attribute " + shown +
                    (nearest.empty()
                         ? "; declare it with :db/ident, :db/valueType and :db/cardinality first"
                         : nearest));
}

std::optional<entity_id> transaction::tx_alias(const value& v) const {
    if (const auto* s = v.get_if<std::string>();
        s && (*s == "datomic.tx" || *s == "datascript.tx")) {
        tx_names_.insert(*s);
        return tx_;
    }
    if (name_text(v) == "db/current-tx") return tx_;
    return std::nullopt;
}

transaction::slot transaction::tempid_named(value name) {
    const auto [it, is_new] = named_.try_emplace(name, -static_cast<slot>(tempids_.size()) - 1);
    if (is_new) tempids_.push_back({std::move(name), std::nullopt, false, false, std::nullopt});
    return it->second;
}

entity_id transaction::checked_id(std::int64_t id) const {
    const bool is_system = id >= system_partition && id < tx_partition;
    const bool is_tx = id >= tx_partition && id < user_partition;
    if (id < 0 || id >= entity_limit || (is_system && id >= next_.next_system) ||
        (is_tx && id > tx_))
        throw error(errc::bad_input,
                    tx_error::not_an_entity,
                    std::to_string(id) + " is not the id of an entity");
    return id;
}

std::optional<entity_id> transaction::look_up(const std::vector<value>& ref) const {
    if (ref.size() != 2)
        throw error(errc::bad_input, "a lookup ref has two elements, [unique-attribute value]");
    const attribute& a = attribute_named(ref[0]);
    if (!a.is_unique())
        throw error(errc::bad_input,
                    "a lookup ref needs a :db/unique attribute, " + name_of(a) + " is not");
    if (!a.is_ref()) return base_.holder(a, raw_value(a, ref[1]));
    const auto target = existing_entity(ref[1]);
    return target ? base_.holder(a, raw_ref(*target)) : std::nullopt;
}

/// An entity that is there already; nothing if an ident or a lookup ref finds none.
std::optional<entity_id> transaction::existing_entity(const value& v) const {
    if (const auto alias = tx_alias(v)) return alias;
    if (const auto* id = v.get_if<std::int64_t>()) {
        if (*id < 0)
            throw error(errc::bad_input,
                        tx_error::tempid_not_an_entity,
                        "a tempid (" + std::to_string(*id) + ") cannot stand here");
        return checked_id(*id);
    }
    if (const auto* items = v.get_if<vector>()) return look_up(*items);
    if (const std::string_view text = name_text(v); !text.empty()) {
        if (const attribute* a = attributes_->find(text)) return a->id;
        if (const entity_id ours = bootstrap_id(text)) return ours;
        const attribute& ident = *attributes_->find(id_of(system_entity::ident));
        return base_.holder(ident, encode_raw(value(keyword{std::string(text)}), ident.type));
    }
    if (v.get_if<std::string>())
        throw error(errc::bad_input,
                    tx_error::tempid_not_an_entity,
                    "a tempid (\"" + v.as<std::string>() + "\") cannot stand here");
    throw error(
        errc::bad_input,
        std::string(
            "an entity is named by an integer, a tempid, an ident or a lookup ref, found ") +
            tributary::name_of(v.type()));
}

/// A lookup ref that finds nothing yet, by an attribute of identity: another form may be about to
/// say it.
std::optional<transaction::slot> transaction::lookup_named(const value& ref) {
    const auto* items = ref.get_if<vector>();
    if (!items || items->size() != 2) return std::nullopt;
    const attribute& a = attribute_named((*items)[0]);
    if (a.unique != uniqueness::identity || a.is_ref()) return std::nullopt;
    const slot s = tempid_named(ref);
    tempids_[-s - 1].lookup = pending_lookup{&a, raw_value(a, (*items)[1]), form_};
    has_lookups_ = true;
    return s;
}

transaction::slot transaction::entity_named(const value& v) {
    const auto* id = v.get_if<std::int64_t>();
    const bool is_tempid = id ? *id < 0 : v.get_if<std::string>() && name_text(v).empty();
    if (is_tempid && !tx_alias(v)) return tempid_named(v);
    if (const auto found = existing_entity(v)) return *found;
    if (const auto pending = lookup_named(v)) return *pending;
    throw error(errc::bad_input,
                tx_error::not_an_entity,
                v.get_if<vector>() ? "nothing is found for the lookup ref"
                                   : "nothing has this ident: :" + std::string(name_text(v)));
}

bool transaction::is_lookup_ref(const value& v) const {
    const auto* items = v.get_if<vector>();
    if (!items || items->size() != 2) return false;
    const std::string_view text = name_text((*items)[0]);
    const attribute* a = text.empty() ? nullptr : attributes_->find(text);
    return a && a->is_unique();
}

// -- Adding

void transaction::add_claim(
    slot e, const attribute& a, bytes raw, std::optional<slot> target, bool added) {
    if (e < 0) {
        tempids_[-e - 1].is_entity = true;
        if (a.id == id_of(system_entity::value_type_attribute))
            tempids_[-e - 1].is_attribute = true;
    }
    claim c;
    c.e = e;
    c.a = &a;
    c.raw = std::move(raw);
    c.target = target;
    c.added = added;
    c.form = form_;
    claims_.push_back(std::move(c));
}

/// The elements if `v` is a collection of values of a cardinality-many attribute, else null.
const std::vector<value>* transaction::items_of(const attribute& a, const value& v) const {
    if (!a.many || (a.is_ref() && is_lookup_ref(v))) return nullptr;
    if (const auto* s = v.get_if<set>()) return &s->items;
    const auto* items = sequence_of(v);
    // Tuples hold no tuples.
    if (a.is_tuple() && items && !items->empty() && !sequence_of(items->front())) return nullptr;
    return items;
}

void transaction::add_values(slot e, const attribute& a, const value& v) {
    if (a.id == id_of(system_entity::ensure)) return ensure(e, v);
    if (const auto* items = items_of(a, v)) {
        for (const value& item : *items) add_value(e, a, item);
    } else {
        add_value(e, a, v);
    }
}

void transaction::add_value(slot e, const attribute& a, const value& v) {
    try {
        const bool is_collection = v.get_if<set>() || (sequence_of(v) && !a.is_ref());
        if (is_collection && !a.many && !a.is_tuple())
            throw error(
                errc::bad_input,
                tx_error::wrong_type,
                "one value is needed, of cardinality one, found the collection " + edn::print(v));
        if (!a.is_ref()) {
            add_claim(e, a, raw_value(a, v), std::nullopt, true);
        } else {
            const auto* nested = v.get_if<map>();
            if (!nested) require_reference(v);
            const slot target = nested ? expand_map(*nested) : entity_named(v);
            add_claim(e, a, {}, target, true);
        }
    } catch (const error& problem) {
        const bool is_type = a.id == id_of(system_entity::value_type_attribute);
        throw error(problem.code(),
                    problem.name(),
                    name_of(a) + ": " + problem.what() +
                        (is_type ? "; there are " + type_names_listed() : ""));
    }
}

/// Each level takes some of the stack.
constexpr int map_depth_max = 500;

transaction::slot transaction::expand_map(const map& m) {
    if (map_depth_ == map_depth_max) {
        throw error(errc::limit,
                    tx_error::nesting_limit,
                    "more than " + std::to_string(map_depth_max) +
                        " maps inside each other; give them tempids and refer to those");
    }
    ++map_depth_;
    std::optional<slot> e;
    for (const auto& [k, v] : m.entries)
        if (name_text(k) == "db/id") e = entity_named(v);
    if (!e) {
        e = -static_cast<slot>(tempids_.size()) - 1;
        tempids_.emplace_back();
    }
    for (const auto& [k, v] : m.entries) {
        const std::string_view name = name_text(k);
        if (name == "db/id" || installs(name)) continue;
        if (name == "db/type" && declares_attribute(value(m))) continue;
        if (name == value_type_ident) {
            // Where an attribute has both, DataScript goes by the other.
            const value* type = value_of(m, "db/type");
            add_values(*e, *find_attribute(k), type ? *type : v);
            continue;
        }
        if (const attribute* a = find_attribute(k)) {
            add_values(*e, *a, v);
        } else if (const std::string forward = reversed(name); !forward.empty()) {
            expand_reverse(*e, attribute_named(value(keyword{forward})), v);
        } else {
            attribute_named(k);
        }
    }
    --map_depth_;
    return *e;
}

/// :db/ensure is no fact: it asks for a check after the transaction.
void transaction::ensure(slot e, const value& spec) {
    const auto found = existing_entity(spec);
    if (!found)
        throw error(errc::bad_input,
                    tx_error::not_an_entity,
                    "nothing is found for the :db/ensure " + edn::print(spec));
    if (e < 0) tempids_[-e - 1].is_entity = true;
    ensured_.push_back({e, *found, form_});
}

void transaction::expand_reverse(slot e, const attribute& a, const value& v) {
    if (!a.is_ref())
        throw error(errc::bad_input,
                    tx_error::wrong_type,
                    "only a ref attribute can be reversed, " + name_of(a) + " is not one");
    const auto add = [&](const value& from) {
        const auto* nested = from.get_if<map>();
        add_claim(nested ? expand_map(*nested) : entity_named(from), a, {}, e, true);
    };
    const auto* s = v.get_if<set>();
    const auto* items = s ? &s->items : is_lookup_ref(v) ? nullptr : sequence_of(v);
    if (!items)
        add(v);
    else
        for (const value& item : *items) add(item);
}

// -- Operations

void transaction::expand_list(const std::vector<value>& items) {
    const std::string_view op = items.empty() ? std::string_view{} : name_text(items[0]);
    const auto require = [&](std::size_t least, std::size_t most, const char* shape) {
        if (items.size() < least || items.size() > most)
            throw error(errc::bad_input,
                        std::string("expected ") + shape + ", found " +
                            std::to_string(items.size()) + " elements");
    };
    if (op == "db/add") {
        require(4, 4, "[:db/add entity attribute value]");
        if (installs(name_text(items[2]))) return;
        const slot e = entity_named(items[1]);
        add_values(e, attribute_named(items[2]), items[3]);
    } else if (op == "db/retract" || op == "db.fn/retractAttribute") {
        require(3, 4, "[:db/retract entity attribute] or [:db/retract entity attribute value]");
        expand_retract(items);
    } else if (op == "db/retractEntity" || op == "db.fn/retractEntity") {
        require(2, 2, "[:db/retractEntity entity]");
        std::unordered_set<entity_id> seen;
        if (const auto e = entity_to_retract(items[1])) retract_entity(*e, seen);
    } else if (op == "db/cas" || op == "db.fn/cas") {
        require(5, 5, "[:db/cas entity attribute old new]");
        expand_cas(items);
    } else {
        throw error(
            errc::bad_input,
            op.empty()
                ? std::string("a list form begins with an operation such as :db/add")
                : "there is no operation or function :" + std::string(op) +
                      "; there are :db/add, :db/retract, :db/retractEntity, :db/cas and what "
                      "connection::define names");
    }
}

void transaction::retract(const stored_fact& f) {
    add_claim(f.e, *attributes_->find(f.a), f.raw, std::nullopt, false);
}

/// Nothing for a lookup ref that finds none: then there is nothing to retract. A name that is not
/// known is a slip.
std::optional<entity_id> transaction::entity_to_retract(const value& v) const {
    const auto found = existing_entity(v);
    if (!found && !v.get_if<vector>())
        throw error(errc::bad_input,
                    tx_error::not_an_entity,
                    "nothing has this ident: :" + std::string(name_text(v)));
    return found;
}

void transaction::expand_retract(const std::vector<value>& items) {
    const auto e = entity_to_retract(items[1]);
    const attribute& a = attribute_named(items[2]);
    if (!e) return;
    if (a.is_composite())
        throw error(errc::bad_input,
                    name_of(a) + " is made of its parts and cannot be retracted; retract those");
    if (items.size() == 3) {
        std::unordered_set<entity_id> seen{*e};
        // DataScript's name for it also takes what belongs to the entity, and what other forms add.
        const bool empties = name_text(items[0]) != "db/retract";
        if (empties) emptied_.push_back({*e, &a});
        for (const stored_fact& f : base_.facts_of(*e, &a)) {
            retract(f);
            if (a.component && empties) retract_entity(view_of_raw(f.raw).integer, seen);
        }
        return;
    }
    const auto retract_value = [&](const value& v) {
        if (!a.is_ref()) {
            add_claim(*e, a, raw_value(a, v), std::nullopt, false);
        } else if (require_reference(v); const auto target = entity_to_retract(v)) {
            add_claim(*e, a, raw_ref(*target), std::nullopt, false);
        }
    };
    if (const auto* values = items_of(a, items[3]))
        for (const value& v : *values) retract_value(v);
    else
        retract_value(items[3]);
}

/// From a list of what is still to be retracted, so that chains of components may have any length.
void transaction::retract_entity(entity_id first, std::unordered_set<entity_id>& seen) {
    std::vector<entity_id> open{first};
    while (!open.empty()) {
        const entity_id e = open.back();
        open.pop_back();
        if (!seen.insert(e).second) continue;
        if (attributes_->find(e) || bootstrap_ident(e))
            throw error(errc::bad_input,
                        tx_error::invalid_alter,
                        "an attribute or a system entity cannot be retracted");
        for (const stored_fact& f : base_.facts_about(e)) retract(f);
        for (const stored_fact& f : base_.facts_of(e, nullptr)) {
            const attribute& a = *attributes_->find(f.a);
            if (a.id != id_of(system_entity::tx_instant)) retract(f);
            if (a.component) open.push_back(view_of_raw(f.raw).integer);
        }
    }
}

/// Of a cardinality-many attribute, the old value is one of several and stays.
void transaction::expand_cas(const std::vector<value>& items) {
    const auto e = existing_entity(items[1]);
    if (!e)
        throw error(
            errc::bad_input, tx_error::not_an_entity, "nothing is found for the entity to compare");
    const attribute& a = attribute_named(items[2]);
    const auto raw_of = [&](const value& v) {
        if (!a.is_ref()) return raw_value(a, v);
        require_reference(v);
        const auto target = existing_entity(v);
        if (!target)
            throw error(errc::bad_input,
                        tx_error::not_an_entity,
                        "nothing is found for the referenced entity");
        return raw_ref(*target);
    };
    const std::vector<stored_fact> now = base_.facts_of(*e, &a);
    const bytes expected = items[3].is_nil() ? bytes() : raw_of(items[3]);
    bytes replacement = raw_of(items[4]);
    const bool holds = items[3].is_nil()
                           ? now.empty()
                           : std::any_of(now.begin(), now.end(), [&](const stored_fact& f) {
                                 return f.raw == expected;
                             });
    if (!holds) {
        std::string found;
        for (const stored_fact& f : now)
            found += (found.empty() ? "" : ", ") + edn::print(view_of_raw(f.raw).to_value());
        throw error(errc::conflict,
                    tx_error::cas_failed,
                    name_of(a) + " of " + std::to_string(*e) + " is " +
                        (found.empty() ? std::string("absent") : found) +
                        ", not what was expected, " + edn::print(items[3]));
    }
    add_claim(*e, a, std::move(replacement), std::nullopt, true);
}

}  // namespace tributary::datom
