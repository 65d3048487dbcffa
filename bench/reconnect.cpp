// Reconnect: what it costs a replica that shares 1,000 to 1,000,000 commits to fetch 1 or 100 new
// ones: with the cursor it kept, without, and without when it wrote as many itself.

#include "tributary/peer/stage.hpp"

#include "servers.hpp"
#include <filesystem>

using namespace tributary;
using namespace bench;

namespace {

constexpr const char* crdt_name = "tweets";

void append(const fs::path& dir, std::uint64_t commits) {
    isolated([&]() -> figures {
        auto replica = stage::open(dir);
        for (std::uint64_t c = 0; c < commits; ++c)
            replica->transact_encoded(crdt_name, encoded_tweets(c, 1));
        return {};
    });
}

/// A replica for its identity alone, which may write what `server` has.
void make_writer(const fs::path& dir, const fs::path& server) {
    isolated([&]() -> figures {
        stage::open(server)->grant(crdt_name, stage::open(dir)->key(), "writer");
        return {};
    });
}

/// A copy of a replica, as another machine that has the same commits.
void copy_replica(const fs::path& from, const fs::path& to, const fs::path& writer) {
    fs::remove_all(to);
    fs::remove(from / "socket");
    fs::copy(from, to, fs::copy_options::recursive);
    fs::copy_file(writer / "identity", to / "identity", fs::copy_options::overwrite_existing);
}

enum class meeting { cursor, no_cursor, both_wrote };

std::string name_of(meeting how) {
    switch (how) {
        case meeting::cursor:
            return "cursor";
        case meeting::no_cursor:
            return "no cursor";
        case meeting::both_wrote:
            return "no cursor, as many here";
    }
    return "";
}

/// Syncs; figures: ms in all, bytes of control, round trips.
figures sync(const fs::path& dir, const std::string& url, std::uint64_t expected) {
    return isolated([&]() -> figures {
        auto replica = stage::open(dir);
        const sync_report r = replica->connect(crdt_name, url);
        if (r.commits_in != expected) std::abort();
        return {r.seconds * 1000,
                static_cast<double>(r.control_bytes),
                static_cast<double>(r.round_trips)};
    });
}

void bench_at(const scratch& dir, std::uint64_t shared) {
    const fs::path server_dir = dir / ("server" + std::to_string(shared));
    const fs::path client_dir = dir / "client";
    const fs::path writer = dir / ("writer" + std::to_string(shared));
    make_replica(server_dir, shared, 1);
    make_writer(writer, server_dir);
    for (const meeting how : {meeting::cursor, meeting::no_cursor, meeting::both_wrote}) {
        for (const std::uint64_t fresh : {1, 100}) {
            std::vector<double> ms, control, turns;
            for (int run = 0; run < runs(); ++run) {
                copy_replica(server_dir, client_dir, writer);
                if (how == meeting::both_wrote) append(client_dir, fresh);
                if (how == meeting::cursor) {  // a first meeting leaves one behind
                    const server_process server(
                        [&](const auto& ready) { serve_replica(server_dir, ready); });
                    sync(client_dir, server.address(), 0);
                }
                append(server_dir, fresh);
                const server_process server(
                    [&](const auto& ready) { serve_replica(server_dir, ready); });
                const figures f = sync(client_dir, server.address(), fresh);
                ms.push_back(f[0]);
                control.push_back(f[1]);
                turns.push_back(f[2]);
            }
            const std::string what =
                std::to_string(fresh) + " new on " + std::to_string(shared) + ", " + name_of(how);
            report("reconnect, " + what, median(ms), "ms");
            report("  control bytes", median(control), "bytes");
            report("  round trips", median(turns), "");
        }
    }
}

}  // namespace

int main() {
    const scratch dir;
    for (const std::uint64_t shared : {1000, 100000, 1000000}) bench_at(dir, scaled(shared));
}
