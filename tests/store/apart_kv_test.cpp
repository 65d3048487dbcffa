#include "tributary/store/apart_kv.hpp"

#include "tributary/store/leveldb_kv.hpp"
#include "tributary/store/memory_kv.hpp"

#include <catch2/catch.hpp>

#include "store/kv_conformance.hpp"
#include "store/small_disk.hpp"
#include "store/temporary_directory.hpp"
#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <thread>
#include <vector>

using namespace tributary;
using namespace tributary::testing;
namespace fs = std::filesystem;

namespace {

bool is_bulk(bytes_view key) { return key.starts_with('b'); }

/// The memory outlives whoever has it open, as a disk does.
class borrowed_kv : public kv {
public:
    explicit borrowed_kv(kv& of) : of_(of) {}
    std::optional<bytes> get(bytes_view key) const override { return of_.get(key); }
    std::unique_ptr<kv_cursor> cursor() const override { return of_.cursor(); }
    void write(const kv_batch& b, bool sync) override { of_.write(b, sync); }
    kv_snapshot snapshot() const override { return of_.snapshot(); }

private:
    kv& of_;
};

std::unique_ptr<kv> open(kv& index, const fs::path& dir) {
    return make_apart_kv(std::make_unique<borrowed_kv>(index), dir, is_bulk);
}

/// Batches with and without much bulk, and values that look like places.
class batches {
public:
    explicit batches(unsigned seed) : random_(seed) {}

    kv_batch next(model& now) {
        kv_batch b;
        const bool large = random_() % 2 == 0;
        for (unsigned i = 0; i < 1 + random_() % 8; ++i) {
            const bytes key = (random_() % 4 != 0 ? "b" : "a") + std::to_string(random_() % 30);
            if (random_() % 5 == 0) {
                b.erase(key);
                now.erase(key);
                continue;
            }
            bytes val = fill(large ? 60000 : 100);
            if (random_() % 8 == 0) val = "\xc1" + val;
            now[key] = val;
            b.put(key, std::move(val));
        }
        return b;
    }
    unsigned random() { return static_cast<unsigned>(random_()); }

private:
    bytes fill(unsigned size_max) {
        return bytes(random_() % size_max, static_cast<char>(random_()));
    }
    std::mt19937 random_;
};

std::uintmax_t bytes_apart(const fs::path& dir) {
    std::uintmax_t size = 0;
    for (const auto& file : fs::directory_iterator(dir))
        if (file.path().filename().string().starts_with("values-")) size += file.file_size();
    return size;
}

fs::path last_file(const fs::path& dir) {
    fs::path last;
    for (const auto& file : fs::directory_iterator(dir)) last = std::max(last, file.path());
    return last;
}

}  // namespace

TEST_CASE("apart_kv: is a kv", "[store]") {
    temporary_directory dir;
    int n = 0;
    expect_conforming([&] {
        const fs::path each = dir.path() / std::to_string(n++);
        fs::create_directory(each);
        return make_apart_kv(make_memory_kv(), each, is_bulk);
    });
}

TEST_CASE("apart_kv: bulk lies apart, and all else does as if it did not", "[store]") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        temporary_directory dir;
        const auto index = make_memory_kv();
        auto db = open(*index, dir.path());
        batches some(seed);
        model now;
        std::vector<std::pair<kv_snapshot, model>> held;
        std::uintmax_t most_apart = 0;
        for (int round = 0; round < 60; ++round) {
            db->write(some.next(now), true);
            most_apart = std::max(most_apart, bytes_apart(dir.path()));
            REQUIRE(read_all(*db) == now);
            for (const auto& [key, val] : now) REQUIRE(db->get(key) == val);
            if (some.random() % 4 == 0) held.emplace_back(db->snapshot(), now);
            if (some.random() % 8 == 0) db->compact();
            if (some.random() % 8 == 0) db = open(*index, dir.path());
            for (const auto& [snapshot, then] : held) REQUIRE(read_all(*snapshot) == then);
        }
        CHECK(most_apart >= 64u << 10);
    }
}

TEST_CASE("apart_kv: room that nothing uses is given back", "[store]") {
    temporary_directory dir;
    const auto index = make_memory_kv();
    const auto db = open(*index, dir.path());
    const auto put_many = [&](const std::string& front) {
        kv_batch b;
        for (int i = 0; i < 100; ++i) b.put("b" + front + std::to_string(i), bytes(10000, 'v'));
        db->write(b, true);
    };
    put_many("x");
    put_many("y");
    put_many("z");
    const std::uintmax_t before = bytes_apart(dir.path());
    CHECK(before >= 3000000);
    kv_batch gone;
    for (const auto& [key, val] : read_all(*db))
        if (!key.starts_with("by")) gone.erase(key);
    db->write(gone, true);
    const model left = read_all(*db);
    const auto cursor = db->cursor();
    db->compact();
    CHECK(bytes_apart(dir.path()) < before / 2);
    CHECK(read_all(*db) == left);
    cursor->seek("by5");
    CHECK(cursor->val() == bytes(10000, 'v'));
    CHECK(read_all(*open(*index, dir.path())) == left);
}

TEST_CASE("apart_kv: room is given back beside a writer and a reader", "[store]") {
    temporary_directory dir;
    const auto index = make_memory_kv();
    const auto db = open(*index, dir.path());
    put(*db, "b", bytes(100000, 'v'));
    std::atomic<bool> over = false;
    std::thread giver([&] {
        while (!over) db->compact();
    });
    std::thread reader([&] {
        while (!over) {
            const kv_snapshot now = db->snapshot();
            if (now->get("b")->size() != 100000 || db->get("b")->size() != 100000) std::abort();
        }
    });
    for (int i = 0; i < 200; ++i) put(*db, "b", bytes(100000, static_cast<char>('a' + i % 26)));
    over = true;
    giver.join();
    reader.join();
    CHECK(db->get("b") == bytes(100000, static_cast<char>('a' + 199 % 26)));
}

