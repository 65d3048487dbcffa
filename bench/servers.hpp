/// Replicas for the benchmarks of replication, each served by a process of its own.
#pragma once

#include "tributary/store/commit_store.hpp"

#include "harness.hpp"
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// A child process that does `serve(ready)`; `ready` is to be called with an address once it
/// listens. Killed in the destructor.
class server_process {
public:
    explicit server_process(
        const std::function<void(const std::function<void(const std::string&)>& ready)>& serve);
    ~server_process();
    server_process(const server_process&) = delete;
    const std::string& address() const { return address_; }
    /// Private memory of it now, MiB.
    double private_mib() const;
    int pid() const { return pid_; }
    /// Processor time it has used, seconds.
    double processor_seconds() const;

private:
    int pid_ = 0;
    std::string address_;
};

/// Serves the replica in `dir` until killed.
void serve_replica(const fs::path& dir, const std::function<void(const std::string&)>& ready);

/// Makes the store of a replica in `dir`, with a CRDT "tweets" of `commits` commits of one op by
/// owners[0].
void make_store(const fs::path& dir,
                const std::vector<tributary::identity>& owners,
                std::uint64_t commits);
/// Appends as many to it, by `author`. `first`: the tweet to begin with.
void append_commits(tributary::commit_store& store,
                    const tributary::identity& author,
                    std::uint64_t first,
                    std::uint64_t commits);

/// Makes a replica in `dir` with a CRDT "tweets" of `commits` commits of `ops_per_commit` ops.
void make_replica(const fs::path& dir, std::uint64_t commits, std::uint64_t ops_per_commit);

}  // namespace bench
