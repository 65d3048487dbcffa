#include "tributary/crdt/sketch.hpp"

#include <catch2/catch.hpp>

#include "crdt/support.hpp"
#include <algorithm>
#include <set>

using namespace tributary;
using namespace tributary::test;
using sketch::cell;
using sketch::short_id;

namespace {

sketch::mapping mapping_of_test() { return sketch::mapping(crdt_id::from_bytes(bytes(32, 'c'))); }

std::vector<short_id> random_ids(random_source& random, std::size_t count) {
    std::set<short_id> ids;
    while (ids.size() < count) ids.insert(random());
    return {ids.begin(), ids.end()};
}

std::vector<cell> cells_of(const sketch::mapping& m,
                           const std::vector<short_id>& ids,
                           std::size_t count,
                           std::uint64_t first = 0) {
    std::vector<cell> cells(count);
    for (const short_id id : ids) sketch::add(m, id, cells, first);
    return cells;
}

std::vector<short_id> sorted(std::vector<short_id> ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
}

/// How many cells it takes, in steps of a quarter; the difference must be exactly found.
std::size_t cells_to_reconcile(random_source& random,
                               std::size_t shared,
                               std::size_t ours,
                               std::size_t theirs) {
    const sketch::mapping m = mapping_of_test();
    const auto all = random_ids(random, shared + ours + theirs);
    std::vector<short_id> a(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shared + ours));
    std::vector<short_id> b(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shared));
    b.insert(b.end(), all.begin() + static_cast<std::ptrdiff_t>(shared + ours), all.end());
    sketch::decoder d(m);
    for (std::size_t more = 1; !d.done(); more = std::max<std::size_t>(1, d.taken() / 16))
        d.take(cells_of(m, a, more, d.taken()), cells_of(m, b, more, d.taken()));
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(shared + ours);
    CHECK(sorted(d.only_ours()) ==
          std::vector<short_id>(middle - static_cast<std::ptrdiff_t>(ours), middle));
    CHECK(sorted(d.only_theirs()) == std::vector<short_id>(middle, all.end()));
    return d.taken();
}

}  // namespace

TEST_CASE("sketch: equal sets need one cell", "[crdt]") {
    random_source random(1);
    CHECK(cells_to_reconcile(random, 1000, 0, 0) == 1);
    CHECK(cells_to_reconcile(random, 0, 0, 0) == 1);
    CHECK(cells_to_reconcile(random, 1000, 1, 0) == 1);
}

TEST_CASE("sketch: cells in proportion to the difference tell it exactly", "[crdt]") {
    random_source random(GENERATE(range(1, 21)));
    const std::size_t ours = below(random, 200), theirs = below(random, 200);
    const std::size_t shared = below(random, 3000);
    CAPTURE(shared, ours, theirs);
    CHECK(cells_to_reconcile(random, shared, ours, theirs) <= 16 + 2 * (ours + theirs));
}

TEST_CASE("sketch: a thousand differences take 1.3 to 1.6 cells each", "[crdt]") {
    random_source random(7);
    const std::size_t cells = cells_to_reconcile(random, 500, 500, 500);
    CHECK(cells > 1250);
    CHECK(cells < 1600);
}

TEST_CASE("sketch: cells can be made in pieces, in any order", "[crdt]") {
    random_source random(3);
    const sketch::mapping m = mapping_of_test();
    auto ids = random_ids(random, 500);
    const auto whole = cells_of(m, ids, 300);
    std::shuffle(ids.begin(), ids.end(), random);
    auto pieces = cells_of(m, ids, 100);
    for (const cell& c : cells_of(m, ids, 200, 100)) pieces.push_back(c);
    CHECK(pieces == whole);
}

TEST_CASE("sketch: what is no sketch is refused or never done, and ends", "[crdt]") {
    random_source random(GENERATE(range(1, 200)));
    const sketch::mapping m = mapping_of_test();
    const auto ids = random_ids(random, 20);
    auto theirs = cells_of(m, random_ids(random, 20), 100);
    for (int changes = 0; changes < 10; ++changes) {
        cell& c = theirs[below(random, theirs.size())];
        const short_id id = ids[below(random, ids.size())];
        // Cells that look as if they held one id each
        if (below(random, 2) == 0)
            c = {id, m.check(id), below(random, 2) == 0 ? 1 : -1};
        else
            c.count += static_cast<std::int64_t>(below(random, 5)) - 2;
    }
    sketch::decoder d(m);
    try {
        d.take(cells_of(m, ids, 100), theirs);
        CHECK(d.only_ours().size() + d.only_theirs().size() <= 2000);
    } catch (const error& e) {
        CHECK(e.code() == errc::bad_input);
    }
}

TEST_CASE("sketch: places are those of the protocol", "[crdt]") {
    const sketch::mapping m = mapping_of_test();
    const short_id id = 0x0102030405060708;
    std::vector<std::uint64_t> places;
    for (auto p = sketch::mapping::places(m.check(id)); places.size() < 6; p.next())
        places.push_back(p.at());
    CHECK(m.check(id) == 0xd65689376ceab60e);
    CHECK(places == std::vector<std::uint64_t>{0, 1, 6, 19, 21, 60});
}
