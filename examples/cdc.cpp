// Change data capture: who follows whom, as a map in memory that is kept up to date from the
// transaction log of a database, by a thread that can be stopped and taken up again.
//
//   cdc DATABASE     a directory that does not exist yet
//
// Prints what it does, and EDN. After Chris Blom's "Datomic change data capture".

#include "tributary/datom/entity.hpp"
#include "tributary/datom/feed.hpp"
#include "tributary/value/edn.hpp"

#include <atomic>
#include <iostream>
#include <map>
#include <set>
#include <thread>

using namespace tributary;
using namespace std::chrono_literals;

namespace {

/// Gives every transaction from a place in the log on to a handler, those there are and those to
/// come.
class cdc_thread {
public:
    using handler = std::function<void(const datom::fed_tx&)>;
    cdc_thread(const datom::connection& conn, const datom::log_cursor& from, handler handle)
        : feed_(conn, from), thread_([this, handle = std::move(handle)] {
              while (!stopped_)
                  if (const auto tx = feed_.next(1s)) handle(*tx);
          }) {}
    ~cdc_thread() { stop(); }

    /// True the first time.
    bool stop() {
        if (stopped_.exchange(true)) return false;
        std::cout << "Stopping cdc thread...\n";
        feed_.close();
        thread_.join();
        return true;
    }

private:
    datom::log_reader feed_;
    std::atomic<bool> stopped_ = false;
    std::thread thread_;
};

/// The :user/follows relation as {name #{name}}.
class follow_view {
public:
    void handle(const datom::fed_tx& tx) {
        std::cout << "Handling change:  t " << tx.t << ", " << tx.data.size() << " datoms\n";
        const auto follows = tx.db_after.entid(keyword{"user/follows"});
        for (const datom::datom& d : tx.data)
            if (d.a == follows) update(tx.db_after, d);
        std::cout << "Setting processed-t to " << tx.t << '\n';
        processed_t = tx.t;
        processed_t.notify_all();
    }

    bool contains(const std::string& user, const std::string& followed) const {
        const auto found = follows_.find(user);
        return found != follows_.end() && found->second.contains(followed);
    }

    value as_value() const {
        std::vector<std::pair<value, value>> entries;
        for (const auto& [user, names] : follows_)
            entries.emplace_back(user, make_set(vector(names.begin(), names.end())));
        return make_map(std::move(entries));
    }

    /// Until all that was committed is in the view; it may be read then, and until the next commit.
    void wait_for(const datom::connection& conn) const {
        for (std::int64_t t = 0; (t = processed_t) < conn.current().basis_t();) processed_t.wait(t);
    }

    std::atomic<std::int64_t> processed_t = 0;

private:
    void update(const datom::db& db, const datom::datom& d) {
        const auto name = [&](const value& e) {
            return datom::entity::of(db, e)->get(keyword{"user/name"}).as<std::string>();
        };
        const std::string user = name(d.e), followed = name(d.v);
        std::cout << "Updating follow list:  " << user << "  ->  " << followed << "  :  "
                  << (d.added ? "true" : "false") << '\n';
        if (d.added)
            follows_[user].insert(followed);
        else
            follows_[user].erase(followed);
    }

    std::map<std::string, std::set<std::string>> follows_;
};

std::int64_t now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

constexpr const char* schema = R"(
[{:db/ident :user/name, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/unique :db.unique/identity, :db/doc "The name of the user"}
 {:db/ident :user/follows, :db/valueType :db.type/ref, :db/cardinality :db.cardinality/many
  :db/doc "The other users that this user follows"}
 {:db/ident :user/message, :db/valueType :db.type/string, :db/cardinality :db.cardinality/many
  :db/doc "The message produced by the user"}
 {:db/ident :message/content, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one
  :db/doc "The content of a message"}
 {:db/ident :message/timestamp, :db/valueType :db.type/instant, :db/cardinality :db.cardinality/one
  :db/doc "The timestamp when the message was written"}])";

void run(const std::string& directory) {
    const auto conn = datom::connection::open(directory);
    const auto transact = [&](const std::string& forms) {
        conn->transact(edn::read(forms), now_ms());
    };
    const auto follow = [&](const char* op, const std::string& who, const std::string& whom) {
        transact("[[" + std::string(op) + " [:user/name \"" + who +
                 "\"] :user/follows [:user/name \"" + whom + "\"]]]");
    };
    const auto print = [](const value& v) { std::cout << edn::print(v) << '\n'; };

    follow_view view;
    const auto handle = [&](const datom::fed_tx& tx) { view.handle(tx); };
    cdc_thread cdc(*conn, datom::log_cursor::trim_horizon(), handle);
    transact(schema);
    transact(R"([{:user/name "Chris Blom"} {:user/name "Rich Hickey"}
                 {:user/name "Alan Kay"} {:user/name "Guy Steele"}])");
    follow(":db/add", "Chris Blom", "Rich Hickey");
    follow(":db/add", "Rich Hickey", "Alan Kay");
    follow(":db/add", "Chris Blom", "Alan Kay");
    follow(":db/add", "Chris Blom", "Guy Steele");
    view.wait_for(*conn);
    print(view.as_value());

    follow(":db/retract", "Chris Blom", "Alan Kay");
    view.wait_for(*conn);
    print(view.contains("Chris Blom", "Alan Kay"));
    print(datom::query(edn::read("[:find ?u-name (set ?f-name) "
                                 ":where [?u :user/name ?u-name] [?u :user/follows ?f] "
                                 "[?f :user/name ?f-name]]"),
                       {conn->current()}));
    print(view.processed_t.load());

    // What happens meanwhile is in the log: from where it was processed to, that commit again.
    print(cdc.stop());
    print(cdc.stop());
    follow(":db/retract", "Chris Blom", "Rich Hickey");
    print(view.contains("Chris Blom", "Rich Hickey"));
    cdc_thread again(*conn, datom::log_cursor::at(view.processed_t), handle);
    view.wait_for(*conn);
    print(view.contains("Chris Blom", "Rich Hickey"));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: cdc DATABASE\n";
        return 2;
    }
    try {
        run(argv[1]);
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "cdc: " << e.what() << '\n';
        return 1;
    }
}
