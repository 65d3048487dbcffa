/// Connecting to peers and serving them, on the thread of the caller.
#include "tributary/peer/backoff.hpp"
#include "tributary/peer/contacts.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/store/memory_kv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

namespace tributary {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds beat(100);
/// How often a sync that is not to follow takes up a connection that broke off while it was getting
/// somewhere.
constexpr int resumes_max = 5;
const std::string remote_mark = "remote";
const std::string trust_mark = "remote trust";

/// Whether trying the same again later may go better.
bool is_passing(errc code) {
    return code == errc::unavailable || code == errc::io || code == errc::no_space ||
           code == errc::canceled;
}

/// What a dialer believed, as the text of a mark.
std::string text_of(const tls_trust& trust) {
    if (!trust.pin.empty()) return "pin " + trust.pin;
    return trust.ca.empty() ? "" : "ca " + trust.ca;
}

tls_trust trust_of(const std::string& text) {
    tls_trust trust;
    if (text.starts_with("pin ")) trust.pin = text.substr(4);
    if (text.starts_with("ca ")) trust.ca = text.substr(3);
    return trust;
}

sync_report report_of(const connection_counters& c, clock::duration took) {
    sync_report r;
    r.commits_in = c.commits_in;
    r.commits_out = c.commits_out;
    r.payload_bytes = c.payload_bytes;
    r.control_bytes = c.control_bytes;
    r.round_trips = c.round_trips;
    r.blobs_in = c.blobs_in;
    r.blob_bytes_in = c.blob_bytes_in;
    r.blob_bytes_out = c.blob_bytes_out;
    r.blobs_missing = c.blobs_missing;
    r.seconds = std::chrono::duration<double>(took).count();
    return r;
}

/// The cost of two connections, one after the other.
connection_counters operator+(connection_counters a, const connection_counters& b) {
    a.commits_in += b.commits_in;
    a.commits_out += b.commits_out;
    a.commits_in_expected = a.commits_in - b.commits_in + b.commits_in_expected;
    a.payload_bytes += b.payload_bytes;
    a.control_bytes += b.control_bytes;
    a.round_trips += b.round_trips;
    a.blob_bytes_in_expected = a.blob_bytes_in + b.blob_bytes_in_expected;
    a.blobs_in += b.blobs_in;
    a.blob_bytes_in += b.blob_bytes_in;
    a.blob_bytes_out += b.blob_bytes_out;
    a.blobs_missing = b.blobs_missing;
    return a;
}

/// One CRDT of a run.
struct errand {
    std::string name;  ///< here
    want what;
    bool caught_up = false;                 ///< on the last connection
    std::optional<error> failure;           ///< it is given up
    connection_counters past, now;          ///< of past connections, of this one
    std::optional<clock::time_point> over;  ///< since when it was up to date, or given up

    bool is_open() const { return !caught_up && !failure; }
};

/// Brings CRDTs up to date with one peer, over as many connections as it takes, one at a time.
class sync_run {
public:
    sync_run(peer_node& n,
             peer_url to,
             tls_trust trust,
             std::vector<errand> errands,
             const connect_options& options)
        : node_(n),
          to_(std::move(to)),
          trust_(std::move(trust)),
          errands_(std::move(errands)),
          options_(options) {
        for (errand& e : errands_) {
            e.what.live = options_.follow;
            e.what.lazy_blobs = options_.lazy_blobs;
            e.what.blobs = options_.blobs;
        }
        if (options_.follow && errands_.size() > at_once_max)
            throw error(
                errc::limit,
                fmt::format("at most {} CRDTs can be followed over one connection", at_once_max));
    }

    /// What goes wrong is in the report. Errors: canceled, if `keep_going` said no before all were
    /// up to date.
    joint_report run() {
        while (!stopped_ && any_open()) {
            const std::uint64_t before = moved_so_far();
            attempt();
            const bool moved = moved_so_far() > before;
            if (moved || any_caught_up()) pause_.reset();
            for (const errand* e : under_way_) note(*e);
            if (stopped_) break;
            if (broke_off_ && comes_again(moved)) {
                wait();
            } else {
                if (broke_off_) give_up();
                change_identity();
            }
        }
        if (stopped_ && !options_.follow && any_open())
            throw error(errc::canceled, "stopped before it was up to date; run it again to go on");
        return report();
    }

private:
    /// Of a subscription's number on a connection; more are synced one load after the other.
    static constexpr std::size_t at_once_max = 256;

