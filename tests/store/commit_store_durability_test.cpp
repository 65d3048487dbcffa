/// What survives: crashes, failed writes, restarts.

#include "tributary/store/keys.hpp"
#include "tributary/store/leveldb_kv.hpp"

#include <catch2/catch.hpp>

#include "store/forge.hpp"
#include "store/temporary_directory.hpp"

using namespace tributary;
using namespace tributary::test;

namespace {

/// A kv that counts what is asked of it.
class counting_kv final : public kv {
public:
    explicit counting_kv(kv& inner) : inner_(inner) {}
    mutable std::size_t reads = 0;

    std::optional<bytes> get(bytes_view key) const override {
        ++reads;
        return inner_.get(key);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<counting_cursor>(inner_.cursor(), reads);
    }
    void write(const kv_batch& b, bool sync) override { inner_.write(b, sync); }
    kv_snapshot snapshot() const override { return inner_.snapshot(); }

private:
    class counting_cursor final : public kv_cursor {
    public:
        counting_cursor(std::unique_ptr<kv_cursor> inner, std::size_t& reads)
            : inner_(std::move(inner)), reads_(reads) {}
        void seek(bytes_view key) override { ++reads_, inner_->seek(key); }
        void seek_back(bytes_view key) override { ++reads_, inner_->seek_back(key); }
        bool valid() const override { return inner_->valid(); }
        void next() override { ++reads_, inner_->next(); }
        void prev() override { ++reads_, inner_->prev(); }
        bytes_view key() const override { return inner_->key(); }
        bytes_view val() const override { return inner_->val(); }

    private:
        std::unique_ptr<kv_cursor> inner_;
        std::size_t& reads_;
    };

    kv& inner_;
};

/// Everything a user can see of a store.
struct everything {
    std::map<std::string, outside> replicas;
    std::map<std::string, bytes> marks;
    bool operator==(const everything&) const = default;
};

everything all_of(const commit_store& store) {
    everything seen;
    for (const crdt_handle h : store.list()) {
        const std::string name = store.state(h).name;
        seen.replicas.emplace(name, view_of(store, h));
        for (const auto& [key, val] : store.marks(h, "")) seen.marks.emplace(name + "/" + key, val);
    }
    return seen;
}

/// A life of a store, a step at a time; each step is one flush.
class life {
public:
    explicit life(kv& db) : store_(db) {}

    static constexpr int steps = 9;

    void step(int n) {
        const identity ann = person(1), bob = person(2);
        const auto h = store_.find_name("tweets").value_or(0);
        switch (n) {
            case 0:
                store_.add(sign(genesis_of(ann), ann), "tweets");
                break;
            case 1:
                store_.append(h, ann, small_ops(1), 1);
                break;
            case 2:
                store_.append(h, ann, {}, 2, std::nullopt, grant_ext(bob.key(), "bob"));
                break;
            case 3:
                store_.append(h, bob, small_ops(3), 3);
                store_.put_mark(h, "source", bytes("17"));
                break;
            case 4:
                store_.append(h, ann, small_ops(4), 4, std::vector{store_.entry(h, 2).id});
                break;
            case 5:
                store_.append(h, ann, {}, 5, store_.state(h).heads);
                break;
            case 6:
                store_.rename(h, "renamed");
                store_.put_mark(h, "source", std::nullopt);
                break;
            case 7: {
                const auto g = sign(genesis_of(bob, "fork"), bob);
                const auto renamed = *store_.find_name("renamed");
                const auto forked = store_.add(g, "fork");
                store_.ingest(forked, commits_of(store_, renamed));
                store_.append(forked, bob, small_ops(7), 7, store_.state(renamed).heads);
                break;
            }
            case 8:
                store_.append(*store_.find_name("renamed"),
                              ann,
                              {},
                              8,
                              std::nullopt,
                              revocation_ext(bob.key(), 1));
                break;
        }
        store_.flush();
    }

    commit_store& store() { return store_; }

private:
    commit_store store_;
};

void check_whole(const commit_store& store) {
    for (const crdt_handle h : store.list())
        CHECK(problems(store, h) == std::vector<std::string>());
}

}  // namespace

TEST_CASE("commit_store: a crash at any write leaves a flushed state, and life goes on",
          "[store]") {
    std::vector<everything> flushed(1);
    {
        const auto db = make_memory_kv();
        life whole(*db);
        for (int n = 0; n < life::steps; ++n) {
            whole.step(n);
            flushed.push_back(all_of(whole.store()));
        }
        CHECK(db->write_count() == life::steps);
        check_whole(whole.store());
    }
    for (int crash = 0; crash < life::steps; ++crash) {
        for (const bool dies : {false, true}) {
            INFO("write " << crash << (dies ? " and the machine" : ""));
            const auto db = make_memory_kv();
            auto before = std::make_unique<life>(*db);
            for (int n = 0; n < crash; ++n) before->step(n);
            db->fail_at(1);
            CHECK(code_of([&] { before->step(crash); }) == errc::no_space);
            CHECK_FALSE(before->store().dirty());
            CHECK(all_of(before->store()) == flushed[static_cast<std::size_t>(crash)]);
            check_whole(before->store());
            if (dies) {
                before.reset();
                db->crash();
                before = std::make_unique<life>(*db);
                CHECK(all_of(before->store()) == flushed[static_cast<std::size_t>(crash)]);
            }
            for (int n = crash; n < life::steps; ++n) before->step(n);
            CHECK(all_of(before->store()) == flushed.back());
            check_whole(before->store());
        }
    }
}

