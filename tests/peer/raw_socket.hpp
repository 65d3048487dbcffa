/// TCP without any protocol: for playing peers that are none.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

namespace tributary::raw {

inline int connect_to(const std::string& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return -1;
    return fd;
}

/// Sends `request` and reads until the other side closes or is silent for a second.
inline std::string exchange(const std::string& address, const std::string& request) {
    const int fd = connect_to(address);
    (void)::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[4096];
    for (pollfd p{fd, POLLIN, 0}; ::poll(&p, 1, 1000) == 1;) {
        const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        answer.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return answer;
}

/// For one connection at a free port; which it is.
inline int listen_on_loopback(int fd) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    (void)::bind(fd, reinterpret_cast<sockaddr*>(&at), size);
    (void)::listen(fd, 1);
    (void)::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    return ntohs(at.sin_port);
}

/// A wire to the port of `address` that can go dead: nothing passes any more, and nobody is told.
class wire {
public:
    explicit wire(const std::string& address)
        : to_(address), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        port_ = listen_on_loopback(fd_);
        thread_ = std::thread([this] { run(); });
    }
    ~wire() {
        over_ = true;
        thread_.join();
        ::close(fd_);
    }
    std::string address() const { return "ws://127.0.0.1:" + std::to_string(port_); }
    void die() { dead_ = true; }

private:
    void run() {
        pollfd ends[2] = {{fd_, POLLIN, 0}, {-1, POLLIN, 0}};
        while (!over_ && ::poll(ends, 1, 20) == 0) {
        }
        if (over_) return;
        ends[0].fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        ends[1].fd = connect_to(to_);
        char buffer[65536];
        while (!over_) {
            if (::poll(ends, dead_ ? 0 : 2, 20) <= 0) continue;
            for (int i = 0; i < 2; ++i) {
                if (ends[i].revents == 0) continue;
                const ssize_t n = ::recv(ends[i].fd, buffer, sizeof buffer, 0);
                if (n <= 0) dead_ = true;
                for (ssize_t at = 0; at < n && !dead_;) {
                    const auto rest = static_cast<std::size_t>(n - at);
                    const ssize_t sent = ::send(ends[1 - i].fd, buffer + at, rest, MSG_NOSIGNAL);
                    dead_ = dead_ || sent <= 0;
                    at += sent;
                }
            }
        }
        for (const pollfd& end : ends) ::close(end.fd);
    }

    const std::string to_;
    int fd_;
    int port_ = 0;
    std::atomic<bool> dead_{false}, over_{false};
    std::thread thread_;
};

/// Takes one connection, says `greeting` once something came (at once if it is no HTTP), and then
/// nothing more.
class server {
public:
    explicit server(std::string greeting)
        : greeting_(std::move(greeting)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        port_ = listen_on_loopback(fd_);
        thread_ = std::thread([this] { run(); });
    }
    ~server() {
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }
    std::string address() const { return "ws://127.0.0.1:" + std::to_string(port_); }

private:
    void run() {
        const int c = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (c < 0) return;
        char buffer[4096];
        (void)::recv(c, buffer, sizeof buffer, 0);
        (void)::send(c, greeting_.data(), greeting_.size(), MSG_NOSIGNAL);
        while (::recv(c, buffer, sizeof buffer, 0) > 0) {
        }
        ::close(c);
    }

    std::string greeting_;
    int fd_;
    int port_ = 0;
    std::thread thread_;
};

}  // namespace tributary::raw
