// An event log without a table for it: transactions, what they say about themselves, and history
// tell who changed an entity, when, how, and what it was before and after.
//
//   event_log                             a person's story, in memory, audited by its transactions
//   event_log DATABASE ATTRIBUTE VALUE    an entity of a database that was realized from a CRDT
//   event_log tweets.datom :tweet/id 591983838563303428
//
// Prints EDN.

#include "tributary/datom/entity.hpp"
#include "tributary/datom/pull.hpp"
#include "tributary/store/memory_kv.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"

#include <algorithm>
#include <array>
#include <iostream>

using namespace tributary;

namespace {

const value anna = edn::read(R"(#uuid "431a2745-07b7-4850-80d5-075c78b306d1")");

void tell_story(datom::connection& conn) {
    const auto transact = [&](const char* instant, const char* forms) {
        conn.transact(edn::read(forms), edn::read(instant).as<inst>().ms);
    };
    transact(R"(#inst "2020-05-18T19:48:00.000Z")", R"(
        [{:db/ident :person/id, :db/valueType :db.type/uuid, :db/cardinality :db.cardinality/one
          :db/unique :db.unique/identity}
         {:db/ident :person/first-name, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one}
         {:db/ident :person/last-name, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one}
         {:db/ident :person/birth-year, :db/valueType :db.type/long, :db/cardinality :db.cardinality/one}
         {:db/ident :audit/user, :db/valueType :db.type/uuid, :db/cardinality :db.cardinality/one}
         {:db/ident :audit/type, :db/valueType :db.type/keyword, :db/cardinality :db.cardinality/one}])");
    transact(R"(#inst "2020-05-18T19:49:02.305Z")", R"(
        [{:person/id #uuid "431a2745-07b7-4850-80d5-075c78b306d1"
          :person/first-name "Anna", :person/last-name "Anderss"}
         {:audit/user #uuid "19c14367-a230-4a8f-9cc3-b6bb72a23dcb", :audit/type :create}])");
    transact(R"(#inst "2020-05-18T19:49:08.926Z")", R"(
        [{:person/id #uuid "431a2745-07b7-4850-80d5-075c78b306d1", :person/last-name "Andersson"}
         {:audit/user #uuid "19c14367-a230-4a8f-9cc3-b6bb72a23dcb", :audit/type :update1}])");
    transact(R"(#inst "2020-05-18T19:49:14.794Z")", R"(
        [{:person/id #uuid "431a2745-07b7-4850-80d5-075c78b306d1", :person/birth-year 1986}
         {:audit/user #uuid "19c14367-a230-4a8f-9cc3-b6bb72a23dcb", :audit/type :update2}])");
    transact(R"(#inst "2020-05-18T19:49:26.063Z")", R"(
        [{:person/id #uuid "431a2745-07b7-4850-80d5-075c78b306d1", :person/birth-year 1987}
         {:audit/user #uuid "19c14367-a230-4a8f-9cc3-b6bb72a23dcb", :audit/type :update3}])");
    // Erik is nobody's business here: no answer may show him.
    transact(R"(#inst "2020-05-18T19:49:30.000Z")", R"(
        [{:person/id #uuid "e193ad2b-3095-49ff-a6d8-47147db702fa"
          :person/first-name "Erik", :person/last-name "Eriksson"}
         {:audit/user #uuid "19c14367-a230-4a8f-9cc3-b6bb72a23dcb", :audit/type :error}])");
}

void print(const std::string& title, const value& v) {
    std::cout << ";; " << title << '\n' << edn::print_pretty(v) << '\n';
}

value pulled_audit(const datom::db& db, const value& e) {
    return datom::pull(db, edn::read("[:audit/user :audit/type]"), e);
}

/// Audit entries with the time of their transactions and the person's present name, by time.
std::vector<std::array<value, 3>> audit_entries(const datom::db& db) {
    const value found = datom::query(edn::read(R"(
        {:find [?tx ?audit ?person-name]
         :in [$history-db $ ?person-id]
         :where [[$history-db ?history-e :person/id ?person-id]
                 [$history-db ?history-e _ _ ?tx]
                 [$ ?audit :audit/type _ ?tx]
                 [$ ?e :person/id ?person-id]
                 [$ ?e :person/first-name ?person-name]]})"),
                                     {db.history(), db, anna});
    std::vector<std::array<value, 3>> entries;
    for (const value& row : found.as<set>().items) {
        const vector& at = row.as<vector>();
        const value time = datom::pull(db, edn::read("[:db/txInstant]"), at[0]);
        entries.push_back({*time.find(keyword{"db/txInstant"}), pulled_audit(db, at[1]), at[2]});
    }
    std::sort(entries.begin(), entries.end());
    return entries;
}

value metadata(const datom::db& db) {
    vector all;
    for (const auto& [time, audit, name] : audit_entries(db)) {
        map m = audit.as<map>();
        m.entries.emplace_back(keyword{"audit/datetime"}, time);
        all.push_back(make_map(std::move(m.entries)));
    }
    return all;
}

value messages(const datom::db& db) {
    vector all;
    for (const auto& [time, audit, name] : audit_entries(db)) {
        const bool created = *audit.find(keyword{"audit/type"}) == value(keyword{"create"});
        const uuid& user = audit.find(keyword{"audit/user"})->as<uuid>();
        all.push_back(vector{time,
                             "User " + edn::print(user).substr(7, 36) +
                                 (created ? " created " : " updated ") + name.as<std::string>()});
    }
    return all;
}

/// The entity's attributes after the transaction t.
value state_after(const datom::db& db, std::int64_t t, const value& e) {
    return datom::entity::of(db.as_of(t), e)->touch();
}

/// One map for each transaction that changed the entity: what `rows` say of it ([tx entity
/// time metadata], the last by `pattern`),
/// the entity before and after, and each change as [attribute value added?].
value event_log(const datom::db& db, const value& rows, const char* pattern) {
    vector log;
    for (const value& row : rows.as<set>().items) {  // in the order of the transactions
        const vector& at = row.as<vector>();
        const std::int64_t tx = at[0].as<std::int64_t>(), t = datom::t_of_entity(tx);
        const value changes =
            datom::query(edn::read("[:find ?added ?attribute ?v :in $ ?tx ?e "
                                   ":where [?e ?a ?v ?tx ?added] [(ident $ ?a) ?attribute]]"),
                         {db.history(), at[0], at[1]});
        vector changed;
        for (const value& c : changes.as<set>().items) {
            const vector& parts = c.as<vector>();
            changed.push_back(vector{parts[1], parts[2], parts[0]});
        }
        log.push_back(make_map({{keyword{"timestamp"}, at[2]},
                                {keyword{"audit"}, datom::pull(db, edn::read(pattern), at[3])},
                                {keyword{"before"}, state_after(db, t - 1, at[1])},
                                {keyword{"after"}, state_after(db, t, at[1])},
                                {keyword{"changes"}, changed}}));
    }
    return log;
}

void tell_of_anna() {
    const auto store = make_memory_kv();
    const auto conn = datom::connection::on(*store);
    tell_story(*conn);
    const datom::db db = conn->current();
    print("Anna", datom::pull(db, edn::read("[*]"), vector{keyword{"person/id"}, anna}));
    print("Who changed her, and when", metadata(db));
    print("The event log", messages(db));
    print("What changed, before and after",
          event_log(db,
                    datom::query(edn::read(R"(
              [:find ?tx ?e ?time ?audit
               :in $ ?person-id
               :where [?e :person/id ?person-id]
                      [?e _ _ ?tx]
                      [?audit :audit/type _ ?tx]
                      [?tx :db/txInstant ?time]])"),
                                 {db.history(), anna}),
                    "[:audit/user :audit/type]"));
}

/// The same of what came from a peer: the commit that a transaction applied says who and when.
void tell_of(const datom::db& db, const value& attribute, const value& name) {
    print("What changed, before and after",
          event_log(db,
                    datom::query(edn::read(R"(
              [:find ?tx ?e ?time ?commit
               :in $ ?attribute ?name
               :where [?e ?attribute ?name]
                      [?e _ _ ?tx]
                      [?tx :tx/commit ?commit]
                      [?commit :commit/time ?time]])"),
                                 {db.history(), attribute, name}),
                    "[[:commit/author-name :as :author]]"));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 1 && argc != 4) {
        std::cerr << "usage: event_log [DATABASE ATTRIBUTE VALUE]\n";
        return 2;
    }
    try {
        if (argc == 1) {
            tell_of_anna();
        } else {
            const auto conn = datom::connection::open(argv[1]);
            tell_of(conn->current(), edn::read(argv[2]), edn::read(argv[3]));
        }
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "event_log: " << e.what() << '\n';
        return 1;
    }
}
