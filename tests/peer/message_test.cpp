#include "tributary/peer/message.hpp"

#include "tributary/peer/message_blobs.hpp"

#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"
#include <fstream>
#include <random>
#include <sstream>

using namespace tributary;
using namespace tributary::testing;

namespace {

template <class Id>
Id filled(char c) {
    return Id::from_bytes(bytes(32, c));
}

arrival_cursor cursor_of(std::uint64_t seq) {
    arrival_cursor c;
    c.seq = seq;
    c.digest.fill(0xcc);
    return c;
}

wire::holding some_holding() {
    wire::holding h;
    h.round = 1;
    h.cursor = cursor_of(300);
    h.ids = std::vector{filled<commit_id>('a'), filled<commit_id>('b')};
    h.heads_digest = filled<hash32>('d');
    h.count = 70000;
    h.window = 8u << 20;
    return h;
}

signature some_signature() { return signature::from_bytes(bytes(64, 's')); }

bytes plain_header() {
    commit_header h;
    h.author = filled<public_key>('k');
    h.seq = 2;
    h.prev = filled<commit_id>('p');
    h.parents = {filled<commit_id>('p'), filled<commit_id>('q')};
    h.gen = 300;
    h.time_ms = -1;
    return encode(h);
}

bytes plain_body() {
    const std::vector<bytes> ops{"one op", bytes(300, 'o')};
    return make_body(ops);
}

bytes some_chunk() {
    wire::chunk_writer w;
    w.add("header one", bytes(300, 'x'));
    w.add("header two", "");
    w.add(plain_header(), plain_body());
    return w.finish({1, 2, cursor_of(7), true}, {{1, some_signature()}});
}

wire::cut some_cut() {
    wire::cut m;
    m.sub = 1;
    m.where.at = cursor_of(300);
    m.where.below = 299;
    m.where.proofs = {{plain_header(), std::nullopt, {}}, {"header two", some_signature(), {}}};
    return m;
}

std::vector<std::pair<std::string, bytes>> all_messages() {
    wire::accept accept{1, true, std::nullopt, some_holding()};
    wire::accept with_genesis = accept;
    with_genesis.about = {{"record", some_signature()}, "tweets"};
    wire::holding little;
    return {
        {"hello",
         encode(wire::hello{
             1, 1, filled<public_key>('k'), filled<hash32>('n'), "tributary", 1, 1790000000000})},
        {"auth", encode(wire::auth{some_signature()})},
        {"bye", encode(wire::bye{errc::limit, "too much"})},
        {"ping", encode(wire::ping{})},
        {"list", encode(wire::list{})},
        {"offers", encode(wire::offers{{{"tweets", filled<crdt_id>('i'), "cdvcs", 1000, 2}}})},
        {"subscribe-id",
         encode(wire::subscribe{1, filled<crdt_id>('i'), true, false, true, some_holding()})},
        {"subscribe-name", encode(wire::subscribe{2, "tweets", false, true, false, little})},
        {"accept", encode(accept)},
        {"accept-genesis", encode(with_genesis)},
        {"chunk", some_chunk()},
        {"chunk-empty", wire::chunk_writer().finish({1, 0, std::nullopt, false}, {})},
        {"ack", encode(wire::ack{1, 2, 300, 70000})},
        {"have", encode(wire::have{1, some_holding(), {}})},
        {"have-but", encode(wire::have{1, some_holding(), {5, 0x0102030405060708}})},
        {"cells", encode(wire::cells{1, cursor_of(9), 192, {{1, 2, 300}, {0, 0, 0}}})},
        {"more", encode(wire::more{1, 216})},
        {"blob-ask", encode(wire::blob_ask{1, filled<blob_id>('b'), true, 300, 4})},
        {"blob-part", encode(wire::blob_part{1, filled<blob_id>('b'), 300, 70000, "data"})},
        {"blob-part-manifest",
         encode(wire::blob_part{1, filled<blob_id>('b'), std::nullopt, 0, "manifest"})},
        {"blob-have", encode(wire::blob_have{1, filled<blob_id>('b'), 301, true})},
        {"blob-lack", encode(wire::blob_lack{1, true, 2})},
        {"part", encode(wire::part{1, {history_part::measure::depth, 1000}})},
        {"until", encode(wire::until{1, {filled<commit_id>('a'), filled<commit_id>('b')}})},
        {"cut", encode(some_cut())},
        {"cut-floor", encode(wire::cut{1, {cursor_of(300), 299, {}}, {filled<commit_id>('f')}})},
        {"below", encode(wire::below{1, {filled<commit_id>('a'), filled<commit_id>('b')}})},
        {"refused", encode(wire::refused{1, errc::not_found, "no such"})},
        {"yours", encode(wire::yours{1, "header", some_signature()})},
    };
}

/// Reads a frame of any known type; false if it is of none. Throws what the reader throws.
bool read_any(bytes_view frame) {
    using t = wire::message_type;
    std::vector<commit> commits;
    switch (static_cast<t>(std::min<std::uint64_t>(wire::type_of(frame), 255))) {
        case t::hello:
            wire::read_hello(frame);
            break;
        case t::auth:
            wire::read_auth(frame);
            break;
        case t::bye:
            wire::read_bye(frame);
            break;
        case t::ping:
        case t::list:
            wire::read_empty(frame);
            break;
        case t::offers:
            wire::read_offers(frame);
            break;
        case t::subscribe:
            wire::read_subscribe(frame);
            break;
        case t::accept:
            wire::read_accept(frame);
            break;
        case t::chunk:
            wire::read_chunk(frame, commits);
            break;
        case t::ack:
            wire::read_ack(frame);
            break;
        case t::have:
            wire::read_have(frame);
            break;
        case t::cells:
            wire::read_cells(frame);
            break;
        case t::more:
            wire::read_more(frame);
            break;
        case t::blob_ask:
            wire::read_blob_ask(frame);
            break;
        case t::blob_part:
            wire::read_blob_part(frame);
            break;
        case t::blob_have:
            wire::read_blob_have(frame);
            break;
        case t::blob_lack:
            wire::read_blob_lack(frame);
            break;
        case t::part:
            wire::read_part(frame);
            break;
        case t::until:
            wire::read_until(frame);
            break;
        case t::cut:
            wire::read_cut(frame);
            break;
        case t::below:
            wire::read_below(frame);
            break;
        case t::refused:
            wire::read_refused(frame);
            break;
        case t::yours:
            wire::read_yours(frame);
            break;
        default:
            return false;
    }
    return true;
}

}  // namespace

