/// Replicas with the same commits are the same, whatever order, chunks, repetitions and restarts
/// brought them there.

#include <catch2/catch.hpp>

#include "store/forge.hpp"
#include <set>

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2), eve = person(3);
const signed_genesis the_genesis = sign(genesis_of(ann), ann);

/// A random history: bob and eve are granted in its root and, if asked, eve is revoked somewhere.
forge random_history(random_source& random, std::size_t size, bool revoke) {
    forge made(id_of_genesis(the_genesis.record));
    value both = grant_ext(bob.key(), "bob");
    vector rows = both.find(value(ext_grants))->as<vector>();
    rows.push_back(grant_ext(eve.key(), "eve").find(value(ext_grants))->as<vector>()[0]);
    made.add(ann, {}, make_map({{ext_grants, rows}}));
    const std::size_t revoked_at = revoke ? 1 + below(random, size - 1) : 0;
    std::set<std::size_t> after_revocation;
    for (std::size_t i = 1; i < size; ++i) {
        std::vector<std::size_t> parents;
        for (std::uint64_t wanted = 1 + below(random, 2); wanted > 0; --wanted) {
            const std::size_t parent = i - 1 - below(random, std::min<std::size_t>(i, 5));
            if (std::find(parents.begin(), parents.end(), parent) == parents.end())
                parents.push_back(parent);
        }
        const bool knows = std::any_of(parents.begin(), parents.end(), [&](std::size_t p) {
            return after_revocation.contains(p);
        });
        if (i == revoked_at) {
            made.add(ann, parents, revocation_ext(eve.key(), below(random, 4)));
        } else {
            const identity* people[] = {&ann, &bob, &eve};
            made.add(*people[below(random, knows ? 2 : 3)], parents);
        }
        if (knows || i == revoked_at) after_revocation.insert(i);
    }
    return made;
}

/// A random history in which whoever is an owner by what it knows grants, hands over and revokes
/// at random, other owners above all.
forge random_quarrel(random_source& random, std::size_t size) {
    forge made(id_of_genesis(the_genesis.record));
    const genesis g = genesis_of(ann);
    const identity people[] = {ann, bob, eve, person(4), person(5)};
    std::vector<authority> known;
    std::map<public_key, std::uint64_t> seqs;
    for (std::size_t i = 0; i < size; ++i) {
        std::vector<std::size_t> parents;
        for (std::uint64_t wanted = 1 + below(random, 2); i > 0 && wanted > 0; --wanted) {
            const std::size_t parent = i - 1 - below(random, std::min<std::size_t>(i, 4));
            if (std::find(parents.begin(), parents.end(), parent) == parents.end())
                parents.push_back(parent);
        }
        authority before(g);
        for (const std::size_t p : parents) before = join(g, before, known[p]);
        std::vector<const identity*> writers;
        for (const identity& who : people)
            if (before.may_write(who.key(), seqs[who.key()] + 1)) writers.push_back(&who);
        if (writers.empty()) break;
        const identity *by = writers[below(random, writers.size())], *of = &people[below(random, 5)];
        const std::uint64_t seq = seqs[by->key()] + 1;
        value ext = make_map({});
        if (i < 3) of = &people[i + 1];
        switch (i < 3 ? 0 : below(random, 8)) {
            case 0:
            case 1:
                ext = grant_ext(of->key(), "x", i < 3 ? right::owner : right::write);
                break;
            case 2:
            case 3:
                ext = revocation_ext(of->key(), of == by ? seq : below(random, seqs[of->key()] + 1));
                break;
            case 4:
                ext = succession_ext(by->key(), seq, of->key(), "y", right::write);
                break;
            default:
                break;
        }
        commit_header h;
        h.author = by->key();
        h.seq = seq;
        h.ext = ext;
        try {
            apply(before, g, h);
        } catch (const error&) {
            ext = make_map({});
        }
        const std::size_t at = made.add(*by, parents, ext);
        ++seqs[by->key()];
        known.push_back(apply(before, g, made.header(at)));
    }
    return made;
}

/// A replica that gets `history` in the order of `seed`, in chunks, some of it twice, with flushes
/// and restarts between.
struct receiver {
    std::unique_ptr<memory_kv> db = make_memory_kv();
    std::unique_ptr<commit_store> store = std::make_unique<commit_store>(*db);
    crdt_handle handle = store->add(the_genesis, "tweets");

    void receive(const forge& history, std::uint64_t seed) {
        random_source random(seed);
        store->flush();
        std::vector<commit> chunk;
        for (const std::size_t place : history.delivery(random)) {
            chunk.push_back(history.at(place));
            if (below(random, 4) == 0) chunk.push_back(history.at(place));
            if (below(random, 5) != 0) continue;
            deliver(std::move(chunk));
            chunk.clear();
            if (below(random, 3) == 0) store->flush();
            if (below(random, 8) == 0) restart();
        }
        deliver(std::move(chunk));
        if (below(random, 2) == 0) restart();
    }

