#include "tributary/crdt/genesis.hpp"

#include <catch2/catch.hpp>

#include "crdt/fixture.hpp"
#include "crdt/support.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

value record_of(const genesis& g) { return decode(encode(g)); }

}  // namespace

TEST_CASE("genesis: a record is read back as it was written", "[crdt]") {
    genesis g = genesis_of(person(1));
    g.owners.push_back(person(2).key());
    g.open_write = true;
    g.public_read = false;
    const genesis back = decode_genesis(encode(g));
    CHECK(back.type == "cdvcs");
    CHECK(back.name == "tweets");
    CHECK(back.owners == g.owners);
    CHECK(back.open_write);
    CHECK_FALSE(back.public_read);
    CHECK(back.nonce == g.nonce);
    CHECK(encode(back) == encode(g));
}

TEST_CASE("genesis: bytes and id are as promised", "[crdt]") {
    const signed_genesis made = sign(genesis_of(person(1)), person(1));
    CHECK_FIXTURE("genesis_1.hex", made.record);
    CHECK_FIXTURE("genesis_1_signature.hex", made.sig.view());
    CHECK_FIXTURE("genesis_1_id.hex", id_of_genesis(made.record).view());
}

TEST_CASE("genesis: only its first owner can sign it", "[crdt]") {
    genesis g = genesis_of(person(1));
    g.owners.push_back(person(2).key());
    CHECK(code_of([&] { sign(g, person(2)); }) == errc::misuse);
    signed_genesis made = sign(g, person(1));
    CHECK(verify(made).name == "tweets");
    made.sig.raw[0] ^= 1;
    CHECK(code_of([&] { verify(made); }) == errc::unauthorized);
}

TEST_CASE("genesis: faulty records are refused", "[crdt]") {
    const value good = record_of(genesis_of(person(1)));
    const auto changed = [&](std::size_t field, value v) {
        value record = good;
        record.as<vector>().at(field) = std::move(v);
        return encode(record);
    };
    const auto refusal = [](const bytes& record) {
        return code_of([&] { decode_genesis(record); });
    };
    CHECK(refusal(encode(good)) == errc{});
    CHECK(refusal(changed(0, 2)) == errc::newer_version);
    CHECK(refusal(changed(0, 0)) == errc::bad_input);
    CHECK(refusal(changed(1, 7)) == errc::bad_input);
    CHECK(refusal(changed(3, vector{})) == errc::bad_input);
    CHECK(refusal(changed(3, vector{blob{"short"}})) == errc::bad_input);
    CHECK(refusal(changed(3,
                          vector{good.as<vector>()[3].as<vector>()[0],
                                 good.as<vector>()[3].as<vector>()[0]})) == errc::bad_input);
    CHECK(refusal(changed(4, "sometimes")) == errc::bad_input);
    CHECK(refusal(changed(5, "open")) == errc::bad_input);
    CHECK(refusal(changed(6, make_map({}))) == errc::newer_version);
    CHECK(refusal(changed(7, blob{"short"})) == errc::bad_input);
    CHECK(refusal(encode(good) + "x") == errc::bad_input);
    CHECK(refusal("") == errc::bad_input);
    CHECK(refusal(encode(value(vector{}))) == errc::bad_input);
    CHECK(refusal(encode(value(vector{1}))) == errc::bad_input);
    CHECK(refusal(changed(2, std::string(70000, 'x'))) == errc::bad_input);
}

TEST_CASE("address: text and back", "[crdt]") {
    const crdt_id id = id_of_genesis(encode(genesis_of(person(1))));
    CHECK(address_of(id) == "trib:1" + id.hex());
    CHECK(parse_address(address_of(id)) == id);
    const auto refusal = [](const std::string& text) {
        return code_of([&] { parse_address(text); });
    };
    CHECK(refusal("trib:2" + id.hex()) == errc::newer_version);
    CHECK(refusal("trib:1" + id.hex().substr(1)) == errc::bad_input);
    CHECK(refusal("trib:1" + id.hex() + "0") == errc::bad_input);
    CHECK(refusal("trib:1" + std::string(64, 'g')) == errc::bad_input);
    CHECK(refusal("http://example.org") == errc::bad_input);
    CHECK(refusal("") == errc::bad_input);
    CHECK(refusal("trib:") == errc::bad_input);
}
