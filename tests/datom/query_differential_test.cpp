#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"
#include "datom/query_oracle.hpp"
#include "datom/support.hpp"
#include <random>

using namespace tributary;
using namespace tributary::datom;

namespace {

/// Random queries whose clauses stand in an order the oracle can run.
class generator {
public:
    explicit generator(unsigned seed) : random_(seed) {}

    std::size_t below(std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
    }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class T>
    const T& one_of(const std::vector<T>& all) {
        return all[below(all.size())];
    }
    std::mt19937& engine() { return random_; }

    /// A small number, which is as good an entity as a value.
    value number() { return static_cast<std::int64_t>(1 + below(5)); }

    value pattern_term(std::size_t place, bool ints_only) {
        static const std::vector<std::string> names{"?a", "?b", "?c", "?d"};
        if (place == 1)
            return value(keyword{one_of(ints_only ? number_attributes : all_attributes)});
        if (chance(20)) return value(symbol{"_"});
        if (chance(25)) return number();
        return value(symbol{one_of(names)});
    }
    value pattern() {
        const bool ints_only = !chance(15);
        vector items;
        const std::size_t width = chance(85) ? 3 : 2;
        for (std::size_t i = 0; i < width; ++i) items.push_back(pattern_term(i, ints_only));
        if (!ints_only && width == 3 && oracle::variable(items[2]) != nullptr)
            items[2] = symbol{"?s"};
        return items;
    }

    struct made {
        std::vector<value> clauses;
        std::vector<std::string> find;
    };
    made query() {
        made m;
        std::set<std::string> bound;
        for (std::size_t n = 1 + below(3); n > 0; --n) m.clauses.push_back(pattern());
        for (const value& p : m.clauses) collect(p, bound);
        if (chance(25)) add_or(m, bound);
        std::vector<std::string> numbers;
        for (const std::string& name : bound) {
            if (name != "?s") numbers.push_back(name);
        }
        if (!numbers.empty()) {
            if (chance(25)) {
                m.clauses.push_back(vector{list{{symbol{"+"}, symbol{one_of(numbers)}, number()}},
                                           symbol{chance(50) ? "?z" : one_of(numbers)}});
                collect(m.clauses.back(), bound);
            }
            static const std::vector<std::string> tests{"<", "=", "not="};
            for (std::size_t n = below(3); n > 0; --n) {
                const value right = chance(50) ? number() : value(symbol{one_of(numbers)});
                m.clauses.push_back(
                    vector{list{{symbol{one_of(tests)}, symbol{one_of(numbers)}, right}}});
            }
            if (chance(30)) add_not(m, bound);
        }
        m.find.assign(bound.begin(), bound.end());
        std::shuffle(m.find.begin(), m.find.end(), random_);
        if (m.find.size() > 1 && chance(60)) m.find.resize(1 + below(m.find.size()));
        return m;
    }

    const std::vector<std::string> number_attributes{"n", "m", "r"};
    const std::vector<std::string> all_attributes{"n", "m", "r", "s"};

private:
    static void collect(const value& v, std::set<std::string>& into) {
        if (const std::string* name = oracle::variable(v)) into.insert(*name);
        if (const vector* items = v.get_if<vector>()) {
            for (const value& item : *items) collect(item, into);
        }
    }
    void add_or(made& m, std::set<std::string>& bound) {
        const value x = symbol{"?a"};
        const value y = symbol{"?b"};
        const auto branch = [&] { return value(vector{x, keyword{one_of(number_attributes)}, y}); };
        m.clauses.push_back(
            list{{symbol{"or"},
                  branch(),
                  list{{symbol{"and"}, branch(), vector{y, keyword{"r"}, symbol{"_"}}}}}});
        bound.insert({"?a", "?b"});
    }
    void add_not(made& m, const std::set<std::string>& bound) {
        const value inner = pattern();
        std::set<std::string> used;
        collect(inner, used);
        const bool shares = std::any_of(used.begin(), used.end(), [&](const std::string& name) {
            return bound.contains(name);
        });
        if (shares) m.clauses.push_back(list{{symbol{"not"}, inner}});
    }

