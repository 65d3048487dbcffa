#include "tributary/crdt/blob.hpp"

#include "tributary/crdt/commit.hpp"
#include "tributary/value/msgpack.hpp"

#include <catch2/catch.hpp>

using namespace tributary;

namespace {

blob_manifest manifest_of(bytes_view data, std::uint64_t chunk_bytes) {
    bytes hashes;
    for (std::uint64_t at = 0; at < data.size(); at += chunk_bytes)
        hashes += blob_manifest::hash_of_chunk(data.substr(at, chunk_bytes)).view();
    return {data.size(), chunk_bytes, hashes};
}

}  // namespace

TEST_CASE("blob: a manifest has the bytes that the formats promise", "[crdt]") {
    const blob_manifest m = manifest_of(bytes(1500, 'x'), 1024);
    CHECK(to_hex(m.encode().substr(0, 10)) == "9401cd05dccd0400c440");
    CHECK(m.id().hex() == "623f3b1194fc468abc3dedb0e8426a76ba0203ed0158a559d2d3e1d623fbf4d8");
    const blob_manifest back = blob_manifest::decode(m.encode());
    CHECK(back.id() == m.id());
    CHECK(back.count() == 2);
    CHECK(back.size_of(1) == 476);
    CHECK(back.is_chunk(1, bytes(476, 'x')));
    CHECK_FALSE(back.is_chunk(1, bytes(475, 'x')));
    CHECK_FALSE(back.is_chunk(0, bytes(1024, 'y')));
}

TEST_CASE("blob: the empty one has no chunks", "[crdt]") {
    const blob_manifest m = blob_manifest::decode(manifest_of("", 1024).encode());
    CHECK(m.count() == 0);
    CHECK(m.size() == 0);
}

TEST_CASE("blob: chunks grow with the blob, up to a TiB", "[crdt]") {
    CHECK(blob_manifest::chunk_bytes_for(0) == 256u << 10);
    CHECK(blob_manifest::chunk_bytes_for(16ull << 30) == 256u << 10);
    CHECK(blob_manifest::chunk_bytes_for((16ull << 30) + 1) == 512u << 10);
    CHECK(blob_manifest::chunk_bytes_for(1ull << 40) == 16u << 20);
    CHECK_THROWS_AS(blob_manifest::chunk_bytes_for((1ull << 40) + 1), error);
}

TEST_CASE("blob: a manifest that is not as it must be is refused", "[crdt]") {
    const bytes good = manifest_of(bytes(1500, 'x'), 1024).encode();
    for (std::size_t n = 0; n < good.size(); ++n)
        CHECK_THROWS_AS(blob_manifest::decode(good.substr(0, n)), error);
    CHECK_THROWS_AS(blob_manifest::decode(good + "x"), error);
    CHECK_THROWS_AS(blob_manifest(1500, 1024, bytes(32, 'h')), error);
    CHECK_THROWS_AS(blob_manifest(1500, 1000, bytes(64, 'h')), error);
    CHECK_THROWS_AS(blob_manifest(1500, 512, bytes(96, 'h')), error);
    CHECK_THROWS_AS(blob_manifest(~0ull >> 1, 16u << 20, ""), error);
}

TEST_CASE("blob: an op's strings name blobs, each once, and nothing else does", "[crdt]") {
    const blob_id a = manifest_of("a", 1024).id(), b = manifest_of("b", 1024).id();
    const value params = make_map({{keyword{"file"}, blob_address(a)},
                                   {"more", vector{blob_address(b), blob_address(a), 7}},
                                   {"text", "see " + blob_address(b)}});
    CHECK(blobs_in_op(encode(op{symbol{"add-file"}, params})) == std::vector{b, a});
    CHECK(blobs_in_op(encode(op{symbol{"add-file"}, value("see " + blob_address(b))})).empty());
    CHECK(blobs_in_op(bytes("\xd9\x46") + "blob:1").empty());
    CHECK(parse_blob_address(blob_address(a)) == a);
    CHECK_THROWS_AS(parse_blob_address("blob:1" + std::string(64, 'G')), error);
    CHECK_THROWS_AS(parse_blob_address("blob:2" + a.hex()), error);
}

TEST_CASE("blob: a header's list is read, and one that is none is empty", "[crdt]") {
    const std::vector<blob_ref> refs{{manifest_of("a", 1024).id(), 1},
                                     {manifest_of("b", 1024).id(), 1ull << 40}};
    CHECK(blobs_of_ext(blobs_ext(refs)) == refs);
    CHECK(blobs_of_ext(make_map({})).empty());
    for (const value& bad : {value(7),
                             value(vector{value(7)}),
                             value(vector{vector{blob{"short"}, 1}}),
                             value(vector{vector{blob{bytes(32, 'x')}, -1}}),
                             value(vector{vector{blob{bytes(32, 'x')}}})})
        CHECK(blobs_of_ext(make_map({{ext_blobs, bad}})).empty());
    CHECK_THROWS_AS(blobs_ext(std::vector<blob_ref>(blob_refs_max + 1)), error);
}
