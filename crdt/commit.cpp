#include "tributary/crdt/commit.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>

namespace tributary {

namespace {

constexpr std::string_view commit_purpose = "trib.commit.1";
constexpr std::string_view op_purpose = "trib.op.1";
constexpr std::string_view body_purpose = "trib.body.1";
constexpr std::size_t header_fields = 13;

/// Fails unless every key is an integer that this version understands or may ignore.
void check_ext(const value& ext) {
    for (const auto& [key, ignored] : ext.as<map>().entries) {
        const auto number = key.as<std::int64_t>();
        if (number % 2 == 0 && number != ext_grants && number != ext_revocations)
            throw error(errc::newer_version,
                        "a commit with extension " + std::to_string(number) +
                            ", which needs a newer tributary");
    }
}

void check_parents(const std::vector<commit_id>& parents) {
    if (parents.size() > parents_max)
        throw error(errc::limit,
                    "a commit has at most 64 parents, not " + std::to_string(parents.size()));
    if (parents.size() < 2) return;
    auto sorted = parents;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        throw error(errc::bad_input, "a commit header: a parent is named twice");
}

void check_header_size(bytes_view header) {
    if (header.size() > header_bytes_max)
        throw error(errc::limit, "a commit header is longer than 64 KiB");
}

void check_op_count(std::uint64_t count) {
    if (count > ops_max)
        throw error(errc::limit, "a commit has at most 65536 ops, not " + std::to_string(count));
}

void check_body_size(std::uint64_t size) {
    if (size > body_bytes_max)
        throw error(errc::limit,
                    "a commit's body has at most 16 MiB, not " + std::to_string(size) + " bytes");
}

}  // namespace

bytes encode(const op& o) {
    bytes out;
    packed::put_array(out, 2);
    encode_to(out, o.name);
    encode_to(out, o.params);
    return out;
}

op decode_op(bytes_view data) {
    value decoded = decode(data);
    auto& parts = decoded.as<vector>();
    if (parts.size() != 2) throw error(errc::bad_input, "an op is [name params]");
    return {std::move(parts[0].as<symbol>()), std::move(parts[1])};
}

bytes encode(const commit_header& h) {
    bytes out;
    out.reserve(224 + 34 * h.parents.size());
    packed::put_array(out, header_fields);
    packed::put_uint(out, 1);
    packed::put_bin(out, h.crdt.view());
    packed::put_bin(out, h.author.view());
    packed::put_uint(out, h.seq);
    if (h.prev)
        packed::put_bin(out, h.prev->view());
    else
        packed::put_nil(out);
    packed::put_array(out, h.parents.size());
    for (const commit_id& parent : h.parents) packed::put_bin(out, parent.view());
    packed::put_uint(out, h.gen);
    packed::put_int(out, h.time_ms);
    packed::put_uint(out, h.codec);
    packed::put_uint(out, h.op_count);
    packed::put_uint(out, h.body_size);
    packed::put_bin(out, h.body_root.view());
    encode_to(out, h.ext);
    return out;
}

commit_header decode_header(bytes_view data) {
    check_header_size(data);
    packed::reader in(data, "a commit header");
    const std::size_t fields = in.array();
    if (const std::uint64_t version = in.uint(); version != 1)
        throw error(
            version > 1 ? errc::newer_version : errc::bad_input,
            "a commit of version " + std::to_string(version) + "; this tributary knows version 1");
    if (fields != header_fields) in.fail("it has not 13 fields");
    commit_header h;
    h.crdt = crdt_id::from_bytes(in.bin(32));
    h.author = public_key::from_bytes(in.bin(32));
    h.seq = in.uint();
    if (!in.nil()) h.prev = commit_id::from_bytes(in.bin(32));
    if (h.seq == 0) in.fail("seq is 0");
    if ((h.seq == 1) != !h.prev) in.fail("prev is nil exactly when seq is 1");
    const std::size_t parents = in.array();
    if (parents > parents_max)
        throw error(errc::limit, "a commit has at most 64 parents, not " + std::to_string(parents));
    h.parents.reserve(parents);
    for (std::size_t i = 0; i < parents; ++i)
        h.parents.push_back(commit_id::from_bytes(in.bin(32)));
    check_parents(h.parents);
    h.gen = in.uint();
    if (h.parents.empty() ? h.gen != 1 : h.gen < 2) in.fail("gen is 1 exactly for a root");
    h.time_ms = in.integer();
    if (const std::uint64_t codec = in.uint(); codec != 0)
        throw error(
            errc::newer_version,
            "a commit body of codec " + std::to_string(codec) + ", which needs a newer tributary");
    const std::uint64_t op_count = in.uint();
    check_op_count(op_count);
    h.op_count = static_cast<std::uint32_t>(op_count);
    h.body_size = in.uint();
    check_body_size(h.body_size);
    h.body_root = hash32::from_bytes(in.bin(32));
    constexpr char no_entries = static_cast<char>(0x80);
    if (in.rest() != bytes_view(&no_entries, 1)) {
        h.ext = decode(in.rest());
        check_ext(h.ext);
    }
    return h;
}

commit_id id_of_header(bytes_view header) { return hash_as<commit_id>(commit_purpose, header); }

bytes make_body(std::span<const bytes> ops) {
    check_op_count(ops.size());
    std::uint64_t size = 5;
    for (const bytes& op : ops) size += op.size() + 5;
    bytes body;
    body.reserve(size);
    packed::put_array(body, ops.size());
    for (const bytes& op : ops) packed::put_bin(body, op);
    check_body_size(body.size());
    return body;
}

std::vector<bytes_view> split_body(bytes_view body) {
    check_body_size(body.size());
    packed::reader in(body, "a commit body");
    const std::size_t count = in.array();
    check_op_count(count);
    std::vector<bytes_view> ops;
    ops.reserve(std::min(count, body.size() / 2));
    for (std::size_t i = 0; i < count; ++i) ops.push_back(in.bin());
    in.end();
    return ops;
}

hash32 root_of_ops(std::span<const bytes_view> ops) {
    bytes ids;
    ids.reserve(ops.size() * 32);
    for (const bytes_view op : ops) ids += hash(op_purpose, op).view();
    return hash(body_purpose, ids);
}

commit make_commit(commit_header h, std::span<const bytes> ops, const identity& author) {
    if (h.author != author.key())
        throw error(errc::misuse, "a commit is signed by the author its header names");
    check_parents(h.parents);
    check_ext(h.ext);
    commit made;
    made.body = make_body(ops);
    h.op_count = static_cast<std::uint32_t>(ops.size());
    h.body_size = made.body.size();
    const std::vector<bytes_view> views(ops.begin(), ops.end());
    h.body_root = root_of_ops(views);
    made.header = encode(h);
    check_header_size(made.header);
    made.sig = author.sign(commit_purpose, id_of_header(made.header).view());
    return made;
}

bool verify(const public_key& author, const commit_id& id, const signature& sig) {
    return verify(author, commit_purpose, id.view(), sig);
}

void verify_body(const commit_header& h, bytes_view body) {
    if (body.size() != h.body_size)
        throw error(errc::bad_input,
                    "a commit body of " + std::to_string(body.size()) +
                        " bytes where its header says " + std::to_string(h.body_size));
    const std::vector<bytes_view> ops = split_body(body);
    if (ops.size() != h.op_count)
        throw error(errc::bad_input,
                    "a commit body of " + std::to_string(ops.size()) +
                        " ops where its header says " + std::to_string(h.op_count));
    if (root_of_ops(ops) != h.body_root)
        throw error(errc::bad_input, "a commit body does not have the hash its header says");
}

}  // namespace tributary
