// Who wrote what: checks every hash and signature of a CRDT, counts what each author wrote, and
// asks a database that was realized from it who asserted its facts and when.
//
//   audit STORE CRDT DATABASE
//   audit ~/analysis tweets tweets.datom
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
                [?c :commit/author-name ?author]])"),
                                       {db});
    for (const value& row : changes.as<set>().items) std::cout << edn::print(row) << '\n';

    const value failed = datom::query(
        edn::read("[:find ?reason (count ?tx) :where [?tx :op/failed ?reason]]"), {db});
    for (const value& row : failed.as<set>().items) {
        std::cout << "not applied: " << edn::print(row) << '\n';
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: audit STORE CRDT DATABASE\n";
        return 2;
    }
    try {
        const auto replica = stage::open(argv[1]);
        const bool sound = verify_all(*replica, argv[2]);
        count_by_author(*replica, argv[2]);
        ask_who(datom::connection::open(argv[3])->current());
        return sound ? 0 : 1;
    } catch (const std::exception& e) {
        std::cerr << "audit: " << e.what() << '\n';
        return 1;
    }
}
