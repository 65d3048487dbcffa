#include "tributary/datom/builtins.hpp"

#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <unordered_map>

namespace tributary::datom::datalog {

namespace {

using args = std::span<const cell>;

/// Rules can put collections into collections without end.
void check_nesting(args items, int levels = nesting_max - 1) {
    for (const cell& item : items) {
        if (!item.is_collection()) continue;
        if (levels == 0) {
            fail_call(
                "db.error/limit",
                "a collection of more than " + std::to_string(nesting_max) + " levels of nesting");
        }
        check_nesting({item.items, item.size}, levels - 1);
    }
}

cell as_vector(call_context& c, args items) {
    check_nesting(items);
    const auto to = c.memory.make<cell>(items.size());
    std::copy(items.begin(), items.end(), to.begin());
    return cell::of_items(kind::vector, to);
}

/// Sets and maps have an order of their own, which the data model knows.
cell canonical(call_context& c, const value& v) { return to_cell(v, c.memory); }

cell make_map_cell(call_context& c, args a) {
    check_nesting(a);
    if (a.size() % 2 != 0) fail_call("hash-map takes keys and values in turn");
    std::vector<std::pair<value, value>> entries;
    for (std::size_t i = 0; i < a.size(); i += 2)
        entries.emplace_back(to_value(a[i]), to_value(a[i + 1]));
    return canonical(c, make_map(std::move(entries)));
}

cell make_set_cell(call_context& c, args a) {
    if (!a[0].is_sequence()) fail_call("set takes a collection, found " + describe(a[0]));
    std::vector<value> items;
    for (const cell& item : a[0].span()) items.push_back(to_value(item));
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    return canonical(c, make_set(std::move(items)));
}

const cell* map_entry(const cell& map, const cell& key) {
    for (std::uint32_t i = 0; i + 1 < map.size; i += 2) {
        if (equal(map.items[i], key)) return &map.items[i + 1];
    }
    return nullptr;
}

cell get(call_context&, args a) {
    const cell missing = a.size() == 3 ? a[2] : cell();
    if (a[0].is(kind::map)) {
        const cell* found = map_entry(a[0], a[1]);
        return found == nullptr ? missing : *found;
    }
    if (a[0].is(kind::set)) {
        const auto items = a[0].span();
        const auto found = std::find_if(
            items.begin(), items.end(), [&](const cell& item) { return equal(item, a[1]); });
        return found == items.end() ? missing : *found;
    }
    const bool inside = a[0].is(kind::vector) && a[1].is(kind::integer) && a[1].integer >= 0 &&
                        a[1].integer < a[0].size;
    return inside ? a[0].items[a[1].integer] : missing;
}

bool has_element(const cell& in, const cell& wanted) {
    const auto items = in.span();
    return std::any_of(
        items.begin(), items.end(), [&](const cell& item) { return equal(item, wanted); });
}

cell contains(call_context&, args a) {
    if (a[0].is(kind::map)) return cell::of(map_entry(a[0], a[1]) != nullptr);
    if (a[0].is(kind::set)) return cell::of(has_element(a[0], a[1]));
    if (a[0].is(kind::vector))
        return cell::of(a[1].is(kind::integer) && a[1].integer >= 0 && a[1].integer < a[0].size);
    fail_call("contains? takes a set, map or vector first, found " + describe(a[0]));
}

cell in_collection(call_context&, args a) {
    if (!a[1].is_sequence()) fail_call("in takes a collection second, found " + describe(a[1]));
    return cell::of(has_element(a[1], a[0]));
}

bool is_empty(const cell& c) {
    if (c.is_nil()) return true;
    if (!c.is_collection() && !c.is(kind::string))
        fail_call("expected a collection or a string, found " + describe(c));
    return c.size == 0;
}

cell type_name(call_context& c, args a) {
    return a[0].is_nil() ? cell() : cell::of_text(kind::keyword, c.memory.copy(name_of(a[0].type)));
}

/// The argument list spread: (tuple ?a ?b), and (untuple ?t), whose result is taken apart by its
/// binding.
cell untuple(call_context&, args a) {
    if (!a[0].is(kind::vector)) fail_call("untuple takes a tuple, found " + describe(a[0]));
    return a[0];
}

cell range(call_context& c, args a) {
    for (const cell& bound : a) {
        if (!bound.is(kind::integer)) fail_call("range takes integers, found " + describe(bound));
    }
    const std::int64_t from = a.size() == 1 ? 0 : a[0].integer;
    const std::int64_t to = a.size() == 1 ? a[0].integer : a[1].integer;
    const std::int64_t step = a.size() == 3 ? a[2].integer : 1;
    if (step == 0) fail_call("db.error/limit", "range with a step of 0 never ends");
    std::vector<cell, counted_allocator<cell>> items;
    for (std::int64_t i = from; step > 0 ? i < to : i > to;) {
        items.push_back(cell::of(i));
        if (items.size() % 65536 == 0) c.stop();
        if (items.size() > 10'000'000)
            fail_call("db.error/limit", "range of more than 10,000,000 numbers");
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return as_vector(c, items);
}

std::string_view local_name(std::string_view text) {
    const auto slash = text.find('/');
    return slash == std::string_view::npos || text.size() == 1 ? text : text.substr(slash + 1);
}

cell name(call_context&, args a) {
    if (a[0].is(kind::string)) return a[0];
    if (!a[0].is(kind::keyword) && !a[0].is(kind::symbol))
        fail_call("name takes a keyword, symbol or string, found " + describe(a[0]));
    return cell::of_text(kind::string, local_name(a[0].view()));
}

cell name_space(call_context&, args a) {
    if (!a[0].is(kind::keyword) && !a[0].is(kind::symbol))
        fail_call("namespace takes a keyword or symbol, found " + describe(a[0]));
    const auto slash = a[0].view().find('/');
    if (slash == std::string_view::npos || a[0].size == 1) return {};
    return cell::of_text(kind::string, a[0].view().substr(0, slash));
}

cell make_keyword(call_context& c, args a) {
    std::string text;
    for (const cell& part : a) {
        if (!part.is(kind::string) && !part.is(kind::keyword) && !part.is(kind::symbol)) {
            fail_call("keyword takes strings, found " + describe(part));
        }
        text += (text.empty() ? "" : "/") + std::string(part.view());
    }
    return cell::of_text(kind::keyword, c.memory.copy(text));
}

bool all_equal(args a) {
    return std::all_of(
        a.begin() + 1, a.end(), [&](const cell& other) { return equal(a[0], other); });
}

/// The first half of the arguments as a whole differs from the second: (-differ? ?a ?b 1 2).
cell differ(call_context&, args a) {
    const std::size_t half = a.size() / 2;
    return cell::of(a.size() % 2 != 0 ||
                    !std::equal(a.begin(),
                                a.begin() + static_cast<std::ptrdiff_t>(half),
                                a.begin() + static_cast<std::ptrdiff_t>(half),
                                [](const cell& x, const cell& y) { return equal(x, y); }));
}

/// A function as a value: its name, or this list.
cell complement(call_context& c, args a) {
    check_nesting(a);
    if (!a[0].is(kind::symbol) && !a[0].is(kind::list))
        fail_call("complement takes a function (its name, a symbol), found " + describe(a[0]));
    const auto items = c.memory.make<cell>(2);
    items[0] = cell::of_text(kind::symbol, "complement");
    items[1] = a[0];
    return cell::of_items(kind::list, items);
}

/// A text is neither before nor after a number.
void check_order(const cell& a, const cell& b) {
    if (a.type == b.type || (a.is_number() && b.is_number()) || a.is_nil() || b.is_nil()) return;
    fail_call("it compares numbers, or two values of one type, found " + describe(a) + " and " +
              describe(b));
}

/// Numbers of one size are neither less nor greater, whatever their types.
template <bool across_types, auto holds>
cell ordered(call_context&, args a) {
    for (std::size_t i = 1; i < a.size(); ++i) {
        if (!across_types) check_order(a[i - 1], a[i]);
        const auto order =
            same_number(a[i - 1], a[i]) ? std::strong_ordering::equal : compare(a[i - 1], a[i]);
        if (!holds(order)) return cell::of(false);
    }
    return cell::of(true);
}

constexpr auto is_less = [](std::strong_ordering c) { return c < 0; };
constexpr auto is_at_most = [](std::strong_ordering c) { return c <= 0; };
constexpr auto is_greater = [](std::strong_ordering c) { return c > 0; };
constexpr auto is_at_least = [](std::strong_ordering c) { return c >= 0; };

template <bool across_types>
constexpr builtin orders[] = {
    {"<", 1, any_number, ordered<across_types, is_less>},
    {"<=", 1, any_number, ordered<across_types, is_at_most>},
    {">", 1, any_number, ordered<across_types, is_greater>},
    {">=", 1, any_number, ordered<across_types, is_at_least>},
    {"before?", 2, 2, ordered<across_types, is_less>},
    {"after?", 2, 2, ordered<across_types, is_greater>},
};

constexpr builtin values[] = {
    {"=", 1, any_number, [](call_context&, args a) { return cell::of(all_equal(a)); }},
    {"not=", 1, any_number, [](call_context&, args a) { return cell::of(!all_equal(a)); }},
    {"!=", 1, any_number, [](call_context&, args a) { return cell::of(!all_equal(a)); }},
    {"identical?", 2, 2, [](call_context&, args a) { return cell::of(all_equal(a)); }},
    {"-differ?", 1, any_number, differ},
    {"complement", 1, 1, complement},
    {"compare",
     2,
     2,
     [](call_context&, args a) {
         const auto c = compare(a[0], a[1]);
         return cell::of(std::int64_t{c < 0 ? -1 : (c > 0 ? 1 : 0)});
     }},
    {"true?",
     1,
     1,
     [](call_context&, args a) { return cell::of(a[0].is(kind::boolean) && a[0].integer != 0); }},
    {"false?",
     1,
     1,
     [](call_context&, args a) { return cell::of(a[0].is(kind::boolean) && a[0].integer == 0); }},
    {"nil?", 1, 1, [](call_context&, args a) { return cell::of(a[0].is_nil()); }},
    {"some?", 1, 1, [](call_context&, args a) { return cell::of(!a[0].is_nil()); }},
    {"not", 1, 1, [](call_context&, args a) { return cell::of(!a[0].is_true()); }},
    {"and",
     0,
     any_number,
     [](call_context&, args a) {
         for (const cell& c : a) {
             if (!c.is_true()) return c;
         }
         return a.empty() ? cell::of(true) : a.back();
     }},
    {"or",
     0,
     any_number,
     [](call_context&, args a) {
         for (const cell& c : a) {
             if (c.is_true()) return c;
         }
         return a.empty() ? cell() : a.back();
     }},
    {"identity", 1, 1, [](call_context&, args a) { return a[0]; }},
    {"ground", 1, 1, [](call_context&, args a) { return a[0]; }},
    {"vector", 0, any_number, as_vector},
    {"tuple", 1, any_number, as_vector},
    {"untuple", 1, 1, untuple},
    {"list",
     0,
     any_number,
     [](call_context& c, args a) { return cell::of_items(kind::list, as_vector(c, a).span()); }},
    {"set", 1, 1, make_set_cell},
    {"hash-map", 0, any_number, make_map_cell},
    {"array-map", 0, any_number, make_map_cell},
    {"get", 2, 3, get},
    {"contains?", 2, 2, contains},
    {"in", 2, 2, in_collection},
    {"not-in",
     2,
     2,
     [](call_context& c, args a) { return cell::of(!in_collection(c, a).is_true()); }},
    {"empty?", 1, 1, [](call_context&, args a) { return cell::of(is_empty(a[0])); }},
    {"not-empty", 1, 1, [](call_context&, args a) { return is_empty(a[0]) ? cell() : a[0]; }},
    {"type", 1, 1, type_name},
    {"range", 1, 3, range},
    {"name", 1, 1, name},
    {"namespace", 1, 1, name_space},
    {"keyword", 1, 2, make_keyword},
    {"inst-ms",
     1,
     1,
     [](call_context&, args a) {
         if (!a[0].is(kind::inst)) fail_call("inst-ms takes an instant, found " + describe(a[0]));
         return cell::of(a[0].integer);
     }},
    {"tx->t",
     1,
     1,
     [](call_context&, args a) {
         if (!a[0].is(kind::integer))
             fail_call("tx->t takes a transaction's entity id, found " + describe(a[0]));
         return cell::of(
             std::int64_t{a[0].integer >= tx_partition ? t_of_entity(a[0].integer) : a[0].integer});
     }},
    {"t->tx",
     1,
     1,
     [](call_context&, args a) {
         if (!a[0].is(kind::integer)) fail_call("t->tx takes a t, found " + describe(a[0]));
         return cell::of(
             std::int64_t{a[0].integer >= tx_partition ? a[0].integer : entity_of_t(a[0].integer)});
     }},
};

const std::unordered_map<std::string_view, const builtin*>& by_name() {
    static const auto all = [] {
        std::unordered_map<std::string_view, const builtin*> names;
        for (const auto some : {number_builtins(),
                                value_builtins(),
                                order_builtins(),
                                text_builtins(),
                                string_builtins(),
                                database_builtins()}) {
            for (const builtin& b : some) names.emplace(b.name, &b);
        }
        return names;
    }();
    return all;
}

}  // namespace

std::span<const builtin> value_builtins() { return values; }
std::span<const builtin> order_builtins() { return orders<false>; }

const builtin* comparing_all_types(const builtin* b) {
    const auto all = std::span<const builtin>(orders<true>);
    const auto twin = std::find_if(all.begin(), all.end(), [&](const builtin& other) {
        return b != nullptr && b->name == other.name;
    });
    return twin != all.end() ? &*twin : b;
}

const builtin* find_builtin(std::string_view name) {
    const auto found = by_name().find(name);
    if (found != by_name().end()) return found->second;
    // How Clojure programs write the same functions.
    for (const std::string_view space : {"clojure.core/", "datomic.api/", "d/"}) {
        if (!name.starts_with(space)) continue;
        const auto plain = by_name().find(name.substr(space.size()));
        if (plain != by_name().end()) return plain->second;
    }
    for (const std::string_view space : {"str/", "string/"}) {
        if (!name.starts_with(space)) continue;
        const auto text =
            by_name().find("clojure.string/" + std::string(name.substr(space.size())));
        if (text != by_name().end()) return text->second;
    }
    return nullptr;
}

void fail_call(const std::string& problem) { fail_call("db.error/type-mismatch", problem); }

void fail_call(const char* name, const std::string& problem) {
    throw error(errc::bad_input, name, problem);
}

}  // namespace tributary::datom::datalog
