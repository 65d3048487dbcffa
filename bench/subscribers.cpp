// Subscribers: the private memory that 1,000 idle ones cost a serving peer, and how fast a peer
// hands out what it writes to 100 active ones, beside a bare WebSocket server that writes as many
// synced bytes into LevelDB and sends them to as many. The subscribers only read and acknowledge,
// so that the machine's processors are the server's.

#include "tributary/peer/message.hpp"
#include "tributary/peer/node.hpp"
#include "tributary/peer/stage.hpp"
#include "tributary/store/memory_kv.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <leveldb/db.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "servers.hpp"
#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>  // before Beast: Boost 1.74 forgets it

using namespace tributary;
using namespace bench;
namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using net::ip::tcp;
using socket_stream = websocket::stream<tcp::socket>;

namespace {

constexpr std::uint64_t ops_per_commit = 100;
constexpr std::size_t active = 100;

// -- Idle -----------------------------------------------------------------------------------------

/// Waits for an event of one kind on a connection.
hub_event await(dialog& d, hub_event::kind what) {
    for (;;) {
        const auto event = d.next(std::chrono::seconds(20));
        if (!event || event->what == hub_event::kind::closed) {
            std::fprintf(stderr, "not served: %s\n", event ? event->reason.c_str() : "silence");
            std::exit(1);
        }
        if (event->what == what) return *event;
    }
}

/// KiB of private memory of the server for each of `count` idle subscribers of a replica with
/// `commits` commits.
double idle_kib(const fs::path& dir, std::uint64_t count) {
    const server_process server([&](const auto& ready) { serve_replica(dir, ready); });
    peer_node node(make_memory_kv(), identity::generate());
    const peer_url to = parse_peer_url(server.address());
    want w;
    w.remote = "tweets";
    w.live = true;
    const auto subscribe = [&] {
        auto d = node.dial(to, {w}, false).second;
        const hub_event event = await(*d, hub_event::kind::caught_up);
        w.handle = event.handle;
        return d;
    };
    std::vector<std::shared_ptr<dialog>> dialogs;
    for (int warm = 0; warm < 20; ++warm) dialogs.push_back(subscribe());
    const double before = server.private_mib();
    for (std::uint64_t i = 0; i < count; ++i) dialogs.push_back(subscribe());
    sleep(2);
    return (server.private_mib() - before) * 1024 / static_cast<double>(count);
}

// -- Active ---------------------------------------------------------------------------------------

struct counters {
    std::atomic<std::uint64_t> ready, bytes;
};

counters& shared_counters() {
    void* at =
        mmap(nullptr, sizeof(counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) std::abort();
    return *new (at) counters{};
}

bytes read_frame(socket_stream& ws, boost::beast::flat_buffer& buffer) {
    buffer.clear();
    ws.read(buffer);
    return {static_cast<const char*>(buffer.data().data()), buffer.size()};
}

void write_frame(socket_stream& ws, const bytes& frame) { ws.write(net::buffer(frame)); }

socket_stream connect(net::io_context& io, unsigned short port) {
    tcp::socket socket(io);
    socket.connect({net::ip::address_v4::loopback(), port});
    socket.set_option(tcp::no_delay(true));
    socket_stream ws(std::move(socket));
    ws.handshake("localhost", "/");
    ws.binary(true);
    ws.read_message_max(64u << 20);
    return ws;
}

/// Subscribes, and from then on acknowledges what comes without looking into it.
void subscribe_lightly(socket_stream& ws, counters& all) {
    boost::beast::flat_buffer buffer;
    const identity self = identity::generate();
    wire::hello mine;
    mine.key = self.key();
    mine.nonce = hash32::from_bytes(random_bytes(32));
    const bytes hello = encode(mine);
    write_frame(ws, hello);
    const hash32 transcript = wire::transcript(hello, read_frame(ws, buffer));
    read_frame(ws, buffer);  // their proof
    write_frame(ws, encode(wire::auth{sign_transcript(self, wire::role::dialer, transcript)}));
    wire::subscribe s;
    s.sub = 1;
    s.target = std::string("tweets");
    s.live = true;
    s.have.window = 8u << 20;
    write_frame(ws, encode(s));
    std::uint64_t chunks = 0;
    std::vector<commit> commits;
    for (;;) {
        const bytes frame = read_frame(ws, buffer);
        if (!wire::is_of_type(frame, wire::message_type::chunk)) continue;
        const wire::chunk_head head = wire::read_chunk(frame, commits);
        if (chunks == 0 && head.done) ++all.ready;
        if (commits.empty()) continue;
        all.bytes += frame.size();
        write_frame(ws, encode(wire::ack{1, head.round, ++chunks, 0}));
    }
}

void read_only(socket_stream& ws, counters& all) {
    boost::beast::flat_buffer buffer;
    ++all.ready;
    for (;;) all.bytes += read_frame(ws, buffer).size();
}

/// The subscribers of a server, in this process.
template <class F>
void start_subscribers(unsigned short port, counters& all, const F& each) {
    for (std::size_t i = 0; i < active; ++i) {
        std::thread([port, &all, each] {
            net::io_context io;
            try {
                socket_stream ws = connect(io, port);
                each(ws, all);
            } catch (const std::exception&) {
                // The server is gone: the run is over.
            }
        }).detach();
    }
}

/// A bare server: waits until all are there, then writes and sends `messages`.
void serve_bare(const fs::path& dir,
                std::uint64_t messages,
                counters& all,
                const std::function<void(const std::string&)>& ready) {
    leveldb::Options options;
    options.create_if_missing = true;
    leveldb::DB* db = nullptr;
    if (!leveldb::DB::Open(options, dir.string(), &db).ok()) std::abort();
    net::io_context io;
    tcp::acceptor acceptor(io, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    ready(std::to_string(acceptor.local_endpoint().port()));
    std::vector<socket_stream> subscribers;
    while (subscribers.size() < active) {
        tcp::socket socket = acceptor.accept();
        socket.set_option(tcp::no_delay(true));
        subscribers.emplace_back(std::move(socket));
        subscribers.back().accept();
        subscribers.back().binary(true);
        subscribers.back().auto_fragment(false);
    }
    while (all.ready < active) usleep(1000);
    for (std::uint64_t m = 0; m < messages; ++m) {
        const bytes body = make_body(encoded_tweets(m * ops_per_commit, ops_per_commit));
        bytes key;
        put_be64(key, m);
        leveldb::WriteOptions how;
        how.sync = true;
        if (!db->Put(how, key, body).ok()) std::abort();
        for (socket_stream& ws : subscribers) ws.write(net::buffer(body));
    }
    pause();
}

void serve_ours(const fs::path& dir,
                std::uint64_t commits,
                counters& all,
                const std::function<void(const std::string&)>& ready) {
    auto replica = stage::open(dir);
    std::thread writer([&] {
        while (all.ready < active) usleep(1000);
        for (std::uint64_t c = 0; c < commits; ++c)
            replica->transact_encoded("tweets",
                                      encoded_tweets(c * ops_per_commit, ops_per_commit));
    });
    replica->serve({"127.0.0.1:0"}, ready, [] { return true; });
}

/// Figures: MiB/s to all subscribers together, share of one processor that the server used.
figures fan_out(const server_process& server, counters& all, std::uint64_t expected) {
    while (all.ready < active) usleep(1000);
    const double before = server.processor_seconds();
    stopwatch watch;
    watch.start();
    while (all.bytes < expected) usleep(1000);
    watch.stop();
    const double used = server.processor_seconds() - before;
    return {static_cast<double>(all.bytes.load()) / (1 << 20) / watch.seconds(),
            used / watch.seconds()};
}

void bench_active(const scratch& dir) {
    const std::uint64_t commits = scaled(500);
    std::uint64_t bytes_each = 0;
    for (std::uint64_t c = 0; c < commits; ++c)
        bytes_each += make_body(encoded_tweets(c * ops_per_commit, ops_per_commit)).size();
    std::vector<double> ours, bare, ours_used, bare_used;
    for (int run = 0; run < runs(); ++run) {
        const std::string turn = std::to_string(run);
        figures f = isolated([&] {
            counters& all = shared_counters();
            const server_process server([&](const auto& ready) {
                serve_bare(dir / ("bare" + turn), commits, all, ready);
            });
            start_subscribers(
                static_cast<unsigned short>(std::stoi(server.address())), all, read_only);
            return fan_out(server, all, bytes_each * active);
        });
        bare.push_back(f[0]);
        bare_used.push_back(f[1]);
        make_replica(dir / ("active" + turn), 1, 1);
        f = isolated([&] {
            counters& all = shared_counters();
            const server_process server([&](const auto& ready) {
                serve_ours(dir / ("active" + turn), commits, all, ready);
            });
            const peer_url at = parse_peer_url(server.address());
            start_subscribers(
                static_cast<unsigned short>(std::stoi(at.port)), all, subscribe_lightly);
            return fan_out(server, all, bytes_each * active);
        });
        ours.push_back(f[0]);
        ours_used.push_back(f[1]);
    }
    report("fan-out to 100 subscribers",
           median(ours),
           "bare WebSocket and LevelDB",
           median(bare),
           "MiB/s",
           true);
    report("  processors that the server used", median(ours_used), "of 1");
    report("  processors that the bare server used", median(bare_used), "of 1");
}

}  // namespace

int main() {
    const rlimit files{4096, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    const scratch dir;
    make_replica(dir / "idle", scaled(1000), 1);
    std::vector<double> kib;
    for (int run = 0; run < runs(); ++run)
        kib.push_back(isolated([&]() -> figures { return {idle_kib(dir / "idle", 1000)}; })[0]);
    report("private memory of an idle subscriber", median(kib), "KiB");
    bench_active(dir);
}
