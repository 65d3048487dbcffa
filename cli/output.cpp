#include "output.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cwchar>

namespace tributary::cli {

namespace {

using rows_t = std::vector<std::vector<value>>;

void put(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::size_t terminal_columns() {
    winsize size{};
    const bool known = isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
                       size.ws_col > 20;
    return known ? size.ws_col : 100;
}

/// Line breaks and other controls would tear a table apart.
std::string on_one_line(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    return text;
}

bool is_number(const value& v) {
    return v.get_if<std::int64_t>() != nullptr || v.get_if<double>() != nullptr;
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
    const std::string spaces(width - std::min(width, display_width(text)), ' ');
    return to_the_right ? spaces + text : text + spaces;
}

void print_table(const std::vector<std::string>& columns, const rows_t& rows) {
    std::vector<std::vector<std::string>> cells;
    std::vector<std::size_t> widths;
    std::vector<bool> numeric(columns.size(), !rows.empty());
    for (const std::string& name : columns) widths.push_back(display_width(name));
    for (const std::vector<value>& row : rows) {
        std::vector<std::string> line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line.push_back(on_one_line(cell_text(row[i])));
            widths[i] = std::max(widths[i], display_width(line.back()));
            numeric[i] = numeric[i] && is_number(row[i]);
        }
        cells.push_back(std::move(line));
    }
    const auto print_line = [&](const std::vector<std::string>& line) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i) {
            const bool last = i + 1 == line.size();
            text += last && !numeric[i] ? line[i] : padded(line[i], widths[i], numeric[i]);
            if (!last) text += "  ";
        }
        put(text + "\n");
    };
    print_line(columns);
    std::vector<std::string> rules;
    for (const std::size_t width : widths) {
        std::string rule;
        for (std::size_t i = 0; i < width; ++i) rule += "─";
        rules.push_back(rule);
    }
    print_line(rules);
    for (const auto& line : cells) print_line(line);
}

double number_of(const value& v) {
    if (const auto* i = v.get_if<std::int64_t>()) return static_cast<double>(*i);
    if (const auto* d = v.get_if<double>()) return *d;
    throw error(errc::misuse, "a chart needs a number in its last column, found " + edn::print(v));
}

std::string bar(double part, std::size_t width) {
    static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto filled =
        static_cast<std::size_t>(std::lround(std::max(0.0, part) * static_cast<double>(width) * 8));
    std::string out;
    for (std::size_t i = 0; i < filled / 8; ++i) out += "█";
    return out + eighths[filled % 8];
}

/// One horizontal bar a row, in the rows' order: the last column is the length, the others are the
/// label.
void print_chart(const rows_t& rows) {
    std::vector<std::string> labels, figures;
    double most = 0;
    std::size_t label_width = 0, figure_width = 0;
    for (const std::vector<value>& row : rows) {
        if (row.size() < 2)
            throw error(errc::misuse, "a chart needs a label and a number in each row");
        std::string label;
        for (std::size_t i = 0; i + 1 < row.size(); ++i)
            label += (i > 0 ? " " : "") + on_one_line(cell_text(row[i]));
        most = std::max(most, number_of(row.back()));
        label_width = std::max(label_width, display_width(label));
        labels.push_back(std::move(label));
        figures.push_back(cell_text(row.back()));
        figure_width = std::max(figure_width, figures.back().size());
    }
    const std::size_t around = label_width + figure_width + 4;
    const std::size_t columns = terminal_columns();
    const std::size_t width =
        columns > around + 10 ? std::min<std::size_t>(60, columns - around) : 10;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double part = most > 0 ? number_of(rows[i].back()) / most : 0;
        put(padded(labels[i], label_width, false) + "  " + padded(figures[i], figure_width, true) +
            "  " + bar(part, width) + "\n");
    }
}

std::string csv_cell(const value& v) {
    const std::string text = cell_text(v);
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

void print_csv(const std::vector<std::string>& columns, const rows_t& rows) {
    const auto print_line = [](const std::vector<value>& line) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i)
            text += (i > 0 ? "," : "") + csv_cell(line[i]);
        put(text + "\r\n");  // RFC 4180
    };
    print_line(std::vector<value>(columns.begin(), columns.end()));
    for (const auto& row : rows) print_line(row);
}

}  // namespace

std::size_t display_width(const std::string& text) {
    std::mbstate_t state{};
    std::size_t width = 0;
    for (const char *at = text.data(), *end = at + text.size(); at < end;) {
        wchar_t c = 0;
        const std::size_t used = std::mbrtowc(&c, at, static_cast<std::size_t>(end - at), &state);
        if (used == 0 || used > static_cast<std::size_t>(end - at)) {
            ++at, ++width;
            state = {};
            continue;
        }
        width += static_cast<std::size_t>(std::max(0, wcwidth(c)));
        at += used;
    }
    return width;
}

std::string cell_text(const value& v) {
    if (const auto* s = v.get_if<std::string>()) return *s;
    if (const auto* b = v.get_if<blob>()) return to_hex(b->data);
    if (const auto* t = v.get_if<inst>()) return format_instant(*t);
    return edn::print(v);
}

void print_rows(format f,
                const std::vector<std::string>& columns,
                const std::vector<std::vector<value>>& rows) {
    switch (f) {
        case format::table:
            return print_table(columns, rows);
        case format::chart:
            return print_chart(rows);
        case format::csv:
            return print_csv(columns, rows);
        case format::edn:
            for (const auto& row : rows) put(edn::print(row) + "\n");
            return;
        case format::json:
            for (const auto& row : rows) {
                std::vector<std::pair<value, value>> object;
                for (std::size_t i = 0; i < row.size(); ++i)
                    object.emplace_back(columns[i], row[i]);
                put(json::print(make_map(std::move(object))) + "\n");
            }
            return;
    }
}

void print_value(format f, const value& v) {
    if (f == format::edn) return put(edn::print(v) + "\n");
    if (f == format::json) return put(json::print(v) + "\n");
    put(cell_text(v) + "\n");
}

std::string with_commas(std::uint64_t n) {
    std::string text = std::to_string(n);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
}

std::string human_bytes(std::uint64_t n) {
    static constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB"};
    auto size = static_cast<double>(n);
    std::size_t unit = 0;
    while (size >= 1000 && unit + 1 < std::size(units)) size /= 1000, ++unit;
    return unit == 0 ? fmt::format("{} B", n) : fmt::format("{:.1f} {}", size, units[unit]);
}

}  // namespace tributary::cli
