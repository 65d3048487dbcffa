/// A partial replica is what a whole one is, without what is below its cut.

#include <catch2/catch.hpp>

#include "store/forge.hpp"
#include <set>

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2), eve = person(3);
const signed_genesis the_genesis = sign(genesis_of(ann), ann);

/// A history of three authors, the second and third of whom the first lets write; the third's
/// right ends somewhere.
forge random_history(random_source& random, std::size_t size) {
    forge made(id_of_genesis(the_genesis.record));
    made.add(ann, {}, grant_ext(bob.key(), "bob"));
    made.add(ann, {0}, grant_ext(eve.key(), "eve"));
    const std::size_t revoked_at = 2 + below(random, 2 * size);
    std::set<std::size_t> after;
    while (made.size() < size) {
        const std::size_t place = made.size();
        std::vector<std::size_t> parents;
        for (std::uint64_t wanted = 1 + below(random, 2); wanted > 0; --wanted) {
            const std::size_t parent = place - 1 - below(random, std::min<std::size_t>(place, 5));
            if (parent > 0 && std::find(parents.begin(), parents.end(), parent) == parents.end())
                parents.push_back(parent);
        }
        if (parents.empty()) parents.push_back(1);
        const bool knows = std::any_of(
            parents.begin(), parents.end(), [&](std::size_t p) { return after.contains(p); });
        const identity* people[] = {&ann, &bob, &eve};
        if (place == revoked_at)
            made.add(ann, parents, revocation_ext(eve.key(), below(random, 4)));
        else
            made.add(*people[below(random, knows ? 2 : 3)], parents);
        if (knows || place == revoked_at) after.insert(place);
    }
    return made;
}

/// A whole replica of a history, and a partial one cut from it.
struct pair_of_replicas {
    std::unique_ptr<memory_kv> db = make_memory_kv();
    commit_store whole{*db};
    crdt_handle from = whole.add(the_genesis, "tweets");
    std::unique_ptr<memory_kv> partial_db = make_memory_kv();
    std::unique_ptr<commit_store> partial = std::make_unique<commit_store>(*partial_db);
    crdt_handle to = 0;
    std::set<node> here;  ///< numbers at the whole one

    pair_of_replicas(const forge& history, node cut, const identity& who = bob) {
        whole.ingest(from, history.all());
        whole.flush();
        for (const node n : whole.above_cut(from, cut)) here.insert(n);
        for (node n = cut + 1; n <= history.size(); ++n) here.insert(n);
        to = partial->add_partial(the_genesis, "tweets", whole.cut_at(from, cut, who.key()));
    }

    /// What whoever sends a chunk says is below.
    std::vector<commit_id> below() const {
        std::vector<commit_id> ids;
        for (node n = 1; n <= whole.state(from).end.seq; ++n)
            if (!here.contains(n)) ids.push_back(whole.entry(from, n).id);
        return ids;
    }
    commit at(node n) const {
        const arrival_entry e = whole.entry(from, n);
        return {e.header, e.sig, whole.body(from, n)};
    }
    void fill() {
        std::vector<commit> chunk;
        for (const node n : here) chunk.push_back(at(n));
        partial->ingest(to, chunk, chunk_from::peer, below());
    }
    void restart() {
        partial->flush();
        partial = std::make_unique<commit_store>(*partial_db);
    }

    /// The linear log, from the definition: parents that are not here are left out.
    std::vector<commit_id> expected_order() const {
        std::vector<std::vector<node>> parents;
        for (node n = 1; n <= whole.state(from).end.seq; ++n) {
            auto all = whole.graph(from).parents(n);
            std::erase_if(all, [&](node p) { return !here.contains(p); });
            parents.push_back(std::move(all));
        }
        const listed_graph graph(std::move(parents));
        const auto current = partial->state(to).current;
        std::vector<commit_id> ids;
        if (!current) return ids;
        for (const node n :
             linear_extension(graph, *whole.find(from, *current), [](node) { return false; }))
            ids.push_back(whole.entry(from, n).id);
        return ids;
    }

