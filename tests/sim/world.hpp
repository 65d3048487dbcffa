/// One run: peers, honest and hostile, and the network between them, all driven by one seed.
///
/// First everything that can go wrong goes wrong, and at every step what an honest peer keeps must
/// be what follows from verified commits, and what it acknowledged must be there. Then all faults
/// end but the hostile peers, and within a bound all honest peers must become equal, at a cost in
/// proportion to what was missing.
#pragma once

#include "sim/hostile.hpp"
#include "sim/ledger.hpp"
#include "sim/peer.hpp"
#include <memory>
#include <vector>

namespace tributary::sim {

/// The power goes at one peer during one write of its disk.
struct planned_crash {
    std::size_t peer = 0, write = 0;
};

struct run_report {
    hash32 end_hash;  ///< of everything that was delivered and when
    counts counted;
    std::vector<std::size_t> writes;  ///< to the disk of each honest peer, until all faults ended
};

class world {
public:
    explicit world(std::uint64_t seed, bool trace = false, std::optional<planned_crash> crash = {});
    ~world();
    /// Throws std::logic_error when an invariant does not hold.
    run_report play();

private:
    void make_peers();
    void make_some_partial(std::vector<peer_settings>& all);
    void make_hostile_peers();
    peer_settings random_settings();
    signed_genesis make_genesis(const std::vector<peer_settings>& honest);
    void schedule_faults();
    void part_network();

    void judge_promises() const;
    void judge_authors() const;
    bool all_equal() const;
    bool has_all_above(const peer& p) const;
    std::uint64_t missing() const;
    void settle();
    void heal();
    void require_equal_logs();
    void reconnect();

    const std::uint64_t seed_;
    run run_;
    ledger ledger_;
    network net_;
    std::vector<std::unique_ptr<peer>> peers_;
    std::vector<edge> edges_;  ///< between honest ones
    std::vector<std::unique_ptr<hostile_peer>> hostile_;
    hub_options common_;
    bool with_hostile_ = false;
    std::set<public_key> writers_;  ///< none: anyone may write
    std::set<public_key> twins_;    ///< keys that two machines have
    std::optional<planned_crash> crash_;
};

}  // namespace tributary::sim
