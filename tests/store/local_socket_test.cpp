#include "tributary/store/local_socket.hpp"

#include "tributary/store/leveldb_kv.hpp"
#include "tributary/value/msgpack.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/temporary_directory.hpp"
#include <atomic>
#include <csignal>
#include <fstream>
#include <map>
#include <sstream>

using namespace tributary;
using namespace tributary::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

template <class F>
error error_of(const F& f) {
    try {
        f();
    } catch (const error& e) {
        return e;
    }
    FAIL("nothing was thrown");
    return error(errc::misuse, "");
}

std::int64_t number(const value& v) { return v.as<std::int64_t>(); }

/// echo; count n: n parts, then n; fail; forever: parts until the client is gone; think: the same
/// without parts.
struct service {
    std::atomic<int> abandoned = 0;

    value answer(const std::string& method,
                 const value& args,
                 const std::function<bool(const value&)>& emit) {
        if (method == "echo") return args;
        if (method == "count") {
            for (std::int64_t i = 0; i < number(args); ++i) {
                if (!emit(value(i))) return value{};
            }
            return args;
        }
        if (method == "fail") throw error(errc::conflict, "two heads");
        if (method == "break") throw std::runtime_error("broken");
        if (method == "huge") return value(std::string(frame_bytes_max + 1, 'x'));
        const bool silent = method == "think";
        while (emit(silent ? value{} : value("part"))) std::this_thread::sleep_for(1ms);
        ++abandoned;
        return value{};
    }
    request_handler handler() {
        return [this](const std::string& m, const value& a, const auto& emit) {
            return answer(m, a, emit);
        };
    }
};

template <class Condition>
bool soon(const Condition& c) {
    for (int i = 0; i < 2000 && !c(); ++i) std::this_thread::sleep_for(1ms);
    return c();
}

/// A child process that has `dir` open and serves it until it is killed.
class serving_process {
public:
    explicit serving_process(const fs::path& dir, bool with_socket = true) : pid_(::fork()) {
        if (pid_ != 0) return;
        try {
            const auto db = open_leveldb(dir);
            write_owner_pid(dir);
            service s;
            std::unique_ptr<local_server> server;
            if (with_socket) server = std::make_unique<local_server>(dir, s.handler());
            for (;;) ::pause();
        } catch (...) {
            ::_exit(1);
        }
    }
    ~serving_process() { kill(); }
    serving_process(const serving_process&) = delete;
    serving_process& operator=(const serving_process&) = delete;
    pid_t pid() const { return pid_; }
    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_;
};

