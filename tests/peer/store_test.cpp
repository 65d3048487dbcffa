/// The store as a whole: copies, replicas that are removed, garbage.
#include "tributary/peer/repair.hpp"
#include "tributary/store/keys.hpp"
#include "tributary/store/leveldb_kv.hpp"

#include "peer/stage_support.hpp"
#include <fstream>

using namespace tributary;
using namespace tributary::testing;

namespace {

std::uint64_t problems_of(stage& s, const std::string& name) {
    std::uint64_t found = 0;
    s.verify(
        name,
        [&](const std::string& text) {
            UNSCOPED_INFO(text);
            ++found;
        },
        [](std::uint64_t, std::uint64_t) {});
    return found;
}

const auto no_progress = [](std::uint64_t) {};

}  // namespace

TEST_CASE("backup: a copy made while others write is a store", "[peer]") {
    temporary_directory dir, elsewhere;
    auto s = stage::open(dir.path());
    s->create("notes");
    add_notes(*s, "notes", 50);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        while (!stop) s->transact("notes", {note("more")});
    });
    const auto to = elsewhere.path() / "copy";
    s->backup(to, no_progress);
    stop = true;
    writer.join();
    CHECK_FALSE(std::filesystem::exists(to.string() + ".unfinished"));

    const auto copy = stage::open(to);
    CHECK(copy->key() == s->key());
    CHECK(copy->summary("notes").commits >= 50);
    CHECK(copy->summary("notes").commits <= s->summary("notes").commits);
    CHECK(problems_of(*copy, "notes") == 0);
}

TEST_CASE("backup: nothing half done is left, and nothing is overwritten", "[peer]") {
    temporary_directory dir, elsewhere;
    auto s = stage::open(dir.path());
    s->create("notes");
    const auto to = elsewhere.path() / "copy";
    CHECK_THROWS(s->backup(to, [](std::uint64_t) { throw error(errc::canceled, "enough"); }));
    CHECK(std::filesystem::is_empty(elsewhere.path()));
    std::filesystem::create_directory(to);
    CHECK_THROWS(s->backup(to, no_progress));
    CHECK(std::filesystem::is_empty(to));
}

TEST_CASE("remove: only what a peer has, unless told to", "[peer]") {
    temporary_directory there, here;
    auto collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector->create("notes");
    add_notes(*collector, "notes", 30);
    CHECK_THROWS(collector->remove("notes"));
    {
        serving at(*collector);
        laptop->clone(at.address() + "/notes", "");
    }
    laptop->create("others");
    add_notes(*laptop, "others", 3);
    laptop->remove("notes");
    CHECK(laptop->list().size() == 1);
    CHECK_THROWS(laptop->summary("notes"));
    CHECK(laptop->collect_garbage(true).records == 0);
    CHECK(problems_of(*laptop, "others") == 0);
    // It can come back, and the other one is as it was.
    {
        serving at(*collector);
        laptop->clone(at.address() + "/notes", "");
    }
    CHECK(problems_of(*laptop, "notes") == 0);
    CHECK(laptop->summary("notes").ops == 30);
    CHECK(laptop->summary("others").ops == 3);
    collector->remove("notes", true);
    CHECK(collector->list().empty());
}

TEST_CASE("remove: what is connected for it ends, with the reason", "[peer]") {
    temporary_directory there, here;
    auto collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector->create("notes");
    add_notes(*collector, "notes", 2);
    serving at(*collector);
    laptop->clone(at.address() + "/notes", "");
    following live(*laptop, "notes", at.address());
    REQUIRE(eventually([&] { return live.state() == "live"; }));
    collector->remove("notes");
    REQUIRE(eventually([&] { return live.state().starts_with("failed"); }));
    CHECK(live.state().find("removed") != std::string::npos);
    CHECK(laptop->summary("notes").ops == 2);
}

namespace {

namespace fs = std::filesystem;

/// Flips a bit of every `step`th byte of the files that end so.
void damage(const fs::path& db, const std::string& extension, std::size_t first, std::size_t step) {
    for (const auto& file : fs::directory_iterator(db)) {
        if (file.path().extension() != extension) continue;
        std::fstream f(file.path(), std::ios::in | std::ios::out | std::ios::binary);
        const auto size = fs::file_size(file.path());
        for (std::size_t at = first; at < size; at += step) {
            f.seekg(static_cast<std::streamoff>(at));
            const char was = static_cast<char>(f.get());
            f.seekp(static_cast<std::streamoff>(at));
            f.put(static_cast<char>(was ^ 1));
        }
    }
}

/// A record of a closed store, changed through its database.
void overwrite(const fs::path& dir, const bytes& key, std::optional<bytes> val) {
    const auto db = open_leveldb(dir / "db");
    kv_batch change;
    if (val)
        change.put(key, *val);
    else
        change.erase(key);
    db->write(change, true);
}

}  // namespace