    bool any_open() const {
        return std::any_of(errands_.begin(), errands_.end(), [&](const errand& e) {
            return e.is_open() || (options_.follow && !e.failure);
        });
    }
    bool any_caught_up() const {
        return std::any_of(
            under_way_.begin(), under_way_.end(), [](const errand* e) { return e->caught_up; });
    }
    bool is_settled() const {
        return std::none_of(
            under_way_.begin(), under_way_.end(), [](const errand* e) { return e->is_open(); });
    }

    /// What says that a connection got somewhere.
    std::uint64_t moved_so_far() const {
        return past_.commits_in + past_.commits_out + past_.blob_bytes_in + past_.blob_bytes_out;
    }

    /// Whether the connection that broke off is to be made again. A peer that ended it because of
    /// one CRDT refuses that one alone the next time.
    bool comes_again(bool moved) {
        const bool of_one = failure_.code == errc::unauthorized && under_way_.size() > 1;
        if (!is_passing(failure_.code) && !of_one) return false;
        if (options_.follow && !of_one) return true;
        return (moved || of_one) && resumes_++ < resumes_max;
    }

    void give_up() {
        for (errand* e : under_way_)
            if (e->is_open() || options_.follow) fail(*e, failure_);
    }

    static void fail(errand& e, const hub_event& why) {
        if (e.failure) return;
        e.failure = error(why.code, why.reason);
        e.caught_up = false;
        e.over = clock::now();
    }

    /// Who refuses the store's key may not know yet that it follows another, and may let that one
    /// in with the news; then it knows.
    void change_identity() {
        std::vector<errand*> refused;
        for (errand& e : errands_)
            if (e.failure &&
                (e.failure->code() == errc::not_found || e.failure->code() == errc::unauthorized))
                refused.push_back(&e);
        if (refused.empty()) return;
        if (as_) {
            as_.reset();
        } else {
            if (std::exchange(was_last_identity_, true)) return;
            as_ = node_.last_identity();
            if (!as_) return;
        }
        for (errand* e : refused) e->failure.reset();
    }

    void attempt() {
        state_ = "connecting";
        failure_ = {hub_event::kind::closed};
        broke_off_ = false;
        begin();
        std::vector<want> wants;
        for (const errand* e : under_way_) wants.push_back(e->what);
        auto [c, d] = node_.dial(to_, std::move(wants), false, trust_, options_.compress, as_);
        auto next_beat = clock::now() + beat;
        try {
            while (!broke_off_ && !stopped_ && !is_over()) {
                if (auto event = d->next(
                        std::max(milliseconds(0),
                                 std::chrono::ceil<milliseconds>(next_beat - clock::now()))))
                    take(*event);
                look(*d);
                if (clock::now() < next_beat) continue;
                next_beat = clock::now() + beat;
                stopped_ = !going_on();
            }
        } catch (...) {
            node_.hang_up(c);
            throw;
        }
        node_.hang_up(c);
        look(*d);
        add_up();
    }

    /// Chooses what the next connection is for.
    void begin() {
        under_way_.clear();
        for (errand& e : errands_) {
            if (options_.follow) e.caught_up = false;
            if (e.is_open() && under_way_.size() < at_once_max) under_way_.push_back(&e);
        }
    }

    /// Nothing is left that this connection is for.
    bool is_over() const {
        const bool follows = options_.follow && any_caught_up();
        return is_settled() && !follows;
    }

    void look(const dialog& d) {
        now_ = d.counters();
        const std::vector<connection_counters> shares = d.shares();
        for (std::size_t i = 0; i < std::min(shares.size(), under_way_.size()); ++i)
            under_way_[i]->now = shares[i];
    }

    void take(hub_event& event) {
        switch (event.what) {
            case hub_event::kind::authenticated:
                key_ = event.peer_key;
                clock_ahead_ms_ = event.clock_ahead_ms;
                state_ = "fetching";
                break;
            case hub_event::kind::offers:
                break;
            case hub_event::kind::cloned:
                under_way_.at(event.want)->what.handle = event.handle;
                break;
            case hub_event::kind::refused:
                fail(*under_way_.at(event.want), event);
                break;
            case hub_event::kind::caught_up: {
                errand& e = *under_way_.at(event.want);
                e.caught_up = true;
                e.over = clock::now();
                pause_.reset();
                if (options_.follow) note(e);
                break;
            }
            case hub_event::kind::closed:
                failure_ = std::move(event);
                broke_off_ = true;
                break;
        }
        if (is_settled() && any_caught_up()) state_ = "live";
    }

