#include "tributary/datom/feed.hpp"

#include <catch2/catch.hpp>

#include "datom/support.hpp"
#include <random>
#include <set>

namespace tributary::datom {

namespace {

constexpr const char* attributes = R"([
    {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
    {:db/ident :id :db/valueType :db.type/long :db/cardinality :db.cardinality/one
     :db/unique :db.unique/identity}
    {:db/ident :to :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/many}
    {:db/ident :plain :db/valueType :db.type/string :db/cardinality :db.cardinality/one
     :db/index false}])";

/// A database that is a window of its log: whole transactions, some of them undone by rewinds.
class history_maker {
public:
    explicit history_maker(unsigned seed) : random_(seed) {
        d.tx(attributes);
        d.conn->stage_cursor("s", cursor_);
        d.conn->flush();
        for (int i = below(14) + 6; i > 0; --i) step();
    }

    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

    scratch d;

private:
    void step() {
        if (cursor_.position > 0 && below(5) == 0) {
            cursor_.position =
                static_cast<std::uint64_t>(below(static_cast<int>(cursor_.position)));
            d.conn->rewind("s", cursor_.position, ++d.now);
            cursor_ = *d.conn->cursor("s");
            return;
        }
        std::string forms = "[";
        std::set<std::pair<int, int>> touched;
        for (int i = below(5); i > 0; --i) {
            const int e = below(3) + 1, a = below(5);
            if (!touched.emplace(e, a).second) continue;
            const std::string n = std::to_string(below(3) + 1);
            const std::string values[] = {
                ":n " + n,
                ":id " + std::to_string(10 * e) + n,
                ":to " + n,
                ":text \"" + std::string(n == "3" ? 300 : 1, 'x') + n + "\"",
                ":plain \"" + n + "\""};
            forms += std::string(below(3) > 0 ? "[:db/add " : "[:db/retract ") + std::to_string(e) +
                     " " + values[a] + "]";
        }
        d.stage(forms + "]");
        ++cursor_.position;
        cursor_.commit = bytes(32, static_cast<char>('0' + cursor_.position));
        d.conn->stage_cursor("s", cursor_);
        d.conn->flush();
    }

    std::mt19937 random_;
    stream_cursor cursor_{0, {}, bytes(32, 'd'), 1};
};

/// "e a v", and on history when and whether it was so.
using lines = std::multiset<std::string>;

std::string line_of(const datom& f, bool with_event) {
    std::string line = std::to_string(f.e) + " " + std::to_string(f.a) + " " + edn::print(f.v);
    if (with_event) line += " " + std::to_string(f.tx) + (f.added ? "+" : "-");
    return line;
}

bool is_ours(const datom& f) { return f.e < system_partition; }

/// What a database value should show: a fold over its whole log, written down as simply as can be.
struct window {
    std::int64_t since = -1, limit = 1'000'000;
    bool history = false;
    std::vector<std::function<bool(const datom&)>> keep;

