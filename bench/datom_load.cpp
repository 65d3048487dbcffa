// The datom database as a store: loading, many writers, the log, opening and what it takes on disk
// and in memory, beside bare LevelDB writing the same keys with the same syncs.
//
// PEOPLE(n): n entities of five facts from a fixed sequence, so 10 million datoms at full size.

#include "tributary/datom/database.hpp"
#include "tributary/store/leveldb_kv.hpp"
#include "tributary/value/edn.hpp"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "harness.hpp"
#include "people.hpp"
#include <fstream>
#include <thread>

using namespace tributary;
using namespace bench;

namespace {

constexpr std::uint64_t people_per_tx = 1000;

/// LevelDB as a connection has it, but for what the database does.
class bare_leveldb {
public:
    explicit bare_leveldb(const fs::path& dir)
        : cache_(leveldb::NewLRUCache(64u << 20)), filter_(leveldb::NewBloomFilterPolicy(10)) {
        leveldb::Options options;
        options.create_if_missing = true;
        options.write_buffer_size = leveldb_options{}.write_buffer_bytes;
        options.block_size = leveldb_options{}.block_bytes;
        options.block_cache = cache_.get();
        options.filter_policy = filter_.get();
        leveldb::DB* opened = nullptr;
        if (!leveldb::DB::Open(options, dir.string(), &opened).ok()) std::abort();
        db_.reset(opened);
    }
    void write(leveldb::WriteBatch& batch) {
        leveldb::WriteOptions how;
        how.sync = true;
        if (!db_->Write(how, &batch).ok()) std::abort();
    }

private:
    std::unique_ptr<leveldb::Cache> cache_;
    std::unique_ptr<const leveldb::FilterPolicy> filter_;
    std::unique_ptr<leveldb::DB> db_;
};

/// A kv that also writes down, batch by batch, what is written to it.
class spooling_kv : public kv {
public:
    spooling_kv(kv& below, const fs::path& file) : below_(below), out_(file, std::ios::binary) {}
    std::optional<bytes> get(bytes_view key) const override { return below_.get(key); }
    std::unique_ptr<kv_cursor> cursor() const override { return below_.cursor(); }
    kv_snapshot snapshot() const override { return below_.snapshot(); }
    void write(const kv_batch& b, bool sync) override {
        put(b.changes().size());
        for (const auto& [key, val] : b.changes()) {
            put(key.size());
            out_ << key;
            put(val ? val->size() + 1 : 0);
            if (val) out_ << *val;
        }
        below_.write(b, sync);
    }

private:
    void put(std::size_t n) { out_.write(reinterpret_cast<const char*>(&n), sizeof n); }
    kv& below_;
    std::ofstream out_;
};

/// The next batch of a spool; false at its end.
bool read_batch(std::istream& in, leveldb::WriteBatch& batch) {
    const auto get = [&] {
        std::size_t n = 0;
        in.read(reinterpret_cast<char*>(&n), sizeof n);
        return n;
    };
    std::string key, val;
    const std::size_t changes = get();
    if (!in) return false;
    batch.Clear();
    for (std::size_t i = 0; i < changes; ++i) {
        key.resize(get());
        in.read(key.data(), static_cast<std::streamsize>(key.size()));
        const std::size_t size = get();
        val.resize(size == 0 ? 0 : size - 1);
        in.read(val.data(), static_cast<std::streamsize>(val.size()));
        if (size == 0)
            batch.Delete(key);
        else
            batch.Put(key, val);
    }
    return true;
}

figures timed_load(datom::connection& conn, std::uint64_t count) {
    conn.transact(edn::read(people_schema), 1);
    people source;
    stopwatch watch;
    for (std::uint64_t from = 0; from < count; from += people_per_tx) {
        const value tx = source.next(std::min(people_per_tx, count - from));
        watch.start();
        conn.transact(tx, 2);
        watch.stop();
    }
    return {static_cast<double>(count * 5) / watch.seconds(), private_mib()};
}

figures timed_replay(const fs::path& spool, const fs::path& dir, std::uint64_t count) {
    bare_leveldb db(dir);
    std::ifstream in(spool, std::ios::binary);
    leveldb::WriteBatch batch;
    stopwatch watch;
    while (read_batch(in, batch)) {
        watch.start();
        db.write(batch);
        watch.stop();
    }
    return {static_cast<double>(count * 5) / watch.seconds()};
}

std::uint64_t disk_bytes(const fs::path& dir) {
    std::uint64_t sum = 0;
    for (const auto& f : fs::recursive_directory_iterator(dir)) sum += f.file_size();
    return sum;
}

void bench_load(const scratch& dir, std::uint64_t count) {
    isolated([&]() -> figures {
        const auto store = open_leveldb(dir / "spooled");
        spooling_kv spooling(*store, dir / "spool");
        timed_load(*datom::connection::on(spooling), count);
        return {};
    });
    std::vector<double> ours, memory, bare;
    for (int run = 0; run < runs(); ++run) {
        fs::remove_all(dir / "ours");
        const figures f =
            isolated([&] { return timed_load(*datom::connection::open(dir / "ours"), count); });
        ours.push_back(f[0]);
        memory.push_back(f[1]);
        fs::remove_all(dir / "bare");
        bare.push_back(
            isolated([&] { return timed_replay(dir / "spool", dir / "bare", count); })[0]);
    }
    report("load, " + std::to_string(people_per_tx * 5) + " datoms a synced transaction",
           median(ours),
           "bare LevelDB, same keys",
           median(bare),
           "datoms/s",
           true);
    report("private memory while loading", median(memory), "MiB");
    report("disk, all indexes and the log",
           static_cast<double>(disk_bytes(dir / "ours")) / static_cast<double>(count * 5),
           "B/datom");
}

/// Opening what was loaded, in a fresh process: ms until the first answer, and the private memory.
void bench_open(const scratch& dir) {
    std::vector<double> open_ms, bare_ms, first_ms, range, memory;
    for (int run = 0; run < std::max(runs(), 3); ++run) {
        bare_ms.push_back(isolated([&]() -> figures {
            stopwatch watch;
            watch.start();
            const bare_leveldb db(dir / "ours");
            watch.stop();
            return {watch.seconds() * 1000};
        })[0]);
        const figures f = isolated([&]() -> figures {
            stopwatch open, first, log;
            open.start();
            const auto conn = datom::connection::open(dir / "ours");
            open.stop();
            first.start();
            datom::query(edn::read("[:find (count ?e) . :where [?e :name \"Ivan\"] [?e :age 42]]"),
                         {conn->current()});
            first.stop();
            std::uint64_t datoms = 0;
            log.start();
            conn->current().tx_range({}, {}, [&](const datom::log_tx& tx) {
                datoms += tx.data.size();
                return true;
            });
            log.stop();
            return {open.seconds() * 1000,
                    first.seconds() * 1000,
                    static_cast<double>(datoms) / log.seconds(),
                    private_mib()};
        });
        open_ms.push_back(f[0]);
        first_ms.push_back(f[1]);
        range.push_back(f[2]);
        memory.push_back(f[3]);
    }
    report("opening", median(open_ms), "bare LevelDB", median(bare_ms), "ms", false);
    report("the first query after that", median(first_ms), "ms");
    report("tx-range over everything", median(range), "datoms/s");
    report("private memory after both", median(memory), "MiB");
}

/// `threads` writers of one-entity transactions, each durable before the next.
template <class Write>
double writes_per_second(int threads, std::uint64_t each, Write write) {
    stopwatch watch;
    watch.start();
    std::vector<std::thread> writers;
    for (int w = 0; w < threads; ++w)
        writers.emplace_back([&, w] {
            for (std::uint64_t i = 0; i < each; ++i) write(w, i);
        });
    for (std::thread& w : writers) w.join();
    watch.stop();
    return static_cast<double>(static_cast<std::uint64_t>(threads) * each) / watch.seconds();
}

void bench_writers(const scratch& dir, int threads, std::uint64_t each) {
    std::vector<double> ours, bare;
    for (int run = 0; run < runs(); ++run) {
        fs::remove_all(dir / "writers");
        ours.push_back(isolated([&]() -> figures {
            const auto conn = datom::connection::open(dir / "writers");
            conn->transact(edn::read(people_schema), 1);
            return {writes_per_second(threads, each, [&](int w, std::uint64_t i) {
                people one(static_cast<std::uint64_t>(w) << 32 | (i + 1));
                conn->transact(one.next(1, false), 2);
            })};
        })[0]);
        fs::remove_all(dir / "bare_writers");
        bare.push_back(isolated([&]() -> figures {
            bare_leveldb db(dir / "bare_writers");
            return {writes_per_second(threads, each, [&](int w, std::uint64_t i) {
                leveldb::WriteBatch batch;
                for (int k = 0; k < 17; ++k)
                    batch.Put(std::to_string(k) + "/" + std::to_string(w) + "/" + std::to_string(i),
                              "a value of the usual size");
                db.write(batch);
            })};
        })[0]);
    }
    report(std::to_string(threads) + " writers, one entity a transaction",
           median(ours),
           "bare LevelDB, as many keys",
           median(bare),
           "tx/s",
           true);
}

}  // namespace

int main() {
    const std::uint64_t count = scaled(2'000'000);
    const scratch dir;
    bench_load(dir, count);
    bench_open(dir);
    bench_writers(dir, 1, scaled(2000));
    bench_writers(dir, 100, scaled(1000));
}
