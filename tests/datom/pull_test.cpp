#include "tributary/datom/pull.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <array>

namespace tributary::datom {

namespace {

/// A house with rooms (components) and people who know each other.
struct town : scratch {
    town() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/unique :db.unique/identity}
               {:db/ident :nick :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
               {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
               {:db/ident :knows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
               {:db/ident :boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
               {:db/ident :room :db/valueType :db.type/ref :db/cardinality :db.cardinality/many
                :db/isComponent true}])");
        tx(R"([{:db/id 1 :name "Ada" :nick ["countess" "ace"] :age 36 :knows [2 3]}
               {:db/id 2 :name "Bob" :boss 1 :knows [3]}
               {:db/id 3 :name "Cyd" :boss 2 :knows [1]}
               {:db/id 10 :name "House" :room [11 12]}
               {:db/id 11 :name "Hall" :room 13}
               {:db/id 12 :name "Kitchen"}
               {:db/id 13 :name "Closet"}])");
    }
    value pulled(const std::string& pattern, const std::string& e, query_options o = {}) {
        return pull(now_db(), edn::read(pattern), edn::read(e), o);
    }
};

value edn_of(const std::string& text) { return edn::read(text); }

}  // namespace

TEST_CASE("a pull gives the attributes asked for, and leaves out what is not there") {
    town t;
    CHECK(t.pulled("[:name :age]", "1") == edn_of(R"({:name "Ada" :age 36})"));
    CHECK(t.pulled("[:name :age]", "2") == edn_of(R"({:name "Bob"})"));
    query_options lenient;
    lenient.lenient = true;
    CHECK(t.pulled("[:age :no/such]", "2", lenient).is_nil());
    CHECK(t.pulled("[:nick]", R"([:name "Ada"])") == edn_of(R"({:nick ["ace" "countess"]})"));
    CHECK(t.pulled("[:nick]", R"([:name "Nobody"])").is_nil());
    CHECK(t.pulled(R"([":name" ":db/id"])", "3") == edn_of(R"({:name "Cyd" :db/id 3})"));
    CHECK(t.pulled("[:db/id :name]", "99") == edn_of("{:db/id 99}"));
    CHECK(t.pulled("[:name]", "99").is_nil());
}

TEST_CASE("a star pulls everything, components whole, other refs as ids") {
    town t;
    CHECK(t.pulled("[*]", "2") == edn_of(R"({:db/id 2 :name "Bob" :boss {:db/id 1}
                                             :knows [{:db/id 3}]})"));
    const value house = edn_of(R"({:db/id 10 :name "House"
        :room [{:db/id 11 :name "Hall" :room [{:db/id 13 :name "Closet"}]}
               {:db/id 12 :name "Kitchen"}]})");
    CHECK(t.pulled("[*]", "10") == house);
    CHECK(t.pulled(R"(["*"])", "10") == house);
    CHECK(t.pulled("[[:name :as \"n\"] * {:room [:name]}]", "11") ==
          edn_of(R"({:db/id 11 "n" "Hall" :room [{:name "Closet"}]})"));
}

TEST_CASE("a reverse name leads to those that refer to the entity") {
    town t;
    CHECK(t.pulled("[:_knows]", "3") == edn_of("{:_knows [{:db/id 1} {:db/id 2}]}"));
    CHECK(t.pulled("[{:_boss [:name {:_boss [:name]}]}]", "1") ==
          edn_of(R"({:_boss [{:name "Bob" :_boss [{:name "Cyd"}]}]})"));
    CHECK(t.pulled("[:_room]", "13") == edn_of("{:_room {:db/id 11}}"));
    CHECK(t.pulled("[:name {:_room ...}]", "13") ==
          edn_of(R"({:name "Closet" :_room {:name "Hall" :_room {:name "House"}}})"));
}

TEST_CASE("limits, defaults, other names and functions") {
    town t;
    CHECK(t.pulled("[[:nick :limit 1]]", "1") == edn_of(R"({:nick ["ace"]})"));
    CHECK(t.pulled("[(limit :nick 1)]", "1") == edn_of(R"({:nick ["ace"]})"));
    CHECK(t.pulled(R"([["limit" :nick nil]])", "1") == edn_of(R"({:nick ["ace" "countess"]})"));
    CHECK(t.pulled("[{[:knows :limit 1] [:name]}]", "1") == edn_of(R"({:knows [{:name "Bob"}]})"));
    // What has nothing to show does not count.
    CHECK(t.pulled("[{[:knows :limit 1] [:boss]}]", "3").is_nil());
    CHECK(t.pulled("[{[:_knows :limit 1] [:boss]}]", "3") ==
          edn_of("{:_knows [{:boss {:db/id 1}}]}"));
    CHECK(t.pulled("[[:age :default false] (default :nick 0)]", "2") ==
          edn_of("{:age false :nick 0}"));
    CHECK(t.pulled("[[(default :age 7) :as [1 2]]]", "2") == edn_of("{[1 2] 7}"));

    query_options o;
    o.functions["wrap"] = [](std::span<const value> args) { return vector{args[0]}; };
    CHECK(t.pulled("[[:name :xform wrap] [:boss :xform wrap] [:age :default 1 :xform wrap]]",
                   "2",
                   o) == edn_of(R"({:name ["Bob"] :boss [{:db/id 1}] :age 1})"));
    CHECK(t.pulled("[[:age :xform wrap]]", "2", o) == edn_of("{:age [nil]}"));
}

