/// Numbers of any size and precision, worked with as their text. Private to the room.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tributary::datom {

/// Sign, exponent and digits of a decimal.
struct decimal_parts {
    bool negative = false;
    std::int64_t exponent = 0;  ///< of 0.digits
    std::string digits;         ///< without zeros at either end; empty for zero
};

/// Errors: bad_input if the exponent is beyond a thousand million.
decimal_parts parts_of(std::string_view decimal);

/// By size: 1.0 and 1.00 are equal.
std::strong_ordering compare_by_size(std::string_view a, std::string_view b);
/// The same of a decimal and a double that is no NaN.
std::strong_ordering compare_by_size(std::string_view a, double b);

enum class exact_operation { plus, minus, times, divide, quotient, remainder, modulus };

/// Two whole numbers give the text of a whole number, with a decimal among them that of a decimal,
/// as many places behind the point as Java's BigDecimal keeps. Nothing if a division has no end (of
/// two whole numbers: is not whole). Errors: bad_input, db.error/arithmetic: division by zero, more
/// than 10,000 digits.
std::optional<std::string> calculate(exact_operation operation,
                                     std::string_view a,
                                     std::string_view b,
                                     bool are_whole);

}  // namespace tributary::datom
