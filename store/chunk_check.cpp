#include "tributary/store/chunk_check.hpp"

#include "tributary/value/covered.hpp"

#include <algorithm>

namespace tributary {

// -- authority_draft ------------------------------------------------------------------------------

authority_ptr authority_draft::get(std::uint64_t number) const {
    return number > base_ ? fresh_.at(number - base_ - 1) : replica_.authority_of(number);
}

std::uint64_t authority_draft::add(authority a) {
    fresh_.push_back(std::make_shared<const authority>(std::move(a)));
    return base_ + fresh_.size();
}

std::uint64_t authority_draft::join(std::uint64_t a, std::uint64_t b) {
    return join_numbers(
        replica_.rules(),
        a,
        b,
        [this](std::uint64_t n) { return get(n); },
        [this](authority joined) { return add(std::move(joined)); });
}

std::uint64_t authority_draft::after(std::uint64_t before, const commit_header& h) {
    const authority_ptr rules = get(before);
    if (!rules->may_write(h.author, h.seq)) refuse_writer(replica_, *rules, h.author);
    if (h.ext.as<map>().entries.empty()) return before;
    authority changed = apply(*rules, replica_.rules(), h);
    return changed == *rules ? before : add(std::move(changed));
}

void refuse_writer(const replica& r, const authority& rules, const public_key& key) {
    const std::string& name = r.state().name;
    if (rules.is_revoked(key))
        throw error(errc::unauthorized,
                    "key " + key.hex() + " may no longer write \"" + name +
                        "\": it was revoked (trib members " + name +
                        " tells by whom). Ask an owner to grant another key");
    throw error(errc::unauthorized,
                "key " + key.hex() + " may not write \"" + name +
                    "\". Ask an owner: trib grant " + name + " " + key.hex() +
                    " --name YOURS; if that was done, sync first");
}

// -- chunk_check ----------------------------------------------------------------------------------

chunk_check::chunk_check(const replica& r, std::span<const commit_id> below)
    : replica_(r),
      below_(r.cut() ? std::unordered_set<commit_id>(below.begin(), below.end())
                         : std::unordered_set<commit_id>()),
      authorities_(r) {}

void chunk_check::check(std::span<const commit> chunk, chunk_from from) {
    planned_.reserve(chunk.size());
    for (std::size_t i = 0; i < chunk.size(); ++i) {
        try {
            take(chunk[i], i);
        } catch (const error& e) {
            const std::string place =
                " (" + std::to_string(i + 1) + " of " + std::to_string(chunk.size()) + " sent)";
            throw error(
                e.code(),
                "commit " + id_of_header(chunk[i].header).brief() + place + ": " + e.what());
        }
    }
    check_signatures(chunk);
    if (from == chunk_from::peer) check_foreign();
}

void chunk_check::take(const commit& c, std::size_t source) {
    if (c.header.size() > header_bytes_max)
        throw error(errc::limit, "its header is longer than 64 KiB");
    const commit_id id = id_of_header(c.header);
    if (number_of(id) || replica_.is_below(id)) {
        ++known_;
        return;
    }
    const commit_header h = decode_header(c.header);
    planned p;
    p.source = source;
    p.commit.op_count = h.op_count;
    p.commit.blobs = blobs_of_ext(h.ext);
    p.commit.grants = h.crdt == replica_.id() && grants_or_revokes(h);
    node_info& info = p.commit.info;
    info.number = next_number();
    info.id = id;
    info.crdt = h.crdt;
    info.author = h.author;
    info.seq = h.seq;
    info.gen = h.gen;
    info.foreign = h.crdt != replica_.id();
    check_chain(h, p);
    check_parents(h, p);
    if (!info.foreign) info.authority = authorities_.after(info.authority, h);
    if (!c.body_checked) verify_body(h, c.body);
    numbers_.emplace(id, info.number);
    planned_.push_back(std::move(p));
}

void chunk_check::check_chain(const commit_header& h, planned& p) {
    if (!h.prev) return;
    const auto number = number_of(*h.prev);
    if (!number && is_below(*h.prev)) {
        p.commit.absent_prev = h.prev;
        return;
    }
    if (!number) {
        // Ancestors of a fork do not include all that their authors wrote in the original.
        if (p.commit.info.foreign) return;
        throw error(errc::not_found,
                    "its author's previous commit " + h.prev->hex() + " is not here");
    }
    const node_info prev = info_of(*number);
    if (prev.crdt != h.crdt || prev.author != h.author || prev.seq + 1 != h.seq)
        throw error(
            errc::bad_input,
            "its seq " + std::to_string(h.seq) + " does not follow its author's previous commit");
    if (*number > replica_.state().commits) p.prev_planned = *number - replica_.state().commits;
}

void chunk_check::check_parents(const commit_header& h, planned& p) {
    node_info& info = p.commit.info;
    std::uint64_t gen = 1;
    for (const commit_id& id : h.parents) {
        const auto number = number_of(id);
        if (!number && is_below(id)) {
            p.commit.absent_parents.push_back(id);
            continue;
        }
        if (!number) throw error(errc::not_found, "its parent " + id.hex() + " is not here");
        const node_info parent = info_of(*number);
        info.parents.push_back(*number);
        gen = std::max(gen, parent.gen + 1);
        if (!info.foreign && !parent.foreign)
            info.authority = authorities_.join(info.authority, parent.authority);
    }
    info.cut = !p.commit.absent_parents.empty();
    if (info.cut) covered("shallow boundary");
    if (info.cut && !info.foreign)
        info.authority = authorities_.join(info.authority, replica::granted_below);
    // Where parents are below the cut, their gen is what the signed header says.
    if (info.cut ? gen > h.gen : gen != h.gen)
        throw error(errc::bad_input,
                    "its gen is " + std::to_string(h.gen) + " where its parents give " +
                        std::to_string(gen));
}

/// Whoever signed a commit signed, through prev, all before it. So from the newest on: one that no
/// other vouches for must be signed.
void chunk_check::check_signatures(std::span<const commit> chunk) {
    std::vector<bool> vouched(planned_.size() + 1);
    for (std::size_t place = planned_.size(); place > 0; --place) {
        planned& p = planned_[place - 1];
        vouched[p.prev_planned] = true;
        const auto& sig = chunk[p.source].sig;
        if (!vouched[place]) {
            const node_info& info = p.commit.info;
            if (!sig && replica_.is_proven(info.id)) continue;
            if (!sig || !verify(info.author, info.id, *sig))
                throw error(errc::unauthorized,
                            "commit " + info.id.brief() + " is not signed by its author " +
                                info.author.brief());
            p.commit.sig = sig;
        }
    }
}

/// A commit of another genesis has no authority of its own here: one of ours in the same chunk must
/// have it as an ancestor, whose author vouches for it by signing the link. Otherwise anyone could
/// fill a log with a graph of their own.
void chunk_check::check_foreign() const {
    const node stored = replica_.state().commits;
    std::vector<bool> vouched(planned_.size());
    for (std::size_t place = planned_.size(); place-- > 0;) {
        const node_info& info = planned_[place].commit.info;
        if (info.foreign && !vouched[place])
            throw error(errc::unauthorized,
                        "commit " + info.id.brief() + " is of another CRDT, " + info.crdt.brief() +
                            ", and no commit of this one in its chunk builds on it");
        for (const node parent : info.parents)
            if (parent > stored) vouched[parent - stored - 1] = true;
    }
}

bool chunk_check::is_below(const commit_id& id) const {
    return below_.contains(id) || replica_.is_below(id);
}

std::optional<node> chunk_check::number_of(const commit_id& id) const {
    if (const auto found = numbers_.find(id); found != numbers_.end()) return found->second;
    return replica_.find(id);
}

node_info chunk_check::info_of(node n) const {
    const node stored = replica_.state().commits;
    return n <= stored ? replica_.info(n) : planned_[n - stored - 1].commit.info;
}

}  // namespace tributary