    void require_alike() const {
        const outside all = view_of(whole, from), part = view_of(*partial, to);
        CHECK(problems(*partial, to) == std::vector<std::string>());
        CHECK(part.heads == all.heads);
        CHECK(part.tips == all.tips);
        CHECK(part.commits.size() == here.size());
        for (const auto& [id, counts] : part.commits) CHECK(counts == all.commits.at(id));
        std::vector<commit_id> order;
        for (const auto& [id, mainline] : part.linear) order.push_back(id);
        CHECK(order == expected_order());
        CHECK(partial->author_name(to, bob.key()) == whole.author_name(from, bob.key()));
    }
};

}  // namespace

TEST_CASE("partial: heads, what counts and the order are those of a whole replica (random)",
          "[store]") {
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        random_source random(seed);
        const forge history = random_history(random, 3 + below(random, 30));
        pair_of_replicas both(history, 1 + below(random, history.size() - 1));
        INFO("seed " << seed);
        both.fill();
        both.require_alike();
        both.restart();
        both.require_alike();
    }
}

TEST_CASE("partial: its author goes on from its last commit, which may be below", "[store]") {
    for (const bool below_the_cut : {true, false}) {
        forge history(id_of_genesis(the_genesis.record));
        history.add(ann, {}, grant_ext(bob.key(), "bob"));
        history.add(bob, {0});
        history.add(bob, {1});
        for (int i = 2; i < 6; ++i) history.add(ann, {history.size() - 1});
        if (!below_the_cut) history.add(bob, {history.size() - 1});
        pair_of_replicas both(history, 4);
        both.fill();
        const commit_id made = both.partial->append(both.to, bob, small_ops(1), 1);
        const arrival_entry e = both.partial->entry(both.to, *both.partial->find(both.to, made));
        CHECK(decode_header(e.header).seq == (below_the_cut ? 3 : 4));
        CHECK(problems(*both.partial, both.to).empty());
        both.whole.ingest(
            both.from,
            std::vector<commit>{{e.header, e.sig, both.partial->body(both.to, e.number)}},
            chunk_from::peer);
        CHECK(both.whole.equivocations(both.from).empty());
        CHECK(both.whole.state(both.from).heads == both.partial->state(both.to).heads);
    }
}

TEST_CASE("partial: what is below is known by id, skipped, and nothing else may be missing",
          "[store]") {
    forge history(id_of_genesis(the_genesis.record));
    history.add(ann, {});
    for (int i = 1; i < 8; ++i) history.add(ann, {history.size() - 1});
    pair_of_replicas both(history, 4);
    CHECK(both.partial->state(both.to).below == 4);
    CHECK_THROWS_AS(both.partial->append(both.to, ann, small_ops(1), 1), error);
    const std::vector<commit> first{both.at(5)};
    CHECK(code_of([&] { both.partial->ingest(both.to, first); }) == errc::not_found);
    both.fill();
    CHECK(both.partial->floor(both.to) == std::vector{history.id(3)});
    CHECK(both.partial->is_below(both.to, history.id(3)));
    CHECK_FALSE(both.partial->is_below(both.to, history.id(2)));

    const ingest_report again = both.partial->ingest(both.to, std::vector{both.at(4)});
    CHECK(again.known == 1);
    CHECK(again.added == 0);

    // An old branch that goes on: its parent is below, if the sender says so.
    const std::size_t late = history.add(bob, {1});
    forge open = history;
    const commit c = history.at(late);
    CHECK(code_of([&] { both.partial->ingest(both.to, std::vector{c}); }) == errc::not_found);
    CHECK(code_of([&] {
              both.partial->ingest(
                  both.to, std::vector{c}, chunk_from::peer, std::vector{history.id(1)});
          }) == errc::unauthorized);
    const commit by_owner = open.at(open.add(ann, {1}));
    both.partial->ingest(
        both.to, std::vector{by_owner}, chunk_from::peer, std::vector{history.id(1)});
    CHECK(both.partial->state(both.to).heads.size() == 2);
    both.restart();
    CHECK(both.partial->floor(both.to).size() == 2);
    CHECK(problems(*both.partial, both.to).empty());

    // A whole replica believes nobody who says so.
    const auto db = make_memory_kv();
    commit_store full(*db);
    const crdt_handle h = full.add(the_genesis, "tweets");
    CHECK(code_of([&] { full.ingest(h, first, chunk_from::peer, std::vector{history.id(3)}); }) ==
          errc::not_found);
}

