#include "database_answers.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>

#include "chart.hpp"
#include "datom_directory.hpp"
#include "output.hpp"
#include <charconv>
#include <cstdio>
#include <fstream>

namespace tributary::cli {

namespace {

using entries_t = std::vector<std::pair<value, value>>;
using rows_t = std::vector<std::vector<value>>;

value kw(const char* name) { return keyword{name}; }

value request_of(const asked& a, entries_t entries) {
    entries.emplace_back(kw("view"), a.view);
    if (a.timeout_ms) entries.emplace_back(kw("timeout-ms"), *a.timeout_ms);
    return make_map(std::move(entries));
}

const value& in(const value& m, const char* name) {
    static const value nothing;
    const value* found = m.find(kw(name));
    return found ? *found : nothing;
}

/// A tree: as indented EDN for people, on one line for programs.
void print_tree(format f, const value& v) {
    if (f == format::json || f == format::edn) return print_value(f, v);
    std::puts(edn::print_pretty(v, static_cast<int>(terminal_columns())).c_str());
}

const std::vector<value>& items_of(const value& v) {
    if (const auto* elements = v.get_if<set>()) return elements->items;
    if (const auto* elements = v.get_if<list>()) return elements->items;
    return v.as<vector>();
}

/// The same of a value that nobody needs any more: a large answer is there once.
std::vector<value> taken_items(value&& v) {
    if (auto* elements = v.get_if<set>()) return std::move(elements->items);
    if (auto* elements = v.get_if<list>()) return std::move(elements->items);
    return std::move(v.as<vector>());
}

/// What stands after a keyword in a query of either form.
vector query_part(const value& query, const char* name) {
    if (const value* in_map = query.find(kw(name))) return items_of(*in_map);
    vector found;
    if (const auto* parts = query.get_if<vector>()) {
        auto at = std::find(parts->begin(), parts->end(), kw(name));
        while (at != parts->end() && ++at != parts->end() && at->get_if<keyword>() == nullptr)
            found.push_back(*at);
    }
    return found;
}

enum class find_kind { relation, collection, tuple, scalar };

/// Of the query's :find, which is what says how to print its result.
find_kind kind_of(const value& query) {
    const vector found = query_part(query, "find");
    if (found.empty()) return find_kind::relation;
    if (found.back() == value(symbol{"."})) return find_kind::scalar;
    const auto* only = found.size() == 1 ? found.front().get_if<vector>() : nullptr;
    if (only == nullptr) return find_kind::relation;
    return !only->empty() && only->back() == value(symbol{"..."}) ? find_kind::collection
                                                                  : find_kind::tuple;
}

/// The names that :keys, :strs or :syms gives the columns; empty without them.
vector given_names(const value& query) {
    for (const char* how : {"keys", "strs", "syms"})
        if (vector names = query_part(query, how); !names.empty()) return names;
    return {};
}

/// Rows that are maps, as rows in the order of the names.
std::vector<value> cells_of(value&& row, const vector& names) {
    if (row.get_if<map>() == nullptr) return taken_items(std::move(row));
    std::vector<value> cells;
    for (const value& name : names) {
        const std::string text = cell_text(name);
        for (const value& key : {value(keyword{text}), value(text), value(symbol{text})}) {
            const value* cell = row.find(key);
            if (cell == nullptr) continue;
            cells.push_back(*cell);
            break;
        }
    }
    return cells;
}

void write_svg(const std::string& file, const chart& c) {
    if (c.bars.empty() && c.lines.empty())
        return log_line("no rows, so " + file + " is not written");
    std::ofstream out(file, std::ios::binary);
    out << svg(c);
    out.close();
    if (!out) throw error(errc::io, "cannot write " + file);
    log_line("the chart is in " + file);
}

/// The first rows of a relation or collection, in the order in which the query gives them.
void cut(value& result, std::uint64_t most) {
    const auto shorten = [&](auto* rows) {
        if (rows != nullptr && rows->size() > most) rows->resize(most);
    };
    shorten(result.get_if<vector>());
    if (auto* rows = result.get_if<set>()) shorten(&rows->items);
}

void print_answer(const asked& a,
                  const question& q,
                  value result,
                  std::vector<std::string> columns) {
    const find_kind kind = kind_of(q.query);
    const bool is_chart = a.output == format::chart || !a.svg_file.empty();
    if (!is_chart && (kind == find_kind::relation || kind == find_kind::collection))
        cut(result, a.most);
    const bool is_data = a.output == format::edn || a.output == format::json;
    if (kind == find_kind::scalar && a.svg_file.empty()) return print_value(a.output, result);
    const vector names = given_names(q.query);
    if (is_data && a.svg_file.empty()) {
        if (kind != find_kind::relation) return print_value(a.output, result);
        if (!names.empty() && a.output == format::edn) {
            for (const value& row : items_of(result)) print_value(a.output, row);
            return;
        }
    }
    const bool is_set = result.get_if<set>() != nullptr;
    rows_t rows;
    if (kind == find_kind::tuple) {
        if (!result.is_nil()) rows.push_back(cells_of(std::move(result), names));
    } else if (kind != find_kind::scalar) {
        for (value& item : taken_items(std::move(result)))
            rows.push_back(kind == find_kind::collection ? std::vector{std::move(item)}
                                                         : cells_of(std::move(item), names));
    }
    if (!names.empty()) {
        columns.clear();
        for (const value& name : names) columns.push_back(cell_text(name));
    }
    if (is_chart) {
        // It is about the largest: what has no order of its own would have none to its reader.
        if (is_set) order_for_chart(rows);
        if (rows.size() > a.most) rows.resize(a.most);
    }
    if (!a.svg_file.empty()) return write_svg(a.svg_file, chart_of(columns, rows));
    print_rows(a.output, columns, rows);
}

value question_of(const asked& a, const question& q) {
    entries_t databases;
    for (const auto& [name, dir] : q.databases)
        databases.emplace_back("$" + name,
                               std::filesystem::absolute(dir).lexically_normal().string());
    entries_t views;
    for (const auto& [name, view] : q.views) views.emplace_back("$" + name, view);
    return request_of(a,
                      {{kw("query"), q.text},
                       {kw("args"), vector(q.args)},
                       {kw("arg-texts"), vector(q.arg_texts.begin(), q.arg_texts.end())},
                       {kw("databases"), make_map(std::move(databases))},
                       {kw("views"), make_map(std::move(views))}});
}

/// One transaction of tx-range for people.
std::string told(const value& tx) {
    std::string out = fmt::format(
        "t {}  {}", in(tx, "t").as<std::int64_t>(), format_instant(in(tx, "instant").as<inst>()));
    if (const value& to = in(tx, "rewind-to"); !to.is_nil()) out += "  back to t " + edn::print(to);
    for (const value& form : in(tx, "data").as<vector>()) {
        const auto& parts = form.as<vector>();
        out += fmt::format("\n  {} {}  {}  {}",
                           parts[0] == kw("db/add") ? '+' : '-',
                           edn::print(parts[1]),
                           edn::print(parts[2]),
                           on_one_line(cell_text(parts[3])));
    }
    return out + "\n";
}

void print_transaction(format f, const value& tx) {
    if (f == format::table) {
        std::fputs(told(tx).c_str(), stdout);
    } else if (f == format::csv) {
        const value none = "", to = in(tx, "rewind-to").is_nil() ? none : in(tx, "rewind-to");
        const auto& forms = in(tx, "data").as<vector>();
        for (const value& form : forms) {
            const auto& parts = form.as<vector>();
            print_csv_line({in(tx, "t"),
                            in(tx, "instant"),
                            parts[1],
                            parts[2],
                            parts[3],
                            parts[0] == kw("db/add"),
                            to});
        }
        // Who follows the feed hears of a rewind even if it changed no fact.
        if (forms.empty() && to != none)
            print_csv_line({in(tx, "t"), in(tx, "instant"), none, none, none, none, to});
    } else {
        print_value(f, tx);
    }
}

rows_t rows_of(const value& v) {
    rows_t rows;
    for (const value& row : v.as<vector>()) rows.push_back(row.as<vector>());
    return rows;
}

}  // namespace

value point_in_time(const std::string& text) {
    std::int64_t t = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), t);
    // Four digits alone are a t too; a year is written 2024-01.
    if (failed == std::errc() && end == text.data() + text.size()) return t;
    try {
        return parse_instant(text);
    } catch (const error& e) {
        throw error(errc::bad_input,
                    "\"" + text +
                        "\" is no moment of the database: a t such as 12, or an ISO 8601 "
                        "time such as 2024-05-01T10:00: " +
                        e.what());
    }
}

