// Fetches a CRDT from a peer and decides here what its ops mean: once as a list of texts in memory,
// once as facts in a datom database, which is then asked.
//
//   analysis STORE ws://HOST:PORT CRDT DATABASE WORD
//   analysis ~/analysis ws://collector:9095 tweets tweets.datom ethereum
//
// Run it again after a while: it fetches and realizes only what is new.

#include "tributary/datom/database.hpp"
#include "tributary/peer/stage.hpp"
#include "tributary/realize/datom_target.hpp"
#include "tributary/realize/identity_target.hpp"
#include "tributary/realize/stage_source.hpp"
#include "tributary/realize/stream.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <iostream>

using namespace tributary;

namespace {

void fetch(stage& replica, const std::string& url, const std::string& crdt) {
    const auto known = replica.list();
    const bool cloned = std::any_of(
        known.begin(), known.end(), [&](const crdt_summary& c) { return c.name == crdt; });
    const sync_report report =
        cloned ? replica.connect(crdt, url) : replica.clone(url + "/" + crdt, crdt);
    std::cout << report.commits_in << " commits fetched\n";
}

/// The value of the field if the params have it.
value field(const value& params, std::string_view name) {
    const value* found = params.find(name);
    return found != nullptr ? *found : value();
}

void realize_in_memory(stage& replica, const std::string& crdt) {
    using texts = std::vector<std::string>;
    stage_source source(replica, crdt);
    const auto all =
        head_value<texts>(source,
                          replica.summary(crdt).id,
                          {},
                          {{"add-tweet", [](texts& so_far, const value& tweet, const op_context&) {
                                so_far.push_back(field(tweet, "text").as<std::string>());
                            }}});
    std::cout << all.size() << " texts in memory\n";
}

dispatch_map tweets_as_facts() {
    const value schema = edn::read(R"(
        [{:db/ident :tweet/id, :db/valueType :db.type/long, :db/cardinality :db.cardinality/one,
          :db/unique :db.unique/identity}
         {:db/ident :tweet/text, :db/valueType :db.type/string, :db/cardinality :db.cardinality/one,
          :db/fulltext true}
         {:db/ident :tweet/screenname, :db/valueType :db.type/string,
          :db/cardinality :db.cardinality/one}])");
    const op_function add_tweet = [](const value& tweet, const op_context&) -> value {
        return vector{
            make_map({{keyword{"tweet/id"}, field(tweet, "id")},
                      {keyword{"tweet/text"}, field(tweet, "text")},
                      {keyword{"tweet/screenname"}, field(field(tweet, "user"), "screen_name")}})};
    };
    return make_dispatch_map({{"add-tweet", add_tweet}}, schema, "1");
}

void ask(const datom::db& db, const std::string& word) {
    const value count = datom::query(edn::read("[:find (count ?t) . :where [?t :tweet/id]]"), {db});
    std::cout << edn::print(count) << " tweets\n";

    const value accounts =
        datom::query(edn::read("[:find ?u (count ?t) :where [?t :tweet/screenname ?u]]"), {db});
    std::vector<value> rows = accounts.as<set>().items;
    std::sort(rows.begin(), rows.end(), [](const value& a, const value& b) {
        return b.as<vector>()[1].as<std::int64_t>() < a.as<vector>()[1].as<std::int64_t>();
    });
    rows.resize(std::min<std::size_t>(rows.size(), 5));
    for (const value& row : rows) std::cout << edn::print(row) << '\n';

    const value matches = datom::query(
        edn::read(
            "[:find (count ?t) . :in $ ?word :where [(fulltext $ :tweet/text ?word) [[?t]]]]"),
        {db, value(word)});
    std::cout << (matches.is_nil() ? "0" : edn::print(matches)) << " with the word " << word
              << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::cerr << "usage: analysis STORE ws://HOST:PORT CRDT DATABASE WORD\n";
        return 2;
    }
    try {
        const std::string crdt = argv[3];
        const auto replica = stage::open(argv[1]);
        fetch(*replica, argv[2], crdt);
        realize_in_memory(*replica, crdt);

        const auto database = datom::connection::open(argv[4]);
        const dispatch_map meaning = tweets_as_facts();
        datom_target target(*database, "analysis", meaning);
        stage_source source(*replica, crdt);
        realize_stream stream(source, target, meaning, replica->summary(crdt).id, {});
        if (stream.run() == stream_stop::conflict) {
            std::cerr << "several heads: merge them first\n";
            return 4;
        }
        std::cout << stream.progress().ops << " ops realized now\n";
        ask(database->current(), argv[5]);
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "analysis: " << e.what() << '\n';
        return 1;
    }
}
