/// Makes commits by hand, right ones and wrong ones, without a store.
#pragma once

#include "store/replica_support.hpp"
#include <functional>
#include <map>

namespace tributary::test {

/// A growing set of commits of one CRDT; each is signed.
class forge {
public:
    explicit forge(crdt_id crdt) : crdt_(crdt) {}

    /// The header of the next commit of `author` on commits made here; `change` may spoil it.
    std::size_t add(const identity& author,
                    const std::vector<std::size_t>& parents,
                    value ext = make_map({}),
                    const std::function<void(commit_header&)>& change = {}) {
        commit_header h;
        h.crdt = crdt_;
        h.author = author.key();
        h.ext = std::move(ext);
        h.time_ms = static_cast<std::int64_t>(commits_.size());
        if (const auto tip = tips_.find(author.key()); tip != tips_.end()) {
            h.seq = headers_[tip->second].seq + 1;
            h.prev = ids_[tip->second];
            prevs_.push_back(tip->second);
        } else {
            prevs_.push_back(std::nullopt);
        }
        for (const std::size_t parent : parents) {
            h.parents.push_back(ids_[parent]);
            h.gen = std::max(h.gen, headers_[parent].gen + 1);
        }
        if (change) change(h);
        const std::size_t place = commits_.size();
        commits_.push_back(make_commit(h, small_ops(static_cast<std::int64_t>(place)), author));
        headers_.push_back(decode_header(commits_.back().header));
        ids_.push_back(id_of_header(commits_.back().header));
        parents_.push_back(parents);
        tips_[author.key()] = place;
        return place;
    }

    const commit& at(std::size_t place) const { return commits_[place]; }
    const commit_id& id(std::size_t place) const { return ids_[place]; }
    const commit_header& header(std::size_t place) const { return headers_[place]; }
    const std::vector<std::size_t>& parents(std::size_t place) const { return parents_[place]; }
    const std::vector<commit>& all() const { return commits_; }
    std::size_t size() const { return commits_.size(); }

    /// Places in a random order in which every commit follows its parents and its prev.
    std::vector<std::size_t> delivery(random_source& random) const {
        std::vector<std::size_t> order, ready;
        std::vector<bool> sent(size());
        while (order.size() < size()) {
            ready.clear();
            for (std::size_t i = 0; i < size(); ++i) {
                const bool after_parents = std::all_of(
                    parents_[i].begin(), parents_[i].end(), [&](std::size_t p) { return sent[p]; });
                if (!sent[i] && after_parents && (!prevs_[i] || sent[*prevs_[i]]))
                    ready.push_back(i);
            }
            order.push_back(ready[below(random, ready.size())]);
            sent[order.back()] = true;
        }
        return order;
    }

private:
    crdt_id crdt_;
    std::vector<commit> commits_;
    std::vector<commit_header> headers_;
    std::vector<commit_id> ids_;
    std::vector<std::vector<std::size_t>> parents_;
    std::vector<std::optional<std::size_t>> prevs_;
    std::map<public_key, std::size_t> tips_;
};

}  // namespace tributary::test