namespace {

bool has_nothing(const value& result) {
    if (result.is_nil()) return true;
    const auto* rows = result.get_if<vector>();
    const auto* distinct = result.get_if<set>();
    return (rows != nullptr && rows->empty()) || (distinct != nullptr && distinct->items.empty());
}

/// The shell takes the quotes of "text", and what is left reads as a symbol.
void mention_symbols(const std::vector<value>& args) {
    for (const value& arg : args)
        if (const auto* s = arg.get_if<symbol>())
            log_line(fmt::format("{0} is a symbol here; the text is written '\"{0}\"'", s->text));
}

}  // namespace

void show_query(const asked& a, const question& q) {
    value reply = ask_database(a.dir, "query/1", question_of(a, q));
    auto& parts = reply.as<vector>();
    if (has_nothing(parts[0])) mention_symbols(q.args);
    std::vector<std::string> columns;
    for (const value& name : parts[1].as<vector>()) columns.push_back(name.as<std::string>());
    print_answer(a, q, std::move(parts[0]), std::move(columns));
}

namespace {

/// The steps as a table, those within others indented, and under it why each had its turn.
void print_steps(const std::vector<value>& steps) {
    const auto part = [](const value& of, const char* name) {
        const value* found = of.find(kw(name));
        return found == nullptr ? value("") : *found;
    };
    rows_t rows;
    std::string reasons;
    for (const value& s : steps) {
        const std::string indent(2 * static_cast<std::size_t>(part(s, "depth").as<std::int64_t>()),
                                 ' ');
        const value number = static_cast<std::int64_t>(rows.size() + 1);
        rows.push_back({number,
                        indent + part(s, "clause").as<std::string>(),
                        part(s, "rows-estimated"),
                        part(s, "rows"),
                        part(s, "runs"),
                        part(s, "ms"),
                        part(s, "access")});
        reasons += edn::print(number) + ". " + part(s, "why").as<std::string>() + "\n";
        if (const value* tests = s.find(kw("tests"))) {
            for (const value& test : tests->as<vector>())
                reasons += "   tested as its rows were read: " + test.as<std::string>() + "\n";
        }
    }
    print_rows(format::table, {"", "step", "expected", "rows", "runs", "ms", "how"}, rows);
    std::printf("\n%s", reasons.c_str());
}

}  // namespace