TEST_CASE("message: the bytes are those of the fixture", "[peer]") {
    // "name hex" lines; a promise to every later version.
    std::ostringstream ours;
    for (const auto& [name, frame] : all_messages()) ours << name << ' ' << to_hex(frame) << '\n';
    std::ifstream file(TRIBUTARY_FIXTURES "/peer_messages.txt");
    std::stringstream promised;
    promised << file.rdbuf();
    REQUIRE(ours.str() == promised.str());
}

TEST_CASE("message: what is read is what was written", "[peer]") {
    const auto messages = all_messages();
    const auto frame = [&](const std::string& name) {
        return std::find_if(
                   messages.begin(), messages.end(), [&](const auto& m) { return m.first == name; })
            ->second;
    };
    REQUIRE(encode(wire::read_hello(frame("hello"))) == frame("hello"));
    REQUIRE(encode(wire::read_auth(frame("auth"))) == frame("auth"));
    REQUIRE(encode(wire::read_bye(frame("bye"))) == frame("bye"));
    REQUIRE(encode(wire::read_offers(frame("offers"))) == frame("offers"));
    for (const char* name : {"subscribe-id", "subscribe-name"})
        REQUIRE(encode(wire::read_subscribe(frame(name))) == frame(name));
    for (const char* name : {"accept", "accept-genesis"})
        REQUIRE(encode(wire::read_accept(frame(name))) == frame(name));
    REQUIRE(encode(wire::read_ack(frame("ack"))) == frame("ack"));
    for (const char* name : {"have", "have-but"})
        REQUIRE(encode(wire::read_have(frame(name))) == frame(name));
    REQUIRE(encode(wire::read_cells(frame("cells"))) == frame("cells"));
    REQUIRE(encode(wire::read_more(frame("more"))) == frame("more"));
    REQUIRE(encode(wire::read_blob_ask(frame("blob-ask"))) == frame("blob-ask"));
    for (const char* name : {"blob-part", "blob-part-manifest"})
        REQUIRE(encode(wire::read_blob_part(frame(name))) == frame(name));
    REQUIRE(encode(wire::read_blob_have(frame("blob-have"))) == frame("blob-have"));
    REQUIRE(encode(wire::read_blob_lack(frame("blob-lack"))) == frame("blob-lack"));
    REQUIRE(encode(wire::read_part(frame("part"))) == frame("part"));
    REQUIRE(encode(wire::read_until(frame("until"))) == frame("until"));
    for (const char* name : {"cut", "cut-floor"})
        REQUIRE(encode(wire::read_cut(frame(name))) == frame(name));
    REQUIRE(encode(wire::read_below(frame("below"))) == frame("below"));
    REQUIRE(encode(wire::read_refused(frame("refused"))) == frame("refused"));
    REQUIRE(encode(wire::read_yours(frame("yours"))) == frame("yours"));

    std::vector<commit> commits;
    const wire::chunk_head head = wire::read_chunk(frame("chunk"), commits);
    REQUIRE(head.sub == 1);
    REQUIRE(head.round == 2);
    REQUIRE(head.cursor == cursor_of(7));
    REQUIRE(head.done);
    REQUIRE(commits.size() == 3);
    REQUIRE(commits[0].header == "header one");
    REQUIRE(commits[0].body == bytes(300, 'x'));
    REQUIRE_FALSE(commits[0].sig.has_value());
    REQUIRE(commits[1].sig == some_signature());
    REQUIRE(commits[1].body.empty());
    REQUIRE(commits[2].header == plain_header());
    REQUIRE(commits[2].body == plain_body());
}

