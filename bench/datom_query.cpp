// Queries on PEOPLE(20000), on graphs and on past states, warm, through the public query with its
// result. Arguments: files of peers' figures (lines "peer TAB query TAB ms"), told as ratios.

#include "tributary/datom/database.hpp"
#include "tributary/value/edn.hpp"

#include "graphs.hpp"
#include "harness.hpp"
#include "people.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

using namespace tributary;
using namespace bench;

namespace {

/// Of each query the figures of peers.
std::map<std::string, std::vector<std::pair<std::string, double>>> peers;

void read_peers(const char* file) {
    std::ifstream in(file);
    for (std::string peer, query, ms;
         std::getline(in, peer, '\t') && std::getline(in, query, '\t') && std::getline(in, ms);)
        peers[query].emplace_back(peer, std::strtod(ms.c_str(), nullptr));
}

std::size_t rows_of(const value& result) {
    if (const auto* rows = result.get_if<set>()) return rows->items.size();
    if (const auto* rows = result.get_if<vector>()) return rows->size();
    return 1;
}

std::string brief(double ms) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", ms);
    return text;
}

/// Repeats the query for a while and reports the median; `rows` is what it must give, if known.
double ask(const std::string& name,
           const std::string& text,
           const std::vector<datom::query_input>& inputs,
           std::size_t rows = 0) {
    if (const char* only = std::getenv("TRIBUTARY_BENCH_ONLY");
        only != nullptr && name.find(only) == std::string::npos)
        return 0;
    const value q = edn::read(text);
    const warm_times took = time_warm([&](stopwatch& watch) {
        watch.start();
        const value result = datom::query(q, inputs);
        watch.stop();
        require_rows(name, rows_of(result), rows);
    });
    report(name + " (best " + brief(took.best) + ")", took.median, "ms");
    for (const auto& [peer, theirs] : peers[name])
        report("  beside " + peer, took.median, peer, theirs, "ms", false);
    return took.median;
}

bool full_size() { return scaled(20000) == 20000; }

void ask_people(const datom::db& db) {
    const auto known = [](std::size_t rows) { return full_size() ? rows : 0; };
    ask("q1", R"([:find ?e :where [?e :name "Ivan"]])", {db}, known(2462));
    ask("q2", R"([:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a]])", {db}, known(2462));
    ask("q2-switch", R"([:find ?e ?a :where [?e :age ?a] [?e :name "Ivan"]])", {db}, known(2462));
    ask("q3",
        R"([:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a] [?e :sex :male]])",
        {db},
        known(1209));
    ask("q4",
        R"([:find ?e ?l ?a
            :where [?e :name "Ivan"] [?e :last-name ?l] [?e :age ?a] [?e :sex :male]])",
        {db},
        known(1209));
    ask("qpred1", "[:find ?e ?s :where [?e :salary ?s] [(> ?s 50000)]]", {db}, known(9990));
    ask("qpred2",
        "[:find ?e ?s :in $ ?min :where [?e :salary ?s] [(> ?s ?min)]]",
        {db, value(50000)},
        known(9990));
    ask("not", R"([:find ?e :where [?e :name "Ivan"] (not [?e :sex :male])])", {db}, known(1253));
    ask("not-join",
        R"([:find ?e :where [?e :name "Ivan"]
            (not-join [?e] [?e :salary ?s] [(< ?s 50000)])])",
        {db});
    ask("or-join",
        R"([:find ?e :where (or-join [?e] [?e :name "Ivan"]
            (and [?e :last-name "Petrov"] [?e :sex :male]))])",
        {db});
    ask("value join",
        R"([:find ?e ?f :where [?e :last-name "Ivanov"] [?e :salary ?s] [?f :salary ?s]
            [?f :last-name "Petrov"]])",
        {db});
    ask("average and count by sex",
        "[:find ?x (avg ?s) (count ?e) :with ?e :where [?e :sex ?x] [?e :salary ?s]]",
        {db},
        2);
}

