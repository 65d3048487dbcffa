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

/// Brings one CRDT up to date with one peer, over as many connections as it takes.
class sync_run {
public:
    sync_run(peer_node& n, peer_url to, tls_trust trust, want what, const connect_options& options)
        : node_(n),
          to_(std::move(to)),
          trust_(std::move(trust)),
          want_(std::move(what)),
          options_(options) {
        want_.live = options_.follow;
        want_.lazy_blobs = options_.lazy_blobs;
        want_.blobs = options_.blobs;
    }

    /// Errors: those of the peer and of the way there; canceled if `keep_going` said no before it
    /// was up to date.
    sync_report run() {
        const auto began = clock::now();
        while (!done_) {
            const std::uint64_t before = moved_so_far();
            attempt();
            if (done_) {
                if (caught_up_) note(true);
                break;
            }
            const bool moved = moved_so_far() > before;
            if (moved || caught_up_) pause_.reset();
            note(false);
            if (change_identity()) continue;
            const bool again = is_passing(failure_.code) &&
                               (options_.follow || (moved && resumes_++ < resumes_max));
            if (!again) throw error(failure_.code, failure_.reason);
            wait();
        }
        if (!caught_up_ && !options_.follow)
            throw error(errc::canceled, "stopped before it was up to date; run it again to go on");
        return report(began);
    }

private:
    /// Of past connections: what says that one got somewhere.
    std::uint64_t moved_so_far() const {
        return total_.commits_in + total_.commits_out + total_.blob_bytes_in +
               total_.blob_bytes_out;
    }

    /// Who refuses the store's key may not know yet that it follows another, and may let that one
    /// in with the news; then it knows. False: that has been tried, or there was no other.
    bool change_identity() {
        if (failure_.code != errc::not_found && failure_.code != errc::unauthorized) return false;
        if (as_) {
            as_.reset();
            return true;
        }
        if (std::exchange(was_last_identity_, true)) return false;
        as_ = node_.last_identity();
        return as_.has_value();
    }

    void attempt() {
        state_ = "connecting";
        failure_ = {hub_event::kind::closed};
        caught_up_ = false;
        auto [c, d] = node_.dial(to_, {want_}, false, trust_, options_.compress, as_);
        bool open = true;
        auto next_beat = clock::now() + beat;
        try {
            while (open && !done_) {
                if (auto event = d->next(
                        std::max(milliseconds(0),
                                 std::chrono::ceil<milliseconds>(next_beat - clock::now()))))
                    open = take(*event);
                now_ = d->counters();
                if (clock::now() < next_beat) continue;
                next_beat = clock::now() + beat;
                if (!going_on()) done_ = true;
            }
        } catch (...) {
            node_.hang_up(c);
            throw;
        }
        node_.hang_up(c);
        now_ = d->counters();
        add_up();
    }

    /// False when the connection is over.
    bool take(hub_event& event) {
        switch (event.what) {
            case hub_event::kind::authenticated:
                key_ = event.peer_key;
                state_ = "fetching";
                break;
            case hub_event::kind::offers:
            case hub_event::kind::refused:  // one want: the connection ends
                break;
            case hub_event::kind::cloned:
                want_.handle = event.handle;
                break;
            case hub_event::kind::caught_up:
                caught_up_ = true;
                state_ = "live";
                pause_.reset();
                done_ = !options_.follow;
                if (options_.follow) note(true);
                break;
            case hub_event::kind::closed:
                failure_ = std::move(event);
                return false;
        }
        return true;
    }

    void add_up() {
        total_.commits_in += now_.commits_in;
        total_.commits_out += now_.commits_out;
        total_.payload_bytes += now_.payload_bytes;
        total_.control_bytes += now_.control_bytes;
        total_.round_trips += now_.round_trips;
        total_.blobs_in += now_.blobs_in;
        total_.blob_bytes_in += now_.blob_bytes_in;
        total_.blob_bytes_out += now_.blob_bytes_out;
        total_.blobs_missing = now_.blobs_missing;
        now_ = {};
    }

    void wait() {
        const auto until = clock::now() + pause_.next();
        while (!done_ && clock::now() < until) {
            const auto left = std::chrono::ceil<std::chrono::seconds>(until - clock::now());
            state_ = fmt::format("waiting {} s: {}", left.count(), failure_.reason);
            if (!going_on())
                done_ = true;
            else
                std::this_thread::sleep_for(beat);
        }
    }

