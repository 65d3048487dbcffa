#include "tributary/crdt/cdvcs.hpp"

#include <catch2/catch.hpp>

#include "crdt/support.hpp"
#include <algorithm>
#include <set>

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2);

cdvcs fresh(const std::string& name = "tweets") {
    return cdvcs::create(sign(genesis_of(ann, name), ann));
}

std::set<commit_id> ids_of(const cdvcs& c) {
    std::set<commit_id> ids;
    for (const auto& e : c.entries()) ids.insert(e.id);
    return ids;
}

}  // namespace

TEST_CASE("cdvcs: commits line up on the current head", "[crdt]") {
    cdvcs c = fresh();
    CHECK(c.heads().empty());
    const commit_id first = c.transact(ann, small_ops(1), 10);
    const commit_id second = c.transact(ann, small_ops(2), 20);
    CHECK(c.linear() == std::vector{first, second});
    CHECK(c.head_ids() == std::vector{second});
    CHECK(c.entries()[1].header.seq == 2);
    CHECK(c.entries()[1].header.gen == 2);
}

TEST_CASE("cdvcs: concurrent commits are a conflict until a merge", "[crdt]") {
    cdvcs a = fresh();
    const commit_id root = a.transact(ann, small_ops(0), 0);
    cdvcs b = a;
    const commit_id ours = a.transact(ann, small_ops(1), 1);
    const commit_id theirs = b.transact(bob, small_ops(2), 2);
    a.join(b);
    b.join(a);
    CHECK(a.head_ids() == b.head_ids());
    CHECK(a.heads().size() == 2);
    CHECK(a.current() == ours);
    CHECK(b.current() == theirs);
    CHECK(a.conflicts().fork_points == std::vector{*a.find(root)});

    SECTION("a collector goes on from its own head") {
        const commit_id next = a.transact(ann, small_ops(3), 3);
        CHECK(a.linear() == std::vector{root, ours, next});
        CHECK(a.heads().size() == 2);
    }
    SECTION("the order of the merge is the linear order") {
        const commit_id merged = a.merge(ann, {theirs, ours}, small_ops(9), 4);
        CHECK(a.linear() == std::vector{root, theirs, ours, merged});
        b.join(a);
        CHECK(b.current() == merged);
        CHECK(b.linear() == a.linear());
    }
    SECTION("a merge must name every head") {
        CHECK(code_of([&] { a.merge(ann, {ours}, {}, 4); }) == errc::conflict);
        CHECK(code_of([&] { a.merge(ann, {ours, ours}, {}, 4); }) == errc::conflict);
        CHECK(code_of([&] { a.merge(ann, {ours, theirs, root}, {}, 4); }) == errc::conflict);
        CHECK(a.heads().size() == 2);
    }
    SECTION("two different merges are a new conflict") {
        a.merge(ann, {theirs, ours}, {}, 4);
        b.merge(bob, {ours, theirs}, {}, 4);
        a.join(b);
        CHECK(a.heads().size() == 2);
    }
}

TEST_CASE("cdvcs: one head is nothing to merge", "[crdt]") {
    cdvcs c = fresh();
    const commit_id only = c.transact(ann, small_ops(1), 1);
    CHECK(code_of([&] { c.merge(ann, {only}, {}, 2); }) == errc::misuse);
}

TEST_CASE("cdvcs: same ops on the same head by two authors stay two commits", "[crdt]") {
    cdvcs a = fresh();
    a.transact(ann, small_ops(0), 0);
    cdvcs b = a;
    CHECK(a.transact(ann, small_ops(1), 1) != b.transact(bob, small_ops(1), 1));
}

TEST_CASE("cdvcs: a fork goes on from the original, a pull takes from it", "[crdt]") {
    cdvcs original = fresh();
    const commit_id root = original.transact(ann, small_ops(0), 0);
    cdvcs forked = original.fork(sign(genesis_of(bob, "mine"), bob));
    CHECK(forked.heads().empty());
    const commit_id mine = forked.transact(bob, small_ops(1), 1);
    CHECK(forked.linear() == std::vector{root, mine});
    CHECK(forked.head_ids() == std::vector{mine});

    const commit_id theirs = original.transact(ann, small_ops(2), 2);
    const commit_id pulled = forked.pull(bob, original, 3);
    CHECK(forked.linear() == std::vector{root, mine, theirs, pulled});
    CHECK(forked.head_ids() == std::vector{pulled});
    CHECK(code_of([&] { forked.pull(bob, original, 4); }) == errc::misuse);
    CHECK(code_of([&] { forked.join(original); }) == errc::misuse);
}

TEST_CASE("cdvcs: replicas that met are equal, whatever they did (random)", "[crdt]") {
    const std::vector<identity> people{ann, bob, person(3)};
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        cdvcs start = fresh();
        start.transact(ann, small_ops(0), 0);
        std::vector<cdvcs> replicas(people.size(), start);
        for (int step = 0; step < 25; ++step) {
            const std::size_t at = below(random, replicas.size());
            cdvcs& here = replicas[at];
            const std::uint64_t dice = below(random, 10);
            if (dice < 5)
                here.transact(people[at], small_ops(step), step);
            else if (dice < 8 || here.heads().size() < 2)
                here.join(replicas[below(random, replicas.size())]);
            else
                here.merge(people[at], here.head_ids(), {}, step);
        }
        cdvcs forward = replicas[0], backward = replicas[2];
        for (const cdvcs& r : replicas) forward.join(r);
        for (auto r = replicas.rbegin(); r != replicas.rend(); ++r) backward.join(*r);
        CHECK(forward.head_ids() == backward.head_ids());
        CHECK(ids_of(forward) == ids_of(backward));
        if (forward.heads().size() == 1) CHECK(forward.linear() == backward.linear());
        cdvcs again = forward;
        again.join(forward);
        CHECK(again.head_ids() == forward.head_ids());
    }
}
