/// What the commit store keeps beside headers and bodies, and its bytes.
#pragma once

#include "tributary/crdt/commit.hpp"
#include "tributary/crdt/graph.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace tributary {

/// A commit as the graph sees it.
struct node_info {
    node number = 0;
    commit_id id;
    crdt_id crdt;
    public_key author;
    std::uint64_t seq = 0;  ///< in the author's chain
    std::uint64_t gen = 0;
    std::uint64_t authority = 0;  ///< number of the authority after it
    bool foreign = false;         ///< of another genesis
    bool counted =
        true;  ///< false: beyond its author's revocation and beneath no commit that counts
    bool cut = false;  ///< has parents that are not here, below where a partial replica begins
    std::vector<node> parents;  ///< those that are here
};

struct entry_record {
    node_info info;
    hash16 digest{};
    std::optional<signature> sig;
    bytes_view header;  ///< into what was parsed
};

bytes encode_entry(const node_info& info,
                   const hash16& digest,
                   const std::optional<signature>& sig,
                   bytes_view header);
/// Errors of parsing, here and below: bad_input (the store is damaged).
entry_record parse_entry(node number, bytes_view record);
/// The commit's id alone.
commit_id id_of_entry(bytes_view record);
/// The same record, but counted or not.
bytes with_counted(bytes record, bool counted);

/// What is known of a CRDT without looking at its commits.
struct state_record {
    signed_genesis genesis;
    bytes name;
    std::uint64_t commits = 0;
    hash16 digest{};
    std::uint64_t ops = 0;
    node current = 0;  ///< 0: none
    std::uint64_t linear_length = 0;
    node linear_top = 0;            ///< no node above it is in the linear log
    std::uint64_t authorities = 0;  ///< numbered from 1; 0 is the empty one
    std::uint64_t everyone = 0;     ///< number of the join over all commits
    std::uint64_t uncounted = 0;    ///< commits that do not count
};

bytes encode(const state_record& s);
state_record parse_state(bytes_view record);

bytes encode_nodes(const std::vector<node>& nodes);
std::vector<node> parse_nodes(bytes_view record);

}  // namespace tributary
