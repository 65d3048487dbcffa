/// A datom database as simple as can be, to compare the real one with: all facts in one set, all
/// states kept.
#pragma once

#include "tributary/datom/types.hpp"
#include "tributary/value/edn.hpp"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace tributary::datom {

struct model_fact {
    entity_id e;
    std::string a;
    std::string v;  ///< as EDN text
    auto operator<=>(const model_fact&) const = default;
};

/// Facts and the t that asserted them.
using model_state = std::map<model_fact, std::int64_t>;
/// (fact, t, added)
using model_event = std::tuple<model_fact, std::int64_t, bool>;

struct model {
    std::map<std::int64_t, model_state> states;  ///< after every t
    std::set<model_event> events;
    std::set<std::int64_t> undone;
    model_state now;
    std::int64_t t = 0;

    struct change {
        model_fact fact;
        bool added;
    };

    /// One transaction: what is already so is left alone; attributes beginning with "one" have one
    /// value.
    void apply(const std::vector<change>& changes) {
        ++t;
        for (const change& c : changes) {
            if (c.added && c.fact.a.starts_with("one") && !now.contains(c.fact)) {
                std::erase_if(now, [&](const auto& held) {
                    if (held.first.e != c.fact.e || held.first.a != c.fact.a) return false;
                    events.emplace(held.first, t, false);
                    return true;
                });
            }
            if (c.added == now.contains(c.fact)) continue;
            if (c.added)
                now[c.fact] = t;
            else
                now.erase(c.fact);
            events.emplace(c.fact, t, c.added);
        }
        states[t] = now;
    }

    void rewind(std::int64_t to) {
        for (std::int64_t u = to + 1; u <= t; ++u) undone.insert(u);
        ++t;
        const model_state& target = states.at(to);
        for (const auto& [f, asserted] : now)
            if (!target.contains(f)) events.emplace(f, t, false);
        for (const auto& [f, asserted] : target)
            if (!now.contains(f)) events.emplace(f, t, true);
        now = target;
        states[t] = now;
    }
};

}  // namespace tributary::datom
