/// Full-text search as its users see it.
#include "tributary/datom/fulltext.hpp"

#include "tributary/datom/keys.hpp"

#include <catch2/catch.hpp>

#include "datom/query_helpers.hpp"
#include "datom/support.hpp"

namespace tributary::datom {

namespace {

constexpr const char* schema_of_notes = R"([
    {:db/ident :note :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :label :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/fulltext true}
    {:db/ident :english :db/valueType :db.type/string :db/cardinality :db.cardinality/one
     :db/fulltext true :db/fulltextLanguage "english"}
    {:db/ident :german :db/valueType :db.type/string :db/cardinality :db.cardinality/one
     :db/fulltext true :db/fulltextLanguage "german"}])";

struct notes : scratch {
    notes() { tx(schema_of_notes); }

    /// Entities, the best first.
    std::vector<entity_id> best(const char* attribute, const char* words) const {
        return best(now_db(), attribute, words);
    }
    static std::vector<entity_id> best(const db& at, const char* attribute, const char* words) {
        auto found = search_text(at.get(), *at.get().find_attribute(attribute), words);
        std::stable_sort(found.begin(), found.end(), [](const auto& x, const auto& y) {
            return x.score > y.score;
        });
        std::vector<entity_id> ids;
        for (const text_match& m : found) ids.push_back(m.e);
        return ids;
    }
};

using ids = std::vector<entity_id>;

}  // namespace

TEST_CASE("fulltext: rarer words, shorter texts and repeated words score more", "[datom]") {
    notes n;
    n.tx(R"([{:db/id 1 :note "the cat and the dog and the bird and the fish"}
             {:db/id 2 :note "the cat"}
             {:db/id 3 :note "the dog"}
             {:db/id 4 :note "the dog, the dog, the dog"}
             {:db/id 5 :note "the weather"}])");
    CHECK(n.best("note", "cat") == ids{2, 1});
    CHECK(n.best("note", "dog") == ids{4, 3, 1});
    CHECK(n.best("note", "weather dog").front() == 5);
    CHECK(n.best("note", "cat cat CAT") == n.best("note", "cat"));
    CHECK(n.best("note", "THE").size() == 5);
    CHECK(n.best("note", "elephant").empty());
    CHECK(n.best("note", " ,.*").empty());
}

TEST_CASE("fulltext: a beginning finds every word that begins so, and counts as one word",
          "[datom]") {
    notes n;
    n.tx(R"([{:db/id 1 :note "ether etherpad ethereum"} {:db/id 2 :note "ethereum is a word"}
             {:db/id 3 :note "together"}])");
    CHECK(n.best("note", "ether*") == ids{1, 2});
    CHECK(n.best("note", "node.eth*") == ids{1, 2});
    CHECK(n.best("note", "ether") == ids{1});
    CHECK(n.best("note", "toge* pad*") == ids{3});
}

TEST_CASE("fulltext: with a language, words are found by their stems", "[datom]") {
    notes n;
    n.tx(R"([{:db/id 1 :english "She was running" :note "She was running"}
             {:db/id 2 :english "Many runs" :note "Many runs"}
             {:db/id 3 :german "Die Häuser"}])");
    CHECK(n.best("english", "run").size() == 2);
    CHECK(n.best("english", "RUNS").size() == 2);
    CHECK(n.best("note", "run").empty());
    CHECK(n.best("german", "haus") == ids{3});
    n.reopen();
    CHECK(n.best("english", "runner run").size() == 2);
}

TEST_CASE("fulltext: with a language, too, a beginning is of words, not of stems", "[datom]") {
    notes n;
    n.tx(R"([{:db/id 1 :english "lazy completion"}
             {:db/id 2 :english "universities complete the happiness of running"}])");
    for (const char* begins :
         {"lazy*", "laz*", "completion*", "completi*", "l*", "completion* none*"})
        CHECK(n.best("english", begins) == ids{1});
    for (const char* begins : {"universit*", "universities*", "runn*", "running*", "happine*"})
        CHECK(n.best("english", begins) == ids{2});
    CHECK(n.best("english", "compl*").size() == 2);
    CHECK(n.best("english", "lazi*").empty());
    CHECK(n.best("english", "runner*").empty());
}

