#include "tributary/crdt/authority.hpp"

#include <catch2/catch.hpp>

#include "crdt/support.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2), cid = person(3), eve = person(4);
const genesis of_ann = genesis_of(ann);

/// A commit that states something: the author's commit `seq`, at `gen`.
commit_header stating(const identity& author, value ext, std::uint64_t seq, std::uint64_t gen) {
    commit_header h;
    h.author = author.key();
    h.seq = seq;
    h.gen = gen;
    h.ext = std::move(ext);
    return h;
}

authority after(const authority& before,
                const identity& author,
                std::uint64_t seq,
                value ext,
                std::uint64_t gen = 0) {
    return apply(before, of_ann, stating(author, std::move(ext), seq, gen == 0 ? seq : gen));
}

/// Ann's CRDT, where bob and cid are owners since gens 2 and 3.
const authority three_owners =
    after(after(authority(of_ann), ann, 1, grant_ext(bob.key(), "bob", right::owner), 2),
          ann,
          2,
          grant_ext(cid.key(), "cid", right::owner),
          3);

value both(const value& a, const value& b) {
    map all = a.as<map>();
    for (const auto& entry : b.as<map>().entries) all.entries.push_back(entry);
    return all;
}

authority random_authority(random_source& random) {
    const identity* people[] = {&ann, &bob, &cid, &eve};
    authority a = three_owners;
    for (std::uint64_t i = 0; i < 4; ++i) {
        const identity &by = *people[below(random, 3)], &of = *people[below(random, 4)];
        const std::uint64_t seq = 3 + below(random, 3), gen = 4 + below(random, 4);
        const value ext =
            below(random, 2) == 0
                ? grant_ext(of.key(),
                            std::string(1, static_cast<char>('a' + below(random, 3))),
                            static_cast<right>(1 + below(random, 3)))
                : revocation_ext(of.key(), &by == &of ? seq : below(random, 6));
        try {
            a = after(a, by, seq, ext, gen);
        } catch (const error& e) {
            CHECK(e.code() == errc::unauthorized);  // revoked by now
        }
    }
    return a;
}

}  // namespace

TEST_CASE("authority: owners write, others when granted, until revoked", "[crdt]") {
    const authority nobody(of_ann);
    CHECK(nobody.may_write(ann.key(), 1));
    CHECK_FALSE(nobody.may_write(bob.key(), 1));
    const authority with_bob = after(nobody, ann, 1, grant_ext(bob.key(), "bob"));
    CHECK(with_bob.may_write(bob.key(), 100));
    CHECK_FALSE(with_bob.is_owner(bob.key(), 1));
    CHECK_FALSE(with_bob.may_write(eve.key(), 1));
    const authority without = after(with_bob, ann, 2, revocation_ext(bob.key(), 5));
    CHECK(without.may_write(bob.key(), 5));
    CHECK_FALSE(without.may_write(bob.key(), 6));
    const authority again = after(without, ann, 3, grant_ext(bob.key(), "bob"));
    CHECK_FALSE(again.may_write(bob.key(), 6));
}

TEST_CASE("authority: each right includes those before it", "[crdt]") {
    genesis g = of_ann;
    g.public_read = false;
    authority a(g);
    const auto grant = [&](const identity& to, right r, std::uint64_t seq) {
        a = apply(a, g, stating(ann, grant_ext(to.key(), name_of(r), r), seq, seq));
    };
    grant(bob, right::read, 1);
    grant(cid, right::write, 2);
    grant(eve, right::owner, 3);
    const identity stranger = person(9);
    const auto rights_of = [&](const identity& who) {
        return std::tuple(
            a.may_read(who.key()), a.may_write(who.key(), 1), a.is_owner(who.key(), 1));
    };
    CHECK(rights_of(stranger) == std::tuple(false, false, false));
    CHECK(rights_of(bob) == std::tuple(true, false, false));
    CHECK(rights_of(cid) == std::tuple(true, true, false));
    CHECK(rights_of(eve) == std::tuple(true, true, true));
    CHECK(rights_of(ann) == std::tuple(true, true, true));
    a = apply(a, g, stating(ann, revocation_ext(bob.key(), 0), 4, 4));
    CHECK_FALSE(a.may_read(bob.key()));
    CHECK(a.is_revoked(bob.key()));
}

TEST_CASE("authority: where anyone may write, a revocation still holds", "[crdt]") {
    genesis g = of_ann;
    g.open_write = true;
    CHECK(authority(g).may_write(eve.key(), 1));
    const authority banned =
        apply(authority(g), g, stating(ann, revocation_ext(eve.key(), 0), 1, 1));
    CHECK_FALSE(banned.may_write(eve.key(), 1));
}

