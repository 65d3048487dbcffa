// Reconnect: what it costs a replica that shares 3,000,000 commits with another to get, and give,
// what is new. Two hubs over two LevelDB stores in one process, without a network between them: the
// bytes, round trips and processor time are the protocol's own.
//
// "Before the first commit" is the processor time of both sides from authentication until a commit
// arrives; the network adds its round trips. The ratios compare it, and the bytes of control, with
// what it takes to move the commits themselves.

#include "tributary/peer/hub.hpp"
#include "tributary/store/commit_store.hpp"
#include "tributary/store/open_commits.hpp"

#include "servers.hpp"
#include <cstdio>
#include <ctime>
#include <deque>
#include <filesystem>

using namespace tributary;
using namespace bench;

namespace {

const identity owner = identity::from_seed(bytes(32, 'o'));
const identity other = identity::from_seed(bytes(32, 'p'));

double processor_ms() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

/// A replica: its store and the hub over it.
struct side {
    side(const fs::path& dir, const identity& i)
        : self(i), db(open_commits(dir / "db")), store(*db), talk(store, self, [] {
              return random_bytes(32);
          }) {}

    void append(std::uint64_t first, std::uint64_t count) {
        append_commits(store, self, first, count);
    }

    identity self;
    std::unique_ptr<kv> db;
    commit_store store;
    hub talk;
};

/// Tables never change, so they are linked.
void copy_store(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::create_directories(to / "db");
    for (const auto& file : fs::directory_iterator(from / "db")) {
        const fs::path copy = to / "db" / file.path().filename();
        if (copy.extension() == ".ldb")
            fs::create_hard_link(file.path(), copy);
        else if (copy.filename() != "LOCK")
            fs::copy_file(file.path(), copy);
    }
}

struct cost {
    double control_bytes = 0, payload_bytes = 0, round_trips = 0;
    double before_ms = 0, all_ms = 0;  ///< processor time of both sides
};

/// A connection of two sides, while frames move on it.
class exchange {
public:
    exchange(side& dialer, side& acceptor) : a_{dialer}, b_{acceptor} {
        want w;
        w.handle = 1;
        w.live = true;
        dialer.talk.dialed(1, {w}, false, 1);
        acceptor.talk.accepted(1, 1);
    }

    /// Until both sides have what the other had.
    cost run() {
        while (!caught_up_) {
            turn(a_, b_);
            turn(b_, a_);
        }
        cost spent;
        spent.all_ms = processor_ms() - began_;
        spent.before_ms = flowing_ ? flowing_ms_ : spent.all_ms;
        const connection_counters c = a_.who.talk.counters(1);
        spent.control_bytes = static_cast<double>(c.control_bytes);
        spent.payload_bytes = static_cast<double>(c.payload_bytes);
        spent.round_trips = static_cast<double>(c.round_trips);
        return spent;
    }

private:
    struct end {
        side& who;
        std::deque<bytes> arrived;
    };

    void turn(end& from, end& to) {
        for (; !from.arrived.empty(); from.arrived.pop_front()) {
            from.who.talk.received(1, from.arrived.front(), 1);
            if (flowing_ || from.who.talk.counters(1).commits_in == 0) continue;
            flowing_ = true;
            flowing_ms_ = processor_ms() - began_;
        }
        hub_effects e = from.who.talk.end_turn(1);
        for (auto& s : e.sends) to.arrived.push_back(std::move(s.frame));
        for (const hub_event& event : e.events) take(event);
    }

    void take(const hub_event& event) {
        if (event.what == hub_event::kind::caught_up) caught_up_ = true;
        if (event.what == hub_event::kind::authenticated && began_ == 0) began_ = processor_ms();
        if (event.what != hub_event::kind::closed) return;
        std::fprintf(stderr, "the connection was closed: %s\n", event.reason.c_str());
        std::exit(1);
    }

