/// A server's certificate that vouches for itself, in files.
#pragma once

#include "tributary/peer/tls.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace tributary::testing {

class certificate {
public:
    /// For 127.0.0.1.
    certificate() {
        char pattern[] = "/tmp/tributary-certificate-XXXXXX";
        dir_ = ::mkdtemp(pattern);
        files = {dir_ / "cert.pem", dir_ / "key.pem"};
        renew();
    }
    ~certificate() { std::filesystem::remove_all(dir_); }
    certificate(const certificate&) = delete;
    certificate& operator=(const certificate&) = delete;

    /// With another key.
    void renew() {
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* c = X509_new();
        X509_set_version(c, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
        X509_gmtime_adj(X509_getm_notBefore(c), -3600);
        X509_gmtime_adj(X509_getm_notAfter(c), 3600);
        X509_set_pubkey(c, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(c),
                                   "CN",
                                   MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("test"),
                                   -1,
                                   -1,
                                   0);
        X509_set_issuer_name(c, X509_get_subject_name(c));
        X509_EXTENSION* names =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
        X509_add_ext(c, names, -1);
        X509_sign(c, key, EVP_sha256());

        std::FILE* out = std::fopen(files.certificate.c_str(), "w");
        PEM_write_X509(out, c);
        std::fclose(out);
        out = std::fopen(files.key.c_str(), "w");
        PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(out);
        X509_EXTENSION_free(names);
        X509_free(c);
        EVP_PKEY_free(key);
    }

    tls_files files;

private:
    std::filesystem::path dir_;
};

}  // namespace tributary::testing
