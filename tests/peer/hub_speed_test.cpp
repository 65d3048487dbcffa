#include <catch2/catch.hpp>

#include "peer/hub_harness.hpp"
#include <cstdio>
#include <ctime>

using namespace tributary;
using namespace tributary::testing;

/// Not a timed test: run by hand with `test_peer "[.speed]"` in a release build.
TEST_CASE("hub: ops a second from hub to hub in memory", "[.speed]") {
    constexpr int commits = 10000, ops_each = 100;
    replica_peer server(1), laptop(2);
    server.create("tweets", server.self);
    std::vector<bytes> ops;
    for (int i = 0; i < commits; ++i) {
        ops.clear();
        for (int k = 0; k < ops_each; ++k)
            ops.push_back(op_of(bytes(290, static_cast<char>('a' + k % 26)) + std::to_string(i)));
        server.store->append(1, server.self, ops, i);
        if (i % 100 == 99) server.store->flush();
    }
    wires net;
    // Processor time: one thread does it all, and the machine may have other work.
    const std::clock_t began = std::clock();
    const connection_counters c = sync(net, laptop, server, {.remote = "tweets"});
    const double took = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    std::printf("%.0f ops/s, %llu control bytes\n",
                commits * ops_each / took,
                static_cast<unsigned long long>(c.control_bytes));
    REQUIRE(laptop.heads() == server.heads());
}
