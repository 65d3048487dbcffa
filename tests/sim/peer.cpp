#include "sim/peer.hpp"

#include "tributary/store/blob_index.hpp"
#include "tributary/store/deepen.hpp"
#include "tributary/value/covered.hpp"

namespace tributary::sim {
namespace {

std::unique_ptr<memory_kv> copy_of(const kv& from) {
    auto to = make_memory_kv();
    kv_batch all;
    const auto at = from.cursor();
    for (at->seek({}); at->valid(); at->next()) all.put(at->key(), at->val());
    if (!all.empty()) to->write(all, true);
    return to;
}

/// What may end a connection between honest peers: none of them ever says what another refuses.
bool is_honest(errc code) {
    switch (code) {
        case errc::not_found:  // it does not have the CRDT yet
        case errc::io:         // its disk
        case errc::no_space:
        case errc::unavailable:  // silence
        case errc::canceled:     // a handshake that took too long
            return true;
        default:
            return false;
    }
}

}  // namespace

peer::peer(run& r, network& n, peer_settings s)
    : run_(r), net_(n), settings_(std::move(s)), index_(n.add(*this)), disk_(make_memory_kv()) {
    open();
    run_.time.after(run_.random.between(1, 500), [this] { tick(); });
}

peer::~peer() = default;

void peer::open() {
    talk_.reset();
    store_.reset();
    store_ = std::make_unique<commit_store>(*disk_);
    talk_ = std::make_unique<hub>(
        *store_,
        settings_.self,
        [this] { return run_.random.fresh_bytes(32); },
        settings_.hub,
        blobs_.get());
    turn_due_ = false;
    written_.clear();
}

std::optional<crdt_handle> peer::handle() const {
    const auto all = store_->list();
    if (all.empty()) return std::nullopt;
    if (all.size() > 1) broken("a replica made two of one CRDT");
    return all.front();
}

mono_ms peer::local_now() const {
    return 1 + settings_.clock_ahead + run_.time.now() * settings_.clock_permille / 1000;
}

// -- Connections ----------------------------------------------------------------------------------

void peer::dialed(connection_id c, bool live) {
    want w;
    w.live = live;
    w.handle = handle();
    if (!w.handle) {
        // A name is what the other side says; only the address is sure to be the same.
        w.remote = settings_.clone_from;
        w.clone_as = shared_name;
        w.part = settings_.part;
    } else if (settings_.part && store_->cut_of(*w.handle) && !run_.healing &&
               !net_.is_hostile(*net_.other_end(c, index_)) && run_.random.chance(30)) {
        w = older();
        deepening_.insert(c);
    }
    talk_->dialed(c, {w}, false, local_now());
    turn_soon();
}

want peer::older() {
    const crdt_handle h = *handle();
    want w;
    w.remote = address_of(store_->state(h).id);
    w.deepens = true;
    w.until = needed_below(*store_, h);
    w.handle = store_->beside(h);
    if (w.handle) return w;
    w.handle = h;
    w.part = history_part{};
    if (run_.random.chance(50))
        *w.part = {history_part::measure::depth,
                   static_cast<std::uint64_t>(run_.random.between(5, 60))};
    return w;
}

void peer::deepen() {
    const crdt_handle h = *handle();
    const auto made = store_->beside(h);
    if (!made) return;
    turn_soon();
    const std::vector<commit_id> needed = needed_below(*store_, h);
    const bool deeper = store_->state(*made).below.value_or(0) < *store_->state(h).below;
    const bool joins = std::all_of(needed.begin(), needed.end(), [&](const commit_id& id) {
        return store_->find(*made, id).has_value();
    });
    if (!deeper || !joins) {
        talk_->removing(*made);
        return store_->remove(*made);
    }
    const node end = store_->state(h).end.seq;
    const hub_options& o = settings_.hub;
    for (node next = 1; next <= end;)
        next = copy_above(*store_, h, *made, next, o.chunk_commits, o.chunk_bytes);
    talk_->staged(*made);
    if (run_.random.chance(30)) return;  // the rest another time
    talk_->removing(h, errc::unavailable, "it is deeper now");
    store_->take_place(*made, h);
    run_.say(fmt::format(
        "peer {}: has {} commits below {} now", index_, store_->state(*made).end.seq - end, end));
    covered("deepened");
}

void peer::accepted(connection_id c) { talk_->accepted(c, local_now()); }

void peer::received(connection_id c, const bytes& frame) {
    if (!up()) return;
    talk_->received(c, frame, local_now());
    turn_soon();
}

void peer::backlog(connection_id c, std::size_t bytes) {
    if (!up()) return;
    talk_->set_backlog(c, bytes);
    turn_soon();
}

void peer::disconnected(connection_id c) {
    if (!up()) return;
    talk_->disconnected(c);
    turn_soon();
}

// -- Turns ----------------------------------------------------------------------------------------

void peer::tick() {
    if (up()) {
        talk_->tick(local_now());
        turn_soon();
    }
    run_.time.after(500, [this] { tick(); });
}

/// Inputs that come within a few milliseconds share a turn, and so a flush.
void peer::turn_soon() {
    if (turn_due_) return;
    turn_due_ = true;
    const mono_ms busy = std::max<mono_ms>(0, busy_until_ - run_.time.now());
    run_.time.after(busy + run_.random.between(0, 5), [this, life = life_] {
        if (!alive(life)) return;
        turn_due_ = false;
        turn();
    });
}

void peer::turn() {
    hub_effects effects;
    try {
        effects = talk_->end_turn(local_now());
    } catch (const error& e) {
        run_.say(fmt::format("peer {}: {}", index_, e.what()));
        return turn_failed();
    }
    acknowledged_.insert(written_.begin(), written_.end());
    for (const commit_id& id : written_)
        if (!store_->find(*handle(), id)) broken("what was just written is not there");
    written_.clear();
    judge();
    if (dies_after_write_ && run_.random.chance(30)) {
        run_.say(fmt::format("peer {}: dies after a write, before it says so", index_));
        return crash();
    }
    if (settings_.slow_ms_max == 0 || run_.random.chance(70)) return perform(std::move(effects));
    // The flush takes its time, in which nothing else is done.
    const mono_ms takes = run_.random.between(1, settings_.slow_ms_max);
    busy_until_ = run_.time.now() + takes;
    run_.time.after(takes, [this, life = life_, late = std::move(effects)]() mutable {
        if (alive(life)) perform(std::move(late));
    });
}

void peer::turn_failed() {
    ++run_.counted.failed_writes;
    written_.clear();
    if (disk_->is_cut()) return crash();
    judge();
    turn_soon();
}

void peer::perform(hub_effects effects) {
    for (auto& s : effects.sends) {
        transmit(s.to, std::move(s.frame));
        talk_->set_backlog(s.to, net_.under_way(s.to, index_));
        judge_outbox(s.to);
    }
    for (const hub_event& e : effects.events) {
        if (e.what == hub_event::kind::closed) closed(e.connection, e.code, e.reason);
        if (e.what != hub_event::kind::caught_up) continue;
        run_.say(fmt::format("peer {}: connection {} caught up", index_, e.connection));
        if (deepening_.erase(e.connection) > 0) {
            deepen();
            net_.hang_up(e.connection);
            continue;
        }
        if (net_.is_short(e.connection)) net_.hang_up(e.connection);
    }
    for (const connection_id c : effects.closes) net_.hang_up(c);
    if (effects.again) turn_soon();
}

void peer::transmit(connection_id c, bytes frame) { net_.send(index_, c, std::move(frame)); }

// -- What users and fate do -----------------------------------------------------------------------

void peer::create(const signed_genesis& g) {
    store_->add(g, shared_name);
    store_->flush();
}

void peer::act() {
    if (!up() || !handle() || busy_until_ > run_.time.now()) return;
    if (store_->cut_of(*handle()) && store_->state(*handle()).end.seq == 0) return;
    if (settings_.backups && written_.empty() && run_.random.chance(30)) backup_ = copy_of(*disk_);
    const int burst = run_.random.chance(15) ? static_cast<int>(run_.random.between(5, 25)) : 1;
    for (int i = 0; i < burst; ++i) write();
    if (run_.random.chance(25)) merge();
    turn_soon();
}

void peer::write() {
    const crdt_handle h = *handle();
    const crdt_state state = store_->state(h);
    if (state.heads.size() > 1 && run_.random.chance(20))
        store_->set_current(h, state.heads[run_.random.below(state.heads.size())]);
    std::vector<bytes> ops;
    for (std::size_t i = 0, n = run_.random.below(4); i < n; ++i) {
        const blob params{run_.random.fresh_bytes(run_.random.below(120))};
        ops.push_back(encode(op{symbol{"note"}, value(params)}));
    }
    value ext = add_blobs(ops);
    if (append(h, ops, std::nullopt, std::move(ext))) ++run_.counted.commits;
}

bool peer::append(crdt_handle h,
                  const std::vector<bytes>& ops,
                  std::optional<std::vector<commit_id>> parents,
                  value ext) {
    try {
        written_.push_back(
            store_->append(h, settings_.self, ops, wall_now(), std::move(parents), std::move(ext)));
    } catch (const error& e) {
        // It was restored, and a peer has shown what it wrote itself since.
        if (e.code() != errc::conflict) throw;
        return false;
    }
    talk_->staged(h);
    return true;
}

bool peer::may_write() const {
    return up() && handle() && !store_->awaited(*handle(), settings_.self.key());
}

/// Blobs of a few chunks for a commit to name, sometimes.
value peer::add_blobs(std::vector<bytes>& ops) {
    std::vector<blob_ref> refs;
    if (settings_.blobs && run_.random.chance(15))
        for (auto more = run_.random.between(1, 3); more > 0; --more) {
            const std::size_t size = run_.random.below(6000);
            refs.push_back(blobs_->add(run_.random.fresh_bytes(size), 1024));
            own_blobs_.insert(refs.back().id);
            ops.push_back(encode(op{symbol{"add"}, value(blob_address(refs.back().id))}));
            ++run_.counted.blobs;
        }
    return blobs_ext(refs);
}

void peer::merge() {
    if (!up() || !handle()) return;
    const crdt_handle h = *handle();
    std::vector<commit_id> heads = store_->state(h).heads;
    if (heads.size() < 2) return;
    if (heads.size() > parents_max) heads.resize(parents_max);
    for (std::size_t i = heads.size(); i > 1; --i)
        std::swap(heads[i - 1], heads[run_.random.below(i)]);
    if (append(h, {}, heads)) ++run_.counted.merges;
    turn_soon();
}

void peer::misfortune() {
    if (!up()) return;
    switch (run_.random.below(settings_.blobs ? 6 : 4)) {
        case 5:
            return damage_blob();
        case 4:
            return blobs_->set_full(true);
        case 0:
            return crash();
        case 1:
            if (run_.random.chance(30))
                dies_after_write_ = true;
            else
                disk_->cut_at(1 + run_.random.below(8));
            return;
        case 2:
            return disk_->fail_at(1 + run_.random.below(3),
                                  run_.random.chance(50) ? errc::no_space : errc::io);
        case 3:
            return net_.break_all_of(index_);
    }
}

/// Bits flip in one that another peer has as well.
void peer::damage_blob() {
    if (!handle()) return;
    std::vector<blob_ref> fetched;
    store_->blobs(*handle()).each([&](const named_blob& b) {
        if (b.blob.size > 0 && !own_blobs_.contains(b.blob.id) && blobs_->is_whole(b.blob.id))
            fetched.push_back(b.blob);
    });
    if (fetched.empty()) return;
    for (int flips = 0; flips < 5; ++flips) {
        const blob_id id = fetched[run_.random.below(fetched.size())].id;
        blobs_->damage(id, run_.random.below(blobs_->manifest(id)->count()));
    }
}

void peer::end_faults() {
    dies_after_write_ = false;
    settings_.slow_ms_max = 0;
    blobs_->set_full(false);
    disk_->fail_at(0);
    disk_->cut_at(0);
}

void peer::crash() {
    if (!up()) return;
    const std::size_t unsynced = disk_->unsynced_count(), kept = run_.random.below(unsynced + 1);
    run_.say(
        fmt::format("peer {}: crashes, keeps {} of {} unsynced writes", index_, kept, unsynced));
    ++run_.counted.crashes;
    run_.counted.cut_writes += disk_->is_cut() ? 1 : 0;
    run_.counted.surviving_writes += kept;
    dies_after_write_ = false;
    busy_until_ = 0;
    talk_.reset();
    store_.reset();
    disk_->crash(kept);
    blobs_->crash(run_.random.below(blobs_->unsynced_count() + 1));
    ++life_;
    net_.reset(index_);
    if (backup_ && run_.random.chance(60)) {
        run_.say(fmt::format("peer {}: is restored from a backup", index_));
        ++run_.counted.restores;
        disk_ = copy_of(*backup_);
        restored_ = true;
        acknowledged_.clear();
        durable_ = {};
    }
    run_.time.after(run_.healing ? 1 : run_.random.between(1, 3000), [this] { restart(); });
}

void peer::restart() {
    if (up()) return;
    disk_->fail_at(0);
    disk_->cut_at(0);
    open();
    judge_.forget();
    judge();
    for (const commit_id& id : acknowledged_)
        if (!judge_.has(id)) broken(fmt::format("peer {} lost a commit it acknowledged", index_));
    turn_soon();
}

// -- Judging --------------------------------------------------------------------------------------

bool peer::has_all_blobs() const {
    bool all = true;
    store_->blobs(*handle()).each(
        [&](const named_blob& b) { all = all && blobs_->is_whole(b.blob.id); });
    return all;
}

void peer::tell_lacking() const {
    if (!up() || !handle()) return run_.say(fmt::format("peer {} has nothing", index_));
    store_->blobs(*handle()).each([&](const named_blob& b) {
        if (!blobs_->is_whole(b.blob.id))
            run_.say(fmt::format("peer {} has {} chunks of blob {} of {} bytes",
                                 index_,
                                 blobs_->chunks_here(b.blob.id),
                                 b.blob.id.brief(),
                                 b.blob.size));
    });
}

void peer::judge() {
    const auto h = handle();
    if (!h) {
        if (durable_.seq != 0) broken(fmt::format("peer {} lost the CRDT", index_));
        return;
    }
    if (judged_ != *h) {
        // Deeper; or not, because that was not written.
        const model before = std::exchange(judge_, {});
        judge_.follow(*store_, *h);
        for (const commit_id& id : before.log())
            if (*h > judged_ && !judge_.has(id))
                broken(fmt::format("peer {} lost a commit when it became deeper", index_));
        judged_ = *h;
        durable_ = {};
    }
    if (!store_->is_valid(*h, durable_))
        broken(fmt::format("peer {} lost what was durable", index_));
    judge_.follow(*store_, *h);
    if (!store_->dirty()) durable_ = store_->state(*h).end;
}

/// What waits for a peer that does not read is bounded: docs/protocol.md, limits.
void peer::judge_outbox(connection_id c) const {
    if (hostile()) return;
    const hub_options& o = settings_.hub;
    const std::size_t answers = 4 * o.window_bytes + 2 * o.frame_bytes_max;
    if (net_.under_way(c, index_) > answers)
        broken(fmt::format("peer {} has {} bytes waiting for a peer that does not read",
                           index_,
                           net_.under_way(c, index_)));
}

void peer::closed(connection_id c, errc code, const std::string& reason) {
    run_.say(fmt::format("peer {}: connection {} closed: {}", index_, c, reason));
    const auto other = net_.other_end(c, index_);
    if (!other) return;
    if (net_.is_hostile(*other)) {
        ++run_.counted.hostile_closed[code];
    } else if (!is_honest(code)) {
        broken(fmt::format("peer {} and honest peer {} part: {}", index_, *other, reason));
    }
}

}  // namespace tributary::sim
