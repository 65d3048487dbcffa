/// A database dies at any write, on any disk: what is there afterwards is whole transactions, every
/// acknowledged one, and indexes that agree with the log.
#include "tributary/store/leveldb_kv.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "datom/query_helpers.hpp"
#include "datom/support.hpp"
#include "datom/verify_support.hpp"
#include "store/small_disk.hpp"
#include <csignal>
#include <sstream>

namespace tributary::datom {

namespace {

namespace fs = std::filesystem;

constexpr const char* schema_of_people = R"([
    {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :bio :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :tags :db/valueType :db.type/string :db/cardinality :db.cardinality/many :db/fulltext true}
    {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
    {:db/ident :score :db/valueType :db.type/double :db/cardinality :db.cardinality/one :db/noHistory true}])";

/// Each step is one write.
using step = std::function<void(connection&)>;

step transacts(const char* forms) {
    return [forms](connection& c) { c.transact(edn::read(forms), 1000); };
}

std::vector<step> own_life() {
    return {
        transacts(schema_of_people),
        transacts(R"([{:name "Ann" :bio "red wine" :tags ["x" "y"] :score 1.5}
                      {:name "Bea" :friend {:db/id "c" :name "Cy"}}])"),
        transacts(
            R"([{:name "Ann" :bio "green tea" :friend [:name "Bea"]} [:db/retract [:name "Ann"] :tags "x"]])"),
        transacts(R"([[:db/retractEntity [:name "Cy"]]])"),
        transacts(R"([{:name "Cy" :tags "x"} [:db/cas [:name "Ann"] :score 1.5 2.5]])"),
        transacts(
            R"([{:db/ident :extra :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])"),
        transacts(R"([{:db/id [:name "Bea"] :bio "red roses" :extra 3}])"),
        // Attributes that have facts change, and are used as what they became.
        transacts("[{:db/id :extra :db/index false}]"),
        transacts(R"([{:db/id [:name "Ann"] :extra 9}])"),
        transacts("[{:db/id :extra :db/index true}]"),
        transacts("[{:db/id :extra :db/unique :db.unique/identity}]"),
        transacts("[{:extra 3 :score 4.0}]"),
        transacts("[[:db/retract :extra :db/unique :db.unique/identity]]"),
        transacts("[{:db/id :extra :db/cardinality :db.cardinality/many}]"),
        transacts(R"([{:db/id [:name "Bea"] :extra [4 9]} [:db/retract [:name "Bea"] :extra 3]])"),
        transacts(R"([[:db/retract [:name "Bea"] :extra 4]])"),
        transacts("[{:db/id :extra :db/cardinality :db.cardinality/one}]"),
        transacts("[{:db/id :friend :db/cardinality :db.cardinality/one}]"),
        transacts(R"([{:db/id [:name "Ann"] :extra 7 :friend [:name "Cy"]}])"),
    };
}

std::vector<step> streamed_life() {
    const auto commits = [](std::uint64_t position, std::vector<const char*> transactions) {
        return [=](connection& c) {
            for (const char* forms : transactions) c.stage(edn::read(forms), 1000);
            c.stage_cursor("stream", {position, bytes("c"), {}, 1});
            c.flush();
        };
    };
    return {
        commits(1, {schema_of_people}),
        commits(2,
                {R"([{:name "Ann" :bio "red" :tags "x" :score 1.0}])",
                 R"([{:name "Ann" :bio "blue"} {:name "Bea" :friend [:name "Ann"]}])"}),
        commits(3, {R"([[:db/retract [:name "Ann"] :tags "x"]])", R"([{:name "Ann" :tags "x"}])"}),
        [](connection& c) { c.rewind("stream", 2, 1000); },
        commits(3, {R"([[:db/retractEntity [:name "Ann"]]])"}),
        [](connection& c) { c.rewind("stream", 1, 1000); },
        commits(2, {R"([{:name "Dan" :bio "red"}])"}),
    };
}

