#include "sim/world.hpp"

#include "tributary/value/msgpack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace tributary::sim {
namespace {

constexpr const char* name = "shared";
constexpr mono_ms chaos_ms = 20000;
constexpr mono_ms heal_ms_max = 200000;

std::unique_ptr<memory_kv> copy_of(const kv& from) {
    auto to = make_memory_kv();
    kv_batch all;
    const auto at = from.cursor();
    for (at->seek({}); at->valid(); at->next()) all.put(bytes(at->key()), bytes(at->val()));
    if (!all.empty()) to->write(all, true);
    return to;
}

}  // namespace

world::world(std::uint64_t seed, bool trace) : seed_(seed), trace_(trace), random_(seed) {}
world::~world() = default;

void world::say(const std::string& line) {
    if (trace_) fmt::print("{:>8} {}\n", now_, line);
}

// -- Time -----------------------------------------------------------------------------------------

void world::after(mono_ms delay, std::function<void()> what) {
    events_.push({now_ + delay, ++order_, std::move(what)});
}

void world::run_until(mono_ms end) {
    while (!events_.empty() && events_.top().at <= end) {
        now_ = events_.top().at;
        const auto what = events_.top().what;
        events_.pop();
        what();
    }
    now_ = end;
}

run_report world::run() {
    make_replicas();
    for (std::size_t i = 0; i < replicas_.size(); ++i)
        after(random_.between(1, 500), [this, i] { tick(i); });
    for (std::size_t i = 0; i < edges_.size(); ++i)
        after(random_.between(1, 2000), [this, i] { dial(i); });
    schedule_faults();
    while (now_ < chaos_ms) {
        run_until(now_ + 2000);
        judge_promises();
    }
    heal();
    report_.end_hash = trail_;
    return report_;
}

void world::schedule_faults() {
    busy_ = static_cast<int>(random_.between(20, 90));
    const int misfortunes = static_cast<int>(random_.between(0, 12));
    for (int i = 0; i < misfortunes; ++i)
        after(random_.between(100, chaos_ms - 100), [this] { misfortune(); });
    for (mono_ms at = 200; at < chaos_ms; at += random_.between(100, 1500))
        after(at, [this] {
            replica& r = replicas_[random_.below(replicas_.size())];
            if (random_.chance(busy_)) act(r);
        });
    backups_ = random_.chance(40);
}

// -- Replicas -------------------------------------------------------------------------------------

void world::make_replicas() {
    const std::size_t count = 2 + random_.below(4);
    replicas_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        replica& r = replicas_[i];
        r.index = i;
        r.self = identity::from_seed(random_.fresh_bytes(32));
        r.options.chunk_commits = 1 + random_.below(8);
        r.options.chunk_bytes = random_.chance(50) ? 400 : 1u << 20;
        r.options.window_bytes = random_.chance(30) ? 1000 : 8u << 20;
        r.options.walk_budget = std::array{0u, 2u, 16u, 65536u}[random_.below(4)];
        r.options.sketch_cells = std::array{4u, 64u, 1u << 18}[seed_ % 3];  // one limit for all
        r.options.handshake_ms = 2000;
        r.options.idle_ms = 4000;
        r.disk = make_memory_kv();
        open(r);
    }
    genesis g;
    g.name = name;
    g.owners = {replicas_[0].self.key()};
    g.open_write = true;
    g.nonce = random_.fresh_bytes(16);
    replicas_[0].store->add(sign(g, replicas_[0].self), name);
    replicas_[0].store->flush();
    // A chain keeps all connected; more edges make rings and double links.
    for (std::size_t i = 1; i < count; ++i) {
        const bool forward = random_.chance(50) || i == 1;
        edges_.push_back({forward ? i : i - 1, forward ? i - 1 : i, random_.chance(60)});
        if (!forward) edges_.push_back({i, i - 1, random_.chance(60)});
    }
    for (std::size_t more = random_.below(count); more > 0; --more) {
        const std::size_t a = random_.below(count), b = random_.below(count);
        if (a != b) edges_.push_back({a, b, random_.chance(60)});
    }
}

void world::open(replica& r) {
    r.talk.reset();
    r.store.reset();
    r.store = std::make_unique<commit_store>(*r.disk);
    r.talk = std::make_unique<hub>(
        *r.store, r.self, [this] { return random_.fresh_bytes(32); }, r.options);
    r.turn_due = false;
    r.written.clear();
}

