/// What tests of realize streams need: a linear log over a commit store in memory, ops about items,
/// and what a datom database made of them.
#pragma once

#include "tributary/realize/datom_target.hpp"
#include "tributary/realize/identity_target.hpp"
#include "tributary/value/edn.hpp"

#include <catch2/catch.hpp>

#include "store/replica_support.hpp"
#include <set>

namespace tributary::test {

/// The linear log of a CRDT in a commit store.
class store_source : public linear_source {
public:
    store_source(commit_store& store, crdt_handle h) : store_(store), h_(h) {}

    std::uint64_t length() override { return store_.state(h_).linear_length; }
    std::vector<commit_id> heads() override { return store_.state(h_).heads; }

    std::vector<linear_mark> marks(std::uint64_t position, std::uint64_t count) override {
        std::vector<linear_mark> out;
        for (; position < length() && out.size() < count; ++position) {
            const linear_entry e = store_.linear_at(h_, position);
            out.push_back({store_.entry(h_, e.number).id, e.mainline});
        }
        marks_read += out.size();
        return out;
    }

    std::vector<linear_commit> read(std::uint64_t position, std::size_t bytes_max) override {
        if (before_read) before_read();
        std::vector<linear_commit> out;
        std::size_t size = 0;
        for (; position < length() && size < bytes_max && out.size() < commits_at_once;
             ++position) {
            const linear_entry e = store_.linear_at(h_, position);
            const arrival_entry entry = store_.entry(h_, e.number);
            const commit_header header = decode_header(entry.header);
            const bool is_erased = erased.contains(entry.id);
            const std::string name = store_.author_name(h_, header.author).value_or("");
            out.push_back({position,
                           {entry.id, e.mainline},
                           header,
                           name,
                           is_erased ? bytes() : store_.body(h_, e.number),
                           is_erased});
            size += out.back().body.size();
        }
        return out;
    }

    std::set<commit_id> erased;
    std::uint64_t commits_at_once = 5;  ///< few, so that a stream reads often
    std::uint64_t marks_read = 0;
    std::function<void()> before_read;

private:
    commit_store& store_;
    crdt_handle h_;
};

inline bytes op_of(const std::string& name, const std::string& params_edn) {
    return encode(op{symbol{name}, edn::read(params_edn)});
}

/// A CRDT with a source of its log. Ann writes it, and may be given a name.
struct history : world {
    store_source source{store, handle};
    std::int64_t clock = 0;

    crdt_id id() const { return store.state(handle).id; }
    commit_id add(std::vector<bytes> ops,
                  std::optional<std::vector<commit_id>> parents = std::nullopt) {
        return store.append(handle, ann, ops, ++clock, std::move(parents));
    }
    commit_id put(int item, int v, std::optional<std::vector<commit_id>> parents = std::nullopt) {
        return add(
            {op_of("put",
                   "{\"item\" " + std::to_string(item) + " \"value\" " + std::to_string(v) + "}")},
            std::move(parents));
    }
    std::vector<linear_mark> log() { return source.marks(0, source.length()); }
};

/// Ops about items of which the last writer wins, so the order shows in the result.
inline constexpr const char* items_map = R"(
{:schema [{:db/ident :item/id :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
          {:db/ident :item/value :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
          {:db/ident :item/tags :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/fulltext true}
          {:db/ident :item/next :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]
 :ops {put [{:item/id [:path "item"] :item/value [:long [:path "value"]]}]
       tag [{:item/id [:path "item"] :item/tags [:each "tags" [:path]]}]
       untag [[:db/retract [:item/id [:path "item"]] :item/tags [:path "tag"]]]
       link [{:item/id [:path "item"] :item/next {:item/id [:path "next"]}}]
       drop [[:db/retractEntity [:item/id [:path "item"]]]]}})";

/// A datom database in memory that realizes one stream.
struct realized {
    std::unique_ptr<memory_kv> db = make_memory_kv();
    std::unique_ptr<datom::connection> connection = datom::connection::on(*db);
    dispatch_map dispatch;

    explicit realized(const std::string& map = items_map) : dispatch(read_dispatch_map(map)) {}

    void reopen() {
        connection.reset();
        db->crash();
        connection = datom::connection::on(*db);
    }
    stream_stop run(history& h,
                    stream_options options = {},
                    const realize_stream::keep_going_function& keep_going = {}) {
        datom_target target(*connection, "main", dispatch);
        return realize_stream(h.source, target, dispatch, h.id(), options).run(keep_going);
    }
    value ask(const std::string& query) const {
        return datom::query(edn::read(query), {connection->current()});
    }
    std::uint64_t position() const {
        const auto cursor = connection->cursor("main");
        return cursor ? cursor->position : 0;
    }
};

/// Every op that is applied now, in the order of its transaction: commit (hexadecimal) and place in
/// it.
inline std::vector<std::string> applied_ops(const realized& r) {
    const value rows = r.ask(
        "[:find ?tx ?id ?i :where [?tx :tx/commit ?c] [?c :commit/id ?id] [?tx :tx/op-index ?i]]");
    std::vector<std::string> out;
    for (const value& row : rows.as<set>().items) {
        const auto& cells = row.as<vector>();
        out.push_back(to_hex(cells[1].as<blob>().data) + " " +
                      std::to_string(cells[2].as<std::int64_t>()));
    }
    return out;
}

/// What applied_ops must be: a commit without ops counts as one, as a transaction tells of it.
inline std::vector<std::string> expected_ops(history& h) {
    std::vector<std::string> out;
    for (std::uint64_t position = 0; position < h.source.length(); ++position) {
        const auto e = h.store.linear_at(h.handle, position);
        const std::size_t ops = split_body(h.store.body(h.handle, e.number)).size();
        for (std::size_t i = 0; i < std::max<std::size_t>(ops, 1); ++i) {
            out.push_back(h.store.entry(h.handle, e.number).id.hex() + " " + std::to_string(i));
        }
    }
    return out;
}

/// What is known of the items and commits, without entity ids: what must be equal in all
/// realizations.
inline std::vector<std::string> known_facts(const realized& r) {
    std::vector<std::string> out;
    const auto ask = [&](const std::string& query) {
        const value rows = r.ask(query);
        for (const value& row : rows.as<set>().items) out.push_back(edn::print(row));
    };
    ask("[:find ?k ?v :where [?e :item/id ?k] [?e :item/value ?v]]");
    ask("[:find ?k ?t :where [?e :item/id ?k] [?e :item/tags ?t]]");
    ask("[:find ?k ?n :where [?e :item/id ?k] [?e :item/next ?f] [?f :item/id ?n]]");
    ask("[:find ?k :where [?e :item/id ?k]]");
    ask("[:find ?id ?author ?time :where [?c :commit/id ?id] [?c :commit/author ?author] [?c "
        ":commit/time ?time]]");
    return out;
}

inline std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const error& e) {
        return e.what();
    }
    return "";
}

}  // namespace tributary::test
