/// Random queries whose clauses stand in an order the oracle can run. Variables are named after
/// what they hold: ?a to ?d small whole numbers, which are as good entities as values, ?s text,
/// ?f doubles.
#pragma once

#include "datom/query_oracle.hpp"
#include <random>

namespace tributary::datom {

class dice {
public:
    explicit dice(unsigned seed) : random_(seed) {}
    std::size_t below(std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
    }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class T>
    const T& one_of(const std::vector<T>& all) {
        return all[below(all.size())];
    }
    value number() { return static_cast<std::int64_t>(1 + below(5)); }
    value text() { return one_of(std::vector<value>{"x", "y", "z"}); }
    value real() { return one_of(std::vector<value>{1.0, 2.5, 4.0}); }
    std::mt19937& engine() { return random_; }

private:
    std::mt19937 random_;
};

/// An attribute of the data the queries are about.
struct drawn_attribute {
    keyword name;
    char holds;  ///< n(umber), r(ef), s(tring), f(loating)
    bool many;
};

struct drawn_query {
    vector find, with, in, where;
    vector inputs;             ///< literal ones, after the sources
    std::vector<value> rules;  ///< given as % if any
    oracle::rows given{{}};    ///< what the inputs bind
    bool two_sources = false;
    char spec = 'r';  ///< r(elation), c(ollection), t(uple), s(calar)

    value text() const {
        vector q{keyword{"find"}};
        if (spec == 'c')
            q.push_back(vector{find[0], symbol{"..."}});
        else if (spec == 't')
            q.push_back(find);
        else
            q.insert(q.end(), find.begin(), find.end());
        if (spec == 's') q.push_back(symbol{"."});
        if (!with.empty()) {
            q.push_back(keyword{"with"});
            q.insert(q.end(), with.begin(), with.end());
        }
        q.push_back(keyword{"in"});
        q.push_back(symbol{"$"});
        if (two_sources) q.push_back(symbol{"$2"});
        if (!rules.empty()) q.push_back(symbol{"%"});
        q.insert(q.end(), in.begin(), in.end());
        q.push_back(keyword{"where"});
        q.insert(q.end(), where.begin(), where.end());
        return q;
    }
};

class query_generator {
public:
    query_generator(dice& d, const std::vector<drawn_attribute>& attributes, bool history)
        : dice_(d), attributes_(attributes), history_(history) {}

    drawn_query draw() {
        drawn_query q;
        q.two_sources = dice_.chance(15);
        if (dice_.chance(25)) add_input(q);
        for (std::size_t n = 1 + dice_.below(3); n > 0; --n) {
            vector p = pattern(true);
            if (q.two_sources && dice_.chance(40)) p.insert(p.begin(), symbol{"$2"});
            add(q, p);
        }
        if (dice_.chance(20)) add_or(q);
        if (dice_.chance(20)) add_rule(q);
        if (dice_.chance(30)) add_function(q);
        for (std::size_t n = dice_.below(3); n > 0 && !numbers().empty(); --n) add_test(q);
        if (dice_.chance(30)) add_not(q);
        choose_find(q);
        return q;
    }

private:
    using names = std::vector<std::string>;

