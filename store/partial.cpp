#include "tributary/store/partial.hpp"

#include "tributary/crdt/packed.hpp"

#include <cstring>
#include <unordered_map>

namespace tributary {

namespace {

constexpr std::uint64_t record_version = 1;

authority without_revocations(const genesis& rules, const authority& a) {
    std::vector<fact> grants = a.facts();
    std::erase_if(grants, [](const fact& f) { return !f.granted; });
    return authority(rules, std::move(grants));
}

/// As in a chunk: whoever signed a commit signed, through prev, all before it.
void check_signatures(const std::vector<commit>& proofs,
                      const std::vector<commit_header>& headers) {
    std::unordered_map<commit_id, public_key> vouched;
    for (std::size_t i = proofs.size(); i-- > 0;) {
        const commit_id id = id_of_header(proofs[i].header);
        const commit_header& h = headers[i];
        const auto found = vouched.find(id);
        const bool by_a_later_one = found != vouched.end() && found->second == h.author;
        if (!by_a_later_one && !(proofs[i].sig && verify(h.author, id, *proofs[i].sig)))
            throw error(errc::unauthorized,
                        "commit " + id.brief() +
                            ", said to grant or revoke, is not signed by its author " +
                            h.author.brief());
        if (h.prev) vouched.emplace(*h.prev, h.author);
    }
}

}  // namespace

proven_below check_proofs(const std::vector<commit>& proofs,
                          const crdt_id& id,
                          const genesis& rules) {
    std::vector<commit_header> headers;
    for (const commit& c : proofs) {
        if (c.header.size() > header_bytes_max)
            throw error(errc::limit, "the header of a grant is longer than 64 KiB");
        headers.push_back(decode_header(c.header));
        if (headers.back().crdt != id)
            throw error(errc::bad_input, "a grant of another CRDT is given as a proof");
    }
    check_signatures(proofs, headers);
    proven_below out(rules);
    for (std::size_t i = 0; i < proofs.size(); ++i) {
        const commit_header& h = headers[i];
        author_place& newest = out.authors[h.author];
        if (h.seq > newest.seq) newest = {h.seq, id_of_header(proofs[i].header)};
        if (!grants_or_revokes(h)) continue;
        const authority after = apply(out.granted, rules, h);
        out.all = join(rules, out.all, after);
        out.granted = without_revocations(rules, after);
    }
    return out;
}

bool grants_or_revokes(const commit_header& h) {
    return h.ext.find(value(ext_grants)) != nullptr ||
           h.ext.find(value(ext_revocations)) != nullptr;
}

bytes encode(const partial_cut& cut) {
    bytes out;
    packed::put_uint(out, record_version);
    packed::put_uint(out, cut.at.seq);
    packed::put_bin(out,
                    {reinterpret_cast<const char*>(cut.at.digest.data()), cut.at.digest.size()});
    packed::put_uint(out, cut.below);
    packed::put_uint(out, cut.proofs.size());
    for (const commit& c : cut.proofs) {
        packed::put_bin(out, c.header);
        packed::put_bin(out, c.sig ? c.sig->view() : bytes_view());
    }
    return out;
}

partial_cut parse_cut(bytes_view record) {
    packed::reader in(record, "the record of where a CRDT begins");
    if (in.uint() != record_version) in.fail("an unknown version");
    partial_cut cut;
    cut.at.seq = in.uint();
    const bytes_view digest = in.bin(cut.at.digest.size());
    std::memcpy(cut.at.digest.data(), digest.data(), digest.size());
    cut.below = in.uint();
    for (std::uint64_t left = in.uint(); left > 0; --left) {
        commit c;
        c.header = bytes(in.bin());
        if (const bytes_view sig = in.bin(); !sig.empty()) c.sig = signature::from_bytes(sig);
        cut.proofs.push_back(std::move(c));
    }
    in.end();
    return cut;
}

}  // namespace tributary