    lines of(const db& d) const {
        std::map<std::string, datom> newest;
        lines events, facts;
        d.tx_range({}, {}, [&](const log_tx& tx) {
            if (tx.t <= since || tx.t > limit) return true;
            for (const datom& f : tx.data) {
                if (!is_ours(f)) continue;
                newest.insert_or_assign(line_of(f, false), f);
                if (passes(f)) events.insert(line_of(f, true));
            }
            return true;
        });
        for (const auto& [line, f] : newest)
            if (f.added && passes(f)) facts.insert(line);
        return history ? events : facts;
    }

private:
    bool passes(const datom& f) const {
        return std::all_of(keep.begin(), keep.end(), [&](const auto& k) { return k(f); });
    }
};

/// What the view shows through each index.
void check(const db& view, const lines& wanted) {
    const reader& r = view.get();
    const auto of_attribute = [&](const attribute& a) {
        lines some;
        for (const std::string& line : wanted)
            if (line.find(" " + std::to_string(a.id) + " ") != std::string::npos) some.insert(line);
        return some;
    };
    lines found;
    const auto add = [&](const datom& f) {
        if (is_ours(f)) found.insert(line_of(f, view.is_history()));
        return true;
    };
    const auto expect = [&](const lines& expected) {
        CHECK(found == expected);
        found.clear();
    };
    const auto ref = [&](const datom_ref& f) { return add(f.to_datom()); };
    view.datoms(index_order::eavt, {}, add);
    expect(wanted);
    view.datoms(index_order::aevt, {}, add);
    expect(wanted);
    view.rseek_datoms(index_order::eavt, {}, add);
    expect(wanted);
    for (entity_id e = 1; e <= 3; ++e) r.scan_eavt(e, nullptr, ref);
    expect(wanted);
    lines refs;
    for (const char* name : {"n", "id", "to", "text", "plain"}) {
        INFO(name);
        const attribute& a = *r.find_attribute(name);
        const lines these = of_attribute(a);
        if (a.is_ref()) refs = these;
        std::size_t rows = 0;
        r.scan_column(a, [&](entity_id, const value_view&) { return ++rows > 0; });
        CHECK(rows == these.size());
        rows = 0;
        for (auto c = r.column(a); c->valid(); c->next()) ++rows;
        CHECK(rows == these.size());
        r.scan_aevt(a, std::nullopt, ref);
        expect(these);
        r.scan_avet_range(a, {}, ref);
        expect(these);
        if (!a.in_avet()) continue;
        view.datoms(index_order::avet, {value(a.id)}, add);
        expect(these);
        view.rseek_datoms(index_order::avet, {value(a.id)}, [&](const datom& f) {
            return f.a == a.id && add(f);
        });
        expect(these);
    }
    view.datoms(index_order::vaet, {}, add);
    expect(refs);
    const value rows =
        query(edn::read("[:find ?e ?a ?v ?tx ?op :where [?e ?a ?v ?tx ?op]]"), {view});
    for (const value& row : rows.as<set>().items) {
        const vector& f = row.as<vector>();
        const auto id = [&](std::size_t place) { return f[place].as<std::int64_t>(); };
        add({id(0), id(1), f[2], id(3), f[4].as<bool>()});
    }
    expect(wanted);
}

}  // namespace

TEST_CASE("view: every composition of as-of, since, history and filter is a fold over the log",
          "[datom]") {
    const unsigned first = std::random_device()();
    for (unsigned seed = first; seed < first + 12; ++seed) {
        INFO("seed " << seed);
        history_maker h(seed);
        const db whole = h.d.now_db();
        const int basis = static_cast<int>(whole.basis_t());
        for (int round = 0; round < 20; ++round) {
            db view = whole;
            window w;
            std::string path;
            for (int i = h.below(5); i > 0; --i) {
                const std::int64_t t = h.below(basis + 1);
                switch (h.below(4)) {
                    case 0:
                        try {
                            view = view.as_of(h.below(2) ? t : entity_of_t(t));
                            w.limit = std::min(w.limit, t);
                            path += " as-of " + std::to_string(t);
                        } catch (const error& e) {
                            CHECK(e.code() == errc::conflict);  // undone
                        }
                        break;
                    case 1:
                        view = view.since(h.below(2) ? t : entity_of_t(t));
                        w.since = std::max(w.since, t);
                        path += " since " + std::to_string(t);
                        break;
                    case 2:
                        view = view.history();
                        w.history = true;
                        path += " history";
                        break;
                    default: {
                        const entity_id hidden = h.below(3) + 1;
                        view = view.filter([hidden](const db& d, const datom& f) {
                            CHECK_FALSE(d.is_filtered());
                            return f.e != hidden;
                        });
                        w.keep.emplace_back([hidden](const datom& f) { return f.e != hidden; });
                        path += " filter";
                    }
                }
            }
            INFO("view" << path);
            check(view, w.of(whole));
            CHECK(view.is_history() == w.history);
            CHECK(view.is_filtered() == !w.keep.empty());
            CHECK(view.since_t().value_or(-1) == w.since);
            CHECK(view.as_of_t().value_or(1'000'000) == w.limit);
            CHECK(view.basis_t() == basis);
        }
    }
}

TEST_CASE("view: a follower sees each state before and after, also those undone since", "[datom]") {
    const unsigned first = std::random_device()();
    for (unsigned seed = first; seed < first + 10; ++seed) {
        INFO("seed " << seed);
        history_maker h(seed);
        log_reader feed(*h.d.conn, log_cursor::trim_horizon(), log_reader::mode::single_pass);
        std::int64_t t = 0;
        while (const auto tx = feed.next()) {
            CHECK(tx->t == ++t);
            INFO("t " << t);
            window before, after;
            before.limit = t - 1;
            after.limit = t;
            check(tx->db_before, before.of(h.d.now_db()));
            check(tx->db_after, after.of(h.d.now_db()));
        }
        CHECK(t == h.d.now_db().basis_t());
    }
}

