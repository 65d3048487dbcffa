#include "tributary/datom/rewind.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/keys.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_set>

namespace tributary::datom {

namespace {

/// What happened to one fact after the point: the log has alternating assertions and retractions of
/// it.
struct undone_fact {
    log_datom first;     ///< a retraction means that the fact held at the point
    bool holds = false;  ///< now
    std::int64_t last_t = 0;
};

bool is_system(entity_id e) { return e >= system_partition && e < tx_partition; }

/// Schema stays: it is not part of what as-of goes back in, and what comes next needs it. But for
/// how facts of older attributes were kept, which the older facts may need.
bool stays(const log_datom& d, const std::unordered_set<entity_id>& new_attributes) {
    if (!is_system(d.e)) return false;
    return new_attributes.contains(d.e) ||
           (d.a != id_of(system_entity::cardinality) && d.a != id_of(system_entity::unique));
}

std::vector<undone_fact> undone_since(const kv_reader& store, std::int64_t to) {
    std::vector<undone_fact> facts;
    std::unordered_map<bytes, std::size_t> index;
    std::unordered_set<entity_id> new_attributes;
    scan_log(store, to + 1, std::numeric_limits<std::int64_t>::max(), [&](const log_entry& entry) {
        for (const log_datom& d : entry.datoms)
            if (d.a == id_of(system_entity::value_type_attribute)) new_attributes.insert(d.e);
        for (const log_datom& d : entry.datoms) {
            if (stays(d, new_attributes)) continue;
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

bool held(const undone_fact& f) { return !f.first.added; }

/// The attributes whose cardinality or uniqueness was another at the point, as they were.
std::vector<attribute> former_attributes(const std::vector<undone_fact>& facts, const schema& now) {
    std::map<entity_id, attribute> former;
    for (const bool at_point : {false, true}) {
        for (const undone_fact& f : facts) {
            if (!is_system(f.first.e) || held(f) != at_point) continue;
            attribute& a = former.try_emplace(f.first.e, *now.find(f.first.e)).first->second;
            const entity_id v = view_of_raw(f.first.raw).integer;
            if (f.first.a == id_of(system_entity::cardinality)) {
                if (at_point) a.many = v == id_of(system_entity::cardinality_many);
            } else if (!at_point) {
                a.unique = uniqueness::none;
            } else {
                a.unique = v == id_of(system_entity::unique_identity) ? uniqueness::identity
                                                                      : uniqueness::by_value;
            }
        }
    }
    std::vector<attribute> all;
    for (const auto& [e, a] : former) all.push_back(a);
    return all;
}

/// What the facts of both forms fit.
attribute loosest(const attribute& x, const attribute& y) {
    attribute a = y;
    a.many = x.many || y.many;
    if (!x.is_unique()) a.unique = uniqueness::none;
    return a;
}

void alter_all(staged& base, const schema& from, const std::vector<attribute>& to) {
    for (const attribute& a : to) base.alter({*from.find(a.id), a});
}

}  // namespace

tx_report stage_rewind(staged& base,
                       const kv_reader& store,
                       const rewind_mark& mark,
                       std::int64_t now_ms) {
    const std::int64_t t = base.state().basis_t + 1;
    log_entry entry;
    entry.t = t;
    entry.instant_ms =
        base.state().has_instant ? std::max(now_ms, base.state().last_instant_ms) : now_ms;
    entry.rewind = mark;
    const std::vector<undone_fact> facts = undone_since(store, mark.to);
    const std::vector<attribute> former = former_attributes(facts, *base.attributes());
    std::vector<attribute> between;
    schema attributes = *base.attributes();
    for (const attribute& a : former) between.push_back(loosest(*attributes.find(a.id), a));
    alter_all(base, *base.attributes(), between);
    for (const attribute& a : between) attributes.put(a);
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

    alter_all(base, attributes, former);
    auto after = std::make_shared<schema>(*base.attributes());
    for (const attribute& a : former) after->put(a);
    after->link_composites();
    base.put(keys::of_id(keys::rewind, t), pack(mark));
    base.end_transaction(entry, base.state(), std::move(after));
    tx_report report;
    report.t = t;
    for (const log_datom& d : entry.datoms)
        report.tx_data.push_back(
            {d.e, d.a, view_of_raw(d.raw).to_value(), entity_of_t(t), d.added});
    return report;
}

}  // namespace tributary::datom
