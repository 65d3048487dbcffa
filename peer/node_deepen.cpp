/// Getting what is below a partial replica.
#include "tributary/peer/node_stage.hpp"
#include "tributary/peer/session_blobs.hpp"
#include "tributary/peer/sync_trip.hpp"
#include "tributary/store/deepen.hpp"
#include "tributary/value/covered.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {

namespace {

/// A replica that is deepened, and what it lacks.
struct deepening {
    crdt_handle old = 0;
    std::uint64_t below = 0;
    std::vector<commit_id> needed;
};

/// Chooses what is to be fetched, going on with what was begun for the same part.
errand begin(commit_store& store,
             hub& hub,
             const std::string& name,
             const history_part& part,
             deepening& d) {
    d.old = require_crdt(store, name);
    const crdt_state s = store.state(d.old);
    if (!s.below)
        throw error(errc::misuse, "\"" + s.name + "\" is whole: all its commits are here");
    d.below = *s.below;
    d.needed = needed_below(store, d.old);
    errand e{name, {}};
    e.what.remote = address_of(s.id);
    e.what.deepens = true;
    e.what.until = d.needed;
    e.what.handle = store.beside(d.old);
    if (e.what.handle && store.mark(*e.what.handle, part_mark) == text_of(part)) return e;
    if (e.what.handle) {
        hub.removing(*e.what.handle);
        store.remove(*e.what.handle);
    }
    e.what.handle = d.old;
    e.what.part = part;
    return e;
}

/// Throws, and drops what was fetched with the flush of this turn, if that is not what is needed.
void require_deeper(commit_store& store, hub& hub, const deepening& d, const std::string& peer) {
    const crdt_handle made = store.beside(d.old).value();
    const std::string name = store.state(d.old).name;
    const bool deeper = store.state(made).below.value_or(0) < d.below;
    const bool joins = std::all_of(d.needed.begin(), d.needed.end(), [&](const commit_id& id) {
        return store.find(made, id).has_value();
    });
    if (deeper && joins) return;
    hub.removing(made);
    store.remove(made);
    throw error(errc::conflict,
                !deeper ? fmt::format("that much of \"{}\" is here already, or {} has no more of "
                                      "it; ask for more, or another peer",
                                      name,
                                      peer)
                        : fmt::format("what is just below \"{}\" is not in what {} gave: ask for "
                                      "more, or the peer it was cloned from",
                                      name,
                                      peer));
}

/// What is here comes behind, in turns, so that nobody waits long; with the last of it the new one
/// takes the place of the old.
void join(peer_node& n, const deepening& d, const std::function<bool()>& keep_going) {
    for (node next = 1; next != 0;) {
        if (!keep_going())
            throw error(errc::canceled, "stopped before it was deeper; run it again to go on");
        next = n.write([&](commit_store& store, hub& hub) -> node {
            const crdt_handle made = store.beside(d.old).value();
            const node after = copy_above(store, d.old, made, next);
            hub.staged(made);
            if (after <= store.state(d.old).end.seq) return after;
            hub.removing(d.old,
                         errc::unavailable,
                         "older commits came below, and places in its log have changed");
            store.take_place(made, d.old);
            covered("deepened");
            return 0;
        });
    }
}

}  // namespace

sync_report node_stage::deepen(const std::string& name,
                               const std::string& url,
                               const connect_options& options) {
    deepening d;
    trip t = node_.write([&](commit_store& store, hub& hub) {
        trip made = trip_to(store, require_crdt(store, name), url, options.trust);
        errand e = begin(store, hub, name, options.part.value_or(history_part{}), d);
        made.errands.push_back(std::move(e));
        return made;
    });
    const std::string peer = t.to.origin();
    connect_options fetching = options;
    fetching.lazy_blobs = node_.read(
        [&](commit_store& store) { return store.mark(d.old, lazy_blobs_mark).has_value(); });
    sync_report report = only(make_trip(node_, std::move(t), fetching));
    node_.write([&](commit_store& store, hub& hub) { require_deeper(store, hub, d, peer); });
    join(node_, d, [&] {
        return !node_.stopping() &&
               (!options.keep_going || options.keep_going({.state = "joining"}));
    });
    try {
        collect_garbage(false);
    } catch (const error&) {
        // It is deeper; trib gc gives the room back later.
    }
    return report;
}

}  // namespace tributary
