#include "tributary/crdt/commit.hpp"

#include "tributary/crdt/packed.hpp"

#include <catch2/catch.hpp>

#include "crdt/fixture.hpp"
#include "crdt/support.hpp"
#include <limits>

using namespace tributary;
using namespace tributary::test;

namespace {

commit_header full_header() {
    commit_header h;
    h.crdt = id_of_genesis(encode(genesis_of(person(1))));
    h.author = person(1).key();
    h.seq = 300;
    h.prev = commit_id::from_bytes(bytes(32, 'p'));
    h.parents = {commit_id::from_bytes(bytes(32, 'q')), commit_id::from_bytes(bytes(32, 'a'))};
    h.gen = 70000;
    h.time_ms = 1735689600123;
    h.ext = grant_ext(person(2).key(), "ann");
    return h;
}

std::vector<bytes> three_ops() {
    return {encode(op{symbol{"add-tweet"},
                      make_map({{"id", 839911263463325696}, {"text", "h\u00e9llo"}})}),
            encode(op{symbol{"like"}, vector{1, 2.5, nullptr}}),
            encode(op{symbol{"noop"}, value()})};
}

/// `header` with one field of its array replaced.
bytes changed(const bytes& header, std::size_t field, value v) {
    value record = decode(header);
    record.as<vector>().at(field) = std::move(v);
    return encode(record);
}

}  // namespace

TEST_CASE("commit: bytes, id and signature are as promised", "[crdt]") {
    const commit made = make_commit(full_header(), three_ops(), person(1));
    CHECK_FIXTURE("op_1.hex", three_ops()[0]);
    CHECK_FIXTURE("body_1.hex", made.body);
    CHECK_FIXTURE("commit_1_header.hex", made.header);
    CHECK_FIXTURE("commit_1_id.hex", id_of_header(made.header).view());
    CHECK_FIXTURE("commit_1_signature.hex", made.sig->view());

    commit_header root;
    root.crdt = full_header().crdt;
    root.author = person(1).key();
    const commit first = make_commit(root, {}, person(1));
    CHECK_FIXTURE("commit_root_header.hex", first.header);
    CHECK_FIXTURE("commit_root_id.hex", id_of_header(first.header).view());
}

TEST_CASE("commit: a header is read back as it was written", "[crdt]") {
    const commit made = make_commit(full_header(), three_ops(), person(1));
    const commit_header h = decode_header(made.header);
    CHECK(h.crdt == full_header().crdt);
    CHECK(h.author == person(1).key());
    CHECK(h.seq == 300);
    CHECK(h.prev == full_header().prev);
    CHECK(h.parents == full_header().parents);
    CHECK(h.gen == 70000);
    CHECK(h.time_ms == 1735689600123);
    CHECK(h.op_count == 3);
    CHECK(h.body_size == made.body.size());
    CHECK(h.ext == full_header().ext);
    CHECK(encode(h) == made.header);
    CHECK(verify(h.author, id_of_header(made.header), *made.sig));
}

TEST_CASE("commit: the header's codec is that of values", "[crdt]") {
    // Two ways to the same bytes: the fast one of headers and the general one.
    commit_header h = full_header();
    for (const std::int64_t time : {std::int64_t{0},
                                    std::int64_t{-1},
                                    std::int64_t{-33},
                                    std::int64_t{-129},
                                    std::int64_t{-40000},
                                    std::int64_t{127},
                                    std::int64_t{128},
                                    std::int64_t{255},
                                    std::int64_t{256},
                                    std::int64_t{65536},
                                    std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max()}) {
        h.time_ms = time;
        const bytes header = encode(h);
        CHECK(encode(decode(header)) == header);
        CHECK(decode_header(header).time_ms == time);
    }
}

TEST_CASE("commit: faulty headers are refused", "[crdt]") {
    const bytes good = make_commit(full_header(), three_ops(), person(1)).header;
    const auto refusal = [](const bytes& header) {
        return code_of([&] { decode_header(header); });
    };
    CHECK(refusal(good) == errc{});
    CHECK(refusal(changed(good, 0, 2)) == errc::newer_version);
    CHECK(refusal(changed(good, 0, 0)) == errc::bad_input);
    CHECK(refusal(changed(good, 1, blob{"short"})) == errc::bad_input);
    CHECK(refusal(changed(good, 3, 0)) == errc::bad_input);
    CHECK(refusal(changed(good, 3, 1)) == errc::bad_input);         // with a prev
    CHECK(refusal(changed(good, 4, value())) == errc::bad_input);   // seq 300 without one
    CHECK(refusal(changed(good, 6, 1)) == errc::bad_input);         // with parents
    CHECK(refusal(changed(good, 5, vector{})) == errc::bad_input);  // gen 70000 without
    CHECK(refusal(changed(good, 6, -1)) == errc::bad_input);
    CHECK(refusal(changed(good, 7, "now")) == errc::bad_input);
    CHECK(refusal(changed(good, 8, 1)) == errc::newer_version);
    CHECK(refusal(changed(good, 9, 65537)) == errc::limit);
    CHECK(refusal(changed(good, 10, (16 << 20) + 1)) == errc::limit);
    CHECK(refusal(changed(good, 12, make_map({{3, "odd"}}))) == errc{});
    CHECK(refusal(changed(good, 12, make_map({{6, "even"}}))) == errc::newer_version);
    CHECK(refusal(changed(good, 12, make_map({{"name", 1}}))) == errc::bad_input);
    CHECK(refusal(changed(good, 12, 5)) == errc::bad_input);
    vector twice{blob{bytes(32, 'a')}, blob{bytes(32, 'a')}};
    CHECK(refusal(changed(good, 5, twice)) == errc::bad_input);
    vector many;
    for (int i = 0; i < 65; ++i) many.emplace_back(blob{bytes(32, static_cast<char>(i))});
    CHECK(refusal(changed(good, 5, many)) == errc::limit);
    CHECK(refusal(good + "x") == errc::bad_input);
    CHECK(refusal(bytes(70000, 'x')) == errc::limit);
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK(refusal(good.substr(0, size)) == errc::bad_input);
}