    void add_up() {
        past_ = past_ + std::exchange(now_, {});
        for (errand* e : under_way_) e->past = e->past + std::exchange(e->now, {});
    }

    void wait() {
        const auto until = clock::now() + pause_.next();
        while (!stopped_ && clock::now() < until) {
            const auto left = std::chrono::ceil<std::chrono::seconds>(until - clock::now());
            state_ = fmt::format("waiting {} s: {}", left.count(), failure_.reason);
            if (!going_on())
                stopped_ = true;
            else
                std::this_thread::sleep_for(beat);
        }
    }

    bool going_on() {
        if (node_.stopping()) return false;
        if (!options_.keep_going) return true;
        const connection_counters all = past_ + now_;
        sync_progress p;
        p.commits_in = all.commits_in;
        p.commits_out = all.commits_out;
        p.commits_in_expected = all.commits_in_expected;
        p.bytes = all.payload_bytes;
        p.control_bytes = all.control_bytes;
        p.round_trips = all.round_trips;
        p.blob_bytes_in = all.blob_bytes_in;
        p.blob_bytes_in_expected = all.blob_bytes_in_expected;
        p.seconds = std::chrono::duration<double>(clock::now() - began_).count();
        p.state = state_;
        for (const errand& e : errands_) p.crdts.push_back(report_of(e));
        return options_.keep_going(p);
    }

    /// Keeps where to and how it went, for whoever asks and for a sync without a URL.
    void note(const errand& e) {
        const bool untold = e.is_open() && !broke_off_;
        if (!e.what.handle || untold) return;
        const crdt_handle h = *e.what.handle;
        try {
            node_.write([&](commit_store& store, hub&) {
                const auto before = load_contact(store, h, to_.origin());
                const contact now = contact_now(e, before);
                if (now != before) save_contact(store, h, now);
                if (e.caught_up && store.mark(h, remote_mark) != to_.origin())
                    store.put_mark(h, remote_mark, to_.origin());
                if (e.caught_up && store.mark(h, trust_mark) != text_of(trust_))
                    store.put_mark(h, trust_mark, text_of(trust_));
            });
        } catch (const error&) {
            // A full disk is no reason to end a sync otherwise than it ended.
        }
    }

    contact contact_now(const errand& e, const std::optional<contact>& before) const {
        contact c = before.value_or(contact{.url = to_.origin()});
        const bool lost = broke_off_ && (e.is_open() || options_.follow);
        const bool good = e.caught_up && !lost;
        const errc code = e.failure ? e.failure->code() : failure_.code;
        const link_state state = good ? link_state::idle : state_after(code);
        const std::int64_t now = wall_ms();
        if (!before || e.caught_up || c.state != state) c.since_ms = now;
        if (e.caught_up) c.synced_ms = now;
        if (key_) c.key = key_;
        c.state = state;
        c.reason = good ? warning(e) : e.failure ? e.failure->what() : failure_.reason;
        return c;
    }

    synced_crdt report_of(const errand& e) const {
        const auto took = e.over.value_or(clock::now()) - began_;
        synced_crdt one{e.name, tributary::report_of(e.past + e.now, took), std::nullopt, ""};
        one.report.warning = warning(e);
        if (e.failure) {
            one.failure = e.failure->code();
            one.reason = e.failure->what();
        }
        return one;
    }

    joint_report report() const {
        joint_report all{{}, tributary::report_of(past_, clock::now() - began_)};
        for (const errand& e : errands_) {
            all.crdts.push_back(report_of(e));
            if (e.what.handle)
                all.crdts.back().report.heads = node_.read(
                    [&](commit_store& store) { return store.state(*e.what.handle).heads; });
        }
        return all;
    }

    std::string warning(const errand& e) const {
        return clock_ahead_ms_ == 0 ? "" : clock_warning(to_.origin(), e.name, clock_ahead_ms_);
    }

