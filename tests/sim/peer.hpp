/// One replica on one machine: its disk, its clocks, its store and its hub, and the judge of what
/// it keeps.
///
/// Faults: power lost between turns or during a write (how much of what was not synced is there
/// afterwards is left to chance), a disk that is full or fails for a while, a slow disk, a clock
/// that is wrong or runs at another rate, a restore from an old backup.
#pragma once

#include "tributary/peer/hub.hpp"
#include "tributary/store/blob_store.hpp"
#include "tributary/store/memory_kv.hpp"

#include "sim/model.hpp"
#include "sim/network.hpp"
#include <memory>
#include <set>

namespace tributary::sim {

/// The name of the one CRDT of a run.
inline constexpr const char* shared_name = "shared";

struct peer_settings {
    identity self = identity::from_seed(bytes(32, '\0'));
    hub_options hub;
    mono_ms clock_ahead = 0;    ///< of virtual time
    int clock_permille = 1000;  ///< its rate
    std::int64_t wall_ahead = 0;
    mono_ms slow_ms_max = 0;           ///< that a flush may take
    std::optional<history_part> part;  ///< it has only that of the history
    bool backups = false;
    std::string clone_from = shared_name;  ///< or an address
    bool blobs = false;                    ///< some commits name blobs
};

class peer : public machine {
public:
    peer(run& r, network& n, peer_settings s);
    ~peer() override;

    bool up() const override { return talk_ != nullptr; }
    mono_ms busy_until(connection_id) const override { return busy_until_; }
    void dialed(connection_id c, bool live) override;
    void accepted(connection_id c) override;
    void received(connection_id c, const bytes& frame) override;
    void backlog(connection_id c, std::size_t bytes) override;
    void disconnected(connection_id c) override;

    // What users do.
    void create(const signed_genesis& g);
    /// One or many commits, perhaps a merge; takes a backup before, sometimes.
    virtual void act();
    void merge();

    // What fate does.
    void misfortune();
    void crash();
    /// The power goes during the `n`th write from now on.
    void crash_at_write(std::size_t n) { disk_->cut_at(n); }
    void end_faults();
    void end_blobs() { settings_.blobs = false; }

    std::size_t index() const { return index_; }
    const peer_settings& settings() const { return settings_; }
    const public_key& key() const { return settings_.self.key(); }
    const commit_store& store() const { return *store_; }
    std::optional<crdt_handle> handle() const;
    const model& judged() const { return judge_; }
    /// It may have lost what it acknowledged.
    bool restored() const { return restored_; }
    /// Not while it waits for commits of its own that a peer has shown.
    bool may_write() const;
    /// Whether all blobs that its commits name are here.
    bool has_all_blobs() const;
    /// Into the trace.
    void tell_lacking() const;
    /// Everything again, from the bytes.
    void examine() { judge_.examine(*store_, *handle()); }
    std::size_t writes() const { return disk_->write_count(); }

protected:
    /// A frame of its hub goes out.
    virtual void transmit(connection_id c, bytes frame);
    /// Whether a connection may end with this code, said by this side.
    virtual void closed(connection_id c, errc code, const std::string& reason);
    void turn_soon();

    run& run_;
    network& net_;
    commit_store& own_store() { return *store_; }
    hub& own_hub() { return *talk_; }
    mono_ms local_now() const;
    std::int64_t wall_now() const {
        return 1'500'000'000'000 + run_.time.now() + settings_.wall_ahead;
    }

private:
    void open();
    void restart();
    void tick();
    void turn();
    void turn_failed();
    void perform(hub_effects effects);
    void write();
    /// A want that makes the replica deeper, or goes on with that.
    want older();
    /// What is here comes behind what a deepening brought, or some of it.
    void deepen();
    /// False if it may not write yet.
    bool append(crdt_handle h,
                const std::vector<bytes>& ops,
                std::optional<std::vector<commit_id>> parents = std::nullopt,
                value ext = make_map({}));
    value add_blobs(std::vector<bytes>& ops);
    void damage_blob();
    void judge();
    void judge_outbox(connection_id c) const;
    bool alive(unsigned life) const { return up() && life == life_; }

    peer_settings settings_;
    std::size_t index_;
    std::unique_ptr<memory_kv> disk_, backup_;
    std::unique_ptr<memory_blobs> blobs_ = make_memory_blobs();
    std::set<blob_id> own_blobs_;  ///< that it added
    std::unique_ptr<commit_store> store_;
    std::unique_ptr<hub> talk_;
    model judge_;
    crdt_handle judged_ = 0;             ///< it changes when the replica becomes deeper
    std::set<connection_id> deepening_;  ///< over these
    unsigned life_ = 0;                  ///< restarts
    bool turn_due_ = false;
    bool dies_after_write_ = false;  ///< and before it says so
    bool restored_ = false;
    mono_ms busy_until_ = 0;
    std::vector<commit_id> written_;    ///< in this turn
    std::set<commit_id> acknowledged_;  ///< written here and durable
    arrival_cursor durable_;
};

}  // namespace tributary::sim
