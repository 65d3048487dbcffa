#include "tributary/peer/listener.hpp"

#include "tributary/value/error.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace tributary {

using net::ip::tcp;
using local = net::local::stream_protocol;
using net_error = boost::system::error_code;

std::string address_of(const any_stream::socket& socket) {
    net_error ec;
    const auto from = socket.remote_endpoint(ec);
    tcp::endpoint at;
    const int family = from.protocol().family();
    if (ec || from.size() > at.capacity() || (family != AF_INET && family != AF_INET6)) return "";
    std::memcpy(at.data(), from.data(), from.size());
    at.resize(from.size());
    net::ip::address address = at.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        address = net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
    if (address.is_v4() || address.is_loopback()) return address.to_string();
    auto network = address.to_v6().to_bytes();
    std::fill(network.begin() + 8, network.end(), 0);
    return net::ip::address_v6(network).to_string() + "/64";
}

bool is_of_this_machine(const std::string& address) {
    return address.empty() || address == "::1" || address.starts_with("127.");
}

namespace {

/// Removes a socket that nobody listens on any more.
void remove_stale_socket(net::io_context& io, const peer_url& at) {
    struct stat found {};
    if (::lstat(at.host.c_str(), &found) != 0) return;
    if (!S_ISSOCK(found.st_mode))
        throw error(errc::unavailable,
                    "cannot listen on " + at.origin() + ": there is something that is no socket");
    local::socket probe(io);
    probe.open();
    probe.non_blocking(true);
    net_error ec;
    probe.connect(at.host, ec);
    if (ec == net::error::connection_refused) ::unlink(at.host.c_str());
}

any_stream::endpoint endpoint_of(net::io_context& io, const peer_url& at) {
    if (at.over == peer_url::transport::local) {
        remove_stale_socket(io, at);
        return local::endpoint(at.host);
    }
    net_error ec;
    const auto found = tcp::resolver(io).resolve(at.host, at.port, tcp::resolver::passive, ec);
    if (ec || found.empty())
        throw error(errc::bad_input,
                    "cannot listen on \"" + at.host + "\": no such host: " + ec.message());
    return found.begin()->endpoint();
}

}  // namespace

any_acceptor make_acceptor(net::io_context& io, const peer_url& at) {
    const any_stream::endpoint where = endpoint_of(io, at);
    net_error ec;
    any_acceptor acceptor(io);
    acceptor.open(where.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(where, ec);
    if (!ec) acceptor.listen(net::socket_base::max_listen_connections, ec);
    if (ec) throw error(errc::unavailable, "cannot listen on " + at.origin() + ": " + ec.message());
    return acceptor;
}

std::string port_of(const any_acceptor& acceptor) {
    tcp::endpoint at;
    const any_stream::endpoint bound = acceptor.local_endpoint();
    std::memcpy(at.data(), bound.data(), std::min(at.capacity(), bound.size()));
    return std::to_string(at.port());
}

listener::listener(any_acceptor a, const peer_url& at, std::uint64_t number)
    : acceptor(std::move(a)), id(number), pause(acceptor.get_executor()) {
    if (at.over != peer_url::transport::local) return;
    file = at.host;
    ::lstat(file.c_str(), &found);
}

listener::~listener() {
    struct stat now {};
    if (!file.empty() && ::lstat(file.c_str(), &now) == 0 && now.st_ino == found.st_ino &&
        now.st_dev == found.st_dev)
        ::unlink(file.c_str());
}

}  // namespace tributary
