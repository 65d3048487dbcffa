// The queries of bench_datom_query on SQLite, in memory, through prepared statements: prints
// "peer TAB query TAB ms" for each, the median of warm runs. Two peers: the facts in one
// entity-attribute-value table, and in tables made for them.

#include <sqlite3.h>

#include "../graphs.hpp"
#include "../harness.hpp"
#include "../people.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <variant>

using namespace tributary;
using namespace bench;

namespace {

using parameter = std::variant<std::int64_t, std::string>;

/// A database in memory. What goes wrong ends the program with a message.
class database {
public:
    database() {
        sqlite3* opened = nullptr;
        check(sqlite3_open(":memory:", &opened), "opening");
        db_.reset(opened);
    }

    void run(const std::string& sql) const {
        check(sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr), sql);
    }

    class statement {
    public:
        statement(const database& in, const std::string& sql) : in_(in), sql_(sql) {
            sqlite3_stmt* made = nullptr;
            in.check(sqlite3_prepare_v2(in.db_.get(), sql.c_str(), -1, &made, nullptr), sql);
            made_.reset(made);
        }

        /// Runs it, reads every column of every row, and gives back how many rows there were.
        std::size_t run(const std::vector<parameter>& parameters = {}) const {
            int place = 0;
            for (const parameter& p : parameters) bind(++place, p);
            std::size_t rows = 0;
            int state = SQLITE_ROW;
            const int columns = sqlite3_column_count(made_.get());
            while ((state = sqlite3_step(made_.get())) == SQLITE_ROW) {
                for (int c = 0; c < columns; ++c) read(c);
                ++rows;
            }
            in_.check(state == SQLITE_DONE ? SQLITE_OK : state, sql_);
            sqlite3_reset(made_.get());
            return rows;
        }

    private:
        struct finalize {
            void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
        };

        void bind(int place, const parameter& p) const {
            if (const auto* number = std::get_if<std::int64_t>(&p)) {
                sqlite3_bind_int64(made_.get(), place, *number);
            } else {
                const auto& text = std::get<std::string>(p);
                sqlite3_bind_text(made_.get(),
                                  place,
                                  text.data(),
                                  static_cast<int>(text.size()),
                                  SQLITE_TRANSIENT);
            }
        }
        void read(int column) const {
            if (sqlite3_column_type(made_.get(), column) == SQLITE_TEXT)
                sqlite3_column_text(made_.get(), column);
            else
                sqlite3_column_int64(made_.get(), column);
        }

        const database& in_;
        std::string sql_;
        std::unique_ptr<sqlite3_stmt, finalize> made_;
    };

private:
    struct close {
        void operator()(sqlite3* db) const { sqlite3_close(db); }
    };

    void check(int state, const std::string& doing) const {
        if (state == SQLITE_OK) return;
        std::fprintf(stderr, "SQLite: %s: %s\n", doing.c_str(), sqlite3_errmsg(db_.get()));
        std::exit(1);
    }

    std::unique_ptr<sqlite3, close> db_;
};

/// Repeats the query for a while and prints the median; `rows` is what it must give, if known.
void ask(const database& db,
         const std::string& peer,
         const std::string& name,
         const std::string& sql,
         std::size_t rows = 0,
         const std::vector<parameter>& parameters = {}) {
    const database::statement query(db, sql);
    const warm_times took = time_warm([&](stopwatch& watch) {
        watch.start();
        const std::size_t found = query.run(parameters);
        watch.stop();
        require_rows(peer + ", " + name, found, rows);
    });
    std::printf("%s\t%s\t%.4f\n", peer.c_str(), name.c_str(), took.median);
    std::fflush(stdout);
}

std::size_t known(std::size_t rows) { return scaled(20000) == 20000 ? rows : 0; }

struct person {
    std::int64_t id, age, salary;
    std::string name, last, sex;
};

std::vector<person> all_people() {
    std::vector<person> all;
    const value forms = people().next(scaled(20000));
    for (const value& form : forms.as<vector>()) {
        const auto number = [&](const char* key) {
            return form.find(value(keyword{key}))->as<std::int64_t>();
        };
        const auto text = [&](const char* key) {
            return form.find(value(keyword{key}))->as<std::string>();
        };
        const bool male = *form.find(value(keyword{"sex"})) == value(keyword{"male"});
        all.push_back({number("db/id"),
                       number("age"),
                       number("salary"),
                       text("name"),
                       text("last-name"),
                       male ? "male" : "female"});
    }
    return all;
}