    void deliver(std::vector<commit> chunk) {
        const std::size_t sent = chunk.size();
        const ingest_report report = store->ingest(handle, std::move(chunk));
        CHECK(report.added + report.known == sent);
    }

    void restart() {
        store->flush();
        store = std::make_unique<commit_store>(*db);
        handle = *store->find_name("tweets");
    }
};

/// Which commits count and which are heads, from the definition.
struct brute {
    std::set<commit_id> counted;
    std::vector<commit_id> heads;

    explicit brute(const forge& history) {
        const genesis g = genesis_of(ann);
        authority everyone(g);
        std::vector<authority> known;
        for (std::size_t i = 0; i < history.size(); ++i) {
            authority before(g);
            for (const std::size_t p : history.parents(i)) before = join(g, before, known[p]);
            known.push_back(apply(before, g, history.header(i)));
            everyone = join(g, everyone, known.back());
        }
        std::vector<bool> counts(history.size()), beneath(history.size());
        for (std::size_t i = history.size(); i-- > 0;) {
            const commit_header& h = history.header(i);
            counts[i] = beneath[i] || everyone.may_write(h.author, h.seq);
            if (!counts[i]) continue;
            counted.insert(history.id(i));
            if (!beneath[i]) heads.push_back(history.id(i));
            for (const std::size_t parent : history.parents(i)) beneath[parent] = true;
        }
        std::sort(heads.begin(), heads.end());
    }
};

}  // namespace

TEST_CASE("commit_store: same commits, same heads and linear log, however they came (random)",
          "[store]") {
    int single = 0, dropped = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        forge history = random_history(random, 4 + below(random, 20), seed % 2 == 1);
        const brute expected(history);
        if (seed % 3 == 0) {
            std::vector<std::size_t> heads;
            for (std::size_t i = 0; i < history.size(); ++i)
                if (std::binary_search(expected.heads.begin(), expected.heads.end(), history.id(i)))
                    heads.push_back(i);
            history.add(ann, heads);
        }
        const brute now(history);
        receiver first, second;
        first.receive(history, seed * 2);
        second.receive(history, seed * 2 + 1);
        const outside a = view_of(*first.store, first.handle),
                      b = view_of(*second.store, second.handle);
        CHECK(a.heads == now.heads);
        CHECK(a.heads == b.heads);
        CHECK(a.tips == b.tips);
        CHECK(a.commits == b.commits);
        for (const auto& [id, counts] : a.commits) {
            CHECK(counts == now.counted.contains(id));
            dropped += counts ? 0 : 1;
        }
        if (a.heads.size() == 1) {
            CHECK(a.linear == b.linear);
            ++single;
        }
        CHECK(problems(*first.store, first.handle) == std::vector<std::string>());
        CHECK(problems(*second.store, second.handle) == std::vector<std::string>());
    }
    CHECK(single > 10);
    CHECK(dropped > 10);
}

TEST_CASE("commit_store: owners who revoke each other: the same heads, however it came (random)",
          "[store]") {
    int dropped = 0, owners_revoked = 0;
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        const forge history = random_quarrel(random, 6 + below(random, 24));
        const brute expected(history);
        receiver first, second;
        first.receive(history, seed * 2);
        second.receive(history, seed * 2 + 1);
        const outside a = view_of(*first.store, first.handle),
                      b = view_of(*second.store, second.handle);
        CHECK(a.heads == expected.heads);
        CHECK(b.heads == expected.heads);
        CHECK(a.tips == b.tips);
        CHECK(a.commits == b.commits);
        for (const auto& [id, counts] : a.commits) {
            CHECK(counts == expected.counted.contains(id));
            dropped += counts ? 0 : 1;
        }
        if (a.heads.size() == 1) CHECK(a.linear == b.linear);
        const auto everyone = first.store->authority_of(first.handle);
        CHECK(*everyone == *second.store->authority_of(second.handle));
        for (const auto& [key, m] : everyone->members())
            owners_revoked += m.granted == right::owner && m.last_seq ? 1 : 0;
        CHECK(problems(*first.store, first.handle) == std::vector<std::string>());
        CHECK(problems(*second.store, second.handle) == std::vector<std::string>());
    }
    CHECK(dropped > 100);
    CHECK(owners_revoked > 50);
}

