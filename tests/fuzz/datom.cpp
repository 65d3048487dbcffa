/// EDN, queries, transactions and pull patterns: samples with forms cut out, repeated, exchanged
/// between each other, or bytes changed. The first byte of an input says what it is: e(dn),
/// q(uery), t(ransaction), p(ull).
#include "tributary/datom/database.hpp"
#include "tributary/datom/pull.hpp"
#include "tributary/store/memory_kv.hpp"
#include "tributary/value/edn.hpp"

#include "fuzz/driver.hpp"
#include <algorithm>
#include <chrono>
#include <cstring>

using namespace tributary;

namespace {

const std::vector<std::string> samples{
    "e{:a [1 -2.5e3 \"x\\n\\u00e9\" #{nil true} (a/b :c/d)] #uuid "
    "\"6f1c1c9e-4a0a-4b5e-8a39-0c4e7d5f0001\" 1N}",
    "e[#inst \"2020-01-01T00:00:00.000-00:00\" 0.10M ; words\n #_ skipped \\a ##Inf #trib/bytes "
    "\"00ff\"]",
    "q[:find ?n ?g :in $ ?x [?y ...] [[?p ?q]] :where [?e :name ?n] [?e :age ?g] [(< ?g ?x)]]",
    "q[:find (count ?e) (max 2 ?g) . :with ?n :where [?e :name ?n ?tx ?op] (not [?e :age 3]) [(+ "
    "?g 1) ?g2]]",
    "q[:find [?e ...] :in $ % :where (r ?e ?f) (or [?e :age 1] (and [?e :name \"a\"] [?f :ref "
    "?e])) (or-join [?e] [?e :name])]",
    "q{:find [?a ?b] :keys [a b] :where [[?a :ref ?b] (not-join [?a] [?a :age ?z] [(> ?z 1)])]}",
    "q[:find (pull ?e [* {:ref [:name]}]) :where [?e :name ?n] [(get-else $ ?e :age 0) ?g] "
    "[(missing? $ ?e :ref)]]",
    "q[:find ?w :where [(ground [[1 2] [3 4]]) [[?w _]]] [(str ?w \"x\") ?s] [(re-pattern "
    "\"(a|b)*\") ?re] [(re-find ?re ?s)]]",
    "q[:find ?e ?s :where [(fulltext $ :name \"a* b\") [[?e ?n ?tx ?s]]]]",
    "t[{:db/id -1 :name \"c\" :age 3 :ref [{:name \"d\"} [:name \"a\"]]} [:db/add 1 :age 4] "
    "[:db/retract 1 :name \"a\"]]",
    "t[[:db/cas 1 :age 1 2] [:db/retractEntity [:name \"b\"]] {:db/id \"x\" :_ref 1} [:db/add "
    "\"datomic.tx\" :age 1]]",
    "t[{:db/ident :more :db/valueType :db.type/tuple :db/tupleAttrs [:name :age] :db/cardinality "
    ":db.cardinality/one}]",
    "t[{:db/id :name :db/ident :title} [:db/retract :age :db/index true] {:db/id 5 :age "
    "9223372036854775807}]",
    "p[* :name [:age :as \"x\" :default 0 :limit 1] {:ref ...} {[:_ref :limit nil] [:db/id]} "
    "(limit :ref 2)]",
    "p[{:ref 3} {:_ref [:name {:ref 1}]} [:name :xform str]]",
};

/// A small database that never changes: transactions are speculative.
const datom::db& database() {
    static const auto store = make_memory_kv();
    static const auto conn = [] {
        auto c = datom::connection::on(*store);
        c->transact(edn::read(R"([{:db/ident :name :db/valueType :db.type/string :db/fulltext true
                                   :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
                                  {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
                                  {:db/ident :ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}])"),
                    1);
        c->transact(
            edn::read(
                "[{:db/id 1 :name \"a\" :age 1 :ref [1 2]} {:db/id 2 :name \"b\" :age 2 :ref 1}]"),
            2);
        return c;
    }();
    static const datom::db d = conn->current();
    return d;
}

/// Errors of our own are how bad input ends; anything else ends the program.
void try_input(const std::string& input) {
    if (input.empty()) return;
    const std::string text = input.substr(1);
    datom::query_options o;
    o.timeout = std::chrono::milliseconds(500);
    o.memory_bytes = std::size_t{64} << 20;
    try {
        const value v = edn::read(text);
        switch (input[0]) {
            case 'q': {
                const value given[] = {
                    vector{vector{list{{symbol{"r"}, symbol{"?a"}, symbol{"?b"}}},
                                  vector{symbol{"?a"}, keyword{"ref"}, symbol{"?b"}}}},
                    value(2)};
                std::vector<datom::query_input> inputs{database()};
                for (const value& g : given) {
                    try {
                        datom::query(v, inputs, o);
                    } catch (const error&) {
                    }
                    inputs.emplace_back(g);
                }
                datom::query(v, inputs, o);
                break;
            }
            case 't':
                database().with(v, 3);
                break;
            case 'p':
                for (std::int64_t e : {1, 2, 3}) datom::pull(database(), v, e, o);
                break;
            default:
                if (edn::read(edn::print(v)) != v) fuzz::fail("not read back as printed: " + text);
        }
    } catch (const error&) {
    }
}

class mutator {
public:
    explicit mutator(sim::random_source& random) : random_(random) {}

