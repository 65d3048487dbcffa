#include "tributary/datom/words.hpp"

#include "tributary/datom/fulltext.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"

namespace tributary::datom {

using list_of_words = std::vector<std::string>;

TEST_CASE("words: runs of letters, marks and digits, case-folded", "[datom]") {
    CHECK(words("Node.js is NOT node-red, 2x!") ==
          list_of_words{"2x", "is", "js", "node", "not", "red"});
    CHECK(words("#hash @you http://t.co/AbC1") ==
          list_of_words{"abc1", "co", "hash", "http", "t", "you"});
    CHECK(words("") == list_of_words{});
    CHECK(words(" \n\t.,;") == list_of_words{});
    CHECK(words("a_b") == list_of_words{"a", "b"});
}

TEST_CASE("words: beyond ASCII", "[datom]") {
    CHECK(words("Straße STRASSE") == list_of_words{"strasse"});
    CHECK(words("ÉTÉ été") == list_of_words{"été"});
    CHECK(words("Привет, МИР") == list_of_words{"мир", "привет"});
    CHECK(words("e\xcc\x81t") ==
          list_of_words{"e\xcc\x81t"});  // a combining mark belongs to its word
    CHECK(words("good \xff\xfe bad\x80word") == list_of_words{"bad", "good", "word"});
}

TEST_CASE("words: scripts without spaces are segmented", "[datom]") {
    const auto found = words("東京に行きます");
    CHECK(found.size() > 1);
    CHECK(std::count(found.begin(), found.end(), "東京") == 1);
}

TEST_CASE("words: long ones are cut at a character", "[datom]") {
    CHECK(words(std::string(1000, 'a')) == list_of_words{std::string(128, 'a')});
    const std::string umlauts = [] {
        std::string s = "x";
        for (int i = 0; i < 100; ++i) s += "ü";
        return s;
    }();
    CHECK(words(umlauts) == list_of_words{umlauts.substr(0, 127)});
}

TEST_CASE("fulltext: agrees with the facts, now and as of then", "[datom]") {
    scratch d;
    d.tx(
        R"([{:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
             {:db/ident :plain :db/valueType :db.type/string :db/cardinality :db.cardinality/one}])");
    const auto t1 =
        d.tx(R"([{:db/id 1 :text "Node.js rocks"} {:db/id 2 :text "a nodding node"}])").t;
    const auto t2 = d.tx(R"([{:db/id 1 :text "Deno rocks"}])").t;
    d.tx(R"([[:db/retractEntity 2]])");
    const auto hits = [](const db& at, const char* words) {
        std::vector<entity_id> found;
        for (const text_match& m : search_text(at.get(), *at.get().find_attribute("text"), words))
            found.push_back(m.e);
        return found;
    };
    using ids = std::vector<entity_id>;
    for (int round = 0; round < 2; ++round) {
        CHECK(hits(d.now_db(), "node") == ids{});
        CHECK(hits(d.now_db(), "rocks") == ids{1});
        CHECK(hits(d.now_db().as_of(t1), "node") == ids{1, 2});
        CHECK(hits(d.now_db().as_of(t2), "node") == ids{2});
        CHECK(hits(d.now_db().as_of(t1), "nod*") == ids{1, 2});
        CHECK(hits(d.now_db().history(), "deno") == ids{1});
        d.reopen();
    }
    CHECK(code_of([&] {
              search_text(d.now_db().get(), *d.now_db().get().find_attribute("plain"), "x");
          }) == errc::bad_input);
}

}  // namespace tributary::datom
