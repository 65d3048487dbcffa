#include "tributary/datom/builtins.hpp"

#include <algorithm>
#include <array>

namespace tributary::datom::datalog {

namespace {

using args = std::span<const cell>;

const source& database(const call_context& c) {
    if (!c.database->is_database())
        fail_call("this needs a database; the source is a collection of tuples");
    return *c.database;
}

cell entity_of(const source& s, const cell& c) {
    const std::optional<cell> e = s.entity(c);
    if (!e) fail_call("expected an entity, found " + describe(c));
    return *e;
}

/// The first value of an attribute of an entity; `:ns/_attr` looks the other way.
std::optional<cell> first_value(call_context& c, const cell& entity, const cell& attribute) {
    const source& s = database(c);
    const cell e = entity_of(s, entity);
    std::string name = attribute.is(kind::keyword) ? std::string(attribute.view()) : std::string();
    const std::size_t local = name.find('/') == std::string::npos ? 0 : name.find('/') + 1;
    const bool reverse = name.size() > local + 1 && name[local] == '_';
    if (reverse) name.erase(local, 1);
    const cell a = s.literal(
        at_a, reverse ? cell::of_text(kind::keyword, c.memory.copy(name)) : attribute, nullptr);
    std::optional<cell> found;
    const std::array<const cell*, 3> fixed = reverse ? std::array<const cell*, 3>{nullptr, &a, &e}
                                                     : std::array<const cell*, 3>{&e, &a, nullptr};
    s.scan(fixed, reverse ? 1U << at_e : 1U << at_v, {}, [&](const cell* row, std::size_t) {
        found = persist(row[reverse ? at_e : at_v], c.memory);
        return false;
    });
    return found;
}

cell get_else(call_context& c, args a) {
    if (a[2].is_nil())
        fail_call("get-else needs a default that is not nil; use missing? to test for absence");
    return first_value(c, a[0], a[1]).value_or(a[2]);
}

cell get_some(call_context& c, args a) {
    for (const cell& attribute : a.subspan(1)) {
        const std::optional<cell> found = first_value(c, a[0], attribute);
        if (!found) continue;
        const auto pair = c.memory.make<cell>(2);
        pair[0] = database(c).literal(at_a, attribute, nullptr);
        pair[1] = *found;
        return cell::of_items(kind::vector, pair);
    }
    return {};
}

cell missing(call_context& c, args a) { return cell::of(!first_value(c, a[0], a[1]).has_value()); }

cell fulltext(call_context& c, args a) {
    if (!a[1].is(kind::string))
        fail_call("fulltext takes the words to look for as a string, found " + describe(a[1]));
    std::vector<cell> rows;
    database(c).fulltext(a[0], a[1].view(), [&](const cell* row, std::size_t width) {
        const auto copy = c.memory.make<cell>(width);
        for (std::size_t i = 0; i < width; ++i) copy[i] = row[i];
        rows.push_back(cell::of_items(kind::vector, copy));
        return true;
    });
    const auto all = c.memory.make<cell>(rows.size());
    std::copy(rows.begin(), rows.end(), all.begin());
    return cell::of_items(kind::vector, all);
}

cell entid(call_context& c, args a) { return database(c).entity(a[0]).value_or(cell()); }

cell ident(call_context& c, args a) {
    if (a[0].is(kind::keyword)) return a[0];
    const std::optional<cell> e = database(c).entity(a[0]);
    return e ? database(c).ident(*e) : cell();
}

constexpr builtin all[] = {
    {"get-else", 3, 3, get_else, true},
    {"get-some", 2, any_number, get_some, true},
    {"missing?", 2, 2, missing, true},
    {"fulltext", 2, 2, fulltext, true},
    {"entid", 1, 1, entid, true},
    {"ident", 1, 1, ident, true},
};

}  // namespace

std::span<const builtin> database_builtins() { return all; }

}  // namespace tributary::datom::datalog