TEST_CASE("repair: indexes are made anew, with what no peer has", "[peer]") {
    temporary_directory dir;
    auto s = stage::open(dir.path());
    s->create("notes");
    add_notes(*s, "notes", 40);
    s->put_marks("notes", {{"source", "40"}});
    const auto before = s->summary("notes");
    s.reset();
    overwrite(dir.path(), keys::of(keys::space::position, 1, 7), bytes("nonsense"));
    overwrite(dir.path(), keys::of(keys::space::linear, 1, 3), std::nullopt);
    s = stage::open(dir.path());
    REQUIRE(problems_of(*s, "notes") > 0);
    CHECK_THROWS_AS(repair_store(dir.path(), {}), error);  // it is open here
    s.reset();

    const auto done = repair_store(dir.path(), {});
    REQUIRE(done.size() == 1);
    CHECK(done[0].kept == 40);
    CHECK(done[0].lost.empty());
    s = stage::open(dir.path());
    CHECK(problems_of(*s, "notes") == 0);
    CHECK(s->summary("notes").heads == before.heads);
    CHECK(s->get_mark("notes", "source") == "40");
    add_notes(*s, "notes", 1);
}

TEST_CASE("repair: what is damaged comes from a peer, what only this store has stays", "[peer]") {
    temporary_directory there, here;
    auto collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector->create("notes");
    collector->grant("notes", laptop->key(), "laptop");
    add_notes(*collector, "notes", 30);
    serving at(*collector);
    laptop->clone(at.address() + "/notes", "");
    add_notes(*laptop, "notes", 5);
    const auto before = laptop->summary("notes");
    laptop.reset();
    overwrite(here.path(), keys::of(keys::space::body, 1, 12), bytes("nonsense"));
    overwrite(here.path(), keys::of(keys::space::entry, 1, 20), std::nullopt);

    CHECK_THROWS_AS(repair_store(here.path(), {.url = "ws://127.0.0.1:1"}), error);
    CHECK_FALSE(fs::exists(here.path() / "db.damaged"));
    const auto done = repair_store(here.path(), {});
    REQUIRE(done.size() == 1);
    CHECK(done[0].lost.empty());
    CHECK(done[0].fetched > 0);
    laptop = stage::open(here.path());
    CHECK(problems_of(*laptop, "notes") == 0);
    CHECK(laptop->summary("notes").heads == before.heads);
    CHECK(laptop->summary("notes").commits == before.commits);
    CHECK(laptop->connect("notes", "").commits_out == 5);
}

TEST_CASE("repair: blocks and logs of the database that changed at rest", "[peer]") {
    const std::string extension = GENERATE(".log", ".ldb");
    temporary_directory there, here;
    auto collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector->create("notes");
    add_notes(*collector, "notes", 100, std::string(500, 'x'));
    serving at(*collector);
    laptop->clone(at.address() + "/notes", "");
    add_notes(*collector, "notes", 200, std::string(500, 'x'));
    laptop->connect("notes", "");
    laptop.reset();
    if (extension == ".ldb") open_leveldb(here.path() / "db");  // what was in the log is in a table
    damage(here.path() / "db", extension, 120000, 1000000);
    repair_store(here.path(), {.url = at.address()});
    laptop = stage::open(here.path());
    CHECK(problems_of(*laptop, "notes") == 0);
    CHECK(laptop->summary("notes").heads == collector->summary("notes").heads);
}

TEST_CASE("repair: what nobody has is named, and the damaged database is kept", "[peer]") {
    temporary_directory there, here;
    auto collector = stage::open(there.path()), laptop = stage::open(here.path());
    collector->create("notes");
    collector->grant("notes", laptop->key(), "laptop");
    add_notes(*collector, "notes", 3);
    serving at(*collector);
    laptop->clone(at.address() + "/notes", "");
    add_notes(*laptop, "notes", 3);
    laptop.reset();
    overwrite(here.path(), keys::of(keys::space::body, 1, 6), bytes("nonsense"));
    const auto done = repair_store(here.path(), {});
    CHECK(done[0].lost.size() == 2);  // it, and the one that builds on it
    CHECK(fs::exists(here.path() / "db.damaged"));
    CHECK_THROWS_AS(repair_store(here.path(), {}), error);
    laptop = stage::open(here.path());
    CHECK(problems_of(*laptop, "notes") == 0);
    CHECK(laptop->summary("notes").commits == 5);
}

TEST_CASE("repair: one that was killed between its two steps is finished", "[peer]") {
    temporary_directory dir;
    stage::open(dir.path())->create("notes");
    fs::rename(dir.path() / "db", dir.path() / "db.repaired");
    CHECK(stage::open(dir.path())->list().size() == 1);
}