/// What is asked of a database after ten rounds of changes, now and in the middle of them.
void ask_past(datom::connection& conn, people& random) {
    const auto people_count = static_cast<std::int64_t>(scaled(20000));
    std::int64_t middle = 0;
    for (int round = 0; round < 10; ++round) {
        for (std::int64_t id = 1; id <= people_count;) {
            vector forms;
            for (std::int64_t n = 0; n < 1000 && id <= people_count; ++n, ++id) {
                if (random.draw(10) != 0) continue;
                forms.push_back(vector{
                    keyword{"db/add"}, value(id), keyword{"salary"}, value(random.draw(100000))});
            }
            conn.transact(forms, 1'000'000 + round);
        }
        if (round == 4) middle = conn.current().basis_t();
    }
    const datom::db now = conn.current();
    const std::string text = "[:find ?e ?s :where [?e :salary ?s] [(> ?s 50000)]]";
    const std::string names = R"([:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a]])";
    ask("changed: salaries now", text, {now});
    ask("changed: salaries as of the middle", text, {now.as_of(middle)});
    ask("changed: names now", names, {now});
    ask("changed: names as of the middle", names, {now.as_of(middle)});
    ask("changed: history of salaries",
        "[:find (count ?tx) . :with ?e ?s ?add :where [?e :salary ?s ?tx ?add]]",
        {now.history()});
}

constexpr const char* follows_schema =
    "[{:db/ident :follows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

std::unique_ptr<datom::connection> open_graph(const fs::path& dir, const edges& all) {
    auto conn = datom::connection::open(dir);
    conn->transact(edn::read(follows_schema), 1);
    vector forms;
    for (const auto& [from, to] : all)
        forms.push_back(vector{keyword{"db/add"}, value(from), keyword{"follows"}, value(to)});
    conn->transact(forms, 2);
    return conn;
}

void ask_closure(const std::string& name,
                 const datom::db& db,
                 std::size_t all_rows,
                 std::size_t rows_from_1,
                 std::int64_t last,
                 std::size_t rows_to_last) {
    const value rules = edn::read(R"([[(follow ?e1 ?e2) [?e1 :follows ?e2]]
                                      [(follow ?e1 ?e2) [?e1 :follows ?t] (follow ?t ?e2)]])");
    const value left = edn::read(R"([[(follow ?e1 ?e2) [?e1 :follows ?e2]]
                                     [(follow ?e1 ?e2) (follow ?e1 ?t) [?t :follows ?e2]]])");
    const std::string to_last = std::to_string(last);
    for (const auto& [suffix, r] : {std::pair("", rules), std::pair(", left recursion", left)}) {
        ask(name + suffix, "[:find ?a ?b :in $ % :where (follow ?a ?b)]", {db, r}, all_rows);
        ask(name + " from 1" + suffix,
            "[:find ?b :in $ % :where (follow 1 ?b)]",
            {db, r},
            rows_from_1);
        ask(name + " to " + to_last + suffix,
            "[:find ?a :in $ % :where (follow ?a " + to_last + ")]",
            {db, r},
            rows_to_last);
    }
}

void ask_graphs(const scratch& dir) {
    const auto t73 = open_graph(dir / "tree73", tree(7, 3));
    ask_closure("closure TREE(7,3)", t73->current(), 21324, 3279, 3280, 7);
    const auto t45 = open_graph(dir / "tree45", tree(4, 5));
    ask_closure("closure TREE(4,5)", t45->current(), 2930, 780, 781, 4);
    const auto c305 = open_graph(dir / "chain305", chains(30, 5));
    ask_closure("closure CHAIN(30,5)", c305->current(), 2325, 30, 155, 30);
    const auto graph = open_graph(dir / "graph", random_graph(1000, 5000));
    ask("two hops from 1",
        "[:find ?c :where [1 :follows ?b] [?b :follows ?c]]",
        {graph->current()});
    ask("two hops, count",
        "[:find (count ?c) . :with ?a :where [?a :follows ?b] [?b :follows ?c]]",
        {graph->current()});
    ask("three hops from 1",
        "[:find ?d :where [1 :follows ?b] [?b :follows ?c] [?c :follows ?d]]",
        {graph->current()});
    ask("triangles",
        "[:find ?a ?b ?c :where [?a :follows ?b] [?b :follows ?c] [?c :follows ?a]]",
        {graph->current()});
}

}  // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) read_peers(argv[i]);
    const scratch dir;
    auto conn = datom::connection::open(dir / "people");
    conn->transact(edn::read(people_schema), 1);
    people random;
    conn->transact(random.next(scaled(20000)), 2);
    ask_people(conn->current());
    ask_graphs(dir);
    ask_past(*conn, random);
    report("private memory", private_mib(), "MiB");
}
