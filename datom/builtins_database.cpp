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

template <class Items>
cell vector_of(call_context& c, const Items& items) {
    const auto to = c.memory.make<cell>(items.size());
    std::copy(items.begin(), items.end(), to.begin());
    return cell::of_items(kind::vector, to);
}

std::optional<time_point> point_of(const cell& c) {
    if (c.is_nil()) return std::nullopt;
    if (c.is(kind::integer)) return time_point(c.integer);
    if (c.is(kind::inst)) return time_point(inst{c.integer});
    fail_call("expected a t, a transaction or an instant, found " + describe(c));
}

cell entity_of(const source& s, const cell& c) {
    const std::optional<cell> e = s.entity(c);
    if (!e) fail_call("expected an entity, found " + describe(c));
    return *e;
}

/// An attribute, and which way it is followed.
struct direction {
    cell attribute;
    bool reverse = false;
};

/// `:ns/_attr` looks the other way.
direction direction_of(call_context& c, const cell& attribute) {
    std::string name = attribute.is(kind::keyword) ? std::string(attribute.view()) : std::string();
    const std::size_t local = name.find('/') == std::string::npos ? 0 : name.find('/') + 1;
    const bool reverse = name.size() > local + 1 && name[local] == '_';
    if (reverse) name.erase(local, 1);
    return {
        database(c).literal(
            at_a, reverse ? cell::of_text(kind::keyword, c.memory.copy(name)) : attribute, nullptr),
        reverse};
}

/// The same of one that has one value at most, so that "the value" says something.
direction single_direction_of(call_context& c, const cell& attribute) {
    const direction d = direction_of(c, attribute);
    if (database(c).is_many(d.attribute, d.reverse))
        fail_call(
            "db.error/type-mismatch",
            "this needs an attribute of cardinality one, but there may be several values of " +
                describe(attribute) +
                "; a pattern gives them all, missing? tells if there is "
                "none");
    return d;
}

std::optional<cell> first_value(call_context& c, const cell& entity, const direction& d) {
    const source& s = database(c);
    const cell e = entity_of(s, entity);
    std::optional<cell> found;
    const std::array<const cell*, 3> fixed =
        d.reverse ? std::array<const cell*, 3>{nullptr, &d.attribute, &e}
                  : std::array<const cell*, 3>{&e, &d.attribute, nullptr};
    s.scan(fixed, d.reverse ? 1U << at_e : 1U << at_v, {}, [&](const cell* row, std::size_t) {
        found = persist(row[d.reverse ? at_e : at_v], c.memory);
        return false;
    });
    return found;
}

cell get_else(call_context& c, args a) {
    if (a[2].is_nil())
        fail_call("get-else needs a default that is not nil; use missing? to test for absence");
    return first_value(c, a[0], single_direction_of(c, a[1])).value_or(a[2]);
}

cell get_some(call_context& c, args a) {
    // All are looked at first: whether one may be asked for does not depend on the facts.
    std::vector<direction> ways;
    for (const cell& attribute : a.subspan(1)) ways.push_back(single_direction_of(c, attribute));
    for (std::size_t i = 0; i < ways.size(); ++i) {
        const std::optional<cell> found = first_value(c, a[0], ways[i]);
        if (!found) continue;
        const auto pair = c.memory.make<cell>(2);
        pair[0] = ways[i].attribute;
        pair[1] = *found;
        return cell::of_items(kind::vector, pair);
    }
    return {};
}

cell missing(call_context& c, args a) {
    return cell::of(!first_value(c, a[0], direction_of(c, a[1])).has_value());
}

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
    return vector_of(c, rows);
}

/// The transactions from start (included) to end (not), of nil an open end.
cell tx_ids(call_context& c, args a) {
    std::vector<cell, counted_allocator<cell>> ids;
    std::get<db>(database(c).as_input())
        .tx_range(point_of(a[0]), point_of(a[1]), [&](const log_tx& tx) {
            c.stop();
            ids.push_back(cell::of(std::int64_t{entity_of_t(tx.t)}));
            return true;
        });
    return vector_of(c, ids);
}

/// The datoms [e a v tx added] of one transaction.
cell tx_data(call_context& c, args a) {
    const std::optional<time_point> tx = point_of(a[0]);
    if (!tx) fail_call("tx-data takes a t or a transaction, found nil");
    std::vector<cell> rows;
    // From the transaction on, the first is the one: an instant names the last at or before it.
    std::get<db>(database(c).as_input()).tx_range(tx, std::nullopt, [&](const log_tx& found) {
        const std::int64_t* t = std::get_if<std::int64_t>(&*tx);
        const bool same = t == nullptr || found.t == (*t >= tx_partition ? t_of_entity(*t) : *t);
        for (const datom& d : found.data) {
            if (!same) break;
            c.stop();
            const std::array<cell, database_width> row{cell::of(std::int64_t{d.e}),
                                                       cell::of(std::int64_t{d.a}),
                                                       to_cell(d.v, c.memory),
                                                       cell::of(std::int64_t{d.tx}),
                                                       cell::of(d.added)};
            rows.push_back(vector_of(c, row));
        }
        return false;
    });
    return vector_of(c, rows);
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
    {"tx-ids", 2, 2, tx_ids, true},
    {"tx-data", 1, 1, tx_data, true},
    {"entid", 1, 1, entid, true},
    {"ident", 1, 1, ident, true},
};

}  // namespace

std::span<const builtin> database_builtins() { return all; }

}  // namespace tributary::datom::datalog