    peer_node& node_;
    const peer_url to_;
    const tls_trust trust_;
    std::vector<errand> errands_;
    const connect_options& options_;
    const clock::time_point began_ = clock::now();
    std::vector<errand*> under_way_;  ///< on this connection, as its wants
    connection_counters past_, now_;  ///< of past connections, of this one
    std::string state_;
    hub_event failure_{hub_event::kind::closed};  ///< how the last connection ended, if
    bool broke_off_ = false;                      ///< it ended by itself
    backoff pause_{std::random_device{}()};
    std::optional<public_key> key_;    ///< the peer's
    std::int64_t clock_ahead_ms_ = 0;  ///< its clock, as in hub_link
    int resumes_ = 0;
    std::optional<identity> as_;  ///< the last identity, while that one is tried
    bool was_last_identity_ = false;
    bool stopped_ = false;  ///< by whoever asked
};

/// What the peer offers. Errors: as the connection's.
std::vector<hub_offer> ask_offers(peer_node& n,
                                  const peer_url& to,
                                  const tls_trust& trust,
                                  const std::function<bool()>& keep_going) {
    auto [c, d] = n.dial(to, {}, true, trust);
    std::optional<hub_event> event;
    do {
        event = d->next(beat);
        if (!event && !keep_going())
            event = hub_event{hub_event::kind::closed,
                              c,
                              {},
                              0,
                              {},
                              errc::canceled,
                              "stopped before the peer answered"};
    } while (!event || event->what == hub_event::kind::authenticated);
    n.hang_up(c);
    if (event->what != hub_event::kind::offers) throw error(event->code, event->reason);
    return std::move(event->offers);
}

crdt_id find_offer(const std::vector<hub_offer>& offers, const peer_url& at) {
    std::string names;
    for (const hub_offer& o : offers) {
        if (o.name == at.name) return o.id;
        names += (names.empty() ? "" : ", ") + o.name;
    }
    const std::string offered =
        names.empty() ? "it offers nothing to this identity" : "it offers: " + names;
    if (at.name.empty())
        throw error(
            errc::bad_input,
            "which CRDT of " + at.origin() + "? Give " + at.with_name("NAME") + "; " + offered);
    throw error(errc::not_found, at.origin() + " has no CRDT \"" + at.name + "\"; " + offered);
}

}  // namespace

namespace {

/// A peer, and what is to be synced with it.
struct trip {
    peer_url to;
    tls_trust trust;
    std::vector<errand> errands;
};

/// Adds a CRDT to the trip to `url`, or to the one used last.
void plan(const commit_store& store,
          const std::string& name,
          const std::string& url,
          const tls_trust& trust,
          std::vector<trip>& trips) {
    const crdt_handle h = require_crdt(store, name);
    const std::string last = store.mark(h, remote_mark).value_or("");
    if (url.empty() && last.empty())
        throw error(
            errc::misuse,
            "\"" + name +
                "\" was not synced with a peer before; give the URL of one, ws://HOST:PORT");
    peer_url to = parse_peer_url(url.empty() ? last : url);
    tls_trust believed = trust;
    if (trust == tls_trust() && to.origin() == last)
        believed = trust_of(store.mark(h, trust_mark).value_or(""));
    want w;
    w.handle = h;
    w.remote = to.name;
    const auto same = [&](const trip& t) {
        return t.to.origin() == to.origin() && t.trust == believed;
    };
    auto at = std::find_if(trips.begin(), trips.end(), same);
    if (at == trips.end()) at = trips.insert(at, {std::move(to), std::move(believed), {}});
    const auto known = [&](const errand& e) { return e.what.handle == h; };
    if (std::none_of(at->errands.begin(), at->errands.end(), known))
        at->errands.push_back({.name = name, .what = std::move(w)});
}

/// All that are here, or that have a peer if no other is given.
std::vector<std::string> names_of_all(const commit_store& store, bool with_a_peer) {
    std::vector<std::string> names;
    for (const crdt_handle h : store.list())
        if (!with_a_peer || store.mark(h, remote_mark)) names.push_back(store.state(h).name);
    if (names.empty())
        throw error(errc::misuse,
                    with_a_peer ? "nothing here was synced with a peer before; give the URL of "
                                  "one, ws://HOST:PORT"
                                : "there is nothing here to sync");
    return names;
}

/// Adds one trip to what the trips before it have cost.
void add(joint_report& all, joint_report trip) {
    std::move(trip.crdts.begin(), trip.crdts.end(), std::back_inserter(all.crdts));
    sync_report& t = all.total;
    t.commits_in += trip.total.commits_in;
    t.commits_out += trip.total.commits_out;
    t.payload_bytes += trip.total.payload_bytes;
    t.control_bytes += trip.total.control_bytes;
    t.round_trips += trip.total.round_trips;
    t.blobs_in += trip.total.blobs_in;
    t.blob_bytes_in += trip.total.blob_bytes_in;
    t.blob_bytes_out += trip.total.blob_bytes_out;
    t.blobs_missing += trip.total.blobs_missing;
    t.seconds += trip.total.seconds;
}

}  // namespace

