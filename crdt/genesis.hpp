/// The signed record a CRDT begins with; its hash is the CRDT's id. docs/formats.md gives the
/// bytes.
#pragma once

#include "tributary/crdt/keys.hpp"
#include "tributary/value/value.hpp"

#include <string>
#include <vector>

namespace tributary {

using crdt_id = id32<struct crdt_tag>;

struct genesis {
    std::string type = "cdvcs";
    std::string name;                ///< what its creator called it; a local name may differ
    std::vector<public_key> owners;  ///< may grant and revoke; the first one signs
    bool open_write = false;         ///< anyone may write, else owners and granted keys
    bool public_read = true;
    value policy;  ///< reserved; nil
    bytes nonce;   ///< 16 bytes that make two CRDTs of the same name differ
};

struct signed_genesis {
    bytes record;  ///< canonical bytes of the genesis
    signature sig;
};

/// Errors of decode: bad_input, newer_version.
bytes encode(const genesis& g);
genesis decode_genesis(bytes_view record);

crdt_id id_of_genesis(bytes_view record);
signed_genesis sign(const genesis& g, const identity& owner);
/// The decoded record. Errors: bad_input, newer_version, unauthorized (signature wrong or not of
/// the first owner).
genesis verify(const signed_genesis& g);

/// "trib:1" and 64 hex digits. Errors of parse: bad_input, newer_version ("trib:2...").
std::string address_of(const crdt_id& id);
crdt_id parse_address(std::string_view text);

}  // namespace tributary
