#include "datom_service.hpp"

#include "tributary/datom/entity.hpp"
#include "tributary/datom/feed.hpp"
#include "tributary/datom/pull.hpp"
#include "tributary/datom/verify.hpp"
#include "tributary/value/edn.hpp"

#include "datom_directory.hpp"
#include "transaction_text.hpp"
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <thread>

namespace tributary::cli {

namespace {

using namespace std::chrono_literals;

/// A frame between processes has a limit, and people want to see something early.
constexpr std::size_t part_rows = 4096;

const value* find_part(const value& args, const char* name) {
    return args.find(value(keyword{name}));
}

const value& part_of(const value& args, const char* name) {
    const value* found = find_part(args, name);
    if (found == nullptr) throw error(errc::bad_input, std::string("the request has no :") + name);
    return *found;
}

datom::time_point time_point_of(const value& v) {
    if (const auto* t = v.get_if<inst>()) return *t;
    return v.as<std::int64_t>();
}

std::optional<datom::time_point> time_point_in(const value& args, const char* name) {
    const value* v = find_part(args, name);
    if (v == nullptr || v->is_nil()) return std::nullopt;
    return time_point_of(*v);
}

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

datom::db viewed(datom::db d, const value& view) {
    if (const auto p = time_point_in(view, "as-of")) d = d.as_of(*p);
    if (const auto p = time_point_in(view, "since")) d = d.since(*p);
    if (find_part(view, "history") != nullptr) d = d.history();
    return d;
}

struct request {
    datom::connection& connection;
    const std::filesystem::path& dir;
    sharing allowed;
    const value& args;
    const emit_function& emit;

    /// With all that the request supposes.
    datom::db whole() const {
        const datom::db now = connection.current();
        const value* view = find_part(args, "view");
        const value* supposed = view != nullptr ? find_part(*view, "with") : nullptr;
        return supposed != nullptr ? now.with(*supposed, now_ms()).db_after : now;
    }
    datom::db seen() const {
        const value* view = find_part(args, "view");
        return view != nullptr ? viewed(whole(), *view) : whole();
    }
    const value& part(const char* name) const { return part_of(args, name); }
};

/// Rows given out in parts of a size.
class row_parts {
public:
    explicit row_parts(const emit_function& emit) : emit_(emit) {}
    bool add(value row, std::size_t weight = 1) {
        rows_.push_back(std::move(row));
        weight_ += weight;
        return weight_ < part_rows || flush();
    }
    bool flush() {
        if (rows_.empty()) return true;
        weight_ = 0;
        return emit_(value(std::exchange(rows_, {})));
    }

private:
    const emit_function& emit_;
    vector rows_;
    std::size_t weight_ = 0;
};

/// On a thread of its own, so that a client that goes away ends it.
template <class Work>
value cancelable(const request& r, const Work& work) {
    std::atomic<bool> cancel{false};
    datom::query_options options;
    options.cancel = &cancel;
    if (const value* limit = find_part(r.args, "timeout-ms"))
        options.timeout = std::chrono::milliseconds(limit->as<std::int64_t>());
    auto result = std::async(std::launch::async, [&] { return work(options); });
    while (result.wait_for(50ms) != std::future_status::ready) {
        if (!r.emit(value())) cancel = true;
    }
    return result.get();
}

// -- Questions

/// The databases and values a query is asked of, in the order of its :in. Rules and pull patterns
/// are given as texts, which errors point into.
class query_inputs {
public:
    explicit query_inputs(const request& r) {
        const vector& args = r.part("args").as<vector>();
        const vector& texts = r.part("arg-texts").as<vector>();
        std::size_t next = 0;
        for (const std::string& name : datom::input_names(r.part("query"))) {
            const std::string source = name.starts_with("$") ? name : "";
            const bool is_text = std::string_view("$?[_").find(name[0]) == std::string_view::npos;
            const value* view = named(r, "views", source);
            if (source == "$")
                inputs_.emplace_back(r.seen());
            else if (const value* dir = named(r, "databases", source))
                inputs_.emplace_back(
                    viewed(other(r, dir->as<std::string>()), view ? *view : map{}));
            else if (view != nullptr)
                inputs_.emplace_back(viewed(r.connection.current(), *view));
            else if (next < args.size())
                inputs_.emplace_back(is_text ? texts[next] : args[next]), ++next;
            else if (!source.empty())
                throw error(errc::misuse,
                            "the query asks for " + source +
                                "; say which database that is with --db " + source.substr(1) +
                                "=DIR, which view of this one with --view " + source.substr(1) +
                                "=as-of:T, or give its tuples as an argument");
        }
        while (next < args.size()) inputs_.emplace_back(args[next++]);
    }
    const std::vector<datom::query_input>& get() const { return inputs_; }

private:
    static const value* named(const request& r, const char* what, const std::string& source) {
        const value* all = source.empty() ? nullptr : find_part(r.args, what);
        return all != nullptr ? all->find(source) : nullptr;
    }
    datom::db other(const request& r, const std::filesystem::path& there) {
        std::error_code ignored;
        if (std::filesystem::equivalent(there, r.dir, ignored)) return r.connection.current();
        require_database(there);
        // A directory can be open but once, under whatever names.
        auto& connection = opened_[std::filesystem::canonical(there)];
        if (!connection) connection = datom::connection::open(there, open_options());
        return connection->current();
    }