TEST_CASE("authority: what a commit may not state", "[crdt]") {
    const authority a = after(three_owners, ann, 3, grant_ext(eve.key(), "eve"));
    const auto refusal = [&](const identity& who, const value& ext) {
        return code_of([&] { after(a, who, 5, ext); });
    };
    CHECK(refusal(eve, grant_ext(bob.key(), "bob")) == errc::unauthorized);
    CHECK(refusal(eve, revocation_ext(bob.key(), 1)) == errc::unauthorized);
    CHECK(refusal(person(9), grant_ext(eve.key(), "eve")) == errc::unauthorized);
    CHECK(refusal(bob, revocation_ext(bob.key(), 4)) == errc::bad_input);
    CHECK(refusal(ann, make_map({{ext_grants, 7}})) == errc::bad_input);
    CHECK(refusal(ann, make_map({{ext_grants, vector{7}}})) == errc::bad_input);
    const value of_other_right = vector{blob{bytes(eve.key().view())}, "admin", "eve"};
    CHECK(refusal(ann, make_map({{ext_grants, vector{of_other_right}}})) == errc::newer_version);
    const value negative = vector{blob{bytes(eve.key().view())}, -1};
    CHECK(refusal(ann, make_map({{ext_revocations, vector{negative}}})) == errc::bad_input);
    CHECK(refusal(eve, make_map({})) == errc{});
    CHECK(refusal(cid, grant_ext(eve.key(), "eve", right::owner)) == errc{});
    vector many;
    for (std::size_t i = 0; i < facts_max; ++i)
        many.push_back(vector{blob{bytes(eve.key().view())}, static_cast<std::int64_t>(i)});
    CHECK(refusal(ann, make_map({{ext_revocations, many}})) == errc::limit);
}

TEST_CASE("authority: an owner can be revoked by another, and then states nothing more", "[crdt]") {
    const authority a = after(three_owners, bob, 1, revocation_ext(ann.key(), 2), 4);
    CHECK(a.may_write(ann.key(), 2));
    CHECK_FALSE(a.is_owner(ann.key(), 3));
    CHECK(a.is_owner(bob.key(), 9));  // though ann has granted it
    CHECK(code_of([&] { after(a, ann, 3, grant_ext(eve.key(), "eve")); }) == errc::unauthorized);
}

TEST_CASE("authority: of two owners who revoke each other unheard, the senior stays", "[crdt]") {
    const authority one = after(three_owners, cid, 1, revocation_ext(bob.key(), 0), 4);
    const authority two = after(three_owners, bob, 1, revocation_ext(cid.key(), 0), 9);
    const authority a = join(of_ann, one, two);
    CHECK(a == join(of_ann, two, one));
    CHECK(a.is_owner(bob.key(), 1));
    CHECK(a.is_revoked(cid.key()));
    CHECK_FALSE(a.is_revoked(bob.key()));
}

TEST_CASE("authority: in a circle of three the senior is right, then what is left is clear",
          "[crdt]") {
    const auto revoking = [&](const identity& by, const identity& of, std::uint64_t seq) {
        return after(three_owners, by, seq, revocation_ext(of.key(), seq - 1), 5);
    };
    const authority a = join(
        of_ann,
        join(of_ann, revoking(cid, ann, 3), revoking(bob, cid, 3)),
        after(three_owners, ann, 3, revocation_ext(bob.key(), 2), 5));
    // Ann's revocation of bob holds, so bob's of cid does not, so cid's of ann does.
    CHECK(a.is_revoked(bob.key()));
    CHECK_FALSE(a.is_revoked(cid.key()));
    CHECK(a.is_revoked(ann.key()));
    CHECK(a.may_write(ann.key(), 3));  // the commit that revokes bob counts
    CHECK_FALSE(a.may_write(ann.key(), 4));
}

TEST_CASE("authority: what a revoked owner has others state in secret is void with its grant",
          "[crdt]") {
    authority thief = after(three_owners, cid, 1, grant_ext(eve.key(), "eve", right::owner), 4);
    thief = after(thief, eve, 1, revocation_ext(ann.key(), 0), 5);
    thief = after(thief, eve, 2, revocation_ext(bob.key(), 0), 6);
    const authority a =
        join(of_ann, thief, after(three_owners, bob, 1, revocation_ext(cid.key(), 0), 50));
    CHECK(a.is_owner(ann.key(), 3));
    CHECK(a.is_owner(bob.key(), 1));
    CHECK_FALSE(a.may_write(eve.key(), 1));
}