TEST_CASE("message: frames are canonical for the general decoder too", "[peer]") {
    for (const auto& [name, frame] : all_messages()) {
        INFO(name);
        REQUIRE(encode(decode(frame)) == frame);
    }
}

TEST_CASE("message: a truncated frame or one with a tail is refused", "[peer]") {
    for (const auto& [name, frame] : all_messages()) {
        INFO(name);
        for (std::size_t n = 0; n < frame.size(); ++n)
            REQUIRE_THROWS_AS(read_any(bytes_view(frame).substr(0, n)), error);
        REQUIRE_THROWS_AS(read_any(frame + '\0'), error);
    }
}

TEST_CASE("message: of a hello and a goodbye, what later versions append is not read", "[peer]") {
    // More fields, of kinds that no version knows yet.
    const auto appended = [](bytes frame, int more) {
        frame[0] = static_cast<char>(frame[0] + more);
        return frame + from_hex("c1d9");
    };
    const wire::hello h{1, 3, filled<public_key>('k'), filled<hash32>('n'), "later", 7, 8};
    REQUIRE(encode(wire::read_hello(appended(encode(h), 2))) == encode(h));
    const wire::bye b{errc::limit, "too much"};
    REQUIRE(encode(wire::read_bye(appended(encode(b), 1))) == encode(b));
    REQUIRE_THROWS_AS(wire::read_hello(appended(encode(h), 0)), error);
    REQUIRE_THROWS_AS(wire::read_hello(appended(encode(h), -1)), error);
}

