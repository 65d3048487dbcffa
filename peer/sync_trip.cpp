#include "tributary/peer/sync_trip.hpp"

#include "tributary/peer/backoff.hpp"
#include "tributary/peer/contacts.hpp"
#include "tributary/peer/node_stage.hpp"

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

/// An errand, and how far it has come.
struct task : errand {
    std::optional<crdt_id> id;      ///< of the replica that is synced, whose handle may change
    bool caught_up = false;         ///< on the last connection
    std::optional<error> failure;   ///< it is given up
    connection_counters past, now;  ///< of past connections, of this one
    std::optional<clock::time_point> over;  ///< since when it was up to date, or given up

    bool is_open() const { return !caught_up && !failure; }
};

/// Brings CRDTs up to date with one peer, over as many connections as it takes, one at a time.
class sync_run {
public:
    sync_run(peer_node& n, trip t, const connect_options& options)
        : node_(n), to_(std::move(t.to)), trust_(std::move(t.trust)), options_(options) {
        for (errand& e : t.errands) {
            task& now = tasks_.emplace_back(task{std::move(e)});
            now.what.live = options_.follow;
            now.what.lazy_blobs = options_.lazy_blobs;
            now.what.blobs = options_.blobs;
            // What is made beside a replica is not found by the id.
            if (now.what.handle && !now.what.deepens) now.id = id_of(*now.what.handle);
        }
        if (options_.follow && tasks_.size() > at_once_max)
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
            for (const task* e : under_way_) note(*e);
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

    crdt_id id_of(crdt_handle h) const {
        return node_.read([&](commit_store& store) { return store.state(h).id; });
    }

    bool any_open() const {
        return std::any_of(tasks_.begin(), tasks_.end(), [&](const task& e) {
            return e.is_open() || (options_.follow && !e.failure);
        });
    }
    bool any_caught_up() const {
        return std::any_of(
            under_way_.begin(), under_way_.end(), [](const task* e) { return e->caught_up; });
    }
    bool is_settled() const {
        return std::none_of(
            under_way_.begin(), under_way_.end(), [](const task* e) { return e->is_open(); });
    }

    /// What says that a connection got somewhere.
    std::uint64_t moved_so_far() const {
        return past_.commits_in + past_.commits_out + past_.blob_bytes_in + past_.blob_bytes_out;
    }

    /// Whether the connection that broke off is to be made again. A peer that ended it because of
    /// one CRDT refuses that one alone the next time.
    bool comes_again(bool moved) {
        if (failure_.code == errc::unauthorized && under_way_.size() > 1)
            return !std::exchange(went_without_, true);
        if (!is_passing(failure_.code)) return false;
        return options_.follow || (moved && resumes_++ < resumes_max);
    }

    /// What the network says is no advice.
    std::string advice() const {
        if (failure_.code != errc::unavailable) return "";
        return ". Is trib serve running there, and reachable? Run it again then";
    }

    void give_up() {
        failure_.reason += advice();
        for (task* e : under_way_)
            if (e->is_open() || options_.follow) fail(*e, failure_);
    }

    static void fail(task& e, const hub_event& why) {
        if (e.failure) return;
        e.failure = error(why.code, why.reason);
        e.caught_up = false;
        e.over = clock::now();
    }

    /// Who refuses the store's key may not know yet that it follows another, and may let that one
    /// in with the news; then it knows.
    void change_identity() {
        std::vector<task*> refused;
        for (task& e : tasks_)
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
        for (task* e : refused) e->failure.reset();
    }

    void attempt() {
        state_ = "connecting";
        failure_ = {hub_event::kind::closed};
        broke_off_ = false;
        begin();
        std::vector<want> wants;
        for (const task* e : under_way_) wants.push_back(e->what);
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
        node_.read([&](commit_store& store) {
            for (task& e : tasks_)
                if (const auto h = e.id ? store.find_id(*e.id) : std::nullopt) e.what.handle = h;
        });
        for (task& e : tasks_) {
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
            case hub_event::kind::cloned: {
                task& e = *under_way_.at(event.want);
                e.what.handle = event.handle;
                e.what.part.reset();
                if (!e.what.deepens) e.id = id_of(event.handle);
                break;
            }
            case hub_event::kind::refused:
                fail(*under_way_.at(event.want), event);
                break;
            case hub_event::kind::caught_up: {
                task& e = *under_way_.at(event.want);
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
        for (task* e : under_way_) e->past = e->past + std::exchange(e->now, {});
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
        for (const task& e : tasks_) p.crdts.push_back(report_of(e));
        return options_.keep_going(p);
    }

    /// Keeps where to and how it went, for whoever asks and for a sync without a URL.
    void note(const task& e) {
        const bool untold = (e.is_open() && !broke_off_) || e.what.deepens;
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

    contact contact_now(const task& e, const std::optional<contact>& before) const {
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

    synced_crdt report_of(const task& e) const {
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
        for (const task& e : tasks_) {
            all.crdts.push_back(report_of(e));
            if (e.what.handle)
                all.crdts.back().report.heads = node_.read(
                    [&](commit_store& store) { return store.state(*e.what.handle).heads; });
        }
        return all;
    }

    std::string warning(const task& e) const {
        return clock_ahead_ms_ == 0 ? "" : clock_warning(to_.origin(), e.name, clock_ahead_ms_);
    }

    peer_node& node_;
    const peer_url to_;
    const tls_trust trust_;
    std::vector<task> tasks_;
    const connect_options& options_;
    const clock::time_point began_ = clock::now();
    std::vector<task*> under_way_;    ///< on this connection, as its wants
    connection_counters past_, now_;  ///< of past connections, of this one
    std::string state_;
    hub_event failure_{hub_event::kind::closed};  ///< how the last connection ended, if
    bool broke_off_ = false;                      ///< it ended by itself
    backoff pause_{std::random_device{}()};
    std::optional<public_key> key_;    ///< the peer's
    std::int64_t clock_ahead_ms_ = 0;  ///< its clock, as in hub_link
    int resumes_ = 0;
    bool went_without_ = false;  ///< came again because one CRDT might be why the peer left
    std::optional<identity> as_;  ///< the last identity, while that one is tried
    bool was_last_identity_ = false;
    bool stopped_ = false;  ///< by whoever asked
};

}  // namespace

trip trip_to(const commit_store& store,
             crdt_handle h,
             const std::string& url,
             const tls_trust& trust) {
    const std::string last = store.mark(h, remote_mark).value_or("");
    if (url.empty() && last.empty())
        throw error(
            errc::misuse,
            "\"" + store.state(h).name +
                "\" was not synced with a peer before; give the URL of one, ws://HOST:PORT");
    trip out{parse_peer_url(url.empty() ? last : url), trust, {}};
    if (trust == tls_trust() && out.to.origin() == last)
        out.trust = trust_of(store.mark(h, trust_mark).value_or(""));
    return out;
}

joint_report make_trip(peer_node& n, trip t, const connect_options& options) {
    return sync_run(n, std::move(t), options).run();
}

}  // namespace tributary
