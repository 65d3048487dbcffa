/// Blobs as applications meet them, over real sockets and files.

#include "tributary/peer/stage_blobs.hpp"

#include "peer/stage_support.hpp"
#include <fstream>
#include <sstream>

using namespace tributary;
using namespace tributary::testing;

namespace {

bytes content(std::size_t size) {
    bytes out(size, '\0');
    unsigned seed = 7;
    for (char& c : out) c = static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
    return out;
}

blob_ref add(stage& s, bytes_view data) {
    const auto to = s.blob_files().write();
    to->append(data);
    return to->finish();
}

op naming(const blob_id& id) {
    return {symbol{"add"}, make_map({{keyword{"blob"}, blob_address(id)}})};
}

bytes read_range(stage& s, const blob_id& id, std::uint64_t offset, std::uint64_t size) {
    bytes out;
    read_blob(s.blob_files(), id, offset, size, [&](bytes_view piece) { out += piece; });
    return out;
}

}  // namespace

TEST_CASE("stage: a commit names the blobs that its ops mention and that are known", "[peer]") {
    const temporary_directory dir;
    const auto s = stage::open(dir.path() / "store");
    s->create("files");
    const blob_ref here = add(*s, content(1000));
    const blob_id unknown = blob_id::from_bytes(bytes(32, 'u'));
    s->transact("files", {naming(here.id), naming(unknown), naming(here.id), note("more")});
    const auto blobs = s->blobs("files");
    REQUIRE(blobs.size() == 1);
    CHECK(blobs[0].id == here.id);
    CHECK(blobs[0].size == 1000);
    CHECK(blobs[0].here == 1000);
    CHECK(blobs[0].commit == s->summary("files").heads.at(0));
    const auto c = s->find("files", blobs[0].commit, false);
    CHECK(blobs_of_ext(c->header.ext) == std::vector{here});
    s->transact("files", {naming(unknown)});
    CHECK(s->blobs("files").size() == 1);
}

TEST_CASE("stage: a blob is read in ranges, and saved", "[peer]") {
    const temporary_directory dir;
    const auto s = stage::open(dir.path() / "store");
    const bytes data = content(600000);
    const blob_ref ref = add(*s, data);
    CHECK(read_range(*s, ref.id, 0, 600000) == data);
    CHECK(read_range(*s, ref.id, 0, 0).empty());
    CHECK(read_range(*s, ref.id, 262140, 10) == data.substr(262140, 10));
    CHECK(read_range(*s, ref.id, 65535, 2) == data.substr(65535, 2));
    CHECK(read_range(*s, ref.id, 400001, 150000) == data.substr(400001, 150000));
    CHECK(read_range(*s, ref.id, 599999, 100) == data.substr(599999));
    CHECK(read_range(*s, ref.id, 700000, 100).empty());
    CHECK_THROWS_AS(read_range(*s, blob_id{}, 0, 1), error);

    const auto file = dir.path() / "out";
    CHECK_THROWS_AS(save_blob(s->blob_files(), ref.id, file, [](auto done) { return done == 0; }),
                    error);
    CHECK_FALSE(std::filesystem::exists(file));
    save_blob(s->blob_files(), ref.id, file, [](auto) { return true; });
    std::ostringstream saved;
    saved << std::ifstream(file, std::ios::binary).rdbuf();
    CHECK(saved.str() == data);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 2);
}

TEST_CASE("stage: blobs come with a clone, live, and on demand", "[peer]") {
    const temporary_directory dir;
    const auto server = stage::open(dir.path() / "server");
    const auto laptop = stage::open(dir.path() / "laptop");
    const auto tablet = stage::open(dir.path() / "tablet");
    server->create("files");
    const bytes data = content(3000000);
    const blob_ref first = add(*server, data);
    server->transact("files", {naming(first.id)});
    const serving port(*server);
    const sync_report cloned = laptop->clone(port.address() + "/files", "");
    CHECK(cloned.blobs_in == 1);
    CHECK(cloned.blob_bytes_in == data.size());
    CHECK(cloned.payload_bytes > data.size());
    CHECK(cloned.control_bytes < 20000);
    CHECK(read_range(*laptop, first.id, 0, data.size()) == data);

    connect_options lazily;
    lazily.lazy_blobs = true;
    CHECK(tablet->clone(port.address() + "/files", "", lazily).blobs_in == 0);
    CHECK(tablet->blobs("files").at(0).here == 0);

    const following live(*laptop, "files", port.address());
    REQUIRE(eventually([&] { return live.state() == "live"; }));
    const blob_ref second = add(*server, data.substr(1));
    server->transact("files", {naming(second.id)});
    CHECK(eventually([&] { return laptop->blob_files().is_whole(second.id); }));

    connect_options one;
    one.blobs = {second.id};
    CHECK(tablet->connect("files", port.address(), one).blobs_in == 1);
    CHECK(tablet->blob_files().is_whole(second.id));
    CHECK_FALSE(tablet->blob_files().is_whole(first.id));
}
