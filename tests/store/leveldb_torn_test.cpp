/// What a power cut leaves of LevelDB's log, made by hand: the log ends at any byte, or its end is
/// zeros or garbage. What was flushed before is there, the torn batch is wholly there or not at
/// all.

#include "tributary/store/leveldb_kv.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include "store/replica_support.hpp"
#include "store/temporary_directory.hpp"
#include <fstream>
#include <random>
#include <sstream>

using namespace tributary;
using namespace tributary::test;
namespace fs = std::filesystem;

namespace {

/// What is seen of a store: nothing before the CRDT was added.
struct seen {
    std::size_t crdts = 0;
    outside replica;
    std::optional<bytes> mark;
    bool operator==(const seen&) const = default;
};

seen seen_in(const commit_store& store) {
    seen s;
    s.crdts = store.list().size();
    if (s.crdts == 0) return s;
    const crdt_handle h = store.list().front();
    s.replica = view_of(store, h);
    s.mark = store.mark(h, "source");
    return s;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

fs::path newest_log(const fs::path& dir) {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(dir))
        if (entry.path().extension() == ".log" && entry.path() > newest) newest = entry.path();
    return newest;
}

/// Every copy is synced several times when it is opened; what counts here is only what is in it.
fs::path quick_directory() {
    const fs::path memory = "/dev/shm";
    return ::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path();
}

/// A store on disk, with how long its log was and what was in it after each flush.
class recorded_store {
public:
    /// Each of `steps` is one flush.
    using step = std::function<void(commit_store&, crdt_handle)>;
    explicit recorded_store(const std::vector<step>& steps) {
        const auto db = open_leveldb(origin());
        commit_store store(*db);
        remember(store);
        const identity ann = person(1);
        const crdt_handle h = store.add(sign(genesis_of(ann), ann), "tweets");
        store.flush();
        remember(store);
        for (const step& each : steps) {
            each(store, h);
            store.flush();
            remember(store);
        }
        log_ = read_file(newest_log(origin()));
        REQUIRE(log_.size() == ends_.back());
    }

    const std::string& log() const { return log_; }
    /// The length of the log after the nth flush; the CRDT's own is the first.
    std::size_t end_of(std::size_t flush) const { return ends_[flush]; }
    std::size_t flushes() const { return ends_.size() - 1; }

    /// Opens a copy of the store with that log in it. Everything whole in the log must be there,
    /// and nothing else; and with `goes_on`, so must what is written then.
    void expect_recovered(const std::string& log, bool goes_on) const {
        std::size_t whole = 0;
        while (whole < flushes() &&
               log.compare(0, ends_[whole + 1], log_, 0, ends_[whole + 1]) == 0)
            ++whole;
        INFO("flushes that are whole in the log: " << whole);
        const fs::path copy = directory_.path() / "copy";
        fs::remove_all(copy);
        fs::copy(origin(), copy);
        std::ofstream(newest_log(copy), std::ios::binary | std::ios::trunc) << log;
        seen after = states_[whole];
        {
            const auto db = open_leveldb(copy);
            commit_store store(*db);
            expect_whole(store, after);
            if (!goes_on || after.crdts == 0) return;
            store.append(store.list().front(), person(1), small_ops(99), 99);
            store.flush();
            after = seen_in(store);
        }
        const auto db = open_leveldb(copy);
        expect_whole(commit_store(*db), after);
    }

private:
    static void expect_whole(const commit_store& store, const seen& expected) {
        if (seen_in(store) != expected) FAIL("another state than was flushed");
        if (expected.crdts == 0) return;
        const auto found = problems(store, store.list().front());
        if (!found.empty()) FAIL("verify: " << found.front());
    }
    void remember(const commit_store& store) {
        ends_.push_back(fs::file_size(newest_log(origin())));
        states_.push_back(seen_in(store));
    }
    fs::path origin() const { return directory_.path() / "origin"; }

    testing::temporary_directory directory_{quick_directory()};
    std::vector<std::size_t> ends_;
    std::vector<seen> states_;
    std::string log_;
};

/// A few commits, then a last batch of a merge and a mark.
std::vector<recorded_store::step> small_life() {
    const auto append = [](commit_store& store, crdt_handle h) {
        store.append(h, person(1), small_ops(1), 1);
    };
    const auto branch = [](commit_store& store, crdt_handle h) {
        store.append(h, person(1), small_ops(2), 2, std::vector{store.entry(h, 1).id});
        store.put_mark(h, "source", bytes("17"));
    };
    const auto merge = [](commit_store& store, crdt_handle h) {
        store.append(h, person(1), {}, 3, store.state(h).heads);
        store.put_mark(h, "source", bytes("18"));
    };
    return {append, append, branch, merge};
}

std::string garbage(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string out;
    while (out.size() < size) out.push_back(static_cast<char>(random()));
    return out;
}

}  // namespace

TEST_CASE("leveldb: a log torn at any byte keeps every flush before it", "[store]") {
    const recorded_store store(small_life());
    for (std::size_t cut = store.end_of(store.flushes() - 1); cut <= store.log().size(); ++cut) {
        INFO("the log ends after " << cut << " of " << store.log().size() << " bytes");
        store.expect_recovered(store.log().substr(0, cut), cut % 32 == 0);
    }
    for (std::size_t cut = 0; cut < store.end_of(store.flushes() - 1); cut += 13) {
        INFO("the log ends after " << cut << " of " << store.log().size() << " bytes");
        store.expect_recovered(store.log().substr(0, cut), cut % 32 == 0);
    }
}

TEST_CASE("leveldb: a log whose end is zeros or garbage keeps every flush before it", "[store]") {
    const recorded_store store(small_life());
    const std::size_t last = store.end_of(store.flushes() - 1), size = store.log().size();
    for (std::size_t cut = last; cut <= size; cut += 5) {
        INFO("all is damaged from byte " << cut << " of " << size << " on (also the seed)");
        const std::string kept = store.log().substr(0, cut);
        const bool goes_on = cut % 3 == 0;
        store.expect_recovered(kept + std::string(size - cut + 64, '\0'), goes_on);
        store.expect_recovered(kept + garbage(size - cut + 64, static_cast<unsigned>(cut)),
                               goes_on);
    }
}

TEST_CASE("leveldb: a batch over several blocks of the log is torn as a whole", "[store]") {
    constexpr std::size_t block = 32768;
    std::vector<recorded_store::step> steps = small_life();
    steps.emplace_back([](commit_store& store, crdt_handle h) {
        const bytes large = encode(op{symbol{"note"}, value(blob{garbage(2 * block, 1)})});
        store.append(h, person(1), std::vector{large}, 4);
    });
    const recorded_store store(steps);
    const std::string& log = store.log();
    const std::size_t last = store.end_of(store.flushes() - 1);
    REQUIRE(log.size() > 2 * block);
    std::vector<std::size_t> cuts;
    for (std::size_t cut = last; cut <= log.size(); cut += 1999) cuts.push_back(cut);
    for (std::size_t edge = block; edge < log.size(); edge += block)  // a part's header is 7 bytes
        for (std::size_t cut = edge - 8; cut <= edge + 8; ++cut) cuts.push_back(cut);
    for (const std::size_t cut : cuts) {
        INFO("at byte " << cut << " of " << log.size());
        store.expect_recovered(log.substr(0, cut), false);
        // Pages reach a disk in any order: what is behind a hole may be there.
        std::string hole = log;
        hole.replace(cut, std::min<std::size_t>(512, log.size() - cut), 512, '\0');
        store.expect_recovered(hole, true);
    }
}
