/// Datalog as it is defined, without any thought of speed: clauses one after another, each against
/// every tuple. What the engine must agree with.
#pragma once

#include "tributary/value/edn.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tributary::datom::oracle {

using row = std::map<std::string, value>;
using tuples = std::vector<std::vector<value>>;

/// The value a constant stands for at a place of a pattern (an ident's id, say).
using constants = std::function<value(std::size_t place, const value&)>;

struct world {
    tuples facts;
    constants meaning = [](std::size_t, const value& v) { return v; };
};

inline const std::string* variable(const value& v) {
    const symbol* s = v.get_if<symbol>();
    return s != nullptr && s->text.front() == '?' ? &s->text : nullptr;
}
inline bool blank(const value& v) { return v == value(symbol{"_"}); }

inline value valued(const row& r, const value& v) {
    const std::string* name = variable(v);
    return name == nullptr ? v : r.at(*name);
}

std::vector<row> solve(const world& w, const std::vector<value>& clauses, std::vector<row> rows);

inline std::vector<row> match(const world& w, const vector& pattern, const row& r) {
    std::vector<row> found;
    for (const auto& fact : w.facts) {
        row extended = r;
        bool fits = fact.size() >= pattern.size();
        for (std::size_t i = 0; fits && i < pattern.size(); ++i) {
            if (blank(pattern[i])) continue;
            if (const std::string* name = variable(pattern[i])) {
                fits = extended.emplace(*name, fact[i]).first->second == fact[i];
            } else {
                fits = w.meaning(i, pattern[i]) == fact[i];
            }
        }
        if (fits) found.push_back(std::move(extended));
    }
    return found;
}

inline std::vector<row> call(const vector& clause, const row& r) {
    const auto& form = clause[0].as<list>().items;
    const std::string& f = form[0].as<symbol>().text;
    const value a = valued(r, form[1]);
    const value b = valued(r, form[2]);
    if (f == "+") {
        row extended = r;
        const value sum = a.as<std::int64_t>() + b.as<std::int64_t>();
        const bool fits = extended.emplace(*variable(clause[1]), sum).first->second == sum;
        return fits ? std::vector<row>{extended} : std::vector<row>{};
    }
    const bool holds =
        f == "<" ? a.as<std::int64_t>() < b.as<std::int64_t>() : (f == "=" ? a == b : a != b);
    return holds ? std::vector<row>{r} : std::vector<row>{};
}

inline std::vector<row> form(const world& w, const std::vector<value>& items, const row& r) {
    const std::string& name = items[0].as<symbol>().text;
    const std::vector<value> rest(items.begin() + 1, items.end());
    if (name == "not")
        return solve(w, rest, {r}).empty() ? std::vector<row>{r} : std::vector<row>{};
    if (name == "and") return solve(w, rest, {r});
    std::vector<row> all;
    for (const value& branch : rest) {
        for (row& found : solve(w, {branch}, {r})) all.push_back(std::move(found));
    }
    return all;
}

inline std::vector<row> solve(const world& w,
                              const std::vector<value>& clauses,
                              std::vector<row> rows) {
    for (const value& clause : clauses) {
        std::vector<row> next;
        for (const row& r : rows) {
            const list* l = clause.get_if<list>();
            const bool is_call = l == nullptr && clause.as<vector>()[0].get_if<list>() != nullptr;
            for (row& found : l != nullptr ? form(w, l->items, r)
                                           : (is_call ? call(clause.as<vector>(), r)
                                                      : match(w, clause.as<vector>(), r))) {
                next.push_back(std::move(found));
            }
        }
        rows = std::move(next);
    }
    return rows;
}

/// The relation over `find`. The clauses must stand in an order in which every test comes after
/// what binds its variables.
inline value answer(const world& w,
                    const std::vector<std::string>& find,
                    const std::vector<value>& clauses) {
    std::set<value> distinct;
    for (const row& r : solve(w, clauses, {row{}})) {
        vector one;
        for (const std::string& name : find) one.push_back(r.at(name));
        distinct.insert(value(std::move(one)));
    }
    return make_set({distinct.begin(), distinct.end()});
}

}  // namespace tributary::datom::oracle