TEST_CASE("apart_kv: a damaged value is no hindrance to giving room back", "[store]") {
    temporary_directory dir;
    const auto index = make_memory_kv();
    const auto db = open(*index, dir.path());
    const auto put_some = [&](const bytes& front) {
        kv_batch b;
        for (int i = 0; i < 10; ++i) b.put(front + std::to_string(i), bytes(10000, 'v'));
        db->write(b, true);
    };
    put_some("b");
    const fs::path damaged = last_file(dir.path());
    db->compact();  // what comes now is in the next file
    put_some("bb");
    kv_batch most;
    for (int i = 1; i < 10; ++i) {
        most.erase("b" + std::to_string(i));
        most.erase("bb" + std::to_string(i));
    }
    db->write(most, true);
    std::fstream f(damaged, std::ios::in | std::ios::out | std::ios::binary);
    f.put('x');
    f.close();
    db->compact();
    CHECK(fs::exists(damaged));
    CHECK(bytes_apart(dir.path()) == 100000);
    CHECK(db->get("bb0") == bytes(10000, 'v'));
    CHECK_THROWS_AS(db->get("b0"), error);
}

TEST_CASE("apart_kv: an index that takes nothing lets nothing into the log", "[store]") {
    temporary_directory dir;
    const auto index = make_memory_kv();
    const auto db = open(*index, dir.path());
    const auto try_to_put = [&] {
        index->fail_at(1);
        CHECK_THROWS_AS(put(*db, "b", bytes(100000, 'v')), error);
    };
    try_to_put();
    const std::uintmax_t size = bytes_apart(dir.path());
    try_to_put();
    try_to_put();
    CHECK(bytes_apart(dir.path()) == size);
    put(*db, "b", bytes(100000, 'v'));
    CHECK(db->get("b") == bytes(100000, 'v'));
}

/// The power goes in the index's write, when the values are on the disk already, and perhaps the
/// index's batch; or before they are: then any part of them is.
TEST_CASE("apart_kv: a batch is there whole or not at all after a power cut", "[store]") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        temporary_directory dir;
        const auto index = make_memory_kv();
        auto db = open(*index, dir.path());
        batches some(seed);
        model now;
        for (int round = 0; round < 20; ++round) {
            if (some.random() % 3 != 0) {
                db->write(some.next(now), true);
                continue;
            }
            const std::uintmax_t durable = bytes_apart(dir.path());
            model lost = now;
            index->cut_at(1);
            CHECK_THROWS_AS(db->write(some.next(lost), true), error);
            db.reset();
            const bool index_kept = some.random() % 2 == 0;
            index->crash(index_kept ? 1 : 0);
            if (index_kept) now = lost;
            const std::uintmax_t grown = bytes_apart(dir.path()) - durable;
            if (grown > 0 && !index_kept) {
                const fs::path last = last_file(dir.path());
                fs::resize_file(last, fs::file_size(last) - some.random() % (grown + 1));
            }
            db = open(*index, dir.path());
            REQUIRE(read_all(*db) == now);
        }
        db->compact();
        REQUIRE(read_all(*db) == now);
    }
}

TEST_CASE("apart_kv: a full disk loses nothing that was acknowledged", "[store]") {
    const small_disk disk("16m");
    if (!disk.mounted()) {
        WARN("skipped: mounting a tmpfs is not permitted here");
        return;
    }
    const fs::path dir = disk.path() / "db";
    const auto open_there = [&] { return make_apart_kv(open_leveldb(dir), dir, is_bulk); };
    disk.fill(10u << 20);
    model now;
    const auto write_until_full = [&](kv& db, const bytes& front, std::size_t size) {
        for (int i = 0;; ++i) {
            const bytes key = front + std::to_string(i);
            try {
                put(db, key, bytes(size, 'v'));
            } catch (const error& e) {
                CHECK(e.code() == errc::no_space);
                return;
            }
            now[key] = bytes(size, 'v');
        }
    };
    {
        const auto db = open_there();
        write_until_full(*db, "bx", 300000);
        write_until_full(*db, "by", 70000);
        CHECK(read_all(*db) == now);
    }
    disk.free();  // LevelDB writes when it opens
    CHECK(read_all(*open_there()) == now);
}

TEST_CASE("apart_kv: a value of which a bit flipped is never read as one", "[store]") {
    temporary_directory dir;
    const auto index = make_memory_kv();
    kv_batch b;
    for (char c = '0'; c < '8'; ++c) b.put(bytes("b") + c, bytes(10000, c));
    open(*index, dir.path())->write(b, true);
    const fs::path file = last_file(dir.path());
    for (const std::uintmax_t at : {0u, 9999u, 10000u, 44444u, 79999u}) {
        std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(static_cast<std::streamoff>(at));
        f.put('x');
        f.close();
        const auto db = open(*index, dir.path());
        const bytes key = "b" + std::to_string(at / 10000);
        CHECK_THROWS_WITH(db->get(key), Catch::Contains(key) && Catch::Contains("damaged"));
        const auto cursor = db->cursor();
        cursor->seek(key);
        CHECK_THROWS_AS(cursor->val(), error);
        f.open(file, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(static_cast<std::streamoff>(at));
        f.put(static_cast<char>('0' + at / 10000));
    }
    fs::remove(file);
    CHECK_THROWS_WITH(open(*index, dir.path())->get("b1"), Catch::Contains("values-1"));
}