    std::map<std::filesystem::path, std::unique_ptr<datom::connection>> opened_;
    std::vector<datom::query_input> inputs_;
};

value query(const request& r) {
    const value& q = r.part("query");
    const query_inputs inputs(r);
    value result = cancelable(
        r, [&](const datom::query_options& o) { return datom::query(q, inputs.get(), o); });
    vector columns;
    for (const std::string& name : datom::column_names(q)) columns.emplace_back(name);
    vector answer;  // a list of initializers would copy the result
    answer.push_back(std::move(result));
    answer.emplace_back(std::move(columns));
    return answer;
}

value explain(const request& r) {
    const query_inputs inputs(r);
    return cancelable(r, [&](const datom::query_options& o) {
        return datom::explain(r.part("query"), inputs.get(), o);
    });
}

value pull(const request& r) {
    const datom::db d = r.seen();
    return cancelable(r, [&](const datom::query_options& o) {
        const vector& entities = r.part("entities").as<vector>();
        return value(datom::pull_many(d, r.part("pattern"), entities, o));
    });
}

value entity(const request& r) {
    const auto found = datom::entity::of(r.seen(), r.part("entity"));
    if (!found) return {};
    value all = found->touch();
    auto entries = all.as<map>().entries;
    entries.emplace_back(keyword{"db/id"}, found->id());
    return make_map(std::move(entries));
}

// -- Facts

value row_of(attribute_names& names, const datom::datom& d) {
    return vector{d.e, names.of(d.a), d.v, datom::t_of_entity(d.tx), d.added};
}

datom::index_order index_named(const value& name) {
    static const std::map<std::string, datom::index_order, std::less<>> known = {
        {"eavt", datom::index_order::eavt},
        {"aevt", datom::index_order::aevt},
        {"avet", datom::index_order::avet},
        {"vaet", datom::index_order::vaet}};
    const auto found = known.find(name.as<keyword>().text);
    if (found == known.end())
        throw error(
            errc::misuse,
            "there is no index " + edn::print(name) + "; there are :eavt, :aevt, :avet and :vaet");
    return found->second;
}

value datoms(const request& r) {
    const datom::db d = r.seen();
    attribute_names names(d);
    row_parts rows(r.emit);
    const datom::index_order index = index_named(r.part("index"));
    const vector& parts = r.part("parts").as<vector>();
    auto left = static_cast<std::uint64_t>(r.part("limit").as<std::int64_t>());
    const datom::datom_visit visit = [&](const datom::datom& found) {
        return left > 0 && rows.add(row_of(names, found)) && --left > 0;
    };
    const value* from = find_part(r.args, "from");
    const value* to = find_part(r.args, "to");
    const value* seek = find_part(r.args, "seek");
    if (from != nullptr || to != nullptr) {
        if (index != datom::index_order::avet || parts.size() != 1 || seek != nullptr)
            throw error(errc::misuse,
                        "--from and --to are values of one attribute: datoms DATABASE avet "
                        "ATTRIBUTE --from VALUE --to VALUE");
        d.index_range(parts[0], from ? *from : value(), to ? *to : value(), visit);
    } else if (seek == nullptr) {
        d.datoms(index, parts, visit);
    } else if (*seek == value(keyword{"back"})) {
        d.rseek_datoms(index, parts, visit);
    } else {
        d.seek_datoms(index, parts, visit);
    }
    rows.flush();
    return {};
}

/// When a transaction was, and what else it says of itself; as it was written, even if a rewind
/// took it back.
std::pair<value, value> told_of(const datom::db& history,
                                attribute_names& names,
                                datom::entity_id tx) {
    value instant;
    std::vector<std::pair<value, value>> facts;
    for (datom::datom& f : history.facts_of(tx)) {
        if (!f.added || f.tx != tx) continue;
        const value name = names.of(f.a);
        if (name == value(keyword{"db/txInstant"})) {
            instant = std::move(f.v);
            continue;
        }
        const auto same = std::find_if(
            facts.begin(), facts.end(), [&](const auto& known) { return known.first == name; });
        if (same == facts.end())
            facts.emplace_back(name, std::move(f.v));
        else if (auto* several = same->second.get_if<vector>())
            several->push_back(std::move(f.v));
        else
            same->second = vector{std::move(same->second), std::move(f.v)};
    }
    return {std::move(instant), make_map(std::move(facts))};
}

/// The last that had this ident, or the value of this lookup ref.
std::optional<datom::entity_id> once_named(const datom::db& history, const value& name) {
    const auto* ref = name.get_if<vector>();
    if (!name.get_if<keyword>() && (!ref || ref->size() != 2)) return std::nullopt;
    const vector named = ref ? *ref : vector{keyword{"db/ident"}, name};
    std::optional<datom::entity_id> last;
    datom::entity_id at = 0;
    history.datoms(datom::index_order::avet, named, [&](const datom::datom& d) {
        if (d.added && d.tx >= at) last = d.e, at = d.tx;
        return true;
    });
    return last;
}

value history(const request& r) {
    const datom::db d = r.seen();
    const value& name = r.part("entity");
    const datom::db all = d.is_history() ? d : d.history();
    auto e = d.entid(name);
    const datom::db whole = r.whole().history();
    if (!e) e = once_named(whole, name);
    if (!e) throw error(errc::not_found, "there is no entity " + edn::print(name));
    std::vector<datom::datom> facts = all.facts_of(*e);
    std::stable_sort(facts.begin(), facts.end(), [](const auto& x, const auto& y) {
        return std::tie(x.tx, x.added) < std::tie(y.tx, y.added);
    });
    // An entity that lost all it had is told of too, but one that never had anything is a slip.
    if (facts.empty() && whole.facts_of(*e).empty())
        throw error(errc::not_found, "nothing was ever said of " + edn::print(name));
    attribute_names names(d);
    std::map<datom::entity_id, std::pair<value, value>> transactions;
    vector rows;
    for (const datom::datom& f : facts) {
        const auto [it, is_new] = transactions.try_emplace(f.tx);
        if (is_new) it->second = told_of(whole, names, f.tx);
        rows.push_back(vector{datom::t_of_entity(f.tx),
                              it->second.first,
                              names.of(f.a),
                              f.v,
                              f.added,
                              it->second.second});
    }
    return rows;
}

value tx_range(const request& r) {
    attribute_names names(r.connection.current());
    row_parts parts(r.emit);
    const auto add = [&](const datom::log_tx& tx) {
        return parts.add(as_forms(tx, names), tx.data.size() + 1);
    };
    if (const value* from = find_part(r.args, "from")) {
        const bool stay = find_part(r.args, "follow") != nullptr;
        datom::log_reader reader(
            r.connection,
            datom::log_cursor::parse(from->as<std::string>()),
            stay ? datom::log_reader::mode::continuous : datom::log_reader::mode::single_pass);
        for (bool wanted = true; wanted;) {
            if (const auto tx = reader.next()) {
                wanted = add(*tx);
            } else {
                if (!parts.flush() || !stay) break;
                if (const auto next = reader.next(200ms)) wanted = add(*next);
                wanted = wanted && r.emit(value());
            }
        }
    } else {
        r.connection.current().tx_range(
            time_point_in(r.args, "start"), time_point_in(r.args, "end"), add);
    }
    parts.flush();
    return {};
}

// -- What there is

bool is_systems(const keyword& name) {
    return name.text.starts_with("db/") || name.text.starts_with("db.");
}

value schema(const request& r) {
    const datom::db d = r.seen();
    const value attributes = datom::query(
        edn::read("[:find ?ident ?a :where [?a :db/valueType] [?a :db/ident ?ident]]"), {d});
    attribute_names names(d);
    vector out;
    for (const value& row : attributes.as<set>().items) {
        const auto& found = row.as<vector>();
        if (is_systems(found[0].as<keyword>())) continue;
        std::vector<std::pair<value, value>> entries;
        for (const datom::datom& f : d.facts_of(found[1].as<std::int64_t>())) {
            const auto* target = f.v.get_if<std::int64_t>();
            const auto ident = target ? d.ident(*target) : std::nullopt;
            entries.emplace_back(names.of(f.a), ident ? value(*ident) : f.v);
        }
        out.push_back(make_map(std::move(entries)));
    }
    return out;
}

value stats(const request& r) {
    const datom::db_stats all = r.seen().stats();
    std::vector<std::pair<value, value>> attributes;
    for (const auto& [name, a] : all.attributes) {
        attributes.emplace_back(name,
                                make_map({{keyword{"datoms"}, a.datoms},
                                          {keyword{"distinct"}, a.distinct},
                                          {keyword{"exact"}, a.distinct_is_exact},
                                          {keyword{"min"}, a.min},
                                          {keyword{"max"}, a.max}}));
    }
    return make_map({{keyword{"datoms"}, all.datoms},
                     {keyword{"t"}, r.whole().basis_t()},
                     {keyword{"attributes"}, make_map(std::move(attributes))}});
}

value basis_t(const request& r) { return r.connection.current().basis_t(); }

value verify(const request& r) {
    const datom::verified v = datom::verify(
        r.connection.current(),
        [&](const std::string& problem) { r.emit(value(problem)); },
        [&](std::int64_t done, std::int64_t all) {
            if (!r.emit(value(vector{done, all}))) throw error(errc::canceled, "nobody waits");
        });
    return make_map({{keyword{"transactions"}, v.transactions},
                     {keyword{"datoms"}, v.datoms},
                     {keyword{"entries"}, v.entries},
                     {keyword{"problems"}, v.problems}});
}

value idents(const request& r) {
    return datom::query(edn::read("[:find [?ident ...] :where [_ :db/ident ?ident]]"),
                        {r.connection.current()});
}

void require_writing(const request& r) {
    if (r.allowed == sharing::reads)
        throw error(errc::locked, "the process that has the database open only reads it");
    if (r.allowed == sharing::realized)
        throw error(errc::misuse,
                    "a realize stream has this database open and takes no other writes, so that it "
                    "can be rewound and rebuilt; keep your own facts in a second database and join "
                    "the two in a query with :in $ $own and --db own=DIR");
}

value writes(const request& r) {
    require_writing(r);
    return {};
}

value transact(const request& r) {
    require_writing(r);
    const datom::tx_report report = r.connection.transact(r.part("tx-data"), now_ms());
    attribute_names names(r.connection.current());
    vector rows;
    for (const datom::datom& d : report.tx_data) rows.push_back(row_of(names, d));
    std::vector<std::pair<value, value>> tempids;
    for (const auto& [name, e] : report.tempids) tempids.emplace_back(name, e);
    return make_map({{keyword{"t"}, report.t},
                     {keyword{"tx-data"}, std::move(rows)},
                     {keyword{"tempids"}, make_map(std::move(tempids))}});
}

}  // namespace

datom::connection_options& open_options() {
    static datom::connection_options options;
    return options;
}

value answer_request(datom::connection& connection,
                     const std::filesystem::path& dir,
                     sharing allowed,
                     const std::string& method,
                     const value& args,
                     const emit_function& emit) {
    using operation = value (*)(const request&);
    static const std::map<std::string, operation> operations = {{"query/1", query},
                                                                {"explain/1", explain},
                                                                {"pull/1", pull},
                                                                {"entity/1", entity},
                                                                {"datoms/1", datoms},
                                                                {"history/1", history},
                                                                {"tx-range/1", tx_range},
                                                                {"schema/1", schema},
                                                                {"stats/1", stats},
                                                                {"idents/1", idents},
                                                                {"basis-t/1", basis_t},
                                                                {"verify/1", verify},
                                                                {"writes/1", writes},
                                                                {"transact/1", transact}};
    const auto found = operations.find(method);
    if (found == operations.end())
        throw error(errc::misuse,
                    "the process that has the database open does not know the request " + method +
                        "; use the same version for both");
    return found->second({connection, dir, allowed, args, emit});
}

}  // namespace tributary::cli
