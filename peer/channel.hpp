/// The stream of bytes under a WebSocket: a TCP or a Unix-domain socket, in the clear or in TLS.
/// Private to the shell; it takes handlers and no other completion tokens.
///
/// OpenSSL works on the socket itself and not through buffers of Asio's, of which each connection
/// would have 70 kB for as long as it lives. So an idle connection costs what its session costs.
#pragma once

#include "tributary/peer/tls.hpp"

#include <boost/asio/compose.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/role.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace tributary {

class channel {
public:
    using socket_type = boost::asio::generic::stream_protocol::socket;
    using executor_type = socket_type::executor_type;
    using net_error = boost::system::error_code;

    explicit channel(socket_type socket) : socket_(std::move(socket)) {}

    executor_type get_executor() { return socket_.get_executor(); }
    socket_type& socket() { return socket_; }
    ssl_st* tls() const { return tls_.get(); }
    /// OpenSSL's number for what last failed.
    unsigned long tls_error() const { return tls_error_; }

    /// From now on it speaks TLS; async_tls_handshake comes next.
    void start_tls(tls_connection tls) {
        tls_ = std::move(tls);
        socket_.native_non_blocking(true);
        SSL_set_fd(tls_.get(), socket_.native_handle());
    }

    /// handler(error). With net::error::no_protocol_option, tls_error tells more.
    template <class Handler>
    void async_tls_handshake(Handler handler) {
        run([s = tls_.get()](std::size_t&) { return SSL_do_handshake(s); },
            [h = std::move(handler)](net_error ec, std::size_t) mutable { h(ec); });
    }

    template <class Buffers, class Handler>
    void async_read_some(const Buffers& into, Handler&& handler) {
        if (!tls_) {
            socket_.async_read_some(into, std::forward<Handler>(handler));
            return;
        }
        run(
            [s = tls_.get(), into](std::size_t& done) {
                for (const boost::asio::mutable_buffer b : boost::beast::buffers_range_ref(into))
                    if (b.size() != 0) return SSL_read_ex(s, b.data(), b.size(), &done);
                return 1;
            },
            std::forward<Handler>(handler));
    }

    template <class Buffers, class Handler>
    void async_write_some(const Buffers& from, Handler&& handler) {
        if (!tls_) {
            socket_.async_write_some(from, std::forward<Handler>(handler));
            return;
        }
        run(
            [s = tls_.get(), from](std::size_t& done) {
                const auto part = gather(from);
                if (part.size() == 0) return 1;
                return SSL_write_ex(s, part.data(), part.size(), &done);
            },
            std::forward<Handler>(handler));
    }

    /// Tells the other side that nothing more will come.
    void finish() {
        if (!socket_.is_open()) return;
        if (tls_ && SSL_is_init_finished(tls_.get())) SSL_shutdown(tls_.get());
        net_error ignored;
        socket_.shutdown(socket_type::shutdown_send, ignored);
    }

    void close() {
        net_error ignored;
        socket_.close(ignored);
    }

private:
    using wait_type = socket_type::wait_type;

    /// What fits a record of TLS, in one piece: without that, the head of each frame would be a
    /// record and a system call of its own.
    template <class Buffers>
    static boost::asio::const_buffer gather(const Buffers& from) {
        static thread_local std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> record;
        std::size_t size = 0;
        for (const boost::asio::const_buffer b : boost::beast::buffers_range_ref(from)) {
            if (size == 0 && b.size() >= record.size()) return b;
            const std::size_t n = std::min(b.size(), record.size() - size);
            if (n != 0) std::memcpy(record.data() + size, b.data(), n);
            size += n;
        }
        return {record.data(), size};
    }

    /// Calls `step` (an OpenSSL call that is 1 when it is done) until it needs no more waiting,
    /// then the handler, never before this returns.
    template <class Step, class Handler>
    void run(Step step, Handler&& handler) {
        boost::asio::async_compose<Handler, void(net_error, std::size_t)>(
            tls_operation<Step>{*this, std::move(step)}, handler, socket_);
    }

    template <class Step>
    struct tls_operation {
        channel& on;
        Step step;
        std::size_t done = 0;
        net_error result;
        enum { fresh, waiting, ended } state = fresh;

        template <class Self>
        void operator()(Self& self, net_error ec = {}, std::size_t = 0) {
            if (state == ended || ec) return self.complete(ec ? ec : result, done);
            const bool at_once = state == fresh;
            state = waiting;
            if (!on.socket_.is_open()) {
                result = boost::asio::error::operation_aborted;
            } else if (const auto wait = on.attempt(step, done, result)) {
                return on.socket_.async_wait(*wait, std::move(self));
            }
            if (!at_once) return self.complete(result, done);
            state = ended;
            boost::asio::post(on.get_executor(), std::move(self));
        }
    };

    /// What to wait for before the next attempt; nothing if it is over.
    template <class Step>
    std::optional<wait_type> attempt(Step& step, std::size_t& done, net_error& result) {
        ERR_clear_error();
        const int returned = step(done);
        if (returned == 1) return std::nullopt;
        switch (SSL_get_error(tls_.get(), returned)) {
            case SSL_ERROR_WANT_READ:
                return socket_type::wait_read;
            case SSL_ERROR_WANT_WRITE:
                return socket_type::wait_write;
            case SSL_ERROR_ZERO_RETURN:
                result = boost::asio::error::eof;
                return std::nullopt;
            case SSL_ERROR_SYSCALL:
                result = errno == 0 ? net_error(boost::asio::error::eof)
                                    : net_error(errno, boost::system::system_category());
                return std::nullopt;
            default:
                tls_error_ = ERR_peek_error();
                result = boost::asio::error::no_protocol_option;
                return std::nullopt;
        }
    }

    socket_type socket_;
    tls_connection tls_;
    unsigned long tls_error_ = 0;
};

// What Beast asks of a stream of one's own.
template <class Handler>
void async_teardown(boost::beast::role_type, channel& c, Handler&& handler) {
    c.finish();
    boost::asio::post(c.get_executor(),
                      boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                       boost::system::error_code()));
}
inline void beast_close_socket(channel& c) { c.close(); }

}  // namespace tributary
