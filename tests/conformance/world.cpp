#include "conformance/world.hpp"

#include "tributary/datom/schema.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace tributary::conformance {

using datom::entity_id;

namespace {

/// N of :tx/tN; 0 for anything else.
std::int64_t tx_number(const value& v) {
    const keyword* k = v.get_if<keyword>();
    if (k == nullptr || !k->text.starts_with("tx/t")) return 0;
    std::int64_t n = 0;
    const char* end = k->text.data() + k->text.size();
    return std::from_chars(k->text.data() + 4, end, n).ptr == end ? n : 0;
}

/// `v` with every part for which `f` gives a value replaced by that.
template <class F>
value replaced(const value& v, const F& f) {
    if (std::optional<value> other = f(v)) return *other;
    const auto all = [&](const std::vector<value>& items) {
        std::vector<value> result;
        for (const value& item : items) result.push_back(replaced(item, f));
        return result;
    };
    if (const vector* items = v.get_if<vector>()) return vector(all(*items));
    if (const list* l = v.get_if<list>()) return list{all(l->items)};
    if (const set* s = v.get_if<set>()) return make_set(all(s->items));
    if (const map* m = v.get_if<map>()) {
        std::vector<std::pair<value, value>> entries;
        for (const auto& [k, held] : m->entries)
            entries.emplace_back(replaced(k, f), replaced(held, f));
        return make_map(std::move(entries));
    }
    return v;
}

std::int64_t highest_tx_number(const value& v) {
    std::int64_t highest = 0;
    replaced(v, [&](const value& part) {
        highest = std::max(highest, tx_number(part));
        return std::optional<value>();
    });
    return highest;
}

/// :tx is one transaction, unless it names several: then it is the last of them.
vector transactions_of(const value& forms) {
    const std::int64_t n = highest_tx_number(forms);
    if (n == 0 && forms.as<vector>().empty()) return {};
    vector txs(static_cast<std::size_t>(std::max<std::int64_t>(n, 1)), value(vector{}));
    txs.back() = replaced(forms, [&](const value& part) {
        return n > 0 && tx_number(part) == n ? std::optional<value>("datomic.tx") : std::nullopt;
    });
    return txs;
}

const value& or_empty(const value* v) {
    static const value empty = vector{};
    return v != nullptr ? *v : empty;
}

bool is_allocated(std::int64_t id) { return id >= datom::tx_partition; }

bool is_tx(std::int64_t id) { return id >= datom::tx_partition && id < datom::user_partition; }

}  // namespace

world::world(const value& schema, const vector& txs, const value& instants)
    : store_(make_memory_kv()), conn_(datom::connection::on(*store_)) {
    const vector* moments = instants.get_if<vector>();
    if (moments != nullptr && !moments->empty()) now_ = moments->front().as<inst>().ms - 2;
    if (!schema.as<vector>().empty()) transact(schema);
    schema_t_ = current().basis_t();
    tx_instant_ = current().entid(keyword{"db/txInstant"}).value();
    for (std::size_t i = 0; i < txs.size(); ++i) {
        if (moments != nullptr && i < moments->size()) now_ = (*moments)[i].as<inst>().ms - 1;
        transact(with_tx_ids(txs[i]));
    }
}

namespace {

/// As a database that keeps by value only what its schema says so: attributes without :db/index
/// true, but unique ones, references and tuples.
value indexed_as_said(const value& schema) {
    vector out;
    for (const value& form : schema.as<vector>()) {
        const map* m = form.get_if<map>();
        const value* type = member(form, "db/valueType");
        const bool always = member(form, "db/index") || member(form, "db/unique") ||
                            member(form, "db/tupleAttrs") || !type ||
                            *type == value(keyword{"db.type/ref"}) ||
                            *type == value(keyword{"db.type/tuple"});
        if (m == nullptr || always) {
            out.push_back(form);
            continue;
        }
        auto entries = m->entries;
        entries.emplace_back(keyword{"db/index"}, false);
        out.push_back(make_map(std::move(entries)));
    }
    return out;
}

}  // namespace

