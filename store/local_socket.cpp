#include "tributary/store/local_socket.hpp"

#include "tributary/value/msgpack.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <list>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t protocol_version = 2;
constexpr const char* socket_name = "socket";
constexpr const char* owner_name = "owner";
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::size_t connections_max = 256;
constexpr int backlog = 128;
constexpr auto connect_patience = std::chrono::seconds(5);
constexpr auto poll_interval = std::chrono::milliseconds(10);

enum class reply_status : std::int64_t { more = 0, last = 1, failed = 2 };

std::string reason(int code) { return std::system_category().message(code); }

class descriptor {
public:
    explicit descriptor(int fd = -1) : fd_(fd) {}
    ~descriptor() { reset(); }
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    int get() const { return fd_; }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_;
};

/// Something another thread (or a signal handler) can wake a poll with. Once set it stays set.
class wake_up {
public:
    wake_up() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (fd_.get() < 0) throw error(errc::io, "cannot make an eventfd: " + reason(errno));
    }
    void set() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
    }
    bool is_set() const {
        pollfd p{fd_.get(), POLLIN, 0};
        return ::poll(&p, 1, 0) > 0;
    }
    int get() const { return fd_.get(); }

private:
    descriptor fd_;
};

enum class outcome { done, closed, woken };

/// Waits for `events` on `fd`. A hang-up counts as readiness: the read or write that follows
/// reports it.
outcome wait_for(int fd, short events, const wake_up& wake, int timeout_ms = -1) {
    for (;;) {
        pollfd both[] = {{fd, events, 0}, {wake.get(), POLLIN, 0}};
        const int ready = ::poll(both, 2, timeout_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return outcome::closed;
        return both[1].revents != 0 ? outcome::woken : outcome::done;
    }
}

/// Frames over a connected socket.
class channel {
public:
    channel(descriptor fd, const wake_up& wake) : fd_(std::move(fd)), wake_(wake) {}

    /// Errors: limit if the frame would be too large; then nothing is sent.
    outcome send(const value& v) {
        bytes frame(4, '\0');
        encode_to(frame, v);
        const std::size_t size = frame.size() - 4;
        if (size > frame_bytes_max) {
            throw error(errc::limit,
                        "a message of " + std::to_string(size) + " bytes passes the limit of " +
                            std::to_string(frame_bytes_max) +
                            " between local processes; ask for less at a time");
        }
        bytes head;
        put_be32(head, static_cast<unsigned>(size));
        frame.replace(0, 4, head);
        for (bytes_view rest = frame; !rest.empty();) {
            if (const outcome o = wait_for(fd_.get(), POLLOUT, wake_); o != outcome::done) return o;
            const ssize_t n =
                ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n >= 0) {
                rest.remove_prefix(static_cast<std::size_t>(n));
            } else if (errno != EINTR && errno != EAGAIN) {
                return outcome::closed;
            }
        }
        return outcome::done;
    }

    /// Memory follows what has arrived, not what a frame claims. Errors: limit (too large),
    /// bad_input (not canonical).
    outcome receive(value& v, int timeout_ms = -1) {
        if (const outcome o = fill(4, timeout_ms); o != outcome::done) return o;
        const std::size_t size = get_be32(bytes_view(in_).substr(taken_, 4));
        if (size > frame_bytes_max)
            throw error(errc::limit,
                        "a frame of " + std::to_string(size) + " bytes on the local socket");
        if (const outcome o = fill(4 + size, timeout_ms); o != outcome::done) return o;
        v = decode(bytes_view(in_).substr(taken_ + 4, size));
        taken_ += 4 + size;
        return outcome::done;
    }

    bool peer_is_gone() const {
        pollfd p{fd_.get(), POLLRDHUP, 0};
        return ::poll(&p, 1, 0) > 0;
    }

    void close() { fd_.reset(); }
    bool is_open() const { return fd_.get() >= 0; }

private:
    /// Reads until `size` bytes are there.
    outcome fill(std::size_t size, int timeout_ms) {
        while (in_.size() - taken_ < size) {
            if (const outcome o = wait_for(fd_.get(), POLLIN, wake_, timeout_ms);
                o != outcome::done)
                return o;
            in_.erase(0, std::exchange(taken_, 0));
            const std::size_t had = in_.size();
            in_.resize(had + read_bytes);
            const ssize_t n = ::recv(fd_.get(), in_.data() + had, read_bytes, MSG_DONTWAIT);
            const int failure = n < 0 ? errno : 0;
            in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
            if (n == 0 || (failure != 0 && failure != EINTR && failure != EAGAIN))
                return outcome::closed;
        }
        return outcome::done;
    }

    descriptor fd_;
    const wake_up& wake_;
    bytes in_;
    std::size_t taken_ = 0;  ///< bytes of in_ that were handed out
};

const value& element(const value& message, std::size_t i, std::size_t size) {
    const auto& items = message.as<vector>();
    if (items.size() != size)
        throw error(errc::bad_input, "a malformed message on the local socket");
    return items[i];
}

value version_frame() { return vector{value(protocol_version)}; }

