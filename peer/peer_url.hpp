/// Where a peer is, and where one listens.
#pragma once

#include <string>

namespace tributary {

/// One of
///
///     ws://HOST:PORT/NAME            in the clear; the port is 9095 if not given
///     wss://HOST:PORT/NAME           over TLS; the port is 443 if not given
///     wss://HOST/SOME/PREFIX/NAME    (ws, too) behind a proxy that hands on what is under a prefix
///     unix:/PATH/TO/SOCKET:/NAME     a Unix-domain socket
///
/// with or without a name. IPv6 literals stand in brackets.
struct peer_url {
    enum class transport { tcp, tls, local };

    transport over = transport::tcp;
    std::string host;          ///< of a local one the path of the socket
    std::string port;          ///< empty of a local one
    std::string prefix = "/";  ///< what the upgrade request asks for; ends with a slash
    std::string name;          ///< name or address of a CRDT, often empty

    /// Without the name: "ws://HOST:PORT", "wss://HOST:PORT/SOME/PREFIX/".
    std::string origin() const;
    /// The origin with the name of a CRDT at it.
    std::string with_name(const std::string& crdt) const;
    /// What HTTP calls the host: with the port unless it is the one that HTTP takes anyway.
    std::string http_host() const;
};

/// Errors: bad_input, telling what a URL looks like.
peer_url parse_peer_url(const std::string& text);

/// HOST:PORT to listen on, HOST or :PORT, where the host is the loopback address and the port 9095
/// if not given, or unix:/PATH/TO/SOCKET. Errors: bad_input.
peer_url parse_listen(const std::string& text);

}  // namespace tributary
