/// How things stand with peers: what each lacks, since when, and why.
#include "peer/hub_harness.hpp"
#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

std::optional<peer_status> status_with(stage& s, const std::string& url) {
    for (const peer_status& p : s.peers("notes"))
        if (p.url == url) return p;
    return std::nullopt;
}

std::optional<peer_status> status_with(stage& s, const public_key& key) {
    for (const peer_status& p : s.peers("notes"))
        if (p.key == key && p.url.empty()) return p;
    return std::nullopt;
}

struct collector_and_laptop {
    temporary_directory there, here;
    std::unique_ptr<stage> collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector_and_laptop() {
        collector->create("notes", {.owner_name = "collector"});
        collector->grant("notes", laptop->key(), "laptop");
        add_notes(*collector, "notes", 3);
    }
};

}  // namespace

TEST_CASE("status: a peer that is synced with and then goes on", "[peer]") {
    collector_and_laptop p;
    std::string url;
    {
        serving at(*p.collector);
        url = at.address();
        p.laptop->clone(url + "/notes", "");
    }
    const auto synced = status_with(*p.laptop, url);
    REQUIRE(synced);
    CHECK(synced->state == link_state::idle);
    CHECK(synced->key == p.collector->key());
    CHECK(synced->name == "collector");
    CHECK(synced->lag.they_lack == 0u);
    CHECK(synced->lag.we_lack == 0u);
    REQUIRE(synced->synced_ms);

    add_notes(*p.laptop, "notes", 2);
    CHECK(status_with(*p.laptop, url)->lag.they_lack == 2u);

    // Nobody answers there any more: since when stays the same however often it is tried.
    CHECK_THROWS(p.laptop->connect("notes", url));
    const auto dead = status_with(*p.laptop, url);
    CHECK(dead->state == link_state::offline);
    CHECK(dead->reason.find("refused") != std::string::npos);
    CHECK(dead->lag.they_lack == 2u);
    CHECK(dead->synced_ms == synced->synced_ms);
    CHECK(dead->since_ms >= *synced->synced_ms);
    CHECK_THROWS(p.laptop->connect("notes", url));
    CHECK(status_with(*p.laptop, url)->since_ms == dead->since_ms);
}

TEST_CASE("status: both ends of a live connection, and what is left of it", "[peer]") {
    collector_and_laptop p;
    serving at(*p.collector);
    p.laptop->clone(at.address() + "/notes", "");
    {
        following live(*p.laptop, "notes", at.address());
        REQUIRE(eventually([&] {
            const auto ours = status_with(*p.laptop, at.address());
            const auto theirs = status_with(*p.collector, p.laptop->key());
            return ours && ours->state == link_state::live && theirs &&
                   theirs->state == link_state::live && theirs->lag.they_lack == 0u;
        }));
        CHECK(status_with(*p.collector, p.laptop->key())->name == "laptop");
        CHECK(status_with(*p.collector, p.laptop->key())->url.empty());
    }
    REQUIRE(eventually(
        [&] { return status_with(*p.collector, p.laptop->key())->state == link_state::offline; }));
    add_notes(*p.collector, "notes", 4);
    const auto left = status_with(*p.collector, p.laptop->key());
    CHECK(left->lag.they_lack == 4u);
    CHECK_FALSE(left->reason.empty());
}

TEST_CASE("status: who has synced and gone was not lost", "[peer]") {
    collector_and_laptop p;
    serving at(*p.collector);
    p.laptop->clone(at.address() + "/notes", "");
    REQUIRE(eventually([&] {
        const auto left = status_with(*p.collector, p.laptop->key());
        return left && left->state == link_state::offline;
    }));
    CHECK(status_with(*p.collector, p.laptop->key())->reason ==
          "it closed the connection after its sync");
}

TEST_CASE("status: a peer that refuses, beside one that does not", "[peer]") {
    collector_and_laptop p;
    temporary_directory elsewhere;
    const auto other = stage::open(elsewhere.path());
    serving good(*p.collector), bad(*other);
    p.laptop->clone(good.address() + "/notes", "");
    CHECK_THROWS(p.laptop->connect("notes", bad.address()));
    const auto refused = status_with(*p.laptop, bad.address());
    REQUIRE(refused);
    CAPTURE(refused->reason);
    CHECK(refused->state == link_state::refused);
    CHECK(refused->reason.find("offers no CRDT") != std::string::npos);
    CHECK_FALSE(refused->synced_ms);
    CHECK(status_with(*p.laptop, good.address())->state == link_state::idle);
    CHECK(p.laptop->peers("").size() == 2);
}

TEST_CASE("status: a slow peer is throttled, and who waits for a parent says so", "[peer]") {
    hub_options small;
    small.window_bytes = 300;
    small.chunk_commits = 1;
    replica_peer a(1, small), b(2, small);
    const crdt_handle h = a.create("notes", a.self);
    a.write_many(h, 20, "a");
    wires w;
    // b hears everything, and what it says after it has subscribed is lost.
    int said = 0;
    w.meddle = [&](connection_id, bool from_dialer, bytes&) { return !from_dialer || ++said <= 3; };
    w.dial(b, a, {{.remote = "notes", .live = true}});
    w.run();
    const auto at_a = a.talk->links(w.now);
    REQUIRE(at_a.size() == 1);
    CHECK(at_a[0].state == link_state::throttled);
    CHECK_FALSE(at_a[0].dialed);
    CHECK(at_a[0].lag.they_lack == 20u);
    const auto at_b = b.talk->links(w.now);
    REQUIRE(at_b.size() == 1);
    CHECK(at_b[0].state == link_state::fetching);
    CHECK(at_b[0].lag.we_lack == 20u - b.commits());
}
