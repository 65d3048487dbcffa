/// Listening sockets of all kinds, and whom their connections come from.
#pragma once

#include "tributary/peer/peer_url.hpp"
#include "tributary/peer/tls.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/stat.h>

#include <memory>
#include <string>

namespace tributary {

namespace net = boost::asio;
using any_stream = net::generic::stream_protocol;
using any_acceptor = net::basic_socket_acceptor<any_stream>;

/// Whom a connection comes from; empty for a Unix-domain socket. Who has one IPv6 address has all
/// of its /64.
std::string address_of(const any_stream::socket& socket);
bool is_of_this_machine(const std::string& address);

/// Errors: bad_input (no such host), unavailable (it cannot be listened on).
any_acceptor make_acceptor(net::io_context& io, const peer_url& at);
/// The port that was given, if none was asked for.
std::string port_of(const any_acceptor& acceptor);

/// Where accepted connections come from. Thread rule: one thread.
struct listener {
    listener(any_acceptor a, const peer_url& at, std::uint64_t number);
    /// Leaves no file of a Unix-domain socket behind, unless it is another's by now.
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    any_acceptor acceptor;
    const std::uint64_t id;
    net::steady_timer pause;
    std::unique_ptr<tls_server> tls;  ///< none: in the clear
    bool compress = false;
    std::string file;  ///< of a Unix-domain socket
    struct stat found {};
};

}  // namespace tributary