// By entity and by value: an order by attribute and entity gains nothing. Attributes are numbers.
constexpr const char* eav_schema = R"(
    create table datom(e integer, a integer, v, primary key(e, a, v)) without rowid;
    create index datom_ave on datom(a, v, e);)";
enum class attribute { name = 1, last_name, sex, age, salary, follows };

parameter id(attribute a) { return static_cast<std::int64_t>(a); }

/// "alias.a = n", of a pattern of this attribute.
std::string is(const char* alias, attribute a) {
    return std::string(alias) + ".a = " + std::to_string(static_cast<int>(a));
}

void ask_eav_people(const std::vector<person>& all) {
    const std::string peer = "SQLite, entity-attribute-value";
    const database db;
    db.run(eav_schema);
    db.run("begin");
    const database::statement insert(db, "insert into datom values (?, ?, ?)");
    for (const person& p : all) {
        insert.run({p.id, id(attribute::name), p.name});
        insert.run({p.id, id(attribute::last_name), p.last});
        insert.run({p.id, id(attribute::sex), p.sex});
        insert.run({p.id, id(attribute::age), p.age});
        insert.run({p.id, id(attribute::salary), p.salary});
    }
    db.run("commit; analyze");

    const std::string ivans = is("n", attribute::name) + " and n.v = 'Ivan'";
    const std::string with_age = " join datom g on g.e = n.e and " + is("g", attribute::age);
    // Cross joins keep their order, the rarest first: left alone, SQLite asks for ages before it
    // drops the women.
    const std::string male =
        " cross join datom x on x.e = n.e and " + is("x", attribute::sex) + " and x.v = 'male'";
    const std::string q2 = "select n.e, g.v from datom n" + with_age + " where " + ivans;
    ask(db, peer, "q1", "select n.e from datom n where " + ivans, known(2462));
    ask(db, peer, "q2", q2, known(2462));
    ask(db,
        peer,
        "q2-switch",
        "select g.e, g.v from datom g join datom n on n.e = g.e and " + ivans + " where " +
            is("g", attribute::age),
        known(2462));
    ask(db,
        peer,
        "q3",
        "select n.e, g.v from datom n" + male + " cross" + with_age + " where " + ivans,
        known(1209));
    ask(db,
        peer,
        "q4",
        "select n.e, l.v, g.v from datom n" + male + " cross join datom l on l.e = n.e and " +
            is("l", attribute::last_name) + " cross" + with_age + " where " + ivans,
        known(1209));
    const std::string paid = "select s.e, s.v from datom s where " + is("s", attribute::salary);
    ask(db, peer, "qpred1", paid + " and s.v > 50000", known(9990));
    ask(db, peer, "qpred2", paid + " and s.v > ?", known(9990), {50000});
    ask(db,
        peer,
        "not",
        "select n.e from datom n where " + ivans + " and not exists (select 1 from datom x where" +
            " x.e = n.e and " + is("x", attribute::sex) + " and x.v = 'male')",
        known(1253));
    ask(db,
        peer,
        "value join",
        "select l.e, m.e from datom l join datom s on s.e = l.e and " + is("s", attribute::salary) +
            " join datom r on r.v = s.v and " + is("r", attribute::salary) +
            " join datom m on m.e = r.e and m.v = 'Petrov' and " + is("m", attribute::last_name) +
            " where " + is("l", attribute::last_name) + " and l.v = 'Ivanov'");
    ask(db,
        peer,
        "average and count by sex",
        "select x.v, avg(s.v), count(x.e) from datom x join datom s on s.e = x.e and " +
            is("s", attribute::salary) + " where " + is("x", attribute::sex) + " group by x.v",
        2);
}