world world::of(const test_case& c, std::size_t n, const value* dataset_name) {
    if (dataset_name == nullptr && n == 0) dataset_name = c.find("dataset");
    if (dataset_name != nullptr) {
        const value* d = c.datasets->get_if<map>() ? c.datasets->find(*dataset_name) : nullptr;
        if (d == nullptr) throw bad_case("there is no dataset " + edn::print(*dataset_name));
        const value* instants = member(*d, "instants");
        return world(or_empty(member(*d, "schema")),
                     or_empty(member(*d, "txs")).as<vector>(),
                     instants != nullptr ? *instants : value());
    }
    const value* dbs = c.find("dbs");
    if (n == 0 && dbs == nullptr)
        return world(indexed_as_said(or_empty(c.find("schema"))),
                     transactions_of(or_empty(c.find("tx"))),
                     {});
    if (dbs == nullptr || n >= dbs->as<vector>().size())
        throw bad_case("the case has no database " + std::to_string(n));
    const value& d = dbs->as<vector>()[n];
    return world(indexed_as_said(or_empty(member(d, "schema"))),
                 transactions_of(or_empty(member(d, "tx"))),
                 {});
}

entity_id world::tx_entity(std::int64_t n) const { return datom::entity_of_t(schema_t_ + n); }

datom::time_point world::point(const value& p) const {
    if (const inst* moment = p.get_if<inst>()) return *moment;
    if (const std::int64_t n = tx_number(p)) return schema_t_ + n;
    return schema_t_ + p.as<std::int64_t>();
}

std::int64_t world::time_for(const value& forms) const {
    std::int64_t latest = now_ + 1;
    bool says_when = false;
    replaced(forms, [&](const value& part) {
        if (const inst* moment = part.get_if<inst>()) latest = std::max(latest, moment->ms);
        says_when = says_when || part == value(keyword{"db/txInstant"});
        return std::optional<value>();
    });
    return says_when ? latest : now_ + 1;
}

datom::tx_report world::transact(const value& forms) {
    now_ = time_for(forms);
    return conn_->transact(forms, now_);
}

datom::with_report world::speculate(const datom::db& on, const value& forms) const {
    return on.with(forms, time_for(forms));
}

datom::db world::seen_through(const value& views, bool expects_error) const {
    vector steps = views.as<vector>();
    const auto is = [](const value& step, const char* what) {
        return step.as<vector>().at(0) == value(keyword{what});
    };
    if (!expects_error)
        std::stable_partition(
            steps.begin(), steps.end(), [&](const value& s) { return is(s, "with"); });
    datom::db d = current();
    for (const value& step : steps) {
        const auto operand = [&]() -> const value& { return step.as<vector>().at(1); };
        if (is(step, "with"))
            d = speculate(d, with_tx_ids(operand())).db_after;
        else if (is(step, "as-of"))
            d = d.as_of(point(operand()));
        else if (is(step, "since"))
            d = d.since(point(operand()));
        else if (is(step, "history"))
            d = d.history();
        else
            throw bad_case("unknown view " + edn::print(step));
    }
    return d;
}

bool world::shows(sight s, const datom::datom& d) const {
    const bool of_schema = datom::t_of_entity(d.tx) <= schema_t_;
    const bool instant = is_tx(d.e) && d.a == tx_instant_;
    return (s.schema || !of_schema) && (s.instants || !instant);
}

value world::with_tx_ids(const value& v) const {
    return replaced(v, [&](const value& part) {
        const std::int64_t n = tx_number(part);
        return n > 0 ? std::optional<value>(tx_entity(n)) : std::nullopt;
    });
}

value world::with_idents(const value& v) const {
    const datom::db d = current();
    return replaced(v, [&](const value& part) -> std::optional<value> {
        const auto* id = part.get_if<std::int64_t>();
        if (id == nullptr || *id < datom::system_partition || *id >= datom::tx_partition) return {};
        const auto name = d.ident(*id);
        return name ? std::optional<value>(*name) : std::nullopt;
    });
}

matcher world::renaming(const value* new_ids, const value* names) const {
    std::set<value> restricted, allowed;
    if (new_ids != nullptr && names != nullptr) {
        restricted.insert(elements(*new_ids)->begin(), elements(*new_ids)->end());
        allowed.insert(elements(*names)->begin(), elements(*names)->end());
    }
    const entity_id first = tx_entity(0);
    return matcher(is_allocated, [=](std::int64_t ours, const value& theirs) {
        if (is_tx(ours) && theirs.get_if<keyword>() != nullptr)
            return tx_number(theirs) == ours - first && ours > first;
        return theirs.get_if<std::int64_t>() != nullptr &&
               (!restricted.contains(ours) || allowed.contains(theirs));
    });
}

}  // namespace tributary::conformance
