// Who changed what and when: checks every hash and signature of a CRDT, counts what each author
// wrote, and asks a database that was realized from it who is behind its facts: all of them, or
// those about one entity, named by a unique attribute, through all its history.
//
//   audit STORE CRDT DATABASE [ATTRIBUTE VALUE]
//   audit ~/analysis tweets tweets.datom :tweet/id 591983838563303428
//
// Ends with 1 if anything is not as it was signed.

#include "tributary/datom/database.hpp"
#include "tributary/peer/stage.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"

#include <iostream>
#include <limits>
#include <map>

using namespace tributary;

namespace {

struct tally {
    std::uint64_t commits = 0, ops = 0;
    std::int64_t first_ms = std::numeric_limits<std::int64_t>::max(), last_ms = 0;
};

bool verify_all(stage& replica, const std::string& crdt) {
    bool sound = true;
    const auto problem = [&](const std::string& what) {
        sound = false;
        std::cout << "PROBLEM: " << what << '\n';
    };
    const std::uint64_t commits =
        replica.verify(crdt, problem, [](std::uint64_t, std::uint64_t) {});
    std::cout << commits << " commits checked\n";
    return sound;
}

/// Reads the arrival log page by page: it may be longer than memory.
void count_by_author(stage& replica, const std::string& crdt) {
    std::map<std::string, tally> authors;
    for (std::uint64_t next = 1;;) {
        const auto page = replica.read_arrival(crdt, next, 1u << 20, false);
        if (page.empty()) break;
        for (const commit_view& c : page) {
            tally& t = authors[c.author_name.empty() ? c.header.author.brief() : c.author_name];
            ++t.commits;
            t.ops += c.header.op_count;
            t.first_ms = std::min(t.first_ms, c.header.time_ms);
            t.last_ms = std::max(t.last_ms, c.header.time_ms);
        }
        next += page.size();
    }
    for (const auto& [name, t] : authors) {
        std::cout << name << ": " << t.commits << " commits, " << t.ops << " ops, "
                  << format_instant(inst{t.first_ms}) << " to " << format_instant(inst{t.last_ms})
                  << '\n';
    }
}

/// Each transaction of a realized database refers to the commit whose op it applied, so provenance
/// is a join.
void ask_who(const datom::db& db) {
    const value changes = datom::query(edn::read(R"(
        [:find ?author ?op (count ?tx)
         :where [?tx :tx/commit ?c]
                [?tx :commit/op ?op]
                [?c :commit/author ?key]
                [(get-else $ ?c :commit/author-name ?key) ?author]])"),
                                       {db});
    for (const value& row : changes.as<set>().items) std::cout << edn::print(row) << '\n';
    const value failed = datom::query(
        edn::read("[:find ?reason (count ?tx) :where [?tx :op/failed ?reason]]"), {db});
    for (const value& row : failed.as<set>().items) {
        std::cout << "not applied: " << edn::print(row) << '\n';
    }
}

/// Every assertion and retraction there ever was about one entity, each with the op that made it.
/// What a rewind has undone is in the history too, but its transactions are not in the present.
void tell_history(const datom::db& db, const value& attribute, const value& name) {
    const value changes = datom::query(edn::read(R"(
        [:find ?tx ?added ?changed ?v ?op ?time ?author
         :in $ $history ?attribute ?name
         :where [$history ?e ?attribute ?name]
                [$history ?e ?a ?v ?tx ?added]
                [?a :db/ident ?changed]
                [?tx :commit/op ?op]
                [?tx :tx/commit ?c]
                [?c :commit/time ?time]
                [?c :commit/author ?key]
                [(get-else $ ?c :commit/author-name ?key) ?author]])"),
                                       {db, db.history(), attribute, name});
    for (const value& row : changes.as<set>().items) {  // in the order of ?tx
        const vector& at = row.as<vector>();
        std::cout << format_instant(at[5].as<inst>()) << "  " << at[6].as<std::string>() << "  "
                  << edn::print(at[4]) << "  " << (at[1] == value(true) ? "+ " : "- ")
                  << edn::print(at[2]) << ' ' << edn::print(at[3]) << '\n';
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 && argc != 6) {
        std::cerr << "usage: audit STORE CRDT DATABASE [ATTRIBUTE VALUE]\n";
        return 2;
    }
    try {
        const auto replica = stage::open(argv[1]);
        const bool sound = verify_all(*replica, argv[2]);
        count_by_author(*replica, argv[2]);
        const datom::db db = datom::connection::open(argv[3])->current();
        ask_who(db);
        if (argc == 6) tell_history(db, edn::read(argv[4]), edn::read(argv[5]));
        return sound ? 0 : 1;
    } catch (const std::exception& e) {
        std::cerr << "audit: " << e.what() << '\n';
        return 1;
    }
}