TEST_CASE("commit_store: what did not count counts again when a senior proves its revocation void",
          "[store]") {
    forge f(id_of_genesis(the_genesis.record));
    const auto root = f.add(ann, {}, grant_ext(bob.key(), "bob", right::owner));
    const auto by_bob = f.add(bob, {root}, revocation_ext(ann.key(), 1));
    const auto by_ann = f.add(ann, {root});
    const auto answer = f.add(ann, {by_ann}, revocation_ext(bob.key(), 0));
    receiver r;
    r.deliver({f.at(root), f.at(by_bob), f.at(by_ann)});
    CHECK(r.store->state(r.handle).heads == std::vector{f.id(by_bob)});
    CHECK_FALSE(r.store->entry(r.handle, 3).linearized);
    r.deliver({f.at(answer)});
    CHECK(r.store->state(r.handle).heads == std::vector{f.id(answer)});
    CHECK(r.store->state(r.handle).current == f.id(answer));
    CHECK(r.store->entry(r.handle, 3).linearized);
    CHECK_FALSE(r.store->entry(r.handle, 2).linearized);
    CHECK(r.store->tip_ids(r.handle).size() == 2);
    CHECK(problems(*r.store, r.handle).empty());
}

TEST_CASE("commit_store: the linear log is that of the model (random merges)", "[store]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        INFO("seed " << seed);
        random_source random(seed);
        genesis open = genesis_of(ann);
        open.open_write = true;
        const signed_genesis g = sign(open, ann);
        cdvcs model = cdvcs::create(g);
        model.transact(ann, small_ops(0), 0);
        cdvcs other = model;
        auto db = make_memory_kv();
        commit_store store(*db);
        const crdt_handle h = store.add(g, "tweets");
        for (int step = 0; step < 30; ++step) {
            if (below(random, 2) == 0) other.transact(bob, small_ops(step), step);
            if (below(random, 3) == 0) model.join(other);
            if (model.heads().size() < 2) {
                model.transact(ann, small_ops(step), step);
            } else if (below(random, 2) == 0) {
                auto order = model.head_ids();
                std::shuffle(order.begin(), order.end(), random);
                model.merge(ann, order, {}, step);
            }
            if (below(random, 3) == 0) other.join(model);
            for (const auto& e : model.entries()) {
                if (store.find(h, e.id)) continue;
                const identity& author = e.header.author == ann.key() ? ann : bob;
                const auto ops = split_body_copy(e.body);
                store.ingest(h, std::vector{make_commit(e.header, ops, author)});
            }
            if (store.state(h).current != model.current()) store.set_current(h, *model.current());
            std::vector<commit_id> linear;
            for (const auto& [id, mainline] : view_of(store, h).linear) linear.push_back(id);
            CHECK(linear == model.linear());
        }
        CHECK(problems(store, h) == std::vector<std::string>());
    }
}

TEST_CASE("commit_store: a collector's current head is not moved by a concurrent commit",
          "[store]") {
    world w;
    const commit_id root = w.append(0);
    w.grant(bob, "bob");
    forge concurrent(w.store.state(w.handle).id);
    const auto both = commits_of(w.store, w.handle);
    world other;
    other.store.ingest(other.handle, both);
    const commit_id ours = w.append(1);
    const commit_id theirs = other.append_as(bob, 2);
    w.store.ingest(w.handle, commits_of(other.store, other.handle));
    CHECK(w.store.state(w.handle).heads.size() == 2);
    CHECK(w.store.state(w.handle).current == ours);
    CHECK(w.store.state(w.handle).linear_length == 3);
    const commit_id next = w.append(3);
    CHECK(decode_header(w.store.entry(w.handle, *w.store.find(w.handle, next)).header).parents ==
          std::vector{ours});

    w.store.set_current(w.handle, theirs);
    CHECK(w.store.state(w.handle).linear_length == 3);
    CHECK(w.store.entry(w.handle, w.store.linear_at(w.handle, 2).number).id == theirs);
    CHECK(code_of([&] { w.store.set_current(w.handle, root); }) == errc::misuse);
    CHECK(code_of([&] { w.store.set_current(w.handle, commit_id{}); }) == errc::not_found);

    const commit_id merged = w.append(4, std::vector{next, theirs});
    CHECK(w.store.state(w.handle).heads == std::vector{merged});
    CHECK(w.store.state(w.handle).linear_length == 6);
    CHECK(problems(w.store, w.handle).empty());
}