TEST_CASE("a thousand values come unless another limit is given") {
    scratch s;
    s.tx("[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/many}]");
    vector many;
    for (int i = 1500; i > 0; --i) many.emplace_back(i);
    s.conn->transact(vector{make_map({{keyword{"db/id"}, 1}, {keyword{"n"}, many}})}, 2000);
    const auto count = [&](const std::string& pattern) {
        return pull(s.now_db(), edn::read(pattern), 1).find(keyword{"n"})->as<vector>().size();
    };
    CHECK(count("[:n]") == 1000);
    CHECK(count("[*]") == 1000);
    CHECK(count("[[:n :limit nil]]") == 1500);
    CHECK(count("[* [:n :limit 1200]]") == 1200);
    const value three = pull(s.now_db(), edn::read("[[:n :limit 3]]"), 1);
    CHECK(three == edn_of("{:n [1 2 3]}"));
}

TEST_CASE("recursion ends after its levels, or where its path meets itself") {
    town t;
    CHECK(t.pulled("[:name {:boss 1}]", "3") == edn_of(R"({:name "Cyd" :boss {:name "Bob"}})"));
    CHECK(t.pulled("[:name {:boss ...}]", "3") ==
          edn_of(R"({:name "Cyd" :boss {:name "Bob" :boss {:name "Ada"}}})"));
    CHECK(t.pulled(R"([:name {:boss "..."}])", "2") ==
          edn_of(R"({:name "Bob" :boss {:name "Ada"}})"));
    CHECK(t.pulled("[:name {:knows ...}]", "2") == edn_of(R"(
        {:name "Bob"
         :knows [{:name "Cyd"
                  :knows [{:name "Ada"
                           :knows [{:name "Bob" :knows [{:db/id 3}]} {:db/id 3}]}]}]})"));
    // Levels and what was met are counted for each path on its own.
    CHECK(t.pulled("[:name {:boss 1 :knows 1}]", "2") == edn_of(R"(
        {:name "Bob"
         :boss {:name "Ada" :knows [{:name "Bob" :boss {:db/id 1}}
                                    {:name "Cyd" :knows [{:db/id 1}]}]}
         :knows [{:name "Cyd" :boss {:name "Bob" :knows [{:db/id 3}]}}]})"));
}

TEST_CASE("a component that contains itself is shown once on each path") {
    town t;
    t.tx("[[:db/add 13 :room 11]]");
    CHECK(t.pulled("[:room]", "11") == edn_of(R"({:room [{:db/id 13 :name "Closet"
        :room [{:db/id 11 :name "Hall" :room [{:db/id 13}]}]}]})"));
}

TEST_CASE("an entity that is part of itself is shown once more, as its id") {
    town t;
    t.tx(
        "[[:db/add 1 :room 2] [:db/add 2 :room 1] [:db/retract 1 :nick] [:db/retract 1 :knows]"
        " [:db/retract 2 :knows] [:db/retract 1 :age] [:db/retract 2 :boss]]");
    const std::string bob =
        R"({:db/id 2 :name "Bob" :room [{:db/id 1 :name "Ada" :room [{:db/id 2}]}]})";
    CHECK(t.pulled("[*]", "1") == edn_of(R"({:db/id 1 :name "Ada" :room [)" + bob + "]}"));
    CHECK(t.pulled("[:room]", "1") == edn_of("{:room [" + bob + "]}"));
    CHECK(t.pulled("[{:room [*]}]", "1") == edn_of("{:room [" + bob + "]}"));
}

TEST_CASE("chains longer than results may be deep are refused, cycles and short ones are not") {
    scratch s;
    s.tx("[{:db/ident :next :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]");
    vector links;
    const int length = 5000;
    for (int i = 1; i < length; ++i)
        links.push_back(vector{keyword{"db/add"}, i, keyword{"next"}, i + 1});
    s.conn->transact(links, 2000);
    const db d = s.now_db();
    std::string message;
    CHECK(code_of([&] { pull(d, edn::read("[{:next ...}]"), 1); }, &message) == errc::limit);
    CHECK(message.find("levels") != std::string::npos);
    value v = pull(d, edn::read("[:db/id {:next 1500}]"), 1);
    int depth = 0;
    for (const value* at = &v; at; at = at->find(keyword{"next"})) ++depth;
    CHECK(depth == 1501);
    CHECK_FALSE(pull(d, edn::read("[:db/id {:next ...}]"), length - 1000).is_nil());
}

