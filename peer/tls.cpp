#include "tributary/peer/tls.hpp"

#include "tributary/value/error.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <fstream>

namespace tributary {

namespace {

template <class T, void (*Free)(T*)>
struct freed_by {
    void operator()(T* t) const noexcept { Free(t); }
};
using certificate_ptr = std::unique_ptr<X509, freed_by<X509, X509_free>>;

constexpr std::size_t pin_digits = 64;
constexpr std::size_t exported_bytes = 32;
constexpr char exporter_label[] = "EXPORTER-Channel-Binding";

std::string last_reason() {
    const unsigned long failure = ERR_peek_error();
    ERR_clear_error();
    return tls_reason(failure);
}

std::shared_ptr<SSL_CTX> make_context(const SSL_METHOD* method) {
    std::shared_ptr<SSL_CTX> c(SSL_CTX_new(method), SSL_CTX_free);
    TRIBUTARY_CHECK(c);
    SSL_CTX_set_min_proto_version(c.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(c.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(c.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c.get(), 0);
    // An idle connection keeps no buffers, and a write goes on from wherever its bytes are then.
    SSL_CTX_set_mode(c.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return c;
}

void require_file(const std::string& file, const std::string& what) {
    if (!std::ifstream(file))
        throw error(errc::not_found, "there is no " + what + " to read in " + file);
}

std::filesystem::file_time_type last_change(const tls_files& files) {
    std::error_code ec;
    const auto a = std::filesystem::last_write_time(files.certificate, ec);
    const auto b = std::filesystem::last_write_time(files.key, ec);
    return std::max(a, b);
}

std::shared_ptr<SSL_CTX> make_server_context(const tls_files& files) {
    require_file(files.certificate, "certificate");
    require_file(files.key, "key");
    auto c = make_context(TLS_server_method());
    // Without this OpenSSL asks the terminal.
    SSL_CTX_set_default_passwd_cb(c.get(), [](char*, int, int, void*) { return -1; });
    if (SSL_CTX_use_certificate_chain_file(c.get(), files.certificate.c_str()) != 1)
        throw error(errc::bad_input,
                    files.certificate + " holds no certificate in PEM: " + last_reason());
    if (SSL_CTX_use_PrivateKey_file(c.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw error(errc::bad_input,
                    files.key + " holds no key in PEM that is not encrypted and belongs to " +
                        files.certificate + ": " + last_reason());
    return c;
}

std::string pin_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    TRIBUTARY_CHECK(size > 0);
    std::string digest(32, '\0');
    EVP_Digest(der,
               static_cast<std::size_t>(size),
               reinterpret_cast<unsigned char*>(digest.data()),
               nullptr,
               EVP_sha256(),
               nullptr);
    OPENSSL_free(der);
    return to_hex(digest);
}

std::string text_of(const ASN1_TIME* at) {
    std::tm t{};
    ASN1_TIME_to_tm(at, &t);
    return fmt::format("{:%Y-%m-%d %H:%M} UTC", t);
}

/// The names a certificate is for, as people write them.
std::string names_of(X509* certificate) {
    std::string out;
    auto* names = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
        std::string one;
        if (name->type == GEN_DNS) {
            one.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        } else if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
            const unsigned char* b = ASN1_STRING_get0_data(name->d.iPAddress);
            one = fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
        } else {
            continue;
        }
        out += (out.empty() ? "" : ", ") + one;
    }
    GENERAL_NAMES_free(names);
    return out.empty() ? "no host at all" : out;
}

std::string how_to_trust(const std::string& pin) {
    return "Trust it with --pin " + pin + " if that is what its owner reads at the server";
}

/// What is wrong and what to do, after the name of the server.
std::string explain(long result, X509* certificate, const std::string& pin) {
    const std::string now = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
    switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return fmt::format(
                "shows a certificate that expired at {}; this machine's clock says {}. Set the "
                "clock if it is wrong; else the server needs a new certificate",
                text_of(X509_get0_notAfter(certificate)),
                now);
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return fmt::format(
                "shows a certificate that is not valid before {}; this machine's clock says {}. "
                "Set the clock if it is wrong",
                text_of(X509_get0_notBefore(certificate)),
                now);
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "shows a certificate for " + names_of(certificate) + ". Use that name. " +
                   how_to_trust(pin);
        default:
            return fmt::format(
                "shows a certificate that nobody vouches for who is known here ({}). {}; or name "
                "who vouches for it with --ca FILE",
                X509_verify_cert_error_string(result),
                how_to_trust(pin));
    }
}

}  // namespace

std::string tls_pin(const std::string& certificate_file) {
    require_file(certificate_file, "certificate");
    const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(certificate_file.c_str(), "r"),
                                                   BIO_free);
    const certificate_ptr c(file ? PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr)
                                 : nullptr);
    if (!c)
        throw error(errc::bad_input,
                    certificate_file + " holds no certificate in PEM: " + last_reason());
    return pin_of(c.get());
}

