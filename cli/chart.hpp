/// Rows as a chart: a bar each, or lines over time if the first column is an instant.
#pragma once

#include "tributary/value/value.hpp"

#include <string>
#include <vector>

namespace tributary::cli {

struct chart {
    struct bar {
        std::string label;
        std::string figure;
        double length = 0;
    };
    struct point {
        std::int64_t ms = 0;
        double y = 0;
    };
    struct line {
        std::string name;
        std::vector<point> points;  ///< in order of time
    };

    std::string x_title, y_title;
    std::vector<bar> bars;    ///< in the rows' order
    std::vector<line> lines;  ///< of which one chart has either
};

/// The last column is the number. What stands before it is a bar's label; behind a first column
/// of instants, the name of a line. Errors: misuse if the rows do not fit.
chart chart_of(const std::vector<std::string>& columns,
               const std::vector<std::vector<value>>& rows);

/// Brings rows that have no order of their own into that of a chart: the largest number first, or
/// the earliest moment. Errors: those of chart_of.
void order_for_chart(std::vector<std::vector<value>>& rows);

/// For a terminal of so many columns, in UTF-8.
std::string draw(const chart& c, std::size_t columns);

/// As a file with axes and labels, for a browser.
std::string svg(const chart& c);

/// Numbers to mark an axis with, from at or below `low` to at or above `high`: about `count`.
std::vector<double> ticks(double low, double high, std::size_t count);
/// Moments to mark a time axis with, all between `low` and `high`, and how to write them.
struct time_ticks {
    std::vector<std::int64_t> at;
    std::size_t label_begin = 0, label_size = 10;  ///< of an ISO 8601 text
};
time_ticks ticks_of_time(std::int64_t low, std::int64_t high, std::size_t count);

/// "1.5k", "20", "0.25".
std::string short_number(double n);

}  // namespace tributary::cli
