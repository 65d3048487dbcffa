/// Datalog as it is defined, without any thought of speed: clauses one after another, each against
/// every tuple; rules by repeating them until nothing new comes. What the engine must agree with.
///
/// Clauses must stand in an order in which every test comes after what binds its variables.
#pragma once

#include "tributary/value/edn.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace tributary::datom::oracle {

using row = std::map<std::string, value>;
using rows = std::vector<row>;
using tuples = std::vector<std::vector<value>>;

/// The value a constant stands for at a place of a pattern (an ident's id, say).
using constants = std::function<value(std::size_t place, const value&)>;

struct world {
    tuples facts;
    constants meaning = [](std::size_t, const value& v) { return v; };
};

/// More than a naive evaluator should be asked for.
struct too_much : std::runtime_error {
    too_much() : std::runtime_error("too many rows") {}
};

inline const std::string* variable(const value& v) {
    const symbol* s = v.get_if<symbol>();
    return s != nullptr && s->text.front() == '?' ? &s->text : nullptr;
}
inline bool blank(const value& v) { return v == value(symbol{"_"}); }
inline const std::string* source_name(const value& v) {
    const symbol* s = v.get_if<symbol>();
    return s != nullptr && s->text.front() == '$' ? &s->text : nullptr;
}

inline value valued(const row& r, const value& v) {
    const std::string* name = variable(v);
    return name == nullptr ? v : r.at(*name);
}

/// All ways to bind `form` to `v` on top of `r`.
inline rows bind(const row& r, const value& form, const value& v) {
    if (blank(form)) return {r};
    if (const std::string* name = variable(form)) {
        row extended = r;
        return extended.emplace(*name, v).first->second == v ? rows{extended} : rows{};
    }
    const vector& items = form.as<vector>();
    const bool each = items.size() == 2 && items[1] == value(symbol{"..."});
    const bool relation = items.size() == 1 && items[0].get_if<vector>() != nullptr;
    if (each || relation) {
        rows all;
        for (const value& element : v.as<vector>())
            for (row& bound : bind(r, items[0], element)) all.push_back(std::move(bound));
        return all;
    }
    rows all{r};
    for (std::size_t i = 0; i < items.size(); ++i) {
        rows next;
        for (const row& so_far : all)
            for (row& bound : bind(so_far, items[i], v.as<vector>().at(i)))
                next.push_back(std::move(bound));
        all = std::move(next);
    }
    return all;
}

class evaluator {
public:
    /// Rules are [(head ?x ...) clause ...].
    evaluator(const std::map<std::string, world>& sources, const std::vector<value>& rules)
        : sources_(sources), rules_(rules) {}

