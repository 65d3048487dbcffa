#include "tributary/datom/query_aggregate.hpp"

#include "tributary/value/msgpack.hpp"

#include <cmath>
#include <numeric>
#include <random>

namespace tributary::datom::datalog {

namespace {

/// The values of one group, and where results may be kept.
struct group {
    const column& values;
    std::span<const row_id> rows;
    arena& memory;
    stop_check& stop;
    const cell& operator[](std::size_t i) const { return values[rows[i]]; }
    std::size_t size() const { return rows.size(); }
};

[[noreturn]] void fail(const std::string& problem) { throw error(errc::bad_input, problem); }

cell keep_vector(arena& memory, const std::vector<cell>& items) {
    const auto to = memory.make<cell>(items.size());
    std::copy(items.begin(), items.end(), to.begin());
    return cell::of_items(kind::vector, to);
}

double number_of(const cell& c) {
    if (!c.is_number()) fail("expected numbers, found " + describe(c));
    return as_double(c);
}

std::vector<cell> distinct_cells(const group& g) {
    const std::vector<cell> all = [&] {
        std::vector<cell> cells;
        for (const row_id row : g.rows) cells.push_back(g.values[row]);
        return cells;
    }();
    std::vector<cell> distinct;
    for (const row_id row : distinct_rows({&all}, all.size(), g.stop)) distinct.push_back(all[row]);
    return distinct;
}

cell sum(const group& g) {
    bool whole = true;
    std::int64_t integers = 0;
    double reals = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
        reals += number_of(g[i]);
        whole = whole && g[i].is(kind::integer);
        if (whole && __builtin_add_overflow(integers, g[i].integer, &integers))
            fail("the sum is beyond 64 bits");
    }
    return whole ? cell::of(integers) : cell::of(reals);
}

double mean(const group& g) {
    double total = 0;
    for (std::size_t i = 0; i < g.size(); ++i) total += number_of(g[i]);
    return total / static_cast<double>(g.size());
}

/// total / n: an integer if both are and it is one, as `/` has it.
cell divided(std::int64_t total, std::size_t n) {
    const auto count = static_cast<std::int64_t>(n);
    if (total % count == 0) return cell::of(std::int64_t{total / count});
    return cell::of(static_cast<double>(total) / static_cast<double>(count));
}

/// The sum of f of the values, if they are integers and it fits one.
template <class Function>
std::optional<std::int64_t> whole_sum(const group& g, Function f) {
    std::int64_t total = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
        std::int64_t term = 0;
        if (!g[i].is(kind::integer) || !f(g[i].integer, term)) return std::nullopt;
        if (__builtin_add_overflow(total, term, &total)) return std::nullopt;
    }
    return total;
}

cell average(const group& g) {
    const auto total = whole_sum(g, [](std::int64_t x, std::int64_t& to) {
        to = x;
        return true;
    });
    return total ? divided(*total, g.size()) : cell::of(mean(g));
}

double variance(const group& g) {
    const double m = mean(g);
    double squares = 0;
    for (std::size_t i = 0; i < g.size(); ++i)
        squares += (as_double(g[i]) - m) * (as_double(g[i]) - m);
    return squares / static_cast<double>(g.size());
}

cell exact_variance(const group& g) {
    const cell middle = average(g);
    if (!middle.is(kind::integer)) return cell::of(variance(g));
    const auto squares = whole_sum(g, [&](std::int64_t x, std::int64_t& to) {
        std::int64_t distance = 0;
        return !__builtin_sub_overflow(x, middle.integer, &distance) &&
               !__builtin_mul_overflow(distance, distance, &to);
    });
    return squares ? divided(*squares, g.size()) : cell::of(variance(g));
}

std::vector<cell> sorted(const group& g) {
    std::vector<cell> all;
    for (const row_id row : g.rows) all.push_back(g.values[row]);
    std::sort(
        all.begin(), all.end(), [](const cell& a, const cell& b) { return compare(a, b) < 0; });
    return all;
}

cell median(const group& g) {
    for (std::size_t i = 0; i < g.size(); ++i) number_of(g[i]);
    const std::vector<cell> all = sorted(g);
    const std::size_t middle = all.size() / 2;
    if (all.size() % 2 == 1) return all[middle];
    return cell::of((as_double(all[middle - 1]) + as_double(all[middle])) / 2);
}

const cell& extreme(const group& g, bool least) {
    const cell* best = &g[0];
    for (std::size_t i = 1; i < g.size(); ++i) {
        const auto c = compare(g[i], *best);
        if (least ? c < 0 : c > 0) best = &g[i];
    }
    return *best;
}

