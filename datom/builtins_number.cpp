#include "tributary/datom/builtins.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace tributary::datom::datalog {

namespace {

using args = std::span<const cell>;

void require_numbers(args a) {
    for (const cell& c : a) {
        if (!c.is_number()) fail_call("expected a number, found " + describe(c));
    }
}

void require_integers(args a) {
    for (const cell& c : a) {
        if (!c.is(kind::integer)) fail_call("expected an integer, found " + describe(c));
    }
}

bool all_integers(args a) {
    return std::all_of(a.begin(), a.end(), [](const cell& c) { return c.is(kind::integer); });
}

bool any_real(args a) {
    return std::any_of(a.begin(), a.end(), [](const cell& c) { return c.is(kind::real); });
}

[[noreturn]] void fail_overflow() {
    fail_call("db.error/arithmetic",
              "the result is beyond 64 bits; make one of the numbers a bigint (1N) or a double");
}

/// Integers stay integers, with a bigint among them bigints, with a decimal decimals; with a double
/// among them all become doubles.
template <class Integers, class Reals>
cell fold(call_context& c, args a, exact_operation exact, Integers on_integers, Reals on_reals) {
    require_numbers(a);
    if (all_integers(a)) {
        std::int64_t result = a[0].integer;
        for (const cell& x : a.subspan(1)) {
            if (on_integers(result, x.integer, &result)) fail_overflow();
        }
        return cell::of(result);
    }
    if (any_real(a)) {
        double result = as_double(a[0]);
        for (const cell& x : a.subspan(1)) result = on_reals(result, as_double(x));
        return cell::of(result);
    }
    cell result = a[0];
    for (const cell& x : a.subspan(1)) result = *calculate(exact, result, x, c.memory);
    return result;
}

cell plus(call_context& c, args a) {
    if (a.empty()) return cell::of(std::int64_t{0});
    return fold(
        c,
        a,
        exact_operation::plus,
        [](auto x, auto y, auto* to) { return __builtin_add_overflow(x, y, to); },
        [](double x, double y) { return x + y; });
}

cell minus(call_context& c, args a) {
    const cell both[] = {cell::of(std::int64_t{0}), a[0]};
    return fold(
        c,
        a.size() > 1 ? a : both,
        exact_operation::minus,
        [](auto x, auto y, auto* to) { return __builtin_sub_overflow(x, y, to); },
        [](double x, double y) { return x - y; });
}

cell times(call_context& c, args a) {
    if (a.empty()) return cell::of(std::int64_t{1});
    return fold(
        c,
        a,
        exact_operation::times,
        [](auto x, auto y, auto* to) { return __builtin_mul_overflow(x, y, to); },
        [](double x, double y) { return x * y; });
}

void require_not_zero(const cell& c) {
    if (c.is(kind::integer) && c.integer == 0) fail_call("db.error/arithmetic", "division by zero");
}

/// Exact where the quotient of whole numbers is one, else a double: there are no ratios.
cell divide_two(call_context& c, const cell& x, const cell& y) {
    if (x.is(kind::real) || y.is(kind::real)) return cell::of(as_double(x) / as_double(y));
    require_not_zero(y);
    if (!x.is(kind::integer) || !y.is(kind::integer)) {
        if (const auto exact = calculate(exact_operation::divide, x, y, c.memory)) return *exact;
        if (x.is(kind::decimal) || y.is(kind::decimal))
            fail_call("db.error/arithmetic",
                      "the decimal quotient of " + describe(x) + " and " + describe(y) +
                          " has no end; make one of them a double");
        return cell::of(as_double(x) / as_double(y));
    }
    if (y.integer == -1) {
        std::int64_t negated = 0;
        if (__builtin_sub_overflow(std::int64_t{0}, x.integer, &negated)) fail_overflow();
        return cell::of(negated);
    }
    if (x.integer % y.integer == 0) return cell::of(std::int64_t{x.integer / y.integer});
    return cell::of(as_double(x) / as_double(y));
}

cell divide(call_context& c, args a) {
    require_numbers(a);
    if (a.size() == 1) return divide_two(c, cell::of(std::int64_t{1}), a[0]);
    cell result = a[0];
    for (const cell& x : a.subspan(1)) result = divide_two(c, result, x);
    return result;
}

cell whole_division(call_context& c, args a, exact_operation how) {
    require_numbers(a);
    if (any_real(a)) {
        const double x = as_double(a[0]);
        const double y = as_double(a[1]);
        if (y == 0) fail_call("db.error/arithmetic", "division by zero");
        if (how == exact_operation::quotient) return cell::of(std::trunc(x / y));
        const double rest = std::fmod(x, y);
        return cell::of(how == exact_operation::modulus && rest != 0 && (rest < 0) != (y < 0)
                            ? rest + y
                            : rest);
    }
    if (!all_integers(a)) return *calculate(how, a[0], a[1], c.memory);
    require_not_zero(a[1]);
    const std::int64_t x = a[0].integer;
    const std::int64_t y = a[1].integer;
    if (how == exact_operation::quotient)
        return y == -1 ? divide_two(c, a[0], a[1]) : cell::of(std::int64_t{x / y});
    const std::int64_t rest = y == -1 ? 0 : x % y;
    return cell::of(std::int64_t{
        how == exact_operation::modulus && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest});
}

bool is_even(const cell& c) {
    if (c.is(kind::bigint)) return (c.view().back() - '0') % 2 == 0;
    if (!c.is(kind::integer)) fail_call("expected an integer, found " + describe(c));
    return c.integer % 2 == 0;
}

template <class Holds>
cell test_number(args a, Holds holds) {
    require_numbers(a);
    return cell::of(static_cast<bool>(holds(compare(a[0], cell::of(std::int64_t{0})),
                                            same_number(a[0], cell::of(std::int64_t{0})))));
}

const cell& extreme(args a, bool least) {
    require_numbers(a);
    const cell* best = &a[0];
    for (const cell& c : a) {
        const auto order = compare(c, *best);
        if (least ? order < 0 : order > 0) best = &c;
    }
    return *best;
}

std::mt19937_64& generator() {
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return engine;
}

constexpr builtin numbers[] = {
    {"+", 0, any_number, plus},
    {"-", 1, any_number, minus},
    {"*", 0, any_number, times},
    {"/", 1, any_number, divide},
    {"quot",
     2,
     2,
     [](call_context& c, args a) { return whole_division(c, a, exact_operation::quotient); }},
    {"rem",
     2,
     2,
     [](call_context& c, args a) { return whole_division(c, a, exact_operation::remainder); }},
    {"mod",
     2,
     2,
     [](call_context& c, args a) { return whole_division(c, a, exact_operation::modulus); }},
    {"inc",
     1,
     1,
     [](call_context& c, args a) {
         const cell both[] = {a[0], cell::of(std::int64_t{1})};
         return plus(c, both);
     }},
    {"dec",
     1,
     1,
     [](call_context& c, args a) {
         const cell both[] = {a[0], cell::of(std::int64_t{1})};
         return minus(c, both);
     }},
    {"min", 1, any_number, [](call_context&, args a) { return extreme(a, true); }},
    {"max", 1, any_number, [](call_context&, args a) { return extreme(a, false); }},
    {"==",
     1,
     any_number,
     [](call_context&, args a) {
         require_numbers(a);
         return cell::of(
             std::all_of(a.begin(), a.end(), [&](const cell& c) { return same_number(a[0], c); }));
     }},
    {"zero?",
     1,
     1,
     [](call_context&, args a) { return test_number(a, [](auto, bool zero) { return zero; }); }},
    {"pos?",
     1,
     1,
     [](call_context&, args a) {
         return test_number(a, [](auto c, bool zero) { return c > 0 && !zero; });
     }},
    {"neg?",
     1,
     1,
     [](call_context&, args a) {
         return test_number(a, [](auto c, bool zero) { return c < 0 && !zero; });
     }},
    {"even?", 1, 1, [](call_context&, args a) { return cell::of(is_even(a[0])); }},
    {"odd?", 1, 1, [](call_context&, args a) { return cell::of(!is_even(a[0])); }},
    {"rand",
     0,
     1,
     [](call_context&, args a) {
         require_numbers(a);
         return cell::of(std::uniform_real_distribution<double>(0, 1)(generator()) *
                         (a.empty() ? 1.0 : as_double(a[0])));
     }},
    {"rand-int",
     1,
     1,
     [](call_context&, args a) {
         require_integers(a);
         if (a[0].integer <= 0)
             fail_call("rand-int takes a positive integer, found " + describe(a[0]));
         return cell::of(
             std::uniform_int_distribution<std::int64_t>(0, a[0].integer - 1)(generator()));
     }},
};

}  // namespace

std::span<const builtin> number_builtins() { return numbers; }

}  // namespace tributary::datom::datalog
