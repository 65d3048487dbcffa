/// Every check that a commit from elsewhere must pass before anything of its chunk is staged.
/// Nothing here changes a store.
#pragma once

#include "tributary/store/replica.hpp"

#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tributary {

/// Authorities that commits not yet staged lead to. Numbers go on from those of the replica, which
/// must not gain others meanwhile.
class authority_draft {
public:
    explicit authority_draft(const replica& r) : replica_(r), base_(r.state().authorities) {}

    authority_ptr get(std::uint64_t number) const;
    std::uint64_t join(std::uint64_t a, std::uint64_t b);
    /// The number after `h`, whose ancestors of the same genesis give `before`. Errors:
    /// unauthorized, bad_input, newer_version.
    std::uint64_t after(std::uint64_t before, const commit_header& h);

    /// To be staged, in order.
    const std::vector<authority_ptr>& fresh() const { return fresh_; }

private:
    std::uint64_t add(authority a);

    const replica& replica_;
    std::uint64_t base_;
    std::vector<authority_ptr> fresh_;
};

/// Throws unauthorized, and says what to do.
[[noreturn]] void refuse_writer(const replica& r, const authority& rules, const public_key& key);

class chunk_check {
public:
    struct planned {
        accepted_commit commit;  ///< header and body are still in the chunk
        std::size_t source = 0;  ///< where in the chunk
        std::size_t prev_planned =
            0;  ///< 1 + the place of prev among those planned; 0: not in this chunk
    };

    /// `below`: commits that whoever sends the chunk says are below the cut of a partial replica.
    explicit chunk_check(const replica& r, std::span<const commit_id> below = {});

    /// Errors: as commit_store::ingest.
    void check(std::span<const commit> chunk, chunk_from from);

    std::vector<planned>& accepted() { return planned_; }
    const authority_draft& authorities() const { return authorities_; }
    std::size_t known() const { return known_; }

private:
    void take(const commit& c, std::size_t source);
    void check_chain(const commit_header& h, planned& p);
    void check_parents(const commit_header& h, planned& p);
    bool is_below(const commit_id& id) const;
    void check_signatures(std::span<const commit> chunk);
    void check_foreign() const;
    std::optional<node> number_of(const commit_id& id) const;
    node_info info_of(node n) const;
    node next_number() const { return replica_.state().commits + planned_.size() + 1; }

    const replica& replica_;
    const std::unordered_set<commit_id> below_;
    authority_draft authorities_;
    std::vector<planned> planned_;
    std::unordered_map<commit_id, node> numbers_;  ///< of those planned
    std::size_t known_ = 0;
};

}  // namespace tributary
