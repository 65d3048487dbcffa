/// The socket shell without the protocol: frames, limits, HTTP, and peers that are none.
#include "tributary/peer/websocket.hpp"

#include <catch2/catch.hpp>

#include "peer/raw_socket.hpp"
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

using namespace tributary;
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

    explicit observed_shell(bool echo, websocket_options options = {}, bool consume = true) {
        websocket_handlers on;
        on.opened = [this](connection_id c, bool) { push({"opened", c}); };
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

    event dial(const std::string& url, const std::string& outcome) {
        shell_->dial(shell_->next_connection(), parse_peer_url(url));
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

TEST_CASE("peer_url: names, ports, paths and IPv6 literals", "[peer]") {
    CHECK(parse_peer_url("ws://host:80/a b").path == "a b");
    CHECK(parse_peer_url("ws://host").port == "9095");
    CHECK(parse_peer_url("ws://[::1]:7/x").host == "::1");
    CHECK(parse_peer_url("ws://[::1]:7/x").origin() == "ws://[::1]:7");
    CHECK(parse_listen(":7").first == "127.0.0.1");
    for (const char* bad : {"",
                            "host:80",
                            "http://host",
                            "ws://",
                            "ws://:80",
                            "ws://host:x",
                            "ws://host:70000",
                            "ws://[::1"})
        CHECK_THROWS_AS(parse_peer_url(bad), error);
    CHECK_THROWS_AS(parse_listen("127.0.0.1:http"), error);
}

TEST_CASE("websocket: frames of all sizes come back as they were", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen("127.0.0.1", "0");
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

TEST_CASE("websocket: IPv6", "[peer]") {
    observed_shell server(true), client(false);
    websocket_shell::listening at;
    try {
        at = server->listen("::1", "0");
    } catch (const error&) {
        WARN("this machine has no IPv6 loopback");
        return;
    }
    CHECK(at.address.starts_with("ws://[::1]:"));
    client.dial(at.address, "opened");
}

TEST_CASE("websocket: what was sent before a close arrives", "[peer]") {
    observed_shell server(false), client(false);
    const auto at = server->listen("127.0.0.1", "0");
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
    const auto at = server->listen("127.0.0.1", "0");
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
    const auto at = server->listen("127.0.0.1", "0");
    const connection_id c = client.dial(at.address, "opened").connection;
    const connection_id theirs = server.wait_for("opened").connection;
    std::vector<hub_effects::send> frames(30, {c, bytes(1000, 'x')});
    client->send(std::move(frames), {});
    for (int i = 0; i < 11; ++i) server.wait_for("received");
    std::this_thread::sleep_for(50ms);
    CHECK(server.pending() == 0);
    server->consumed({{theirs, 11'000}});
    for (int i = 0; i < 11; ++i) server.wait_for("received");
}

TEST_CASE("websocket: plain HTTP is answered on the same port", "[peer]") {
    observed_shell server(true);
    const auto at = server->listen("127.0.0.1", "0");
    const std::string answer = raw::exchange(at.address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK"));
    CHECK(answer.ends_with("you asked for /health"));
    CHECK(raw::exchange(at.address, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
              .starts_with("HTTP/1.1 405"));
}

TEST_CASE("websocket: garbage from outside disturbs nobody", "[peer]") {
    observed_shell server(true), client(false);
    const auto at = server->listen("127.0.0.1", "0");
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
    const auto at = a->listen("127.0.0.1", "0");
    const std::string port = at.address.substr(at.address.rfind(':') + 1);
    CHECK_THROWS_WITH(b->listen("127.0.0.1", port), Catch::Contains("in use"));
    a->stop_listening(at.id);
}
