/// Replicas in memory and wires between them that a test holds in its hands: a frame moves when the
/// test says so.
#pragma once

#include "tributary/peer/hub.hpp"
#include "tributary/peer/message.hpp"
#include "tributary/store/blob_store.hpp"
#include "tributary/store/commit_store.hpp"
#include "tributary/store/memory_kv.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace tributary::testing {

inline identity identity_of(unsigned n) {
    bytes seed(32, '\0');
    seed[0] = static_cast<char>(n);
    seed[1] = static_cast<char>(n >> 8);
    return identity::from_seed(seed);
}

inline bytes op_of(const std::string& text) { return encode(op{symbol{"note"}, value(text)}); }

inline signed_genesis genesis_by(const identity& owner,
                                 const std::string& name,
                                 bool open_write = true) {
    genesis g;
    g.name = name;
    g.owners = {owner.key()};
    g.open_write = open_write;
    g.nonce = bytes(16, 'n');
    return sign(g, owner);
}

/// A replica and all it has said and has been told.
struct replica_peer {
    explicit replica_peer(unsigned n, hub_options o = {}) : self(identity_of(n)), options(o) {
        open();
    }

    void open() {
        talk.reset();
        store.reset();
        store = std::make_unique<commit_store>(*db);
        talk = std::make_unique<hub>(
            *store,
            self,
            [this] { return bytes(32, static_cast<char>(++nonces)); },
            options,
            blobs.get());
    }

    crdt_handle create(const std::string& name, const identity& owner) {
        const crdt_handle h = store->add(genesis_by(owner, name), name);
        store->flush();
        return h;
    }

    commit_id write(crdt_handle h, const std::string& text) {
        const std::vector<bytes> ops{op_of(text)};
        const commit_id id = store->append(h, self, ops, 1000);
        talk->staged(h);
        return id;
    }
    void write_many(crdt_handle h, int n, const std::string& text) {
        for (int i = 0; i < n; ++i) write(h, text + std::to_string(i));
        store->flush();
    }
    /// On top of one commit instead of the current head.
    commit_id write_on(crdt_handle h, std::vector<commit_id> parents, const std::string& text) {
        const std::vector<bytes> ops{op_of(text)};
        const commit_id id = store->append(h, self, ops, 1000, std::move(parents));
        talk->staged(h);
        return id;
    }

    std::vector<commit_id> heads(crdt_handle h = 1) const { return store->state(h).heads; }
    std::uint64_t commits(crdt_handle h = 1) const { return store->state(h).end.seq; }

    identity self;
    hub_options options;
    std::unique_ptr<memory_kv> db = make_memory_kv();
    std::unique_ptr<memory_blobs> blobs = make_memory_blobs();
    std::unique_ptr<commit_store> store;
    std::unique_ptr<hub> talk;
    unsigned nonces = 0;
};

/// Connections between replicas, by id; both ends use the same id.
class wires {
public:
    mono_ms now = 1;
    std::vector<std::pair<replica_peer*, hub_event>> events;
    /// May change a frame on its way; false loses it.
    std::function<bool(connection_id, bool from_dialer, bytes&)> meddle;

    connection_id dial(replica_peer& from,
                       replica_peer& to,
                       std::vector<want> wants,
                       bool list = false) {
        const connection_id c = ++last_;
        links_[c] = {&from, &to, {}, {}};
        from.talk->dialed(c, std::move(wants), list, now);
        to.talk->accepted(c, now);
        return c;
    }

    /// Ends the turn of `p` and takes what it sends; returns the number of frames.
    std::size_t turn(replica_peer& p) {
        hub_effects e = p.talk->end_turn(now);
        for (auto& s : e.sends) {
            const auto at = links_.find(s.to);
            if (at == links_.end()) continue;
            const bool from_dialer = at->second.dialer == &p;
            if (meddle && !meddle(s.to, from_dialer, s.frame)) continue;
            (from_dialer ? at->second.to_acceptor : at->second.to_dialer)
                .push_back(std::move(s.frame));
        }
        for (auto& event : e.events) events.emplace_back(&p, std::move(event));
        for (const connection_id c : e.closes) closing_.insert(c);
        return e.sends.size();
    }

    /// Delivers what is under way to one side.
    void deliver(connection_id c, bool to_dialer) {
        const auto at = links_.find(c);
        if (at == links_.end()) return;
        auto frames = std::exchange(to_dialer ? at->second.to_dialer : at->second.to_acceptor, {});
        replica_peer& p = to_dialer ? *at->second.dialer : *at->second.acceptor;
        for (const bytes& f : frames) p.talk->received(c, f, now);
    }

    void cut(connection_id c) {
        const auto at = links_.find(c);
        if (at == links_.end()) return;
        const link l = at->second;
        links_.erase(at);
        l.dialer->talk->disconnected(c);
        l.acceptor->talk->disconnected(c);
    }

    /// Until nobody has anything to say.
    void run() {
        for (int quiet = 0, steps = 0; quiet < 2 && steps < 100000; ++steps) {
            bool moved = false;
            std::set<replica_peer*> peers;
            for (auto& [c, l] : links_) peers.insert({l.dialer, l.acceptor});
            for (replica_peer* p : peers) moved = turn(*p) > 0 || moved;
            std::vector<connection_id> ids;
            for (auto& [c, l] : links_) ids.push_back(c);
            for (const connection_id c : ids) {
                deliver(c, true);
                deliver(c, false);
            }
            for (const connection_id c : std::exchange(closing_, {})) cut(c);
            quiet = moved ? 0 : quiet + 1;
        }
    }

    const hub_event* last(const replica_peer& p, hub_event::kind what) const {
        for (auto at = events.rbegin(); at != events.rend(); ++at)
            if (at->first == &p && at->second.what == what) return &at->second;
        return nullptr;
    }
    int count(const replica_peer& p, hub_event::kind what) const {
        return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const auto& e) {
            return e.first == &p && e.second.what == what;
        }));
    }

private:
    struct link {
        replica_peer* dialer;
        replica_peer* acceptor;
        std::deque<bytes> to_acceptor, to_dialer;
    };
    std::map<connection_id, link> links_;
    std::set<connection_id> closing_;
    connection_id last_ = 0;
};

/// Dials, syncs, hangs up; the dialer's counters.
inline connection_counters sync(wires& w,
                                replica_peer& from,
                                replica_peer& to,
                                want what = {.handle = 1}) {
    const connection_id c = w.dial(from, to, {std::move(what)});
    w.run();
    const connection_counters counted = from.talk->counters(c);
    w.cut(c);
    w.turn(from);
    w.turn(to);
    return counted;
}

}  // namespace tributary::testing