    end a_, b_;
    double began_ = 0, flowing_ms_ = 0;
    bool flowing_ = false, caught_up_ = false;
};

cost meet(side& a, side& b) { return exchange(a, b).run(); }

/// How two sides differ when they meet.
struct meeting {
    std::string name;
    bool cursor = false;           ///< they met before
    std::uint64_t here = 0, there = 0;  ///< new commits of the dialing side, of the other
    bool ancient = false;          ///< what is new there builds on an old commit
};

void forget_cursors(side& s) {
    for (const auto& [key, val] : s.store.marks(1, "peer/")) s.store.put_mark(1, key, std::nullopt);
    s.store.flush();
}

cost measured(const fs::path& base, const scratch& dir, const meeting& m) {
    const figures f = isolated([&]() -> figures {
        copy_store(base, dir / "a");
        copy_store(base, dir / "b");
        cost found;
        {
            side a(dir / "a", other), b(dir / "b", owner);
            if (m.cursor) meet(a, b);
        }
        {
            side a(dir / "a", other), b(dir / "b", owner);
            if (!m.cursor) forget_cursors(a);
            const std::uint64_t shared = a.store.state(1).end.seq;
            a.append(10 * shared, m.here);
            if (m.ancient) {
                const commit_id old = b.store.entry(1, shared / 1000 + 1).id;
                const std::vector<bytes> ops = encoded_tweets(20 * shared, 1);
                b.store.append(1, b.self, ops, 0, std::vector<commit_id>{old});
                b.store.flush();
            } else {
                b.append(20 * shared, m.there);
            }
        }
        side a(dir / "a", other), b(dir / "b", owner);
        found = meet(a, b);
        if (a.store.state(1).heads != b.store.state(1).heads) std::abort();
        return {found.control_bytes,
                found.payload_bytes,
                found.round_trips,
                found.before_ms,
                found.all_ms};
    });
    return {f[0], f[1], f[2], f[3], f[4]};
}

void report_meeting(const fs::path& base, const scratch& dir, const meeting& m) {
    std::vector<double> control, share, turns, before, part;
    for (int run = 0; run < runs(); ++run) {
        const cost c = measured(base, dir, m);
        control.push_back(c.control_bytes);
        share.push_back(c.control_bytes / c.payload_bytes);
        turns.push_back(c.round_trips);
        before.push_back(c.before_ms);
        part.push_back(c.before_ms / (c.all_ms - c.before_ms));
    }
    report(m.name, median(control), "bytes of control");
    report("  round trips", median(turns), "");
    report("  before the first commit", median(before), "ms");
    if (m.here + m.there < 1000) return;
    report("  control / payload", median(share), "");
    report("  before the first commit / moving them", median(part), "");
}

}  // namespace

int main(int argc, char** argv) {
    const scratch dir;
    const fs::path base = dir / "base";
    const std::uint64_t shared = scaled(3000000);
    make_store(base, {owner, other}, shared);
    std::printf("%llu commits shared\n", static_cast<unsigned long long>(shared));
    const meeting meetings[] = {
        {"nothing new, cursor", true},
        {"nothing new, no cursor"},
        {"1 new there, cursor", true, 0, 1},
        {"100,000 new there, cursor", true, 0, 100000},
        {"1 new there, no cursor", false, 0, 1},
        {"100,000 new there, no cursor", false, 0, 100000},
        {"1 new there on an old commit, no cursor", false, 0, 1, true},
        {"1 new on both sides, no cursor", false, 1, 1},
        {"50 new on both sides, no cursor", false, 50, 50},
        {"1,500 new on both sides, no cursor", false, 1500, 1500},
        {"50,000 new on both sides, no cursor", false, 50000, 50000},
    };
    const std::string only = argc > 1 ? argv[1] : "";
    for (const meeting& m : meetings)
        if (m.name.find(only) != std::string::npos) report_meeting(base, dir, m);
}