    bool going_on() {
        if (node_.stopping()) return false;
        if (!options_.keep_going) return true;
        sync_progress p;
        p.commits_in = total_.commits_in + now_.commits_in;
        p.commits_out = total_.commits_out + now_.commits_out;
        p.commits_in_expected = total_.commits_in + now_.commits_in_expected;
        p.bytes = total_.payload_bytes + now_.payload_bytes;
        p.control_bytes = total_.control_bytes + now_.control_bytes;
        p.round_trips = total_.round_trips + now_.round_trips;
        p.blob_bytes_in = total_.blob_bytes_in + now_.blob_bytes_in;
        p.blob_bytes_in_expected = total_.blob_bytes_in + now_.blob_bytes_in_expected;
        p.state = state_;
        return options_.keep_going(p);
    }

    /// Keeps where to and how it went, for whoever asks and for a sync without a URL.
    void note(bool connected) {
        if (!want_.handle) return;
        try {
            node_.write([&](commit_store& store, hub&) {
                const auto before = load_contact(store, *want_.handle, to_.origin());
                const contact now = contact_now(before, connected);
                if (now != before) save_contact(store, *want_.handle, now);
                if (caught_up_ && store.mark(*want_.handle, remote_mark) != to_.origin())
                    store.put_mark(*want_.handle, remote_mark, to_.origin());
                if (caught_up_ && store.mark(*want_.handle, trust_mark) != text_of(trust_))
                    store.put_mark(*want_.handle, trust_mark, text_of(trust_));
            });
        } catch (const error&) {
            // A full disk is no reason to end a sync otherwise than it ended.
        }
    }

    contact contact_now(const std::optional<contact>& before, bool connected) const {
        contact c = before.value_or(contact{.url = to_.origin()});
        const link_state state = connected ? link_state::idle : state_after(failure_.code);
        const std::int64_t now = wall_ms();
        if (!before || caught_up_ || c.state != state) c.since_ms = now;
        if (caught_up_) c.synced_ms = now;
        if (key_) c.key = key_;
        c.state = state;
        c.reason = connected ? "" : failure_.reason;
        return c;
    }

    sync_report report(clock::time_point began) const {
        sync_report r;
        r.commits_in = total_.commits_in;
        r.commits_out = total_.commits_out;
        r.payload_bytes = total_.payload_bytes;
        r.control_bytes = total_.control_bytes;
        r.round_trips = total_.round_trips;
        r.blobs_in = total_.blobs_in;
        r.blob_bytes_in = total_.blob_bytes_in;
        r.blob_bytes_out = total_.blob_bytes_out;
        r.blobs_missing = total_.blobs_missing;
        r.seconds = std::chrono::duration<double>(clock::now() - began).count();
        if (want_.handle)
            r.heads =
                node_.read([&](commit_store& store) { return store.state(*want_.handle).heads; });
        return r;
    }

    peer_node& node_;
    const peer_url to_;
    const tls_trust trust_;
    want want_;
    const connect_options& options_;
    connection_counters total_, now_;  ///< of past connections, of this one
    std::string state_;
    hub_event failure_{hub_event::kind::closed};
    backoff pause_{std::random_device{}()};
    std::optional<public_key> key_;  ///< the peer's
    int resumes_ = 0;
    std::optional<identity> as_;  ///< the last identity, while that one is tried
    bool was_last_identity_ = false;
    bool caught_up_ = false;  ///< on the last connection
    bool done_ = false;
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

sync_report node_stage::connect(const std::string& name,
                                const std::string& url,
                                const connect_options& options) {
    want w;
    std::string last;
    tls_trust trust = options.trust, last_trust;
    node_.read([&](commit_store& store) {
        w.handle = require_crdt(store, name);
        last = store.mark(*w.handle, remote_mark).value_or("");
        last_trust = trust_of(store.mark(*w.handle, trust_mark).value_or(""));
    });
    if (url.empty() && last.empty())
        throw error(
            errc::misuse,
            "\"" + name +
                "\" was not synced with a peer before; give the URL of one, ws://HOST:PORT");
    peer_url to = parse_peer_url(url.empty() ? last : url);
    if (trust == tls_trust() && to.origin() == last) trust = last_trust;
    w.remote = to.name;
    return sync_run(node_, std::move(to), std::move(trust), std::move(w), options).run();
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
    return sync_run(node_, std::move(to), options.trust, std::move(w), options).run();
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