/// The n least (or greatest, greatest first, as Datomic gives them) values.
cell extremes(const group& g, std::size_t n, bool least) {
    std::vector<cell> all = sorted(g);
    if (!least) std::reverse(all.begin(), all.end());
    all.resize(std::min(n, all.size()));
    if (!least) std::reverse(all.begin(), all.end());
    return keep_vector(g.memory, all);
}

std::mt19937_64& generator() {
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return engine;
}

cell sample(const group& g, std::size_t n) {
    const std::vector<cell> all = distinct_cells(g);
    std::vector<cell> some;
    std::sample(all.begin(), all.end(), std::back_inserter(some), n, generator());
    return keep_vector(g.memory, some);
}

cell random(const group& g) {
    return g[std::uniform_int_distribution<std::size_t>(0, g.size() - 1)(generator())];
}

cell random(const group& g, std::size_t n) {
    std::vector<cell> some;
    for (std::size_t i = 0; i < n; ++i) some.push_back(random(g));
    return keep_vector(g.memory, some);
}

/// Sets have the data model's order.
cell distinct(const group& g) {
    std::vector<value> items;
    for (const cell& c : distinct_cells(g)) items.push_back(to_value(c));
    return to_cell(make_set(std::move(items)), g.memory);
}

struct aggregate_function {
    std::string_view name;
    bool takes_number;  ///< may be called as (f n ?x)
    bool needs_number;
    cell (*run)(const group& g, std::optional<std::size_t> n);
};

constexpr aggregate_function functions[] = {
    {"count",
     false,
     false,
     [](const group& g, std::optional<std::size_t>) {
         return cell::of(static_cast<std::int64_t>(g.size()));
     }},
    {"count-distinct",
     false,
     false,
     [](const group& g, std::optional<std::size_t>) {
         return cell::of(static_cast<std::int64_t>(distinct_cells(g).size()));
     }},
    {"sum", false, false, [](const group& g, std::optional<std::size_t>) { return sum(g); }},
    {"avg", false, false, [](const group& g, std::optional<std::size_t>) { return average(g); }},
    {"median", false, false, [](const group& g, std::optional<std::size_t>) { return median(g); }},
    {"variance",
     false,
     false,
     [](const group& g, std::optional<std::size_t>) { return exact_variance(g); }},
    {"stddev",
     false,
     false,
     [](const group& g, std::optional<std::size_t>) { return cell::of(std::sqrt(variance(g))); }},
    {"min",
     true,
     false,
     [](const group& g, std::optional<std::size_t> n) {
         return n ? extremes(g, *n, true) : extreme(g, true);
     }},
    {"max",
     true,
     false,
     [](const group& g, std::optional<std::size_t> n) {
         return n ? extremes(g, *n, false) : extreme(g, false);
     }},
    {"distinct",
     false,
     false,
     [](const group& g, std::optional<std::size_t>) { return distinct(g); }},
    {"set", false, false, [](const group& g, std::optional<std::size_t>) { return distinct(g); }},
    {"rand",
     true,
     false,
     [](const group& g, std::optional<std::size_t> n) { return n ? random(g, *n) : random(g); }},
    {"sample",
     true,
     true,
     [](const group& g, std::optional<std::size_t> n) { return sample(g, *n); }},
};

const aggregate_function* find_function(std::string_view name) {
    const auto found = std::find_if(std::begin(functions),
                                    std::end(functions),
                                    [&](const aggregate_function& f) { return f.name == name; });
    return found == std::end(functions) ? nullptr : found;
}

std::optional<std::size_t> number_argument(const find_element& e,
                                           const relation& rows,
                                           row_id first) {
    if (e.args.size() == 1) return std::nullopt;
    const var_id* v = std::get_if<var_id>(&e.args.front());
    const cell n = v != nullptr ? rows.of(*v)[first] : std::get<cell>(e.args.front());
    if (!n.is(kind::integer) || n.integer < 0 || n.integer > 100'000'000)
        fail("expected how many as a number, found " + describe(n));
    return static_cast<std::size_t>(n.integer);
}

/// Rows of each group side by side: group g has order[begins[g]] .. order[begins[g + 1] - 1].
struct grouping {
    std::vector<row_id> order;
    std::vector<std::size_t> begins;
};

grouping sort_by_group(const std::vector<row_id>& group_of, std::size_t groups) {
    grouping g;
    g.begins.assign(groups + 1, 0);
    for (const row_id group : group_of) ++g.begins[group + 1];
    std::partial_sum(g.begins.begin(), g.begins.end(), g.begins.begin());
    std::vector<std::size_t> next(g.begins.begin(), g.begins.end() - (groups > 0 ? 1 : 0));
    g.order.resize(group_of.size());
    for (row_id row = 0; row < group_of.size(); ++row) g.order[next[group_of[row]]++] = row;
    return g;
}

