#include "tributary/datom/encoding.hpp"

#include "tributary/datom/fulltext.hpp"
#include "tributary/datom/keys.hpp"
#include "tributary/datom/log.hpp"
#include "tributary/datom/staged.hpp"
#include "tributary/datom/stream_log.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <fstream>
#include <random>

namespace tributary::datom {

namespace {

bytes key_of(const value& v, value_type t) {
    bytes key;
    append_key(key, encode_raw(v, t));
    return key;
}

/// Lines "name hex" of tests/fixtures/datom/`file`.
std::map<std::string, std::string> fixture(const std::string& file) {
    std::ifstream in(TRIBUTARY_FIXTURES "/datom/" + file);
    REQUIRE(in);
    std::map<std::string, std::string> lines;
    for (std::string name, hex; in >> name >> hex;) lines[name] = hex;
    return lines;
}

struct sample {
    const char* name;
    value_type type;
    value v;
};

std::vector<sample> samples() {
    return {
        {"false", value_type::boolean, false},
        {"true", value_type::boolean, true},
        {"long-min", value_type::integer, std::numeric_limits<std::int64_t>::min()},
        {"long-minus-1", value_type::integer, -1},
        {"long-0", value_type::integer, 0},
        {"long-max", value_type::integer, std::numeric_limits<std::int64_t>::max()},
        {"double-minus-1.5", value_type::real, -1.5},
        {"double-0", value_type::real, 0.0},
        {"double-0.1", value_type::real, 0.1},
        {"decimal-minus-0.10", value_type::decimal, decimal{"-0.10"}},
        {"decimal-12.5e3", value_type::decimal, decimal{"12.5e3"}},
        {"instant", value_type::instant, inst{1400000000123}},
        {"string-empty", value_type::string, ""},
        {"string-zero-byte", value_type::string, std::string("a\0b", 3)},
        {"string-umlaut", value_type::string, "Tübingen"},
        {"string-256", value_type::string, std::string(256, 'x')},
        {"string-257", value_type::string, std::string(257, 'x')},
        {"keyword", value_type::keyword, keyword{"color/red"}},
        {"keyword-plain", value_type::keyword, keyword{"red"}},
        {"symbol", value_type::symbol, symbol{"add-tweet"}},
        {"uuid", value_type::uuid, edn::read("#uuid \"0f8fad5b-d9cb-469f-a165-70867728950e\"")},
        {"bytes", value_type::bytes, blob{std::string("\x00\xff", 2)}},
        {"ref", value_type::ref, user_partition + 7},
    };
}

log_entry a_transaction() {
    return {7,
            1400000000123,
            std::nullopt,
            {{entity_of_t(7),
              system_partition + 10,
              encode_raw(inst{1400000000123}, value_type::instant),
              true,
              0},
             {user_partition + 1,
              system_partition + 256,
              encode_raw("new", value_type::string),
              true,
              0},
             {user_partition + 1,
              system_partition + 256,
              encode_raw("old", value_type::string),
              false,
              3}}};
}

log_entry a_rewind() { return {9, 1400000000999, rewind_mark{6, "tweets", 2}, {}}; }

stream_cursor a_cursor() { return {3, bytes(32, 'c'), bytes(32, 'd'), 2}; }

database_state a_state() {
    return {9, user_partition + 5, system_partition + 257, 1400000000999, true, {0, 4, 0, 2}, 12};
}

bytes packed(const log_entry& entry) {
    bytes out;
    pack(out, entry);
    return out;
}

std::map<std::string, bytes> records() {
    return {
        {"log-transaction", packed(a_transaction())},
        {"log-rewind", packed(a_rewind())},
        {"rewind-mark", pack(*a_rewind().rewind)},
        {"cursor", pack(a_cursor())},
        {"applied", pack(applied_commit{7, bytes(32, 'c')})},
        {"state-2", pack(a_state())},
        {"key-e", keys::of_e_a(keys::eavt, user_partition + 1, 256)},
        {"key-a", keys::of_a_e(keys::aevt, 256, user_partition + 1)},
        {"key-r", keys::of_target(keys::vaet, user_partition + 1, 256)},
        {"key-log", keys::of_id(keys::log, 7)},
        {"key-instant", keys::of_instant(1400000000123, 7)},
        {"key-stream", keys::of_stream("tweets")},
        {"key-applied", keys::of_applied("tweets", 3)},
        {"key-word", keys::of_word(256, "node")},
    };
}

/// Everything a small database stores.
std::map<std::string, std::string> small_database() {
    scratch d;
    d.tx(
        R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
             {:db/ident :aka :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
             {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}])");
    d.tx(R"([{:db/id 1 :name "Ann" :aka ["a" "b"]}])");
    d.tx(R"([{:db/id 1 :name "Bea"} [:db/retract 1 :aka "b"] {:db/id 2 :friend 1}])");
    std::map<std::string, std::string> stored;
    const auto cursor = d.store->cursor();
    for (cursor->seek({}); cursor->valid(); cursor->next())
        stored[to_hex(cursor->key())] = cursor->val().empty() ? "-" : to_hex(cursor->val());
    return stored;
}

}  // namespace

TEST_CASE("encoding: stored bytes of values and keys are those of the fixture", "[datom]") {
    const auto raw = fixture("values.txt"), keyed = fixture("value-keys.txt");
    CHECK(raw.size() == samples().size());
    for (const sample& s : samples()) {
        INFO(s.name);
        const bytes r = encode_raw(s.v, s.type);
        CHECK(to_hex(r) == raw.at(s.name));
        CHECK(to_hex(key_of(s.v, s.type)) == keyed.at(s.name));
        CHECK(view_of_raw(r).to_value() == s.v);
    }
}

TEST_CASE("encoding: whole keys and records are those of the fixture", "[datom]") {
    const auto wanted = fixture("records.txt");
    CHECK(unpack_log_entry(7, packed(a_transaction())) == a_transaction());
    CHECK(unpack_log_entry(9, packed(a_rewind())) == a_rewind());
    CHECK(unpack_rewind_mark(pack(*a_rewind().rewind)) == *a_rewind().rewind);
    CHECK(unpack_cursor(pack(a_cursor())) == a_cursor());
    CHECK(unpack_state(pack(a_state())) == a_state());
    // Before the ids that callers chose were counted, any of them may have been used.
    database_state older = a_state();
    older.next_chosen = system_partition;
    CHECK(unpack_state(from_hex(wanted.at("state"))) == older);

    const auto made = records();
    CHECK(made.size() + 1 == wanted.size());
    for (const auto& [name, b] : made) {
        INFO(name);
        CHECK(to_hex(b) == wanted.at(name));
    }
}

TEST_CASE("encoding: a database written by version 1 still reads", "[datom]") {
    scratch d;
    const auto cells = fixture("database-1.txt");
    kv_batch batch;
    for (const auto& [key, val] : cells)
        batch.put(from_hex(key), val == "-" ? bytes() : from_hex(val));
    d.conn.reset();
    d.store = make_memory_kv();
    d.store->write(batch, true);
    d.conn = connection::on(*d.store);
    CHECK(facts(d.now_db()) ==
          std::vector<std::string>{R"(1 :aka "a")", R"(1 :name "Bea")", "2 :friend 1"});
    CHECK(facts(d.now_db().as_of(2)) ==
          std::vector<std::string>{R"(1 :aka "a")", R"(1 :aka "b")", R"(1 :name "Ann")"});
    const db now_db = d.now_db();
    const reader& r = now_db.get();
    CHECK(search_text(r, *r.find_attribute("name"), "bea").size() == 1);

    // And the same transactions still store the same bytes, but for what the system says of itself.
    const auto now = small_database();
    const std::string state = to_hex("M"), first_entry = to_hex(keys::of_id(keys::log, 0));
    const std::string words = to_hex(bytes(1, keys::word));  // made way for terms
    for (const auto& [key, val] : cells) {
        if (key == state || key == first_entry || key.starts_with(words)) continue;
        INFO(key);
        REQUIRE(now.contains(key));
        CHECK(now.at(key) == val);
    }
}

TEST_CASE("encoding: keys sort as values do", "[datom]") {
    std::mt19937_64 random(7);
    const auto below = [&](std::uint64_t n) { return random() % n; };
    const auto text = [&](std::size_t most) {
        std::string s;
        for (std::size_t n = below(most); n > 0; --n)
            s.push_back("\0\x01\x02\xfe\xff az"[below(8)]);
        return s;
    };
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::pair<value_type, std::pair<value, value>>> pairs{
            {value_type::integer,
             {static_cast<std::int64_t>(random()) >> below(64),
              static_cast<std::int64_t>(random()) >> below(64)}},
            {value_type::real,
             {std::ldexp(static_cast<double>(below(2000)) - 1000, static_cast<int>(below(40)) - 20),
              std::ldexp(static_cast<double>(below(2000)) - 1000,
                         static_cast<int>(below(40)) - 20)}},
            {value_type::string, {text(5), text(5)}},
            {value_type::bytes, {blob{text(4)}, blob{text(4)}}},
            {value_type::ref, {below(user_partition * 2), below(user_partition * 2)}},
            {value_type::decimal,
             {decimal{std::to_string(static_cast<int>(below(300)) - 150) + "." +
                      std::to_string(below(100))},
              decimal{std::to_string(static_cast<int>(below(300)) - 150) + "." +
                      std::to_string(below(100)) + "e0"}}},
        };
        for (const auto& [type, pair] : pairs) {
            const bytes x = encode_raw(pair.first, type), y = encode_raw(pair.second, type);
            const bytes kx = key_of(pair.first, type), ky = key_of(pair.second, type);
            INFO("type " << name_of(type) << " " << edn::print(pair.first) << " and "
                         << edn::print(pair.second));
            const int c = compare(view_of_raw(x), view_of_raw(y));
            CHECK((kx < ky) == (c < 0));
            CHECK((kx == ky) == (c == 0));
            CHECK_FALSE((kx != ky && kx.starts_with(ky)));
            bytes_view rest = kx;
            bytes scratch_text;
            value_view back;
            REQUIRE(take_key(rest, scratch_text, back));
            CHECK(rest.empty());
            CHECK(back == view_of_raw(x));
        }
    }
}