std::optional<crdt_handle> world::handle(const replica& r) const {
    const auto all = r.store->list();
    if (all.empty()) return std::nullopt;
    if (all.size() > 1) broken("a replica made two of one CRDT");
    return all.front();
}

void world::tick(std::size_t index) {
    replica& r = replicas_[index];
    if (r.alive()) {
        r.talk->tick(now_);
        turn_soon(r);
    }
    after(500, [this, index] { tick(index); });
}

/// Inputs that come within a few milliseconds share a turn, and so a flush.
void world::turn_soon(replica& r) {
    if (r.turn_due) return;
    r.turn_due = true;
    const unsigned life = r.life;
    after(random_.between(0, 5), [this, &r, life] {
        if (r.life != life || !r.alive()) return;
        r.turn_due = false;
        turn(r);
    });
}

void world::turn(replica& r) {
    hub_effects effects;
    try {
        effects = r.talk->end_turn(now_);
    } catch (const error& e) {
        say(fmt::format("peer {}: {}", r.index, e.what()));
        return turn_failed(r);
    }
    r.acknowledged.insert(r.written.begin(), r.written.end());
    r.written.clear();
    judge(r);
    if (r.dies_after_write && random_.chance(30)) {
        say(fmt::format("peer {}: dies after a write, before it says so", r.index));
        return crash(r);
    }
    perform(r, std::move(effects));
}

void world::turn_failed(replica& r) {
    ++report_.failed_writes;
    r.written.clear();
    if (r.disk->is_cut()) return crash(r);
    judge(r);
    turn_soon(r);
}

void world::crash(replica& r) {
    if (!r.alive()) return;
    const std::size_t unsynced = r.disk->unsynced_count(), kept = random_.below(unsynced + 1);
    say(fmt::format("peer {}: crashes, keeps {} of {} unsynced writes", r.index, kept, unsynced));
    ++report_.crashes;
    report_.cut_writes += r.disk->is_cut() ? 1 : 0;
    report_.surviving_writes += kept;
    r.dies_after_write = false;
    r.talk.reset();
    r.store.reset();
    r.disk->crash(kept);
    ++r.life;
    for (auto& [c, link] : connections_)
        if (link.dialer == r.index || link.acceptor == r.index) break_link(c);
    if (backups_ && r.backup && random_.chance(60)) {
        say(fmt::format("peer {}: is restored from a backup", r.index));
        ++report_.restores;
        r.disk = copy_of(*r.backup);
        r.restored = true;
        r.acknowledged.clear();
        r.durable = {};
    }
    after(healing_ ? 1 : random_.between(1, 3000), [this, &r] { restart(r); });
}

void world::restart(replica& r) {
    if (r.alive()) return;
    r.disk->fail_at(0);
    r.disk->cut_at(0);
    open(r);
    r.judge.forget();
    judge(r);
    turn_soon(r);
}

// -- The network ----------------------------------------------------------------------------------

void world::dial(std::size_t index) {
    edge& e = edges_[index];
    if (e.up) return;
    replica& from = replicas_[e.dialer];
    replica& to = replicas_[e.acceptor];
    if (!from.alive() || !to.alive()) return redial(index);
    const connection_id c = ++last_connection_;
    connections_[c] = {e.dialer, e.acceptor, index, false, from.life, to.life, now_, now_};
    e.up = true;
    want w;
    w.live = e.live;
    w.handle = handle(from);
    if (!w.handle) w.remote = name;
    from.talk->dialed(c, {w}, false, now_);
    to.talk->accepted(c, now_);
    turn_soon(from);
    if (!healing_ && random_.chance(40))
        after(random_.between(1, 8000), [this, c] { break_link(c); });
}

void world::redial(std::size_t index) {
    after(random_.between(50, healing_ ? 500 : 4000), [this, index] { dial(index); });
}

void world::send(replica& from, connection_id c, bytes frame) {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return;
    connection& link = at->second;
    const bool to_dialer = link.acceptor == from.index;
    mono_ms& last = to_dialer ? link.last_to_dialer : link.last_to_acceptor;
    (to_dialer ? link.to_dialer_bytes : link.to_acceptor_bytes) += frame.size();
    last = std::max(last, now_ + random_.between(1, random_.chance(5) ? 1500 : 60));
    after(last - now_, [this, c, to_dialer, f = std::move(frame)] { arrive(c, to_dialer, f); });
}

