// Charts as SVG.

#include "tributary/value/instant.hpp"

#include <fmt/format.h>

#include "chart.hpp"
#include "output.hpp"
#include <algorithm>

namespace tributary::cli {

namespace {

constexpr double width = 800;
constexpr double character = 7.2;  ///< an average one, of the 13 pixel font
constexpr double bar_height = 18, bar_step = 26;
constexpr double plot_height = 320;
constexpr double top = 34, right = 24, below = 48;
constexpr const char* ink = "#333";
constexpr const char* faint = "#ddd";
constexpr const char* colors[] = {
    "#3366aa", "#cc6633", "#339966", "#aa3377", "#887711", "#555599", "#bb4444", "#118899"};
/// More lines than colors differ in these.
constexpr const char* dashes[] = {"none", "8 4", "2 4", "12 4 2 4", "20 6"};
constexpr double legend_step = 20;

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n",
                       x,
                       y,
                       anchor,
                       escaped(text));
}

/// Under a mark of an axis, but not over the picture's edge.
std::string mark_at(double x, double y, const std::string& text) {
    const double half = character * static_cast<double>(display_width(text)) / 2;
    return text_at(std::min(x, width - half), y, "middle", text);
}

std::string line_at(double x1, double y1, double x2, double y2, const char* color) {
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n",
        x1,
        y1,
        x2,
        y2,
        color);
}

std::string document(double height, const std::string& content) {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"13\" "
        "fill=\"{2}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{3}</svg>\n",
        width,
        height,
        ink,
        content);
}

/// At most so many columns of a text.
std::string shortened(const std::string& text, std::size_t most) {
    if (display_width(text) <= most) return text;
    std::string out = text;
    while (!out.empty() && display_width(out) + 1 > most) {
        do out.pop_back();
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80);
        if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xc0) out.pop_back();
    }
    return out + "…";
}

std::string bars(const chart& c) {
    constexpr std::size_t label_most = 36;
    double low = 0, high = 0;
    std::size_t label_width = 0, figure_width = 0;
    for (const chart::bar& b : c.bars) {
        low = std::min(low, b.length);
        high = std::max(high, b.length);
        label_width = std::max(label_width, std::min(label_most, display_width(b.label)));
        figure_width = std::max(figure_width, b.figure.size());
    }
    const double left = 24 + character * static_cast<double>(label_width);
    const double end = width - right - character * static_cast<double>(figure_width + 1);
    const std::vector<double> marks = ticks(low, high, 5);
    const auto x_of = [&](double n) {
        return left + (n - marks.front()) / (marks.back() - marks.front()) * (end - left);
    };
    const double bottom = top + bar_step * static_cast<double>(c.bars.size());
    std::string out =
        text_at(12, 20, "start", c.x_title) + text_at(width - right, 20, "end", c.y_title);
    for (const double m : marks)
        out += line_at(x_of(m), top, x_of(m), bottom, faint) +
               mark_at(x_of(m), bottom + 18, short_number(m));
    double y = top + (bar_step - bar_height) / 2;
    for (const chart::bar& b : c.bars) {
        out += text_at(left - 8, y + 14, "end", shortened(b.label, label_most));
        out += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
            x_of(std::min(0.0, b.length)),
            y,
            x_of(std::max(0.0, b.length)) - x_of(std::min(0.0, b.length)),
            bar_height,
            colors[0]);
        out += text_at(x_of(std::max(0.0, b.length)) + 6, y + 14, "start", b.figure);
        y += bar_step;
    }
    out += line_at(x_of(0), top, x_of(0), bottom, ink);
    return document(bottom + below - 14, out);
}

/// How the line of this number is drawn: the same in the plot and in the legend.
std::string stroke_of(std::size_t i) {
    return fmt::format("stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"",
                       colors[i % std::size(colors)],
                       dashes[i / std::size(colors) % std::size(dashes)]);
}

/// The lines' names, in as many rows as they need from `y` on: then `y` is the last row's.
std::string legend(const chart& c, double& y) {
    constexpr double sample = 30, gap = 22;
    std::string out;
    double x = 24;
    for (std::size_t i = 0; i < c.lines.size(); ++i) {
        const std::string name = shortened(c.lines[i].name, 24);
        const double needed = sample + 6 + character * static_cast<double>(display_width(name));
        if (x > 24 && x + needed > width - right) {
            x = 24;
            y += legend_step;
        }
        out +=
            fmt::format("<path d=\"M{:.1f} {:.1f}h{:.0f}\" {}/>\n", x, y - 4, sample, stroke_of(i));
        out += text_at(x + sample + 6, y, "start", name);
        x += needed + gap;
    }
    return out;
}

std::string lines(const chart& c) {
    std::int64_t begin = c.lines.front().points.front().ms, end = begin;
    double low = 0, high = 0;
    for (const chart::line& line : c.lines) {
        begin = std::min(begin, line.points.front().ms);
        end = std::max(end, line.points.back().ms);
        for (const chart::point& p : line.points) {
            low = std::min(low, p.y);
            high = std::max(high, p.y);
        }
    }
    const std::vector<double> marks = ticks(low, high, 5);
    std::size_t margin = 0;
    for (const double m : marks) margin = std::max(margin, short_number(m).size());
    const double left = 24 + character * static_cast<double>(margin);
    const double bottom = top + plot_height;
    const auto x_of = [&](std::int64_t ms) {
        return left + (end == begin ? 0.5 : double(ms - begin) / double(end - begin)) *
                          (width - right - left);
    };
    const auto y_of = [&](double n) {
        return bottom - (n - marks.front()) / (marks.back() - marks.front()) * plot_height;
    };
    std::string out =
        text_at(12, 20, "start", c.y_title) + text_at(width - right, 20, "end", c.x_title);
    for (const double m : marks)
        out += line_at(left, y_of(m), width - right, y_of(m), faint) +
               text_at(left - 8, y_of(m) + 4, "end", short_number(m));
    const time_ticks times = ticks_of_time(begin, end, 6);
    for (const std::int64_t t : times.at)
        out += line_at(x_of(t), bottom, x_of(t), bottom + 5, ink) +
               mark_at(x_of(t),
                       bottom + 20,
                       format_instant(inst{t}).substr(times.label_begin, times.label_size));
    out +=
        line_at(left, bottom, width - right, bottom, ink) + line_at(left, top, left, bottom, ink);
    for (std::size_t i = 0; i < c.lines.size(); ++i) {
        const char* color = colors[i % std::size(colors)];
        std::string path;
        for (const chart::point& p : c.lines[i].points)
            path += fmt::format("{:.1f},{:.1f} ", x_of(p.ms), y_of(p.y));
        out += fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", path, stroke_of(i));
        if (c.lines[i].points.size() > 60) continue;
        for (const chart::point& p : c.lines[i].points)
            out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                               x_of(p.ms),
                               y_of(p.y),
                               color);
    }
    double end_y = bottom + below - 28;
    if (c.lines.size() > 1 || !c.lines.front().name.empty()) {
        end_y = bottom + 44;
        out += legend(c, end_y);
    }
    return document(end_y + 14, out);
}

}  // namespace

std::string svg(const chart& c) { return c.lines.empty() ? bars(c) : lines(c); }

}  // namespace tributary::cli
