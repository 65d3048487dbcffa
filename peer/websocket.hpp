/// Sockets: WebSocket connections to and from peers, and plain HTTP on the same port; over TCP, TLS
/// or Unix-domain sockets. The only code that knows Asio and Beast.
///
/// It moves frames and knows nothing of what is in them. One thread of its own calls the handlers;
/// they must not block. What is received is counted until it is reported as consumed, and a
/// connection with too much of it is not read from: that is how a busy reader slows a fast sender.
/// docs/limits.md says what happens at each limit.
#pragma once

#include "tributary/peer/ban_list.hpp"
#include "tributary/peer/hub.hpp"
#include "tributary/peer/peer_url.hpp"
#include "tributary/peer/tls.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tributary {

struct http_answer {
    int status = 200;
    std::string content_type;
    std::string body;
};

struct websocket_options {
    std::size_t frame_bytes_max = 24u << 20;
    std::size_t early_bytes_max = 4096;  ///< of a message of who is not admitted yet
    std::size_t unread_bytes_max =
        4u << 20;  ///< received and not consumed, per connection, before reading pauses
    /// Received and not consumed, of all connections, messages that are not here whole included.
    std::size_t unread_bytes_in_all_max = 128u << 20;
    int handshake_ms = 10000;         ///< for all that opens a connection, and for closing it
    std::size_t accepted_max = 4096;  ///< connections from outside at a time
    std::size_t accepted_per_address_max = 1024;  ///< of them, of one address (of a /64 in IPv6)
    std::size_t strangers_max = 2048;             ///< of them, not admitted yet
};

struct websocket_handlers {
    /// A connection is ready for frames. `exported`: what TLS exports at its ends, if it does.
    std::function<void(connection_id, bool accepted, bytes exported)> opened;
    std::function<void(connection_id, bytes frame)> received;
    /// `written` more bytes of it are on the wire; `outbox_empty`: all that was sent.
    std::function<void(connection_id, std::size_t written, bool outbox_empty)> written;
    /// It is gone, or a dial failed; called once for each dial and each opened connection. Codes:
    /// unavailable (refused, unknown host, broken off; trying again may help), bad_input (it
    /// answers, but is no tributary peer), unauthorized (it is not the server that is trusted),
    /// limit (a frame too large); not_found, misuse (what to trust does not make sense).
    std::function<void(connection_id, errc, const std::string& reason)> closed;
    /// A plain HTTP GET: call `reply` once, from any thread, while the shell lives.
    std::function<void(const std::string& path, std::function<void(http_answer)> reply)> http;
};

/// Thread rule: any thread.
class websocket_shell {
public:
    explicit websocket_shell(websocket_handlers handlers,
                             websocket_options options = {},
                             const ban_options& bans = {});
    /// Drops all connections without calling handlers for them.
    ~websocket_shell();

    /// A number for a connection to dial, so that who dials can prepare for its events.
    connection_id next_connection();
    /// `compress`: asks for permessage-deflate.
    void dial(connection_id c,
              const peer_url& to,
              const tls_trust& trust = {},
              bool compress = false);

    struct listening {
        std::uint64_t id = 0;
        std::string address;  ///< its URL, with the real port
    };
    /// Accepts connections until stop_listening, at any path; with `tls`, over TLS; with `compress`
    /// it compresses with who asks for it, for some 300 kB of memory each. A Unix-domain
    /// socket that a process left behind which is no more is replaced. Errors: unavailable (the
    /// address is in use or not ours), bad_input (no such host), those of tls_server.
    listening listen(const peer_url& at, const tls_files& tls = {}, bool compress = false);
    /// Also drops what was accepted there, and removes its Unix-domain socket.
    void stop_listening(std::uint64_t listener);

    /// Frames of unknown connections are dropped. Connections in `closes` are closed once all sent
    /// to them is on the wire.
    void send(std::vector<hub_effects::send> frames, std::vector<connection_id> closes);
    /// Who is at the other end of an accepted connection is known: before that two small messages
    /// are taken, and no more is read.
    void admit(connection_id c);
    /// Who is at the other end has sent what no peer may send: its address is refused for a while,
    /// unless it is of this machine, as that of a proxy is.
    void distrust(connection_id c);
    /// Whether anything is read from `c`; at first it is.
    void set_reading(connection_id c, bool on);
    /// These many bytes of what was received on a connection are dealt with.
    void consumed(std::vector<std::pair<connection_id, std::size_t>> sizes);
    /// How often each limit was met, by its name in docs/limits.md.
    std::map<std::string, std::uint64_t> limits_met() const;

private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace tributary