void show_explain(const asked& a, const question& q) {
    const value told = ask_database(a.dir, "explain/1", question_of(a, q));
    if (a.output == format::json || a.output == format::edn) return print_value(a.output, told);
    print_steps(told.find(kw("steps"))->as<vector>());
}

void show_pull(const asked& a, const value& pattern, const std::vector<value>& entities) {
    const value found =
        ask_database(a.dir,
                     "pull/1",
                     request_of(a, {{kw("pattern"), pattern}, {kw("entities"), vector(entities)}}));
    for (const value& one : found.as<vector>()) print_tree(a.output, one);
}

void show_entity(const asked& a, const value& entity) {
    const value found = ask_database(a.dir, "entity/1", request_of(a, {{kw("entity"), entity}}));
    if (found.is_nil()) throw error(errc::not_found, "there is no entity " + edn::print(entity));
    print_tree(a.output, found);
}

void show_datoms(const asked& a,
                 const value& index,
                 const std::vector<value>& parts,
                 const value& where) {
    rows_t rows;
    const std::vector<std::string> columns = {"entity", "attribute", "value", "t", "added"};
    const auto most = static_cast<std::int64_t>(
        std::min<std::uint64_t>(a.most, std::numeric_limits<std::int64_t>::max()));
    if (a.output == format::csv) print_csv_line(std::vector<value>(columns.begin(), columns.end()));
    entries_t request = where.as<map>().entries;
    request.insert(request.end(),
                   {{kw("index"), index}, {kw("parts"), vector(parts)}, {kw("limit"), most}});
    ask_database(a.dir, "datoms/1", request_of(a, std::move(request)), [&](const value& part) {
        for (std::vector<value>& row : rows_of(part)) {
            if (a.output == format::csv)
                print_csv_line(row);
            else if (a.output == format::edn)
                print_value(a.output, value(std::move(row)));
            else if (a.output == format::json)
                print_rows(a.output, columns, {std::move(row)});
            else
                rows.push_back(std::move(row));
        }
    });
    if (a.output == format::table) print_rows(a.output, columns, rows);
}