namespace {

struct people : scratch {
    people() {
        tx(R"([{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                :db/unique :db.unique/identity}
               {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])");
        tx(R"([{:db/id 1 :name "Ada" :age 36 :db/ident :ada}])");
        tx(R"([{:db/id 2 :name "Alan" :age 41} [:db/add 1 :age 37]])");
        tx(R"([[:db/retract 2 :age 41]])");
    }
};

}  // namespace

TEST_CASE("view: since shows only what was said after, and forgets the names given before",
          "[datom]") {
    people p;
    const db later = p.now_db().since(2);
    CHECK(facts(later) == std::vector<std::string>{"1 :age 37", "2 :name \"Alan\""});
    CHECK(later.since_t() == 2);
    CHECK_FALSE(later.entid(edn::read("[:name \"Ada\"]")));
    CHECK_FALSE(later.entid(edn::read(":ada")));
    CHECK(later.entid(edn::read("[:name \"Alan\"]")) == 2);
    CHECK(later.entid(edn::read(":age")));
    // An instant: after the last transaction at or before it.
    CHECK(facts(p.now_db().since(inst{1002})) == facts(later));
    CHECK(facts(p.now_db().since(inst{1})) == facts(p.now_db()));
    CHECK(facts(later.history()).size() == 5);
    CHECK(facts(p.now_db().since(4)).empty());
    CHECK(code_of([&] { p.now_db().since(-1); }) == errc::bad_input);
}

TEST_CASE("view: a filter hides facts from lookups, too, and its predicate sees behind it",
          "[datom]") {
    people p;
    const attribute& age = *p.now_db().get().find_attribute("age");
    const db young = p.now_db().filter([&](const db& d, const datom& f) {
        const auto years = d.get().lookup(f.e, age);
        return years && years->as<std::int64_t>() < 40;
    });
    CHECK(facts(young) ==
          std::vector<std::string>{"1 :age 37", "1 :db/ident :ada", "1 :name \"Ada\""});
    CHECK(young.entid(edn::read("[:name \"Ada\"]")) == 1);
    CHECK_FALSE(young.entid(edn::read("[:name \"Alan\"]")));
    CHECK(young.ident(1) == keyword{"ada"});
    const db nobody = young.filter([](const db&, const datom&) { return false; });
    CHECK(facts(nobody).empty());
    CHECK(facts(nobody.history()).empty());
    std::size_t logged = 0;
    nobody.tx_range({}, {}, [&](const log_tx& tx) {
        logged += tx.data.size();
        return true;
    });
    CHECK(logged == 0);
}

TEST_CASE("with: shows what a transaction would do and does nothing", "[datom]") {
    people p;
    const db before = p.now_db();
    const auto first =
        before.with(edn::read(R"([{:name "Grace" :age 30} [:db/add 1 :age 38]])"), 2000);
    const auto second =
        first.db_after.with(edn::read(R"([[:db/add [:name "Grace"] :age 31]])"), 3000);
    CHECK(first.t == 5);
    CHECK(second.t == 6);
    CHECK(facts(first.db_before) == facts(before));
    const auto grace = second.db_after.entid(edn::read("[:name \"Grace\"]"));
    REQUIRE(grace);
    CHECK(facts(second.db_after) == std::vector<std::string>{
                                        "1 :age 38",
                                        "1 :db/ident :ada",
                                        "1 :name \"Ada\"",
                                        std::to_string(*grace) + " :age 31",
                                        std::to_string(*grace) + " :name \"Grace\"",
                                        "2 :name \"Alan\"",
                                    });
    // Views of time go over both what is stored and what is not.
    CHECK(facts(second.db_after.as_of(5)) == facts(first.db_after));
    CHECK(facts(second.db_after.as_of(4)) == facts(before));
    CHECK(facts(second.db_after.since(5)).size() == 1);
    CHECK(query(edn::read("[:find (max ?a) . :where [_ :age ?a]]"), {second.db_after}) ==
          value(38));
    // And really nothing happened.
    CHECK(p.now_db().basis_t() == 4);
    CHECK(facts(p.now_db()) == facts(before));
    CHECK_FALSE(p.now_db().entid(edn::read("[:name \"Grace\"]")));
    const auto really = p.tx(R"([{:name "Grace" :age 30}])");
    CHECK(really.t == 5);
    CHECK(p.now_db().entid(edn::read("[:name \"Grace\"]")) == grace);
}