    void collect(const value& v) {
        if (const std::string* name = oracle::variable(v)) bound_.insert(*name);
        if (const vector* items = v.get_if<vector>())
            for (const value& item : *items) collect(item);
    }
    void add(drawn_query& q, const value& clause) {
        q.where.push_back(clause);
        collect(clause);
    }
    names numbers() const {
        names all;
        for (const std::string& n : bound_)
            if (n.size() == 2 && n[1] >= 'a' && n[1] <= 'd') all.push_back(n);
        return all;
    }
    value number_variable() {
        static const names all{"?a", "?b", "?c", "?d"};
        return symbol{dice_.one_of(all)};
    }
    value entity_term() {
        if (dice_.chance(10)) return symbol{"_"};
        return dice_.chance(15) ? dice_.number() : number_variable();
    }
    value value_term(const drawn_attribute& a) {
        if (dice_.chance(15)) return symbol{"_"};
        const bool constant = dice_.chance(25);
        if (a.holds == 's') return constant ? dice_.text() : value(symbol{"?s"});
        if (a.holds == 'f') return constant ? dice_.real() : value(symbol{"?f"});
        return constant ? dice_.number() : number_variable();
    }
    /// [e a v], sometimes with fewer places, or with the transaction and whether it was added.
    vector pattern(bool more_places) {
        const drawn_attribute& a = dice_.one_of(attributes_);
        if (more_places && dice_.chance(6))
            return {number_variable(), symbol{"?attr"}, symbol{"_"}};
        vector p{entity_term(), a.name};
        if (dice_.chance(10)) return p;
        p.push_back(value_term(a));
        if (!more_places) return p;
        if (dice_.chance(history_ ? 40 : 15))
            p.push_back(dice_.chance(60) ? value(symbol{"?tx"}) : value(symbol{"_"}));
        if (p.size() == 4 && dice_.chance(50))
            p.push_back(dice_.chance(60) ? value(symbol{"?op"}) : value(dice_.chance(50)));
        return p;
    }
    const drawn_attribute* attribute_of(const char* kinds) {
        std::vector<const drawn_attribute*> fitting;
        for (const drawn_attribute& a : attributes_)
            if (std::string_view(kinds).find(a.holds) != std::string_view::npos)
                fitting.push_back(&a);
        return fitting.empty() ? nullptr : dice_.one_of(fitting);
    }

