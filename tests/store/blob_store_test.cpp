#include "tributary/store/blob_store.hpp"

#include "tributary/value/hash.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "store/small_disk.hpp"
#include "store/temporary_directory.hpp"
#include <fstream>
#include <functional>
#include <set>

using namespace tributary;
using namespace tributary::testing;
namespace fs = std::filesystem;

namespace {

bytes content(std::size_t size, unsigned seed = 1) {
    bytes out(size, '\0');
    for (char& c : out) c = static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
    return out;
}

blob_ref add(blob_store& to, bytes_view data) {
    const auto w = to.write();
    w->append(data.substr(0, data.size() / 3));
    w->append(data.substr(data.size() / 3));
    return w->finish();
}

blob_manifest manifest_of(bytes_view data, std::uint64_t chunk_bytes) {
    bytes hashes;
    for (std::uint64_t at = 0; at < data.size(); at += chunk_bytes)
        hashes += blob_manifest::hash_of_chunk(data.substr(at, chunk_bytes)).view();
    return {data.size(), chunk_bytes, hashes};
}

bytes read_all(blob_store& from, const blob_id& id) {
    const auto m = from.manifest(id);
    REQUIRE(m);
    bytes out;
    for (std::uint64_t i = 0; i < m->count(); ++i) {
        for (std::uint64_t at = 0; at < m->size_of(i); at += 64u << 10) {
            const auto piece = from.read(id, i, at, 64u << 10);
            REQUIRE(piece);
            out += *piece;
        }
    }
    return out;
}

bool put(blob_store& to, const blob_manifest& m, bytes_view data, std::uint64_t chunk) {
    return to.put(m.id(), chunk, data.substr(chunk * m.chunk_bytes(), m.chunk_bytes()));
}

std::set<std::string> files(const fs::path& dir) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir)) names.insert(entry.path().filename());
    return names;
}

void flip(const fs::path& file, std::uint64_t at) {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(static_cast<std::streamoff>(at));
    const char c = static_cast<char>(f.get() ^ 1);
    f.seekp(static_cast<std::streamoff>(at));
    f.put(c);
}

void expect_conforming(blob_store& s) {
    const bytes data = content(5000);
    const blob_manifest m = manifest_of(data, 1024);
    const blob_id id = m.id();
    CHECK_FALSE(s.is_whole(id));
    CHECK_FALSE(s.manifest(id));
    CHECK(s.chunks_here(id) == 0);
    CHECK_FALSE(s.read(id, 0, 0, 10));

    s.begin(m);
    CHECK(s.next_missing(id, 0) == 0);
    CHECK_FALSE(put(s, m, data, 0));
    CHECK_FALSE(put(s, m, data, 2));
    CHECK_FALSE(put(s, m, data, 2));
    s.begin(m);
    CHECK(s.chunks_here(id) == 2);
    CHECK(s.next_missing(id, 0) == 1);
    CHECK(s.next_missing(id, 2) == 3);
    CHECK(s.read(id, 2, 1000, 100) == data.substr(3048, 24));
    CHECK_FALSE(s.read(id, 1, 0, 10));
    CHECK_THROWS_AS(s.put(id, 1, content(1024, 7)), error);
    CHECK_THROWS_AS(s.put(id, 4, data.substr(4096, 100)), error);
    CHECK_THROWS_AS(s.put(id, 5, ""), error);
    CHECK(s.chunks_here(id) == 2);

    CHECK_FALSE(put(s, m, data, 1));
    CHECK_FALSE(put(s, m, data, 4));
    CHECK_FALSE(s.is_whole(id));
    CHECK(put(s, m, data, 3));
    CHECK(s.is_whole(id));
    CHECK(s.next_missing(id, 0) == 5);
    CHECK(read_all(s, id) == data);

    const blob_ref added = add(s, content(700000, 3));
    CHECK(added.size == 700000);
    CHECK(s.is_whole(added.id));
    CHECK(read_all(s, added.id) == content(700000, 3));
    CHECK(add(s, content(700000, 3)) == added);

    const blob_ref empty = add(s, "");
    CHECK(empty.size == 0);
    CHECK(s.is_whole(empty.id));
    CHECK(read_all(s, empty.id).empty());

    const auto swept = s.sweep([&](const blob_id& each) { return each != added.id; }, -1);
    CHECK(swept.blobs == 1);
    CHECK_FALSE(s.is_whole(added.id));
    CHECK_FALSE(s.manifest(added.id));
    CHECK(s.is_whole(id));
}

}  // namespace

