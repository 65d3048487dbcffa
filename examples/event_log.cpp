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

#include <filesystem>
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

/// Times of transactions, their audit entries and the person's present name, by time.
vector audit_entries(const datom::db& db) {
    return datom::query(edn::read(R"(
        {:find [?time (pull $ ?audit [:audit/user :audit/type]) ?person-name]
         :in [$history-db $ ?person-id]
         :where [[$history-db ?history-e :person/id ?person-id]
                 [$history-db ?history-e _ _ ?tx]
                 [$ ?tx :db/txInstant ?time]
                 [$ ?audit :audit/type _ ?tx]
                 [$ ?e :person/id ?person-id]
                 [$ ?e :person/first-name ?person-name]]
         :order-by [?time]})"),
                        {db.history(), db, anna})
        .as<vector>();
}

value metadata(const datom::db& db) {
    vector all;
    for (const value& entry : audit_entries(db)) {
        map m = entry.as<vector>()[1].as<map>();
        m.entries.emplace_back(keyword{"audit/datetime"}, entry.as<vector>()[0]);
        all.push_back(make_map(std::move(m.entries)));
    }
    return all;
}

value messages(const datom::db& db) {
    vector all;
    for (const value& entry : audit_entries(db)) {
        const vector& at = entry.as<vector>();
        const bool created = *at[1].find(keyword{"audit/type"}) == value(keyword{"create"});
        const std::string user = edn::print(*at[1].find(keyword{"audit/user"})).substr(7, 36);
        all.push_back(vector{
            at[0],
            "User " + user + (created ? " created " : " updated ") + at[2].as<std::string>()});
    }
    return all;
}

/// The entity's attributes after the transaction t.
value state_after(const datom::db& db, std::int64_t t, const value& e) {
    return datom::entity::of(db.as_of(t), e)->touch();
}

/// One map for each transaction that changed the entity: what its row says of it, [tx entity time
/// metadata], the entity before and after, and each change as [attribute value added?].
value event_log(const datom::db& db, const value& rows) {
    vector log;
    for (const value& row : rows.as<vector>()) {
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
                                {keyword{"audit"}, at[3]},
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
              [:find ?tx ?e ?time (pull $now ?audit [:audit/user :audit/type])
               :in $ $now ?person-id
               :where [?e :person/id ?person-id]
                      [?e _ _ ?tx]
                      [?audit :audit/type _ ?tx]
                      [?tx :db/txInstant ?time]
               :order-by [?tx]])"),
                                 {db.history(), db, anna})));
}

/// The same of what came from a peer: the commit that a transaction applied says who and when. A
/// transaction that a rewind has undone applies none in the present.
void tell_of(const datom::db& db, const value& attribute, const value& name) {
    print("What changed, before and after",
          event_log(db,
                    datom::query(edn::read(R"(
              [:find ?tx ?e ?time (pull $now ?commit [[:commit/author-name :as :author] [:commit/author :as :key]])
               :in $ $now ?attribute ?name
               :where [?e ?attribute ?name]
                      [?e _ _ ?tx]
                      [$now ?tx :tx/commit ?commit]
                      [$now ?commit :commit/time ?time]
               :order-by [?tx]])"),
                                 {db.history(), db, attribute, name})));
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
            if (!std::filesystem::exists(argv[1]))
                throw error(errc::not_found, std::string("there is no database ") + argv[1]);
            const auto conn = datom::connection::open(argv[1]);
            tell_of(conn->current(), edn::read(argv[2]), edn::read(argv[3]));
        }
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "event_log: " << e.what() << '\n';
        return 1;
    }
}
