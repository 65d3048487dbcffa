/// Every decoder of bytes from a peer, a file, another process or a user. What decodes must encode
/// to what it was decoded from, where there is one encoding only.
#include "tributary/crdt/authority.hpp"
#include "tributary/crdt/packed.hpp"
#include "tributary/crdt/sketch.hpp"
#include "tributary/peer/message.hpp"
#include "tributary/peer/message_blobs.hpp"
#include "tributary/store/records.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/json.hpp"
#include "tributary/value/msgpack.hpp"

#include "fuzz/driver.hpp"
#include "sim/mutate.hpp"
#include <fstream>
#include <sstream>

using namespace tributary;
using fuzz::target;

namespace {

void same(const bytes& again, const bytes& input, const char* what) {
    if (again != input) fuzz::fail(std::string(what) + " is not encoded as it was");
}

// -- Samples --------------------------------------------------------------------------------------

identity author() { return identity::from_seed(bytes(32, 'a')); }

std::vector<bytes> message_samples() {
    std::vector<bytes> all;
    std::ifstream file(TRIBUTARY_FIXTURES "/peer_messages.txt");
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line);
        std::string name, hex;
        if (in >> name >> hex && name[0] != '#') all.push_back(from_hex(hex));
    }
    if (all.empty()) fuzz::fail("no messages in the fixtures");
    return all;
}

genesis sample_genesis() {
    genesis g;
    g.name = "tweets";
    g.owners = {author().key(), identity::from_seed(bytes(32, 'b')).key()};
    g.nonce = bytes(16, 'n');
    return g;
}

std::vector<commit> sample_commits() {
    commit_header h;
    h.crdt = id_of_genesis(encode(sample_genesis()));
    h.author = author().key();
    const std::vector<bytes> ops{encode(op{symbol{"add"}, make_map({{"text", "node"}})}),
                                 encode(op{symbol{"x/y"}, vector{1, 2.5, nullptr, "ü"}})};
    std::vector<commit> all{make_commit(h, ops, author())};
    h.seq = 2;
    h.prev = id_of_header(all[0].header);
    h.parents = {*h.prev};
    h.gen = 2;
    h.ext = grant_ext(identity::from_seed(bytes(32, 'c')).key(), "c");
    all.push_back(make_commit(h, {}, author()));
    h.ext = revocation_ext(identity::from_seed(bytes(32, 'c')).key(), 7);
    all.push_back(make_commit(h, ops, author()));
    return all;
}

std::vector<bytes> value_samples() {
    std::vector<bytes> all;
    for (const char* text :
         {"[1 -1 0 127 128 255 256 65536 -129 9223372036854775807 -9223372036854775808 1.5 ##NaN]",
          "{:a/b [x y/z (1 2) #{1 \"two\" :three} nil true false] \"key\" {1 2, 3 4}}",
          "[#uuid \"6f1c1c9e-4a0a-4b5e-8a39-0c4e7d5f0001\" #inst \"2020-01-01T00:00:00.000-00:00\" "
          "12345678901234567890N 0.10M #trib/bytes \"00ff\"]",
          "[[[[[[[[]]]]]]]]"})
        all.push_back(encode(edn::read(text)));
    return all;
}

std::vector<bytes> record_samples() {
    node_info info;
    info.number = 3;
    info.seq = 2;
    info.gen = 5;
    info.parents = {1, 2};
    const commit c = sample_commits().front();
    state_record state;
    state.genesis = sign(sample_genesis(), author());
    state.name = "tweets";
    state.commits = 300;
    return {encode_entry(info, {}, c.sig, c.header),
            encode_entry(info, {}, std::nullopt, c.header),
            encode(state),
            encode_nodes({1, 2, 70000})};
}

std::vector<bytes> commit_samples() {
    std::vector<bytes> all;
    for (const commit& c : sample_commits()) {
        all.push_back(c.header);
        all.push_back(c.body);
    }
    fact granted{author().key(), 1, 1, 1000, author().key(), right::owner, "root", 0};
    fact revoked{author().key(), 2, 2, 1000, author().key(), std::nullopt, "", 7};
    all.push_back(encode(authority(sample_genesis(), {granted, revoked})));
    all.push_back(encode(sample_genesis()));
    return all;
}

