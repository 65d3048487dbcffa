#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

namespace tributary::datom {

namespace {

constexpr const char* counter_schema =
    R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
        {:db/ident :key :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/value}])";

/// Runs `work(w, i)` for i < each on several threads.
template <class Work>
void on_threads(int threads, int each, Work work) {
    std::vector<std::thread> writers;
    for (int w = 0; w < threads; ++w)
        writers.emplace_back([&, w] {
            for (int i = 0; i < each; ++i) work(w, i);
        });
    for (std::thread& t : writers) t.join();
}

}  // namespace

TEST_CASE("transact: writers on many threads, each durable and one after another", "[datom]") {
    scratch d;
    d.tx(counter_schema);
    const std::size_t writes_before = d.store->write_count();
    std::mutex mutex;
    std::set<std::int64_t> seen;
    on_threads(8, 50, [&](int, int) {
        const tx_report r = d.conn->transact(edn::read("[{:n 1}]"), 2000);
        // Durable, and visible to who wrote it, when it returns.
        if (d.conn->current().basis_t() < r.t) std::abort();
        const std::lock_guard lock(mutex);
        seen.insert(r.t);
    });
    CHECK(seen.size() == 400);
    CHECK(*seen.rbegin() - *seen.begin() == 399);
    CHECK(d.store->write_count() - writes_before <= 400);
    d.store->crash();
    d.reopen();
    CHECK(query(edn::read("[:find (count ?e) . :where [?e :n]]"), {d.now_db()}) == value(400));
}

TEST_CASE("transact: of concurrent compare-and-sets each one counts", "[datom]") {
    scratch d;
    d.tx(counter_schema);
    d.tx("[{:db/id 1 :n 0}]");
    std::atomic<int> done{0};
    on_threads(4, 40, [&](int, int) {
        for (;;) {
            const value now = query(edn::read("[:find ?n . :where [1 :n ?n]]"), {d.now_db()});
            const std::int64_t n = now.as<std::int64_t>();
            try {
                d.conn->transact(vector{vector{keyword{"db/cas"}, 1, keyword{"n"}, n, n + 1}},
                                 2000);
                ++done;
                return;
            } catch (const error& e) {
                if (e.code() != errc::conflict) throw;
            }
        }
    });
    CHECK(done == 160);
    CHECK(query(edn::read("[:find ?n . :where [1 :n ?n]]"), {d.now_db()}) == value(160));
}

TEST_CASE("transact: concurrent functions and predicates see all that came before", "[datom]") {
    scratch d;
    d.tx(counter_schema);
    d.conn->define(keyword{"inc"}, [](const db& before, std::span<const value> args) {
        const value now = query(edn::read("[:find ?n . :where [1 :n ?n]]"), {before});
        const std::int64_t n = now.is_nil() ? 0 : now.as<std::int64_t>();
        return value(vector{vector{keyword{"db/add"}, args[0], keyword{"n"}, value(n + 1)}});
    });
    d.conn->define(keyword{"positive?"}, [](const db&, std::span<const value> args) {
        return value(args[0].as<std::int64_t>() > 0);
    });
    d.tx("[{:db/id :n :db.attr/preds positive?}]");
    std::atomic<int> refused = 0;
    on_threads(6, 30, [&](int w, int i) {
        const char* forms = w % 2 == 0 ? "[[:inc 1]]" : i % 2 == 0 ? "[{:n 5}]" : "[{:n -5}]";
        try {
            d.conn->transact(edn::read(forms), 2000);
        } catch (const error&) {
            ++refused;
        }
    });
    CHECK(refused == 45);
    CHECK(query(edn::read("[:find ?n . :where [1 :n ?n]]"), {d.now_db()}) == value(90));
    CHECK(query(edn::read("[:find (count ?e) . :where [?e :n 5]]"), {d.now_db()}) == value(45));
}

TEST_CASE("transact: a refused transaction fails alone among concurrent ones", "[datom]") {
    scratch d;
    d.tx(counter_schema);
    d.tx(R"([{:key "taken"}])");
    std::atomic<int> refused{0}, done{0};
    on_threads(6, 30, [&](int w, int i) {
        const std::string key = i % 3 == 0 ? "taken" : std::to_string(w) + "/" + std::to_string(i);
        try {
            d.conn->transact(edn::read("[{:key \"" + key + "\"}]"), 2000);
            ++done;
        } catch (const error& e) {
            if (e.code() == errc::conflict) ++refused;
        }
    });
    CHECK(refused == 60);
    CHECK(done == 120);
    CHECK(query(edn::read("[:find (count ?e) . :where [?e :key]]"), {d.now_db()}) == value(121));
}

TEST_CASE("transact: a write that fails fails for all who shared it, and the next ones go on",
          "[datom]") {
    scratch d;
    d.tx(counter_schema);
    std::atomic<int> failed{0}, done{0};
    d.store->fail_at(5);
    on_threads(4, 30, [&](int, int) {
        try {
            d.conn->transact(edn::read("[{:n 1}]"), 2000);
            ++done;
        } catch (const error& e) {
            if (e.code() == errc::no_space) ++failed;
        }
    });
    CHECK(failed >= 1);
    CHECK(failed + done == 120);
    CHECK(query(edn::read("[:find (count ?e) . :where [?e :n]]"), {d.now_db()}) ==
          value(done.load()));
}

}  // namespace tributary::datom
