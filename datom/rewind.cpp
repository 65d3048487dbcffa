#include "tributary/datom/rewind.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/keys.hpp"

#include <algorithm>
#include <limits>

namespace tributary::datom {

namespace {

/// What happened to one fact after the point: the log has alternating assertions and retractions of
/// it.
struct undone_fact {
    log_datom first;     ///< a retraction means that the fact held at the point
    bool holds = false;  ///< now
    std::int64_t last_t = 0;
};

std::vector<undone_fact> undone_since(const kv_reader& store, std::int64_t to) {
    std::vector<undone_fact> facts;
    std::unordered_map<bytes, std::size_t> index;
    scan_log(store, to + 1, std::numeric_limits<std::int64_t>::max(), [&](const log_entry& entry) {
        for (const log_datom& d : entry.datoms) {
            // Schema stays: it is not part of what as-of goes back in, and what comes next needs
            // it.
            if (d.e >= system_partition && d.e < tx_partition) continue;
            bytes key;
            put_id(key, d.e);
            put_id(key, d.a - system_partition);
            key += d.raw;
            const auto [it, is_first] = index.try_emplace(std::move(key), facts.size());
            if (is_first) facts.push_back({d, false, 0});
            facts[it->second].holds = d.added;
            facts[it->second].last_t = entry.t;
        }
        return true;
    });
    return facts;
}

}  // namespace

void stage_rewind(staged& base,
                  const kv_reader& store,
                  const rewind_mark& mark,
                  std::int64_t now_ms) {
    const std::int64_t t = base.state().basis_t + 1;
    log_entry entry;
    entry.t = t;
    entry.instant_ms =
        base.state().has_instant ? std::max(now_ms, base.state().last_instant_ms) : now_ms;
    entry.rewind = mark;
    const schema& attributes = *base.attributes();
    const std::vector<undone_fact> facts = undone_since(store, mark.to);
    const auto held = [](const undone_fact& f) { return !f.first.added; };
    const auto original = [](const undone_fact& f) {
        return stored_fact{f.first.e, f.first.a, f.first.raw, f.first.asserted_t, false};
    };

    // Retractions first: a value they free may be taken anew under the same key.
    for (const undone_fact& f : facts) {
        if (held(f) || !f.holds) continue;
        const attribute& a = *attributes.find(f.first.a);
        const auto now = base.fact(f.first.e, a, f.first.raw);
        TRIBUTARY_CHECK(now);
        base.remove_fact(a, *now, t);
        entry.datoms.push_back({f.first.e, a.id, f.first.raw, false, now->asserted_t});
    }
    for (const undone_fact& f : facts) {
        if (!held(f)) continue;
        const attribute& a = *attributes.find(f.first.a);
        if (!f.holds) {
            base.restore_fact(a, original(f), t, false);
            entry.datoms.push_back({f.first.e, a.id, f.first.raw, true, 0});
        } else if (const auto now = base.fact(f.first.e, a, f.first.raw);
                   now && now->asserted_t != f.first.asserted_t) {
            base.restore_fact(a, original(f), f.last_t, true);
        }
    }
    const attribute& instant = *attributes.find(id_of(system_entity::tx_instant));
    const bytes raw = encode_raw(value(inst{entry.instant_ms}), instant.type);
    base.add_fact(instant, entity_of_t(t), raw, t);
    entry.datoms.push_back({entity_of_t(t), instant.id, raw, true, 0});

    base.put(keys::of_id(keys::rewind, t), pack(mark));
    base.end_transaction(entry, base.state(), base.attributes());
}

}  // namespace tributary::datom