void ask_relational_people(const std::vector<person>& all) {
    const std::string peer = "SQLite, relational";
    const database db;
    db.run(R"(
        create table person(id integer primary key, name text, last_name text, sex text,
                            age integer, salary integer);
        create index person_name on person(name);
        create index person_last_name on person(last_name);
        create index person_salary on person(salary);
        begin)");
    const database::statement insert(db, "insert into person values (?, ?, ?, ?, ?, ?)");
    for (const person& p : all) insert.run({p.id, p.name, p.last, p.sex, p.age, p.salary});
    db.run("commit; analyze");

    const std::string q2 = "select id, age from person where name = 'Ivan'";
    ask(db, peer, "q1", "select id from person where name = 'Ivan'", known(2462));
    ask(db, peer, "q2", q2, known(2462));
    ask(db, peer, "q2-switch", q2, known(2462));
    ask(db, peer, "q3", q2 + " and sex = 'male'", known(1209));
    ask(db,
        peer,
        "q4",
        "select id, last_name, age from person where name = 'Ivan' and sex = 'male'",
        known(1209));
    ask(db, peer, "qpred1", "select id, salary from person where salary > 50000", known(9990));
    ask(db, peer, "qpred2", "select id, salary from person where salary > ?", known(9990), {50000});
    ask(db,
        peer,
        "not",
        "select id from person where name = 'Ivan' and sex <> 'male'",
        known(1253));
    ask(db,
        peer,
        "value join",
        "select p.id, q.id from person p join person q on q.salary = p.salary"
        " where p.last_name = 'Ivanov' and q.last_name = 'Petrov'");
    ask(db,
        peer,
        "average and count by sex",
        "select sex, avg(salary), count(id) from person group by sex",
        2);
}

/// A graph in a table `source` with columns e and v; `edge` is a condition on it.
struct graph_table {
    std::string peer, schema, insert, source, edge;
};

void ask_closure(const graph_table& in,
                 const std::string& name,
                 const edges& all,
                 std::size_t all_rows,
                 std::size_t rows_from_1,
                 std::int64_t last,
                 std::size_t rows_to_last) {
    const database db;
    db.run(in.schema + "begin");
    const database::statement insert(db, in.insert);
    for (const auto& [from, to] : all) insert.run({from, to});
    // Without analyze: with it, each query would first scan all for a Bloom filter.
    db.run("commit");
    const std::string f = in.source + " f", edge = in.edge;
    ask(db,
        in.peer,
        name,
        "with recursive follow(a, b) as (select f.e, f.v from " + f + " where " + edge +
            " union select follow.a, f.v from follow join " + f + " on f.e = follow.b and " + edge +
            ") select a, b from follow",
        all_rows);
    ask(db,
        in.peer,
        name + " from 1",
        "with recursive reach(b) as (select f.v from " + f + " where f.e = 1 and " + edge +
            " union select f.v from reach join " + f + " on f.e = reach.b and " + edge +
            ") select b from reach",
        rows_from_1);
    // The + takes the affinity away, without which no index on v would be used.
    ask(db,
        in.peer,
        name + " to " + std::to_string(last),
        "with recursive reach(a) as (select f.e from " + f + " where f.v = ? and " + edge +
            " union select f.e from reach join " + f + " on f.v = +reach.a and " + edge +
            ") select a from reach",
        rows_to_last,
        {last});
}

void ask_closures(const graph_table& in) {
    ask_closure(in, "closure TREE(7,3)", tree(7, 3), 21324, 3279, 3280, 7);
    ask_closure(in, "closure TREE(4,5)", tree(4, 5), 2930, 780, 781, 4);
    ask_closure(in, "closure CHAIN(30,5)", chains(30, 5), 2325, 30, 155, 30);
}

}  // namespace

int main() {
    const std::vector<person> all = all_people();
    ask_eav_people(all);
    ask_relational_people(all);
    ask_closures({"SQLite, entity-attribute-value",
                  eav_schema,
                  "insert or ignore into datom values (?, " +
                      std::to_string(static_cast<int>(attribute::follows)) + ", ?)",
                  "datom",
                  is("f", attribute::follows)});
    ask_closures({"SQLite, relational",
                  "create table follows(e integer, v integer, primary key(e, v)) without rowid;"
                  "create index follows_back on follows(v, e);",
                  "insert or ignore into follows values (?, ?)",
                  "follows",
                  "true"});
}
