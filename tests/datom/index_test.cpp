#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

namespace {

/// Two rivers and three towns on them.
struct rivers : scratch {
    rivers() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/unique :db.unique/identity}
               {:db/ident :km :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :on :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
               {:db/ident :note :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/index false}])");
        tx(R"([{:db/id 1 :name "Elbe" :km 1094 :note "north"} {:db/id 2 :name "Spree" :km 400}])");
        tx(R"([{:db/id 3 :name "Dresden" :on 1} {:db/id 4 :name "Berlin" :on [2]}
               {:db/id 5 :name "Hamburg" :on [1] :db/ident :hamburg}])");
    }

    static bool is_ours(const datom& d) { return d.e < system_partition; }
    std::string shown(const db& d, const datom& f) const {
        const std::string base =
            std::to_string(f.e) + " " + edn::print(value(*d.ident(f.a))) + " " + edn::print(f.v);
        if (!d.is_history()) return base;
        return base + " t" + std::to_string(t_of_entity(f.tx)) + (f.added ? "+" : "-");
    }
};

using lines = std::vector<std::string>;

lines datoms(const rivers& w, const db& d, index_order index, const std::string& parts) {
    lines out;
    for (const datom& f : d.datoms(index, edn::read(parts).as<vector>()))
        if (rivers::is_ours(f)) out.push_back(w.shown(d, f));
    return out;
}

/// The first `n` of ours.
lines seek(const rivers& w,
           const db& d,
           index_order index,
           const std::string& parts,
           bool back,
           std::size_t n = 100) {
    lines out;
    const auto visit = [&](const datom& f) {
        if (rivers::is_ours(f)) out.push_back(w.shown(d, f));
        return out.size() < n;
    };
    const value given = edn::read(parts);
    if (back)
        d.rseek_datoms(index, given.as<vector>(), visit);
    else
        d.seek_datoms(index, given.as<vector>(), visit);
    return out;
}

lines range(const rivers& w,
            const db& d,
            const std::string& a,
            const std::string& start,
            const std::string& end,
            bool end_included = false) {
    lines out;
    d.index_range(
        edn::read(a),
        edn::read(start),
        edn::read(end),
        [&](const datom& f) {
            out.push_back(w.shown(d, f));
            return true;
        },
        end_included);
    return out;
}

constexpr auto eavt = index_order::eavt;
constexpr auto aevt = index_order::aevt;
constexpr auto avet = index_order::avet;
constexpr auto vaet = index_order::vaet;

}  // namespace

TEST_CASE("index: datoms are those that begin with the given parts", "[datom]") {
    const rivers w;
    const db d = w.now_db();
    CHECK(datoms(w, d, eavt, "[2]") == lines{"2 :name \"Spree\"", "2 :km 400"});
    CHECK(datoms(w, d, eavt, "[[:name \"Elbe\"] :km]") == lines{"1 :km 1094"});
    CHECK(datoms(w, d, eavt, "[1 :km 1094]") == lines{"1 :km 1094"});
    CHECK(datoms(w, d, eavt, "[1 :km 7]").empty());
    CHECK(datoms(w, d, eavt, "[1 :km 1094 2]") == lines{"1 :km 1094"});
    CHECK(datoms(w, d, eavt, "[1 :km 1094 3]").empty());
    CHECK(datoms(w, d, aevt, "[:km]") == lines{"1 :km 1094", "2 :km 400"});
    CHECK(datoms(w, d, aevt, "[:on :hamburg]") == lines{"5 :on 1"});
    CHECK(datoms(w, d, avet, "[:km]") == lines{"2 :km 400", "1 :km 1094"});
    CHECK(datoms(w, d, avet, "[:on]") == lines{"3 :on 1", "5 :on 1", "4 :on 2"});
    CHECK(datoms(w, d, avet, "[:on [:name \"Elbe\"]]") == lines{"3 :on 1", "5 :on 1"});
    CHECK(datoms(w, d, avet, "[:on 1 5]") == lines{"5 :on 1"});
    CHECK(datoms(w, d, vaet, "[[:name \"Elbe\"]]") == lines{"3 :on 1", "5 :on 1"});
    CHECK(datoms(w, d, vaet, "[1 :on 5]") == lines{"5 :on 1"});
    CHECK(datoms(w, d, vaet, "[]") == lines{"3 :on 1", "5 :on 1", "4 :on 2"});
    CHECK(datoms(w, d, eavt, "[]").size() == 12);
    CHECK(datoms(w, d, aevt, "[]").size() == 12);
    CHECK(datoms(w, d, avet, "[]").size() == 11);  // without :note
}

TEST_CASE("index: seeking goes on to the end of the index, across attributes and entities",
          "[datom]") {
    const rivers w;
    const db d = w.now_db();
    CHECK(seek(w, d, avet, "[:km 500]", false, 3) == lines{"1 :km 1094", "3 :on 1", "5 :on 1"});
    CHECK(seek(w, d, avet, "[:on 1 4]", false) == lines{"5 :on 1", "4 :on 2"});
    CHECK(seek(w, d, eavt, "[1 :km]", false, 3) ==
          lines{"1 :km 1094", "1 :note \"north\"", "2 :name \"Spree\""});
    CHECK(seek(w, d, eavt, "[1 :km 2000]", false, 1) == lines{"1 :note \"north\""});
    CHECK(seek(w, d, aevt, "[:km 2]", false, 2) == lines{"2 :km 400", "3 :on 1"});
    CHECK(seek(w, d, vaet, "[1 :on 4]", false) == lines{"5 :on 1", "4 :on 2"});
    CHECK(seek(w, d, eavt, "[6]", false).empty());
}