joint_report node_stage::sync(const std::vector<std::string>& names,
                              const std::string& url,
                              const connect_options& options) {
    joint_report all;
    std::vector<trip> trips;
    node_.read([&](commit_store& store) {
        for (const std::string& name : names.empty() ? names_of_all(store, url.empty()) : names) {
            try {
                plan(store, name, url, options.trust, trips);
            } catch (const error& e) {
                if (e.code() == errc::bad_input) throw;  // the URL
                all.crdts.push_back({name, {}, e.code(), e.what()});
            }
        }
    });
    if (options.follow && trips.size() > 1)
        throw error(errc::misuse,
                    "these were synced with different peers; give the URL of one, or follow them "
                    "one by one");
    for (trip& t : trips)
        add(all,
            sync_run(node_, std::move(t.to), std::move(t.trust), std::move(t.errands), options)
                .run());
    return all;
}

sync_report node_stage::clone(const std::string& url,
                              const std::string& name,
                              const connect_options& options) {
    peer_url to = parse_peer_url(url);
    const bool by_address = to.name.starts_with("trib:");
    auto keep_going = [&] {
        return !node_.stopping() &&
               (!options.keep_going || options.keep_going({.state = "connecting"}));
    };
    const crdt_id id = by_address
                           ? parse_address(to.name)
                           : find_offer(ask_offers(node_, to, options.trust, keep_going), to);

    want w;
    w.remote = address_of(id);
    w.clone_as = !name.empty() || by_address ? name : to.name;
    // A replica of the same CRDT is one that an earlier clone began.
    node_.read([&](commit_store& store) {
        w.handle = store.find_id(id);
        if (!w.handle) w.part = options.part;
        if (!w.handle && !w.clone_as.empty() && store.find_name(w.clone_as))
            throw error(errc::exists,
                        "there is another CRDT named \"" + w.clone_as +
                            "\" here; clone it under another name");
    });
    errand one{.name = name, .what = std::move(w)};
    return only(sync_run(node_, std::move(to), options.trust, {std::move(one)}, options).run());
}

std::vector<offer> stage::offers(const std::string& url, const tls_trust& trust) {
    peer_node asking(make_memory_kv(), identity::generate());
    std::vector<offer> out;
    for (hub_offer& o : ask_offers(asking, parse_peer_url(url), trust, [] { return true; }))
        out.push_back({std::move(o.name), o.id, std::move(o.type), o.commits, o.heads});
    return out;
}

namespace {

/// Listens, or tries again for two seconds: if a server was killed whose store another process has
/// open, that one notices, and gives the port free, only a moment later.
websocket_shell::listening listen_soon(peer_node& node,
                                       const serve_options& options,
                                       const std::function<bool()>& keep_going) {
    const peer_url at = parse_listen(options.listen);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (;;) {
        try {
            return node.listen(at, options.tls, options.compress);
        } catch (const error& e) {
            const bool late = std::chrono::steady_clock::now() >= deadline;
            if (e.code() != errc::unavailable || late || !keep_going()) throw;
        }
        std::this_thread::sleep_for(beat);
    }
}

}  // namespace

void node_stage::serve(const serve_options& options,
                       const std::function<void(const std::string&)>& bound,
                       const std::function<bool()>& keep_going) {
    struct open_listener {
        ~open_listener() { node.stop_listening(at.id); }
        peer_node& node;
        websocket_shell::listening at;
    } const listener{node_, listen_soon(node_, options, keep_going)};
    bound(listener.at.address);
    while (!node_.stopping() && keep_going()) std::this_thread::sleep_for(beat);
}

}  // namespace tributary
