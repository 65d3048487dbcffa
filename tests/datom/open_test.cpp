#include "tributary/value/hash.hpp"
#include "tributary/value/msgpack.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <atomic>
#include <filesystem>
#include <thread>

namespace tributary::datom {

namespace {

/// A directory of its own that goes with the test.
struct temporary_directory {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("tributary-datom-" + to_hex(random_bytes(8)));
    ~temporary_directory() { std::filesystem::remove_all(path); }
};

constexpr const char* attributes =
    R"([{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])";

}  // namespace

TEST_CASE("open: a directory keeps its database", "[datom]") {
    const temporary_directory dir;
    std::optional<db> held;
    {
        const auto conn = connection::open(dir.path);
        conn->transact(edn::read(attributes), 1000);
        conn->transact(edn::read("[{:db/id 1 :n 1}]"), 1001);
        CHECK(code_of([&] { connection::open(dir.path); }) == errc::locked);
    }
    {
        const auto conn = connection::open(dir.path);
        CHECK(conn->current().basis_t() == 2);
        held = conn->current();
        conn->transact(edn::read("[{:db/id 1 :n 2}]"), 1002);
        CHECK(facts(conn->current()) == std::vector<std::string>{"1 :n 2"});
    }
    // A database value keeps its store open.
    CHECK(facts(*held) == std::vector<std::string>{"1 :n 1"});
    CHECK(code_of([&] { connection::open(dir.path); }) == errc::locked);
    held.reset();
    CHECK(facts(connection::open(dir.path)->current()) == std::vector<std::string>{"1 :n 2"});
}

TEST_CASE("open: a newer format is refused", "[datom]") {
    scratch d;
    d.conn.reset();
    kv_batch newer;
    newer.put("M", encode(vector{value(2)}));
    d.store->write(newer, true);
    CHECK(code_of([&] { connection::on(*d.store); }) == errc::newer_version);
}

TEST_CASE("open: readers on other threads see whole transactions while one writes", "[datom]") {
    scratch d;
    d.tx(attributes);
    d.tx("[{:db/id 1 :n 0} {:db/id 2 :n 0}]");
    std::atomic<bool> done = false;
    std::atomic<int> torn = 0, seen = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i)
        readers.emplace_back([&] {
            do {
                const db now = d.conn->current();
                const attribute& n = *now.get().find_attribute("n");
                if (now.get().lookup(1, n) != now.get().lookup(2, n)) ++torn;
                ++seen;
            } while (!done);
        });
    for (int i = 1; i <= 200; ++i) {
        const std::string n = std::to_string(i);
        d.tx("[{:db/id 1 :n " + n + "} {:db/id 2 :n " + n + "}]");
    }
    done = true;
    for (std::thread& t : readers) t.join();
    CHECK(torn == 0);
    CHECK(seen > 0);
}

}  // namespace tributary::datom
