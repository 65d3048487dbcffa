#include "servers.hpp"

#include "tributary/peer/stage.hpp"
#include "tributary/store/open_commits.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace bench {

using namespace tributary;

server_process::server_process(
    const std::function<void(const std::function<void(const std::string&)>&)>& serve) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        serve([&](const std::string& address) {
            const std::string line = address + "\n";
            if (write(ends[1], line.data(), line.size()) < 0) std::abort();
        });
        _exit(0);
    }
    close(ends[1]);
    for (char c = 0; read(ends[0], &c, 1) == 1 && c != '\n';) address_ += c;
    close(ends[0]);
}

server_process::~server_process() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

double server_process::private_mib() const {
    return bench::private_mib("/proc/" + std::to_string(pid_) + "/status");
}

double server_process::processor_seconds() const {
    std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
    std::string field;
    double ticks = 0;
    for (int i = 1; i <= 15 && stat >> field; ++i)
        if (i >= 14) ticks += std::strtod(field.c_str(), nullptr);
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void serve_replica(const fs::path& dir, const std::function<void(const std::string&)>& ready) {
    stage::open(dir)->serve({"127.0.0.1:0"}, ready, [] { return true; });
}

void append_commits(commit_store& store,
                    const identity& author,
                    std::uint64_t first,
                    std::uint64_t commits) {
    const crdt_handle h = store.find_name("tweets").value();
    for (std::uint64_t c = 0; c < commits; ++c) {
        store.append(h, author, encoded_tweets(first + c, 1), static_cast<std::int64_t>(c));
        if (c % 1000 == 999) store.flush();
    }
    store.flush();
}

void make_store(const fs::path& dir,
                const std::vector<identity>& owners,
                std::uint64_t commits) {
    isolated([&]() -> figures {
        fs::create_directories(dir);
        const auto db = open_commits(dir / "db");
        commit_store store(*db);
        genesis g;
        g.name = "tweets";
        for (const identity& owner : owners) g.owners.push_back(owner.key());
        g.nonce = bytes(16, 'n');
        store.add(sign(g, owners.front()), "tweets");
        append_commits(store, owners.front(), 0, commits);
        return {};
    });
}

void make_replica(const fs::path& dir, std::uint64_t commits, std::uint64_t ops_per_commit) {
    isolated([&]() -> figures {
        auto replica = stage::open(dir);
        replica->create("tweets");
        constexpr std::uint64_t writers = 64;  // so that commits share syncs
        std::vector<std::thread> threads;
        for (std::uint64_t w = 0; w < writers; ++w) {
            threads.emplace_back([&, w] {
                for (std::uint64_t c = w; c < commits; c += writers) {
                    replica->transact_encoded("tweets",
                                              encoded_tweets(c * ops_per_commit, ops_per_commit));
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        return {};
    });
}

}  // namespace bench