TEST_CASE("index: seeking backwards comes to the same datoms from the other side", "[datom]") {
    const rivers w;
    const db d = w.now_db();
    CHECK(seek(w, d, avet, "[:km 500]", true) == lines{"2 :km 400",
                                                       "2 :name \"Spree\"",
                                                       "5 :name \"Hamburg\"",
                                                       "1 :name \"Elbe\"",
                                                       "3 :name \"Dresden\"",
                                                       "4 :name \"Berlin\"",
                                                       "5 :db/ident :hamburg"});
    CHECK(seek(w, d, avet, "[:on 1 4]", true, 2) == lines{"3 :on 1", "1 :km 1094"});
    CHECK(seek(w, d, eavt, "[1]", true) ==
          lines{"1 :note \"north\"", "1 :km 1094", "1 :name \"Elbe\""});
    CHECK(seek(w, d, eavt, "[1 :km 500]", true) == lines{"1 :name \"Elbe\""});
    CHECK(seek(w, d, aevt, "[:km 1]", true, 2) == lines{"1 :km 1094", "5 :name \"Hamburg\""});
    CHECK(seek(w, d, vaet, "[2 :on 3]", true) == lines{"5 :on 1", "3 :on 1"});
    lines forward = seek(w, d, avet, "[]", false), backward = seek(w, d, avet, "[]", true);
    std::reverse(backward.begin(), backward.end());
    CHECK(forward == backward);
}

TEST_CASE("index: a range leaves its end out unless asked to take it in", "[datom]") {
    const rivers w;
    const db d = w.now_db();
    CHECK(range(w, d, ":km", "400", "1094") == lines{"2 :km 400"});
    CHECK(range(w, d, ":km", "400", "1094", true) == lines{"2 :km 400", "1 :km 1094"});
    CHECK(range(w, d, ":name", "\"E\"", "\"T\"") ==
          lines{"1 :name \"Elbe\"", "5 :name \"Hamburg\"", "2 :name \"Spree\""});
    CHECK(range(w, d, ":name", "nil", "\"D\"") == lines{"4 :name \"Berlin\""});
    CHECK(range(w, d, ":name", "\"S\"", "nil") == lines{"2 :name \"Spree\""});
    CHECK(range(w, d, ":on", "2", "nil") == lines{"4 :on 2"});
    CHECK(range(w, d, ":km", "9", "3").empty());
}

TEST_CASE("index: on history what one fact went through comes in the order of time", "[datom]") {
    rivers w;
    w.tx("[[:db/add 1 :km 5]]");
    w.tx("[[:db/add 1 :km 1094] [:db/retract 3 :on 1]]");
    w.tx("[[:db/retract 1 :name \"Elbe\"] [:db/add 2 :name \"Elbe\"] [:db/add 3 :on 1]]");
    const db d = w.now_db().history();
    const lines km{
        "1 :km 5 t4+", "1 :km 5 t5-", "1 :km 1094 t2+", "1 :km 1094 t4-", "1 :km 1094 t5+"};
    CHECK(datoms(w, d, eavt, "[1 :km]") == km);
    CHECK(datoms(w, d, avet, "[:km 1094 1]") == lines(km.begin() + 2, km.end()));
    CHECK(range(w, d, ":km", "0", "10") == lines(km.begin(), km.begin() + 2));
    const lines on{"3 :on 1 t3+", "3 :on 1 t5-", "3 :on 1 t6+", "5 :on 1 t3+", "4 :on 2 t3+"};
    CHECK(datoms(w, d, avet, "[:on]") == on);
    CHECK(datoms(w, d, vaet, "[1 :on 3]") == lines(on.begin(), on.begin() + 3));
    CHECK(datoms(w, d, avet, "[:name \"Elbe\"]") ==
          lines{"1 :name \"Elbe\" t2+", "1 :name \"Elbe\" t6-", "2 :name \"Elbe\" t6+"});
    for (const index_order index : {eavt, aevt, avet, vaet}) {
        lines forward = seek(w, d, index, "[]", false), backward = seek(w, d, index, "[]", true);
        std::reverse(backward.begin(), backward.end());
        CHECK(forward == backward);
        CHECK(forward == datoms(w, d, index, "[]"));
    }
}

TEST_CASE("index: what names nothing or is not in the index is refused by name", "[datom]") {
    const rivers w;
    const db d = w.now_db();
    const auto refused = [&](index_order index, const char* parts) -> std::string {
        try {
            d.datoms(index, edn::read(parts).as<vector>());
            return "";
        } catch (const error& e) {
            return e.name();
        }
    };
    CHECK(refused(avet, "[:note]") == "db.error/attribute-not-indexed");
    CHECK(refused(vaet, "[1 :km]") == "db.error/attribute-not-indexed");
    CHECK(refused(avet, "[:nowhere]") == "db.error/not-an-attribute");
    CHECK(refused(eavt, "[[:name \"Oder\"]]") == "db.error/not-an-entity");
    CHECK(refused(avet, "[:km \"far\"]") == "db.error/wrong-type");
    CHECK(refused(eavt, "[1 :km 400 2 5]") == "db.error/wrong-arity");
    CHECK(code_of([&] { d.datoms(eavt, {value("Elbe")}); }) == errc::bad_input);
    CHECK(code_of([&] { range(w, d, ":note", "nil", "nil"); }) == errc::misuse);
    CHECK(code_of([&] { range(w, d, ":km", "\"a\"", "nil"); }) == errc::bad_input);
}

}  // namespace tributary::datom
