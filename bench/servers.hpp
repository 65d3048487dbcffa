/// Replicas for the benchmarks of replication, each served by a process of its own.
#pragma once

#include "harness.hpp"
#include <functional>
#include <string>

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
    /// Processor time it has used, seconds.
    double processor_seconds() const;

private:
    int pid_ = 0;
    std::string address_;
};

/// Serves the replica in `dir` until killed.
void serve_replica(const fs::path& dir, const std::function<void(const std::string&)>& ready);

/// Makes a replica in `dir` with a CRDT "tweets" of `commits` commits of `ops_per_commit` ops.
void make_replica(const fs::path& dir, std::uint64_t commits, std::uint64_t ops_per_commit);

}  // namespace bench