TEST_CASE("encoding: decimals sort by amount, names by namespace", "[datom]") {
    const char* ascending[] = {"-1e10",
                               "-20",
                               "-3.5",
                               "-3.25",
                               "-0.1",
                               "0",
                               "1e-9",
                               "0.1",
                               "0.100",
                               "0.5",
                               "1",
                               "3.25",
                               "20",
                               "100.5",
                               "1e10"};
    for (std::size_t i = 1; i < std::size(ascending); ++i)
        CHECK(key_of(decimal{ascending[i - 1]}, value_type::decimal) <
              key_of(decimal{ascending[i]}, value_type::decimal));
    const char* names[] = {"b", "a/z", "a-b/a", "b/a"};
    for (std::size_t i = 1; i < std::size(names); ++i)
        CHECK(key_of(keyword{names[i - 1]}, value_type::keyword) <
              key_of(keyword{names[i]}, value_type::keyword));
}

TEST_CASE("encoding: what no attribute can hold is refused", "[datom]") {
    CHECK(code_of([] { encode_raw(std::nan(""), value_type::real); }) == errc::bad_input);
    CHECK(code_of([] { encode_raw(value(), value_type::string); }) == errc::bad_input);
    CHECK(code_of([] { encode_raw("1", value_type::integer); }) == errc::bad_input);
    CHECK(code_of([] { encode_raw(1.0, value_type::integer); }) == errc::bad_input);
    CHECK(code_of([] { encode_raw((std::int64_t{1} << 53) + 1, value_type::real); }) ==
          errc::bad_input);
    CHECK(code_of([] { encode_raw(std::string((16u << 20) + 1, 'x'), value_type::string); }) ==
          errc::limit);
    CHECK(encode_raw(-0.0, value_type::real) == encode_raw(0.0, value_type::real));
    CHECK(encode_raw(3, value_type::real) == encode_raw(3.0, value_type::real));
}

}  // namespace tributary::datom
