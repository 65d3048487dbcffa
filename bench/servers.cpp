#include "servers.hpp"

#include "tributary/peer/stage.hpp"

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
