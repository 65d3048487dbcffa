/// Connecting to peers and serving them, on the thread of the caller.
#include "tributary/peer/node_stage.hpp"
#include "tributary/peer/sync_trip.hpp"
#include "tributary/store/memory_kv.hpp"

#include <algorithm>
#include <utility>

namespace tributary {

namespace {

constexpr std::chrono::milliseconds beat(100);

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

/// Adds a CRDT to the trip to `url`, or to the one used last.
void plan(const commit_store& store,
          const std::string& name,
          const std::string& url,
          const tls_trust& trust,
          std::vector<trip>& trips) {
    const crdt_handle h = require_crdt(store, name);
    trip to = trip_to(store, h, url, trust);
    const auto same = [&](const trip& t) {
        return t.to.origin() == to.to.origin() && t.trust == to.trust;
    };
    auto at = std::find_if(trips.begin(), trips.end(), same);
    if (at == trips.end()) at = trips.insert(at, std::move(to));
    const auto known = [&](const errand& e) { return e.what.handle == h; };
    if (std::any_of(at->errands.begin(), at->errands.end(), known)) return;
    want w;
    w.handle = h;
    at->errands.push_back({name, std::move(w)});
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
    for (trip& t : trips) add(all, make_trip(node_, std::move(t), options));
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
        if (w.handle && !name.empty() && store.state(*w.handle).name != name)
            throw error(errc::exists,
                        "this CRDT is here already, as \"" + store.state(*w.handle).name +
                            "\"; sync that one");
        if (!w.handle && !w.clone_as.empty() && store.find_name(w.clone_as))
            throw error(errc::exists,
                        "there is another CRDT named \"" + w.clone_as +
                            "\" here; clone it under another name");
    });
    return only(make_trip(node_, {std::move(to), options.trust, {{name, std::move(w)}}}, options));
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