std::vector<std::string> everything(const connection& c) {
    return facts(c.current().history(), true);
}

void expect_whole_after_each_cut(const std::vector<step>& life) {
    // What is there after each write; the first makes the database.
    std::vector<std::vector<std::string>> states;
    {
        const auto store = make_memory_kv();
        const auto conn = connection::on(*store);
        states.push_back(everything(*conn));
        for (const step& s : life) {
            s(*conn);
            states.push_back(everything(*conn));
        }
        REQUIRE(store->write_count() == states.size());
    }
    for (std::size_t cut = 1; cut <= states.size(); ++cut) {
        for (const bool survives : {false, true}) {
            INFO("the power goes during write " << cut << ", whose batch "
                                                << (survives ? "survives" : "is lost"));
            const auto store = make_memory_kv();
            store->cut_at(cut);
            std::size_t next = 0;
            try {
                const auto conn = connection::on(*store);
                for (; next < life.size(); ++next) life[next](*conn);
            } catch (const error& e) {
                CHECK(e.code() == errc::io);
            }
            REQUIRE(store->is_cut());
            store->crash(survives ? store->unsynced_count() : 0);
            const auto conn = connection::on(*store);
            const std::size_t written = survives || cut == 1 ? cut : cut - 1;
            CHECK(everything(*conn) == states[written - 1]);
            for (const std::string& p : problems(*store)) FAIL_CHECK(p);
            for (next = written - 1; next < life.size(); ++next) life[next](*conn);
            CHECK(everything(*conn) == states.back());
            for (const std::string& p : problems(*store)) FAIL_CHECK(p);
        }
    }
}

leveldb_options small_tables() {
    leveldb_options o;
    o.write_buffer_bytes = 64u << 10;
    o.block_bytes = 1u << 10;
    return o;
}

constexpr const char* schema_of_rows = R"([
    {:db/ident :row/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
    {:db/ident :row/text :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
    {:db/ident :row/twin :db/valueType :db.type/long :db/cardinality :db.cardinality/one}])";

std::int64_t add_row(connection& c, std::int64_t n) {
    const std::string number = std::to_string(n);
    return c
        .transact(edn::read("[{:row/n " + number + " :row/text \"row " + number +
                            " of many rows\" :row/twin " + number + "}]"),
                  1000 + n)
        .t;
}

