// A transaction is a set: whatever order its forms have, it gives the same database or the same
// refusal.
#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <cstdlib>
#include <map>
#include <random>
#include <set>

namespace tributary::datom {

namespace {

constexpr const char* attributes = R"([
    {:db/ident :id :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :mail :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/unique :db.unique/identity}
    {:db/ident :of :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :badge :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
    {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :tag :db/valueType :db.type/long :db/cardinality :db.cardinality/many}
    {:db/ident :ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
    {:db/ident :parts :db/valueType :db.type/ref :db/cardinality :db.cardinality/many :db/isComponent true}
    {:db/ident :row :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :seat :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :place :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one :db/tupleAttrs [:row :seat] :db/unique :db.unique/identity}])";

/// Few entities and values, so that forms meet one another.
class generator {
public:
    explicit generator(unsigned seed) : random_(seed) {}

    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

    std::vector<std::string> transaction(int most) {
        std::vector<std::string> forms;
        for (int i = below(most) + 1; i > 0; --i) forms.push_back(form());
        return forms;
    }
    void shuffle(std::vector<std::string>& forms) {
        std::shuffle(forms.begin(), forms.end(), random_);
    }

private:
    std::string one_of(const std::vector<std::string>& some) {
        return some[static_cast<std::size_t>(below(static_cast<int>(some.size())))];
    }
    std::string lookup() {
        return one_of(
            {R"([:id "a"])", R"([:id "b"])", R"([:id "c"])", R"([:mail "m"])", "[:place [1 1]]"});
    }
    std::string known() { return below(3) > 0 ? one_of({"1", "2", "3", "4"}) : lookup(); }
    std::string entity() {
        return below(3) > 0 ? known() : one_of({"-1", "-2", R"("datomic.tx")"});
    }
    std::string attribute() {
        return one_of({":id",
                       ":mail",
                       ":of",
                       ":badge",
                       ":n",
                       ":n",
                       ":tag",
                       ":tag",
                       ":ref",
                       ":parts",
                       ":row",
                       ":seat",
                       ":row",
                       ":seat",
                       ":place"});
    }
    std::string plain(const std::string& a) {
        if (a == ":id") return one_of({R"("a")", R"("b")", R"("c")"});
        if (a == ":mail") return one_of({R"("m")", R"("n")"});
        if (a == ":place") return one_of({"[1 1]", "[1 2]"});
        return std::to_string(below(2) + 1);
    }
    static bool is_ref(const std::string& a) { return a == ":ref" || a == ":parts" || a == ":of"; }
    std::string new_value(const std::string& a) {
        if (!is_ref(a)) return plain(a);
        return a == ":parts" && below(3) == 0 ? "{" + pairs(1) + "}" : entity();
    }
    std::string old_value(const std::string& a) { return is_ref(a) ? known() : plain(a); }
    std::string pairs(int most) {
        std::map<std::string, std::string> said;
        for (int i = below(most) + 1; i > 0; --i) {
            const std::string a = attribute();
            said[a] = new_value(a);
        }
        std::string text;
        for (const auto& [a, v] : said) text += " " + a + " " + v;
        return text;
    }
    std::string form() {
        const std::string a = attribute();
        switch (below(10)) {
            case 0:
            case 1:
            case 2:
                return "[:db/add " + entity() + " " + a + " " + new_value(a) + "]";
            case 3:
            case 4:
                return "[:db/retract " + known() + " " + a + " " + old_value(a) + "]";
            case 5:
                return "[:db/retract " + known() + " " + a + "]";
            case 6:
                return "[:db/retractEntity " + known() + "]";
            case 7:
                return "[:db/cas " + known() + " :n " + one_of({"nil", "1", "2"}) + " " +
                       plain(":n") + "]";
            case 8:
                return "{" + pairs(3) + "}";
            default:
                return "{:db/id " + entity() + pairs(3) + "}";
        }
    }

    std::mt19937 random_;
};

/// The facts, a new entity named by what is known of it, since ids are given out in some order.
std::vector<std::string> named_facts(const db& d) {
    std::map<entity_id, std::string> names;
    const std::vector<std::string> all = facts(d, true);
    const auto is_new = [](entity_id e) { return e >= user_partition; };
    const auto id_at = [](const std::string& line, std::size_t at) {
        return std::strtoll(line.c_str() + at, nullptr, 10);
    };
    for (int round = 0; round < 2; ++round) {
        std::map<entity_id, std::multiset<std::string>> known;
        for (const std::string& line : all) {
            const entity_id e = id_at(line, 0);
            if (!is_new(e)) continue;
            const std::size_t space = line.rfind(' ');
            const entity_id target = id_at(line, space);
            known[e].insert("(" + line.substr(line.find(' ') + 1, space - line.find(' ')) +
                            (is_new(target) ? names[target] : line.substr(space)) + ")");
        }
        names.clear();
        for (const auto& [e, said] : known)
            for (const std::string& one : said) names[e] += one;
    }
    std::vector<std::string> lines;
    for (const std::string& line : all) {
        const std::size_t first = line.find(' '), last = line.rfind(' ');
        const entity_id e = id_at(line, 0), target = id_at(line, last);
        lines.push_back((is_new(e) ? names[e] : line.substr(0, first)) +
                        line.substr(first, last - first) + " " +
                        (is_new(target) ? names[target] : line.substr(last)));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

std::string text_of(const std::vector<std::string>& forms) {
    std::string text = "[";
    for (const std::string& f : forms) text += f + "\n ";
    return text + "]";
}

/// What comes of it: the facts, or the error's name alone.
std::vector<std::string> outcome(const db& before, const std::vector<std::string>& forms) {
    try {
        return named_facts(before.with(edn::read(text_of(forms)), 5000).db_after);
    } catch (const error& e) {
        return {e.name(), e.what()};
    }
}

/// TRIBUTARY_ORDER_SEEDS=1..100000 runs those.
std::pair<unsigned, unsigned> seeds() {
    std::pair<unsigned, unsigned> range{1, 60};
    if (const char* given = std::getenv("TRIBUTARY_ORDER_SEEDS"))
        std::sscanf(given, "%u..%u", &range.first, &range.second);
    return range;
}

}  // namespace

TEST_CASE("transact: the order of forms never decides", "[datom]") {
    const auto [first, last] = seeds();
    int done = 0, refused = 0;
    for (unsigned seed = first; seed <= last; ++seed) {
        generator g(seed);
        scratch d;
        d.tx(attributes);
        for (int i = 0; i < 6; ++i) {
            try {
                d.tx(text_of(g.transaction(3)));
            } catch (const error&) {
            }
        }
        const db before = d.now_db();
        for (int i = 0; i < 40; ++i) {
            std::vector<std::string> forms = g.transaction(4);
            const auto one = outcome(before, forms);
            INFO("seed " << seed << "\n" << text_of(forms) << (one.size() == 2 ? one[1] : ""));
            g.shuffle(forms);
            const auto other = outcome(before, forms);
            INFO(text_of(forms) << (other.size() == 2 ? other[1] : ""));
            const bool is_error = one.front().starts_with("db.error/");
            ++(is_error ? refused : done);
            if (is_error)
                CHECK(one.front() == other.front());
            else
                CHECK(one == other);
        }
    }
    CHECK(done > refused / 4);
    CHECK(refused > done / 20);
}

}  // namespace tributary::datom