TEST_CASE("fulltext: a language is one there are stems for, given when the attribute is made",
          "[datom]") {
    notes n;
    std::string message;
    CHECK(code_of(
              [&] {
                  n.tx(R"([{:db/ident :x :db/valueType :db.type/string :db/fulltext true
                            :db/cardinality :db.cardinality/one :db/fulltextLanguage "klingon"}])");
              },
              &message) == errc::bad_input);
    CHECK_THAT(
        message,
        Catch::Contains("klingon") && Catch::Contains("english") && Catch::Contains("swedish"));
    CHECK(code_of([&] {
              n.tx(R"([{:db/ident :x :db/valueType :db.type/string
                        :db/cardinality :db.cardinality/one :db/fulltextLanguage "english"}])");
          }) == errc::bad_input);
    CHECK(code_of([&] { n.tx(R"([{:db/ident :note :db/fulltextLanguage "english"}])"); }) ==
          errc::bad_input);
    CHECK(code_of([&] { n.tx(R"([{:db/ident :english :db/fulltextLanguage "german"}])"); }) ==
          errc::bad_input);
    CHECK(code_of([&] { n.tx(R"([[:db/retract :english :db/fulltextLanguage "english"]])"); }) ==
          errc::bad_input);
}

TEST_CASE("fulltext: a text that changed within one batch is found by what it became", "[datom]") {
    notes n;
    n.stage(R"([{:db/id 1 :note "first word" :label ["red one" "blue one"]}])");
    n.stage(R"([{:db/id 1 :note "second word"} [:db/retract 1 :label "red one"]])");
    n.stage(R"([{:db/id 1 :note "first again"}])");
    n.conn->flush();
    CHECK(n.best("note", "first") == ids{1});
    CHECK(n.best("note", "second").empty());
    CHECK(n.best("label", "red").empty());
    CHECK(n.best("label", "one") == ids{1});
    CHECK(notes::best(n.now_db().as_of(2), "label", "one") == ids{1, 1});
    CHECK(notes::best(n.now_db().as_of(3), "note", "second") == ids{1});
    CHECK(notes::best(n.now_db().history(), "note", "first") == ids{1, 1, 1});
}

TEST_CASE("fulltext: many facts are walked, few are fetched, and both find the same", "[datom]") {
    notes n;
    std::string forms = "[";
    for (int i = 1; i <= 300; ++i)
        forms += "{:db/id " + std::to_string(i) + " :note \"common " +
                 (i % 100 == 0 ? "rare" : "usual") + " n" + std::to_string(i) + "\"}";
    n.tx(forms + "]");
    CHECK(n.best("note", "rare") == ids{100, 200, 300});
    CHECK(n.best("note", "common").size() == 300);
    CHECK(n.best("note", "common rare").front() % 100 == 0);
    CHECK(n.best("note", "n7*") == ids{7, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79});
}

TEST_CASE("fulltext: postings of before there were terms with times are still candidates",
          "[datom]") {
    notes n;
    const auto t = n.tx(R"([{:db/id 1 :note "old words"} {:db/id 2 :note "old song"}])").t;
    n.tx(R"([{:db/id 1 :note "new words"}])");
    // What version 1 wrote for the first of the two.
    kv_batch batch;
    const auto number = n.now_db().get().find_attribute("note")->number();
    for (const auto& [word, e] :
         {std::pair{"old", "\x02\x02"}, {"words", "\x02"}, {"song", "\x04"}}) {
        bytes key = keys::of_attribute(keys::term, number).append(word).append(1, '\0');
        put_id(key, t);
        batch.erase(key);
        key.front() = keys::word;
        batch.put(key, e);
    }
    n.store->write(batch, true);
    n.reopen();
    CHECK(n.best("note", "old") == ids{2});
    CHECK(n.best("note", "words") == ids{1});
    CHECK(n.best("note", "so*") == ids{2});
    CHECK(notes::best(n.now_db().as_of(t), "note", "old").size() == 2);
}

TEST_CASE("fulltext: in queries, several of them, in not, in or", "[datom][query]") {
    notes n;
    n.tx(
        R"([{:db/id 1 :note "red car" :label ["fast" "loud"]} {:db/id 2 :note "red bicycle" :label "slow"}
             {:db/id 3 :note "blue car"}])");
    const auto ask = [&](const std::string& where) {
        return edn::print(answer("[:find (count ?e) . :where " + where + "]", {n.now_db()}));
    };
    CHECK(ask("[(fulltext $ :note \"red\") [[?e]]] [(fulltext $ :note \"car\") [[?e]]]") == "1");
    CHECK(
        ask("[(fulltext $ :note \"red\") [[?e]]] [(fulltext $ :label \"fast slow\") [[?e ?v]]]") ==
        "2");
    CHECK(ask("[?e :note] (not [(fulltext $ :note \"car\") [[?e]]])") == "1");
    CHECK(ask("(or [(fulltext $ :note \"blue\") [[?e]]] [(fulltext $ :label \"slow\") [[?e]]])") ==
          "2");
    CHECK(ask("[?e :label ?word] [(fulltext $ :label ?word) [[?e]]]") == "2");
}

}  // namespace tributary::datom