TEST_CASE("with: new attributes can be used at once; a refused one leaves its base as it was",
          "[datom]") {
    people p;
    const auto more = p.now_db().with(edn::read(R"([{:db/ident :tall :db/valueType :db.type/boolean
                       :db/cardinality :db.cardinality/one}])"),
                                      2000);
    const auto used = more.db_after.with(edn::read("[[:db/add 1 :tall true]]"), 2000);
    CHECK(facts(used.db_after.since(5)) == std::vector<std::string>{"1 :tall true"});
    CHECK_FALSE(p.now_db().get().find_attribute("tall"));
    CHECK(code_of([&] { more.db_after.with(edn::read("[[:db/add 1 :tall 7]]"), 2000); }) ==
          errc::bad_input);
    CHECK(facts(more.db_after) == facts(p.now_db()));
}

TEST_CASE("with: a view of time or a filter is no ground to stand on", "[datom]") {
    people p;
    const db d = p.now_db();
    const db views[] = {
        d.as_of(2), d.as_of(4), d.since(1), d.history(), d.filter([](const db&, const datom&) {
            return true;
        })};
    for (const db& view : views) CHECK(code_of([&] { view.with(vector{}, 1); }) == errc::misuse);
}

TEST_CASE("log: a range starts in and ends out, by t, transaction or instant", "[datom]") {
    people p;
    const auto ts =
        [&](const db& d, std::optional<time_point> start, std::optional<time_point> end) {
            std::vector<std::int64_t> found;
            d.tx_range(start, end, [&](const log_tx& tx) {
                found.push_back(tx.t);
                return true;
            });
            return found;
        };
    using numbers = std::vector<std::int64_t>;
    const db d = p.now_db();
    p.tx("[[:db/add 1 :age 50]]");
    CHECK(ts(d, {}, {}) == numbers{1, 2, 3, 4});
    CHECK(ts(d, 2, 4) == numbers{2, 3});
    CHECK(ts(d, entity_of_t(3), {}) == numbers{3, 4});
    CHECK(ts(d, inst{1002}, inst{1004}) == numbers{2, 3});
    CHECK(ts(d, inst{0}, inst{99999}) == numbers{1, 2, 3, 4});
    CHECK(ts(d, inst{99999}, {}).empty());
    CHECK(ts(d.as_of(2).history(), 3, {}) == numbers{3, 4});
    d.tx_range(4, {}, [&](const log_tx& tx) {
        CHECK(tx.instant == inst{1004});
        REQUIRE(tx.data.size() == 2);
        CHECK(std::count_if(tx.data.begin(), tx.data.end(), [](const datom& f) {
                  return f.e == 2 && f.v == value(41) && !f.added && f.tx == entity_of_t(4);
              }) == 1);
        return true;
    });
}

TEST_CASE("stats: counts, values and their ends by attribute", "[datom]") {
    people p;
    const db_stats s = p.now_db().stats();
    const attribute_stats& name = s.attributes.at(keyword{"name"});
    CHECK(name.datoms == 2);
    CHECK(name.distinct == 2);
    CHECK(name.distinct_is_exact);
    CHECK(name.min == value("Ada"));
    CHECK(name.max == value("Alan"));
    CHECK(s.attributes.at(keyword{"age"}).datoms == 1);
    const db_stats then = p.now_db().as_of(3).stats();
    CHECK(then.attributes.at(keyword{"age"}).datoms == 2);
    CHECK(then.attributes.at(keyword{"age"}).max == value(41));
    CHECK(p.now_db().history().stats().attributes.at(keyword{"age"}).datoms == 5);

    std::string forms = "[";
    for (int i = 0; i < 20000; ++i)
        forms += "{:age " + std::to_string(i % 100) + " :name \"" + std::to_string(i) + "\"}";
    p.tx(forms + "]");
    const db_stats many = p.now_db().stats();
    CHECK(many.attributes.at(keyword{"name"}).distinct == 20002);
    const attribute_stats& age = many.attributes.at(keyword{"age"});
    CHECK_FALSE(age.distinct_is_exact);
    CHECK(age.distinct >= 90);
    CHECK(age.distinct <= 120);
    CHECK(age.datoms == 20001);
}

}  // namespace tributary::datom
