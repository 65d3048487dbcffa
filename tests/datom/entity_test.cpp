#include "tributary/datom/entity.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

namespace {

struct library : scratch {
    library() {
        tx(R"([{:db/ident :title :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/unique :db.unique/identity}
               {:db/ident :tag :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
               {:db/ident :shelf :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
               {:db/ident :next/in-series :db/valueType :db.type/ref
                :db/cardinality :db.cardinality/many}
               {:db/ident :chapter :db/valueType :db.type/ref :db/cardinality :db.cardinality/many
                :db/isComponent true}
               {:db/id 50 :db/ident :shelf/poetry}])");
        tx(R"([{:db/id 1 :title "One" :tag [:old :blue] :shelf 50 :next/in-series 2
                :chapter [{:db/id 11 :title "Start"} {:db/id 12 :title "End"}]}
               {:db/id 2 :title "Two"}])");
    }
    entity of(const std::string& id) const { return *entity::of(now_db(), edn::read(id)); }
};

value get(const entity& e, const char* name) { return e.get(keyword{name}); }

}  // namespace

TEST_CASE("an entity gives its values, nil where there are none") {
    library l;
    const entity one = l.of(R"([:title "One"])");
    CHECK(one.id() == 1);
    CHECK(get(one, "db/id") == value(1));
    CHECK(get(one, "title") == value("One"));
    CHECK(get(one, "tag") == edn::read("#{:blue :old}"));
    CHECK(get(one, "shelf") == value(keyword{"shelf/poetry"}));
    CHECK(get(one, "next/in-series") == edn::read("#{2}"));
    CHECK(get(one, "no/such").is_nil());
    CHECK(get(l.of("2"), "tag").is_nil());
    CHECK(get(l.of("99"), "title").is_nil());
    CHECK_FALSE(entity::of(l.now_db(), edn::read(R"([:title "None"])")));
}

TEST_CASE("an entity leads to others, forward and back") {
    library l;
    const auto next = l.of("1").follow(keyword{"next/in-series"});
    REQUIRE(next.size() == 1);
    CHECK(get(next[0], "title") == value("Two"));
    CHECK(get(next[0], "next/_in-series") == edn::read("#{1}"));
    CHECK(next[0].follow(keyword{"next/_in-series"}).at(0) == l.of("1"));
    CHECK(get(l.of("11"), "_chapter") == value(1));
    CHECK(get(l.of("1"), "_title").is_nil());
    CHECK(l.of("1").follow(keyword{"title"}).empty());
}

TEST_CASE("touching an entity reads all of it, components whole") {
    library l;
    CHECK(l.of("1").touch() == edn::read(R"({:title "One" :tag #{:old :blue} :shelf :shelf/poetry
        :next/in-series #{2}
        :chapter #{{:db/id 11 :title "Start"} {:db/id 12 :title "End"}}})"));
    CHECK(l.of("99").touch() == edn::read("{}"));
    CHECK(l.of("2").keys() == std::vector<keyword>{keyword{"title"}});
    l.tx("[[:db/add 12 :chapter 1]]");
    const value whole = l.of("12").touch();
    CHECK(edn::print(whole).find(":chapter #{{:db/id 12}") != std::string::npos);
}

TEST_CASE("an entity keeps to the state it was taken from") {
    library l;
    const entity before = l.of("2");
    CHECK(before == l.of("2"));
    l.tx(R"([[:db/add 2 :title "Second"]])");
    CHECK(get(before, "title") == value("Two"));
    CHECK(get(l.of("2"), "title") == value("Second"));
    CHECK_FALSE(before == l.of("2"));
    CHECK_FALSE(l.of("1") == l.of("2"));
    CHECK(get(*entity::of(l.now_db().as_of(2), 2), "title") == value("Two"));
    CHECK(code_of([&] { entity::of(l.now_db().history(), 2); }) == errc::misuse);
}

}  // namespace tributary::datom
