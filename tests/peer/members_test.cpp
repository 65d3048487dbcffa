/// Who may read, write and own, as peers meet it; and a store's change of key.
#include "tributary/peer/stage.hpp"

#include "peer/hub_harness.hpp"
#include "peer/stage_support.hpp"
#include <fstream>

using namespace tributary;
using namespace tributary::testing;

namespace {

/// An owner with a CRDT that only members read, and two readers.
struct closed_circle {
    replica_peer owner{1}, reader{2}, other{3}, stranger{4};
    wires net;
    crdt_handle h = 0;

    closed_circle() {
        genesis g;
        g.name = "closed";
        g.owners = {owner.self.key()};
        g.public_read = false;
        g.nonce = bytes(16, 'n');
        h = owner.store->add(sign(g, owner.self), "closed");
        state(grant_ext(reader.self.key(), "rita", right::read));
        state(grant_ext(other.self.key(), "otto", right::read));
        net.turn(owner);
    }

    /// Why the last connection of `p` ended; errc{} if it did not.
    errc end_of(replica_peer& p) {
        net.turn(p);
        const hub_event* closed = net.last(p, hub_event::kind::closed);
        return closed ? closed->code : errc{};
    }

    void state(value ext) {
        owner.store->append(h, owner.self, {}, 1, std::nullopt, std::move(ext));
        owner.talk->staged(h);
    }
};

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string text;
    std::getline(in, text);
    return text;
}

const member_view& member(const std::vector<member_view>& all, const public_key& key) {
    return *std::find_if(all.begin(), all.end(), [&](const auto& m) { return m.key == key; });
}

}  // namespace

TEST_CASE("members: to who may not read, a CRDT does not exist", "[peer]") {
    closed_circle c;
    c.net.dial(c.stranger, c.owner, {}, true);
    c.net.run();
    REQUIRE(c.net.last(c.stranger, hub_event::kind::offers));
    CHECK(c.net.last(c.stranger, hub_event::kind::offers)->offers.empty());
    c.net.dial(c.stranger, c.owner, {{.remote = "closed"}});
    c.net.run();
    CHECK(c.end_of(c.stranger) == errc::not_found);
    CHECK(sync(c.net, c.reader, c.owner, {.remote = "closed"}).commits_in == 2);
}

TEST_CASE("members: a reader that is revoked gets nothing more, and others all", "[peer]") {
    closed_circle c;
    c.net.dial(c.reader, c.owner, {{.remote = "closed", .live = true}});
    c.net.dial(c.other, c.owner, {{.remote = "closed", .live = true}});
    c.net.run();
    REQUIRE(c.reader.commits() == 2);
    c.state(revocation_ext(c.reader.self.key(), 0));
    c.owner.write(c.h, "secret");
    c.net.run();
    CHECK(c.end_of(c.reader) == errc::unauthorized);
    CHECK(c.reader.commits() == 2);
    CHECK(c.other.commits() == 4);
    CHECK(c.end_of(c.other) == errc{});
}

TEST_CASE("members: a revocation that comes from elsewhere ends a subscription, too", "[peer]") {
    closed_circle c;
    sync(c.net, c.other, c.owner, {.remote = "closed"});
    c.net.dial(c.reader, c.other, {{.remote = "closed", .live = true}});
    c.net.run();
    REQUIRE(c.reader.commits() == 2);
    c.state(revocation_ext(c.reader.self.key(), 0));
    sync(c.net, c.other, c.owner);
    c.net.run();
    CHECK(c.other.commits() == 3);
    CHECK(c.end_of(c.reader) == errc::unauthorized);
    CHECK(c.reader.commits() == 2);
}

TEST_CASE("members: nothing is pushed to a peer that was revoked", "[peer]") {
    closed_circle c;
    sync(c.net, c.other, c.owner, {.remote = "closed"});
    sync(c.net, c.reader, c.owner, {.remote = "closed"});
    c.state(revocation_ext(c.reader.self.key(), 0));
    c.owner.write(c.h, "secret");
    c.net.turn(c.owner);
    c.net.dial(c.owner, c.reader, {{.handle = c.h}});
    c.net.run();
    CHECK(c.end_of(c.owner) == errc::unauthorized);
    CHECK(c.reader.commits() == 2);
}