/// A socket that speaks bytes of the test's choice.
int raw_connection(const fs::path& dir) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (dir / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

/// A server's end, likewise.
int listening(const fs::path& dir) {
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (dir / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    return listener;
}

/// Lines "name hex"; a promise to other versions on this machine.
std::map<std::string, bytes> promised_frames() {
    std::map<std::string, bytes> frames;
    std::ifstream file(TRIBUTARY_FIXTURES "/local_socket.txt");
    for (std::string name, hex; file >> name >> hex;) frames[name] = from_hex(hex);
    return frames;
}

}  // namespace

TEST_CASE("local_socket: a request, its parts and its answer", "[store]") {
    temporary_directory dir;
    CHECK_FALSE(local_client::connect(dir.path()));
    CHECK_FALSE(local_client::connect(dir.path() / "absent"));
    service s;
    {
        const local_server server(dir.path(), s.handler());
        const auto client = local_client::connect(dir.path());
        REQUIRE(client);
        CHECK(client->call("echo", value("hello")) == value("hello"));
        std::int64_t sum = 0;
        CHECK(client->call("count", value(1000), [&](const value& v) { sum += number(v); }) ==
              value(1000));
        CHECK(sum == 999 * 1000 / 2);
        const std::string large(20u << 20, 'x');
        CHECK(client->call("echo", value(large)) == value(large));
    }
    CHECK_FALSE(local_client::connect(dir.path()));
    CHECK_FALSE(fs::exists(dir.path() / "socket"));
}

TEST_CASE("local_socket: an error keeps its code and its words, and the connection", "[store]") {
    temporary_directory dir;
    service s;
    const local_server server(dir.path(), s.handler());
    const auto client = local_client::connect(dir.path());
    const error e = error_of([&] { client->call("fail", value{}); });
    CHECK(e.code() == errc::conflict);
    CHECK(e.what() == std::string("two heads"));
    CHECK(error_of([&] { client->call("break", value{}); }).code() == errc::io);
    CHECK(error_of([&] { client->call("huge", value{}); }).code() == errc::limit);
    CHECK(client->call("echo", value(1)) == value(1));
    const value too_large{std::string(frame_bytes_max, 'x')};
    CHECK(error_of([&] { client->call("echo", too_large); }).code() == errc::limit);
}

TEST_CASE("local_socket: works in a directory with a long name", "[store]") {
    temporary_directory dir;
    const fs::path deep = dir.path() / std::string(120, 'a') / std::string(120, 'b');
    fs::create_directories(deep);
    service s;
    const local_server server(deep, s.handler());
    CHECK(fs::is_socket(deep / "socket"));
    CHECK((fs::status(deep / "socket").permissions() &
           (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
    const auto client = local_client::connect(deep);
    REQUIRE(client);
    CHECK(client->call("echo", value(1)) == value(1));
}

TEST_CASE("local_socket: clients do not wait for one another", "[store]") {
    temporary_directory dir;
    service s;
    const local_server server(dir.path(), s.handler());
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            const auto client = local_client::connect(dir.path());
            for (int i = 0; i < 100; ++i) {
                if (client->call("echo", value(t * 1000 + i)) == value(t * 1000 + i)) ++right;
            }
        });
    }
    for (auto& t : threads) t.join();
    CHECK(right == 800);
}

TEST_CASE("local_socket: cancel ends a call at once, and what it had started", "[store]") {
    for (const char* method : {"forever", "think"}) {
        temporary_directory dir;
        service s;
        const local_server server(dir.path(), s.handler());
        auto client = local_client::connect(dir.path());
        std::thread canceler([&] {
            std::this_thread::sleep_for(20ms);
            client->cancel();
        });
        CHECK(error_of([&] { client->call(method, value{}); }).code() == errc::canceled);
        canceler.join();
        CHECK(soon([&] { return s.abandoned == 1; }));
        CHECK(error_of([&] { client->call("echo", value{}); }).code() == errc::unavailable);
    }
}

TEST_CASE("local_socket: a call whose part handler throws ends its connection", "[store]") {
    temporary_directory dir;
    service s;
    const local_server server(dir.path(), s.handler());
    const auto client = local_client::connect(dir.path());
    const auto refuse = [](const value&) { throw error(errc::limit, "enough"); };
    CHECK(error_of([&] { client->call("forever", value{}, refuse); }).code() == errc::limit);
    CHECK(soon([&] { return s.abandoned == 1; }));
}

TEST_CASE("local_socket: destroying the server ends its clients", "[store]") {
    temporary_directory dir;
    service s;
    auto server = std::make_unique<local_server>(dir.path(), s.handler());
    const auto client = local_client::connect(dir.path());
    std::thread closer([&] {
        std::this_thread::sleep_for(20ms);
        server.reset();
    });
    CHECK(error_of([&] { client->call("think", value{}); }).code() == errc::unavailable);
    closer.join();
    CHECK(s.abandoned == 1);
}

TEST_CASE("local_socket: a server that is killed, and its successor", "[store]") {
    temporary_directory dir;
    const fs::path path = dir.path() / "db";
    serving_process first(path);
    std::unique_ptr<local_client> client;
    REQUIRE(soon([&] { return (client = local_client::connect(path)) != nullptr; }));
    std::thread killer([&] {
        std::this_thread::sleep_for(20ms);
        first.kill();
    });
    const error e = error_of([&] { client->call("think", value{}); });
    killer.join();
    CHECK(e.code() == errc::unavailable);
    CHECK(fs::exists(path / "socket"));
    CHECK_FALSE(local_client::connect(path));

    auto [opened, other] = open_or_connect<kv>(path, [&] { return open_leveldb(path); });
    REQUIRE(opened);
    CHECK_FALSE(other);
    CHECK(owner_pid(path) == ::getpid());
    service s;
    const local_server server(path, s.handler());
    CHECK(local_client::connect(path)->call("echo", value(2)) == value(2));
}

TEST_CASE("open_or_connect: finds whoever has the directory, or says who it is", "[store]") {
    temporary_directory dir;
    const fs::path path = dir.path() / "db";
    const auto open = [&] { return open_leveldb(path); };

    SECTION("one that serves") {
        const serving_process owner(path);
        REQUIRE(soon([&] { return local_client::connect(path) != nullptr; }));
        auto [opened, client] = open_or_connect<kv>(path, open);
        CHECK_FALSE(opened);
        REQUIRE(client);
        CHECK(client->call("echo", value(3)) == value(3));
    }
    SECTION("one that does not") {
        const serving_process owner(path, false);
        REQUIRE(soon([&] { return owner_pid(path) != 0; }));
        const error e = error_of([&] { open_or_connect<kv>(path, open, 50); });
        CHECK(e.code() == errc::locked);
        CHECK(std::string(e.what()).find(std::to_string(owner.pid())) != std::string::npos);
    }
    SECTION("one that leaves meanwhile") {
        serving_process owner(path, false);
        REQUIRE(soon([&] { return owner_pid(path) != 0; }));
        std::thread killer([&] {
            std::this_thread::sleep_for(50ms);
            owner.kill();
        });
        auto [opened, client] = open_or_connect<kv>(path, open);
        CHECK(opened);
        killer.join();
    }
    SECTION("errors other than a lock pass through") {
        const error e = error_of([&] {
            open_or_connect<kv>(
                path, []() -> std::unique_ptr<kv> { throw error(errc::not_found, "none"); });
        });
        CHECK(e.code() == errc::not_found);
    }
}

TEST_CASE("local_socket: malformed input costs its connection and nothing else", "[store]") {
    temporary_directory dir;
    service s;
    const local_server server(dir.path(), s.handler());
    const auto frame = [](const value& v) {
        bytes f;
        put_be32(f, static_cast<unsigned>(encode(v).size()));
        return f + encode(v);
    };
    const bytes hello = frame(vector{value(1)});
    const std::vector<bytes> inputs = {
        bytes("\xff\xff\xff\xff garbage", 12),
        frame(vector{value(99)}),
        hello + bytes("\0\0\0\1\xc1", 5),
        hello + frame(value("no request")),
        hello + frame(vector{value(1), value(2)}),
        hello + bytes("\x7f\xff\xff\xff", 4),
        bytes("GET / HTTP/1.1\r\n\r\n"),
    };
    for (const bytes& input : inputs) {
        const int fd = raw_connection(dir.path());
        REQUIRE(::send(fd, input.data(), input.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(input.size()));
        bytes received(256, '\0');
        ssize_t n = 1;
        while (n > 0) n = ::recv(fd, received.data(), received.size(), 0);
        CHECK(n <= 0);
        ::close(fd);
    }
    CHECK(local_client::connect(dir.path())->call("echo", value(4)) == value(4));
}

TEST_CASE("local_socket: the bytes both ways are those of the fixture", "[store]") {
    const auto promised = promised_frames();
    temporary_directory dir;
    service s;
    const local_server server(dir.path(), s.handler());
    const int fd = raw_connection(dir.path());
    const auto expect = [&](const std::string& name) {
        bytes got(promised.at(name).size(), '\0');
        REQUIRE(::recv(fd, got.data(), got.size(), MSG_WAITALL) ==
                static_cast<ssize_t>(got.size()));
        INFO(name);
        CHECK(to_hex(got) == to_hex(promised.at(name)));
    };
    const auto say = [&](const std::string& name) {
        const bytes& frame = promised.at(name);
        REQUIRE(::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(frame.size()));
    };
    say("version");
    expect("version");
    say("request-count-1");
    expect("reply-part");
    expect("reply-last");
    say("request-fail");
    expect("reply-error");
    ::close(fd);
}

TEST_CASE("local_socket: a client's request is that of the fixture", "[store]") {
    const auto promised = promised_frames();
    temporary_directory dir;
    const int listener = listening(dir.path());
    bytes got(promised.at("version").size() + promised.at("request-count-1").size(), '\0');
    std::thread server([&] {
        const int fd = ::accept(listener, nullptr, nullptr);
        const bytes answer =
            promised.at("version") + promised.at("reply-part") + promised.at("reply-last");
        [[maybe_unused]] const auto sent = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
        [[maybe_unused]] const auto read = ::recv(fd, got.data(), got.size(), MSG_WAITALL);
        ::close(fd);
    });
    std::vector<value> parts;
    const value last =
        local_client::connect(dir.path())->call("count", value(1), [&](const value& v) {
            parts.push_back(v);
        });
    server.join();
    ::close(listener);
    CHECK(parts == std::vector<value>{value(0)});
    CHECK(last == value(1));
    CHECK(to_hex(got) == to_hex(promised.at("version") + promised.at("request-count-1")));
}

TEST_CASE("local_socket: a server of another version is named as such", "[store]") {
    temporary_directory dir;
    const int listener = listening(dir.path());
    std::thread server([&] {
        const int fd = ::accept(listener, nullptr, nullptr);
        const bytes hello("\0\0\0\2\x91\3", 6);
        [[maybe_unused]] const auto sent = ::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL);
        std::this_thread::sleep_for(20ms);
        ::close(fd);
    });
    CHECK(error_of([&] { local_client::connect(dir.path()); }).code() == errc::newer_version);
    server.join();
    ::close(listener);
}
