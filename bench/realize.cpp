// Realize: tweets into a datom database, full-text index included, beside bare LevelDB writing the
// very same batches; then queries on it.

#include "tributary/datom/database.hpp"
#include "tributary/realize/datom_target.hpp"
#include "tributary/realize/stream.hpp"
#include "tributary/store/leveldb_kv.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/json.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include "harness.hpp"
#include <fstream>

using namespace tributary;
using namespace bench;

namespace {

constexpr const char* tweets_map = R"(
{:schema [{:db/ident :tweet/id :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
          {:db/ident :tweet/text :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
          {:db/ident :tweet/ts :db/valueType :db.type/instant :db/cardinality :db.cardinality/one}
          {:db/ident :tweet/screenname :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
          {:db/ident :tweet/favourite-count :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
          {:db/ident :tweet/retweet-count :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]
 :ops {add-tweet [{:tweet/id [:path "id"]
                   :tweet/text [:path "text"]
                   :tweet/ts [:inst-ms [:long [:path "timestamp_ms"]]]
                   :tweet/screenname [:path "user" "screen_name"]
                   :tweet/favourite-count [:path "favorite_count"]
                   :tweet/retweet-count [:path "retweet_count"]}]}})";

/// A linear log of commits in memory.
class log_in_memory : public linear_source {
public:
    log_in_memory(std::uint64_t commits, std::uint64_t ops_per_commit) {
        const identity author = identity::from_seed(bytes(32, 'b'));
        for (std::uint64_t c = 0; c < commits; ++c) {
            commit_header h;
            h.author = author.key();
            h.seq = h.gen = c + 1;
            if (c > 0) {
                h.prev = commits_.back().mark.id;
                h.parents = {*h.prev};
            }
            const commit made =
                make_commit(h, encoded_tweets(c * ops_per_commit, ops_per_commit), author);
            linear_commit at;
            at.position = c;
            at.mark = {id_of_header(made.header), true};
            at.header = decode_header(made.header);
            at.body = made.body;
            commits_.push_back(std::move(at));
        }
    }
    std::uint64_t length() override { return commits_.size(); }
    std::vector<commit_id> heads() override { return {commits_.back().mark.id}; }
    std::vector<linear_mark> marks(std::uint64_t position, std::uint64_t count) override {
        std::vector<linear_mark> out;
        for (; position < commits_.size() && out.size() < count; ++position)
            out.push_back(commits_[position].mark);
        return out;
    }
    std::vector<linear_commit> read(std::uint64_t position, std::size_t bytes_max) override {
        std::vector<linear_commit> some;
        for (std::size_t size = 0; position < commits_.size() && (some.empty() || size < bytes_max);
             ++position) {
            some.push_back(commits_[position]);
            size += commits_[position].body.size();
        }
        return some;
    }

private:
    std::vector<linear_commit> commits_;
};

/// Passes everything on and keeps what was written.
class recording_kv : public kv {
public:
    explicit recording_kv(kv& real) : real_(real) {}
    std::optional<bytes> get(bytes_view key) const override { return real_.get(key); }
    std::unique_ptr<kv_cursor> cursor() const override { return real_.cursor(); }
    kv_snapshot snapshot() const override { return real_.snapshot(); }
    void write(const kv_batch& b, bool sync) override {
        real_.write(b, sync);
        written.emplace_back(b.copy(), sync);
    }
    std::vector<std::pair<kv_batch, bool>> written;

private:
    kv& real_;
};

double realize(linear_source& source, kv& store) {
    const auto connection = datom::connection::on(store);
    const dispatch_map dispatch = read_dispatch_map(tweets_map);
    datom_target target(*connection, "tweets", dispatch);
    realize_stream stream(source, target, dispatch, crdt_id{}, {});
    stopwatch watch;
    watch.start();
    stream.run();
    watch.stop();
    return watch.seconds();
}

void bench_realize(const scratch& dir, std::uint64_t tweets) {
    std::vector<double> ours, bare;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        ours.push_back(isolated([&]() -> figures {
            log_in_memory source(tweets / 100, 100);
            const auto store = open_leveldb(dir / ("ours" + turn));
            return {static_cast<double>(tweets) / realize(source, *store)};
        })[0]);
        bare.push_back(isolated([&]() -> figures {
            log_in_memory source(tweets / 100, 100);
            const auto memory = open_leveldb(dir / ("recorded" + turn));
            recording_kv recording(*memory);
            realize(source, recording);
            leveldb::Options options;
            options.create_if_missing = true;
            options.write_buffer_size = 8u << 20;
            leveldb::DB* db = nullptr;
            if (!leveldb::DB::Open(options, (dir / ("bare" + turn)).string(), &db).ok())
                std::abort();
            stopwatch watch;
            watch.start();
            for (const auto& [b, sync] : recording.written) {
                leveldb::WriteBatch batch;
                for (const auto& [key, val] : b.changes())
                    val ? batch.Put({key.data(), key.size()}, {val->data(), val->size()})
                        : batch.Delete({key.data(), key.size()});
                leveldb::WriteOptions how;
                how.sync = sync;
                if (!db->Write(how, &batch).ok()) std::abort();
            }
            watch.stop();
            delete db;
            return {static_cast<double>(tweets) / watch.seconds()};
        })[0]);
    }
    report("realize tweets with full text",
           median(ours),
           "bare LevelDB, same batches",
           median(bare),
           "tweets/s",
           true);
}

void bench_queries(const scratch& dir) {
    const auto store = open_leveldb(dir / "ours0");
    const auto connection = datom::connection::on(*store);
    const std::pair<const char*, const char*> queries[] = {
        {"query: count of distinct texts", "[:find (count ?t) . :where [_ :tweet/text ?t]]"},
        {"query: tweets of each account", "[:find ?u (count ?t) :where [?t :tweet/screenname ?u]]"},
        {"query: texts that contain a word",
         "[:find ?e ?t :where [?e :tweet/text ?t] [(clojure.string/includes? ?t \"ethereum\")]]"},
        {"query: full text",
         "[:find ?e ?t :where [(fulltext $ :tweet/text \"ethereum\") [[?e ?t]]]]"},
    };
    for (const auto& [what, text] : queries) {
        const value q = edn::read(text);
        std::vector<double> ms;
        datom::query(q, {connection->current()});  // warm
        for (int i = 0; i < 5; ++i) {
            stopwatch watch;
            watch.start();
            datom::query(q, {connection->current()});
            watch.stop();
            ms.push_back(watch.seconds() * 1000);
        }
        report(what, median(ms), "ms");
    }
}

}  // namespace

/// With an argument, writes the tweets as JSON lines there, for the peers to read.
int main(int argc, char** argv) {
    const std::uint64_t tweets = scaled(100000);
    if (argc > 1) {
        std::ofstream out(argv[1]);
        for (std::uint64_t i = 0; i < tweets; ++i) out << json::print(tweet(i).params) << '\n';
        return 0;
    }
    const scratch dir;
    bench_realize(dir, tweets);
    bench_queries(dir);
}