// -- What is done with an input -------------------------------------------------------------------

template <class F>
void attempt(const F& f) {
    try {
        f();
    } catch (const error&) {
    }
}

void take_message(const bytes& in) {
    if (wire::is_of_type(in, wire::message_type::chunk)) {
        std::vector<commit> commits;
        const wire::chunk_head head = wire::read_chunk(in, commits);
        wire::check_bodies(commits);
        for (const commit& c : commits) {
            attempt([&] { wire::prev_of_header(c.header); });
            attempt([&] { wire::crdt_of_header(c.header); });
        }
        wire::chunk_writer out;
        std::vector<std::pair<std::size_t, signature>> sigs;
        for (const commit& c : commits) {
            if (c.sig) sigs.emplace_back(out.count(), *c.sig);
            out.add(c.header, c.body);
        }
        return same(out.finish(head, sigs), in, "a chunk");
    }
    const auto is = [&](wire::message_type type) { return wire::is_of_type(in, type); };
    using wire::message_type;
    if (is(message_type::hello)) wire::read_hello(in);  // may have more fields than are known
    if (is(message_type::auth)) same(encode(wire::read_auth(in)), in, "auth");
    if (is(message_type::bye)) wire::read_bye(in);  // an unknown code reads as another
    if (is(message_type::ping)) wire::read_empty(in);
    if (is(message_type::list)) wire::read_empty(in);
    if (is(message_type::offers)) same(encode(wire::read_offers(in)), in, "offers");
    if (is(message_type::subscribe)) same(encode(wire::read_subscribe(in)), in, "subscribe");
    if (is(message_type::accept)) same(encode(wire::read_accept(in)), in, "accept");
    if (is(message_type::ack)) same(encode(wire::read_ack(in)), in, "ack");
    if (is(message_type::have)) same(encode(wire::read_have(in)), in, "have");
    if (is(message_type::cells)) same(encode(wire::read_cells(in)), in, "cells");
    if (is(message_type::more)) same(encode(wire::read_more(in)), in, "more");
    if (is(message_type::yours)) same(encode(wire::read_yours(in)), in, "yours");
    if (is(message_type::blob_ask)) same(encode(wire::read_blob_ask(in)), in, "blob-ask");
    if (is(message_type::blob_part)) same(encode(wire::read_blob_part(in)), in, "blob-part");
    if (is(message_type::blob_have)) same(encode(wire::read_blob_have(in)), in, "blob-have");
    if (is(message_type::blob_lack)) same(encode(wire::read_blob_lack(in)), in, "blob-lack");
    wire::type_of(in);
}

void take_commit(const bytes& in) {
    attempt([&] { same(encode(decode_header(in)), in, "a commit header"); });
    attempt([&] { wire::prev_of_header(in); });
    attempt([&] { wire::crdt_of_header(in); });
    attempt([&] {
        for (const bytes_view each : split_body(in)) attempt([&] { decode_op(each); });
    });
    attempt([&] { same(encode(decode_op(in)), in, "an op"); });
    attempt([&] { verify_body(decode_header(sample_commits().front().header), in); });
    attempt([&] { same(encode(decode_genesis(in)), in, "a genesis"); });
    attempt([&] { decode_authority(sample_genesis(), in); });
    attempt([&] { verify(signed_genesis{in, {}}); });
}

void take_record(const bytes& in) {
    attempt([&] {
        const entry_record e = parse_entry(3, in);
        same(encode_entry(e.info, e.digest, e.sig, e.header), in, "an entry");
    });
    attempt([&] { same(encode(parse_state(in)), in, "a state"); });
    attempt([&] { same(encode_nodes(parse_nodes(in)), in, "nodes"); });
}

