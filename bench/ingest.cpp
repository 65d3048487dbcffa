// Ingest: signed, synced commits of tweet-like ops into a replica, beside bare LevelDB writing the
// same bytes under ascending keys with the same hashes, signatures and syncs.

#include "tributary/peer/stage.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include "harness.hpp"
#include <thread>

using namespace tributary;
using namespace bench;

namespace {

/// LevelDB and what a commit needs besides: hashing and signing. `per_sync` commits share a sync.
class bare_log {
public:
    explicit bare_log(const fs::path& dir) : author_(identity::from_seed(bytes(32, 'b'))) {
        leveldb::Options options;
        options.create_if_missing = true;
        options.write_buffer_size = 8u << 20;
        leveldb::DB* opened = nullptr;
        if (!leveldb::DB::Open(options, dir.string(), &opened).ok()) std::abort();
        db_.reset(opened);
    }

    void append(std::span<const bytes> ops, bool sync) {
        commit_header header;
        header.author = author_.key();
        header.seq = ++seq_;
        header.gen = seq_;
        if (seq_ > 1) header.parents = {last_}, header.prev = last_;
        const commit made = make_commit(header, ops, author_);
        last_ = id_of_header(made.header);
        put("A", made.header + bytes(made.sig->view()));
        put("B", made.body);
        leveldb::WriteOptions how;
        how.sync = sync;
        if (!db_->Write(how, &batch_).ok()) std::abort();
        batch_.Clear();
    }

private:
    void put(const char* space, const bytes& data) {
        bytes key = space;
        put_be64(key, seq_);
        batch_.Put(key, data);
    }

    identity author_;
    std::unique_ptr<leveldb::DB> db_;
    leveldb::WriteBatch batch_;
    std::uint64_t seq_ = 0;
    commit_id last_;
};

constexpr std::uint64_t ops_per_commit = 100;

/// Appends `commits` commits; figures: ops/s in all, in the first and the last tenth, private MiB
/// at the end.
template <class Append>
figures timed_ingest(std::uint64_t commits, Append append) {
    stopwatch all, first, last;
    const std::uint64_t tenth = std::max<std::uint64_t>(1, commits / 10);
    for (std::uint64_t c = 0; c < commits; ++c) {
        std::vector<bytes> ops = encoded_tweets(c * ops_per_commit, ops_per_commit);
        stopwatch* part = c < tenth ? &first : c >= commits - tenth ? &last : nullptr;
        all.start();
        if (part != nullptr) part->start();
        append(std::move(ops));
        if (part != nullptr) part->stop();
        all.stop();
    }
    const double tenth_ops = static_cast<double>(tenth * ops_per_commit);
    return {static_cast<double>(commits * ops_per_commit) / all.seconds(),
            tenth_ops / first.seconds(),
            tenth_ops / last.seconds(),
            private_mib()};
}

void bench_batches(const scratch& dir) {
    const std::uint64_t commits = scaled(10000);
    std::vector<double> ours, bare, growth, memory;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        bare.push_back(isolated([&] {
            bare_log log(dir / ("bare" + turn));
            return timed_ingest(commits, [&](std::vector<bytes> ops) { log.append(ops, true); });
        })[0]);
        const figures f = isolated([&] {
            auto replica = stage::open(dir / ("ours" + turn));
            replica->create("tweets");
            return timed_ingest(commits, [&](std::vector<bytes> ops) {
                replica->transact_encoded("tweets", std::move(ops));
            });
        });
        ours.push_back(f[0]);
        growth.push_back(f[2] / f[1]);
        memory.push_back(f[3]);
    }
    report("ingest, 100 ops a commit, each synced",
           median(ours),
           "bare LevelDB",
           median(bare),
           "ops/s",
           true);
    report("  speed of the last tenth / of the first", median(growth), "");
    report("  private memory", median(memory), "MiB");
}

void bench_single_ops(const scratch& dir) {
    constexpr int writers = 64;
    const std::uint64_t commits = scaled(64000);
    std::vector<double> ours, bare;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        bare.push_back(isolated([&]() -> figures {
            bare_log log(dir / ("bare-single" + turn));
            stopwatch watch;
            for (std::uint64_t c = 0; c < commits; ++c) {
                const std::vector<bytes> ops = encoded_tweets(c, 1);
                watch.start();
                log.append(ops, (c + 1) % writers == 0);
                watch.stop();
            }
            return {static_cast<double>(commits) / watch.seconds()};
        })[0]);
        ours.push_back(isolated([&]() -> figures {
            auto replica = stage::open(dir / ("ours-single" + turn));
            replica->create("tweets");
            std::vector<std::vector<bytes>> ops(writers);
            for (int w = 0; w < writers; ++w)
                ops[w] = encoded_tweets(static_cast<std::uint64_t>(w) * commits, commits / writers);
            stopwatch watch;
            watch.start();
            std::vector<std::thread> threads;
            for (int w = 0; w < writers; ++w) {
                threads.emplace_back([&, w] {
                    for (bytes& op : ops[w]) replica->transact_encoded("tweets", {std::move(op)});
                });
            }
            for (std::thread& thread : threads) thread.join();
            watch.stop();
            return {static_cast<double>(commits) / watch.seconds()};
        })[0]);
    }
    report("ingest, 1 op a commit, 64 writers",
           median(ours),
           "bare LevelDB, 64 to a sync",
           median(bare),
           "commits/s",
           true);
}

}  // namespace

int main() {
    const scratch dir;
    bench_batches(dir);
    bench_single_ops(dir);
}