void world::arrive(connection_id c, bool to_dialer, const bytes& frame) {
    const auto at = connections_.find(c);
    if (at == connections_.end() || at->second.broken) return;
    connection& link = at->second;
    replica& sender = replicas_[to_dialer ? link.acceptor : link.dialer];
    replica& receiver = replicas_[to_dialer ? link.dialer : link.acceptor];
    std::size_t& under_way = to_dialer ? link.to_dialer_bytes : link.to_acceptor_bytes;
    under_way -= frame.size();
    sender.talk->set_backlog(c, under_way);
    turn_soon(sender);
    ++report_.frames;
    bytes mark;
    put_be64(mark, static_cast<unsigned long long>(now_));
    put_be64(mark, c);
    trail_ = hash("sim", trail_.view(), mark + frame);
    receiver.talk->received(c, frame, now_);
    turn_soon(receiver);
}

void world::perform(replica& r, hub_effects effects) {
    for (auto& s : effects.sends) send(r, s.to, std::move(s.frame));
    for (const hub_event& e : effects.events) {
        if (e.what == hub_event::kind::closed)
            say(fmt::format("peer {}: connection {} closed: {}", r.index, e.connection, e.reason));
        if (e.what != hub_event::kind::caught_up) continue;
        say(fmt::format("peer {}: connection {} caught up", r.index, e.connection));
        const auto at = connections_.find(e.connection);
        if (at != connections_.end() && !edges_[at->second.edge].live) hang_up(e.connection);
    }
    for (const connection_id c : effects.closes) hang_up(c);
}

/// A clean end: what was sent before still arrives.
void world::hang_up(connection_id c) {
    const auto at = connections_.find(c);
    if (at == connections_.end()) return;
    const mono_ms last = std::max({at->second.last_to_acceptor, at->second.last_to_dialer, now_});
    after(last - now_ + 1, [this, c] { break_link(c); });
}

/// What is under way is lost. Each end notices at its own time, or only by silence.
void world::break_link(connection_id c) {
    const auto at = connections_.find(c);
    if (at == connections_.end() || at->second.broken) return;
    at->second.broken = true;
    ++report_.broken_links;
    lose(c, true, random_.chance(20) ? random_.between(1, 3000) : 1);
    lose(c, false, random_.chance(20) ? random_.between(1, 6000) : 1);
}

void world::lose(connection_id c, bool dialer, mono_ms delay) {
    after(delay, [this, c, dialer] {
        connection& link = connections_.at(c);
        replica& r = replicas_[dialer ? link.dialer : link.acceptor];
        const unsigned life = dialer ? link.dialer_life : link.acceptor_life;
        if (r.alive() && r.life == life) {
            r.talk->disconnected(c);
            turn_soon(r);
        }
        if (!dialer) return;
        edges_[link.edge].up = false;
        redial(link.edge);
    });
}

// -- What users and fate do -----------------------------------------------------------------------

void world::act(replica& r) {
    if (!r.alive() || !handle(r)) return;
    if (backups_ && r.written.empty() && random_.chance(30)) r.backup = copy_of(*r.disk);
    const int burst = random_.chance(15) ? static_cast<int>(random_.between(5, 25)) : 1;
    for (int i = 0; i < burst; ++i) write(r);
    if (random_.chance(25)) merge(r);
    turn_soon(r);
}

void world::write(replica& r) {
    const crdt_handle h = *handle(r);
    const crdt_state state = r.store->state(h);
    if (state.heads.size() > 1 && random_.chance(20))
        r.store->set_current(h, state.heads[random_.below(state.heads.size())]);
    std::vector<bytes> ops;
    for (std::size_t i = 0, n = random_.below(4); i < n; ++i)
        ops.push_back(
            encode(op{symbol{"note"}, value(blob{random_.fresh_bytes(random_.below(120))})}));
    r.written.push_back(r.store->append(h, r.self, ops, now_));
    r.talk->staged(h);
    ++report_.commits;
}

