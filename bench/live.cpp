// Live: how long a commit takes from the writer's call until it is durable at both ends, over a
// loopback WebSocket, beside a bare WebSocket with a synced LevelDB write at both ends. Commits of
// one op, one at a time.

#include "tributary/peer/stage.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <leveldb/db.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servers.hpp"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>  // before Beast: Boost 1.74 forgets it

using namespace tributary;
using namespace bench;
namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using net::ip::tcp;

namespace {

constexpr std::uint64_t warm_up = 100;

/// What two processes of one run see together: when each commit was begun, and how many have
/// arrived.
struct shared_clock {
    std::atomic<std::uint64_t> arrived;
    double begun_us[1 << 16], arrived_us[1 << 16];
};

double now_us() {
    return std::chrono::duration<double, std::micro>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

shared_clock& make_clock() {
    void* at = mmap(
        nullptr, sizeof(shared_clock), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) std::abort();
    return *new (at) shared_clock{};
}

void await(const std::atomic<std::uint64_t>& count, std::uint64_t n) {
    while (count < n) usleep(50);
}

/// Microseconds of the `part`th smallest of all commits but the first ones.
figures latencies(const shared_clock& clock, std::uint64_t commits) {
    std::vector<double> us;
    for (std::uint64_t c = warm_up; c < commits; ++c)
        us.push_back(clock.arrived_us[c] - clock.begun_us[c]);
    std::sort(us.begin(), us.end());
    return {us[us.size() / 2], us[us.size() * 99 / 100]};
}

leveldb::DB* open_bare(const fs::path& dir) {
    leveldb::Options options;
    options.create_if_missing = true;
    leveldb::DB* db = nullptr;
    fs::create_directories(dir);
    if (!leveldb::DB::Open(options, dir.string(), &db).ok()) std::abort();
    return db;
}

void put_synced(leveldb::DB& db, std::uint64_t number, const leveldb::Slice& data) {
    bytes key;
    put_be64(key, number);
    leveldb::WriteOptions how;
    how.sync = true;
    if (!db.Put(how, key, data).ok()) std::abort();
}

void receive_bare(shared_clock& clock,
                  const fs::path& dir,
                  tcp::acceptor& acceptor,
                  std::uint64_t commits) {
    leveldb::DB* db = open_bare(dir);
    tcp::socket socket = acceptor.accept();
    socket.set_option(tcp::no_delay(true));
    websocket::stream<tcp::socket> ws(std::move(socket));
    ws.accept();
    boost::beast::flat_buffer buffer;
    for (std::uint64_t c = 0; c < commits; ++c) {
        buffer.clear();
        ws.read(buffer);
        put_synced(*db, c, {static_cast<const char*>(buffer.data().data()), buffer.size()});
        clock.arrived_us[c] = now_us();
        clock.arrived = c + 1;
    }
    delete db;
}

figures live_bare(const fs::path& dir, std::uint64_t commits) {
    shared_clock& clock = make_clock();
    net::io_context io;
    tcp::acceptor acceptor(io, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    const auto port = acceptor.local_endpoint().port();
    const pid_t receiver = fork();
    if (receiver == 0) {
        receive_bare(clock, dir / "there", acceptor, commits);
        _exit(0);
    }
    leveldb::DB* db = open_bare(dir / "here");
    tcp::socket socket(io);
    socket.connect({net::ip::address_v4::loopback(), port});
    socket.set_option(tcp::no_delay(true));
    websocket::stream<tcp::socket> ws(std::move(socket));
    ws.handshake("localhost", "/");
    ws.binary(true);
    for (std::uint64_t c = 0; c < commits; ++c) {
        const bytes body = make_body(encoded_tweets(c, 1));
        clock.begun_us[c] = now_us();
        put_synced(*db, c, body);
        ws.write(net::buffer(body));
        await(clock.arrived, c + 1);
    }
    waitpid(receiver, nullptr, 0);
    return latencies(clock, commits);
}

figures live_ours(const fs::path& dir, std::uint64_t commits) {
    shared_clock& clock = make_clock();
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    const pid_t receiver = fork();
    if (receiver == 0) {
        std::string url;
        for (char c = 0; read(ends[0], &c, 1) == 1 && c != '\n';) url += c;
        auto replica = stage::open(dir / "there");
        replica->clone(url + "/tweets", "tweets");
        const std::uint64_t first = replica->summary("tweets").commits;
        std::thread following([&] {
            replica->connect(
                "tweets", url, {.follow = true, .keep_going = [](const auto&) { return true; }});
        });
        for (std::uint64_t seen = 0; seen < commits;) {
            const std::uint64_t now =
                replica->wait_for_change("tweets", first + seen, std::chrono::seconds(5)) - first;
            for (const double at = now_us(); seen < now; ++seen) clock.arrived_us[seen] = at;
            clock.arrived = seen;
        }
        _exit(0);
    }
    auto replica = stage::open(dir / "here");
    replica->create("tweets");
    std::atomic<bool> serving = true;
    std::thread server([&] {
        replica->serve(
            {"127.0.0.1:0"},
            [&](const std::string& address) {
                const std::string line = address + "\n";
                if (write(ends[1], line.data(), line.size()) < 0) std::abort();
            },
            [&] { return serving.load(); });
    });
    sleep(1);  // until it follows
    for (std::uint64_t c = 0; c < commits; ++c) {
        std::vector<bytes> ops = encoded_tweets(c, 1);
        clock.begun_us[c] = now_us();
        replica->transact_encoded("tweets", std::move(ops));
        await(clock.arrived, c + 1);
    }
    waitpid(receiver, nullptr, 0);
    serving = false;
    server.join();
    return latencies(clock, commits);
}

}  // namespace

int main() {
    const scratch dir;
    const std::uint64_t commits = std::min<std::uint64_t>(scaled(3000) + warm_up, 1 << 16);
    std::vector<double> ours, bare, ours99, bare99;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        figures f = isolated([&] { return live_bare(dir / ("bare" + turn), commits); });
        bare.push_back(f[0]);
        bare99.push_back(f[1]);
        f = isolated([&] { return live_ours(dir / ("ours" + turn), commits); });
        ours.push_back(f[0]);
        ours99.push_back(f[1]);
    }
    const char* peer = "bare WebSocket, both ends synced";
    report("live, durable at both ends, p50", median(ours), peer, median(bare), "us", false);
    report("  p99", median(ours99), peer, median(bare99), "us", false);
}
