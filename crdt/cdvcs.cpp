#include "tributary/crdt/cdvcs.hpp"

#include <algorithm>
#include <limits>

namespace tributary {

cdvcs cdvcs::create(const signed_genesis& g) {
    verify(g);
    cdvcs made;
    made.id_ = id_of_genesis(g.record);
    return made;
}

cdvcs cdvcs::fork(const signed_genesis& g) const {
    cdvcs made = create(g);
    for (node n = 1; n <= entries_.size(); ++n) made.take(*this, n);
    for (const node head : heads_) made.fork_parents_.push_back(*made.find(entries_[head - 1].id));
    return made;
}

commit_id cdvcs::transact(const identity& author,
                          std::span<const bytes> ops,
                          std::int64_t time_ms) {
    return commit_on(author, current_ ? std::vector{current_} : fork_parents_, ops, time_ms);
}

commit_id cdvcs::merge(const identity& author,
                       const std::vector<commit_id>& order,
                       std::span<const bytes> corrections,
                       std::int64_t time_ms) {
    if (heads_.size() < 2) throw error(errc::misuse, "there is only one head: nothing to merge");
    std::vector<node> parents;
    for (const commit_id& id : order) parents.push_back(find(id).value_or(0));
    auto sorted = parents;
    std::sort(sorted.begin(), sorted.end());
    if (sorted != heads_)
        throw error(errc::conflict, "the order of a merge names every head once and nothing else");
    return commit_on(author, std::move(parents), corrections, time_ms);
}

commit_id cdvcs::pull(const identity& author, const cdvcs& other, std::int64_t time_ms) {
    const auto theirs = other.current();
    if (!theirs) throw error(errc::misuse, "there is nothing to pull");
    if (find(*theirs)) throw error(errc::misuse, "what would be pulled is here already");
    const node tip = *other.find(*theirs);
    const auto past =
        missing(other, {}, std::span(&tip, 1), std::numeric_limits<std::size_t>::max());
    for (const node n : *past) take(other, n);
    std::vector<node> parents = current_ ? std::vector{current_} : fork_parents_;
    parents.push_back(*find(*theirs));
    return commit_on(author, std::move(parents), {}, time_ms);
}

void cdvcs::join(const cdvcs& other) {
    if (other.id_ != id_)
        throw error(errc::misuse, "only replicas of one CRDT join; pull from another");
    for (node n = 1; n <= other.entries_.size(); ++n) take(other, n);
}

std::vector<commit_id> cdvcs::head_ids() const {
    std::vector<commit_id> ids;
    for (const node n : heads_) ids.push_back(entries_[n - 1].id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::optional<commit_id> cdvcs::current() const {
    return current_ ? std::optional(entries_[current_ - 1].id) : std::nullopt;
}

std::optional<node> cdvcs::find(const commit_id& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<commit_id> cdvcs::linear() const {
    std::vector<commit_id> ids;
    if (!current_) return ids;
    for (const node n : linear_extension(*this, current_, [](node) { return false; }))
        ids.push_back(entries_[n - 1].id);
    return ids;
}

commit_id cdvcs::commit_on(const identity& author,
                           std::vector<node> parents,
                           std::span<const bytes> ops,
                           std::int64_t time_ms) {
    entry e;
    commit_header& h = e.header;
    h.crdt = id_;
    h.author = author.key();
    h.time_ms = time_ms;
    if (const auto tip = tips_.find(author.key()); tip != tips_.end()) {
        const entry& prev = entries_[tip->second - 1];
        h.seq = prev.header.seq + 1;
        h.prev = prev.id;
    }
    for (const node n : parents) {
        const entry& parent = entries_[n - 1];
        h.parents.push_back(parent.id);
        h.gen = std::max(h.gen, parent.header.gen + 1);
    }
    commit made = make_commit(h, ops, author);
    e.header = decode_header(made.header);
    e.id = id_of_header(made.header);
    e.body = std::move(made.body);
    e.parents = std::move(parents);
    const commit_id id = e.id;
    add(std::move(e));
    current_ = entries_.size();
    return id;
}

/// Takes `other`'s commit `n` over, whose parents are here already.
void cdvcs::take(const cdvcs& other, node n) {
    entry e = other.entries_[n - 1];
    if (find(e.id)) return;
    e.foreign = e.header.crdt != id_;
    for (node& parent : e.parents) parent = *find(other.entries_[parent - 1].id);
    add(std::move(e));
}

void cdvcs::add(entry e) {
    const node n = entries_.size() + 1;
    index_.emplace(e.id, n);
    const bool foreign = e.foreign;
    if (!foreign) {
        node& tip = tips_[e.header.author];
        if (tip == 0 || e.header.seq > entries_[tip - 1].header.seq) tip = n;
    }
    entries_.push_back(std::move(e));
    if (foreign) return;
    heads_.push_back(n);
    heads_ = maximal(*this, heads_);
    if (std::find(heads_.begin(), heads_.end(), current_) == heads_.end()) current_ = n;
}

}  // namespace tributary
