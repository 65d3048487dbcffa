/// verify, told nothing, of databases that are right and of ones that are not.
#include "tributary/datom/verify.hpp"

#include "tributary/datom/keys.hpp"
#include "tributary/datom/staged.hpp"
#include "tributary/datom/stream_log.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include "datom/verify_support.hpp"
#include <random>

namespace tributary::datom {

namespace {

constexpr const char* schema_of_people = R"([
    {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :bio :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :tags :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/fulltext true}
    {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
    {:db/ident :score :db/valueType :db.type/double :db/cardinality :db.cardinality/one :db/noHistory true}
    {:db/ident :note :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index false}])";

/// A life with everything in it.
void live(scratch& s) {
    s.tx(schema_of_people);
    s.tx(
        R"([{:db/id "a" :name "Ann" :bio "likes red wine, red roses" :tags ["x" "y"] :score 1.5 :note "n"}
             {:db/id "b" :name "Bea" :friend "a" :boss "a"}])");
    s.tx(R"([{:name "Ann" :bio "likes tea" :score 2.5} [:db/retract [:name "Ann"] :tags "x"]])");
    s.tx(R"([{:name "Bea" :tags ["x" "z"] :note ")" + std::string(2000, 'n') + R"("}])");
    s.tx(R"([[:db/retractEntity [:name "Bea"]]])");
    s.tx(R"([{:name "Bea" :friend [:name "Ann"] :tags "x"}])");
    s.tx(R"([{:name "Ann" :tags "x"}])");
}

}  // namespace

TEST_CASE("verify: a database that is right has no problems", "[datom]") {
    scratch s;
    CHECK(problems(*s.store).empty());
    live(s);
    CHECK(problems(*s.store).empty());
    const verified v = verify(
        s.now_db(), [](const std::string& p) { FAIL(p); }, [](auto, auto) {});
    CHECK(v.transactions == s.now_db().basis_t());
    CHECK(v.entries > v.datoms);
}

TEST_CASE("verify: rewinds, one within the other and over facts that came again, are right",
          "[datom]") {
    scratch s;
    std::uint64_t position = 0;
    const auto commit = [&](const std::string& forms) {
        s.stage(forms);
        s.conn->stage_cursor("stream", {++position, bytes("c") + std::to_string(position), {}, 1});
        s.conn->flush();
    };
    commit(schema_of_people);
    commit(R"([{:db/id 1 :name "Ann" :bio "red" :tags ["x" "y"] :score 1.0 :boss 1}])");
    commit(R"([{:db/id 1 :bio "blue"} [:db/retract 1 :tags "x"] [:db/retract 1 :score 1.0]])");
    commit(R"([{:db/id 1 :bio "red" :tags "x" :score 1.0}])");
    s.conn->rewind("stream", 2, ++s.now);
    position = 2;
    CHECK(problems(*s.store).empty());
    commit(R"([{:db/id 1 :bio "green"} {:db/id 2 :name "Bea"} [:db/retract 1 :boss 1]])");
    s.conn->rewind("stream", 2, ++s.now);
    position = 2;
    CHECK(problems(*s.store).empty());
    commit(R"([[:db/retractEntity 1]])");
    s.conn->rewind("stream", 1, ++s.now);
    CHECK(problems(*s.store).empty());
}

TEST_CASE("verify: any entry that is taken away, added or changed is found", "[datom]") {
    scratch s;
    live(s);
    std::vector<std::pair<bytes, bytes>> entries;
    const auto cursor = s.store->cursor();
    for (cursor->seek({}); cursor->valid(); cursor->next())
        entries.emplace_back(cursor->key(), cursor->val());
    const auto write = [&](const bytes& key, const std::optional<bytes>& val) {
        kv_batch batch;
        if (val)
            batch.put(key, *val);
        else
            batch.erase(key);
        s.store->write(batch, true);
    };
    for (const auto& [key, val] : entries) {
        INFO(edn::print(value(blob{key})));
        write(key, std::nullopt);
        CHECK_FALSE(problems(*s.store).empty());
        if (!val.empty() && key.front() != keys::log && key.front() != keys::state) {
            bytes changed = val;
            changed.back() = static_cast<char>(changed.back() ^ 1);
            write(key, changed);
            CHECK_FALSE(problems(*s.store).empty());
        }
        write(key, val);
        if (std::string_view("EAVReavrIWT").find(key.front()) == std::string_view::npos) continue;
        bytes another = key;
        another[another.size() - 1] = static_cast<char>(another.back() ^ 64);
        write(another, val);
        CHECK_FALSE(problems(*s.store).empty());
        write(another, std::nullopt);
    }
    CHECK(problems(*s.store).empty());
}

