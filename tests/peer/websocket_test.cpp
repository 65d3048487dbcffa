/// The socket shell without the protocol: frames, limits, HTTP, and peers that are none.
#include "tributary/peer/websocket.hpp"

#include <catch2/catch.hpp>

#include "peer/certificate.hpp"
#include "peer/raw_socket.hpp"
#include "peer/stage_support.hpp"
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>

using namespace tributary;
using namespace tributary::testing;
using namespace std::chrono_literals;

namespace {

/// A shell whose events can be waited for; optionally it sends back what it gets.
class observed_shell {
public:
    struct event {
        std::string what;
        connection_id connection = 0;
        bytes frame;
        errc code{};
        std::string reason;
    };

    explicit observed_shell(bool echo,
                            websocket_options options = {},
                            bool consume = true,
                            bool admit = true) {
        websocket_handlers on;
        on.opened = [this, admit](connection_id c, bool, bytes exported) {
            if (admit) shell_->admit(c);
            push({"opened", c, std::move(exported)});
        };
        on.received = [this, echo, consume](connection_id c, bytes frame) {
            const std::size_t size = frame.size();
            if (consume) shell_->consumed({{c, size}});
            if (echo) return shell_->send({{c, std::move(frame)}}, {});
            push({"received", c, std::move(frame)});
        };
        on.written = [](connection_id, std::size_t, bool) {};
        on.closed = [this](connection_id c, errc code, const std::string& reason) {
            push({"closed", c, {}, code, reason});
        };
        on.http = [](const std::string& path, const std::function<void(http_answer)>& reply) {
            reply({200, "text/plain", "you asked for " + path});
        };
        shell_ = std::make_unique<websocket_shell>(std::move(on), options);
    }

    websocket_shell& operator*() { return *shell_; }
    websocket_shell* operator->() { return shell_.get(); }

    /// The next event of this kind; others before it are dropped.
    event wait_for(const std::string& what) {
        std::unique_lock lock(mutex_);
        for (;;) {
            REQUIRE(arrived_.wait_for(lock, 10s, [&] { return !events_.empty(); }));
            event e = std::move(events_.front());
            events_.pop_front();
            if (e.what == what) return e;
        }
    }

    event dial(const std::string& url, const std::string& outcome, const tls_trust& trust = {}) {
        shell_->dial(shell_->next_connection(), parse_peer_url(url), trust);
        return wait_for(outcome);
    }

    std::size_t pending() {
        std::lock_guard lock(mutex_);
        return events_.size();
    }

private:
    void push(event e) {
        std::lock_guard lock(mutex_);
        events_.push_back(std::move(e));
        arrived_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<event> events_;
    std::unique_ptr<websocket_shell> shell_;
};

}  // namespace

TEST_CASE("peer_url: names, ports, prefixes, sockets and IPv6 literals", "[peer]") {
    // URL, how it is written, what is asked for, of whom, and the name of the CRDT
    const std::vector<std::array<std::string, 5>> urls{
        {"ws://host:80/a b", "ws://host:80", "/", "host", "a b"},
        {"ws://host", "ws://host:9095", "/", "host:9095", ""},
        {"ws://[::1]:7/x", "ws://[::1]:7", "/", "[::1]:7", "x"},
        {"wss://host", "wss://host:443", "/", "host", ""},
        {"wss://host:9095/trib:1ab", "wss://host:9095", "/", "host:9095", "trib:1ab"},
        {"wss://host/some/prefix/x", "wss://host:443/some/prefix/", "/some/prefix/", "host", "x"},
        {"ws://host/prefix/", "ws://host:9095/prefix/", "/prefix/", "host:9095", ""},
        {"unix:/run/t.sock", "unix:/run/t.sock", "/", "localhost", ""},
        {"unix:///run/t.sock:/x", "unix:/run/t.sock", "/", "localhost", "x"},
        {"unix:/run/t.sock:/a/x", "unix:/run/t.sock:/a/", "/a/", "localhost", "x"},
    };
    for (const auto& [text, origin, prefix, host, name] : urls) {
        INFO(text);
        const peer_url url = parse_peer_url(text);
        CHECK(url.origin() == origin);
        CHECK(url.prefix == prefix);
        CHECK(url.http_host() == host);
        CHECK(url.name == name);
        const peer_url named = parse_peer_url(url.with_name("n"));
        CHECK(named.origin() == origin);
        CHECK(named.name == "n");
    }
    for (const char* bad : {"",
                            "host:80",
                            "http://host",
                            "ws://",
                            "ws://:80",
                            "wss:///x",
                            "ws://host:x",
                            "ws://host:70000",
                            "ws://[::1",
                            "ws://host/a b/c",
                            "unix:",
                            "unix:relative",
                            "unix://host/path"})
        CHECK_THROWS_AS(parse_peer_url(bad), error);

    CHECK(parse_listen(":7").host == "127.0.0.1");
    CHECK(parse_listen("[::]:7").host == "::");
    CHECK(parse_listen("unix:/run/t.sock").host == "/run/t.sock");
    for (const char* bad : {"127.0.0.1:http", "unix:", "unix:/run/t.sock:/x"})
        CHECK_THROWS_AS(parse_listen(bad), error);
}

TEST_CASE("websocket: frames of all sizes come back as they were", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id c = client.dial(at.address, "opened").connection;
    for (std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 3'000'000u}) {
        const bytes frame = random_bytes(size);
        client->send({{c, frame}}, {});
        CHECK(client.wait_for("received").frame == frame);
    }
    client->send({}, {c});
    client.wait_for("closed");
    server.wait_for("closed");
}

