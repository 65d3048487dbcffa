/// Random schemas and transactions, and the log of what was said, out of which every view of time
/// can be worked out by its definition.
#pragma once

#include "datom/random_query.hpp"
#include "datom/support.hpp"

namespace tributary::datom {

inline std::vector<drawn_attribute> random_attributes(dice& d) {
    std::vector<drawn_attribute> all;
    const std::string kinds = "nrsfnr";
    for (std::size_t i = 0, n = 2 + d.below(5); i < n; ++i) {
        const char holds = kinds[i];
        all.push_back({keyword{std::string(1, holds) + std::to_string(i)}, holds, d.chance(50)});
    }
    return all;
}

inline vector schema_of(const std::vector<drawn_attribute>& attributes, dice& d) {
    const std::map<char, const char*> types{{'n', "db.type/long"},
                                            {'r', "db.type/ref"},
                                            {'s', "db.type/string"},
                                            {'f', "db.type/double"}};
    vector forms;
    for (const drawn_attribute& a : attributes) {
        std::vector<std::pair<value, value>> form{
            {keyword{"db/ident"}, a.name},
            {keyword{"db/valueType"}, keyword{types.at(a.holds)}},
            {keyword{"db/cardinality"},
             keyword{a.many ? "db.cardinality/many" : "db.cardinality/one"}}};
        if (a.holds != 'r' && d.chance(25)) form.emplace_back(keyword{"db/index"}, false);
        forms.push_back(make_map(std::move(form)));
    }
    return forms;
}

inline value random_value(const drawn_attribute& a, dice& d) {
    return a.holds == 's' ? d.text() : a.holds == 'f' ? d.real() : d.number();
}

/// Forms that do not contradict each other: of each (entity, attribute) one word.
inline vector random_forms(const std::vector<drawn_attribute>& attributes, dice& d) {
    vector forms;
    std::set<value> taken;
    if (d.chance(8)) return {vector{keyword{"db/retractEntity"}, d.number()}};
    for (std::size_t n = 1 + d.below(10); n > 0; --n) {
        const drawn_attribute& a = d.one_of(attributes);
        const value e = d.number();
        if (!taken.insert(vector{e, a.name}).second) continue;
        const bool retract = d.chance(25);
        if (!retract && d.chance(20)) {
            value held = random_value(a, d);
            if (a.many) held = vector{held, random_value(a, d)};
            forms.push_back(make_map({{keyword{"db/id"}, e}, {a.name, held}}));
        } else {
            forms.push_back(
                vector{keyword{retract ? "db/retract" : "db/add"}, e, a.name, random_value(a, d)});
        }
    }
    return forms;
}

/// How a database value is looked at.
struct drawn_view {
    std::optional<std::int64_t> as_of, since;
    bool history = false;
    std::optional<entity_id> without;  ///< a filter hides this entity
    std::optional<vector> with;

    std::string text() const {
        std::string s;
        if (with) s += " with " + edn::print(*with);
        if (as_of) s += " as-of " + std::to_string(*as_of);
        if (since) s += " since " + std::to_string(*since);
        if (history) s += " history";
        if (without) s += " without entity " + std::to_string(*without);
        return s;
    }
};

inline drawn_view random_view(const std::vector<drawn_attribute>& attributes,
                              std::int64_t newest,
                              dice& d) {
    drawn_view v;
    if (d.chance(40)) return v;
    const auto some_t = [&] {
        return static_cast<std::int64_t>(d.below(static_cast<std::size_t>(newest) + 1));
    };
    if (d.chance(20)) v.with = random_forms(attributes, d);
    if (d.chance(35)) v.as_of = some_t();
    if (d.chance(25)) v.since = some_t();
    v.history = d.chance(30);
    if (d.chance(20)) v.without = static_cast<entity_id>(1 + d.below(5));
    return v;
}

/// The database seen so, and what `log` makes of it by the definition.
inline std::pair<db, std::vector<datom>> look(const db& now,
                                              std::vector<datom> log,
                                              const drawn_view& v) {
    db d = now;
    if (v.with) {
        const with_report r = d.with(*v.with, 1'000'000);
        log.insert(log.end(), r.tx_data.begin(), r.tx_data.end());
        d = r.db_after;
    }
    if (v.as_of) d = d.as_of(*v.as_of);
    if (v.since) d = d.since(*v.since);
    if (v.history) d = d.history();
    if (v.without) {
        const entity_id hidden = *v.without;
        d = d.filter([hidden](const db&, const datom& f) { return f.e != hidden; });
    }
    std::erase_if(log, [&](const datom& f) {
        const std::int64_t t = t_of_entity(f.tx);
        return (v.as_of && t > *v.as_of) || (v.since && t <= *v.since);
    });
    std::vector<datom> seen;
    if (v.history) {
        seen = log;
    } else {
        std::map<value, datom> newest;  // the last word on each fact
        for (const datom& f : log) newest.insert_or_assign(vector{f.e, f.a, f.v}, f);
        for (const auto& [fact, f] : newest)
            if (f.added) seen.push_back(f);
    }
    std::erase_if(seen, [&](const datom& f) { return v.without && f.e == *v.without; });
    return {d, seen};
}

}  // namespace tributary::datom
