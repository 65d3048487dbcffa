#include "tributary/store/records.hpp"

#include "tributary/crdt/packed.hpp"

#include <cstring>

namespace tributary {

namespace {

constexpr std::uint8_t flag_signed = 1;
constexpr std::uint8_t flag_foreign = 2;
constexpr std::uint8_t flag_uncounted = 4;
constexpr std::uint8_t flag_cut = 8;
constexpr std::uint64_t state_version = 1;
// Every header of version 1 begins with the heads of its array and of two 32-byte bins: crdt and
// author.
constexpr std::size_t crdt_offset = 4;
constexpr std::size_t author_offset = 38;

bytes_view view_of(const hash16& h) { return {reinterpret_cast<const char*>(h.data()), h.size()}; }

hash16 digest_of(bytes_view b) {
    hash16 h;
    std::memcpy(h.data(), b.data(), h.size());
    return h;
}

}  // namespace

bytes encode_entry(const node_info& info,
                   const hash16& digest,
                   const std::optional<signature>& sig,
                   bytes_view header) {
    bytes out;
    out.reserve(160 + header.size());
    out.push_back(static_cast<char>((sig ? flag_signed : 0) | (info.foreign ? flag_foreign : 0) |
                                    (info.counted ? 0 : flag_uncounted) |
                                    (info.cut ? flag_cut : 0)));
    out += info.id.view();
    out += view_of(digest);
    if (sig) out += sig->view();
    packed::put_uint(out, info.seq);
    packed::put_uint(out, info.gen);
    packed::put_uint(out, info.authority);
    packed::put_uint(out, info.parents.size());
    for (const node parent : info.parents) packed::put_uint(out, info.number - parent);
    out += header;
    return out;
}

entry_record parse_entry(node number, bytes_view record) {
    packed::reader in(record, "an arrival log entry");
    entry_record e;
    const auto flags = static_cast<std::uint8_t>(in.take(1).front());
    if ((flags & ~(flag_signed | flag_foreign | flag_uncounted | flag_cut)) != 0)
        in.fail("an unknown flag");
    e.info.number = number;
    e.info.foreign = (flags & flag_foreign) != 0;
    e.info.counted = (flags & flag_uncounted) == 0;
    e.info.cut = (flags & flag_cut) != 0;
    e.info.id = commit_id::from_bytes(in.take(32));
    e.digest = digest_of(in.take(16));
    if ((flags & flag_signed) != 0) e.sig = signature::from_bytes(in.take(64));
    e.info.seq = in.uint();
    e.info.gen = in.uint();
    e.info.authority = in.uint();
    const std::uint64_t parents = in.uint();
    if (parents > parents_max) in.fail("too many parents");
    e.info.parents.reserve(parents);
    for (std::uint64_t i = 0; i < parents; ++i) e.info.parents.push_back(number - in.uint());
    e.header = in.rest();
    if (e.header.size() < author_offset + 32) in.fail("its header is cut off");
    e.info.crdt = crdt_id::from_bytes(e.header.substr(crdt_offset, 32));
    e.info.author = public_key::from_bytes(e.header.substr(author_offset, 32));
    return e;
}

commit_id id_of_entry(bytes_view record) {
    packed::reader in(record, "an arrival log entry");
    in.take(1);
    return commit_id::from_bytes(in.take(32));
}

bytes with_counted(bytes record, bool counted) {
    auto flags = static_cast<std::uint8_t>(record.at(0));
    flags = static_cast<std::uint8_t>(counted ? flags & ~flag_uncounted : flags | flag_uncounted);
    record[0] = static_cast<char>(flags);
    return record;
}

bytes encode(const state_record& s) {
    bytes out;
    packed::put_uint(out, state_version);
    packed::put_bin(out, s.genesis.record);
    packed::put_bin(out, s.genesis.sig.view());
    packed::put_bin(out, s.name);
    packed::put_bin(out, view_of(s.digest));
    for (const std::uint64_t n : {s.commits,
                                  s.ops,
                                  s.current,
                                  s.linear_length,
                                  s.linear_top,
                                  s.authorities,
                                  s.everyone,
                                  s.uncounted})
        packed::put_uint(out, n);
    return out;
}

state_record parse_state(bytes_view record) {
    packed::reader in(record, "the state record of a CRDT");
    if (in.uint() != state_version) in.fail("an unknown version");
    state_record s;
    s.genesis.record = bytes(in.bin());
    s.genesis.sig = signature::from_bytes(in.bin(64));
    s.name = bytes(in.bin());
    s.digest = digest_of(in.bin(16));
    for (std::uint64_t* n : {&s.commits,
                             &s.ops,
                             &s.current,
                             &s.linear_length,
                             &s.linear_top,
                             &s.authorities,
                             &s.everyone,
                             &s.uncounted})
        *n = in.uint();
    in.end();
    return s;
}

bytes encode_nodes(const std::vector<node>& nodes) {
    bytes out;
    for (const node n : nodes) put_be64(out, n);
    return out;
}

std::vector<node> parse_nodes(bytes_view record) {
    if (record.size() % 8 != 0)
        throw error(errc::bad_input, "a list of commits in the store is damaged");
    std::vector<node> nodes;
    for (; !record.empty(); record.remove_prefix(8)) nodes.push_back(get_be64(record));
    return nodes;
}

}  // namespace tributary
