#include "tributary/store/make_cut.hpp"

#include <map>
#include <set>

namespace tributary {

namespace {

constexpr std::size_t proofs_bytes_max = 8u << 20;

/// Gathers headers by number, each with what vouches for it.
class proof_builder {
public:
    explicit proof_builder(const replica& r) : replica_(r) {}

    /// Takes entry `n` and the author's later ones up to a signed one.
    void take(node n) {
        while (n != 0 && !proofs_.contains(n)) {
            const bytes record = replica_.entry_bytes(n);
            const entry_record e = parse_entry(n, record);
            commit c;
            c.header = bytes(e.header);
            c.sig = e.sig;
            bytes_ += c.header.size();
            if (bytes_ > proofs_bytes_max)
                throw error(errc::limit,
                            "the grants of \"" + replica_.state().name +
                                "\" are too much for a partial replica; clone it whole");
            proofs_.emplace(n, std::move(c));
            n = e.sig ? 0 : successor(e.info);
        }
    }

    std::vector<commit> finish() {
        std::vector<commit> all;
        for (auto& [n, c] : proofs_) all.push_back(std::move(c));
        return all;
    }

private:
    node successor(const node_info& info) const {
        for (const node next : replica_.of_author(info.author, info.seq + 1)) {
            const bytes record = replica_.entry_bytes(next);
            if (decode_header(parse_entry(next, record).header).prev == info.id) return next;
        }
        throw error(errc::bad_input,
                    "no signature vouches for commit " + info.id.hex() +
                        ": the store is damaged; run trib verify");
    }

    const replica& replica_;
    std::map<node, commit> proofs_;
    std::size_t bytes_ = 0;
};

}  // namespace

std::vector<node> above_cut(const replica& r, node end) {
    std::set<node> found;
    for (const replica::head& h : r.heads())
        if (h.number <= end) found.insert(h.number);
    // Nothing that counts builds on what does not count, so these are above something here.
    std::set<node> seen;
    std::vector<node> open;
    if (r.state().uncounted > 0) open = r.tips();
    while (!open.empty()) {
        const node n = open.back();
        open.pop_back();
        if (!seen.insert(n).second) continue;
        const node_info info = r.info(n);
        if (info.counted) continue;
        if (n <= end) found.insert(n);
        open.insert(open.end(), info.parents.begin(), info.parents.end());
    }
    return {found.begin(), found.end()};
}

partial_cut make_cut(const replica& r, node end, const public_key& who) {
    partial_cut cut;
    if (end > 0) cut.at = {end, parse_entry(end, r.entry_bytes(end)).digest};
    cut.below = end;
    proof_builder builder(r);
    for (const node n : r.grants())
        if (n <= end) builder.take(n);
    const std::vector<node> above = above_cut(r, end);
    cut.below -= above.size();
    for (const node n : above)
        if (!parse_entry(n, r.entry_bytes(n)).sig) builder.take(n);
    // Its newest commit, so that its next one follows it.
    if (const auto tip = r.tip_of(who); tip && tip->number != 0 && tip->number <= end)
        builder.take(tip->number);
    cut.proofs = builder.finish();
    if (const partial_cut* own = r.cut()) {
        if (end == 0) cut.at = own->at;
        cut.below += own->below;
        cut.proofs.insert(cut.proofs.begin(), own->proofs.begin(), own->proofs.end());
    }
    return cut;
}

}  // namespace tributary