TEST_CASE("commit_store: a revoked author's concurrent commit counts only beneath another's",
          "[store]") {
    forge f(id_of_genesis(the_genesis.record));
    const auto root = f.add(ann, {}, grant_ext(eve.key(), "eve"));
    const auto early = f.add(eve, {root});
    const auto late = f.add(eve, {early});
    const auto revoked = f.add(ann, {early}, revocation_ext(eve.key(), 1));
    receiver r;
    r.deliver({f.at(root), f.at(early), f.at(late)});
    CHECK(r.store->state(r.handle).current == f.id(late));
    r.deliver({f.at(revoked)});
    CHECK(r.store->state(r.handle).heads == std::vector{f.id(revoked)});
    CHECK(r.store->state(r.handle).current == f.id(revoked));
    CHECK(r.store->state(r.handle).linear_length == 3);
    CHECK_FALSE(r.store->entry(r.handle, 3).linearized);
    CHECK(r.store->tip_nodes(r.handle) == std::vector<node>{3, 4});
    CHECK(problems(*r.store, r.handle).empty());
    CHECK(code_of([&] { r.store->append(r.handle, eve, {}, 0, std::vector{f.id(late)}); }) ==
          errc::unauthorized);

    const auto blessed = f.add(ann, {revoked, late});
    r.deliver({f.at(blessed)});
    CHECK(r.store->entry(r.handle, 3).linearized);
    CHECK(r.store->state(r.handle).heads == std::vector{f.id(blessed)});
    CHECK(r.store->tip_nodes(r.handle) == std::vector<node>{5});
    CHECK(r.store->state(r.handle).linear_length == 5);
    CHECK(problems(*r.store, r.handle).empty());
}

TEST_CASE("commit_store: a fork has the original's past, a pull takes more of it", "[store]") {
    world original;
    original.append(1);
    const commit_id tip = original.append(2);
    const signed_genesis g = sign(genesis_of(bob, "mine"), bob);
    const crdt_handle mine = original.store.add(g, "mine");
    original.store.ingest(mine, commits_of(original.store, original.handle));
    CHECK(original.store.state(mine).heads.empty());
    CHECK_FALSE(original.store.state(mine).current);
    CHECK(code_of([&] { original.store.append(mine, original.ann, {}, 0); }) == errc::unauthorized);
    const commit_id first = original.store.append(mine, bob, small_ops(3), 3, std::vector{tip});
    CHECK(original.store.state(mine).heads == std::vector{first});
    CHECK(original.store.state(mine).linear_length == 3);

    const commit_id newer = original.append(4);
    original.store.ingest(mine, commits_of(original.store, original.handle));
    CHECK(original.store.state(mine).heads == std::vector{first});
    const commit_id pulled = original.store.append(mine, bob, {}, 5, std::vector{first, newer});
    CHECK(original.store.state(mine).heads == std::vector{pulled});
    CHECK(original.store.state(mine).linear_length == 5);
    CHECK(problems(original.store, mine) == std::vector<std::string>());

    // And back: what was built on a fork comes home as an ancestor.
    original.store.ingest(original.handle, commits_of(original.store, mine));
    CHECK(original.store.state(original.handle).heads == std::vector{newer});
    const commit_id home = original.append(6, std::vector{pulled});
    CHECK(original.store.state(original.handle).heads == std::vector{home});
    CHECK(problems(original.store, original.handle) == std::vector<std::string>());
}

TEST_CASE("commit_store: two commits with one seq are both kept and reported", "[store]") {
    const crdt_id id = id_of_genesis(the_genesis.record);
    forge f(id), twin(id);
    f.add(ann, {});
    twin.add(ann, {});
    const auto one = f.add(ann, {0});
    const auto two = twin.add(ann, {0}, make_map({{1, "another"}}));
    receiver r;
    r.deliver(f.all());
    CHECK(r.store->equivocations(r.handle).empty());
    r.deliver({twin.at(two)});
    CHECK(r.store->equivocations(r.handle) == std::vector{std::pair(f.id(one), twin.id(two))});
    r.restart();
    CHECK(r.store->equivocations(r.handle).size() == 1);
    CHECK(r.store->state(r.handle).heads.size() == 2);
    CHECK(problems(*r.store, r.handle).empty());
}

TEST_CASE("commit_store: from a peer, commits of another CRDT need one of ours above them",
          "[store]") {
    world original;
    original.append(1);
    const commit_id tip = original.append(2);
    const signed_genesis g = sign(genesis_of(bob, "mine"), bob);
    const crdt_handle mine = original.store.add(g, "mine");
    original.store.ingest(mine, commits_of(original.store, original.handle));
    original.store.append(mine, bob, small_ops(3), 3, std::vector{tip});
    const std::vector<commit> whole = commits_of(original.store, mine);

    world other;
    const crdt_handle there = other.store.add(g, "mine");
    const std::vector<commit> foreign_only(whole.begin(), whole.end() - 1);
    CHECK(code_of([&] { other.store.ingest(there, foreign_only, chunk_from::peer); }) ==
          errc::unauthorized);
    CHECK(other.store.state(there).end.seq == 0);
    CHECK(other.store.ingest(there, whole, chunk_from::peer).added == whole.size());
    CHECK(other.store.state(there).linear_length == 3);
}