void show_history(const asked& a, const value& entity) {
    const value found = ask_database(a.dir, "history/1", request_of(a, {{kw("entity"), entity}}));
    print_rows(
        a.output, {"t", "instant", "attribute", "value", "added", "transaction"}, rows_of(found));
}

namespace {

/// Prints the transactions that it is given.
std::function<void(const value&)> transaction_printer(format f) {
    if (f == format::csv)
        print_csv_line({"t", "instant", "entity", "attribute", "value", "added", "rewind-to"});
    return [f](const value& transactions) {
        for (const value& tx : transactions.as<vector>()) print_transaction(f, tx);
        std::fflush(stdout);
    };
}

}  // namespace

void show_tx_range(const asked& a, const value& where) {
    ask_database(a.dir, "tx-range/1", where, transaction_printer(a.output));
}

void show_feed(const asked& a, const std::string& from) {
    follow_database(a.dir, from, transaction_printer(a.output));
}

namespace {

/// A transaction, a form a line.
void print_forms(const vector& forms) {
    std::string text;
    for (const value& form : forms) text += (text.empty() ? "[" : "\n ") + edn::print(form);
    std::puts((text.empty() ? "[]" : text + "]").c_str());
}

}  // namespace

void show_schema(const asked& a) {
    const value found = ask_database(a.dir, "schema/1", request_of(a, {}));
    vector attributes = found.as<vector>();
    std::sort(attributes.begin(), attributes.end(), [](const value& x, const value& y) {
        return cell_text(in(x, "db/ident")) < cell_text(in(y, "db/ident"));
    });
    if (a.output == format::edn) return print_forms(attributes);
    if (a.output == format::json) {
        for (const value& one : attributes) print_value(a.output, one);
        return;
    }
    rows_t rows;
    for (const value& one : attributes) {
        std::string more;
        for (const auto& [k, v] : one.as<map>().entries) {
            const std::string name = cell_text(k);
            if (name != ":db/ident" && name != ":db/valueType" && name != ":db/cardinality" &&
                name != ":db/doc")
                more += (more.empty() ? "" : " ") + name + " " + cell_text(v);
        }
        const value* doc = one.find(kw("db/doc"));
        rows.push_back({in(one, "db/ident"),
                        in(one, "db/valueType"),
                        in(one, "db/cardinality"),
                        more,
                        doc ? *doc : value("")});
    }
    print_rows(a.output, {"attribute", "type", "cardinality", "more", "doc"}, rows);
}

void show_stats(const asked& a) {
    const value found = ask_database(a.dir, "stats/1", request_of(a, {}));
    if (a.output == format::edn || a.output == format::json) return print_value(a.output, found);
    rows_t rows;
    for (const auto& [name, s] : in(found, "attributes").as<map>().entries) {
        const value& exact = in(s, "exact");
        const value distinct =
            exact == value(true) ? in(s, "distinct") : value("~" + edn::print(in(s, "distinct")));
        const auto shown = [&](const char* which) {
            return in(s, which).is_nil() ? value("") : in(s, which);
        };
        rows.push_back({name, in(s, "datoms"), distinct, shown("min"), shown("max")});
    }
    std::sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) {
        return cell_text(x.front()) < cell_text(y.front());
    });
    print_rows(a.output, {"attribute", "datoms", "distinct", "min", "max"}, rows);
    if (a.output == format::table)
        std::puts(fmt::format("{} datoms, t {}",
                              with_commas(static_cast<std::uint64_t>(
                                  in(found, "datoms").as<std::int64_t>())),
                              in(found, "t").as<std::int64_t>())
                      .c_str());
}

void show_transact(const asked& a, const value& tx_data) {
    const bool is_new = !is_database(a.dir);
    const value done =
        ask_database(a.dir, "transact/1", make_map({{kw("tx-data"), tx_data}}), {}, true);
    if (is_new) log_line("a new database in " + a.dir);
    if (a.output == format::edn || a.output == format::json) return print_value(a.output, done);
    const std::size_t datoms = in(done, "tx-data").as<vector>().size();
    std::puts(
        fmt::format(
            "t {}, {} datom{}", in(done, "t").as<std::int64_t>(), datoms, datoms == 1 ? "" : "s")
            .c_str());
    for (const auto& [name, e] : in(done, "tempids").as<map>().entries)
        std::puts((edn::print(name) + "  " + edn::print(e)).c_str());
}

}  // namespace tributary::cli
