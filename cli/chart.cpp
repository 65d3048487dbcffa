#include "chart.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"

#include <fmt/format.h>

#include "output.hpp"
#include <algorithm>
#include <cmath>

namespace tributary::cli {

namespace {

constexpr std::size_t plot_rows = 12;
constexpr std::size_t plot_columns_max = 100;
constexpr std::size_t bar_columns_max = 60;

double number_of(const value& v) {
    if (const auto* i = v.get_if<std::int64_t>()) return static_cast<double>(*i);
    if (const auto* d = v.get_if<double>(); d && std::isfinite(*d)) return *d;
    if (const auto* n = v.get_if<bigint>()) return std::strtod(n->text.c_str(), nullptr);
    if (const auto* n = v.get_if<decimal>()) return std::strtod(n->text.c_str(), nullptr);
    throw error(errc::misuse, "a chart needs a number in its last column, found " + edn::print(v));
}

std::string text_of(const std::vector<value>& row, std::size_t first) {
    std::string text;
    for (std::size_t i = first; i + 1 < row.size(); ++i)
        text += (i > first ? " " : "") + on_one_line(cell_text(row[i]));
    return text;
}

void add_point(chart& c, const std::vector<value>& row) {
    const std::string name = text_of(row, 1);
    auto line = std::find_if(
        c.lines.begin(), c.lines.end(), [&](const chart::line& l) { return l.name == name; });
    if (line == c.lines.end()) line = c.lines.insert(line, {name, {}});
    line->points.push_back({row.front().as<inst>().ms, number_of(row.back())});
}

// -- Bars

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
    const std::string spaces(width - std::min(width, display_width(text)), ' ');
    return to_the_right ? spaces + text : text + spaces;
}

/// What is below zero is as long, but shaded.
std::string bar_text(double part, std::size_t width) {
    static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto filled =
        static_cast<std::size_t>(std::lround(std::abs(part) * static_cast<double>(width) * 8));
    std::string out;
    if (part < 0) {
        for (std::size_t i = 0; i < (filled + 7) / 8; ++i) out += "░";
        return out;
    }
    for (std::size_t i = 0; i < filled / 8; ++i) out += "█";
    return out + eighths[filled % 8];
}

std::string draw_bars(const std::vector<chart::bar>& bars, std::size_t columns) {
    double most = 0;
    std::size_t label_width = 0, figure_width = 0;
    for (const chart::bar& b : bars) {
        most = std::max(most, std::abs(b.length));
        label_width = std::max(label_width, display_width(b.label));
        figure_width = std::max(figure_width, b.figure.size());
    }
    const std::size_t around = label_width + figure_width + 4;
    const std::size_t width =
        columns > around + 10 ? std::min(bar_columns_max, columns - around) : 10;
    std::string out;
    for (const chart::bar& b : bars) {
        out += padded(b.label, label_width, false) + "  " + padded(b.figure, figure_width, true) +
               "  " + bar_text(most > 0 ? b.length / most : 0, width) + "\n";
    }
    return out;
}

// -- Lines

/// A grid of dots, two by four in a character.
class dots {
public:
    dots(std::size_t columns, std::size_t rows)
        : columns_(columns), rows_(rows), cells_(columns * rows) {}

    int width() const { return static_cast<int>(columns_ * 2); }
    int height() const { return static_cast<int>(rows_ * 4); }

    void line(int x0, int y0, int x1, int y1) {
        const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
        for (int i = 0; i <= steps; ++i) {
            set(x0 + static_cast<int>(std::lround(double(x1 - x0) * i / steps)),
                y0 + static_cast<int>(std::lround(double(y1 - y0) * i / steps)));
        }
    }

