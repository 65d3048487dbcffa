#include "tributary/value/number.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace tributary {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits_at(std::string_view text, std::size_t from) {
    std::size_t n = 0;
    while (from + n < text.size() && digit(text[from + n])) ++n;
    return n;
}

/// A decimal's number as digits without leading or trailing zeros, times ten to `exponent`.
struct scientific {
    bool negative = false;
    std::string digits;
    long long exponent = 0;
    bool operator==(const scientific&) const = default;
};

scientific parse_decimal(std::string_view text) {
    scientific number;
    std::size_t at = 0;
    if (text[at] == '-') number.negative = true, ++at;
    const std::size_t whole = digits_at(text, at);
    number.digits = text.substr(at, whole);
    at += whole;
    if (at < text.size() && text[at] == '.') {
        const std::size_t part = digits_at(text, ++at);
        number.digits += text.substr(at, part);
        number.exponent = -static_cast<long long>(part);
        at += part;
    }
    if (at < text.size()) {
        if (text[++at] == '+') ++at;
        long long exponent = 0;
        std::from_chars(text.data() + at, text.data() + text.size(), exponent);
        number.exponent += exponent;
    }
    while (!number.digits.empty() && number.digits.back() == '0') {
        number.digits.pop_back();
        ++number.exponent;
    }
    number.digits.erase(0, std::min(number.digits.find_first_not_of('0'), number.digits.size()));
    if (number.digits.empty()) number.exponent = 0;
    return number;
}

}  // namespace

std::string shortest_text(double d) {
    char buffer[40];
    const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, d);
    std::string text(buffer, end);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
}

bool is_decimal(std::string_view text) {
    std::size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
    const std::size_t whole = digits_at(text, at);
    if (whole == 0) return false;
    at += whole;
    if (at < text.size() && text[at] == '.') {
        const std::size_t part = digits_at(text, at + 1);
        if (part == 0) return false;
        at += 1 + part;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        const std::size_t exponent = digits_at(text, at);
        if (exponent == 0) return false;
        at += exponent;
    }
    return at == text.size();
}

bool is_whole(std::string_view text) {
    if (text == "0") return true;
    if (!text.empty() && text[0] == '-') text.remove_prefix(1);
    return !text.empty() && text[0] != '0' && digits_at(text, 0) == text.size();
}

std::optional<double> exact_double(std::string_view text) {
    double d = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (ec != std::errc{} || !std::isfinite(d)) return std::nullopt;
    // Fifteen digits always survive the way through a double of ordinary size.
    const bool ordinary = std::abs(d) > 1e-290 && std::abs(d) < 1e290;
    if (ordinary && text.size() <= 16 && text.find('.') != std::string_view::npos) return d;
    if (parse_decimal(text) == parse_decimal(shortest_text(d))) return d;
    return std::nullopt;
}

}  // namespace tributary
