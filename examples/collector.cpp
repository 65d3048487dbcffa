// Collects JSON lines from standard input into a CRDT, and serves it to other peers meanwhile.
//
//   collector STORE CRDT OP LISTEN < lines
//   collector /var/lib/tweets tweets add-tweet 127.0.0.1:9095 < tweets.jsonl
//
// The first line of output is the address. After the last line it goes on serving until SIGINT or
// SIGTERM. Lines are buffered, so that a burst becomes a few commits rather than many; a commit is
// durable and on its way to everyone who follows when transact() returns.

#include "tributary/peer/stage.hpp"
#include "tributary/value/json.hpp"

#include <signal.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>

using namespace tributary;

namespace {

std::atomic<bool> stop_asked{false};

void watch_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { stop_asked = true; };  // without SA_RESTART: a read ends
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool has(stage& replica, const std::string& name) {
    for (const crdt_summary& crdt : replica.list()) {
        if (crdt.name == name) return true;
    }
    return false;
}

/// Ops wait here for a commit: until there are a hundred, or one comes when the oldest has waited
/// for ten seconds.
class buffer {
public:
    buffer(stage& replica, std::string crdt) : replica_(replica), crdt_(std::move(crdt)) {}

    void add(op o) {
        if (ops_.empty()) since_ = clock::now();
        ops_.push_back(std::move(o));
        if (ops_.size() >= 100 || clock::now() - since_ >= std::chrono::seconds(10)) commit();
    }

    void commit() {
        if (ops_.empty()) return;
        replica_.transact(crdt_, ops_);
        ops_.clear();
    }

private:
    using clock = std::chrono::steady_clock;
    stage& replica_;
    std::string crdt_;
    std::vector<op> ops_;
    clock::time_point since_;
};

void collect(stage& replica, const std::string& crdt, const std::string& op_name) {
    buffer pending(replica, crdt);
    std::string line;
    for (std::uint64_t number = 1; !stop_asked && std::getline(std::cin, line); ++number) {
        try {
            pending.add({symbol{op_name}, json::read(line)});
        } catch (const error& e) {
            if (e.code() != errc::bad_input) throw;
            std::cerr << "line " << number << ": " << e.what() << '\n';
        }
    }
    pending.commit();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: collector STORE CRDT OP LISTEN < lines\n";
        return 2;
    }
    const std::string crdt = argv[2];
    try {
        watch_signals();
        const auto replica = stage::open(argv[1]);
        if (!has(*replica, crdt)) replica->create(crdt, {"collector"});

        std::exception_ptr failed;
        std::thread server([&] {
            try {
                replica->serve(
                    {argv[4]},
                    [](const std::string& address) { std::cout << address << std::endl; },
                    [] { return !stop_asked; });
            } catch (...) {
                failed = std::current_exception();
            }
        });
        try {
            collect(*replica, crdt, argv[3]);
        } catch (...) {
            stop_asked = true;
            failed = std::current_exception();
        }
        server.join();
        if (failed) std::rethrow_exception(failed);
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "collector: " << e.what() << '\n';
        return 1;
    }
}
