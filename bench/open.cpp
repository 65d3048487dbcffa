// Opening a store of 1,000,000 commits beside opening the bare LevelDB directory in it, after a
// clean end and after kill -9.

#include "tributary/peer/stage.hpp"

#include <leveldb/db.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servers.hpp"
#include <csignal>

using namespace tributary;
using namespace bench;

namespace {

fs::path leveldb_in(const fs::path& replica) {
    for (const auto& at : fs::recursive_directory_iterator(replica)) {
        if (at.path().filename() == "CURRENT") return at.path().parent_path();
    }
    std::abort();
}

figures open_bare(const fs::path& dir) {
    stopwatch watch;
    watch.start();
    leveldb::DB* db = nullptr;
    if (!leveldb::DB::Open({}, dir.string(), &db).ok()) std::abort();
    watch.stop();
    delete db;
    return {watch.seconds() * 1000};
}

figures open_replica(const fs::path& dir, std::uint64_t commits) {
    stopwatch watch;
    watch.start();
    auto replica = stage::open(dir);
    if (replica->summary("tweets").commits < commits) std::abort();
    watch.stop();
    return {watch.seconds() * 1000, private_mib()};
}

/// Writes until it is killed in the middle.
void write_and_kill(const fs::path& dir) {
    const pid_t child = fork();
    if (child == 0) {
        auto replica = stage::open(dir);
        for (std::uint64_t c = 0;; ++c)
            replica->transact_encoded("tweets", encoded_tweets(c * 100, 100));
    }
    sleep(2);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

}  // namespace

int main() {
    const scratch dir;
    const fs::path replica = dir / "replica";
    const std::uint64_t commits = scaled(1000000);
    make_replica(replica, commits, 1);
    std::vector<double> ours, bare, memory, killed;
    for (int run = 0; run < std::max(5, runs()); ++run) {
        bare.push_back(isolated([&] { return open_bare(leveldb_in(replica)); })[0]);
        const figures f = isolated([&] { return open_replica(replica, commits); });
        ours.push_back(f[0]);
        memory.push_back(f[1]);
    }
    for (int run = 0; run < runs(); ++run) {
        write_and_kill(replica);
        killed.push_back(isolated([&] { return open_replica(replica, commits); })[0]);
    }
    report("open a store of " + std::to_string(commits) + " commits",
           median(ours),
           "bare LevelDB",
           median(bare),
           "ms",
           false);
    report("  private memory", median(memory), "MiB");
    report("  after kill -9", median(killed), "ms");
}