TEST_CASE("commit: any flipped bit of a header makes another commit or none", "[crdt]") {
    const bytes good = make_commit(full_header(), three_ops(), person(1)).header;
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        bytes bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        commit_header read;
        if (code_of([&] { read = decode_header(bad); }) != errc{}) continue;
        CHECK(encode(read) == bad);
        CHECK(id_of_header(bad) != id_of_header(good));
    }
}

TEST_CASE("commit: a body is split into the ops it was made of", "[crdt]") {
    const auto ops = three_ops();
    const bytes body = make_body(ops);
    const auto views = split_body(body);
    CHECK(std::vector<bytes>(views.begin(), views.end()) == ops);
    CHECK(make_body({}).size() == 1);
    CHECK(split_body(make_body({})).empty());

    vector as_values;
    for (const bytes& o : ops) as_values.emplace_back(blob{o});
    CHECK(encode(value(as_values)) == body);

    for (const std::size_t size : {std::size_t{0},
                                   std::size_t{255},
                                   std::size_t{256},
                                   std::size_t{65535},
                                   std::size_t{65536}}) {
        const std::vector<bytes> one{bytes(size, 'o')};
        const bytes around = make_body(one);
        CHECK(split_body(around) == std::vector<bytes_view>{one[0]});
        CHECK(encode(decode(around)) == around);
    }
}

TEST_CASE("commit: a body must be what the header says", "[crdt]") {
    const auto ops = three_ops();
    const commit made = make_commit(full_header(), ops, person(1));
    const commit_header h = decode_header(made.header);
    const auto refusal = [&](const bytes& body) { return code_of([&] { verify_body(h, body); }); };
    CHECK(refusal(made.body) == errc{});
    CHECK(refusal("") == errc::bad_input);
    CHECK(refusal(made.body + "x") == errc::bad_input);
    bytes flipped = made.body;
    flipped[20] = static_cast<char>(flipped[20] ^ 1);
    CHECK(refusal(flipped) == errc::bad_input);
    const std::vector<bytes> swapped{ops[1], ops[0], ops[2]};
    CHECK(refusal(make_body(swapped)) == errc::bad_input);
    const std::vector<bytes> fewer{ops[0], ops[1]};
    CHECK(refusal(make_body(fewer)) == errc::bad_input);
}

TEST_CASE("commit: lengths that a body only claims cost nothing", "[crdt]") {
    CHECK(code_of([] { split_body(from_hex("ddffffffff")); }) == errc::limit);
    CHECK(code_of([] { split_body(from_hex("dcffff")); }) == errc::bad_input);
    CHECK(code_of([] { split_body(from_hex("91c6ffffffff")); }) == errc::bad_input);
    CHECK(code_of([] { split_body(from_hex("91c50001ff")); }) == errc::bad_input);
    CHECK(code_of([] { split_body(from_hex("91a161")); }) == errc::bad_input);
}

TEST_CASE("commit: more ops or bytes than allowed are refused before anything is made", "[crdt]") {
    const std::vector<bytes> many(ops_max + 1);
    CHECK(code_of([&] { make_body(many); }) == errc::limit);
    const std::vector<bytes> large{bytes(body_bytes_max, 'x')};
    CHECK(code_of([&] { make_body(large); }) == errc::limit);
    CHECK(make_body(std::vector<bytes>(ops_max)).size() > ops_max);
    commit_header h = full_header();
    h.ext = make_map({{3, std::string(header_bytes_max, 'x')}});
    CHECK(code_of([&] { make_commit(h, {}, person(1)); }) == errc::limit);
    CHECK(code_of([&] { make_commit(full_header(), {}, person(2)); }) == errc::misuse);
}

TEST_CASE("op: read back as written, and refused when it is no [name params]", "[crdt]") {
    const op back = decode_op(three_ops()[1]);
    CHECK(back.name == symbol{"like"});
    CHECK(back.params == value(vector{1, 2.5, nullptr}));
    const auto refusal = [](const value& v) { return code_of([&] { decode_op(encode(v)); }); };
    CHECK(refusal(vector{symbol{"a"}}) == errc::bad_input);
    CHECK(refusal(vector{"a", 1}) == errc::bad_input);
    CHECK(refusal(vector{symbol{"a"}, 1, 2}) == errc::bad_input);
    CHECK(refusal(7) == errc::bad_input);
}