    std::string row(std::size_t r) const {
        std::string out;
        for (std::size_t c = 0; c < columns_; ++c) {
            const unsigned code = 0x2800u + cells_[r * columns_ + c];  // braille patterns
            out += static_cast<char>(0xe0 | (code >> 12));
            out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
            out += static_cast<char>(0x80 | (code & 0x3f));
        }
        return out;
    }

private:
    /// `y` counts from below.
    void set(int x, int y) {
        static constexpr std::uint8_t bit[4][2] = {
            {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
        const int from_top = height() - 1 - y;
        const auto at =
            static_cast<std::size_t>(from_top / 4) * columns_ + static_cast<std::size_t>(x / 2);
        cells_[at] |= bit[from_top % 4][x % 2];
    }

    std::size_t columns_, rows_;
    std::vector<std::uint8_t> cells_;
};

std::string draw_line(const chart::line& line, std::size_t columns) {
    const auto [lowest, highest] = std::minmax_element(
        line.points.begin(), line.points.end(), [](auto& a, auto& b) { return a.y < b.y; });
    const std::vector<double> marks = ticks(std::min(0.0, lowest->y), highest->y, 4);
    std::size_t margin = 0;
    for (const double m : marks) margin = std::max(margin, short_number(m).size());
    const std::size_t width =
        std::min(plot_columns_max, columns > margin + 22 ? columns - margin - 2 : 20);
    dots grid(width, plot_rows);
    const double low = marks.front(), range = std::max(marks.back() - low, 1e-300);
    const std::int64_t begin = line.points.front().ms, end = line.points.back().ms;
    const auto x_of = [&](const chart::point& p) {
        return end == begin ? 0
                            : static_cast<int>(std::lround(
                                  double(p.ms - begin) / double(end - begin) * (grid.width() - 1)));
    };
    const auto y_of = [&](double y) {
        return static_cast<int>(std::lround((y - low) / range * (grid.height() - 1)));
    };
    for (std::size_t i = 0; i < line.points.size(); ++i) {
        const chart::point& to = line.points[i];
        const chart::point& from = line.points[i > 0 ? i - 1 : 0];
        grid.line(x_of(from), y_of(from.y), x_of(to), y_of(to.y));
    }
    std::string out = line.name.empty() ? "" : line.name + "\n";
    for (std::size_t r = 0; r < plot_rows; ++r) {
        std::string label;
        for (const double m : marks)
            if (static_cast<std::size_t>(grid.height() - 1 - y_of(m)) / 4 == r)
                label = short_number(m);
        out += padded(label, margin, true) + " │" + grid.row(r) + "\n";
    }
    const std::string first = format_instant(inst{begin}).substr(0, 16);
    const std::string last = format_instant(inst{end}).substr(0, 16);
    out += std::string(margin, ' ') + " └";
    for (std::size_t i = 0; i < width; ++i) out += "─";
    out += "\n" + std::string(margin + 2, ' ') + first;
    if (width > first.size() + last.size())
        out += std::string(width - first.size() - last.size(), ' ') + last;
    return out + "\n";
}

/// Whether it will be lines. Errors: misuse if the rows are too short.
bool is_over_time(const std::vector<std::vector<value>>& rows) {
    for (const std::vector<value>& row : rows)
        if (row.size() < 2)
            throw error(errc::misuse, "a chart needs a label and a number in each row");
    return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](auto& row) {
        return row.front().template get_if<inst>() != nullptr;
    });
}

}  // namespace

void order_for_chart(std::vector<std::vector<value>>& rows) {
    if (is_over_time(rows)) {
        std::stable_sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) {
            return x.front().template as<inst>().ms < y.front().template as<inst>().ms;
        });
    } else {
        std::stable_sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) {
            return number_of(x.back()) > number_of(y.back());
        });
    }
}

chart chart_of(const std::vector<std::string>& columns,
               const std::vector<std::vector<value>>& rows) {
    chart c;
    const bool over_time = is_over_time(rows);
    for (const std::vector<value>& row : rows) {
        if (over_time)
            add_point(c, row);
        else
            c.bars.push_back({text_of(row, 0), cell_text(row.back()), number_of(row.back())});
    }
    for (chart::line& line : c.lines)
        std::stable_sort(
            line.points.begin(), line.points.end(), [](auto& a, auto& b) { return a.ms < b.ms; });
    if (!columns.empty()) {
        c.x_title = columns.front();
        c.y_title = columns.back();
    }
    return c;
}

std::string draw(const chart& c, std::size_t columns) {
    std::string out = draw_bars(c.bars, columns);
    for (const chart::line& line : c.lines) out += draw_line(line, columns);
    return out;
}

std::vector<double> ticks(double low, double high, std::size_t count) {
    if (!(high > low)) high = low + 1;
    const double rough = (high - low) / static_cast<double>(std::max<std::size_t>(count, 1));
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = power * 10;
    for (const double nice : {1.0, 2.0, 5.0}) {
        if (power * nice >= rough) {
            step = power * nice;
            break;
        }
    }
    std::vector<double> out;
    for (double n = std::floor(low / step); (n - 1) * step < high; ++n) {
        out.push_back(n * step);
        if (n * step >= high) break;
    }
    return out;
}

time_ticks ticks_of_time(std::int64_t low, std::int64_t high, std::size_t count) {
    constexpr std::int64_t second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
    const std::int64_t span = std::max<std::int64_t>(high - low, 1);
    const auto wanted = static_cast<std::int64_t>(std::max<std::size_t>(count, 1));
    std::int64_t step = 365 * day;
    for (const std::int64_t nice :
         {std::int64_t{1}, std::int64_t{10}, std::int64_t{100}, second,      5 * second,
          15 * second,     minute,           5 * minute,        15 * minute, hour,
          3 * hour,        6 * hour,         12 * hour,         day,         2 * day,
          7 * day,         14 * day,         30 * day,          90 * day,    365 * day}) {
        if (span / nice <= wanted) {
            step = nice;
            break;
        }
    }
    while (span / step > wanted) step *= 2;
    time_ticks out;
    if (step < second)
        out.label_begin = 11, out.label_size = 12;
    else if (step < minute)
        out.label_begin = 11, out.label_size = 8;
    else if (step < day)
        out.label_begin = span > day ? 5 : 11, out.label_size = span > day ? 11 : 5;
    const std::int64_t rest = low % step;
    for (std::int64_t t = rest == 0 ? low : low - rest + (rest > 0 ? step : 0); t <= high;
         t += step)
        out.at.push_back(t);
    return out;
}

std::string short_number(double n) {
    static constexpr std::pair<double, const char*> units[] = {
        {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}};
    for (const auto& [size, name] : units) {
        const double in_unit = size == 1e4 ? n / 1e3 : n / size;
        if (std::abs(n) >= size) return fmt::format("{:.4g}{}", in_unit, name);
    }
    return fmt::format("{:.6g}", n == 0 ? 0.0 : n);
}

}  // namespace tributary::cli
