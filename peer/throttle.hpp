/// Keeps who connects from outside from taking more than its share of disk and store thread: a
/// budget for each key, over all its connections. Whoever is beyond it is not disconnected: nothing
/// is read from it until the budget has filled up again. Thread rule: one thread.
#pragma once

#include "tributary/crdt/keys.hpp"
#include "tributary/peer/hub.hpp"
#include "tributary/peer/token_bucket.hpp"

#include <map>
#include <set>
#include <vector>

namespace tributary {

struct throttle_options {
    double bytes_s = 64.0 * (1u << 20);  ///< received; 0: no limit
    double burst_bytes = 1024.0 * (1u << 20);
    double messages_s = 20000;  ///< received; 0: no limit
    double burst_messages = 200000;
    double busy_ms_s = 800;  ///< of the store thread; 0: no limit
    double burst_busy_ms = 30000;
};

class throttle {
public:
    explicit throttle(const throttle_options& options = {}) : options_(options) {}

    /// `c` is a connection of `key` from outside. True: its key owes so much that it is not to be
    /// read from yet.
    bool opened(connection_id c, const public_key& key, mono_ms now);
    void closed(connection_id c);
    /// A message of `bytes` was received on `c`, and dealt with in `busy_ms`. True: no more is to
    /// be read from it, which was not so before.
    bool spend(connection_id c, std::size_t bytes, double busy_ms, mono_ms now);
    /// What may be read from again.
    std::vector<connection_id> due(mono_ms now);

    /// What is not read from at present.
    const std::set<connection_id>& held() const { return held_; }
    /// How often that began.
    std::uint64_t held_total() const { return held_total_; }

private:
    struct budget {
        token_bucket bytes, messages, busy;
        int connections = 0;
        bool is_empty(mono_ms now) {
            return bytes.is_empty(now) || messages.is_empty(now) || busy.is_empty(now);
        }
        bool is_full(mono_ms now) {
            return bytes.is_full(now) && messages.is_full(now) && busy.is_full(now);
        }
    };

    bool hold_if_empty(connection_id c, budget& b, mono_ms now);

    throttle_options options_;
    std::map<public_key, budget> budgets_;
    std::map<connection_id, public_key> keys_;
    std::set<connection_id> held_;
    std::uint64_t held_total_ = 0;
};

}  // namespace tributary