value row_value(const find_spec& find, const std::vector<column>& columns, std::size_t row) {
    std::vector<value> items;
    items.reserve(columns.size());
    for (const column& c : columns) items.push_back(to_value(c[row]));
    if (find.keys.empty()) return items;
    std::vector<std::pair<value, value>> entries;
    for (std::size_t i = 0; i < items.size(); ++i)
        entries.emplace_back(find.keys[i], std::move(items[i]));
    return make_map(std::move(entries));
}

/// A set of the rows; sorted by their bytes here, which is much faster than comparing values.
value relation_value(const find_spec& find, const std::vector<column>& columns, stop_check& stop) {
    const std::size_t rows = columns.front().size();
    bytes all;
    std::vector<std::size_t> ends{0};
    std::vector<value> values;
    values.reserve(rows);
    for (std::size_t row = 0; row < rows; ++row) {
        stop();
        values.push_back(row_value(find, columns, row));
        encode_to(all, values.back());
        ends.push_back(all.size());
    }
    const auto key = [&](row_id row) {
        return bytes_view(all).substr(ends[row], ends[row + 1] - ends[row]);
    };
    std::vector<row_id> order(rows);
    std::iota(order.begin(), order.end(), row_id{0});
    std::sort(order.begin(), order.end(), [&](row_id a, row_id b) { return key(a) < key(b); });
    set result;
    result.items.reserve(rows);
    for (std::size_t i = 0; i < rows; ++i) {
        // Aggregates without the variables they are grouped by may give one row twice.
        if (i == 0 || key(order[i]) != key(order[i - 1]))
            result.items.push_back(std::move(values[order[i]]));
    }
    return result;
}

}  // namespace

void check_aggregate(const find_element& e) {
    if (e.aggregate.empty()) return;
    const aggregate_function* f = find_function(e.aggregate);
    if (f == nullptr) {
        fail_clause(e.text,
                    "there is no aggregate named " + e.aggregate +
                        "; there are count, count-distinct, sum, avg, min, max, median, variance, "
                        "stddev, distinct, rand, sample");
    }
    const std::size_t most = f->takes_number ? 2 : 1;
    const std::size_t least = f->needs_number ? 2 : 1;
    if (e.args.size() < least || e.args.size() > most) {
        fail_clause(e.text,
                    f->needs_number ? "expected (" + e.aggregate + " n ?x)"
                                    : "too many arguments for " + e.aggregate);
    }
}

std::vector<column> aggregate(const find_spec& find,
                              const relation& rows,
                              arena& memory,
                              stop_check& stop) {
    std::vector<const column*> keys;
    for (const find_element& e : find.elements) {
        if (e.aggregate.empty()) keys.push_back(&rows.of(e.var()));
    }
    std::size_t groups = 0;
    const std::vector<row_id> group_of = group_rows(keys, rows.rows, groups, stop);
    const grouping by_group = sort_by_group(group_of, groups);
    std::vector<column> columns(find.elements.size());
    for (std::size_t i = 0; i < find.elements.size(); ++i) {
        const find_element& e = find.elements[i];
        const column& values = rows.of(e.var());
        const aggregate_function* f = e.aggregate.empty() ? nullptr : find_function(e.aggregate);
        columns[i].reserve(groups);
        for (std::size_t g = 0; g < groups; ++g) {
            stop();
            const auto members =
                std::span(by_group.order)
                    .subspan(by_group.begins[g], by_group.begins[g + 1] - by_group.begins[g]);
            if (f == nullptr) {
                columns[i].push_back(values[members.front()]);
                continue;
            }
            try {
                columns[i].push_back(f->run({values, members, memory, stop},
                                            number_argument(e, rows, members.front())));
            } catch (const error& problem) {
                if (problem.code() != errc::bad_input) throw;
                fail_clause(e.text, problem.what());
            }
        }
    }
    return columns;
}

value shape(const find_spec& find, const std::vector<column>& columns, bool bag, stop_check& stop) {
    const std::size_t rows = columns.front().size();
    switch (find.shape) {
        case find_spec::form::relation: {
            if (!bag) return relation_value(find, columns, stop);
            std::vector<value> items;
            for (std::size_t row = 0; row < rows; ++row)
                items.push_back(row_value(find, columns, row));
            return items;
        }
        case find_spec::form::tuple:
            return rows == 0 ? value() : row_value(find, columns, 0);
        case find_spec::form::scalar:
            return rows == 0 ? value() : to_value(columns.front().front());
        case find_spec::form::collection: {
            std::vector<value> items;
            for (const row_id row : distinct_rows({&columns.front()}, rows, stop))
                items.push_back(to_value(columns.front()[row]));
            return items;
        }
    }
    return {};
}

}  // namespace tributary::datom::datalog