/// Each row is three facts of one transaction.
std::int64_t whole_rows(const db& d) {
    const auto count = [&](const char* where) {
        const value n = answer(std::string("[:find (count ?e) . :where ") + where + "]", {d});
        return n.is_nil() ? 0 : n.as<std::int64_t>();
    };
    const std::int64_t rows = count("[?e :row/n]");
    const std::int64_t twins = count("[?e :row/n ?n] [?e :row/twin ?n]");
    const std::int64_t texts = count("[(fulltext $ :row/text \"rows\") [[?e]]]");
    CHECK(twins == rows);
    CHECK(texts == rows);
    return rows;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("crash: at any write of a database's life, whole transactions are there", "[datom]") {
    expect_whole_after_each_cut(own_life());
}

TEST_CASE("crash: at any write of a stream and its rewinds, whole batches are there", "[datom]") {
    expect_whole_after_each_cut(streamed_life());
}

TEST_CASE("crash: killed again and again, a process keeps what it acknowledged", "[datom]") {
    const testing::temporary_directory dir;
    std::int64_t rows = 0;
    for (int round = 0; round < 4; ++round) {
        int pipe[2];
        REQUIRE(::pipe(pipe) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            const auto conn = connection::open(dir.path() / "db");
            if (rows == 0) conn->transact(edn::read(schema_of_rows), 1000);
            for (std::int64_t n = rows;; ++n) {
                add_row(*conn, n);
                if (::write(pipe[1], &n, sizeof n) != sizeof n) ::_exit(1);
            }
        }
        ::close(pipe[1]);
        std::int64_t acknowledged = -1;
        for (int i = 0; i < 25 + round; ++i)
            REQUIRE(::read(pipe[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        while (::read(pipe[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
        }
        ::close(pipe[0]);
        const auto conn = connection::open(dir.path() / "db");
        rows = whole_rows(conn->current());
        CHECK(rows >= acknowledged + 1);
        CHECK(rows <= acknowledged + 2);
        const verified v = verify(
            conn->current(), [](const std::string& p) { FAIL_CHECK(p); }, [](auto, auto) {});
        CHECK(v.transactions == rows + 1);
    }
}

TEST_CASE("crash: a full disk refuses transactions, answers queries, and goes on with space",
          "[datom]") {
    const testing::small_disk disk("16m");
    if (!disk.mounted()) {
        WARN("skipped: mounting a tmpfs is not permitted here");
        return;
    }
    leveldb_options options = small_tables();
    options.write_buffer_bytes = 1u << 20;
    const auto store = open_leveldb(disk.path() / "db", options);
    const auto conn = connection::on(*store);
    conn->transact(edn::read(schema_of_rows), 1000);
    std::int64_t rows = 0;
    for (int round = 0; round < 2; ++round) {
        disk.fill(100u << 10);
        errc refused{};
        for (int i = 0; i < 10000 && refused == errc{}; ++i) {
            refused = code_of([&] { add_row(*conn, rows); });
            if (refused == errc{}) ++rows;
        }
        CHECK(refused == errc::no_space);
        CHECK(code_of([&] { add_row(*conn, rows); }) == errc::no_space);
        CHECK(whole_rows(conn->current()) == rows);
        disk.free();
        add_row(*conn, rows++);
        CHECK(whole_rows(conn->current()) == rows);
        for (const std::string& p : problems(*store->snapshot())) FAIL_CHECK(p);
    }
}

TEST_CASE("crash: a byte that changed on the disk never makes an answer smaller", "[datom]") {
    const testing::temporary_directory dir(
        ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path());
    const fs::path origin = dir.path() / "origin", copy = dir.path() / "copy";
    std::vector<std::string> all;
    {
        const auto store = open_leveldb(origin, small_tables());
        const auto conn = connection::on(*store);
        conn->transact(edn::read(schema_of_rows), 1000);
        for (std::int64_t n = 0; n < 300; ++n) add_row(*conn, n);
        all = everything(*conn);
    }
    // How many bytes matter, and to whom, depends on how LevelDB laid out its files.
    int reported = 0;
    for (const auto& entry : fs::directory_iterator(origin)) {
        const std::string extension = entry.path().extension();
        if (extension != ".ldb" && extension != ".log") continue;
        const std::string contents = read_file(entry.path());
        for (std::size_t at = 11; at < contents.size(); at += contents.size() / 6 + 1) {
            INFO(entry.path().filename() << ", byte " << at << " of " << contents.size());
            fs::remove_all(copy);
            fs::copy(origin, copy);
            std::string damaged = contents;
            damaged[at] = static_cast<char>(damaged[at] ^ 4);
            std::ofstream(copy / entry.path().filename(), std::ios::binary) << damaged;
            std::string message;
            errc code = code_of(
                [&] {
                    const auto store = open_leveldb(copy, small_tables());
                    const auto conn = connection::on(*store);
                    const std::int64_t rows = whole_rows(conn->current());
                    CHECK(rows == 300);
                    const bool is_all = everything(*conn) == all;
                    CHECK(is_all);
                },
                &message);
            if (code != errc{}) {
                ++reported;
                CHECK((code == errc::io || code == errc::bad_input));
                CHECK_THAT(message, Catch::Contains("damaged"));
            }
            const errc verified = code_of([&] {
                const auto store = open_leveldb(copy, small_tables());
                if (!problems(*store).empty()) throw error(errc::io, "problems");
            });
            CHECK((code == errc{} || verified != errc{}));
        }
    }
    CHECK(reported > 0);
}

}  // namespace tributary::datom
