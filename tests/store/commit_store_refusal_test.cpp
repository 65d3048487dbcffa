/// Whatever is wrong with what a peer sends: the right code, and nothing has changed.

#include <catch2/catch.hpp>

#include "store/forge.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

const identity ann = person(1), bob = person(2), eve = person(3);

/// A store with a root (that grants bob) and one commit of bob's, and a forge that has made the
/// same.
struct scene : world {
    forge f{id_of_genesis(genesis.record)};

    scene() {
        f.add(ann, {}, grant_ext(bob.key(), "bob"));
        f.add(bob, {0});
        store.ingest(handle, f.all());
        store.flush();
    }

    /// The code `chunk` is refused with; checks that the replica is as it was.
    errc refusal(std::vector<commit> chunk) {
        const outside before = view_of(store, handle);
        const errc code = code_of([&] { store.ingest(handle, chunk); });
        CHECK(view_of(store, handle) == before);
        CHECK_FALSE(store.dirty());
        CHECK(problems(store, handle).empty());
        return code;
    }

    /// The refusal of bob's next commit with its header changed.
    errc refusal_of(const std::function<void(commit_header&)>& change) {
        const auto bad = f.add(bob, {1}, make_map({}), change);
        return refusal({f.at(bad)});
    }
};

bytes flipped(bytes data, std::size_t at) {
    data[at] = static_cast<char>(data[at] ^ 1);
    return data;
}

}  // namespace

TEST_CASE("ingest: what is right is taken", "[store]") {
    scene s;
    const auto good = s.f.add(bob, {1});
    CHECK(s.store.ingest(s.handle, std::vector{s.f.at(good)}).added == 1);
    CHECK(s.store.ingest(s.handle, std::vector{s.f.at(good)}).known == 1);
    CHECK(s.store.state(s.handle).end.seq == 3);
}

TEST_CASE("ingest: a faulty header is refused", "[store]") {
    scene s;
    CHECK(s.refusal_of([](commit_header& h) { h.seq = 7; }) == errc::bad_input);
}

TEST_CASE("ingest: a wrong gen is refused", "[store]") {
    CHECK(scene().refusal_of([](commit_header& h) { h.gen = 9; }) == errc::bad_input);
}

TEST_CASE("ingest: a prev that is another author's is refused", "[store]") {
    scene s;
    CHECK(s.refusal_of([&](commit_header& h) { h.prev = s.f.id(0); }) == errc::bad_input);
}

TEST_CASE("ingest: a missing prev or parent is asked for", "[store]") {
    const commit_id unknown = commit_id::from_bytes(bytes(32, 'u'));
    CHECK(scene().refusal_of([&](commit_header& h) { h.prev = unknown; }) == errc::not_found);
    CHECK(scene().refusal_of([&](commit_header& h) { h.parents = {unknown}; }) == errc::not_found);
    scene s;
    const auto middle = s.f.add(bob, {1});
    const auto last = s.f.add(bob, {middle});
    CHECK(s.refusal({s.f.at(last)}) == errc::not_found);
    CHECK(s.refusal({s.f.at(last), s.f.at(middle)}) == errc::not_found);
}

TEST_CASE("ingest: a key without a grant is refused", "[store]") {
    scene s;
    const auto bad = s.f.add(eve, {1});
    CHECK(s.refusal({s.f.at(bad)}) == errc::unauthorized);
}

TEST_CASE("ingest: a grant that is no ancestor does not help", "[store]") {
    scene s;
    const auto granted = s.f.add(ann, {1}, grant_ext(eve.key(), "eve"));
    const auto beside = s.f.add(eve, {1});
    CHECK(s.refusal({s.f.at(granted), s.f.at(beside)}) == errc::unauthorized);
}

TEST_CASE("ingest: an author revoked in the past of a commit is refused", "[store]") {
    scene s;
    const auto revoked = s.f.add(ann, {1}, revocation_ext(bob.key(), 1));
    const auto bad = s.f.add(bob, {revoked});
    CHECK(s.refusal({s.f.at(revoked), s.f.at(bad)}) == errc::unauthorized);
}

TEST_CASE("ingest: a grant by one who is no owner is refused", "[store]") {
    scene s;
    const auto bad = s.f.add(bob, {1}, grant_ext(eve.key(), "eve"));
    CHECK(s.refusal({s.f.at(bad)}) == errc::unauthorized);
}

TEST_CASE("ingest: an extension of a newer version is refused, an ignorable one is taken",
          "[store]") {
    scene s;
    const auto ignorable = s.f.add(bob, {1}, make_map({{7, "for later"}}));
    CHECK(s.store.ingest(s.handle, std::vector{s.f.at(ignorable)}).added == 1);
    commit newer = s.f.at(ignorable);
    value header = decode(newer.header);
    header.as<vector>()[12] = make_map({{6, "needed"}});
    newer.header = encode(header);
    s.store.flush();
    CHECK(s.refusal({newer}) == errc::newer_version);
}

