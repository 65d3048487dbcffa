#include "tributary/datom/query_aggregate.hpp"

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

[[noreturn]] void fail(const std::string& problem) {
    throw error(errc::bad_input, "db.error/type-mismatch", problem);
}

cell keep_vector(arena& memory, const column& items) {
    const auto to = memory.make<cell>(items.size());
    std::copy(items.begin(), items.end(), to.begin());
    return cell::of_items(kind::vector, to);
}

double number_of(const cell& c) {
    if (!c.is_number()) fail("expected numbers, found " + describe(c));
    return as_double(c);
}

column values_of(const group& g) {
    column all;
    all.reserve(g.size());
    for (const row_id row : g.rows) all.push_back(g.values[row]);
    return all;
}

column distinct_cells(const group& g) {
    const column all = values_of(g);
    return gather(all, distinct_rows({&all}, all.size(), g.stop));
}

bool has(const group& g, kind k) {
    for (std::size_t i = 0; i < g.size(); ++i)
        if (g[i].is(k)) return true;
    return false;
}

/// With a bigint or decimal and no double among them: the exact sum, as text.
std::string exact_sum(const group& g, bool are_whole) {
    std::string total = "0";
    for (std::size_t i = 0; i < g.size(); ++i) {
        if (i % 1024 == 0) g.stop();
        total = *calculate(exact_operation::plus, total, number_text(g[i]), are_whole);
    }
    return total;
}

cell sum(const group& g) {
    bool whole = true, fits = true;
    std::int64_t integers = 0;
    double reals = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
        reals += number_of(g[i]);
        whole = whole && g[i].is(kind::integer);
        if (whole) fits = !__builtin_add_overflow(integers, g[i].integer, &integers) && fits;
    }
    if (whole && !fits)
        throw error(errc::bad_input,
                    "db.error/arithmetic",
                    "the sum is beyond 64 bits; bigints have no such end");
    if (whole) return cell::of(integers);
    if (has(g, kind::real)) return cell::of(reals);
    const bool are_whole = !has(g, kind::decimal);
    return cell::of_text(are_whole ? kind::bigint : kind::decimal,
                         g.memory.copy(exact_sum(g, are_whole)));
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

