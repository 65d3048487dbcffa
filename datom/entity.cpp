#include "tributary/datom/entity.hpp"

#include "tributary/datom/reader.hpp"

#include <algorithm>

namespace tributary::datom {

namespace {

/// The attribute a name asks for.
struct attribute_name {
    const attribute* what = nullptr;  ///< null if there is none
    bool reverse = false;

    bool single() const { return reverse ? what->component : !what->many; }
};

attribute_name named(const reader& r, const keyword& name) {
    const std::size_t slash = name.text.find('/');
    const std::size_t at = slash == std::string::npos ? 0 : slash + 1;
    if (at + 1 >= name.text.size() || name.text[at] != '_')
        return {r.find_attribute(name.text), false};
    std::string ident = name.text;
    const attribute* found = r.find_attribute(ident.erase(at, 1));
    return {found && found->is_ref() ? found : nullptr, true};
}

/// The values of an attribute, or who refers by it, in index order.
std::vector<value> read(const reader& r, entity_id e, const attribute_name& name) {
    std::vector<value> values;
    const auto visit = [&](const datom_ref& f) {
        values.push_back(name.reverse ? value(f.e) : f.v.to_value());
        return !name.single();
    };
    if (name.reverse)
        r.scan_vaet(e, name.what, visit);
    else
        r.scan_eavt(e, name.what, visit);
    return values;
}

/// A ref as who reads it wants it: the target's ident if it has one.
value named_ref(const reader& r, const value& target) {
    const std::optional<keyword> ident = r.ident(target.as<std::int64_t>());
    return ident ? value(*ident) : target;
}

/// Components inside each other; a result is walked on the stack by who holds it.
constexpr std::size_t levels_max = 500;

/// Reads whole entities. `path_` has those under way: a component that contains itself stands in
/// itself by its id alone.
class toucher {
public:
    explicit toucher(const reader& r) : reader_(r) {}

    std::vector<std::pair<value, value>> attributes_of(entity_id e) {
        if (path_.size() == levels_max) {
            throw error(errc::limit,
                        "db.error/nesting-limit",
                        "entity: more than " + std::to_string(levels_max) +
                            " components inside each other; pull them with a number of levels");
        }
        std::vector<std::pair<const attribute*, std::vector<value>>> facts;
        reader_.scan_eavt(e, nullptr, [&](const datom_ref& f) {
            if (facts.empty() || facts.back().first->id != f.a)
                facts.push_back({reader_.find_attribute(f.a), {}});
            facts.back().second.push_back(f.v.to_value());
            return true;
        });
        path_.push_back(e);
        std::vector<std::pair<value, value>> entries;
        for (auto& [what, values] : facts) {
            if (what->is_ref())
                for (value& v : values) v = what->component ? component(v) : named_ref(reader_, v);
            value v = what->many ? make_set(std::move(values)) : std::move(values.front());
            entries.emplace_back(what->ident, std::move(v));
        }
        path_.pop_back();
        return entries;
    }

private:
    value component(const value& target) {
        const entity_id e = target.as<std::int64_t>();
        std::vector<std::pair<value, value>> entries;
        if (std::find(path_.begin(), path_.end(), e) == path_.end()) entries = attributes_of(e);
        entries.emplace_back(keyword{"db/id"}, e);
        return make_map(std::move(entries));
    }

    const reader& reader_;
    std::vector<entity_id> path_;
};

}  // namespace

std::optional<entity> entity::of(const db& d, const value& id) {
    if (d.get().is_history()) {
        throw error(errc::misuse,
                    "db.error/history",
                    "entity: a history has no one state of an entity; use the database it is the "
                    "history of, or as_of");
    }
    const std::optional<entity_id> e = d.get().entid(id);
    if (!e) return std::nullopt;
    return entity(d, *e);
}

value entity::get(const keyword& attribute) const {
    const reader& r = db_.get();
    if (attribute.text == "db/id") return id_;
    const attribute_name name = named(r, attribute);
    if (!name.what) return nullptr;
    std::vector<value> values = read(r, id_, name);
    if (values.empty()) return nullptr;
    if (name.what->is_ref() && !name.reverse)
        for (value& v : values) v = named_ref(r, v);
    if (name.single()) return std::move(values.front());
    return make_set(std::move(values));
}

std::vector<entity> entity::follow(const keyword& attribute) const {
    const reader& r = db_.get();
    const attribute_name name = named(r, attribute);
    std::vector<entity> found;
    if (!name.what || !name.what->is_ref()) return found;
    for (const value& v : read(r, id_, name)) found.push_back({db_, v.as<std::int64_t>()});
    return found;
}

std::vector<keyword> entity::keys() const {
    const reader& r = db_.get();
    std::vector<keyword> names;
    entity_id last = 0;
    r.scan_eavt(id_, nullptr, [&](const datom_ref& f) {
        if (f.a != last) names.push_back(r.find_attribute(f.a)->ident);
        last = f.a;
        return true;
    });
    return names;
}

value entity::touch() const { return make_map(toucher(db_.get()).attributes_of(id_)); }

bool entity::operator==(const entity& other) const {
    return id_ == other.id_ && &db_.get() == &other.db_.get();
}

}  // namespace tributary::datom