TEST_CASE("authority: who only grants itself is nothing", "[crdt]") {
    authority thief = after(three_owners, cid, 2, grant_ext(eve.key(), "eve", right::owner), 4);
    thief = after(thief, eve, 1, grant_ext(eve.key(), "me", right::owner), 5);
    thief = after(thief, eve, 2, grant_ext(person(9).key(), "x", right::owner), 6);
    thief = after(thief, person(9), 1, grant_ext(eve.key(), "y", right::owner), 7);
    CHECK(thief.is_owner(eve.key(), 3));
    const authority a =
        join(of_ann, thief, after(three_owners, ann, 3, revocation_ext(cid.key(), 1), 4));
    CHECK_FALSE(a.is_owner(eve.key(), 1));
    CHECK_FALSE(a.is_owner(person(9).key(), 1));
}

TEST_CASE("authority: a revocation that reaches back before its author became an owner", "[crdt]") {
    const authority a = after(three_owners, cid, 1, revocation_ext(ann.key(), 0), 4);
    CHECK(a.is_owner(cid.key(), 2));
    CHECK_FALSE(a.may_write(ann.key(), 3));
    CHECK(a.may_write(ann.key(), 2));  // the commit that made cid an owner
}

TEST_CASE("authority: a key hands its own rights to another, no more", "[crdt]") {
    const identity fresh = person(20);
    const authority a = after(three_owners, ann, 3, grant_ext(eve.key(), "eve"));
    const auto hand_over = [&](const identity& from, right r) {
        return after(a, from, 7, succession_ext(from.key(), 7, fresh.key(), "new", r), 8);
    };
    CHECK(code_of([&] { hand_over(eve, right::owner); }) == errc::unauthorized);
    const value and_more = both(grant_ext(fresh.key(), "new"), revocation_ext(bob.key(), 7));
    CHECK(code_of([&] { after(a, eve, 7, and_more); }) == errc::unauthorized);
    const authority by_eve = hand_over(eve, right::write);
    CHECK(by_eve.may_write(fresh.key(), 1));
    CHECK(by_eve.may_write(eve.key(), 7));
    CHECK_FALSE(by_eve.may_write(eve.key(), 8));
    CHECK(by_eve.members().at(fresh.key()).name == "new");
    const authority by_ann = hand_over(ann, right::owner);
    CHECK(by_ann.is_owner(fresh.key(), 1));
    CHECK_FALSE(by_ann.is_owner(ann.key(), 8));

    // What ends the old key before it handed over ends the new one.
    const authority stolen =
        join(of_ann, by_eve, after(a, bob, 1, revocation_ext(eve.key(), 6), 8));
    CHECK_FALSE(stolen.may_write(fresh.key(), 1));
    // The new key has the old one's place.
    const authority mutual =
        join(of_ann,
             after(by_ann, fresh, 1, revocation_ext(bob.key(), 0), 9),
             after(by_ann, bob, 1, revocation_ext(fresh.key(), 0), 9));
    CHECK(mutual.is_owner(fresh.key(), 1));
    CHECK(mutual.is_revoked(bob.key()));
}

TEST_CASE("authority: the newest grant names, the first one tells since when", "[crdt]") {
    commit_header first = stating(ann, grant_ext(eve.key(), "eve"), 3, 4);
    first.time_ms = 1000;
    commit_header second = stating(bob, grant_ext(eve.key(), "Eve", right::read), 1, 9);
    second.time_ms = 500;
    const authority a = apply(apply(three_owners, of_ann, first), of_ann, second);
    const authority::member& m = a.members().at(eve.key());
    CHECK(m.name == "Eve");
    CHECK(m.granted == right::write);
}

TEST_CASE("authority: join is commutative, associative, idempotent (random)", "[crdt]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        const authority a = random_authority(random), b = random_authority(random),
                        c = random_authority(random);
        CHECK(join(of_ann, a, b) == join(of_ann, b, a));
        const authority left = join(of_ann, a, join(of_ann, b, c)),
                        right = join(of_ann, join(of_ann, a, b), c);
        CHECK(left == right);
        CHECK(left.members() == right.members());
        CHECK(join(of_ann, a, a) == a);
        CHECK(join(of_ann, a, authority(of_ann)) == a);
        CHECK(decode_authority(of_ann, encode(left)).members() == left.members());
    }
}
