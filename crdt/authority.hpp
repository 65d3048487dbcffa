/// Who may write: a value folded along the graph, so that whether a commit counts depends on its
/// ancestors alone and all peers agree.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <map>
#include <optional>
#include <string>

namespace tributary {

/// What the ancestors of a commit say about its authors. Law: join is commutative, associative and
/// idempotent.
struct authority {
    struct member {
        std::string
            name;  ///< given with the grant; the smallest one if several were given concurrently
        bool granted = false;
        std::optional<std::uint64_t>
            last_seq;  ///< set by a revocation: later commits do not count; the smallest if several
        auto operator<=>(const member&) const = default;
    };
    std::map<public_key, member> members;

    bool operator==(const authority&) const = default;

    /// Whether commit `seq` of `author` counts under these rules.
    bool may_write(const genesis& g, const public_key& author, std::uint64_t seq) const;
};

authority join(const authority& a, const authority& b);

/// The authority after `h`, whose ancestors give `before`. Errors: bad_input (malformed ext),
/// unauthorized (grants by someone who is no owner).
authority apply(const authority& before, const genesis& g, const commit_header& h);

/// For `ext` of a commit that grants.
value grant_ext(const public_key& key, const std::string& name);
value revocation_ext(const public_key& key, std::uint64_t last_seq);

bytes encode(const authority& a);
authority decode_authority(bytes_view data);

}  // namespace tributary