bool is_our_version(const value& frame) {
    return element(frame, 0, 1).as<std::int64_t>() == protocol_version;
}

/// The socket's directory and a name for the socket in it that fits into a sockaddr_un however long
/// the path is.
struct place {
    explicit place(const fs::path& dir)
        : directory(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
        address.sun_family = AF_UNIX;
        const std::string path =
            "/proc/self/fd/" + std::to_string(directory.get()) + "/" + socket_name;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
    }
    bool exists() const { return directory.get() >= 0; }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

    descriptor directory;
    sockaddr_un address{};
};

descriptor new_socket() {
    descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0) throw error(errc::io, "cannot make a socket: " + reason(errno));
    return fd;
}

/// One client of a server, on its own thread.
class conversation {
public:
    conversation(descriptor fd, const wake_up& stop, const request_handler& handler)
        : channel_(std::move(fd), stop), stop_(stop), handler_(handler) {}

    void run() {
        try {
            if (channel_.send(version_frame()) != outcome::done) return;
            value hello;
            if (channel_.receive(hello) != outcome::done || !is_our_version(hello)) return;
            value request;
            while (channel_.receive(request) == outcome::done && answer(request)) {
            }
        } catch (const std::exception&) {
            // Malformed input: there is no telling where the next frame begins, so hang up.
        }
    }

private:
    /// False once the client is gone.
    bool answer(const value& request) {
        const value& id = element(request, 0, 3);
        const auto reply = [&](reply_status status, value v) {
            return channel_.send(
                       vector{id, value(static_cast<std::int64_t>(status)), std::move(v)}) ==
                   outcome::done;
        };
        const auto emit = [&](const value& part) {
            if (channel_.peer_is_gone() || stop_.is_set()) return false;
            return part.is_nil() || reply(reply_status::more, part);
        };
        try {
            return reply(
                reply_status::last,
                handler_(element(request, 1, 3).as<std::string>(), element(request, 2, 3), emit));
        } catch (const error& e) {
            return reply(
                reply_status::failed,
                vector{value(static_cast<int>(e.code())), value(e.what()), value(e.name())});
        } catch (const std::exception& e) {
            return reply(reply_status::failed,
                         vector{value(static_cast<int>(errc::io)),
                                value(e.what()),
                                value(tributary::name_of(errc::io))});
        }
    }

    channel channel_;
    const wake_up& stop_;
    const request_handler& handler_;
};

}  // namespace

struct local_server::impl {
    impl(const fs::path& dir, request_handler h) : place_(dir), handler_(std::move(h)) {
        const std::string where = "cannot serve " + dir.string() + ": ";
        if (!place_.exists()) throw error(errc::io, where + reason(errno));
        listener_ = new_socket();
        ::fchmod(listener_.get(), S_IRUSR | S_IWUSR);
        ::unlinkat(place_.directory.get(), socket_name, 0);
        if (::bind(listener_.get(), place_.get(), sizeof place_.address) != 0 ||
            ::listen(listener_.get(), backlog) != 0) {
            throw error(errno == ENOSPC ? errc::no_space : errc::io, where + reason(errno));
        }
        acceptor_ = std::thread([this] { accept_all(); });
    }

    ~impl() {
        ::unlinkat(place_.directory.get(), socket_name, 0);
        stop_.set();
        acceptor_.join();
        for (client& c : clients_) c.thread.join();
    }

    struct client {
        std::thread thread;
        std::atomic<bool> finished = false;
    };

    void accept_all() {
        while (wait_for(listener_.get(), POLLIN, stop_) == outcome::done) {
            forget_finished();
            descriptor fd;
            if (clients_.size() < connections_max) {
                fd = descriptor(
                    ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            }
            if (fd.get() < 0 || !start(std::move(fd))) {
                // Too many clients, no descriptors or no threads: let others end first.
                std::this_thread::sleep_for(poll_interval);
            }
        }
    }

    bool start(descriptor fd) {
        client& c = clients_.emplace_back();
        try {
            c.thread = std::thread([this, &c, moved = std::move(fd)]() mutable {
                conversation(std::move(moved), stop_, handler_).run();
                c.finished = true;
            });
        } catch (const std::system_error&) {
            clients_.pop_back();
            return false;
        }
        return true;
    }

    void forget_finished() {
        for (auto it = clients_.begin(); it != clients_.end();) {
            if (it->finished) {
                it->thread.join();
                it = clients_.erase(it);
            } else {
                ++it;
            }
        }
    }

    place place_;
    request_handler handler_;
    wake_up stop_;
    descriptor listener_;
    std::list<client> clients_;  ///< of the acceptor's thread, until that has ended
    std::thread acceptor_;
};

local_server::local_server(const fs::path& dir, request_handler handler)
    : impl_(std::make_unique<impl>(dir, std::move(handler))) {}
local_server::~local_server() = default;

namespace {

class socket_client : public local_client {
public:
    socket_client(descriptor fd, fs::path dir)
        : dir_(std::move(dir)), channel_(std::move(fd), canceled_) {}