TEST_CASE("ingest: a changed header, body or signature is refused", "[store]") {
    scene s;
    const auto good = s.f.add(bob, {1});
    commit bad = s.f.at(good);
    SECTION("time in the header: the signature is of another commit") {
        value header = decode(bad.header);
        header.as<vector>()[7] = value(12345);
        bad.header = encode(header);
        CHECK(s.refusal({bad}) == errc::unauthorized);
    }
    SECTION("another CRDT: then it is signed for that one") {
        value header = decode(bad.header);
        header.as<vector>()[1] = blob{bytes(32, 'c')};
        bad.header = encode(header);
        CHECK(s.refusal({bad}) == errc::bad_input);
    }
    SECTION("body") {
        bad.body = flipped(bad.body, bad.body.size() - 1);
        CHECK(s.refusal({bad}) == errc::bad_input);
    }
    SECTION("no body") {
        bad.body.clear();
        CHECK(s.refusal({bad}) == errc::bad_input);
    }
    SECTION("signature") {
        bad.sig->raw[5] ^= 1;
        CHECK(s.refusal({bad}) == errc::unauthorized);
    }
    SECTION("no signature") {
        bad.sig.reset();
        CHECK(s.refusal({bad}) == errc::unauthorized);
    }
    SECTION("another's signature") {
        bad.sig = ann.sign("trib.commit.1", s.f.id(good).view());
        CHECK(s.refusal({bad}) == errc::unauthorized);
    }
    SECTION("not canonical") {
        bad.header.back() = static_cast<char>(0xc0);
        CHECK(s.refusal({bad}) == errc::bad_input);
    }
    SECTION("truncated") {
        bad.header.pop_back();
        CHECK(s.refusal({bad}) == errc::bad_input);
    }
    SECTION("oversized") {
        bad.header.resize(header_bytes_max + 1);
        CHECK(s.refusal({bad}) == errc::limit);
    }
}

TEST_CASE("ingest: one bad commit spoils the chunk, not the store", "[store]") {
    scene s;
    std::vector<commit> chunk;
    for (int i = 0; i < 5; ++i) chunk.push_back(s.f.at(s.f.add(bob, {s.f.size() - 1})));
    std::vector<commit> bad = chunk;
    bad[3].body = flipped(bad[3].body, 5);
    CHECK(s.refusal(bad) == errc::bad_input);
    CHECK(s.store.ingest(s.handle, chunk).added == 5);
}

TEST_CASE("ingest: an author's last signature vouches for those before it, and no other is kept",
          "[store]") {
    scene s;
    std::vector<commit> chunk;
    for (int i = 0; i < 4; ++i)
        chunk.push_back(s.f.at(s.f.add(i % 2 == 0 ? ann : bob, {s.f.size() - 1})));
    chunk[0].sig.reset();
    chunk[1].sig = signature{};  // wrong, but vouched for: never looked at and never stored
    CHECK(s.store.ingest(s.handle, chunk).added == 4);
    CHECK_FALSE(s.store.entry(s.handle, 3).sig);
    CHECK_FALSE(s.store.entry(s.handle, 4).sig);
    CHECK(s.store.entry(s.handle, 5).sig);
    CHECK(s.store.entry(s.handle, 6).sig);
    CHECK(problems(s.store, s.handle).empty());
}

TEST_CASE("ingest: each branch of an equivocation needs its own signature", "[store]") {
    scene s;
    forge twin = s.f;
    const auto one = s.f.add(bob, {1});
    const auto two = twin.add(bob, {1}, make_map({{1, "another"}}));
    commit unsigned_one = s.f.at(one);
    unsigned_one.sig.reset();
    CHECK(s.refusal({unsigned_one, twin.at(two)}) == errc::unauthorized);
    CHECK(s.store.ingest(s.handle, std::vector{s.f.at(one), twin.at(two)}).added == 2);
}

TEST_CASE("ingest: a chunk whose end is unsigned is refused", "[store]") {
    scene s;
    std::vector<commit> chunk;
    for (int i = 0; i < 3; ++i) chunk.push_back(s.f.at(s.f.add(bob, {s.f.size() - 1})));
    chunk.back().sig.reset();
    CHECK(s.refusal(chunk) == errc::unauthorized);
}

TEST_CASE("append: what is not allowed changes nothing", "[store]") {
    scene s;
    const auto refusal = [&](const std::function<void()>& action) {
        const outside before = view_of(s.store, s.handle);
        const errc code = code_of(action);
        CHECK(view_of(s.store, s.handle) == before);
        CHECK_FALSE(s.store.dirty());
        return code;
    };
    CHECK(refusal([&] { s.append_as(eve, 1); }) == errc::unauthorized);
    CHECK(refusal([&] { s.append(1, std::vector{commit_id{}}); }) == errc::not_found);
    CHECK(refusal([&] { s.append(1, std::vector{s.f.id(1), s.f.id(1)}); }) == errc::bad_input);
    CHECK(refusal([&] {
              s.store.append(s.handle, bob, {}, 0, std::nullopt, grant_ext(eve.key(), "eve"));
          }) == errc::unauthorized);
    const std::vector<bytes> many(ops_max + 1);
    CHECK(refusal([&] { s.store.append(s.handle, ann, many, 0); }) == errc::limit);
    CHECK(code_of([&] { s.store.append(99, ann, {}, 0); }) == errc::not_found);
}
