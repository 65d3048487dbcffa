#include "tributary/crdt/authority.hpp"

#include <catch2/catch.hpp>

#include "crdt/support.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2), eve = person(3);

commit_header with_ext(const identity& author, value ext) {
    commit_header h;
    h.author = author.key();
    h.ext = std::move(ext);
    return h;
}

authority granted(const identity& who, const std::string& name, const authority& before = {}) {
    return apply(before, genesis_of(ann), with_ext(ann, grant_ext(who.key(), name)));
}

authority revoked(const identity& who, std::uint64_t last_seq, const authority& before = {}) {
    return apply(before, genesis_of(ann), with_ext(ann, revocation_ext(who.key(), last_seq)));
}

authority random_authority(random_source& random) {
    authority a;
    for (int i = 0; i < 3; ++i) {
        const identity who = person(static_cast<unsigned char>(2 + below(random, 3)));
        if (below(random, 2) == 0)
            a = granted(who, std::string(1, static_cast<char>('a' + below(random, 3))), a);
        else
            a = revoked(who, below(random, 4), a);
    }
    return a;
}

}  // namespace

TEST_CASE("authority: owners write, others when granted, until revoked", "[crdt]") {
    const genesis g = genesis_of(ann);
    CHECK(authority().may_write(g, ann.key(), 1));
    CHECK_FALSE(authority().may_write(g, bob.key(), 1));
    const authority with_bob = granted(bob, "bob");
    CHECK(with_bob.may_write(g, bob.key(), 100));
    CHECK_FALSE(with_bob.may_write(g, eve.key(), 1));
    const authority without = revoked(bob, 5, with_bob);
    CHECK(without.may_write(g, bob.key(), 5));
    CHECK_FALSE(without.may_write(g, bob.key(), 6));
}

TEST_CASE("authority: where anyone may write, a revocation still holds", "[crdt]") {
    genesis g = genesis_of(ann);
    g.open_write = true;
    CHECK(authority().may_write(g, eve.key(), 1));
    CHECK_FALSE(revoked(eve, 0).may_write(g, eve.key(), 1));
}

TEST_CASE("authority: only owners change it, and owners stay", "[crdt]") {
    const genesis g = genesis_of(ann);
    const auto refusal = [&](const identity& who, const value& ext) {
        return code_of([&] { apply(granted(bob, "bob"), g, with_ext(who, ext)); });
    };
    CHECK(refusal(bob, grant_ext(eve.key(), "eve")) == errc::unauthorized);
    CHECK(refusal(bob, revocation_ext(eve.key(), 1)) == errc::unauthorized);
    CHECK(refusal(ann, revocation_ext(ann.key(), 1)) == errc::bad_input);
    CHECK(refusal(ann, make_map({{ext_grants, 7}})) == errc::bad_input);
    CHECK(refusal(ann, make_map({{ext_grants, vector{7}}})) == errc::bad_input);
    const value of_other_right = vector{blob{bytes(eve.key().view())}, "admin", "eve"};
    CHECK(refusal(ann, make_map({{ext_grants, vector{of_other_right}}})) == errc::newer_version);
    const value negative = vector{blob{bytes(eve.key().view())}, -1};
    CHECK(refusal(ann, make_map({{ext_revocations, vector{negative}}})) == errc::bad_input);
    CHECK(refusal(bob, make_map({})) == errc{});
}

TEST_CASE("authority: join is commutative, associative, idempotent (random)", "[crdt]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        const authority a = random_authority(random), b = random_authority(random),
                        c = random_authority(random);
        CHECK(join(a, b) == join(b, a));
        CHECK(join(a, join(b, c)) == join(join(a, b), c));
        CHECK(join(a, a) == a);
        CHECK(join(a, authority()) == a);
        CHECK(decode_authority(encode(a)) == a);
    }
}
