/// What a replica should look like, worked out anew from the bytes of its commits alone, in the
/// plainest way: the judge of the code under test.
#pragma once

#include "tributary/store/commit_store.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tributary::sim {

/// Throws std::logic_error with what is wrong.
[[noreturn]] void broken(const std::string& what);

class model {
public:
    /// Reads the entries that are new since the last call and compares what the store says with
    /// what follows from them.
    void follow(const commit_store& store, crdt_handle h);
    /// Everything again, the linear log too.
    void examine(const commit_store& store, crdt_handle h);
    void forget() { *this = model(); }

    bool has(const commit_id& id) const { return parents_.contains(id); }
    const std::map<commit_id, std::vector<commit_id>>& commits() const { return parents_; }
    /// In the order of arrival.
    const std::vector<commit_id>& log() const { return log_; }

private:
    std::vector<commit_id> linear(const commit_id& head) const;

    std::map<commit_id, std::vector<commit_id>> parents_;
    std::set<commit_id> heads_;
    std::vector<commit_id> log_;
    hash16 digest_{};
};

}  // namespace tributary::sim