TEST_CASE("blob_store: in memory, it keeps its promises", "[store]") {
    expect_conforming(*make_memory_blobs());
}

TEST_CASE("blob_store: in files, it keeps its promises", "[store]") {
    const temporary_directory dir;
    expect_conforming(*open_blob_files(dir.path() / "blobs"));
    struct ::stat s;
    REQUIRE(::stat((dir.path() / "blobs").c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0700);
}

TEST_CASE("blob_store: an empty blob from elsewhere is whole at once", "[store]") {
    const temporary_directory dir;
    const auto s = open_blob_files(dir.path());
    s->begin(manifest_of("", 1024));
    CHECK(s->is_whole(manifest_of("", 1024).id()));
}

TEST_CASE("blob_store: what is synced of a partial blob is there when it is opened again",
          "[store]") {
    const temporary_directory dir;
    const bytes data = content(5000);
    const blob_manifest m = manifest_of(data, 1024);
    {
        const auto s = open_blob_files(dir.path());
        s->begin(m);
        put(*s, m, data, 1);
        put(*s, m, data, 3);
        s->sync();
    }
    SECTION("as it was") {
        const auto s = open_blob_files(dir.path());
        CHECK(s->chunks_here(m.id()) == 2);
        CHECK(s->next_missing(m.id(), 1) == 2);
        for (const std::uint64_t i : {0, 2, 4}) put(*s, m, data, i);
        CHECK(s->is_whole(m.id()));
        CHECK(read_all(*s, m.id()) == data);
        CHECK(files(dir.path()) == std::set<std::string>{m.id().hex(), m.id().hex() + ".chunks"});
    }
    SECTION("with a torn tail of what was noted, and of its manifest's successors") {
        std::ofstream(dir.path() / (m.id().hex() + ".have"), std::ios::app) << bytes(7, '\0');
        CHECK(open_blob_files(dir.path())->chunks_here(m.id()) == 2);
    }
    SECTION("but nothing if its manifest was torn") {
        fs::resize_file(dir.path() / (m.id().hex() + ".chunks"), 20);
        const auto s = open_blob_files(dir.path());
        CHECK(s->chunks_here(m.id()) == 0);
        CHECK_FALSE(s->manifest(m.id()));
        s->begin(m);
        CHECK(s->manifest(m.id()));
    }
    SECTION("but for a chunk that was noted and is damaged") {
        flip(dir.path() / (m.id().hex() + ".part"), 3 * 1024 + 5);
        const auto s = open_blob_files(dir.path());
        CHECK_FALSE(s->read(m.id(), 3, 0, 10));
        CHECK(s->next_missing(m.id(), 3) == 3);
        CHECK(open_blob_files(dir.path())->chunks_here(m.id()) == 1);
    }
}

TEST_CASE("blob_store: flipped bits are found, and only their chunk is fetched again", "[store]") {
    const temporary_directory dir;
    const bytes data = content(700000);
    const blob_ref ref = add(*open_blob_files(dir.path()), data);
    flip(dir.path() / ref.id.hex(), 300000);
    const auto s = open_blob_files(dir.path());
    CHECK(s->read(ref.id, 0, 0, 100));
    CHECK_FALSE(s->read(ref.id, 1, 0, 100));
    CHECK_FALSE(s->is_whole(ref.id));
    CHECK(s->next_missing(ref.id, 0) == 1);
    CHECK(open_blob_files(dir.path())->chunks_here(ref.id) == 2);
    CHECK(put(*s, *s->manifest(ref.id), data, 1));
    CHECK(read_all(*s, ref.id) == data);
}

TEST_CASE("blob_store: another process may add what is here in part", "[store]") {
    const temporary_directory dir;
    const bytes data = content(700000);
    const auto one = open_blob_files(dir.path()), other = open_blob_files(dir.path());
    const blob_manifest m = manifest_of(data, 256u << 10);
    one->begin(m);
    put(*one, m, data, 0);
    CHECK(add(*other, data).id == m.id());
    CHECK(one->is_whole(m.id()));
    CHECK(one->next_missing(m.id(), 0) == 3);
    CHECK(one->put(m.id(), 1, data.substr(256u << 10, 256u << 10)));
    CHECK(read_all(*one, m.id()) == data);
}

TEST_CASE("blob_store: what was broken off while it was added is swept", "[store]") {
    const temporary_directory dir;
    const auto s = open_blob_files(dir.path());
    s->write()->append(content(700000));
    CHECK(files(dir.path()).empty());
    std::ofstream(dir.path() / "new-0123") << "left over";
    CHECK(s->sweep([](const blob_id&) { return true; }, 3600).blobs == 0);
    CHECK(files(dir.path()).size() == 1);
    s->sweep([](const blob_id&) { return true; }, -1);
    CHECK(files(dir.path()).empty());
}

TEST_CASE("blob_store: blobs that were added just now are not swept", "[store]") {
    const temporary_directory dir;
    const auto s = open_blob_files(dir.path());
    const blob_ref ref = add(*s, "fresh");
    CHECK(s->sweep([](const blob_id&) { return false; }, 3600).blobs == 0);
    CHECK(s->is_whole(ref.id));
}

TEST_CASE("blob_store: a copy has the whole blobs", "[store]") {
    const temporary_directory dir;
    const auto s = open_blob_files(dir.path() / "blobs");
    const bytes data = content(5000);
    const blob_ref ref = add(*s, data);
    s->begin(manifest_of(data, 1024));
    CHECK(copy_blob_files(dir.path() / "blobs", dir.path() / "copy") == 5000);
    CHECK(copy_blob_files(dir.path() / "blobs", dir.path() / "copy") == 0);
    CHECK(copy_blob_files(dir.path() / "none", dir.path() / "none-either") == 0);
    const auto copy = open_blob_files(dir.path() / "copy");
    CHECK(read_all(*copy, ref.id) == data);
    CHECK(files(dir.path() / "copy").size() == 2);
}

TEST_CASE("blob_store: blobs leave room on the disk, and what is here stays", "[store]") {
    const small_disk disk("4m");
    if (!disk.mounted()) {
        WARN("skipped: mounting is not permitted here");
        return;
    }
    const auto s = open_blob_files(disk.path() / "blobs", {.reserve_bytes = 1u << 20});
    const bytes data = content(2u << 20);
    const blob_manifest m = manifest_of(data, 256u << 10);
    s->begin(m);
    put(*s, m, data, 0);
    disk.fill(900u << 10);
    const auto is_full = [](const error& e) { return e.code() == errc::no_space; };
    CHECK_THROWS_MATCHES(put(*s, m, data, 1), error, Catch::Predicate<error>(is_full));
    CHECK_THROWS_MATCHES(add(*s, data), error, Catch::Predicate<error>(is_full));
    CHECK(s->chunks_here(m.id()) == 1);
    disk.free();
    for (std::uint64_t i = 1; i < 8; ++i) put(*s, m, data, i);
    CHECK(read_all(*s, m.id()) == data);
}

TEST_CASE("blob_store: a crash in memory keeps what was synced", "[store]") {
    const auto s = make_memory_blobs();
    const bytes data = content(5000);
    const blob_manifest m = manifest_of(data, 1024);
    s->begin(m);
    put(*s, m, data, 0);
    s->sync();
    put(*s, m, data, 1);
    put(*s, m, data, 2);
    CHECK(s->unsynced_count() == 2);
    s->crash(1);
    CHECK(s->chunks_here(m.id()) == 2);
    CHECK(s->next_missing(m.id(), 0) == 2);
}