TEST_CASE("partial: what is said of grants below is checked", "[store]") {
    forge history(id_of_genesis(the_genesis.record));
    history.add(ann, {}, grant_ext(bob.key(), "bob"));
    for (int i = 1; i < 5; ++i) history.add(bob, {history.size() - 1});
    const pair_of_replicas both(history, 3);
    const partial_cut cut = both.whole.cut_at(both.from, 3, bob.key());
    REQUIRE(cut.proofs.size() == 1);
    const auto refusal = [&](const partial_cut& c) {
        const auto db = make_memory_kv();
        commit_store store(*db);
        return code_of([&] { store.add_partial(the_genesis, "tweets", c); });
    };
    CHECK(refusal(cut) == errc{});
    SECTION("a signature is missing") {
        partial_cut bad = cut;
        bad.proofs[0].sig.reset();
        CHECK(refusal(bad) == errc::unauthorized);
    }
    SECTION("a grant by one who may not") {
        forge other(id_of_genesis(the_genesis.record));
        other.add(eve, {}, grant_ext(eve.key(), "eve"));
        partial_cut bad = cut;
        bad.proofs = {other.at(0)};
        CHECK(refusal(bad) == errc::unauthorized);
    }
    SECTION("of another CRDT") {
        forge other(id_of_genesis(sign(genesis_of(eve, "other"), eve).record));
        other.add(eve, {}, grant_ext(eve.key(), "eve"));
        partial_cut bad = cut;
        bad.proofs = {other.at(0)};
        CHECK(refusal(bad) == errc::bad_input);
    }
    SECTION("without the grant, its commits are refused") {
        const auto db = make_memory_kv();
        commit_store store(*db);
        partial_cut bad = cut;
        bad.proofs.clear();
        const crdt_handle h = store.add_partial(the_genesis, "tweets", bad);
        CHECK(code_of([&] {
                  store.ingest(
                      h, std::vector{both.at(4), both.at(5)}, chunk_from::peer, both.below());
              }) == errc::unauthorized);
    }
}

TEST_CASE("partial: a grant that only a later commit of its author vouches for", "[store]") {
    forge history(id_of_genesis(the_genesis.record));
    history.add(ann, {}, grant_ext(bob.key(), "bob"));
    for (int i = 1; i < 5; ++i) history.add(ann, {history.size() - 1});
    history.add(bob, {4});
    const auto db = make_memory_kv();
    commit_store whole(*db);
    const crdt_handle h = whole.add(the_genesis, "tweets");
    std::vector<commit> chunk = history.all();
    for (int i = 0; i < 4; ++i) chunk[i].sig.reset();
    whole.ingest(h, chunk);
    const partial_cut cut = whole.cut_at(h, 2, bob.key());
    CHECK(cut.proofs.size() == 5);  // up to the signed one, which is above the cut
    const auto other = make_memory_kv();
    commit_store partial(*other);
    const crdt_handle p = partial.add_partial(the_genesis, "tweets", cut);
    partial.ingest(p, std::span(chunk).subspan(2), chunk_from::peer, std::vector{history.id(1)});
    CHECK(partial.state(p).heads == whole.state(h).heads);
    CHECK(problems(partial, p).empty());
}

TEST_CASE("partial: the first entry of about a time is found by halving", "[store]") {
    forge history(id_of_genesis(the_genesis.record));
    history.add(ann, {});
    for (int i = 1; i < 20; ++i) history.add(ann, {history.size() - 1});
    const pair_of_replicas both(history, 4);
    CHECK(both.whole.first_since(both.from, 7) == 8);  // times of the forge are places
    CHECK(both.whole.first_since(both.from, -5) == 1);
    CHECK(both.whole.first_since(both.from, 1000) == 21);
}