    /// False if the server went away before it spoke. Errors: newer_version, unavailable (it does
    /// not answer).
    bool greet() {
        value theirs;
        if (channel_.send(version_frame()) != outcome::done) return false;
        const auto timeout = std::chrono::milliseconds(connect_patience);
        const auto asked = std::chrono::steady_clock::now();
        if (channel_.receive(theirs, static_cast<int>(timeout.count())) != outcome::done) {
            if (std::chrono::steady_clock::now() - asked < timeout) return false;
            throw error(errc::unavailable,
                        server() + " does not answer; stop it, or wait and try again");
        }
        if (!is_our_version(theirs)) {
            throw error(errc::newer_version,
                        server() +
                            " runs another version of tributary; stop it, or use the same version "
                            "for both");
        }
        return true;
    }

    value call(const std::string& method,
               const value& args,
               const std::function<void(const value&)>& part) override {
        if (!channel_.is_open())
            throw error(errc::unavailable,
                        "the connection to " + server() + " has ended; connect again");
        const std::int64_t id = ++last_id_;
        try {
            return converse(id, vector{value(id), value(method), args}, part);
        } catch (const failed_there& e) {
            throw static_cast<const error&>(e);
        } catch (...) {
            // In the middle of an answer: nothing that follows could be told apart.
            channel_.close();
            throw;
        }
    }

    void cancel() override { canceled_.set(); }

private:
    /// An error the server reported: the connection is still good.
    struct failed_there : error {
        using error::error;
    };

    value converse(std::int64_t id,
                   const value& request,
                   const std::function<void(const value&)>& part) {
        expect_done(channel_.send(request));
        for (;;) {
            value reply;
            expect_done(channel_.receive(reply));
            const value& v = element(reply, 2, 3);
            if (element(reply, 0, 3) != value(id))
                throw error(errc::bad_input, server() + " answered something else");
            switch (static_cast<reply_status>(element(reply, 1, 3).as<std::int64_t>())) {
                case reply_status::more:
                    if (part) part(v);
                    break;
                case reply_status::last:
                    return v;
                case reply_status::failed:
                    throw failed_there(code_from(element(v, 0, 3).as<std::int64_t>()),
                                       kept_name(element(v, 2, 3).as<std::string>()),
                                       element(v, 1, 3).as<std::string>());
                default:
                    throw error(errc::bad_input, server() + " answered with an unknown status");
            }
        }
    }

    void expect_done(outcome o) const {
        if (o == outcome::woken) throw error(errc::canceled, "stopped waiting for " + server());
        if (o == outcome::closed) {
            throw error(errc::unavailable,
                        server() + " went away; what it was asked may or may not have been done");
        }
    }

    /// An error only points to its name: those that come from elsewhere are kept, of which there
    /// are few.
    static const char* kept_name(const std::string& name) {
        static std::mutex mutex;
        static std::set<std::string> names;
        const std::lock_guard lock(mutex);
        return names.insert(name).first->c_str();
    }

    static errc code_from(std::int64_t code) {
        const bool known =
            code >= static_cast<int>(errc::bad_input) && code <= static_cast<int>(errc::misuse);
        return known ? static_cast<errc>(code) : errc::io;
    }

    std::string server() const {
        const int pid = owner_pid(dir_);
        return "the process " + (pid != 0 ? std::to_string(pid) + " " : "") + "that has " +
               dir_.string() + " open";
    }

    fs::path dir_;
    wake_up canceled_;
    channel channel_;
    std::int64_t last_id_ = 0;
};

/// A connected socket, or none if nobody listens.
descriptor connected_socket(const fs::path& dir) {
    const place at(dir);
    if (!at.exists()) return descriptor();
    const auto deadline = std::chrono::steady_clock::now() + connect_patience;
    for (;;) {
        descriptor fd = new_socket();
        if (::connect(fd.get(), at.get(), sizeof at.address) == 0) return fd;
        const int code = errno;
        if (code == ECONNREFUSED || code == ENOENT) return descriptor();
        const bool queue_is_full = code == EAGAIN && std::chrono::steady_clock::now() < deadline;
        if (!queue_is_full && code != EINTR) {
            throw error(
                code == EACCES ? errc::unauthorized : errc::unavailable,
                "cannot talk to the process that has " + dir.string() + " open: " + reason(code));
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

}  // namespace

std::unique_ptr<local_client> local_client::connect(const fs::path& dir) {
    descriptor fd = connected_socket(dir);
    if (fd.get() < 0) return nullptr;
    auto client = std::make_unique<socket_client>(std::move(fd), dir);
    if (!client->greet()) return nullptr;
    return client;
}

int owner_pid(const fs::path& dir) {
    int pid = 0;
    std::ifstream(dir / owner_name) >> pid;
    return pid;
}

void write_owner_pid(const fs::path& dir) {
    // Only to name it in messages: a disk too full for this is reported by what matters.
    std::ofstream(dir / owner_name) << ::getpid() << "\n";
}

void fail_still_locked(const fs::path& dir) {
    const int pid = owner_pid(dir);
    throw error(
        errc::locked,
        dir.string() + " is in use by " +
            (pid != 0 ? "the process " + std::to_string(pid) : std::string("another process")) +
            ", which does not answer; stop it and try again");
}

}  // namespace tributary
