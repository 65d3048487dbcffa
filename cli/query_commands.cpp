// What reads a datom database: query, explain, entity, datoms, history, tx-range, schema, stats.

#include "tributary/value/edn.hpp"

#include "database_answers.hpp"
#include "database_options.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

/// NAME=REST, where NAME may have its $.
std::pair<std::string, std::string> named(const char* option, const std::string& text) {
    const auto at = text.find('=');
    const std::size_t start = text.starts_with('$') ? 1 : 0;
    if (at == text.npos || at <= start || at + 1 == text.size())
        throw usage_error(std::string(option) + ", found " + text);
    return {text.substr(start, at - start), text.substr(at + 1)};
}

void add_question(CLI::App& app,
                  session& s,
                  const std::string& name,
                  const std::string& description,
                  const std::string& example) {
    auto* command = add_command(app, name, description, example);
    auto dir = std::make_shared<std::string>();
    auto text = std::make_shared<std::string>();
    auto view = std::make_shared<view_options>();
    auto databases = std::make_shared<std::vector<std::string>>();
    auto views = std::make_shared<std::vector<std::string>>();
    auto a = std::make_shared<asked>();
    auto timeout = std::make_shared<double>(0);
    add_database(command, *dir);
    command->add_option("QUERY", *text, "as EDN, @FILE, or - for stdin")->required();
    take_edn_arguments(command);
    command->footer(
        "Inputs of :in but $ follow the query as EDN or @FILE; text needs its quotes: '\"Rome\"', "
        "'[\"Rome\" \"Oslo\"]'\n\nExample:\n  " +
        example);
    add_view(command, *view);
    command->add_option("--db", *databases, "another database, $NAME in :in: NAME=DIR")
        ->take_all()
        ->allow_extra_args(false);
    command
        ->add_option("--view",
                     *views,
                     "another view, $NAME in :in: NAME=as-of:T, NAME=since:T, NAME=history, "
                     "NAME=now; of DATABASE, or of the --db of that name")
        ->take_all()
        ->allow_extra_args(false);
    command->add_option("--timeout", *timeout, "seconds after which it is given up");
    const bool is_query = name == "query";
    if (is_query) {
        command->add_option("--limit", a->most, "at most so many rows; of a chart, the largest");
        command->add_option("--svg", a->svg_file, "a chart into this file instead");
        add_format(command, s, {"table", "edn", "json", "csv", "chart"});
    } else {
        add_format(command, s, {"table", "edn", "json"});
    }
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            typed_value query = edn_argument("the query", *text);
            typed_values args = edn_arguments(command);
            question q{std::move(query.read),
                       std::move(args.values),
                       {},
                       {},
                       std::move(query.text),
                       std::move(args.texts)};
            for (const std::string& one : *databases)
                q.databases.insert(named("--db is NAME=DIR", one));
            for (const std::string& one : *views) {
                const auto [called, how] = named("--view is NAME=VIEW", one);
                q.views[called] = view_named(how);
            }
            asked wanted = *a;
            wanted.dir = *dir;
            wanted.view = view->as_value();
            wanted.output = s.output;
            if (*timeout > 0) wanted.timeout_ms = static_cast<std::int64_t>(*timeout * 1000);
            is_query ? show_query(wanted, q) : show_explain(wanted, q);
            return ok;
        };
    });
}

/// A command that asks one thing of the database as it was, with EDN arguments of its own.
struct reading {
    const char* name;
    const char* description;
    const char* example;
    const char* arguments;  ///< what stands after DATABASE, for --help; may be empty
    std::size_t least, most;
    std::vector<std::string> formats;
    void (*show)(const asked& a, const std::vector<value>& args, const value& where);
};

/// --from, --to, --seek, --rseek of `datoms`.
struct range_options {
    std::string from, to;
    bool seek = false, rseek = false;

    void add_to(CLI::App* command) {
        command->add_option("--from", from, "of avet ATTRIBUTE: values from this one (EDN) on");
        command->add_option("--to", to, "of avet ATTRIBUTE: values before this one (EDN)");
        command->add_flag("--seek", seek, "from the parts on, to the end of the index");
        command->add_flag("--rseek", rseek, "from the parts back, to the beginning of the index");
    }
    value as_value() const {
        if (seek && rseek) throw usage_error("give --seek or --rseek, not both");
        std::vector<std::pair<value, value>> where;
        if (!from.empty()) where.emplace_back(keyword{"from"}, read_edn("--from", from));
        if (!to.empty()) where.emplace_back(keyword{"to"}, read_edn("--to", to));
        if (seek || rseek) where.emplace_back(keyword{"seek"}, keyword{seek ? "on" : "back"});
        return make_map(std::move(where));
    }
};

