#include "tributary/crdt/genesis.hpp"

#include "tributary/value/msgpack.hpp"

#include <algorithm>

namespace tributary {

namespace {

constexpr std::string_view purpose = "trib.genesis.1";
constexpr std::string_view address_prefix = "trib:1";
constexpr std::size_t fields = 8;
constexpr std::size_t nonce_bytes = 16;
constexpr std::size_t record_bytes_max = 64u << 10;

[[noreturn]] void fail(const std::string& problem) {
    throw error(errc::bad_input, "a genesis record: " + problem);
}

/// Which of two words a field holds.
bool is_second(const value& v, std::string_view first, std::string_view second) {
    const auto& word = v.as<std::string>();
    if (word != first && word != second)
        fail("expected \"" + std::string(first) + "\" or \"" + std::string(second) +
             "\", found \"" + word + "\"");
    return word == second;
}

}  // namespace

bytes encode(const genesis& g) {
    vector owners;
    for (const public_key& key : g.owners) owners.emplace_back(blob{bytes(key.view())});
    return encode(value(vector{1,
                               g.type,
                               g.name,
                               std::move(owners),
                               g.open_write ? "open" : "listed",
                               g.public_read ? "public" : "listed",
                               g.policy,
                               blob{g.nonce}}));
}

genesis decode_genesis(bytes_view record) {
    if (record.size() > record_bytes_max) fail("longer than 64 KiB");
    const value decoded = decode(record);
    const auto& f = decoded.as<vector>();
    if (f.empty()) fail("it is empty");
    if (const auto version = f[0].as<std::int64_t>(); version != 1)
        throw error(version > 1 ? errc::newer_version : errc::bad_input,
                    "a genesis record of version " + std::to_string(version) +
                        "; this tributary knows version 1");
    if (f.size() != fields) fail("it has not 8 fields");
    genesis g;
    g.type = f[1].as<std::string>();
    g.name = f[2].as<std::string>();
    for (const value& owner : f[3].as<vector>())
        g.owners.push_back(public_key::from_bytes(owner.as<blob>().data));
    if (g.owners.empty()) fail("it names no owner");
    auto sorted = g.owners;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        fail("an owner is named twice");
    g.open_write = is_second(f[4], "listed", "open");
    g.public_read = is_second(f[5], "listed", "public");
    g.policy = f[6];
    if (!g.policy.is_nil())
        throw error(errc::newer_version,
                    "a genesis record with a policy, which needs a newer tributary");
    g.nonce = f[7].as<blob>().data;
    if (g.nonce.size() != nonce_bytes) fail("its nonce has not 16 bytes");
    return g;
}

crdt_id id_of_genesis(bytes_view record) { return hash_as<crdt_id>(purpose, record); }

signed_genesis sign(const genesis& g, const identity& owner) {
    signed_genesis made{encode(g), {}};
    if (decode_genesis(made.record).owners.front() != owner.key())
        throw error(errc::misuse, "a genesis is signed by its first owner");
    made.sig = owner.sign(purpose, id_of_genesis(made.record).view());
    return made;
}

genesis verify(const signed_genesis& g) {
    genesis decoded = decode_genesis(g.record);
    if (!verify(decoded.owners.front(), purpose, id_of_genesis(g.record).view(), g.sig))
        throw error(errc::unauthorized,
                    "the genesis of \"" + decoded.name + "\" is not signed by its first owner");
    return decoded;
}

std::string address_of(const crdt_id& id) { return std::string(address_prefix) + id.hex(); }

crdt_id parse_address(std::string_view text) {
    constexpr std::string_view scheme = "trib:";
    const std::string shown(text.substr(0, 80));
    if (!text.starts_with(scheme))
        throw error(errc::bad_input, "an address begins with trib:1, this does not: " + shown);
    if (text.size() > scheme.size() && text[scheme.size()] >= '2' && text[scheme.size()] <= '9')
        throw error(errc::newer_version, "an address of a newer tributary: " + shown);
    if (!text.starts_with(address_prefix) || text.size() != address_prefix.size() + 64)
        throw error(errc::bad_input, "an address is trib:1 and 64 hexadecimal digits: " + shown);
    return crdt_id::from_hex(text.substr(address_prefix.size()));
}

}  // namespace tributary
