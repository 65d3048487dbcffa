#include "tributary/datom/feed.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <thread>

namespace tributary::datom {

using namespace std::chrono_literals;

namespace {

constexpr auto single = log_reader::mode::single_pass;

std::vector<std::int64_t> all_of(log_reader& feed) {
    std::vector<std::int64_t> ts;
    while (const auto tx = feed.next()) ts.push_back(tx->t);
    return ts;
}

struct numbers : scratch {
    numbers() {
        tx(R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
    }
    void write(int n) { tx("[[:db/add 1 :n " + std::to_string(n) + "]]"); }
};

using ts = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("feed: readers begin where their cursor says and go their own ways", "[datom]") {
    numbers d;
    for (int n = 1; n <= 4; ++n) d.write(n);
    log_reader all(*d.conn, log_cursor::trim_horizon(), single);
    log_reader at(*d.conn, log_cursor::at(3), single);
    log_reader after(*d.conn, log_cursor::after(3), single);
    log_reader latest(*d.conn, log_cursor::latest());
    CHECK(latest.position() == 5);
    d.write(5);
    CHECK(all_of(at) == ts{3, 4, 5});
    CHECK(all_of(all) == ts{1, 2, 3, 4, 5});  // what came since is not part of a single pass
    CHECK(all_of(after) == ts{4, 5});
    CHECK(after.position() == 5);
    CHECK(all_of(latest) == ts{6});
    d.write(6);
    CHECK(all_of(latest) == ts{7});
    CHECK(all_of(all).empty());
}

TEST_CASE("feed: a cursor is a t or a transaction, and never beyond what comes next", "[datom]") {
    numbers d;
    for (int n = 1; n <= 2; ++n) d.write(n);
    log_reader after(*d.conn, log_cursor::after(entity_of_t(2)), single);
    CHECK(all_of(after) == ts{3});
    log_reader at(*d.conn, log_cursor::at(entity_of_t(2)), single);
    CHECK(all_of(at) == ts{2, 3});
    log_reader next(*d.conn, log_cursor::at(4)), last(*d.conn, log_cursor::after(3));
    d.write(3);
    CHECK(all_of(next) == ts{4});
    CHECK(all_of(last) == ts{4});
    for (const log_cursor& beyond : {log_cursor::at(6),
                                     log_cursor::after(5),
                                     log_cursor::after(entity_of_t(5)),
                                     log_cursor::after(user_partition)}) {
        std::string message;
        CHECK(code_of([&] { log_reader(*d.conn, beyond); }, &message) == errc::bad_input);
        CHECK_THAT(message, Catch::Contains("whose last t is 4"));
    }
}

TEST_CASE("feed: cursors are read from their text", "[datom]") {
    CHECK(log_cursor::parse("trim-horizon") == log_cursor::trim_horizon());
    CHECK(log_cursor::parse("latest") == log_cursor::latest());
    CHECK(log_cursor::parse("at:7") == log_cursor::at(7));
    CHECK(log_cursor::parse("after:0") == log_cursor::after(0));
    for (const char* bad : {"", "at:", "at:x", "after:-1", "at:1 ", "newest"})
        CHECK(code_of([&] { log_cursor::parse(bad); }) == errc::bad_input);
}

TEST_CASE("feed: each transaction comes with the database before and after it", "[datom]") {
    numbers d;
    d.write(1);
    d.write(2);
    log_reader feed(*d.conn, log_cursor::at(2));
    const auto first = feed.next(), second = feed.next();
    REQUIRE((first && second));
    CHECK(facts(first->db_before).empty());
    CHECK(facts(first->db_after) == std::vector<std::string>{"1 :n 1"});
    CHECK(facts(second->db_before) == facts(first->db_after));
    CHECK(facts(second->db_after) == std::vector<std::string>{"1 :n 2"});
    CHECK(first->data.size() == 2);
    CHECK(first->instant == inst{1002});
}

TEST_CASE("feed: a rewind comes as ordinary datoms, marked", "[datom]") {
    numbers d;
    stream_cursor c{0, {}, {}, 1};
    d.conn->stage_cursor("s", c);
    d.conn->flush();
    for (int n = 1; n <= 2; ++n) {
        d.stage("[[:db/add 1 :n " + std::to_string(n) + "]]");
        d.conn->stage_cursor("s", {static_cast<std::uint64_t>(n), "c" + std::to_string(n), {}, 1});
        d.conn->flush();
    }
    log_reader feed(*d.conn, log_cursor::latest());
    d.conn->rewind("s", 1, ++d.now);
    const auto tx = feed.next();
    REQUIRE(tx);
    CHECK(tx->rewind == rewind_mark{2, "s", 1});
    CHECK(facts(tx->db_before) == std::vector<std::string>{"1 :n 2"});
    CHECK(facts(tx->db_after) == std::vector<std::string>{"1 :n 1"});
    CHECK(std::count_if(tx->data.begin(), tx->data.end(), [](const datom& f) {
              return f.e == 1 && (f.added ? f.v == value(1) : f.v == value(2));
          }) == 2);
}

TEST_CASE("feed: closing wakes a reader that waits, once and for good", "[datom]") {
    numbers d;
    log_reader feed(*d.conn, log_cursor::latest());
    std::optional<fed_tx> got;
    std::thread waiting([&] { got = feed.next(1h); });
    std::this_thread::sleep_for(20ms);
    CHECK(feed.close());
    waiting.join();
    CHECK_FALSE(got);
    CHECK_FALSE(feed.close());
    d.write(1);
    CHECK_FALSE(feed.next(1h));
    log_reader short_of_time(*d.conn, log_cursor::latest());
    CHECK_FALSE(short_of_time.next(5ms));
}

TEST_CASE("feed: while others write, every reader gets each transaction once", "[datom]") {
    numbers d;
    constexpr int writers = 2, each = 150, readers = 3;
    const std::int64_t last = 1 + writers * each;
    std::vector<std::thread> threads;
    std::vector<ts> seen(readers);
    for (int w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            for (int i = 0; i < each; ++i)
                d.conn->transact(edn::read("[[:db/add " + std::to_string(w + 1) + " :n " +
                                           std::to_string(i) + "]]"),
                                 5000);
        });
    for (int r = 0; r < readers; ++r)
        threads.emplace_back([&, r] {
            log_reader feed(*d.conn, log_cursor::at(1));
            while (feed.position() < last) {
                const auto tx = feed.next(10s);
                if (!tx) return;
                seen[r].push_back(tx->t);
                if (tx->db_after.as_of_t().value_or(tx->t) != tx->t) return;
            }
        });
    for (std::thread& t : threads) t.join();
    ts wanted;
    for (std::int64_t t = 1; t <= last; ++t) wanted.push_back(t);
    for (const ts& one : seen) CHECK(one == wanted);
}

}  // namespace tributary::datom