TEST_CASE("message: mutated frames are refused or read as something canonical", "[peer]") {
    const unsigned seed = 20240607;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto messages = all_messages();
    for (int i = 0; i < 20000; ++i) {
        bytes frame = messages[random() % messages.size()].second;
        for (unsigned n = 1 + random() % 3; n > 0; --n)
            frame[random() % frame.size()] = static_cast<char>(random());
        bool known = false;
        try {
            known = read_any(frame);
        } catch (const error& e) {
            REQUIRE((e.code() == errc::bad_input || e.code() == errc::newer_version));
            continue;
        }
        // What is appended to these is not read.
        const bool lasting = wire::is_of_type(frame, wire::message_type::hello) ||
                             wire::is_of_type(frame, wire::message_type::bye);
        if (known && !lasting) REQUIRE(encode(decode(frame)) == frame);
    }
}

TEST_CASE("message: other encodings of the same numbers and lengths are refused", "[peer]") {
    const auto refused = [](std::string_view hex) {
        REQUIRE_THROWS_AS(read_any(from_hex(hex)), error);
    };
    read_any(from_hex("951001020304"));
    refused("95cc1001020304");                       // the type in two bytes
    refused("dc00051001020304");                     // a long array header
    refused("9510cc01020304");                       // a number in two bytes
    refused("9510cd0080020304");                     // 128 in three bytes
    refused("9510cfffffffffffffffff020304");         // beyond int64
    refused("9510ff020304");                         // negative
    refused("9202c50040" + to_hex(bytes(64, 's')));  // bin 16 for 64 bytes
}

TEST_CASE("message: a chunk claims no more commits than the protocol allows", "[peer]") {
    wire::chunk_writer w;
    for (std::size_t i = 0; i <= wire::chunk_commits_max; ++i) w.add("", "");
    const bytes frame = w.finish({1, 0, std::nullopt, false}, {});
    std::vector<commit> commits;
    REQUIRE_THROWS_AS(wire::read_chunk(frame, commits), error);
}

TEST_CASE("message: plain headers and bodies are sent as they are", "[peer]") {
    const auto framing = [](const bytes& header, const bytes& body) {
        const wire::chunk_head head{1, 0, std::nullopt, false};
        wire::chunk_writer w;
        w.add(header, body);
        const bytes frame = w.finish(head, {});
        std::vector<commit> commits;
        wire::read_chunk(frame, commits);
        REQUIRE(commits.at(0).header == header);
        REQUIRE(commits.at(0).body == body);
        REQUIRE(encode(decode(frame)) == frame);
        return frame.size() - wire::chunk_writer().finish(head, {}).size() - header.size() -
               body.size();
    };
    REQUIRE(framing(plain_header(), plain_body()) == 0);
    REQUIRE(framing(plain_header(), make_body({})) == 0);
    commit_header granting = decode_header(plain_header());
    granting.ext = make_map({{value(1), value("hint")}});
    REQUIRE(framing(encode(granting), make_body({})) == 2);  // bin 8
    // Nothing that a bin cannot hold: nested, truncated, not canonical, another codec.
    for (const char* odd : {"",
                            "91",
                            "9181c0c0",
                            "919190",
                            "91a161",
                            "91cc01",
                            "91d0ff",
                            "9090",
                            "c40161",
                            "dc0001c0",
                            "ddffffffff",
                            "c0",
                            "ff"}) {
        INFO(odd);
        REQUIRE(framing(plain_header(), from_hex(odd)) == 2);
    }
}