void add_reading(CLI::App& app, session& s, const reading& r) {
    auto* command = add_command(app, r.name, r.description, r.example);
    auto dir = std::make_shared<std::string>();
    auto view = std::make_shared<view_options>();
    auto limit = std::make_shared<std::uint64_t>(~std::uint64_t{0});
    add_database(command, *dir);
    if (r.most > 0) {
        take_edn_arguments(command);
        command->footer(std::string("After DATABASE: ") + r.arguments +
                        ", as EDN; an ENTITY is an id, an ident or a lookup ref\n\nExample:\n  " +
                        r.example);
    }
    add_view(command, *view);
    auto range = std::make_shared<range_options>();
    if (std::string(r.name) == "datoms") {
        command->add_option("--limit", *limit, "at most so many");
        range->add_to(command);
    }
    add_format(command, s, r.formats);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const std::vector<value> args =
                r.most > 0 ? edn_arguments(command).values : std::vector<value>();
            if (args.size() < r.least || args.size() > r.most)
                throw usage_error(std::string("expected: trib ") + r.name + " DATABASE " +
                                  r.arguments);
            r.show({*dir, view->as_value(), s.output, *limit, {}, {}}, args, range->as_value());
            return ok;
        };
    });
}

void add_tx_range(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "tx-range",
                    "What each transaction did, in order; as EDN, forms that do it again",
                    "trib tx-range tweets.datom --from after:1200 --follow");
    auto dir = std::make_shared<std::string>();
    auto start = std::make_shared<std::string>();
    auto end = std::make_shared<std::string>();
    auto from = std::make_shared<std::string>();
    auto follow = std::make_shared<bool>(false);
    add_database(command, *dir);
    command->add_option("START", *start, "the first: a t or an ISO 8601 time");
    command->add_option("END", *end, "before this one");
    command->add_option("--from", *from, "trim-horizon, latest, at:T or after:T");
    command->add_flag("--follow", *follow, "stay and print what is committed, until interrupted");
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            if (!start->empty() && (!from->empty() || *follow))
                throw usage_error("give either START and END, or --from and --follow");
            const asked a{*dir, map{}, s.output, 0, {}, {}};
            std::vector<std::pair<value, value>> where;
            if (*follow) {
                show_feed(a, from->empty() ? "trim-horizon" : *from);
                return ok;
            }
            if (!from->empty()) where.emplace_back(keyword{"from"}, *from);
            if (!start->empty()) where.emplace_back(keyword{"start"}, point_in_time(*start));
            if (!end->empty()) where.emplace_back(keyword{"end"}, point_in_time(*end));
            show_tx_range(a, make_map(std::move(where)));
            return ok;
        };
    });
}

}  // namespace

void add_query_commands(CLI::App& app, session& s) {
    add_question(app,
                 s,
                 "query",
                 "Ask a datom database in Datalog",
                 "trib query tweets.datom '[:find (count ?t) . :in $ ?u :where [?t "
                 ":tweet/screenname ?u]]' '\"ameanmbot\"'\n  trib query tweets.datom '[:find ?u "
                 "(count ?t) :where [?t :tweet/screenname ?u]]' --format chart --limit 10");
    add_question(app,
                 s,
                 "explain",
                 "How a query is run: its steps in their order, and why",
                 "trib explain people.datom '[:find ?n :where [?p :person/age 33] [?p :person/name "
                 "?n]]'");
    const std::vector<std::string> rows = {"table", "edn", "json", "csv"};
    const std::vector<std::string> trees = {"table", "edn", "json"};
    add_reading(app,
                s,
                {"entity",
                 "All that holds of an entity, with its components",
                 "trib entity people.datom '[:person/email \"ann@example.org\"]'",
                 "ENTITY",
                 1,
                 1,
                 trees,
                 [](const asked& a, const std::vector<value>& args, const value&) {
                     show_entity(a, args[0]);
                 }});
    add_reading(
        app,
        s,
        {"datoms",
         "The facts of an index (eavt, aevt, avet or vaet) that begin with the parts",
         "trib datoms people.datom aevt :person/name --limit 20\n  trib datoms people.datom "
         "avet :person/age --from 30 --to 40",
         "INDEX [PART...]",
         1,
         5,
         rows,
         [](const asked& a, const std::vector<value>& args, const value& where) {
             const auto* name = args[0].get_if<symbol>();
             show_datoms(a,
                         name ? value(keyword{name->text}) : args[0],
                         {args.begin() + 1, args.end()},
                         where);
         }});
    add_reading(app,
                s,
                {"history",
                 "Every change of an entity: when, what, and what the transaction says of itself",
                 "trib history people.datom '[:person/email \"ann@example.org\"]'",
                 "ENTITY",
                 1,
                 1,
                 rows,
                 [](const asked& a, const std::vector<value>& args, const value&) {
                     show_history(a, args[0]);
                 }});
    add_tx_range(app, s);
    add_reading(app,
                s,
                {"schema",
                 "The attributes; as EDN, forms that declare them elsewhere",
                 "trib schema people.datom",
                 "",
                 0,
                 0,
                 rows,
                 [](const asked& a, const std::vector<value>&, const value&) { show_schema(a); }});
    add_reading(app,
                s,
                {"stats",
                 "How many facts and different values each attribute has",
                 "trib stats people.datom",
                 "",
                 0,
                 0,
                 rows,
                 [](const asked& a, const std::vector<value>&, const value&) { show_stats(a); }});
}

}  // namespace tributary::cli
