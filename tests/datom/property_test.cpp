#include "tributary/datom/fulltext.hpp"

#include <catch2/catch.hpp>

#include "datom/model.hpp"
#include "datom/support.hpp"
#include <random>

namespace tributary::datom {

namespace {

constexpr const char* attributes = R"([
    {:db/ident :one/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :one/text :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :one/id :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
    {:db/ident :one/ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
    {:db/ident :many/text :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/fulltext true}
    {:db/ident :many/ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :many/id :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/unique :db.unique/value}
    {:db/ident :many/plain :db/valueType :db.type/long :db/cardinality :db.cardinality/many :db/index false}])";
const std::vector<std::string> names{
    "one/n", "one/text", "one/id", "one/ref", "many/text", "many/ref", "many/id", "many/plain"};

bool is_ours(const datom_ref& d) { return d.e < system_partition; }

model_fact fact_of(const reader& r, const datom_ref& d) {
    return {d.e, r.find_attribute(d.a)->ident.text, edn::print(d.v.to_value())};
}

model_state state_of(const db& d) {
    model_state s;
    const reader& r = d.get();
    r.scan_all([&](const datom_ref& f) {
        if (is_ours(f)) CHECK(s.emplace(fact_of(r, f), t_of_entity(f.tx)).second);
        return true;
    });
    return s;
}

std::set<model_event> events_of(const db& d) {
    std::set<model_event> s;
    const reader& r = d.get();
    r.scan_all([&](const datom_ref& f) {
        if (is_ours(f)) CHECK(s.emplace(fact_of(r, f), t_of_entity(f.tx), f.added).second);
        return true;
    });
    return s;
}

/// All indexes of a database value tell the same as EAVT.
void check_indexes(const db& d) {
    const reader& r = d.get();
    std::set<model_event> eavt = events_of(d), aevt, avet, range, vaet, words_hit, words_wanted;
    for (const std::string& name : names) {
        const attribute& a = *r.find_attribute(name);
        std::set<std::string> values, words_seen;
        entity_id last = 0;
        r.scan_aevt(a, std::nullopt, [&](const datom_ref& f) {
            CHECK(f.e >= last);
            last = f.e;
            aevt.emplace(fact_of(r, f), t_of_entity(f.tx), f.added);
            values.insert(edn::print(f.v.to_value()));
            return true;
        });
        for (const std::string& v : values)
            r.scan_avet(a, edn::read(v), [&](const datom_ref& f) {
                CHECK(edn::print(f.v.to_value()) == v);
                return avet.emplace(fact_of(r, f), t_of_entity(f.tx), f.added), true;
            });
        r.scan_avet_range(a, {}, [&](const datom_ref& f) {
            return range.emplace(fact_of(r, f), t_of_entity(f.tx), f.added), true;
        });
        if (a.is_ref())
            for (const std::string& v : values)
                r.scan_vaet(std::stoll(v), &a, [&](const datom_ref& f) {
                    return vaet.emplace(fact_of(r, f), t_of_entity(f.tx), f.added), true;
                });
        else
            for (const model_event& e : aevt)
                if (std::get<0>(e).a == name) vaet.insert(e);
        if (a.fulltext) {
            for (const text_match& m : search_text(r, a, "red")) {
                const datom_ref f{
                    m.e, a.id, {.type = value_type::string, .text = m.text}, m.tx, m.added};
                words_hit.emplace(fact_of(r, f), t_of_entity(f.tx), f.added);
            }
            for (const model_event& e : aevt)
                if (std::get<0>(e).a == name && std::get<0>(e).v.find("red") != std::string::npos)
                    words_wanted.insert(e);
        }
    }
    CHECK(aevt == eavt);
    CHECK(avet == eavt);
    CHECK(range == eavt);
    CHECK(vaet == eavt);
    CHECK(words_hit == words_wanted);
}

class generator {
public:
    explicit generator(unsigned seed) : random_(seed) {}

    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

    std::vector<model::change> transaction(const model_state& now) {
        std::vector<model::change> changes;
        std::set<std::pair<entity_id, std::string>> touched;
        // Few entities and values, so that facts come and go and come again.
        for (int i = below(6) + 1; i > 0; --i) {
            const entity_id e = below(3) + 1;
            const std::string& a = names[below(static_cast<int>(names.size()))];
            if (!touched.emplace(e, a).second) continue;
            const model_fact f{e, a, value_for(a)};
            const bool held_elsewhere = a.ends_with("/id") && taken(now, changes, f);
            const bool added = below(3) > 0;
            if (added && held_elsewhere) continue;
            changes.push_back({f, added});
        }
        return changes;
    }

private:
    std::string value_for(const std::string& a) {
        if (a.ends_with("/ref")) return std::to_string(below(3) + 1);
        if (a == "one/n" || a == "one/id" || a == "many/plain") return std::to_string(below(3) - 1);
        static const std::string colors[] = {"red", "green", "blue", "red-green"};
        std::string text = colors[below(4)] + ".";
        // Some are keyed by hash, some are kept out of the columns.
        if (below(4) == 0) text += std::string(300, '.') + std::to_string(below(2));
        if (below(6) == 0) text += std::string(1500, 'x');
        return edn::print(value(text));
    }