TEST_CASE("verify: says which entry of which index differs, and how", "[datom]") {
    scratch s;
    s.tx(
        R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}])");
    const auto t = s.tx(R"([{:db/id 7 :name "Ann"}])").t;
    const auto number = s.now_db().get().find_attribute("name")->number();
    const auto erased = [&](const bytes& prefix) {
        std::string said;
        const auto cursor = s.store->cursor();
        cursor->seek(prefix);
        const bytes key(cursor->key()), val(cursor->val());
        REQUIRE(key.starts_with(prefix));
        kv_batch erase, back;
        erase.erase(key);
        back.put(key, val);
        s.store->write(erase, true);
        for (const std::string& p : problems(*s.store)) said += p + "\n";
        s.store->write(back, true);
        return said;
    };
    const std::string since = " since t " + std::to_string(t) + "\n";
    CHECK(erased(keys::of_e_a(keys::eavt, 7, number)) ==
          "the index by entity lacks entity 7 :name \"Ann\"" + since);
    CHECK(erased(keys::of_a_e(keys::aevt, number, 7)) ==
          "the index by attribute lacks entity 7 :name \"Ann\"" + since);
    CHECK(erased(keys::of_attribute(keys::avet, number)) ==
          "the index by value lacks entity 7 :name \"Ann\"" + since);
    CHECK(erased(keys::of_attribute(keys::term, number) + "ann") ==
          "the index of words lacks the word \"ann\" in :name of entity 7 at t " +
              std::to_string(t) + "\n");
}

TEST_CASE("verify: older postings that miss a word of a text are found", "[datom]") {
    scratch s;
    s.tx(
        R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}])");
    const auto t = s.tx(R"([{:db/id 1 :name "old words"} {:db/id 2 :name "old"}])").t;
    const auto number = s.now_db().get().find_attribute("name")->number();
    // As they were written before there were times in postings.
    kv_batch older;
    for (const auto& [word, packed] : {std::pair{"old", "\x02\x02"}, {"words", "\x02"}}) {
        bytes key = keys::of_attribute(keys::term, number).append(word).append(1, '\0');
        put_id(key, t);
        older.erase(key);
        key.front() = keys::word;
        older.put(key, packed);
    }
    older.erase(keys::of_attribute(keys::term, number));
    s.store->write(older, true);
    CHECK(problems(*s.store).empty());
    kv_batch less;
    bytes key = keys::of_word(number, "old").append(1, '\0');
    put_id(key, t);
    less.put(key, "\x02");
    s.store->write(less, true);
    CHECK(problems(*s.store) ==
          std::vector<std::string>{
              "the older index of words lacks the word \"old\" of entity 2 at t " +
              std::to_string(t)});
}

TEST_CASE("verify: records of streams that do not fit each other or the log are found", "[datom]") {
    scratch s;
    for (std::uint64_t position : {1, 2, 3}) {
        s.stage("[]");
        s.conn->stage_cursor("tweets", {position, bytes("c") + std::to_string(position), {}, 1});
        s.conn->flush();
    }
    REQUIRE(problems(*s.store).empty());
    const auto told = [&](const bytes& key, const std::optional<bytes>& val) {
        const auto before = s.store->get(key);
        kv_batch change, back;
        val ? change.put(key, *val) : change.erase(key);
        before ? back.put(key, *before) : back.erase(key);
        s.store->write(change, true);
        std::string said;
        for (const std::string& p : problems(*s.store)) said += p + "\n";
        s.store->write(back, true);
        return said;
    };
    CHECK(told(keys::of_stream("tweets"), std::nullopt) ==
          "the stream tweets has applied commits but no cursor\n");
    CHECK(told(keys::of_stream("tweets"), "?").find("cannot be read") != std::string::npos);
    CHECK(told(keys::of_applied("tweets", 3), std::nullopt) ==
          "the stream tweets is at position 3; its last applied commit is that of position 2\n");
    CHECK(told(keys::of_applied("tweets", 2), pack(applied_commit{90, "c2"}))
              .find("position 2 has t 90; expected one from") != std::string::npos);
    CHECK(told(keys::of_stream("other"), pack(stream_cursor{4, "c", {}, 1})) ==
          "the stream other is at position 4, but has no applied commits\n");
    CHECK(problems(*s.store).empty());
}

TEST_CASE("verify: random lives are right", "[datom]") {
    const unsigned seed = std::random_device()();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    scratch s;
    s.tx(schema_of_people);
    for (int i = 0; i < 200; ++i) {
        const std::string e = std::to_string(below(4) + 1), n = std::to_string(below(3));
        const std::vector<std::string> forms = {
            "{:db/id " + e + " :name \"p" + n + "\"}",
            "{:db/id " + e + " :bio \"w" + n + " word w" + n + "\" :score " + n + ".5}",
            "{:db/id " + e + " :tags [\"t" + n + "\" \"u" + n + "\"] :friend " + n + "}",
            "[:db/retract " + e + " :tags \"t" + n + "\"]",
            "{:db/id " + e + " :boss " + n + " :note \"" + n + "\"}",
            "[:db/retractEntity " + e + "]"};
        try {
            s.stage("[" + forms[static_cast<std::size_t>(below(6))] + "]");
        } catch (const error&) {  // a name that somebody else has
        }
        if (below(3) == 0) s.conn->flush();
    }
    s.conn->flush();
    for (const std::string& p : problems(*s.store)) FAIL(p);
}

}  // namespace tributary::datom
