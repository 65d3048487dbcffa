/// What tests of the commit store need: a store in memory with one CRDT, commits to feed it, and
/// what a replica looks like from outside.
#pragma once

#include "tributary/crdt/cdvcs.hpp"
#include "tributary/store/commit_store.hpp"
#include "tributary/store/memory_kv.hpp"

#include "crdt/support.hpp"
#include <map>

namespace tributary::test {

inline std::vector<bytes> split_body_copy(bytes_view body) {
    const auto views = split_body(body);
    return {views.begin(), views.end()};
}

/// A store in memory with the CRDT "tweets" of `ann`.
struct world {
    std::unique_ptr<memory_kv> db = make_memory_kv();
    identity ann = person(1), bob = person(2);
    signed_genesis genesis = sign(genesis_of(ann), ann);
    commit_store store{*db};
    crdt_handle handle = store.add(genesis, "tweets");

    commit_id append(std::int64_t n, std::optional<std::vector<commit_id>> parents = std::nullopt) {
        return store.append(handle, ann, small_ops(n), n, std::move(parents));
    }
    commit_id append_as(const identity& who,
                        std::int64_t n,
                        std::optional<std::vector<commit_id>> parents = std::nullopt) {
        return store.append(handle, who, small_ops(n), n, std::move(parents));
    }
    commit_id grant(const identity& to, const std::string& name) {
        return store.append(handle, ann, {}, 0, std::nullopt, grant_ext(to.key(), name));
    }
};

/// What verify() finds.
inline std::vector<std::string> problems(const commit_store& store, crdt_handle h) {
    std::vector<std::string> found;
    store.verify(h, [&](const std::string& text) { found.push_back(text); }, {});
    return found;
}

/// The commits of `from`, all signed.
inline std::vector<commit> commits_of(const commit_store& from, crdt_handle h, node first = 1) {
    std::vector<commit> all;
    from.scan(h, first, [&](const arrival_entry& e, bytes_view body) {
        all.push_back({e.header, e.sig, bytes(body)});
        return true;
    });
    return all;
}

/// What must be the same on all replicas with the same commits.
struct outside {
    std::vector<commit_id> heads;
    std::vector<commit_id> tips;
    std::vector<std::pair<commit_id, bool>> linear;  ///< and whether on the mainline
    std::map<commit_id, bool> commits;               ///< and whether they count
    bool operator==(const outside&) const = default;
};

inline outside view_of(const commit_store& store, crdt_handle h) {
    outside seen;
    const crdt_state s = store.state(h);
    seen.heads = s.heads;
    for (const node n : store.tip_nodes(h)) seen.tips.push_back(store.entry(h, n).id);
    std::sort(seen.tips.begin(), seen.tips.end());
    for (std::uint64_t position = 0; position < s.linear_length; ++position) {
        const linear_entry e = store.linear_at(h, position);
        seen.linear.emplace_back(store.entry(h, e.number).id, e.mainline);
    }
    store.scan(h, 1, [&](const arrival_entry& e, bytes_view) {
        seen.commits.emplace(e.id, e.linearized);
        return true;
    });
    return seen;
}

}  // namespace tributary::test
