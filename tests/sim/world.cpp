#include "sim/world.hpp"

#include "tributary/value/covered.hpp"

#include <array>

namespace tributary::sim {
namespace {

constexpr mono_ms chaos_ms = 20000;
constexpr mono_ms heal_ms_max = 60000;

}  // namespace

world::world(std::uint64_t seed, bool trace, std::optional<planned_crash> crash)
    : seed_(seed), run_(seed, trace), ledger_(run_, net_), net_(run_, ledger_), crash_(crash) {}
world::~world() = default;

run_report world::play() {
    make_peers();
    make_hostile_peers();
    schedule_faults();
    if (crash_) peers_.at(crash_->peer)->crash_at_write(crash_->write);
    while (run_.time.now() < chaos_ms) {
        run_.time.run_until(run_.time.now() + 2000);
        judge_promises();
    }
    run_report report;
    for (const auto& p : peers_) report.writes.push_back(p->writes());
    heal();
    run_.counted.peers_max = peers_.size() + hostile_.size();
    report.end_hash = ledger_.trail();
    report.counted = run_.counted;
    return report;
}

// -- Beginning ------------------------------------------------------------------------------------

peer_settings world::random_settings() {
    random_source& random = run_.random;
    peer_settings s;
    s.self = identity::from_seed(random.fresh_bytes(32));
    s.hub = common_;
    s.hub.chunk_commits = 1 + random.below(8);
    s.hub.chunk_bytes = random.chance(50) ? 400 : 4000;
    s.hub.window_bytes = random.chance(30) ? 1000 : common_.frame_bytes_max / 2;
    s.hub.walk_budget = std::array{0u, 2u, 16u, 65536u}[random.below(4)];
    s.hub.blob_window_bytes = seed_ % 2 == 0 ? 3000 : 64u << 10;
    s.hub.handshake_ms = 2000;
    s.hub.idle_ms = 4000;
    s.clock_ahead = random.between(0, 1'000'000'000);
    s.clock_permille = static_cast<int>(random.between(900, 1100));
    s.wall_ahead = random.between(-100'000'000, 100'000'000);
    if (random.chance(20)) s.slow_ms_max = random.between(10, 800);
    return s;
}

signed_genesis world::make_genesis(const std::vector<peer_settings>& honest) {
    genesis g;
    g.name = shared_name;
    g.open_write = run_.random.chance(60);
    for (const peer_settings& s : honest)
        if (std::find(g.owners.begin(), g.owners.end(), s.self.key()) == g.owners.end())
            g.owners.push_back(s.self.key());
    g.public_read = g.open_write || run_.random.chance(50);
    g.nonce = run_.random.fresh_bytes(16);
    if (!g.open_write) writers_.insert(g.owners.begin(), g.owners.end());
    return sign(g, honest.front().self);
}

void world::make_peers() {
    random_source& random = run_.random;
    // Limits that are part of the protocol, and so the same for all.
    common_.sketch_cells = std::array{4u, 64u, 1u << 18}[random.below(3)];
    common_.frame_bytes_max = common_.sketch_cells <= 64 ? 16u << 10 : 128u << 10;
    with_hostile_ = random.chance(50);
    const std::size_t count = random_size(random);
    const bool backups = random.chance(40);
    std::vector<peer_settings> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(random_settings());
        all.back().backups = backups;
        all.back().blobs = seed_ % 3 == 0;
    }
    // A key that was copied: two machines write under one name.
    if (count > 2 && random.chance(10)) {
        all.back().self = all[1].self;
        twins_.insert(all[1].self.key());
    }
    edges_ = random_edges(random, count);
    if (!backups && twins_.empty()) make_some_partial(all);
    const signed_genesis g = make_genesis(all);
    const std::string address = address_of(id_of_genesis(g.record));
    for (peer_settings& s : all) {
        if (with_hostile_ || random.chance(50)) s.clone_from = address;
        peers_.push_back(std::make_unique<peer>(run_, net_, s));
    }
    peers_.front()->create(g);
    for (const edge& e : edges_) net_.keep_connected(e);
}

/// At the edge of the mesh, where nobody is to get through them what they do not have.
void world::make_some_partial(std::vector<peer_settings>& all) {
    for (std::size_t i = 1; i < all.size(); ++i) {
        std::set<std::size_t> neighbours;
        for (const edge& e : edges_) {
            if (e.dialer == i) neighbours.insert(e.acceptor);
            if (e.acceptor == i) neighbours.insert(e.dialer);
        }
        if (neighbours.size() == 1 && run_.random.chance(70))
            all[i].part = history_part{history_part::measure::depth,
                                       static_cast<std::uint64_t>(run_.random.between(1, 12))};
    }
}

void world::make_hostile_peers() {
    random_source& random = run_.random;
    if (!with_hostile_) return;
    const crdt_id target = peers_.front()->store().state(1).id;
    for (std::size_t n = 1 + random.below(2); n > 0; --n) {
        hostile_.push_back(std::make_unique<hostile_peer>(run_, net_, random_settings(), target));
        const std::size_t self = hostile_.back()->index();
        for (std::size_t lines = 1 + random.below(3); lines > 0; --lines) {
            const std::size_t victim = random.below(peers_.size());
            // Whoever makes a cut is believed in what it leaves out.
            if (peers_[victim]->settings().part) continue;
            net_.keep_connected(random.chance(50) ? edge{self, victim, true}
                                                  : edge{victim, self, true});
        }
    }
}

// -- What goes wrong ------------------------------------------------------------------------------

void world::schedule_faults() {
    random_source& random = run_.random;
    const std::int64_t busy = random.between(20, 90);
    const auto misfortunes = random.between(0, 12);
    for (int i = 0; i < misfortunes; ++i)
        run_.time.after(random.between(100, chaos_ms - 100),
                        [this] { peers_[run_.random.below(peers_.size())]->misfortune(); });
    if (random.chance(50))
        for (auto partitions = random.between(1, 4); partitions > 0; --partitions)
            run_.time.after(random.between(100, chaos_ms - 100), [this] { part_network(); });
    for (mono_ms at = 200; at < chaos_ms; at += random.between(100, 1500))
        run_.time.after(at, [this, busy] {
            const std::size_t who = run_.random.below(peers_.size() + hostile_.size());
            if (!run_.random.chance(static_cast<int>(busy))) return;
            if (who < peers_.size())
                peers_[who]->act();
            else
                hostile_[who - peers_.size()]->act();
        });
}

/// Some hear nothing more of the others for a while; perhaps the others neither of them.
void world::part_network() {
    random_source& random = run_.random;
    ++run_.counted.partitions;
    std::vector<bool> apart;
    for (std::size_t i = 0; i < peers_.size(); ++i) apart.push_back(random.chance(50));
    const mono_ms until = run_.time.now() + random.between(200, 9000);
    const bool both = random.chance(50);
    run_.say(fmt::format("a partition{} until {}", both ? "" : " of one direction", until));
    for (std::size_t a = 0; a < peers_.size(); ++a)
        for (std::size_t b = 0; b < peers_.size(); ++b)
            if (apart[a] && !apart[b]) {
                net_.hold(a, b, until);
                if (both) net_.hold(b, a, until);
            }
}

// -- Judging --------------------------------------------------------------------------------------

/// What one peer keeps as acknowledged by another is there, durably.
void world::judge_promises() const {
    for (const auto& from : peers_)
        for (const auto& to : peers_) {
            if (!from->up() || !to->up() || !from->handle() || to->restored()) continue;
            if (to->settings().part) continue;  // what is below its cut is not there
            if (twins_.contains(to->key())) continue;  // the other one acknowledged it
            const auto mark =
                from->store().mark(*from->handle(), "peer/" + to->key().hex() + "/out");
            if (!mark) continue;
            const std::uint64_t promised = get_be64(bytes_view(*mark).substr(0, 8));
            for (std::size_t at = 0; at < promised; ++at)
                if (!to->judged().has(from->judged().log().at(at)))
                    broken(fmt::format("peer {} does not have what peer {} holds for acknowledged",
                                       to->index(),
                                       from->index()));
        }
}

/// Who may not write has written nothing that counts.
void world::judge_authors() const {
    if (writers_.empty()) return;
    const commit_store& store = peers_.front()->store();
    const crdt_handle h = *peers_.front()->handle();
    for (node n = 1; n <= store.state(h).end.seq; ++n) {
        const arrival_entry e = store.entry(h, n);
        if (e.linearized && !writers_.contains(decode_header(e.header).author))
            broken("a commit of an author who may not write counts");
    }
}

bool world::all_equal() const {
    const model& first = peers_.front()->judged();
    for (const auto& p : peers_) {
        if (!p->up() || !p->handle() || !p->has_all_blobs()) return false;
        const bool is_partial = p->store().cut_of(*p->handle()).has_value();
        if (is_partial ? !has_all_above(*p) : p->judged().commits() != first.commits())
            return false;
    }
    return true;
}

/// Whether what a partial peer does not have is below what it has.
bool world::has_all_above(const peer& p) const {
    const auto& all = peers_.front()->judged().commits();
    const auto& here = p.judged().commits();
    std::set<commit_id> below;
    std::vector<commit_id> open;
    for (const auto& [id, parents] : here) {
        if (!all.contains(id)) return false;
        for (const commit_id& parent : parents)
            if (!here.contains(parent)) open.push_back(parent);
    }
    while (!open.empty()) {
        const commit_id id = open.back();
        open.pop_back();
        if (!below.insert(id).second) continue;
        const auto found = all.find(id);
        if (found == all.end()) return false;
        open.insert(open.end(), found->second.begin(), found->second.end());
    }
    return std::all_of(all.begin(), all.end(), [&](const auto& each) {
        return here.contains(each.first) || below.contains(each.first);
    });
}

/// How many commits would cross how many links, if each crossed every one that has an end without
/// it.
std::uint64_t world::missing() const {
    std::set<commit_id> all;
    for (const auto& p : peers_) all.insert(p->judged().log().begin(), p->judged().log().end());
    std::uint64_t crossings = 0;
    for (const auto& [a, b, live] : edges_)
        for (const commit_id& id : all)
            if (!peers_[a]->judged().has(id) || !peers_[b]->judged().has(id)) ++crossings;
    return crossings;
}

void world::settle() {
    const mono_ms began = run_.time.now();
    while (!all_equal()) {
        if (run_.time.now() - began > heal_ms_max) {
            for (const auto& p : peers_) p->tell_lacking();
            broken("the peers do not become equal");
        }
        run_.time.run_until(run_.time.now() + 250);
    }
}

void world::heal() {
    run_.healing = true;
    run_.say("all faults end");
    for (const auto& p : peers_) p->end_faults();
    net_.release_all();
    judge_promises();
    const mono_ms began = run_.time.now();
    settle();
    run_.counted.healed_ms = run_.time.now() - began;
    run_.say("all are equal; the hostile leave");
    for (const auto& h : hostile_) net_.remove(h->index());
    run_.time.run_until(run_.time.now() + 1000);
    settle();
    // One joins all heads; then there is one order, and it is the same for all.
    const peer& first = *peers_.front();
    const auto writer =
        std::find_if(peers_.begin(), peers_.end(), [](const auto& p) { return p->may_write(); });
    // All wait for commits of theirs that everybody has lost: a peer that has them may come back.
    if (writer == peers_.end()) return;
    while (first.store().state(*first.handle()).heads.size() > 1) {
        (*writer)->merge();
        run_.time.run_until(run_.time.now() + 20);
        settle();
    }
    run_.time.run_until(run_.time.now() + 5000);
    if (!all_equal()) broken("peers that were equal are not any more");
    judge_promises();
    judge_authors();
    require_equal_logs();
    reconnect();
}

/// All connections end, some write, all connect again: that costs what is missing.
void world::reconnect() {
    const std::uint64_t given_up = times_taken("sketch given up");
    for (const auto& p : peers_) {
        net_.reset(p->index());
        for (const auto& other : peers_)
            net_.hold(p->index(), other->index(), run_.time.now() + 500);
    }
    for (const auto& p : peers_) p->end_blobs();  // commits alone are counted
    for (std::size_t n = 1 + run_.random.below(3); n > 0; --n)
        peers_[run_.random.below(peers_.size())]->act();
    run_.time.run_until(run_.time.now() + 500);
    const std::uint64_t lacking = missing();
    ledger_.take_traffic();
    settle();
    const ledger::traffic t = ledger_.take_traffic();
    const std::uint64_t control = t.sent_bytes - t.payload_bytes, connections = t.hellos / 2;
    run_.say(
        fmt::format("all are equal again: {} crossings were needed; {} commits, {} frames and {} "
                    "control bytes were sent over {} connections",
                    lacking,
                    t.commits,
                    t.frames,
                    control,
                    connections));
    // Twice: one may reach both ends of a link at the same time, and cross it both ways. Two links
    // may join the same peers, besides.
    // A sketch that is too small for the difference, as some are here, is given up for everything.
    if (times_taken("sketch given up") > given_up) return;
    if (t.commits > 2 * lacking + connections)
        broken("a reconnect sent more commits than were missing");
    if (control > 1500 * connections + 100 * t.commits + 500 * peers_.size())
        broken("a reconnect cost more than what was missing");
    if (t.frames > 30 * connections + 4 * t.commits + 30 * peers_.size())
        broken("a reconnect took too many messages");
}

void world::require_equal_logs() {
    const auto linear = [](const peer& p) {
        const crdt_handle h = *p.handle();
        std::vector<commit_id> order;
        for (std::uint64_t at = 0; at < p.store().state(h).linear_length; ++at)
            order.push_back(p.store().entry(h, p.store().linear_at(h, at).number).id);
        return order;
    };
    for (const auto& p : peers_) {
        p->examine();
        if (p->store().cut_of(*p->handle())) continue;
        if (linear(*p) != linear(*peers_.front())) broken("equal peers with different linear logs");
    }
    const peer& first = *peers_.front();
    run_.counted.equivocations = first.store().equivocations(*first.handle()).size();
}

}  // namespace tributary::sim