TEST_CASE("pulls see a past state, a window, a speculative state and a filtered one") {
    town t;
    t.tx(R"([[:db/add 2 :name "Robert"] [:db/retract 2 :boss 1] [:db/add 13 :nick "dark"]])");
    const auto seen = [](const db& d, const std::string& pattern, int e) {
        return pull(d, edn::read(pattern), e);
    };
    const db now = t.now_db(), past = now.as_of(2), late = now.since(2);
    CHECK(seen(past, "[:name :boss]", 2) == edn_of(R"({:name "Bob" :boss {:db/id 1}})"));
    CHECK(t.pulled("[:name :boss]", "2") == edn_of(R"({:name "Robert"})"));
    CHECK(code_of([&] { pull(past.history(), edn::read("[*]"), 2); }) == errc::misuse);

    CHECK(seen(late, "[*]", 2) == edn_of(R"({:db/id 2 :name "Robert"})"));
    CHECK(seen(late, "[:name :room]", 11).is_nil());
    CHECK(seen(late, "[:nick {:_room [:name]}]", 13) == edn_of(R"({:nick ["dark"]})"));

    const db changed =
        now.with(edn::read(R"([[:db/retract 11 :room 13] {:db/id 12 :room {:name "Shelf"}}])"),
                 t.now)
            .db_after;
    CHECK(seen(changed, "[:name {:room [:name]}]", 11) == edn_of(R"({:name "Hall"})"));
    CHECK(seen(changed, "[{:room [:name]}]", 12) == edn_of(R"({:room [{:name "Shelf"}]})"));

    const keyword name{"name"};
    const entity_id name_id = *now.entid(name);
    const db nameless = now.filter([=](const db&, const datom& f) { return f.a != name_id; });
    CHECK(seen(nameless, "[*]", 2) == edn_of("{:db/id 2 :knows [{:db/id 3}]}"));
    CHECK(seen(nameless, "[:nick {:_room [:name :db/id]}]", 13) ==
          edn_of(R"({:nick ["dark"] :_room {:db/id 11}})"));
    CHECK(seen(nameless.as_of(2), "[:name :boss]", 2) == edn_of("{:boss {:db/id 1}}"));
}

TEST_CASE("several entities come in their order, nil for the unknown") {
    town t;
    const std::array<value, 4> who = {
        value(3), edn_of(R"([:name "No"])"), edn_of(R"([:name "Ada"])"), value(3)};
    CHECK(pull_many(t.now_db(), edn::read("[:name]"), who) ==
          edn_of(R"([{:name "Cyd"} nil {:name "Ada"} {:name "Cyd"}])"));
}

TEST_CASE("a bad pull pattern is refused with the part that is wrong") {
    town t;
    const auto refused = [&](const std::string& pattern, const std::string& part) {
        std::string message;
        INFO(pattern);
        CHECK(code_of([&] { t.pulled(pattern, "1"); }, &message) == errc::bad_input);
        INFO(message);
        CHECK(message.find(part) != std::string::npos);
    };
    refused("[]", "expected a pattern");
    refused(":name", "expected a pattern");
    refused("[name]", "in name: expected an attribute");
    refused("[\"name\"]", "expected an attribute");
    refused("[[:name :as]]", "expected [attribute option value ...]");
    refused("[[:name :size 3]]", ":size: expected an option");
    refused("[[:nick :limit 0]]", "a limit is");
    refused("[(limit :nick \"3\")]", "a limit is");
    refused("[[:nick :xform no-such]]", "in no-such: there is no function");
    refused("[{:knows [:nam]}]", "no attribute is named :nam; did you mean :name?");
    refused("[:nick :limit 3]", "as in [:ns/name :limit ...]");
    refused("[{:knows 0}]", "expected a pattern, a number of levels");
    refused("[{:knows :name}]", "expected a pattern, a number of levels");
    refused("[{:age [:name]}]", "in :age: only an attribute of type ref");
    refused("[:_age]", "in :_age: only an attribute of type ref");
    refused("[{:db/id [:name]}]", "only an attribute of type ref");
}

TEST_CASE("pulls of a query have the query's memory, together") {
    scratch d;
    d.tx(
        R"([{:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/one}])");
    std::string all = "[";
    for (int e = 1; e <= 2000; ++e)
        all += "{:db/id " + std::to_string(e) + " :text \"" + std::string(1000, 'x') + "\"}";
    d.tx(all + "]");
    const auto pulled = [&](std::size_t bytes) {
        query_options options;
        options.memory_bytes = bytes;
        return query(edn::read("[:find (pull ?e [*]) :where [?e :text]]"), {d.now_db()}, options);
    };
    CHECK(pulled(8 << 20).as<vector>().size() == 2000);
    CHECK_THROWS_WITH(pulled(1 << 20), Catch::Contains("1048576 bytes"));
}

TEST_CASE("a pull keeps to its memory and its time, and ends when told to") {
    town t;
    query_options o;
    o.memory_bytes = 2000;
    CHECK(code_of([&] { t.pulled("[:name {:knows ...}]", "1", o); }) == errc::limit);
    query_options stopped;
    const std::atomic<bool> cancel = true;
    stopped.cancel = &cancel;
    CHECK(code_of([&] { t.pulled("[*]", "1", stopped); }) == errc::canceled);
}

}  // namespace tributary::datom