TEST_CASE("members: peers whose heads are the same exchange what does not count", "[peer]") {
    replica_peer owner(1), writer(2);
    wires net;
    const crdt_handle h = owner.store->add(genesis_by(owner.self, "notes", false), "notes");
    owner.store->append(
        h, owner.self, {}, 1, std::nullopt, grant_ext(writer.self.key(), "will"));
    owner.store->flush();
    sync(net, writer, owner, {.remote = "notes"});
    owner.store->append(h, owner.self, {}, 1, std::nullopt, revocation_ext(writer.self.key(), 0));
    owner.talk->staged(h);
    net.turn(owner);
    writer.write(h, "late");
    net.turn(writer);
    sync(net, writer, owner);
    CHECK(owner.commits() == 3);
    CHECK(owner.heads() == writer.heads());
    CHECK(owner.store->tip_ids(h) == writer.store->tip_ids(h));
    CHECK_FALSE(owner.store->entry(h, 3).linearized);

    // A third peer that has all but that finds it without a cursor.
    replica_peer third(3);
    third.store->add(genesis_by(owner.self, "notes", false), "notes");
    std::vector<commit> counted;
    owner.store->scan(h, 1, [&](const arrival_entry& e, bytes_view body) {
        if (e.linearized) counted.push_back({e.header, e.sig, bytes(body)});
        return true;
    });
    third.store->ingest(h, counted);
    third.store->flush();
    REQUIRE(third.heads() == owner.heads());
    sync(net, third, owner);
    CHECK(third.store->tip_ids(h) == owner.store->tip_ids(h));
}

TEST_CASE("members: grants, revocations, and who they are refused", "[peer]") {
    temporary_directory mine, theirs;
    auto owner = stage::open(mine.path()), writer = stage::open(theirs.path());
    const public_key ann = writer->key();
    owner->create("notes", {"me"});
    owner->grant("notes", ann, "ann");
    owner->grant("notes", ann, "ann");
    CHECK(owner->summary("notes").commits == 2);
    owner->grant("notes", ann, "Ann", right::owner);
    std::vector<member_view> all = owner->members("notes");
    REQUIRE(all.size() == 2);
    CHECK(member(all, owner->key()).right == std::string("owner"));
    CHECK(member(all, ann).right == std::string("owner"));
    CHECK(member(all, ann).name == "Ann");
    CHECK(member(all, ann).by == owner->key());
    CHECK(member(all, ann).since_ms > 0);

    serving server(*owner);
    writer->clone(server.address() + "/notes", "");
    writer->transact("notes", {note("a")});
    writer->connect("notes", server.address());
    CHECK(owner->revoke("notes", ann) == 1);
    all = owner->members("notes");
    CHECK(all.back().key == ann);
    CHECK(all.back().last_seq == 1);
    CHECK(all.back().revoked_by == owner->key());
    CHECK_THROWS_WITH(owner->revoke("notes", ann), Catch::Contains("already"));
    CHECK_THROWS_WITH(owner->grant("notes", ann, "ann"), Catch::Contains("trib rotate"));
    CHECK_THROWS_WITH(owner->revoke("notes", owner->key()), Catch::Contains("without an owner"));
    CHECK_THROWS_WITH(owner->revoke("notes", identity_of(9).key()),
                      Catch::Contains("no member") && Catch::Contains("trib members notes"));
    writer->connect("notes", server.address());
    CHECK_THROWS_WITH(writer->transact("notes", {note("b")}),
                      Catch::Contains(ann.hex()) && Catch::Contains("notes") &&
                          Catch::Contains("revoked"));
    CHECK_THROWS_WITH(writer->grant("notes", ann, "ann"), Catch::Contains("only an owner"));
}

