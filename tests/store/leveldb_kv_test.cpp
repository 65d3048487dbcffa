#include "tributary/store/leveldb_kv.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "store/kv_conformance.hpp"
#include "store/small_disk.hpp"
#include "store/temporary_directory.hpp"
#include <fstream>
#include <thread>

using namespace tributary;
using namespace tributary::testing;
namespace fs = std::filesystem;

namespace {

errc code_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const error& e) {
        INFO(e.what());
        return e.code();
    }
    FAIL("nothing was thrown");
    return errc::misuse;
}

leveldb_options small_buffers() {
    leveldb_options o;
    o.write_buffer_bytes = 1u << 20;
    return o;
}

/// Writes numbered keys until the disk is full; returns how many were acknowledged.
int write_until_full(kv& db, const std::string& prefix) {
    for (int i = 0; i < 10000; ++i) {
        try {
            put(db, prefix + std::to_string(i), bytes(3000, 'v'));
        } catch (const error& e) {
            INFO(e.what());
            CHECK(e.code() == errc::no_space);
            return i;
        }
    }
    FAIL("the disk never filled");
    return 0;
}

}  // namespace

TEST_CASE("leveldb_kv: keeps the promises of a kv", "[store]") {
    temporary_directory dir;
    int n = 0;
    expect_conforming([&] { return open_leveldb(dir.path() / std::to_string(n++)); });
}

TEST_CASE("leveldb_kv: what was written is there when it is opened again", "[store]") {
    temporary_directory dir;
    put(*open_leveldb(dir.path() / "db"), "a", "1");
    CHECK(read_all(*open_leveldb(dir.path() / "db")) == model{{"a", "1"}});
    CHECK((fs::status(dir.path() / "db").permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("leveldb_kv: says why it does not open", "[store]") {
    temporary_directory dir;
    const fs::path path = dir.path() / "db";
    leveldb_options existing;
    existing.create = false;
    CHECK(code_of([&] { open_leveldb(path, existing); }) == errc::not_found);
    CHECK_FALSE(fs::exists(path));
    {
        const auto held = open_leveldb(path);
        CHECK(code_of([&] { open_leveldb(path); }) == errc::locked);
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                open_leveldb(path);
            } catch (const error& e) {
                ::_exit(e.code() == errc::locked ? 7 : 1);
            }
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(WEXITSTATUS(status) == 7);
    }
    std::ofstream(path / "CURRENT") << "nonsense\n";
    CHECK(code_of([&] { open_leveldb(path); }) == errc::bad_input);
    std::ofstream(dir.path() / "file") << "x";
    CHECK(code_of([&] { open_leveldb(dir.path() / "file"); }) == errc::io);
}

TEST_CASE("leveldb_kv: acknowledged writes survive a kill", "[store]") {
    temporary_directory dir;
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto db = open_leveldb(dir.path() / "db");
        for (int i = 0; i < 1000000; ++i) {
            put(*db, "key" + std::to_string(i), bytes(100, 'v'));
            if (::write(pipe[1], &i, sizeof i) != sizeof i) ::_exit(1);
        }
    }
    int acknowledged = -1;
    for (int i = 0; i < 50; ++i)
        REQUIRE(::read(pipe[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto db = open_leveldb(dir.path() / "db");
    for (int i = 0; i <= acknowledged; ++i) CHECK(db->get("key" + std::to_string(i)));
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("leveldb_kv: a full disk loses nothing that was acknowledged", "[store]") {
    const small_disk disk("16m");
    if (!disk.mounted()) {
        WARN("skipped: mounting a tmpfs is not permitted here");
        return;
    }
    const fs::path path = disk.path() / "db";
    auto db = open_leveldb(path, small_buffers());
    put(*db, "before", "1");
    const kv_snapshot snapshot = db->snapshot();
    disk.fill(100u << 10);
    const int first = write_until_full(*db, "first");
    CHECK(first > 0);

    SECTION("while it is full, reads go on and writes say so") {
        CHECK(db->get("before") == bytes("1"));
        CHECK(snapshot->get("before") == bytes("1"));
        CHECK(code_of([&] { put(*db, "k", "v"); }) == errc::no_space);
        CHECK_FALSE(db->get("k"));
        CHECK_FALSE(db->get("first" + std::to_string(first)));
    }
    SECTION(
        "a cursor keeps its place; the write that has to wait for it says so in the end or passes "
        "when it is gone") {
        auto cursor = db->cursor();
        cursor->seek("before");
        disk.free();
        bytes seen;
        std::thread reader([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            seen = cursor->val();
            cursor.reset();
        });
        put(*db, "k", "v");
        reader.join();
        CHECK(seen == "1");
        CHECK(code_of([&] { snapshot->get("before"); }) == errc::io);
        CHECK(db->snapshot()->get("before") == bytes("1"));
    }
    SECTION("again and again") {
        for (int round = 0; round < 3; ++round) {
            disk.free();
            put(*db, "round" + std::to_string(round), "v");
            disk.fill(100u << 10);
            write_until_full(*db, "more" + std::to_string(round) + "-");
        }
        disk.free();
        db.reset();
        const auto again = open_leveldb(path, small_buffers());
        for (int round = 0; round < 3; ++round) CHECK(again->get("round" + std::to_string(round)));
    }
    SECTION("writes acknowledged after space was freed are there when it is opened again") {
        disk.free();
        for (int i = 0; i < 100; ++i) put(*db, "later" + std::to_string(i), "v");
        db.reset();
        const auto again = open_leveldb(path, small_buffers());
        for (int i = 0; i < first; ++i) CHECK(again->get("first" + std::to_string(i)));
        for (int i = 0; i < 100; ++i) CHECK(again->get("later" + std::to_string(i)));
        CHECK_FALSE(again->get("first" + std::to_string(first)));
    }
}