TEST_CASE("commit_store: what is staged is gone after a crash, what is flushed is not", "[store]") {
    world w;
    w.append(1);
    w.store.flush();
    w.append(2);
    w.db->crash();
    commit_store reopened(*w.db);
    CHECK(reopened.state(*reopened.find_name("tweets")).end.seq == 1);
}

TEST_CASE("commit_store: references to a graph survive a failed flush", "[store]") {
    world w;
    w.append(1);
    w.store.flush();
    const commit_graph& graph = w.store.graph(w.handle);
    const genesis& rules = w.store.genesis_of(w.handle);
    w.append(2);
    w.db->fail_at(1);
    CHECK(code_of([&] { w.store.flush(); }) == errc::no_space);
    CHECK(graph.parents(1).empty());
    CHECK(rules.name == "tweets");
    CHECK(code_of([&] { graph.parents(2); }) == errc::misuse);
}

TEST_CASE("commit_store: many commits share one write", "[store]") {
    world w;
    for (int i = 0; i < 64; ++i) w.append(i);
    CHECK(w.db->write_count() == 0);
    w.store.flush();
    CHECK(w.db->write_count() == 1);
    w.store.flush();
    CHECK(w.db->write_count() == 1);
}

TEST_CASE("commit_store: opening, appending and small questions cost the same whatever is stored",
          "[store]") {
    const auto cost = [](int commits) {
        world w;
        for (int i = 0; i < commits; ++i) w.append(i);
        w.store.flush();
        counting_kv counted(*w.db);
        commit_store reopened(counted);
        const auto h = *reopened.find_name("tweets");
        const crdt_state s = reopened.state(h);
        const std::size_t opening = counted.reads;
        reopened.is_valid(h, s.end);
        reopened.append(h, w.ann, small_ops(1), 1);
        reopened.flush();
        return std::pair(opening, counted.reads);
    };
    CHECK(cost(10) == cost(1000));
    CHECK(cost(10).first < 10);
}

TEST_CASE("commit_store: a store of a newer format and a foreign database are refused", "[store]") {
    const auto opened = [](bytes key, bytes val) {
        const auto db = make_memory_kv();
        kv_batch b;
        b.put(std::move(key), std::move(val));
        db->write(b, true);
        return code_of([&] { commit_store store(*db); });
    };
    CHECK(opened(keys::of(keys::space::meta) + "format", bytes(1, 2)) == errc::newer_version);
    CHECK(opened(keys::of(keys::space::meta) + "format", bytes(1, 1)) == errc{});
    CHECK(opened("something", "else") == errc::bad_input);
}

TEST_CASE("commit_store: verify finds what is damaged", "[store]") {
    world w;
    for (int i = 0; i < 5; ++i) w.append(i);
    w.store.flush();
    REQUIRE(problems(w.store, w.handle).empty());
    std::vector<bytes> all;
    const auto at = w.db->cursor();
    for (at->seek(""); at->valid(); at->next())
        if (at->key().front() != 'M' && at->key().front() != 'S') all.emplace_back(at->key());
    for (const bytes& key : all) {
        INFO("key " << to_hex(key));
        const bytes was = *w.db->get(key);
        for (const std::size_t place : {std::size_t{0}, was.size() / 2, was.size() - 1}) {
            kv_batch damage, repair;
            bytes bad = was;
            bad[place] = static_cast<char>(bad[place] ^ 0x20);
            damage.put(key, bad);
            repair.put(key, was);
            w.db->write(damage, true);
            {
                commit_store reopened(*w.db);
                CHECK_FALSE(problems(reopened, w.handle).empty());
            }
            w.db->write(repair, true);
        }
    }
}

TEST_CASE("commit_store: on LevelDB the same life leads to the same store", "[store]") {
    const auto memory = make_memory_kv();
    life in_memory(*memory);
    for (int n = 0; n < life::steps; ++n) in_memory.step(n);
    const testing::temporary_directory dir;
    for (int n = 0; n < life::steps; ++n) {
        const auto db = open_leveldb(dir.path() / "store");
        life(*db).step(n);
    }
    const auto db = open_leveldb(dir.path() / "store");
    const commit_store reopened(*db);
    CHECK(all_of(reopened) == all_of(in_memory.store()));
    check_whole(reopened);
}
