#include "tributary/value/instant.hpp"

#include "tributary/value/error.hpp"

#include <chrono>
#include <cstdio>

namespace tributary {
namespace {

using namespace std::chrono;

// The calendar repeats every 400 years; std::chrono's years have only 16 bits, instants reach
// further.
constexpr std::int64_t days_of_era = 146097;
constexpr std::int64_t ms_of_day = 86'400'000;
constexpr std::int64_t year_max = 300'000'000;

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0) ? 1 : 0);
}

std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d) {
    const std::int64_t era = floor_div(y, 400);
    const year_month_day date{year{static_cast<int>(y - era * 400)}, month{m}, day{d}};
    return era * days_of_era + sys_days{date}.time_since_epoch().count();
}

class parser {
public:
    explicit parser(std::string_view text) : text_(text) {}

    inst parse() {
        std::int64_t y = read_year();
        const auto m = accept('-') ? field(2, 1, 12, "a month of two digits") : 1;
        const auto d = had_ && accept('-') ? field(2, 1, 31, "a day of two digits") : 1;
        const std::int64_t era_year = y - floor_div(y, 400) * 400;
        const year_month_day date{year{static_cast<int>(era_year)},
                                  month{static_cast<unsigned>(m)},
                                  day{static_cast<unsigned>(d)}};
        if (!date.ok()) fail("a day that the month has");
        std::int64_t seconds = 0;
        std::int64_t ms = 0;
        if (had_ && (accept('T') || accept('t') || accept(' '))) {
            seconds = 3600 * field(2, 0, 23, "an hour of two digits");
            if (accept(':')) seconds += 60 * field(2, 0, 59, "minutes of two digits");
            if (had_ && accept(':')) seconds += field(2, 0, 60, "seconds of two digits");
            if (had_ && accept('.')) ms = fraction();
            seconds -= offset();
        }
        if (at_ != text_.size()) fail("the end");
        const std::int64_t days =
            days_from_civil(y, static_cast<unsigned>(m), static_cast<unsigned>(d));
        return inst{checked(days, seconds * 1000 + ms)};
    }

private:
    [[noreturn]] void fail(const std::string& expected) const {
        throw error(errc::bad_input,
                    "expected " + expected + " at character " + std::to_string(at_ + 1) +
                        " of the instant \"" + std::string(text_.substr(0, 80)) +
                        "\"; write it like 2015-04-25T15:15:20.000Z");
    }

    /// Whether `c` is next; what may follow it depends on it.
    bool accept(char c) {
        had_ = at_ < text_.size() && text_[at_] == c;
        if (had_) ++at_;
        return had_;
    }

    std::size_t digits_ahead() const {
        std::size_t n = 0;
        while (at_ + n < text_.size() && text_[at_ + n] >= '0' && text_[at_ + n] <= '9') ++n;
        return n;
    }

    std::int64_t take_digits(std::size_t n) {
        std::int64_t v = 0;
        for (; n > 0; --n) v = v * 10 + (text_[at_++] - '0');
        return v;
    }

    std::int64_t field(std::size_t width, std::int64_t least, std::int64_t most, const char* what) {
        if (digits_ahead() < width) fail(what);
        const std::int64_t v = take_digits(width);
        if (v < least || v > most) {
            at_ -= width;
            fail(what);
        }
        had_ = true;
        return v;
    }

    std::int64_t read_year() {
        const bool negative = accept('-');
        const bool sign = negative || accept('+');
        const std::size_t n = digits_ahead();
        if (sign ? n < 4 || n > 9 : n != 4) fail("a year of four digits");
        const std::int64_t y = take_digits(n);
        if (y > year_max) fail("a nearer year");
        return negative ? -y : y;
    }

    std::int64_t fraction() {
        const std::size_t n = digits_ahead();
        if (n == 0) fail("digits of a second");
        std::int64_t ms = 0;
        for (std::size_t i = 0; i < 3; ++i) ms = ms * 10 + (i < n ? text_[at_ + i] - '0' : 0);
        at_ += n;
        return ms;
    }

    std::int64_t offset() {
        if (accept('Z') || accept('z')) return 0;
        const bool east = accept('+');
        if (!east && !accept('-')) return 0;
        std::int64_t seconds = 3600 * field(2, 0, 23, "an offset like +02:00");
        if (accept(':') || digits_ahead() == 2) {
            seconds += 60 * field(2, 0, 59, "an offset like +02:00");
        }
        return east ? seconds : -seconds;
    }

    std::int64_t checked(std::int64_t days, std::int64_t ms) const {
        std::int64_t total;
        // Counted from the day after for times before 1970, so that the first instant of all does
        // not overflow on the way.
        if (days < 0) ++days, ms -= ms_of_day;
        if (__builtin_mul_overflow(days, ms_of_day, &total) ||
            __builtin_add_overflow(total, ms, &total)) {
            fail("a nearer year");
        }
        return total;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool had_ = true;
};

}  // namespace

std::string format_instant(inst t) {
    const std::int64_t days = floor_div(t.ms, ms_of_day);
    const int ms = static_cast<int>(t.ms % ms_of_day + (t.ms % ms_of_day < 0 ? ms_of_day : 0));
    const std::int64_t era = floor_div(days, days_of_era);
    const year_month_day date{sys_days{std::chrono::days{days - era * days_of_era}}};
    const long long y = static_cast<int>(date.year()) + era * 400;
    char text[64];
    std::snprintf(text,
                  sizeof text,
                  y >= 0 && y <= 9999 ? "%04lld-%02u-%02uT%02d:%02d:%02d.%03dZ"
                                      : "%+07lld-%02u-%02uT%02d:%02d:%02d.%03dZ",
                  y,
                  static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()),
                  ms / 3'600'000,
                  ms / 60'000 % 60,
                  ms / 1000 % 60,
                  ms % 1000);
    return text;
}

inst parse_instant(std::string_view text) { return parser(text).parse(); }

}  // namespace tributary