    rows solve(const std::vector<value>& clauses, rows all, const std::string& source = "$") {
        for (const value& clause : clauses) {
            rows next;
            for (const row& r : all) {
                for (row& found : one(clause, r, source)) next.push_back(std::move(found));
                if (next.size() > 20'000) throw too_much();
            }
            all = std::move(next);
        }
        return all;
    }

private:
    rows one(const value& clause, const row& r, const std::string& source) {
        const list* l = clause.get_if<list>();
        const std::vector<value>& items = l != nullptr ? l->items : clause.as<vector>();
        if (const std::string* other = source_name(items[0])) {
            const std::vector<value> rest(items.begin() + 1, items.end());
            return one(l != nullptr ? value(list{rest}) : value(vector(rest)), r, *other);
        }
        if (l != nullptr) return form(items, r, source);
        if (items[0].get_if<list>() != nullptr) return call(items, r, source);
        return match(sources_.at(source), items, r);
    }

    static rows match(const world& w, const std::vector<value>& pattern, const row& r) {
        rows found;
        for (const auto& fact : w.facts) {
            row extended = r;
            bool fits = fact.size() >= pattern.size();
            for (std::size_t i = 0; fits && i < pattern.size(); ++i) {
                if (blank(pattern[i])) continue;
                if (const std::string* name = variable(pattern[i]))
                    fits = extended.emplace(*name, fact[i]).first->second == fact[i];
                else
                    fits = w.meaning(i, pattern[i]) == fact[i];
            }
            if (fits) found.push_back(std::move(extended));
        }
        return found;
    }

    /// Of the variables in `r` only these.
    static row only(const row& r, const std::vector<value>& names) {
        row kept;
        for (const value& v : names)
            if (const auto at = r.find(*variable(v)); at != r.end()) kept.insert(*at);
        return kept;
    }

    rows form(const std::vector<value>& items, const row& r, const std::string& source) {
        const std::string& name = items[0].as<symbol>().text;
        std::vector<value> rest(items.begin() + 1, items.end());
        if (name == "and") return solve(rest, {r}, source);
        if (name == "not") return solve(rest, {r}, source).empty() ? rows{r} : rows{};
        if (name == "or") return any_of(rest, r, source);
        if (name == "not-join" || name == "or-join") {
            const vector joined = flattened(rest.front().as<vector>());
            rest.erase(rest.begin());
            const row seen = only(r, joined);
            if (name == "not-join") return solve(rest, {seen}, source).empty() ? rows{r} : rows{};
            rows all;
            for (const row& found : any_of(rest, seen, source)) {
                row extended = r;
                for (const auto& [n, v] : only(found, joined)) extended.emplace(n, v);
                all.push_back(std::move(extended));
            }
            return all;
        }
        rows all;
        for (const vector& t : relation(name, source)) {
            row extended = r;
            bool fits = true;
            for (std::size_t i = 0; fits && i < rest.size(); ++i) {
                if (blank(rest[i])) continue;
                const std::string* v = variable(rest[i]);
                fits = v == nullptr ? rest[i] == t[i]
                                    : extended.emplace(*v, t[i]).first->second == t[i];
            }
            if (fits) all.push_back(std::move(extended));
        }
        return all;
    }

    rows any_of(const std::vector<value>& branches, const row& r, const std::string& source) {
        rows all;
        for (const value& branch : branches)
            for (row& found : solve({branch}, {r}, source)) all.push_back(std::move(found));
        return all;
    }

    static vector flattened(const vector& names) {
        vector all;
        for (const value& n : names) {
            if (const vector* required = n.get_if<vector>())
                all.insert(all.end(), required->begin(), required->end());
            else
                all.push_back(n);
        }
        return all;
    }

    /// The tuples of a rule: all rules are applied until none gives a new one.
    const std::set<vector>& relation(const std::string& name, const std::string& source) {
        const auto known = relations_.find({source, name});
        if (known != relations_.end()) return known->second;
        for (const value& rule : rules_)
            relations_[{source, rule.as<vector>()[0].as<list>().items[0].as<symbol>().text}];
        for (bool more = true; more;) {
            more = false;
            for (const value& rule : rules_) more |= apply(rule.as<vector>(), source);
        }
        return relations_.at({source, name});
    }

    bool apply(const vector& rule, const std::string& source) {
        const auto& head = rule[0].as<list>().items;
        const vector arguments = flattened(vector(head.begin() + 1, head.end()));
        std::set<vector>& known = relations_.at({source, head[0].as<symbol>().text});
        const std::size_t before = known.size();
        for (const row& r : solve({rule.begin() + 1, rule.end()}, {row{}}, source)) {
            vector t;
            for (const value& argument : arguments) t.push_back(r.at(*variable(argument)));
            known.insert(std::move(t));
        }
        return known.size() > before;
    }

    rows call(const std::vector<value>& clause, const row& r, const std::string& source) {
        const auto& items = clause[0].as<list>().items;
        const std::string& f = items[0].as<symbol>().text;
        std::vector<value> args;
        std::string from = source;
        for (std::size_t i = 1; i < items.size(); ++i) {
            if (const std::string* name = source_name(items[i]))
                from = *name;
            else
                args.push_back(valued(r, items[i]));
        }
        const value result = applied(f, args, sources_.at(from));
        if (result.is_nil()) return {};
        if (clause.size() == 1) return result == value(false) ? rows{} : rows{r};
        return bind(r, clause[1], result);
    }

    static const value* fact_of(const world& w, const value& e, const value& attribute) {
        for (const auto& fact : w.facts)
            if (fact[0] == e && fact[1] == w.meaning(1, attribute)) return &fact[2];
        return nullptr;
    }

    static double number(const value& v) {
        const auto* i = v.get_if<std::int64_t>();
        return i != nullptr ? static_cast<double>(*i) : v.as<double>();
    }

    static value applied(const std::string& f, const std::vector<value>& a, const world& w) {
        const auto chain = [&](auto&& holds) {
            for (std::size_t i = 0; i + 1 < a.size(); ++i)
                if (!holds(a[i], a[i + 1])) return false;
            return true;
        };
        const auto integer = [&](std::size_t i) { return a.at(i).as<std::int64_t>(); };
        if (f == "+") return integer(0) + integer(1);
        if (f == "-") return integer(0) - integer(1);
        if (f == "*") return integer(0) * integer(1);
        if (f == "=") return chain([](const value& x, const value& y) { return x == y; });
        if (f == "not=") return !chain([](const value& x, const value& y) { return x == y; });
        if (f == "<")
            return chain([](const value& x, const value& y) { return number(x) < number(y); });
        if (f == "<=")
            return chain([](const value& x, const value& y) { return number(x) <= number(y); });
        if (f == ">")
            return chain([](const value& x, const value& y) { return number(x) > number(y); });
        if (f == "even?") return integer(0) % 2 == 0;
        if (f == "ground" || f == "identity") return a.at(0);
        if (f == "vector") return vector(a);
        if (f == "missing?") return fact_of(w, a.at(0), a.at(1)) == nullptr;
        if (f == "get-else") {
            const value* found = fact_of(w, a.at(0), a.at(1));
            return found != nullptr ? *found : a.at(2);
        }
        throw std::logic_error("the oracle does not know " + f);
    }

    const std::map<std::string, world>& sources_;
    const std::vector<value>& rules_;
    std::map<std::pair<std::string, std::string>, std::set<vector>> relations_;
};

inline value aggregated(const std::string& f, std::vector<value> all) {
    if (f == "count") return static_cast<std::int64_t>(all.size());
    if (f == "min") return *std::min_element(all.begin(), all.end());
    if (f == "max") return *std::max_element(all.begin(), all.end());
    if (f == "sum") {
        std::int64_t total = 0;
        for (const value& v : all) total += v.as<std::int64_t>();
        return total;
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    if (f == "count-distinct") return static_cast<std::int64_t>(all.size());
    if (f == "distinct") return make_set(all);
    throw std::logic_error("the oracle does not know the aggregate " + f);
}

/// The relation over `find`, whose elements are variables or (aggregate ?variable), as a set.
inline value answer(const rows& solutions,
                    const std::vector<value>& find,
                    const std::vector<value>& with) {
    const auto aggregate = [](const value& f) { return f.get_if<list>(); };
    std::set<vector> distinct;
    for (const row& r : solutions) {
        vector t;
        for (const value& f : find)
            t.push_back(valued(r, aggregate(f) ? aggregate(f)->items[1] : f));
        for (const value& w : with) t.push_back(valued(r, w));
        distinct.insert(std::move(t));
    }
    std::map<vector, std::vector<vector>> groups;
    for (const vector& t : distinct) {
        vector key;
        for (std::size_t i = 0; i < find.size(); ++i)
            if (!aggregate(find[i])) key.push_back(t[i]);
        groups[key].push_back(t);
    }
    std::set<value> all;
    for (const auto& [key, members] : groups) {
        vector result;
        for (std::size_t i = 0; i < find.size(); ++i) {
            std::vector<value> column;
            for (const vector& t : members) column.push_back(t[i]);
            result.push_back(
                aggregate(find[i])
                    ? aggregated(aggregate(find[i])->items[0].as<symbol>().text, std::move(column))
                    : column.front());
        }
        all.insert(value(std::move(result)));
    }
    return make_set({all.begin(), all.end()});
}

}  // namespace tributary::datom::oracle