    std::mt19937 random_;
};

std::string query_text(const generator::made& m) {
    std::string text = "[:find";
    for (const std::string& name : m.find) text += " " + name;
    text += " :where";
    for (const value& c : m.clauses) text += " " + edn::print(c);
    return text + "]";
}

oracle::tuples random_facts(generator& g, std::size_t n) {
    std::set<value> facts;
    std::set<value> taken;  // (entity, attribute) of cardinality one
    static const std::vector<std::string> words{"x", "y", "z"};
    while (n-- > 0) {
        const value e = g.number();
        const std::string a = g.one_of(g.all_attributes);
        if ((a == "n" || a == "s") && !taken.insert(vector{e, a}).second) continue;
        facts.insert(value(vector{e, keyword{a}, a == "s" ? value(g.one_of(words)) : g.number()}));
    }
    oracle::tuples all;
    for (const value& f : facts) all.push_back(f.as<vector>());
    return all;
}

value as_value(const oracle::tuples& facts) {
    vector all;
    for (const auto& f : facts) all.push_back(value(f));
    return all;
}

/// How many queries were compared, and how many of them had an answer: random queries that find
/// nothing test little.
int asked = 0;
int with_rows = 0;

/// Asks in the order written and in another; both must give what the oracle gives.
void compare(const generator::made& m,
             const oracle::world& w,
             const query_input& source,
             generator& g,
             unsigned seed) {
    if (m.find.empty()) return;
    const value expected = oracle::answer(w, m.find, m.clauses);
    ++asked;
    if (!expected.as<set>().items.empty()) ++with_rows;
    INFO("seed " << seed << "\n" << query_text(m));
    CHECK(answer(query_text(m), {source}) == expected);
    generator::made other = m;
    std::shuffle(other.clauses.begin(), other.clauses.end(), g.engine());
    // A negation stands after what it takes away from.
    std::stable_partition(other.clauses.begin(), other.clauses.end(), [](const value& c) {
        const list* l = c.get_if<list>();
        return l == nullptr || l->items.front() != value(symbol{"not"});
    });
    INFO("also as " << query_text(other));
    CHECK(answer(query_text(other), {source}) == expected);
}

}  // namespace

TEST_CASE("query: agrees with the naive evaluator on tuples, in any order of clauses",
          "[datom][query]") {
    for (unsigned seed = 1; seed <= 250; ++seed) {
        generator g(seed);
        oracle::world w;
        w.facts = random_facts(g, 5 + g.below(25));
        for (int i = 0; i < 2; ++i) compare(g.query(), w, as_value(w.facts), g, seed);
    }
    CHECK(with_rows > asked / 4);
}

TEST_CASE("query: agrees with the naive evaluator on databases, past states and history",
          "[datom][query]") {
    for (unsigned seed = 1; seed <= 15; ++seed) {
        generator g(seed);
        scratch s;
        s.tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
                 {:db/ident :m :db/valueType :db.type/long :db/cardinality :db.cardinality/many}
                 {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
                 {:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/one}])");
        std::vector<db> states;
        for (int t = 0; t < 3; ++t) {
            vector forms;
            for (const auto& f : random_facts(g, 12)) {
                const bool retract = t > 0 && g.chance(25);
                forms.push_back(
                    vector{keyword{retract ? "db/retract" : "db/add"}, f[0], f[1], f[2]});
            }
            s.tx(edn::print(forms));
            states.push_back(s.now_db());
        }
        const std::int64_t newest = s.now_db().basis_t();
        states.push_back(s.now_db().as_of(newest - 1));
        states.push_back(s.now_db().history());
        for (const db& d : states) {
            oracle::world w;
            d.get().scan_all([&](const datom_ref& f) {
                w.facts.push_back({f.e, f.a, f.v.to_value(), f.tx, f.added});
                return true;
            });
            w.meaning = [&](std::size_t place, const value& v) {
                return place == 1 ? value(d.get().find_attribute(v.as<keyword>().text)->id) : v;
            };
            for (int i = 0; i < 6; ++i) compare(g.query(), w, d, g, seed);
        }
    }
}
