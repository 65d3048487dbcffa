#include "output.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "chart.hpp"
#include <algorithm>
#include <cstdio>
#include <cwchar>

namespace tributary::cli {

namespace {

using rows_t = std::vector<std::vector<value>>;

void put(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

bool is_number(const value& v) {
    return v.get_if<std::int64_t>() != nullptr || v.get_if<double>() != nullptr ||
           v.get_if<bigint>() != nullptr || v.get_if<decimal>() != nullptr;
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
    const std::string spaces(width - std::min(width, display_width(text)), ' ');
    return to_the_right ? spaces + text : text + spaces;
}

/// Texts are made twice, for their widths and to print them: a large table is in memory once.
void print_table(const std::vector<std::string>& columns, const rows_t& rows) {
    std::vector<std::size_t> widths;
    std::vector<bool> numeric(columns.size(), !rows.empty());
    for (const std::string& name : columns) widths.push_back(display_width(name));
    const auto text_of = [](const value& v) { return on_one_line(cell_text(v)); };
    for (const std::vector<value>& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(text_of(row[i])));
            numeric[i] = numeric[i] && is_number(row[i]);
        }
    }
    const auto print_line = [&](std::size_t size, const auto& cell) {
        std::string text;
        for (std::size_t i = 0; i < size; ++i) {
            const bool last = i + 1 == size;
            text += last && !numeric[i] ? cell(i) : padded(cell(i), widths[i], numeric[i]);
            if (!last) text += "  ";
        }
        put(text + "\n");
    };
    print_line(columns.size(), [&](std::size_t i) { return columns[i]; });
    print_line(columns.size(), [&](std::size_t i) {
        std::string rule;
        for (std::size_t n = 0; n < widths[i]; ++n) rule += "─";
        return rule;
    });
    for (const std::vector<value>& row : rows)
        print_line(row.size(), [&](std::size_t i) { return text_of(row[i]); });
}

std::string csv_cell(const value& v) {
    const std::string text = v.is_nil() ? "" : cell_text(v);
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

}  // namespace

void print_csv_line(const std::vector<value>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) text += (i > 0 ? "," : "") + csv_cell(cells[i]);
    put(text + "\r\n");  // RFC 4180
}

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
    if (const auto* n = v.get_if<bigint>()) return n->text;
    if (const auto* n = v.get_if<decimal>()) return n->text;
    if (v.get_if<uuid>() != nullptr)
        return edn::print(v).substr(std::string("#uuid \"").size(), 36);
    return edn::print(v);
}

void print_rows(format f,
                const std::vector<std::string>& columns,
                const std::vector<std::vector<value>>& rows) {
    switch (f) {
        case format::table:
            return print_table(columns, rows);
        case format::chart:
            if (rows.empty()) return put("no rows\n");
            return put(draw(chart_of(columns, rows), terminal_columns()));
        case format::csv:
            print_csv_line(std::vector<value>(columns.begin(), columns.end()));
            for (const auto& row : rows) print_csv_line(row);
            return;
        case format::edn:
            for (const auto& row : rows) put(edn::print(row) + "\n");
            return;
        case format::json:
            for (const auto& row : rows) {
                // In the order of the columns; of two with one name the first.
                std::string object;
                for (std::size_t i = 0; i < row.size(); ++i) {
                    const auto at = columns.begin() + static_cast<std::ptrdiff_t>(i);
                    if (std::find(columns.begin(), at, *at) != at) continue;
                    object +=
                        (object.empty() ? "{" : ",") + json::print(*at) + ":" + json::print(row[i]);
                }
                put(object + "}\n");
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

std::string counted(std::uint64_t n, const std::string& unit) {
    return with_commas(n) + " " + unit + (n == 1 ? "" : "s");
}

std::string history_text(const crdt_summary& c) {
    if (!c.below) return "all";
    return "partial: " + with_commas(c.commits) + " of " + counted(c.commits + *c.below, "commit");
}

std::string human_bytes(std::uint64_t n) {
    static constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB"};
    auto size = static_cast<double>(n);
    std::size_t unit = 0;
    while (size >= 1000 && unit + 1 < std::size(units)) size /= 1000, ++unit;
    return unit == 0 ? fmt::format("{} B", n) : fmt::format("{:.1f} {}", size, units[unit]);
}

}  // namespace tributary::cli