    void add_input(drawn_query& q) {
        const value x = number_variable(), y = symbol{"?s"};
        value form, given;
        switch (dice_.below(4)) {
            case 0:
                form = x;
                given = dice_.number();
                break;
            case 1:
                form = vector{x, symbol{"..."}};
                given = vector{dice_.number(), 2, dice_.number()};
                break;
            case 2:
                form = vector{x, y};
                given = vector{dice_.number(), dice_.text()};
                break;
            default:
                form = vector{vector{x, y}};
                given =
                    vector{vector{1, "x"}, vector{dice_.number(), dice_.text()}, vector{3, "y"}};
        }
        q.in.push_back(form);
        q.inputs.push_back(given);
        q.given = oracle::bind({}, form, given);
        collect(form);
    }
    /// A pattern of whole numbers: [?x a ?y].
    value link(const value& x, const value& y) {
        const drawn_attribute* a = attribute_of("nr");
        return a != nullptr ? value(vector{x, a->name, y})
                            : value(vector{x, attributes_[0].name, symbol{"_"}});
    }
    void add_or(drawn_query& q) {
        if (attribute_of("nr") == nullptr) return;
        const value x = symbol{"?a"}, y = symbol{"?b"}, z = symbol{"?z"};
        const value both = list{{symbol{"and"}, link(x, z), link(z, y)}};
        if (dice_.chance(50))
            q.where.push_back(list{{symbol{"or"},
                                    link(x, y),
                                    list{{symbol{"and"}, link(x, y), link(y, symbol{"_"})}}}});
        else
            q.where.push_back(list{{symbol{"or-join"}, vector{x, y}, link(x, y), both}});
        bound_.insert({"?a", "?b"});
    }
    void add_rule(drawn_query& q) {
        if (attribute_of("nr") == nullptr) return;
        const value x = symbol{"?x"}, y = symbol{"?y"}, z = symbol{"?z"};
        const auto reach = [](const value& from, const value& to) {
            return value(list{{symbol{"reach"}, from, to}});
        };
        q.rules.push_back(vector{reach(x, y), link(x, y)});
        switch (dice_.below(4)) {
            case 0:
                q.rules.push_back(vector{reach(x, y), link(x, z), reach(z, y)});
                break;
            case 1:
                q.rules.push_back(vector{reach(x, y), reach(x, z), link(z, y)});
                break;
            case 2:
                q.rules.push_back(vector{reach(x, y), reach(x, z), reach(z, y)});
                break;
            default:
                q.rules.push_back(vector{reach(x, y), list{{symbol{"step"}, x, z}}, link(z, y)});
                q.rules.push_back(vector{list{{symbol{"step"}, x, y}}, link(y, x)});
                q.rules.push_back(vector{list{{symbol{"step"}, x, y}}, reach(x, y), link(y, y)});
        }
        const auto end = [&] { return dice_.chance(25) ? dice_.number() : number_variable(); };
        const value from = end(), to = end();
        q.where.push_back(reach(from, to));
        collect(from);
        collect(to);
    }
    void add_function(drawn_query& q) {
        const names n = numbers();
        if (n.empty()) return;
        const value x = symbol{dice_.one_of(n)};
        const value y = dice_.chance(50) ? dice_.number() : value(symbol{dice_.one_of(n)});
        const value out = dice_.chance(60) ? value(symbol{"?n"}) : value(symbol{dice_.one_of(n)});
        const auto f = [](const char* name, std::vector<value> args) {
            args.insert(args.begin(), symbol{name});
            return value(list{std::move(args)});
        };
        const drawn_attribute* a = attribute_of("n");
        switch (dice_.below(history_ || a == nullptr || a->many ? 5 : 7)) {
            case 0:
                return add(q, vector{f("+", {x, y}), out});
            case 1:
                return add(q, vector{f("-", {x, y}), out});
            case 2:
                return add(q, vector{f("identity", {x}), out});
            case 3:
                return add(q, vector{f("ground", {vector{1, 3}}), vector{out, symbol{"..."}}});
            case 4:
                return add(q, vector{f("vector", {x, y}), vector{symbol{"_"}, out}});
            case 5:
                return add(q, vector{f("get-else", {symbol{"$"}, x, a->name, 9}), out});
            default:
                return add(q, vector{f("missing?", {symbol{"$"}, x, a->name})});
        }
    }
    void add_test(drawn_query& q) {
        static const names tests{"<", "<=", ">", "=", "not="};
        const names n = numbers();
        const value right = dice_.chance(50) ? dice_.number() : value(symbol{dice_.one_of(n)});
        std::vector<value> call{symbol{dice_.one_of(tests)}, symbol{dice_.one_of(n)}, right};
        if (bound_.contains("?f") && call[0] == value(symbol{"<"})) call.push_back(symbol{"?f"});
        q.where.push_back(vector{list{std::move(call)}});
    }
    void add_not(drawn_query& q) {
        const names n = numbers();
        if (n.empty()) return;
        const value x = symbol{dice_.one_of(n)};
        vector inner = pattern(false);
        inner[0] = x;
        if (dice_.chance(50)) {
            q.where.push_back(list{{symbol{"not"}, inner}});
        } else {
            q.where.push_back(list{{symbol{"not-join"},
                                    vector{x},
                                    inner,
                                    vector{x, dice_.one_of(attributes_).name, symbol{"_"}}}});
        }
    }
    void choose_find(drawn_query& q) {
        vector all;
        for (const std::string& name : bound_) all.push_back(symbol{name});
        std::shuffle(all.begin(), all.end(), dice_.engine());
        if (all.empty()) return;
        const std::size_t keep = 1 + dice_.below(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (i < keep)
                q.find.push_back(all[i]);
            else if (dice_.chance(20))
                q.with.push_back(all[i]);
        }
        const names n = numbers();
        if (!n.empty() && dice_.chance(25)) {
            static const names functions{
                "count", "count-distinct", "sum", "min", "max", "distinct"};
            const std::string& on = dice_.one_of(n);
            q.find.push_back(list{{symbol{dice_.one_of(functions)}, symbol{on}}});
        } else {
            q.with.clear();
        }
        if (dice_.chance(15)) {
            q.spec = dice_.one_of(std::vector<char>{'c', 't', 's'});
            if (q.spec != 't') q.find.erase(q.find.begin(), q.find.end() - 1);
        }
    }

    dice& dice_;
    const std::vector<drawn_attribute>& attributes_;
    bool history_;
    std::set<std::string> bound_;
};

}  // namespace tributary::datom