/// The input is cells of both sides, in pieces.
void take_sketch(const bytes& in) {
    const sketch::mapping mapping(crdt_id::from_bytes(bytes(32, 'i')));
    sketch::decoder decoder(mapping);
    bytes_view rest = in;
    const auto number = [&] {
        bytes eight(rest.substr(0, 8));
        rest.remove_prefix(eight.size());
        eight.resize(8);
        return get_be64(eight);
    };
    while (!rest.empty() && !decoder.done()) {
        std::vector<sketch::cell> ours, theirs;
        for (std::size_t n = 1 + number() % 7; n > 0; --n) {
            ours.push_back({number(), number(), static_cast<std::int64_t>(number() % 5)});
            theirs.push_back({number(), number(), static_cast<std::int64_t>(number() % 5)});
        }
        decoder.take(ours, theirs);
        decoder.estimate();
    }
    if (decoder.only_ours().size() + decoder.only_theirs().size() > 4 * in.size() + 64)
        fuzz::fail("more found than there are cells for");
}

/// Cells of real sets, so that there is something to read off.
bytes sketch_sample(sim::random_source& random) {
    const sketch::mapping mapping(crdt_id::from_bytes(bytes(32, 'i')));
    std::vector<sketch::cell> ours(7 * 4), theirs(7 * 4);
    for (std::size_t n = random.below(12); n > 0; --n)
        sketch::add(mapping, random.next(), random.chance(50) ? std::span(ours) : theirs);
    bytes out;
    for (std::size_t piece = 0; piece < 4; ++piece) {
        put_be64(out, 6);
        for (std::size_t i = piece * 7; i < (piece + 1) * 7; ++i)
            for (const sketch::cell& c : {ours[i], theirs[i]}) {
                put_be64(out, c.ids);
                put_be64(out, c.checks);
                put_be64(out, static_cast<std::uint64_t>(c.count));
            }
    }
    return random.chance(70) ? sim::damage(random, out) : out;
}

void take_packed(const bytes& in) {
    packed::reader r(in, "an input");
    bytes again;
    while (!r.rest().empty()) {
        const bytes_view at = r.rest();
        const unsigned char first = static_cast<unsigned char>(at[0]);
        if (r.nil()) {
            packed::put_nil(again);
        } else if (first == 0xc4 || first == 0xc5 || first == 0xc6) {
            packed::put_bin(again, r.bin());
        } else if ((first & 0xf0) == 0x90 || first == 0xdc || first == 0xdd) {
            packed::put_array(again, r.array());
        } else {
            packed::put_int(again, r.integer());
        }
    }
    r.end();
    same(again, in, "what is packed");
}

void take_text(const bytes& in) {
    attempt([&] {
        const value v = edn::read(in);
        if (edn::read(edn::print(v)) != v) fuzz::fail("EDN is not read back as printed: " + in);
    });
    attempt([&] {
        const value v = json::read(in);
        if (json::read(json::print(v)) != v) fuzz::fail("JSON is not read back as printed: " + in);
    });
}

/// Samples changed as fields or as bytes, sometimes one after another.
std::function<bytes(sim::random_source&)> changed(const std::vector<bytes>& samples) {
    return [samples](sim::random_source& random) {
        bytes b = samples[random.below(samples.size())];
        for (std::size_t n = 1 + random.below(3); n > 0; --n)
            b = random.chance(60) ? sim::mutate_frame(random, b) : sim::damage(random, b);
        return b;
    };
}

target of_samples(std::string name, std::vector<bytes> samples, void (*take)(const bytes&)) {
    return {std::move(name), samples, changed(samples), take};
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<bytes> texts{
        "{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\", null, true], \"b\": 12345678901234567890}",
        "[0.1, 1e400, -0, 9223372036854775807, {\"\": {}}]",
        "{:a [1 -2.5e3 \"x\\n\\u00e9\" #{nil true} (a/b :c/d)] #inst \"2020-01-01\" 1N 0.10M}",
        "[#_ skipped \\a ##Inf #trib/bytes \"00ff\" ; words\n #:n{:a 1}]"};
    return fuzz::drive(
        argc,
        argv,
        {of_samples("msgpack",
                    value_samples(),
                    [](const bytes& in) { same(encode(decode(in)), in, "a value"); }),
         of_samples("text", texts, take_text),
         of_samples("message", message_samples(), take_message),
         of_samples("commit", commit_samples(), take_commit),
         of_samples("record", record_samples(), take_record),
         of_samples("packed", value_samples(), take_packed),
         {"sketch", {}, sketch_sample, take_sketch}});
}