TEST_CASE("websocket: over TLS, both ends export the same", "[peer]") {
    const certificate shown;
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"), shown.files);
    CHECK(at.address.starts_with("wss://127.0.0.1:"));
    const auto dialed = client.dial(at.address, "opened", {shown.files.certificate, {}});
    CHECK(dialed.frame.size() == 32);
    CHECK(server.wait_for("opened").frame == dialed.frame);
    for (std::size_t size : {0u, 1u, 125u, 126u, 16384u, 65535u, 65536u, 3'000'000u}) {
        const bytes frame = random_bytes(size);
        client->send({{dialed.connection, frame}}, {});
        CHECK(client.wait_for("received").frame == frame);
    }
    const bytes last = random_bytes(1 << 20);
    client->send({{dialed.connection, last}, {dialed.connection, "last"}}, {dialed.connection});
    client.wait_for("closed");
    CHECK(server.wait_for("closed").code == errc::unavailable);

    const auto other = client.dial(at.address, "opened", {{}, tls_pin(shown.files.certificate)});
    CHECK(other.frame != dialed.frame);
}

TEST_CASE("websocket: over TLS, many frames both ways at once", "[peer]") {
    const certificate shown;
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"), shown.files);
    const connection_id c =
        client.dial(at.address, "opened", {shown.files.certificate, {}}).connection;
    std::vector<bytes> frames;
    for (int i = 0; i < 200; ++i) frames.push_back(random_bytes(20'000 * (i % 7)));
    std::vector<hub_effects::send> sends;
    for (const bytes& f : frames) sends.push_back({c, f});
    client->send(std::move(sends), {});
    for (const bytes& f : frames) CHECK(client.wait_for("received").frame == f);
}

TEST_CASE("websocket: a server that is not trusted is told nothing", "[peer]") {
    certificate shown;
    observed_shell server(false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"), shown.files);
    const std::string pin = tls_pin(shown.files.certificate);

    auto failed = client.dial(at.address, "closed");
    CHECK(failed.code == errc::unauthorized);
    CHECK_THAT(failed.reason, Catch::Contains(at.address) && Catch::Contains("--pin " + pin));

    const certificate other;
    failed = client.dial(at.address, "closed", {{}, tls_pin(other.files.certificate)});
    CHECK(failed.code == errc::unauthorized);
    CHECK_THAT(failed.reason, Catch::Contains("another key") && Catch::Contains(pin));

    std::string localhost = at.address;
    localhost.replace(localhost.find("127.0.0.1"), 9, "localhost");
    failed = client.dial(localhost, "closed", {shown.files.certificate, {}});
    CHECK_THAT(failed.reason, Catch::Contains("for 127.0.0.1"));
    CHECK(client.dial(at.address, "closed", {{}, "abc"}).code == errc::bad_input);
    CHECK(client.dial(at.address, "closed", {"/nowhere", {}}).code == errc::not_found);
    CHECK(server.pending() == 0);

    // From now on it shows a new certificate.
    shown.renew();
    std::filesystem::last_write_time(shown.files.key,
                                     std::filesystem::last_write_time(shown.files.key) + 1s);
    client.dial(at.address, "opened", {{}, tls_pin(shown.files.certificate)});
}

TEST_CASE("websocket: TLS and none do not meet, and are told so", "[peer]") {
    const certificate shown;
    websocket_options quick;
    quick.handshake_ms = 200;
    observed_shell server(false), client(false, quick);
    const auto tls = server->listen(parse_listen("127.0.0.1:0"), shown.files);
    const auto clear = server->listen(parse_listen("127.0.0.1:0"));
    const auto by = [](std::string url, const std::string& scheme) {
        return url.replace(0, url.find(':'), scheme);
    };
    CHECK_THAT(client.dial(by(tls.address, "ws"), "closed").reason,
               Catch::Contains("use " + tls.address));
    CHECK_THAT(client.dial(by(clear.address, "wss"), "closed").reason,
               Catch::Contains("use " + clear.address));
    CHECK(client.dial(clear.address, "closed", {{}, std::string(64, 'a')}).code == errc::misuse);

    raw::server ssh("SSH-2.0-OpenSSH_9.2\r\n");
    CHECK_THAT(client.dial(by(ssh.address(), "wss"), "closed").reason,
               Catch::Contains("use " + ssh.address()));
    raw::server silent("");
    CHECK_THAT(client.dial(by(silent.address(), "wss"), "closed").reason,
               Catch::Contains("does not answer in TLS"));
    CHECK(server.pending() == 0);
}

TEST_CASE("websocket: a Unix-domain socket comes and goes with who listens", "[peer]") {
    const certificate scratch;  // for its directory
    const auto file = std::filesystem::path(scratch.files.key).parent_path() / "socket";
    observed_shell server(true), client(false), late(false);
    const auto at = server->listen(parse_listen("unix:" + file.string()));
    CHECK(at.address == "unix:" + file.string());
    const connection_id c = client.dial(at.address, "opened").connection;
    client->send({{c, "hello"}}, {});
    CHECK(client.wait_for("received").frame == "hello");

    CHECK_THROWS_WITH(late->listen(parse_listen(at.address)), Catch::Contains("in use"));
    CHECK_THROWS_AS(late->listen(parse_listen(at.address), scratch.files), error);
    server->stop_listening(at.id);
    client.wait_for("closed");
    while (std::filesystem::exists(file)) std::this_thread::sleep_for(1ms);
    CHECK_THAT(client.dial(at.address, "closed").reason, Catch::Contains("No such file"));
}

TEST_CASE("websocket: a connection is opened at any path", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    client.dial(at.address + "/some/prefix/name", "opened");
}

TEST_CASE("websocket: IPv6", "[peer]") {
    observed_shell server(true), client(false);
    websocket_shell::listening at;
    try {
        at = server->listen(parse_listen("[::1]:0"));
    } catch (const error&) {
        WARN("this machine has no IPv6 loopback");
        return;
    }
    CHECK(at.address.starts_with("ws://[::1]:"));
    client.dial(at.address, "opened");
}

TEST_CASE("websocket: what was sent before a close arrives", "[peer]") {
    observed_shell server(false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id c = client.dial(at.address, "opened").connection;
    const bytes frame = random_bytes(1 << 20);
    client->send({{c, frame}, {c, "last"}}, {c});
    CHECK(server.wait_for("received").frame == frame);
    CHECK(server.wait_for("received").frame == "last");
    CHECK(server.wait_for("closed").code == errc::unavailable);
}

TEST_CASE("websocket: a frame beyond the limit ends only its connection", "[peer]") {
    websocket_options small;
    small.frame_bytes_max = 1000;
    observed_shell server(true, small), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id good = client.dial(at.address, "opened").connection;
    const connection_id bad = client.dial(at.address, "opened").connection;
    client->send({{bad, bytes(1001, 'x')}}, {});
    CHECK(client.wait_for("closed").connection == bad);
    CHECK(server.wait_for("closed").code == errc::limit);
    client->send({{good, "still here"}}, {});
    CHECK(client.wait_for("received").frame == "still here");
}

TEST_CASE("websocket: reading pauses while much is not consumed", "[peer]") {
    websocket_options small;
    small.unread_bytes_max = 10'000;
    observed_shell server(false, small, false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id c = client.dial(at.address, "opened").connection;
    const connection_id theirs = server.wait_for("opened").connection;
    std::vector<hub_effects::send> frames(30, {c, bytes(1000, 'x')});
    client->send(std::move(frames), {});
    // A message counts for somewhat more than its bytes.
    std::vector<std::pair<connection_id, std::size_t>> read;
    while (read.size() < 30) {
        const bool paused = !eventually([&] { return server.pending() > 0; }, 50ms);
        if (paused) {
            CHECK(read.size() <= 10);
            break;
        }
        server.wait_for("received");
        read.emplace_back(theirs, 1000);
    }
    REQUIRE(read.size() < 30);
    CHECK(server->limits_met().at("unread-bytes") == 1);
    const std::size_t rest = 30 - read.size();
    server->consumed(std::move(read));
    for (std::size_t i = 0; i < std::min<std::size_t>(rest, 5); ++i) server.wait_for("received");
}

TEST_CASE("websocket: reading stops and goes on as it is told", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id c = client.dial(at.address, "opened").connection;
    const connection_id theirs = server.wait_for("opened").connection;
    server->set_reading(theirs, false);
    // One read is under way when it is told.
    client->send({{c, "one"}, {c, "two"}, {c, "three"}}, {});
    std::this_thread::sleep_for(50ms);
    CHECK(client.pending() <= 1);
    server->set_reading(theirs, true);
    for (const char* said : {"one", "two", "three"})
        CHECK(client.wait_for("received").frame == said);
}

TEST_CASE("websocket: messages of all connections have a budget of memory", "[peer]") {
    websocket_options small;
    small.unread_bytes_in_all_max = 100'000;
    observed_shell server(false, small, false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id one = client.dial(at.address, "opened").connection;
    const connection_id at_one = server.wait_for("opened").connection;

    SECTION("beyond it, those wait who have something there") {
        const connection_id two = client.dial(at.address, "opened").connection;
        client->send({{one, bytes(99'900, 'x')}}, {});
        server.wait_for("received");
        client->send({{one, "more"}, {two, "small"}}, {});
        CHECK(server.wait_for("received").frame == "small");
        std::this_thread::sleep_for(50ms);
        CHECK(server.pending() == 0);
        server->consumed({{at_one, 99'900}});
        CHECK(server.wait_for("received").frame == "more");
    }
    SECTION("where nobody could go on, the largest goes") {
        client->send({{one, bytes(3'000'000, 'x')}}, {});
        const auto closed = server.wait_for("closed");
        CHECK(closed.connection == at_one);
        CHECK(closed.code == errc::unavailable);
        const connection_id two = client.dial(at.address, "opened").connection;
        client->send({{two, bytes(50'000, 'y')}}, {});
        server.wait_for("received");
    }
    CHECK(server->limits_met().at("unread-bytes-in-all") >= 1);
}

TEST_CASE("websocket: of those who have not authenticated, the first goes when there are too many",
          "[peer]") {
    websocket_options few;
    few.strangers_max = 2;
    observed_shell server(true, few, true, false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id first = client.dial(at.address, "opened").connection;
    server->admit(server.wait_for("opened").connection);
    const connection_id second = client.dial(at.address, "opened").connection;
    client.dial(at.address, "opened");
    client->dial(client->next_connection(), parse_peer_url(at.address));
    CHECK(client.wait_for("closed").connection == second);
    client->send({{first, "still here"}}, {});
    CHECK(client.wait_for("received").frame == "still here");
    CHECK(server->limits_met().at("strangers") == 1);
}

TEST_CASE("websocket: who is refused for the number of connections hears why", "[peer]") {
    websocket_options few;
    few.accepted_max = 1;
    observed_shell server(true, few), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    client.dial(at.address, "opened");
    const auto refused = client.dial(at.address, "closed");
    CHECK(refused.code == errc::unavailable);
    CHECK_THAT(refused.reason, Catch::Contains("all the connections it takes"));
    CHECK(server->limits_met().at("connections") == 1);
}

TEST_CASE("websocket: plain HTTP is answered on the same port", "[peer]") {
    observed_shell server(true);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const std::string answer = raw::exchange(at.address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK"));
    CHECK(answer.ends_with("you asked for /health"));
    CHECK(raw::exchange(at.address, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
              .starts_with("HTTP/1.1 405"));
}

TEST_CASE("websocket: garbage from outside disturbs nobody", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    raw::exchange(at.address, "\x16\x03\x01 what is this\r\n\r\n");
    raw::exchange(at.address, std::string(100'000, 'a'));
    raw::exchange(at.address,
                  "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    CHECK(server.pending() == 0);
    const connection_id c = client.dial(at.address, "opened").connection;
    client->send({{c, "hello"}}, {});
    CHECK(client.wait_for("received").frame == "hello");
}

TEST_CASE("websocket: failed dials say what is there", "[peer]") {
    websocket_options quick;
    quick.handshake_ms = 200;
    observed_shell client(false, quick);

    auto failed = client.dial("ws://127.0.0.1:1", "closed");
    CHECK(failed.code == errc::unavailable);
    CHECK_THAT(failed.reason, Catch::Contains("refused"));

    raw::server http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    failed = client.dial(http_server.address(), "closed");
    CHECK(failed.code == errc::bad_input);
    CHECK_THAT(failed.reason, Catch::Contains("no tributary peer"));

    raw::server broken_proxy("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    CHECK(client.dial(broken_proxy.address(), "closed").code == errc::unavailable);

    raw::server ssh("SSH-2.0-OpenSSH_9.2\r\n");
    failed = client.dial(ssh.address(), "closed");
    CHECK(failed.code == errc::bad_input);
    CHECK_THAT(failed.reason, Catch::Contains("no tributary peer"));

    raw::server silent("");
    failed = client.dial(silent.address(), "closed");
    CHECK(failed.code == errc::unavailable);
    CHECK_THAT(failed.reason, Catch::Contains("does not answer"));
}

TEST_CASE("websocket: an address in use is an error that says so", "[peer]") {
    observed_shell a(true), b(true);
    const auto at = a->listen(parse_listen("127.0.0.1:0"));
    const std::string port = at.address.substr(at.address.rfind(':') + 1);
    CHECK_THROWS_WITH(b->listen(parse_listen("127.0.0.1:" + port)), Catch::Contains("in use"));
    a->stop_listening(at.id);
}

TEST_CASE("websocket: who is not admitted is read two small messages from", "[peer]") {
    observed_shell server(true, {}, true, false), client(false);
    const auto at = server->listen(parse_listen("127.0.0.1:0"));
    const connection_id c = client.dial(at.address, "opened").connection;

    SECTION("small ones") {
        client->send({{c, "one"}, {c, "two"}, {c, "three"}}, {});
        CHECK(client.wait_for("received").frame == "one");
        CHECK(client.wait_for("received").frame == "two");
        server->admit(server.wait_for("opened").connection);
        CHECK(client.wait_for("received").frame == "three");
    }
    SECTION("a large one") {
        client->send({{c, bytes(5000, 'x')}}, {});
        CHECK(server.wait_for("closed").code == errc::limit);
    }
}
