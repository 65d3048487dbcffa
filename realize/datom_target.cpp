#include "tributary/realize/datom_target.hpp"

#include "tributary/value/edn.hpp"

#include <algorithm>
#include <chrono>

namespace tributary {

namespace {

/// Attributes of commits and of the transactions their ops become.
constexpr const char* commit_schema = R"(
[{:db/ident :commit/id, :db/valueType :db.type/bytes, :db/cardinality :db.cardinality/one, :db/unique :db.unique/identity
  :db/doc "A replicated commit: the hash of its header"}
 {:db/ident :commit/author, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/doc "Its author's public key in hexadecimal"}
 {:db/ident :commit/author-name, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/doc "The name a grant gave its author"}
 {:db/ident :commit/time, :db/valueType :db.type/instant, :db/cardinality :db.cardinality/one
  :db/doc "When its author says it was made"}
 {:db/ident :commit/op, :db/valueType :db.type/symbol, :db/cardinality :db.cardinality/one
  :db/doc "On a transaction: the op it applied"}
 {:db/ident :tx/commit, :db/valueType :db.type/ref, :db/cardinality :db.cardinality/one
  :db/doc "On a transaction: the commit whose op it applied"}
 {:db/ident :tx/op-index, :db/valueType :db.type/long, :db/cardinality :db.cardinality/one
  :db/doc "On a transaction: the place of the op in its commit"}
 {:db/ident :tx/applies, :db/valueType :db.type/bytes, :db/cardinality :db.cardinality/one, :db/unique :db.unique/value
  :db/doc "On a commit's first transaction: stream and commit; unique, so that no commit can be applied twice"}
 {:db/ident :op/failed, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/doc "On a transaction: why its op was not applied"}
 {:db/ident :op/quarantined, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/doc "On a transaction: the op that was set aside, as EDN"}])";

constexpr const char* commit_tempid = "realize.commit";

std::int64_t now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

value attribute(const char* name) { return keyword{name}; }

value commit_map(const op_context& context) {
    std::vector<std::pair<value, value>> entries = {
        {attribute("db/id"), commit_tempid},
        {attribute("commit/id"), blob{bytes(context.commit.view())}},
        {attribute("commit/author"), context.author.hex()},
        {attribute("commit/time"), inst{context.time_ms}}};
    if (!context.author_name.empty())
        entries.emplace_back(attribute("commit/author-name"), context.author_name);
    return make_map(std::move(entries));
}

}  // namespace

bool has_facts_of_its_own(const datom::connection& database) {
    const datom::db now = database.current();
    if (now.basis_t() == 0) return false;
    if (database.streams().empty()) return true;
    // A database with a stream takes no other writes. So others would come before the first
    // stream's own, which begin with the attributes of commits.
    bool began_with_stream = false;
    now.tx_range(std::int64_t{1}, std::int64_t{2}, [&](const datom::log_tx& first) {
        began_with_stream =
            std::any_of(first.data.begin(), first.data.end(), [](const datom::datom& d) {
                return d.v == value(keyword{"commit/id"});
            });
        return false;
    });
    return !began_with_stream;
}

datom_target::datom_target(datom::connection& database,
                           std::string stream,
                           const dispatch_map& dispatch)
    : database_(database), stream_(std::move(stream)), dispatch_(dispatch) {}

std::optional<stream_cursor> datom_target::cursor() const { return database_.cursor(stream_); }

std::optional<linear_mark> datom_target::applied_at(std::uint64_t position) const {
    const std::optional<bytes> mark = database_.applied_at(stream_, position);
    return mark ? std::optional(decode_linear_mark(*mark)) : std::nullopt;
}

void datom_target::begin(const stream_cursor& from) {
    const std::optional<stream_cursor> before = cursor();
    if (!before && database_.streams().empty() && has_facts_of_its_own(database_))
        throw error(errc::misuse,
                    "the database has facts of its own, and with a realize stream it would take no "
                    "others; realize into a database of its own and join the two in a query with "
                    ":in $ $own");
    try {
        if (!before || before->dispatch != from.dispatch) {
            database_.stage(edn::read(commit_schema), now_ms());
            for (const value& transaction : dispatch_.schema.as<vector>())
                database_.stage(transaction, now_ms());
        }
    } catch (const error& e) {
        database_.discard();
        throw error(e.code(), std::string("the dispatch map's :schema: ") + e.what());
    }
    database_.stage_cursor(stream_, from);
    database_.flush();
}

void datom_target::stage_op(vector forms,
                            const op_context& context,
                            const std::string& op_name,
                            vector more) {
    const bool first = !commit_entity_;
    std::vector<std::pair<value, value>> tx = {
        {attribute("db/id"), "datomic.tx"},
        {attribute("tx/commit"), first ? value(commit_tempid) : value(*commit_entity_)},
        {attribute("tx/op-index"), context.op_index}};
    if (!op_name.empty()) tx.emplace_back(attribute("commit/op"), symbol{op_name});
    if (first) {
        tx.emplace_back(attribute("tx/applies"),
                        blob{stream_ + '\0' + bytes(context.commit.view())});
        forms.push_back(commit_map(context));
    }
    for (value& entry : more) {
        vector& pair = entry.as<vector>();
        tx.emplace_back(std::move(pair[0]), std::move(pair[1]));
    }
    forms.push_back(make_map(std::move(tx)));
    const datom::tx_report report = database_.stage(forms, now_ms());
    if (first) commit_entity_ = report.tempids.at(value(commit_tempid));
}

void datom_target::apply(const op& o, const op_context& context) {
    const auto known = dispatch_.ops.find(o.name.text);
    if (known == dispatch_.ops.end()) {
        throw error(errc::not_found, "the dispatch map has no entry for the op " + o.name.text);
    }
    value forms = known->second(o.params, context);
    stage_op(std::move(forms.as<vector>()), context, o.name.text, {});
}

void datom_target::record_failure(const op_context& context,
                                  const op* o,
                                  const std::string& reason,
                                  bool quarantined) {
    vector more = {vector{attribute("op/failed"), reason}};
    if (quarantined && o != nullptr) {
        more.push_back(vector{attribute("op/quarantined"), edn::print(vector{o->name, o->params})});
    }
    stage_op({}, context, o != nullptr ? o->name.text : "", std::move(more));
}

void datom_target::end_commit(const stream_cursor& to, const op_context& commit) {
    if (!commit_entity_)
        stage_op({}, commit, "", {});  // a commit without ops, such as a merge, is known too
    commit_entity_.reset();
    database_.stage_cursor(stream_, to);
}

void datom_target::flush() { database_.flush(); }

void datom_target::discard() {
    database_.discard();
    commit_entity_.reset();
}

std::size_t datom_target::staged_bytes() const { return database_.staged_bytes(); }

void datom_target::rewind(std::uint64_t position) { database_.rewind(stream_, position, now_ms()); }

}  // namespace tributary