void world::merge(replica& r) {
    const crdt_handle h = *handle(r);
    std::vector<commit_id> heads = r.store->state(h).heads;
    if (heads.size() < 2) return;
    if (heads.size() > parents_max) heads.resize(parents_max);
    for (std::size_t i = heads.size(); i > 1; --i) std::swap(heads[i - 1], heads[random_.below(i)]);
    r.written.push_back(r.store->append(h, r.self, {}, now_, heads));
    r.talk->staged(h);
    ++report_.merges;
}

void world::misfortune() {
    replica& r = replicas_[random_.below(replicas_.size())];
    if (!r.alive()) return;
    switch (random_.below(4)) {
        case 0:
            return crash(r);
        case 1:
            if (random_.chance(30))
                r.dies_after_write = true;
            else
                r.disk->cut_at(1 + random_.below(8));
            return;
        case 2:
            return r.disk->fail_at(1 + random_.below(3),
                                   random_.chance(50) ? errc::no_space : errc::io);
        case 3:  // everything at once
            for (auto& [c, link] : connections_)
                if (link.dialer == r.index || link.acceptor == r.index) break_link(c);
    }
}

// -- Judging --------------------------------------------------------------------------------------

void world::judge(replica& r) {
    const auto h = handle(r);
    if (!h) {
        if (r.durable.seq != 0) broken(fmt::format("peer {} lost the CRDT", r.index));
        return;
    }
    if (!r.store->is_valid(*h, r.durable))
        broken(fmt::format("peer {} lost what was durable", r.index));
    r.judge.follow(*r.store, *h);
    for (const commit_id& id : r.acknowledged)
        if (!r.judge.has(id)) broken(fmt::format("peer {} lost a commit it acknowledged", r.index));
    if (!r.store->dirty()) r.durable = r.store->state(*h).end;
}

/// What one replica keeps as acknowledged by another is there, durably.
void world::judge_promises() {
    for (const replica& from : replicas_)
        for (const replica& to : replicas_) {
            if (!from.alive() || !to.alive() || !handle(from) || to.restored) continue;
            const auto mark =
                from.store->mark(*handle(from), "peer/" + to.self.key().hex() + "/out");
            if (!mark) continue;
            const std::uint64_t promised = get_be64(bytes_view(*mark).substr(0, 8));
            for (node n = 1; n <= promised; ++n)
                if (!to.judge.has(from.store->entry(*handle(from), n).id))
                    broken(fmt::format("peer {} does not have what peer {} holds for acknowledged",
                                       to.index,
                                       from.index));
        }
}

bool world::all_equal() const {
    for (const replica& r : replicas_) {
        if (!r.alive() || !handle(r)) return false;
        if (r.judge.commits() != replicas_[0].judge.commits()) return false;
    }
    return true;
}

void world::heal() {
    healing_ = true;
    say("all faults end");
    for (replica& r : replicas_) {
        r.dies_after_write = false;
        r.disk->fail_at(0);
        r.disk->cut_at(0);
    }
    const mono_ms began = now_;
    judge_promises();
    const auto settle = [&] {
        while (!all_equal()) {
            if (now_ - began > heal_ms_max) broken("the replicas do not become equal");
            run_until(now_ + 250);
        }
    };
    settle();
    report_.healed_ms = now_ - began;
    // One joins all heads; then there is one order, and it is the same for all.
    while (replicas_[0].store->state(*handle(replicas_[0])).heads.size() > 1) {
        merge(replicas_[0]);
        turn_soon(replicas_[0]);
        run_until(now_ + 20);
        settle();
    }
    run_until(now_ + 5000);
    if (!all_equal()) broken("replicas that were equal are not any more");
    judge_promises();
    require_equal_logs();
}

void world::require_equal_logs() {
    const auto linear = [this](const replica& r) {
        const crdt_handle h = *handle(r);
        std::vector<commit_id> order;
        for (std::uint64_t at = 0; at < r.store->state(h).linear_length; ++at)
            order.push_back(r.store->entry(h, r.store->linear_at(h, at).number).id);
        return order;
    };
    for (replica& r : replicas_) {
        r.judge.examine(*r.store, *handle(r));
        if (linear(r) != linear(replicas_[0])) broken("equal replicas with different linear logs");
    }
}

}  // namespace tributary::sim
