// Clone over a loopback WebSocket into a new replica, verified and synced: 1,000,000 ops in commits
// of 100, beside a bare copy of the same bytes from one WebSocket into LevelDB; and 1,000,000
// commits of one op, beside bare LevelDB writing the keys and values that the clone has written.

#include "tributary/crdt/packed.hpp"
#include "tributary/peer/stage.hpp"
#include "tributary/store/keys.hpp"
#include "tributary/store/open_commits.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "servers.hpp"
#include <utility>  // before Beast: Boost 1.74 forgets it

using namespace tributary;
using namespace bench;
namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using net::ip::tcp;

namespace {

constexpr std::uint64_t ops_per_commit = 100;
constexpr std::size_t message_bytes = 1u << 20;

/// Sends the bodies of the tweets as messages of about 1 MiB, read from LevelDB as a replica reads
/// its own.
void serve_bare(const fs::path& dir, const std::function<void(const std::string&)>& ready) {
    leveldb::DB* db = nullptr;
    if (!leveldb::DB::Open({}, dir.string(), &db).ok()) std::abort();
    net::io_context io;
    tcp::acceptor acceptor(io, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    ready(std::to_string(acceptor.local_endpoint().port()));
    tcp::socket socket = acceptor.accept();
    socket.set_option(tcp::no_delay(true));
    websocket::stream<tcp::socket> ws(std::move(socket));
    ws.accept();
    ws.binary(true);
    ws.auto_fragment(false);
    std::unique_ptr<leveldb::Iterator> at(db->NewIterator({}));
    bytes message;
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
        put_be32(message, static_cast<unsigned>(at->value().size()));
        message.append(at->value().data(), at->value().size());
        if (message.size() < message_bytes) continue;
        ws.write(net::buffer(message));
        message.clear();
    }
    if (!message.empty()) ws.write(net::buffer(message));
    ws.close(websocket::close_code::normal);
}

void make_bare(const fs::path& dir, std::uint64_t commits) {
    isolated([&]() -> figures {
        leveldb::Options options;
        options.create_if_missing = true;
        leveldb::DB* db = nullptr;
        if (!leveldb::DB::Open(options, dir.string(), &db).ok()) std::abort();
        for (std::uint64_t c = 0; c < commits; ++c) {
            bytes key;
            put_be64(key, c);
            if (!db->Put({}, key, make_body(encoded_tweets(c * ops_per_commit, ops_per_commit)))
                     .ok())
                std::abort();
        }
        delete db;
        return {};
    });
}

/// Receives, stores each record under an ascending key, and syncs once a message.
figures copy_bare(const std::string& port, const fs::path& dir) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 8u << 20;
    leveldb::DB* db = nullptr;
    if (!leveldb::DB::Open(options, dir.string(), &db).ok()) std::abort();
    stopwatch watch;
    watch.start();
    net::io_context io;
    tcp::socket socket(io);
    socket.connect({net::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port))});
    websocket::stream<tcp::socket> ws(std::move(socket));
    ws.handshake("localhost", "/");
    ws.read_message_max(64u << 20);
    std::uint64_t seq = 0;
    boost::beast::flat_buffer buffer;
    boost::system::error_code closed;
    while (buffer.clear(), ws.read(buffer, closed), !closed) {
        bytes_view message(static_cast<const char*>(buffer.data().data()), buffer.size());
        leveldb::WriteBatch batch;
        while (!message.empty()) {
            const std::size_t size = get_be32(message);
            bytes key;
            put_be64(key, seq++);
            batch.Put(key, leveldb::Slice(message.data() + 4, size));
            message.remove_prefix(4 + size);
        }
        leveldb::WriteOptions how;
        how.sync = true;
        if (!db->Write(how, &batch).ok()) std::abort();
    }
    watch.stop();
    delete db;
    return {static_cast<double>(seq * ops_per_commit) / watch.seconds()};
}

/// What cloning does here; figures: seconds, private MiB.
figures clone_ours(const std::string& url, const fs::path& to, std::uint64_t commits) {
    return isolated([&]() -> figures {
        auto replica = stage::open(to);
        stopwatch watch;
        watch.start();
        replica->clone(url + "/tweets", "tweets");
        watch.stop();
        if (replica->summary("tweets").commits < commits) std::abort();
        return {watch.seconds(), private_mib()};
    });
}

