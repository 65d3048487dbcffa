#include "conformance/operations.hpp"

#include "tributary/datom/pull.hpp"
#include "tributary/datom/reader.hpp"

#include <algorithm>
#include <chrono>

namespace tributary::conformance {

using datom::index_order;

namespace {

/// {:db n ...}
bool is_database(const value& v) {
    const value* n = member(v, "db");
    return n != nullptr && n->get_if<std::int64_t>() != nullptr;
}

datom::db database(worlds& all, const value* argument) {
    const value* views = argument != nullptr ? member(*argument, "view") : nullptr;
    const world& w = all.at(argument);
    return views != nullptr ? w.seen_through(*views) : w.current();
}

/// The database of an operation that has only one.
const value* database_argument(const test_case& c) {
    const value* args = c.find("args");
    if (args == nullptr || args->as<vector>().empty()) return nullptr;
    const value& first = args->as<vector>().front();
    return is_database(first) ? &first : nullptr;
}

template <class F>
bool any_part(const value& v, const F& holds) {
    if (holds(v)) return true;
    const auto inside = [&](const value& part) { return any_part(part, holds); };
    if (const map* m = v.get_if<map>())
        return std::any_of(m->entries.begin(), m->entries.end(), [&](const auto& e) {
            return inside(e.first) || inside(e.second);
        });
    const auto* items = elements(v);
    return items != nullptr && std::any_of(items->begin(), items->end(), inside);
}

/// Which datoms a case can see: those of data, unless it speaks of schema or of moments itself.
/// What else is in every database is no business of cases.
class sight {
public:
    explicit sight(const value& form) {
        const keyword moment{"db/txInstant"};
        moments_ = any_part(form, [&](const value& v) { return v == value(moment); });
        schema_ = any_part(form, [&](const value& v) {
            const keyword* k = v.get_if<keyword>();
            return k != nullptr && k->text.starts_with("db/") && *k != moment;
        });
    }
    bool sees(const world& w, const datom::datom& d) const {
        return (schema_ || !w.is_schema(d)) && (moments_ || !w.is_moment(d));
    }

private:
    bool moments_ = false;
    bool schema_ = false;
};

bool is_symbol(const value& v, char first) {
    const symbol* s = v.get_if<symbol>();
    return s != nullptr && s->text.front() == first;
}

/// [?e ?a ...], [_ _], [$x ?e ?a]: it meets the datoms of the system as well.
bool open_pattern(const value& v) {
    const vector* items = v.get_if<vector>();
    if (items == nullptr || items->empty()) return false;
    const std::size_t e = is_symbol(items->front(), '$') ? 1 : 0;
    if (items->size() <= e || (*items)[e].get_if<list>() != nullptr) return false;
    if (items->size() == e + 1) return true;
    return is_symbol((*items)[e + 1], '?') || is_symbol((*items)[e + 1], '_');
}

/// What follows :where, as one value.
value where_of(const value& query) {
    if (const value* where = member(query, "where")) return *where;
    const auto* items = elements(query);
    if (items == nullptr) return {};
    const auto at = std::find(items->begin(), items->end(), value(keyword{"where"}));
    return at == items->end() ? value() : value(list{{at + 1, items->end()}});
}

datom::query_options limited(const test_case& c) {
    datom::query_options o;
    o.timeout = std::chrono::seconds(30);
    // Elsewhere an attribute nobody declared has no facts; here that is a choice.
    o.lenient = c.word("compare") != "error";
    o.functions["vector"] = [](std::span<const value> args) {
        return value(vector(args.begin(), args.end()));
    };
    return o;
}

value query(const test_case& c, worlds& all, const options&) {
    const value& q = c.get("query");
    const value* args = c.find("args");
    const vector& given = args != nullptr ? args->as<vector>() : vector{};
    bool open = any_part(where_of(q), open_pattern);
    for (const value& arg : given) open = open || any_part(arg, open_pattern);
    vector spoken{q};
    for (const value& arg : given)
        if (!is_database(arg)) spoken.push_back(arg);
    const sight visible(spoken);
    std::vector<datom::query_input> inputs;
    for (const value& arg : given) {
        if (!is_database(arg)) {
            inputs.emplace_back(all.first().with_tx_ids(arg));
            continue;
        }
        const datom::db d = database(all, &arg);
        const world& w = all.at(&arg);
        inputs.emplace_back(open ? d.filter([&](const datom::db&, const datom::datom& f) {
            return visible.sees(w, f);
        })
                                 : d);
    }
    const world& w = all.first();
    return w.with_idents(datom::query(w.with_tx_ids(q), inputs, limited(c)));
}

value pull(const test_case& c, worlds& all, const options&) {
    const world& w = all.at(database_argument(c));
    const datom::db d = database(all, database_argument(c));
    return w.with_idents(
        datom::pull(d, w.with_tx_ids(c.get("pattern")), w.with_tx_ids(c.get("eid")), limited(c)));
}

value pull_many(const test_case& c, worlds& all, const options&) {
    const world& w = all.at(database_argument(c));
    const datom::db d = database(all, database_argument(c));
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

/// What an operation on an index names.
value spoken_of(const test_case& c) {
    vector parts;
    for (const char* key : {"components", "attr"})
        if (const value* part = c.find(key)) parts.push_back(*part);
    return parts;
}

class datom_rows {
public:
    datom_rows(const test_case& c, worlds& all)
        : world_(all.at(database_argument(c))),
          db_(database(all, database_argument(c))),
          sees_(spoken_of(c)) {
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
            if (sees_.sees(world_, d)) rows_.push_back(row_of(d, width_, last_is_added_));
            return true;
        };
    }
    value rows() const { return world_.with_idents(rows_); }

private:
    const world& world_;
    datom::db db_;
    sight sees_;
    std::size_t width_ = 3;
    bool last_is_added_ = false;
    vector rows_;
};

using walk = void (datom::db::*)(index_order, const vector&, const datom::datom_visit&) const;

operation walking(walk how) {
    return [how](const test_case& c, worlds& all, const options&) {
        datom_rows found(c, all);
        const value* given = c.find("components");
        const value parts = found.of().with_tx_ids(given != nullptr ? *given : value(vector{}));
        (found.database_value().*how)(index_of(c), *elements(parts), found.visit());
        return found.rows();
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
    found.database_value().index_range(
        c.get("attr"), end("start"), end("end"), found.visit(), included);
    return found.rows();
}

/// {:datoms-after :tx-data :tempids}, as far as the case expects them.
value transact(const test_case& c, worlds& all, const options&) {
    world& w = all.at(database_argument(c));
    const value* argument = database_argument(c);
    const bool speculative = argument != nullptr && member(*argument, "view") != nullptr;
    const value forms = w.with_tx_ids(c.get("tx-data"));
    datom::tx_report report;
    std::optional<datom::db> after;
    if (speculative) {
        const datom::with_report r = database(all, argument).with(forms, 1);
        report = r;
        after = r.db_after;
    } else {
        report = w.transact(forms);
        after = w.current();
    }
    const sight visible(value{});
    std::vector<value> datoms, said;
    std::vector<std::pair<value, value>> tempids;
    after->get().scan_all([&](const datom::datom_ref& f) {
        const datom::datom d = f.to_datom();
        if (visible.sees(w, d)) datoms.push_back(row_of(d, 3, false));
        return true;
    });
    for (const datom::datom& d : report.tx_data)
        if (visible.sees(w, d)) said.push_back(row_of(d, 4, true));
    for (const auto& [name, id] : report.tempids) tempids.emplace_back(name, id);
    return w.with_idents(make_map({{keyword{"datoms-after"}, make_set(std::move(datoms))},
                                   {keyword{"tx-data"}, make_set(std::move(said))},
                                   {keyword{"tempids"}, make_map(std::move(tempids))}}));
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
