#include "tributary/datom/fault.hpp"

#include "tributary/value/edn.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

namespace tributary::datom::datalog {

namespace {

/// Levenshtein's.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
        }
    }
    return row.back();
}

/// The byte of `text` where the last part of the way begins that it leads to.
std::optional<std::size_t> follow(const std::string& text, const std::vector<std::string>& way) {
    std::optional<std::size_t> at;
    std::size_t from = 0;
    for (const std::string& part : way) {
        // Behind the opening bracket of the part before, its end is where the text ends.
        const auto found = edn::find_in(std::string_view(text).substr(from),
                                        [&](const value& v) { return shown(v) == part; });
        if (!found) break;
        at = from + *found;
        from = *at + 1;
    }
    return at;
}

}  // namespace

std::string shown(const value& v) {
    std::string text = edn::print(v);
    if (text.size() > 200) text = text.substr(0, 197) + "...";
    return text;
}

place place::at(const std::string& part) const {
    place narrower = *this;
    if (part != way.back()) narrower.way.push_back(part);
    return narrower;
}

void fail_clause(const char* name, const place& where, const std::string& problem) {
    throw clause_error(errc::bad_input, name, where, "query: in " + where.name + ": " + problem);
}

void fail_clause(const place& where, const std::string& problem) {
    fail_clause("db.error/invalid-query", where, problem);
}

void fail_clause(const place& where, const error& problem) {
    if (problem.code() != errc::bad_input) throw problem;
    if (const auto* placed = dynamic_cast<const placed_error*>(&problem)) throw *placed;
    place whole = where;
    if (const auto* inner = dynamic_cast<const clause_error*>(&problem))
        whole.way.insert(whole.way.end(), inner->way().begin(), inner->way().end());
    fail_clause(problem.name(), whole, problem.what());
}

value read_text(const std::string& text, const char* whose) {
    try {
        return edn::read(text);
    } catch (const error& e) {
        throw placed_error(e.code(), e.name(), whose + std::string(e.what()));
    }
}

void point_at(const std::string& text, const char* whose, const clause_error& e) {
    const std::optional<std::size_t> at = follow(text, e.way());
    if (at) throw placed_error(e.code(), e.name(), whose + edn::pointed_at(text, *at, e.what()));
}

std::string did_you_mean(std::string_view name,
                         const std::vector<std::string_view>& known,
                         const char* sign) {
    constexpr std::size_t longest = 256;
    if (name.size() > longest) return {};
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
    for (const std::string_view one : known) {
        if (one.size() > longest) continue;
        const std::size_t distance = edit_distance(name, one);
        if (distance < best_distance) {
            best = one;
            best_distance = distance;
        }
    }
    if (best.empty()) return {};
    return "; did you mean " + (sign + std::string(best)) + (best.ends_with('?') ? "" : "?");
}

std::string counted(std::size_t n, const char* noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace tributary::datom::datalog
