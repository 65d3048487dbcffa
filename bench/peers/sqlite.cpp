// The `contains` query on SQLite, one table in a file, through a prepared statement: sqlite
// TWEETS.jsonl

#include "tributary/value/json.hpp"

#include <sqlite3.h>

#include "../harness.hpp"
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const bench::scratch dir;
    sqlite3* db = nullptr;
    if (sqlite3_open((dir / "tweets.sqlite").c_str(), &db) != SQLITE_OK) return 1;
    sqlite3_exec(db,
                 "create table tweet(id integer primary key, text text, name text); begin",
                 nullptr,
                 nullptr,
                 nullptr);
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db, "insert into tweet values (?, ?, ?)", -1, &insert, nullptr);
    std::ifstream in(argv[1]);
    for (std::string line; std::getline(in, line);) {
        const tributary::value t = tributary::json::read(line);
        const std::string& text = t.find("text")->as<std::string>();
        const std::string& name = t.find("user")->find("screen_name")->as<std::string>();
        sqlite3_bind_int64(insert, 1, t.find("id")->as<std::int64_t>());
        sqlite3_bind_text(insert, 2, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        sqlite3_bind_text(insert, 3, name.data(), static_cast<int>(name.size()), SQLITE_TRANSIENT);
        sqlite3_step(insert);
        sqlite3_reset(insert);
    }
    sqlite3_exec(db, "commit", nullptr, nullptr, nullptr);
    const auto query = [&](const char* what, const char* sql) {
        sqlite3_stmt* q = nullptr;
        sqlite3_prepare_v2(db, sql, -1, &q, nullptr);
        std::vector<double> ms;
        for (int i = 0; i < 6; ++i) {
            bench::stopwatch watch;
            watch.start();
            while (sqlite3_step(q) == SQLITE_ROW) sqlite3_column_text(q, 0);
            watch.stop();
            sqlite3_reset(q);
            if (i > 0) ms.push_back(watch.seconds() * 1000);
        }
        sqlite3_finalize(q);
        bench::report(std::string("SQLite, ") + what, bench::median(ms), "ms");
    };
    query("count of distinct texts", "select count(distinct text) from tweet");
    query("tweets of each account", "select name, count(*) from tweet group by name");
    query("texts that contain a word",
          "select id, text from tweet where instr(text, 'ethereum') > 0");
    sqlite3_finalize(insert);
    sqlite3_close(db);
}
