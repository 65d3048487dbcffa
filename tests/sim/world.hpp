/// A few replicas, the network between them and their disks, in virtual time, all driven by one
/// seed.
///
/// Faults: links that delay and break with what is under way, ends that notice late, machines that
/// lose power between turns or during a write to the disk (the seed says which, and how much of
/// what was not synced is there afterwards), disks that are full for a while, replicas restored
/// from a backup. Then everything heals, and all replicas must become equal.
///
/// Frames of one connection arrive in the order they were sent, because a connection is a WebSocket
/// on TCP, which gives nothing less; a frame cut at any byte is a frame that never arrived. What
/// belongs to different connections, also to two between the same peers, comes in any order.
#pragma once

#include "tributary/peer/hub.hpp"
#include "tributary/store/memory_kv.hpp"

#include "sim/model.hpp"
#include "sim/random.hpp"
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <vector>

namespace tributary::sim {

struct run_report {
    hash32 end_hash;  ///< of everything that was delivered and when
    std::uint64_t commits = 0, merges = 0, frames = 0, crashes = 0, cut_writes = 0,
                  surviving_writes = 0, failed_writes = 0, restores = 0, broken_links = 0;
    mono_ms healed_ms = 0;  ///< until all were equal
};

class world {
public:
    explicit world(std::uint64_t seed, bool trace = false);
    ~world();
    /// Throws std::logic_error when an invariant does not hold.
    run_report run();

private:
    struct replica {
        std::size_t index = 0;
        identity self = identity::from_seed(bytes(32, '\0'));
        hub_options options;
        std::unique_ptr<memory_kv> disk;
        std::unique_ptr<memory_kv> backup;
        std::unique_ptr<commit_store> store;
        std::unique_ptr<hub> talk;
        bool turn_due = false;
        bool dies_after_write = false;     ///< and before it says so
        std::vector<commit_id> written;    ///< in this turn
        std::set<commit_id> acknowledged;  ///< written here and durable
        arrival_cursor durable;
        model judge;
        unsigned life = 0;      ///< restarts
        bool restored = false;  ///< may have lost what it acknowledged

        bool alive() const { return talk != nullptr; }
    };
    struct connection {
        std::size_t dialer, acceptor, edge;
        bool broken = false;
        unsigned dialer_life, acceptor_life;
        mono_ms last_to_dialer = 0,
                last_to_acceptor = 0;  ///< arrival of the newest frame: order is kept
        std::size_t to_dialer_bytes = 0, to_acceptor_bytes = 0;
    };
    /// Who dials whom, again and again.
    struct edge {
        std::size_t dialer, acceptor;
        bool live;
        bool up = false;
    };
    struct event {
        mono_ms at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const event& other) const {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    void after(mono_ms delay, std::function<void()> what);
    void run_until(mono_ms end);
    void say(const std::string& line);

    void make_replicas();
    void open(replica& r);
    void schedule_faults();
    void turn_soon(replica& r);
    void turn(replica& r);
    void perform(replica& r, hub_effects effects);
    void turn_failed(replica& r);
    void crash(replica& r);
    void restart(replica& r);
    void dial(std::size_t edge);
    void redial(std::size_t edge);
    void send(replica& from, connection_id c, bytes frame);
    void arrive(connection_id c, bool to_dialer, const bytes& frame);
    void hang_up(connection_id c);
    void break_link(connection_id c);
    void lose(connection_id c, bool dialer, mono_ms delay);
    void act(replica& r);
    void write(replica& r);
    void merge(replica& r);
    void misfortune();
    void tick(std::size_t index);

    std::optional<crdt_handle> handle(const replica& r) const;
    void judge(replica& r);
    void judge_promises();
    bool all_equal() const;
    void heal();
    void require_equal_logs();

    std::uint64_t seed_;
    bool trace_;
    random_source random_;
    mono_ms now_ = 0;
    std::uint64_t order_ = 0;
    std::priority_queue<event> events_;
    std::vector<replica> replicas_;
    std::vector<edge> edges_;
    std::map<connection_id, connection> connections_;
    connection_id last_connection_ = 0;
    bool healing_ = false;
    bool backups_ = false;
    int busy_ = 0;  ///< percent chance of an action each time
    hash32 trail_;
    run_report report_;
};

}  // namespace tributary::sim