void tls_free::operator()(ssl_st* s) const noexcept { SSL_free(s); }

tls_server::tls_server(tls_files files)
    : files_(std::move(files)),
      changed_(last_change(files_)),
      context_(make_server_context(files_)) {}

tls_connection tls_server::connection() {
    if (const auto now = last_change(files_); now != changed_) {
        changed_ = now;
        try {
            context_ = make_server_context(files_);
        } catch (const error&) {
            // Half of a renewal, perhaps: what comes next changes the time again.
        }
    }
    tls_connection c(SSL_new(context_.get()));
    SSL_set_accept_state(c.get());
    return c;
}

tls_client::tls_client(tls_trust trust)
    : trust_(std::move(trust)), context_(make_context(TLS_client_method())) {
    const bool hex = trust_.pin.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!trust_.pin.empty() && (!hex || trust_.pin.size() != pin_digits))
        throw error(errc::bad_input,
                    "\"" + trust_.pin +
                        "\" is no pin: that is the SHA-256 of a public key, 64 hex "
                        "digits in lower case");
    // The certificate is judged after the handshake, for then it can be told what is wrong with it.
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
    if (!trust_.pin.empty()) return;
    if (trust_.ca.empty()) {
        SSL_CTX_set_default_verify_paths(context_.get());
        return;
    }
    require_file(trust_.ca, "certificate");
    if (SSL_CTX_load_verify_file(context_.get(), trust_.ca.c_str()) != 1)
        throw error(errc::bad_input, trust_.ca + " holds no certificate in PEM: " + last_reason());
}

tls_connection tls_client::connection(const peer_url& to) const {
    tls_connection c(SSL_new(context_.get()));
    SSL_set_connect_state(c.get());
    X509_VERIFY_PARAM* verify = SSL_get0_param(c.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, to.host.c_str()) != 1) {
        SSL_set1_host(c.get(), to.host.c_str());
        SSL_set_tlsext_host_name(c.get(), to.host.c_str());
    }
    ERR_clear_error();
    return c;
}

void tls_client::require_trusted(ssl_st* connection, const peer_url& to) const {
    const certificate_ptr shown(SSL_get1_peer_certificate(connection));
    if (!shown) throw error(errc::unauthorized, to.origin() + " shows no certificate");
    const std::string pin = pin_of(shown.get());
    if (!trust_.pin.empty()) {
        if (pin == trust_.pin) return;
        throw error(errc::unauthorized,
                    to.origin() +
                        " shows another key than the one pinned. It has a new one, or "
                        "somebody stands between. " +
                        how_to_trust(pin));
    }
    const long result = SSL_get_verify_result(connection);
    if (result == X509_V_OK) return;
    throw error(errc::unauthorized, to.origin() + " " + explain(result, shown.get(), pin));
}

bytes tls_exported(ssl_st* connection) {
    // Before 1.3 two connections could be made to export the same without it.
    const bool unique =
        SSL_version(connection) >= TLS1_3_VERSION || SSL_get_extms_support(connection) == 1;
    bytes out(exported_bytes, '\0');
    const bool done =
        unique && SSL_export_keying_material(connection,
                                             reinterpret_cast<unsigned char*>(out.data()),
                                             out.size(),
                                             exporter_label,
                                             sizeof exporter_label - 1,
                                             nullptr,
                                             0,
                                             1) == 1;
    return done ? out : bytes();
}

std::string tls_reason(unsigned long failure) {
    const char* reason = failure == 0 ? nullptr : ERR_reason_error_string(failure);
    return reason ? reason : "no reason given";
}

bool tls_is_http(unsigned long failure) {
    return ERR_GET_LIB(failure) == ERR_LIB_SSL && ERR_GET_REASON(failure) == SSL_R_HTTP_REQUEST;
}

}  // namespace tributary