    /// Unique values are only taken where nobody has them: refusals are the examples' business.
    static bool taken(const model_state& now,
                      const std::vector<model::change>& changes,
                      const model_fact& f) {
        const auto same = [&](const model_fact& g) {
            return g.a == f.a && g.v == f.v && g.e != f.e;
        };
        return std::any_of(now.begin(), now.end(), [&](const auto& g) { return same(g.first); }) ||
               std::any_of(
                   changes.begin(), changes.end(), [&](const auto& c) { return same(c.fact); });
    }

    std::mt19937 random_;
};

std::string forms_of(const std::vector<model::change>& changes) {
    std::string forms = "[";
    for (const auto& c : changes)
        forms += std::string(c.added ? "[:db/add " : "[:db/retract ") + std::to_string(c.fact.e) +
                 " :" + c.fact.a + " " + c.fact.v + "] ";
    return forms + "]";
}

void check_against(const db& d, const model& m) {
    CHECK(d.basis_t() == m.t);
    CHECK(state_of(d) == m.now);
    check_indexes(d);
    CHECK(events_of(d.history()) == m.events);
    check_indexes(d.history());
    for (const auto& [t, state] : m.states) {
        INFO("as of " << t);
        if (m.undone.contains(t)) {
            CHECK(code_of([&] { d.as_of(t); }) == errc::conflict);
        } else {
            CHECK(state_of(d.as_of(t)) == state);
        }
    }
    std::map<std::string, std::uint64_t> counts;
    for (const auto& [f, t] : m.now) ++counts[f.a];
    for (const std::string& name : names)
        CHECK(d.get().count(*d.get().find_attribute(name)) == counts[name]);
}

}  // namespace

TEST_CASE("property: current facts, past states and history are those of a plain model",
          "[datom]") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        generator g(seed);
        scratch d;
        d.tx(attributes);
        model m;
        m.t = 1;
        m.states[1] = {};
        const int transactions = 8 + g.below(12);
        std::optional<std::pair<db, model>> held;
        for (int i = 0; i < transactions; ++i) {
            const auto changes = g.transaction(m.now);
            d.stage(forms_of(changes));
            m.apply(changes);
            if (g.below(2) == 0) {
                d.conn->flush();
                if (!held) held.emplace(d.now_db(), m);
            }
        }
        d.conn->flush();
        if (held) check_against(held->first, held->second);
        check_against(d.now_db(), m);
        check_indexes(d.now_db().as_of(m.t / 2));
        d.reopen();
        check_against(d.now_db(), m);
    }
}

TEST_CASE("property: a rewind restores the state it names, exactly, and the future goes on",
          "[datom]") {
    for (unsigned seed = 1; seed <= 25; ++seed) {
        INFO("seed " << seed);
        generator g(seed);
        scratch d;
        d.tx(attributes);
        model m;
        m.t = 1;
        m.states[1] = {};
        std::vector<std::int64_t> t_at{1};  // by position
        stream_cursor cursor{0, {}, bytes(32, 'd'), 1};
        d.conn->stage_cursor("s", cursor);
        d.conn->flush();
        for (int round = 0; round < 5; ++round) {
            for (int commit = g.below(4) + 1; commit > 0; --commit) {
                for (int op = g.below(3); op > 0; --op) {
                    const auto changes = g.transaction(m.now);
                    d.stage(forms_of(changes));
                    m.apply(changes);
                }
                ++cursor.position;
                cursor.commit = bytes(32, static_cast<char>('0' + cursor.position));
                d.conn->stage_cursor("s", cursor);
                t_at.push_back(m.t);
                if (g.below(2) == 0) d.conn->flush();
            }
            d.conn->flush();
            const db held = d.now_db();
            const model_state held_state = m.now;
            if (g.below(4) > 0) {
                cursor.position =
                    static_cast<std::uint64_t>(g.below(static_cast<int>(t_at.size())));
                d.conn->rewind("s", cursor.position, ++d.now);
                t_at.resize(cursor.position + 1);
                m.rewind(t_at.back());
                cursor.commit = d.conn->cursor("s")->commit;
                CHECK(d.conn->cursor("s")->position == cursor.position);
                CHECK_FALSE(d.conn->applied_at("s", cursor.position));
            }
            CHECK(state_of(held) == held_state);
            check_against(d.now_db(), m);
            if (g.below(3) == 0) d.reopen();
        }
        d.reopen();
        check_against(d.now_db(), m);
    }
}

}  // namespace tributary::datom