    std::string next() {
        std::string s = samples[below(samples.size())];
        for (std::size_t n = 1 + below(4); n > 0; --n) change(s);
        return s;
    }

private:
    std::size_t below(std::size_t n) { return random_.below(n); }
    /// A form of `s` (from where one may begin to where it ends), or a few bytes.
    std::pair<std::size_t, std::size_t> piece(const std::string& s) {
        if (s.size() < 2) return {s.size(), 0};
        const std::size_t at = 1 + below(s.size() - 1);
        const std::size_t open = s.find_first_of("([{", at);
        if (open == std::string::npos || below(3) == 0) {
            const std::size_t begin = s.find_first_not_of(" ([{", at);
            if (begin == std::string::npos) return {at, 0};
            const std::size_t end = s.find_first_of(" )]}", begin);
            return {begin, (end == std::string::npos ? s.size() : end) - begin};
        }
        int depth = 0;
        for (std::size_t i = open; i < s.size(); ++i) {
            if (std::strchr("([{", s[i]) != nullptr) ++depth;
            if (std::strchr(")]}", s[i]) != nullptr && --depth == 0) return {open, i + 1 - open};
        }
        return {open, 1};
    }
    void change(std::string& s) {
        static const std::vector<std::string> tokens{"nil",
                                                     "[]",
                                                     "()",
                                                     "{}",
                                                     "#{}",
                                                     "_",
                                                     "$",
                                                     "%",
                                                     "?e",
                                                     "...",
                                                     ".",
                                                     ":where",
                                                     ":find",
                                                     ":in",
                                                     "0",
                                                     "-1",
                                                     "9223372036854775807",
                                                     "-9223372036854775808",
                                                     "1e308",
                                                     "\"\"",
                                                     ":db/id",
                                                     "not",
                                                     "or",
                                                     "[:name \"a\"]",
                                                     "#inst \"1900\"",
                                                     "true",
                                                     "99999999999999999999",
                                                     "17592186044416",
                                                     ":db/ident",
                                                     "13194139533312"};
        const auto [at, size] = piece(s);
        switch (below(6)) {
            case 0:
                s.erase(at, size);
                break;
            case 1:
                s.insert(at, s.substr(at, size) + " ");
                break;
            case 2:
                s.replace(at, size, tokens[below(tokens.size())]);
                break;
            case 3: {
                const std::string& other = samples[below(samples.size())];
                const auto [from, length] = piece(other);
                s.replace(at, size, other.substr(std::min(from, other.size()), length));
                break;
            }
            case 4: {
                const std::string inner = s.substr(at, size);
                s.replace(at, size, "[" + inner + "]");
                break;
            }
            default:
                if (s.size() > 1) s[1 + below(s.size() - 1)] = static_cast<char>(below(256));
        }
    }
    sim::random_source& random_;
};

bytes changed_sample(sim::random_source& random) { return mutator(random).next(); }

}  // namespace

int main(int argc, char** argv) {
    return fuzz::drive(argc, argv, {{"datom", samples, changed_sample, try_input}});
}
