/// TLS as peers use it: what a server shows, what a dialer believes, and words for what goes wrong.
///
/// 1.2 or later. Nothing is kept of a connection for the next one, and nothing is renegotiated.
/// Thread rule: objects belong to one thread.
#pragma once

#include "tributary/peer/peer_url.hpp"
#include "tributary/value/hash.hpp"

#include <filesystem>
#include <memory>
#include <string>

struct ssl_st;
struct ssl_ctx_st;

namespace tributary {

/// What a server shows: files in PEM. Empty: it does not speak TLS.
struct tls_files {
    std::string certificate;  ///< with those that lead to its CA, if there are any
    std::string key;          ///< not encrypted
};

/// Whom a dialer believes to be the server it means.
struct tls_trust {
    std::string ca;  ///< file in PEM of those who may vouch for it; empty: the system's
    /// Hash of its public key as tls_pin gives it. If set, it alone decides, whatever the
    /// certificate says.
    std::string pin;

    bool operator==(const tls_trust&) const = default;
};

/// SHA-256 in hex of the public key (SubjectPublicKeyInfo) of a certificate file. Errors:
/// not_found, bad_input.
std::string tls_pin(const std::string& certificate_file);

struct tls_free {
    void operator()(ssl_st*) const noexcept;
};
using tls_connection = std::unique_ptr<ssl_st, tls_free>;

class tls_server {
public:
    /// Errors: not_found, bad_input (no certificate, no key, or not its key).
    explicit tls_server(tls_files files);

    /// For an accepted connection. If the files have changed it shows the new ones; if those are no
    /// good, it goes on with the old.
    tls_connection connection();

private:
    tls_files files_;
    std::filesystem::file_time_type changed_;
    std::shared_ptr<ssl_ctx_st> context_;
};

class tls_client {
public:
    /// Errors: not_found, bad_input (of the file of CAs, or the pin is none).
    explicit tls_client(tls_trust trust);

    tls_connection connection(const peer_url& to) const;

    /// After the handshake: that this is the server that was meant. Errors: unauthorized, with what
    /// is wrong with its certificate and what to do.
    void require_trusted(ssl_st* connection, const peer_url& to) const;

private:
    tls_trust trust_;
    std::shared_ptr<ssl_ctx_st> context_;
};

/// What both ends of this connection, and nobody else, can derive from it (RFC 9266): 32 bytes, or
/// none if the handshake was of a kind that does not allow it.
bytes tls_exported(ssl_st* connection);

/// OpenSSL's number for a failure in words.
std::string tls_reason(unsigned long failure);
/// Whether an accepted connection failed because the other side speaks HTTP in the clear.
bool tls_is_http(unsigned long failure);

}  // namespace tributary