TEST_CASE("message: bodies count as checked up to the first that is wrong", "[peer]") {
    const std::vector<bytes> ops{"an op"};
    const identity author = identity_of(1);
    commit_header h;
    h.author = author.key();
    const commit good = make_commit(h, ops, author);
    commit bad = good;
    bad.body.back() = 'q';
    const auto checked = [](std::vector<commit> all) {
        wire::check_bodies(all);
        std::string marks;
        for (const commit& c : all) marks += c.body_checked ? '+' : '-';
        return marks;
    };
    REQUIRE(checked({good, good}) == "++");
    REQUIRE(checked({good, bad, good}) == "+--");
    REQUIRE(checked({{"no header", std::nullopt, good.body}}) == "-");

    // Buffers are reused, what was said of them is not.
    std::vector<commit> commits(3, good);
    wire::check_bodies(commits);
    wire::read_chunk(some_chunk(), commits);
    for (const commit& c : commits) REQUIRE_FALSE(c.body_checked);
}

TEST_CASE("message: a header or body that claims more than there is is refused", "[peer]") {
    const auto refused = [](std::string_view commits) {
        const bytes frame = from_hex("970e0100c0c292" + std::string(commits) + "90");
        std::vector<commit> read;
        REQUIRE_THROWS_AS(wire::read_chunk(frame, read), error);
    };
    refused("90ddffffffff");    // elements
    refused("9091c6ffffffff");  // bytes
    refused("9091ddffffffff");  // of an array of bins
    std::string deep = "90";
    for (int i = 0; i < 100000; ++i) deep += "91";
    refused(deep + "90");
    refused("9091919190");  // too deep
    refused("9091a161");    // text
    refused("9081c0c0");    // a map
    refused("9091cc01");    // not canonical
    refused("9091d0ff");
    refused("dc000190");
    refused("90c0");  // absent
}

TEST_CASE("message: a chunk writer forgets what it is told to", "[peer]") {
    wire::chunk_writer all, half;
    all.add("one", "1");
    half.add("one", "1");
    all.add("two", bytes(1000, '2'));
    all.truncate(1);
    REQUIRE(all.payload_bytes() == 4);
    const wire::chunk_head head{1, 1, std::nullopt, false};
    REQUIRE(all.finish(head, {}) == half.finish(head, {}));
    REQUIRE(all.count() == 0);
}

TEST_CASE("message: the previous commit is read from the header alone", "[peer]") {
    replica_peer p(1);
    const crdt_handle h = p.create("tweets", p.self);
    p.write_many(h, 2, "c ");
    REQUIRE_FALSE(wire::prev_of_header(p.store->entry(h, 1).header).has_value());
    REQUIRE(wire::prev_of_header(p.store->entry(h, 2).header) == p.store->entry(h, 1).id);
}

TEST_CASE("message: a transcript and its signatures are those of the fixture", "[peer]") {
    const identity self = identity_of(1);
    const hash32 t = wire::transcript("hello a", "hello b");
    std::ostringstream ours;
    ours << "transcript " << t.hex() << '\n';
    ours << "bound " << wire::transcript("hello a", "hello b", "exported").hex() << '\n';
    ours << "dialer " << to_hex(wire::sign_transcript(self, wire::role::dialer, t).view()) << '\n';
    ours << "acceptor " << to_hex(wire::sign_transcript(self, wire::role::acceptor, t).view())
         << '\n';
    std::ifstream file(TRIBUTARY_FIXTURES "/peer_transcript.txt");
    std::stringstream promised;
    promised << file.rdbuf();
    REQUIRE(ours.str() == promised.str());
}

TEST_CASE("message: a transcript's signature is for one role and one pair of hellos", "[peer]") {
    const identity self = identity_of(1);
    const hash32 t = wire::transcript("hello a", "hello b");
    const signature sig = wire::sign_transcript(self, wire::role::dialer, t);
    REQUIRE(wire::verify_transcript(self.key(), wire::role::dialer, t, sig));
    REQUIRE_FALSE(wire::verify_transcript(self.key(), wire::role::acceptor, t, sig));
    REQUIRE(wire::transcript("hello a", "hello b", "exported") != t);
    const hash32 swapped = wire::transcript("hello b", "hello a");
    REQUIRE_FALSE(wire::verify_transcript(self.key(), wire::role::dialer, swapped, sig));
}