/// Exact as `/` is, but a double where a decimal quotient has no end.
cell average(const group& g) {
    const bool are_whole = !has(g, kind::decimal);
    if (!has(g, kind::real) && (!are_whole || has(g, kind::bigint))) {
        for (std::size_t i = 0; i < g.size(); ++i) number_of(g[i]);
        const auto mean_text = calculate(
            exact_operation::divide, exact_sum(g, are_whole), std::to_string(g.size()), are_whole);
        if (mean_text)
            return cell::of_text(are_whole ? kind::bigint : kind::decimal,
                                 g.memory.copy(*mean_text));
        return cell::of(mean(g));
    }
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

column sorted(const group& g) {
    column all = values_of(g);
    std::sort(
        all.begin(), all.end(), [](const cell& a, const cell& b) { return compare(a, b) < 0; });
    return all;
}

cell median(const group& g) {
    for (std::size_t i = 0; i < g.size(); ++i) number_of(g[i]);
    const column all = sorted(g);
    const std::size_t middle = all.size() / 2;
    if (all.size() % 2 == 1) return all[middle];
    const row_id both[] = {static_cast<row_id>(middle - 1), static_cast<row_id>(middle)};
    return average({all, both, g.memory, g.stop});
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
    column all = sorted(g);
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
    const column all = distinct_cells(g);
    column some;
    std::sample(all.begin(), all.end(), std::back_inserter(some), n, generator());
    return keep_vector(g.memory, some);
}

cell random(const group& g) {
    return g[std::uniform_int_distribution<std::size_t>(0, g.size() - 1)(generator())];
}

cell random(const group& g, std::size_t n) {
    column some;
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

/// Constants and single values come first, then all values of the group as one vector.
cell call_with(const query_function& f,
               const find_element& e,
               const relation& rows,
               const group& g) {
    std::vector<cell> args;
    for (const term& t : std::span(e.args).first(e.args.size() - 1)) {
        const var_id* v = std::get_if<var_id>(&t);
        args.push_back(v != nullptr ? rows.of(*v)[g.rows.front()] : std::get<cell>(t));
    }
    args.push_back(keep_vector(g.memory, values_of(g)));
    return call_given(f, args, g.memory);
}

/// Rows of each group side by side: group g has order[begins[g]] .. order[begins[g + 1] - 1].
struct grouping {
    row_ids order;
    counted_vector<std::size_t> begins;

    std::size_t size() const { return begins.size() - 1; }
    std::span<const row_id> operator[](std::size_t g) const {
        return std::span(order).subspan(begins[g], begins[g + 1] - begins[g]);
    }
};

grouping sort_by_group(const row_ids& group_of, std::size_t groups) {
    grouping g;
    g.begins.assign(groups + 1, 0);
    for (const row_id group : group_of) ++g.begins[group + 1];
    std::partial_sum(g.begins.begin(), g.begins.end(), g.begins.begin());
    counted_vector<std::size_t> next(g.begins.begin(), g.begins.end() - (groups > 0 ? 1 : 0));
    g.order.resize(group_of.size());
    for (row_id row = 0; row < group_of.size(); ++row) g.order[next[group_of[row]]++] = row;
    return g;
}

column aggregate(const find_element& e,
                 const relation& rows,
                 const grouping& groups,
                 const aggregate_context& context) {
    const query_function* given = context.functions.find_given(e.aggregate);
    const aggregate_function* f = given == nullptr ? find_function(e.aggregate) : nullptr;
    column results;
    results.reserve(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        context.stop();
        const group members{rows.of(e.var()), groups[g], context.memory, context.stop};
        try {
            results.push_back(given != nullptr
                                  ? call_with(*given, e, rows, members)
                                  : f->run(members, number_argument(e, rows, groups[g].front())));
        } catch (const error& problem) {
            fail_clause(e.text, problem);
        }
    }
    return results;
}

}  // namespace

void check_aggregate(const find_element& e, const function_table& given) {
    if (e.aggregate.empty() || given.find_given(e.aggregate) != nullptr) return;
    const aggregate_function* f = find_function(e.aggregate);
    if (f == nullptr) {
        fail_clause("db.error/unknown-function",
                    e.text,
                    "there is no aggregate named " + e.aggregate +
                        "; there are count, count-distinct, sum, avg, min, max, median, variance, "
                        "stddev, distinct, set, rand, sample; query_options::functions takes your "
                        "own");
    }
    const std::size_t most = f->takes_number ? 2 : 1;
    const std::size_t least = f->needs_number ? 2 : 1;
    if (e.args.size() < least || e.args.size() > most) {
        fail_clause("db.error/arity",
                    e.text,
                    f->needs_number ? "expected (" + e.aggregate + " n ?x)"
                                    : "too many arguments for " + e.aggregate);
    }
}

std::vector<column> aggregate(const find_spec& find,
                              const relation& rows,
                              const aggregate_context& context) {
    std::vector<const column*> keys;
    for (const find_element& e : find.elements) {
        if (e.aggregate.empty()) keys.push_back(&rows.of(e.var()));
    }
    std::size_t count = 0;
    const row_ids group_of = group_rows(keys, rows.rows, count, context.stop);
    const grouping groups = sort_by_group(group_of, count);
    std::vector<column> columns;
    for (const find_element& e : find.elements) {
        if (!e.aggregate.empty()) {
            columns.push_back(aggregate(e, rows, groups, context));
            continue;
        }
        row_ids firsts;
        for (std::size_t g = 0; g < groups.size(); ++g) firsts.push_back(groups[g].front());
        columns.push_back(gather(rows.of(e.var()), firsts));
    }
    return columns;
}

}  // namespace tributary::datom::datalog