/// What a clone wrote: per commit the records under its number, and its place in the index, which
/// is under its id.
class written_records {
public:
    explicit written_records(const fs::path& dir) {
        const auto db = open_commits(dir, {.create = false});
        const auto at = db->cursor();
        for (at->seek({}); at->valid(); at->next()) take(at->key(), at->val());
    }

    const std::vector<std::vector<std::pair<bytes, bytes>>>& by_commit() const { return records_; }

private:
    void take(bytes_view key, bytes_view val) {
        using keys::space;
        const bytes k(key);
        std::uint64_t number = 0;
        switch (static_cast<space>(k[0])) {
            case space::entry:
            case space::body:
            case space::position:
            case space::author:
                number = get_be64(bytes_view(k).substr(k.size() - 8));
                break;
            case space::linear:
                number = get_be64(bytes_view(k).substr(k.size() - 8)) + 1;
                break;
            case space::index:
                number = packed::reader(val, "an index entry").uint();
                break;
            default:
                return;
        }
        if (number >= records_.size()) records_.resize(number + 1);
        records_[number].emplace_back(k, bytes(val));
    }

    std::vector<std::vector<std::pair<bytes, bytes>>> records_;
};

/// Writes those of a clone in the order of the log, 1,000 commits to a sync, with the settings that a replica
/// has; figures: seconds.
figures write_bare(const fs::path& clone, const fs::path& dir) {
    return isolated([&]() -> figures {
        const written_records records(clone);
        const std::unique_ptr<const leveldb::FilterPolicy> filter(
            leveldb::NewBloomFilterPolicy(10));
        leveldb::Options options;
        options.create_if_missing = true;
        options.write_buffer_size = 16u << 20;
        options.block_size = 16u << 10;
        options.filter_policy = filter.get();
        leveldb::DB* db = nullptr;
        if (!leveldb::DB::Open(options, dir.string(), &db).ok()) std::abort();
        stopwatch watch;
        watch.start();
        leveldb::WriteBatch batch;
        std::uint64_t commits = 0;
        for (const auto& of_commit : records.by_commit()) {
            for (const auto& [key, val] : of_commit) batch.Put(key, val);
            if (++commits % 1000 != 0 && commits != records.by_commit().size()) continue;
            leveldb::WriteOptions how;
            how.sync = true;
            if (!db->Write(how, &batch).ok()) std::abort();
            batch.Clear();
        }
        watch.stop();
        delete db;
        return {watch.seconds()};
    });
}

void bench_large_commits(const scratch& dir) {
    const std::uint64_t commits = scaled(10000);
    make_bare(dir / "bare", commits);
    make_replica(dir / "ours", commits, ops_per_commit);
    const double ops = static_cast<double>(commits * ops_per_commit);
    std::vector<double> ours, bare, memory;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        {
            const server_process server(
                [&](const auto& ready) { serve_bare(dir / "bare", ready); });
            bare.push_back(isolated(
                [&] { return copy_bare(server.address(), dir / ("bare-copy" + turn)); })[0]);
        }
        const server_process server([&](const auto& ready) { serve_replica(dir / "ours", ready); });
        const figures f = clone_ours(server.address(), dir / ("clone" + turn), commits);
        ours.push_back(ops / f[0]);
        memory.push_back(f[1]);
    }
    report("clone, 100 ops a commit",
           median(ours),
           "bare WebSocket to LevelDB",
           median(bare),
           "ops/s",
           true);
    report("  private memory", median(memory), "MiB");
}

void bench_small_commits(const scratch& dir) {
    const std::uint64_t commits = scaled(1000000);
    make_store(dir / "small", {identity::from_seed(bytes(32, 'o'))}, commits);
    std::vector<double> ours, bare;
    const server_process server([&](const auto& ready) { serve_replica(dir / "small", ready); });
    const auto clone = [&](const std::string& name) {
        return clone_ours(server.address(), dir / name, commits)[0];
    };
    clone("small-records");
    const auto all = static_cast<double>(commits);
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        bare.push_back(all / write_bare(dir / "small-records/db", dir / ("small-bare" + turn))[0]);
        ours.push_back(all / clone("small-clone" + turn));
    }
    report("clone, 1 op a commit",
           median(ours),
           "bare LevelDB, the same keys",
           median(bare),
           "commits/s",
           true);
}

}  // namespace

int main() {
    const scratch dir;
    bench_large_commits(dir);
    bench_small_commits(dir);
}
