#include "tributary/datom/exact_number.hpp"

#include "tributary/value/error.hpp"

#include <boost/multiprecision/cpp_int.hpp>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace tributary::datom {

namespace {

using boost::multiprecision::cpp_int;

constexpr std::int64_t digits_max = 10'000;
constexpr const char* arithmetic = "db.error/arithmetic";

[[noreturn]] void fail_size() {
    throw error(errc::bad_input,
                arithmetic,
                "a number of more than " + std::to_string(digits_max) + " digits");
}

cpp_int power_of_ten(std::int64_t n) {
    if (n > digits_max) fail_size();
    return boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(n));
}

/// unscaled / 10^scale
struct scaled {
    cpp_int unscaled;
    std::int64_t scale = 0;
};

scaled scaled_of(std::string_view text) {
    const bool negative = text.front() == '-';
    if (negative) text.remove_prefix(1);
    scaled number;
    if (const auto mark = text.find_first_of("eE"); mark != text.npos) {
        std::string_view tail = text.substr(mark + 1);
        if (tail.front() == '+') tail.remove_prefix(1);
        const auto [end, ec] =
            std::from_chars(tail.data(), tail.data() + tail.size(), number.scale);
        if (ec != std::errc() || std::abs(number.scale) > 1'000'000'000) fail_size();
        number.scale = -number.scale;
        text = text.substr(0, mark);
    }
    std::string digits(text);
    if (const auto point = digits.find('.'); point != digits.npos) {
        number.scale += static_cast<std::int64_t>(digits.size() - point - 1);
        digits.erase(point, 1);
    }
    if (static_cast<std::int64_t>(digits.size()) > digits_max) fail_size();
    // A zero in front would say that the rest is octal.
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
    number.unscaled = cpp_int(digits);
    if (negative) number.unscaled = -number.unscaled;
    return number;
}

/// As Java's BigDecimal writes it, so that the text says the places behind the point.
std::string text_of(const scaled& number) {
    std::string digits = number.unscaled.str();
    const bool negative = digits.front() == '-';
    if (negative) digits.erase(0, 1);
    const auto size = static_cast<std::int64_t>(digits.size());
    if (size > digits_max) fail_size();
    const std::int64_t exponent = size - 1 - number.scale;
    if (number.scale > 0 && exponent >= -6) {
        if (size <= number.scale)
            digits.insert(0, static_cast<std::size_t>(number.scale - size + 1), '0');
        digits.insert(digits.size() - static_cast<std::size_t>(number.scale), 1, '.');
    } else if (number.scale != 0) {
        if (size > 1) digits.insert(1, 1, '.');
        digits += (exponent < 0 ? "E" : "E+") + std::to_string(exponent);
    }
    return (negative ? "-" : "") + digits;
}

void align(scaled& a, scaled& b) {
    scaled& coarse = a.scale < b.scale ? a : b;
    const std::int64_t scale = std::max(a.scale, b.scale);
    coarse.unscaled *= power_of_ten(scale - coarse.scale);
    coarse.scale = scale;
}

/// Nothing if it goes on without an end.
std::optional<scaled> quotient_of(const scaled& a, const scaled& b) {
    const cpp_int common = boost::multiprecision::gcd(a.unscaled, b.unscaled);
    const cpp_int divisor = b.unscaled / common;
    cpp_int rest = boost::multiprecision::abs(divisor);
    std::int64_t places[2] = {0, 0};
    for (const int prime : {2, 5})
        for (; rest % prime == 0; rest /= prime) ++places[prime == 5];
    if (rest != 1) return std::nullopt;
    const std::int64_t more = std::max(places[0], places[1]);
    return scaled{a.unscaled / common * power_of_ten(more) / divisor, a.scale - b.scale + more};
}

}  // namespace

decimal_parts parts_of(std::string_view text) {
    decimal_parts p;
    if (!text.empty() && text.front() == '-') {
        p.negative = true;
        text.remove_prefix(1);
    }
    std::int64_t exponent = 0;
    if (const auto mark = text.find_first_of("eE"); mark != text.npos) {
        auto tail = text.substr(mark + 1);
        if (!tail.empty() && tail.front() == '+') tail.remove_prefix(1);
        const auto [end, ec] = std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
        if (ec != std::errc() || end != tail.data() + tail.size() ||
            std::abs(exponent) > 1'000'000'000)
            throw error(errc::bad_input, "a decimal whose exponent is beyond a thousand million");
        text = text.substr(0, mark);
    }
    const auto point = text.find('.');
    p.digits.assign(text.substr(0, point));
    const auto whole = static_cast<std::int64_t>(p.digits.size());
    if (point != text.npos) p.digits.append(text.substr(point + 1));
    const auto first = p.digits.find_first_not_of('0');
    if (first == std::string::npos) return {};
    p.exponent = exponent + whole - static_cast<std::int64_t>(first);
    p.digits.erase(0, first);
    p.digits.erase(p.digits.find_last_not_of('0') + 1);
    return p;
}

std::strong_ordering compare_by_size(std::string_view a, std::string_view b) {
    const decimal_parts x = parts_of(a), y = parts_of(b);
    const auto sign = [](const decimal_parts& p) {
        return p.digits.empty() ? 0 : p.negative ? -1 : 1;
    };
    if (sign(x) != sign(y)) return sign(x) <=> sign(y);
    const auto magnitude =
        x.exponent != y.exponent ? x.exponent <=> y.exponent : x.digits.compare(y.digits) <=> 0;
    return sign(x) < 0 ? 0 <=> magnitude : magnitude;
}

std::strong_ordering compare_by_size(std::string_view a, double b) {
    if (std::isinf(b)) return b > 0 ? std::strong_ordering::less : std::strong_ordering::greater;
    // So many places that every double is exact.
    char text[1500];
    const auto [end, ec] =
        std::to_chars(text, text + sizeof text, b, std::chars_format::fixed, 1074);
    return compare_by_size(a, std::string_view(text, end));
}

std::optional<std::string> calculate(exact_operation operation,
                                     std::string_view a,
                                     std::string_view b,
                                     bool are_whole) {
    scaled x = scaled_of(a), y = scaled_of(b);
    const bool divides = operation >= exact_operation::divide;
    if (divides && y.unscaled == 0) throw error(errc::bad_input, arithmetic, "division by zero");
    if (operation == exact_operation::times)
        return text_of({x.unscaled * y.unscaled, x.scale + y.scale});
    if (operation == exact_operation::divide) {
        if (are_whole && x.unscaled % y.unscaled != 0) return std::nullopt;
        const auto result = quotient_of(x, y);
        return result ? std::optional(text_of(*result)) : std::nullopt;
    }
    const std::int64_t places = std::max<std::int64_t>(x.scale - y.scale, 0);
    align(x, y);
    switch (operation) {
        case exact_operation::plus:
            return text_of({x.unscaled + y.unscaled, x.scale});
        case exact_operation::minus:
            return text_of({x.unscaled - y.unscaled, x.scale});
        case exact_operation::quotient:
            return text_of({x.unscaled / y.unscaled * power_of_ten(places), places});
        default:
            break;
    }
    cpp_int rest = x.unscaled % y.unscaled;
    if (operation == exact_operation::modulus && rest != 0 && (rest < 0) != (y.unscaled < 0))
        rest += y.unscaled;
    return text_of({rest, x.scale});
}

}  // namespace tributary::datom