TEST_CASE("members: a CRDT with several owners, for its members only, where anyone may write",
          "[peer]") {
    temporary_directory mine, theirs;
    auto first = stage::open(mine.path()), second = stage::open(theirs.path());
    first->create("notes",
                  {.owner_name = "me",
                   .open_write = true,
                   .public_read = false,
                   .owners = {second->key(), first->key()}});
    CHECK(first->members("notes").size() == 2);
    serving server(*first);
    CHECK(stage::offers(server.address()).empty());
    second->clone(server.address() + "/notes", "");
    second->grant("notes", identity_of(7).key(), "x", right::read);
    second->connect("notes", server.address());
    CHECK(first->members("notes").size() == 3);
    CHECK(first->revoke("notes", second->key(), 0) == 0);
}

TEST_CASE("rotation: the new key has the rights, and peers that do not know it yet hear of it",
          "[peer]") {
    temporary_directory mine, theirs;
    auto owner = stage::open(mine.path()), writer = stage::open(theirs.path());
    owner->create("notes", {.owner_name = "me", .public_read = false});
    owner->create("mine", {"me"});
    owner->grant("notes", writer->key(), "ann");
    serving server(*owner);
    writer->clone(server.address() + "/notes", "");
    writer->create("own", {"ann"});
    const public_key before = writer->key();
    const rotation done = writer->rotate();
    CHECK(done.from == before);
    CHECK(done.to == writer->key());
    CHECK(done.crdts == std::vector<std::string>{"notes", "own"});
    writer->transact("notes", {note("with the new key")});
    writer->transact("own", {note("with the new key")});
    CHECK(member(writer->members("own"), done.to).right == "owner");

    writer->connect("notes", server.address());
    CHECK(owner->summary("notes").ops == 1);
    CHECK(member(owner->members("notes"), done.to).right == "write");
    CHECK(member(owner->members("notes"), before).last_seq == 1);
    writer->connect("notes", server.address());

    const rotation owners = owner->rotate();
    CHECK(owners.crdts.size() == 2);
    owner->grant("notes", identity_of(5).key(), "x");
    writer->connect("notes", server.address());
    CHECK(writer->members("notes").size() == 5);
}

TEST_CASE("rotation: what was broken off is finished at the next opening, or the next time",
          "[peer]") {
    temporary_directory dir;
    const auto file = [&](const char* name) { return dir.path() / name; };
    public_key before, after;
    {
        auto s = stage::open(dir.path());
        s->create("notes", {"me"});
        before = s->key();
        after = s->rotate().to;
        CHECK(s->key() == after);
    }
    CHECK(identity::from_seed(from_hex(text_of(file("identity.old")))).key() == before);
    using std::filesystem::perms;
    for (const char* name : {"identity", "identity.old"})
        CHECK(std::filesystem::status(file(name)).permissions() ==
              (perms::owner_read | perms::owner_write));
    SECTION("after the commits, before the file was exchanged") {
        std::filesystem::rename(file("identity"), file("identity.next"));
        std::filesystem::rename(file("identity.old"), file("identity"));
        auto s = stage::open(dir.path());
        CHECK(s->key() == after);
        s->transact("notes", {note("goes on")});
        CHECK_FALSE(std::filesystem::exists(file("identity.next")));
    }
    SECTION("before the commits") {
        const std::string seed = to_hex(identity_of(77).seed());
        std::ofstream(file("identity.next")) << seed << '\n';
        auto s = stage::open(dir.path());
        CHECK(s->key() == after);
        s->transact("notes", {note("goes on")});
        CHECK(s->rotate().to == identity_of(77).key());
        s->transact("notes", {note("and on")});
    }
}

TEST_CASE("rotation: who may only read must be granted anew", "[peer]") {
    temporary_directory mine, theirs;
    auto owner = stage::open(mine.path()), reader = stage::open(theirs.path());
    owner->create("notes", {"me"});
    owner->grant("notes", reader->key(), "rita", right::read);
    serving server(*owner);
    reader->clone(server.address() + "/notes", "");
    const rotation done = reader->rotate();
    CHECK(done.crdts.empty());
    CHECK(done.left == std::vector<std::string>{"notes"});
}
