/// Who may read, write and own a CRDT, folded along its graph, so that whether a commit may be
/// taken depends on its ancestors alone and all peers agree.
///
/// Commits state *facts* in their `ext`: grants and revocations. The authority of a commit is the
/// set of facts of its ancestors and its own; that of a replica is the set of the facts of all its
/// commits. What a set of facts comes to is a function of the set and of the genesis:
///
/// * A fact *holds* if its author had the right to state it by facts that hold (or by the genesis),
///   and no revocation that holds ends its author's commits before it.
/// * Facts that exclude each other in a circle, such as two owners who revoke each other without
///   having heard of it, are settled by seniority: of those open, the one holds that the owner of
///   the longest standing has stated. Owners of the genesis come first, in its order, then the
///   others by how early they became one; a key that succeeds another has its place.
/// * A revoked key keeps its commits up to the last one the revocation lets it have, and those with
///   facts that hold; it has no other rights, and no grant brings it back.
///
/// Law: join is commutative, associative and idempotent (tests/crdt/authority_test.cpp).
/// Thread-compatible.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <map>
#include <optional>
#include <string>

namespace tributary {

/// Each includes those before it.
enum class right : std::uint8_t { read = 1, write = 2, owner = 3 };

/// "read", "write", "owner".
const char* name_of(right r);
/// Errors: newer_version (a word this version does not know).
right right_named(std::string_view word);

/// What a commit says of a key.
struct fact {
    public_key by;          ///< the commit's author,
    std::uint64_t seq = 0;  ///< its seq,
    std::uint64_t gen = 0;
    std::int64_t time_ms = 0;  ///< and the author's clock, advisory
    public_key of;
    std::optional<right> granted;  ///< none: a revocation
    std::string name;              ///< of a grant
    std::uint64_t last_seq = 0;    ///< of a revocation: later commits of the key do not count
    auto operator<=>(const fact&) const = default;
};

/// Facts of a CRDT beyond this many are refused.
inline constexpr std::size_t facts_max = 4096;

class authority {
public:
    /// What is known of one key.
    struct member {
        std::string name;              ///< of its newest grant that holds and gives one
        std::optional<right> granted;  ///< the greatest
        std::optional<std::uint64_t> last_seq;  ///< revoked; the smallest of those that hold
        public_key by;                          ///< who granted first; an owner of the genesis: itself
        std::int64_t since_ms = 0;              ///< and when, advisory; 0 for the genesis
        std::optional<public_key> revoked_by;
        bool operator==(const member&) const = default;
    };

    /// Of the genesis alone.
    explicit authority(const genesis& g) : authority(g, {}) {}
    authority(const genesis& g, std::vector<fact> facts);

    const std::vector<fact>& facts() const { return facts_; }  ///< ascending, none twice
    const std::map<public_key, member>& members() const { return members_; }

    /// Whether commit `seq` of `key` counts.
    bool may_write(const public_key& key, std::uint64_t seq) const;
    bool may_read(const public_key& key) const;
    bool is_owner(const public_key& key, std::uint64_t seq) const;
    bool is_revoked(const public_key& key) const;

    /// Whether it was read from a record of before facts were kept with the commits that state
    /// them: those have seq 0, and the first owner as their author.
    bool is_early() const;

    /// Of the same genesis.
    bool operator==(const authority& other) const { return facts_ == other.facts_; }

private:
    std::vector<fact> facts_;
    std::map<public_key, member> members_;
    bool open_write_, public_read_;
};

authority join(const genesis& g, const authority& a, const authority& b);

/// The authority after `h`, whose ancestors give `before`. Owners state what they like; anyone else
/// who is granted something may hand just that to another key, by granting it and revoking its own
/// in one commit. Errors: bad_input (malformed ext; an owner that revokes itself before the commit
/// that says so), unauthorized, newer_version, limit.
authority apply(const authority& before, const genesis& g, const commit_header& h);

/// For `ext` of a commit.
value grant_ext(const public_key& key, const std::string& name, right r = right::write);
value revocation_ext(const public_key& key, std::uint64_t last_seq);
/// Hands the rights of `from` to `to`, in commit `seq` of `from`.
value succession_ext(const public_key& from,
                     std::uint64_t seq,
                     const public_key& to,
                     const std::string& name,
                     right r);

bytes encode(const authority& a);
authority decode_authority(const genesis& g, bytes_view data);

}  // namespace tributary
