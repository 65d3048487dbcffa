// repl: a datom database in an interactive shell.

#include "tributary/datom/builtin_names.hpp"
#include "tributary/value/edn.hpp"

#include <unistd.h>

#include "database_answers.hpp"
#include "database_options.hpp"
#include "datom_directory.hpp"
#include "line_editor.hpp"
#include "output.hpp"
#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace tributary::cli {

namespace {

constexpr const char* help_text =
    "Type a query, with its inputs behind it:  [:find ?n :where [_ :person/name ?n]]\n"
    "or a transaction:                         [{:person/name \"Ann\"}]\n"
    "A form may go over several lines. Then there are:\n"
    "  :as-of T, :since T      the database as it was; T is a t or an ISO 8601 time\n"
    "  :all                    every assertion and retraction there ever was\n"
    "  :now                    the present again\n"
    "  :entity E               all that holds of an entity\n"
    "  :pull PATTERN E...      the parts of entities that a pattern names\n"
    "  :history E              every change of an entity\n"
    "  :datoms INDEX PART...   the facts of eavt, aevt, avet or vaet\n"
    "  :explain QUERY          how a query is run\n"
    "  :tx-range [START [END]] what each transaction did\n"
    "  :schema, :stats         the attributes; how many facts they have\n"
    "  :format F, :limit N     table, edn, json, csv or chart; at most so many rows\n"
    "  :help, :quit\n";

const std::vector<std::string> command_names = {":all",
                                                ":as-of",
                                                ":datoms",
                                                ":entity",
                                                ":explain",
                                                ":format",
                                                ":help",
                                                ":history",
                                                ":limit",
                                                ":now",
                                                ":pull",
                                                ":quit",
                                                ":schema",
                                                ":since",
                                                ":stats",
                                                ":tx-range"};

/// How deep in brackets the text ends; a string that is not closed counts as one.
int open_brackets(const std::string& text) {
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == ';') {
            while (i < text.size() && text[i] != '\n') ++i;
        } else if (c == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i)
                if (text[i] == '\\') ++i;
            if (i >= text.size()) return depth + 1;
        } else if (c == '(' || c == '[' || c == '{') {
            ++depth;
        } else if (c == ')' || c == ']' || c == '}') {
            --depth;
        }
    }
    return depth;
}

/// The text with what is in a file in the place of @FILE, where that stands as a form.
std::string with_files(std::string text) {
    for (std::size_t at = text.find('@'); at != text.npos; at = text.find('@', at)) {
        const std::size_t line = text.find_last_of('\n', at);
        const std::size_t comment = text.find(';', line == text.npos ? 0 : line);
        const bool is_form = (at == 0 || std::isspace(static_cast<unsigned char>(text[at - 1]))) &&
                             comment > at && open_brackets(text.substr(0, at)) == 0;
        const std::size_t length = std::min(text.find_first_of(" \t\r\n", at), text.size()) - at;
        const std::string shown =
            is_form ? read_file(text.substr(at + 1, length - 1)) : text.substr(at, length);
        text.replace(at, length, shown);
        at += shown.size();
    }
    return text;
}

bool is_query(const value& form) {
    const value find = keyword{"find"};
    if (form.find(find) != nullptr) return true;
    const auto* parts = form.get_if<vector>();
    return parts != nullptr && !parts->empty() && parts->front() == find;
}

class shell {
public:
    explicit shell(asked a)
        : asked_(std::move(a)),
          editor_(history_file(), [this](const std::string& start) { return candidates(start); }) {}

    /// Failed if a form of a pipe did: who is not there to see it must be told.
    int run() {
        if (editor_.is_terminal()) std::cout << asked_.dir << "; :help tells what there is\n";
        std::string text, line;
        for (;;) {
            const bool goes_on = !text.empty();
            const auto outcome = editor_.next(prompt(goes_on), line);
            if (outcome == line_editor::outcome::interrupted) {
                if (!editor_.is_terminal()) return interrupted;
                go_on();
                text.clear();
                std::cout << '\n';
                continue;
            }
            if (outcome == line_editor::outcome::end) break;
            text += (goes_on ? "\n" : "") + line;
            if (text.find_first_not_of(" \t\r\n") == text.npos) text.clear();
            if (text.empty() || open_brackets(text) > 0) continue;
            if (!enter(std::exchange(text, {}))) return result_;
        }
        if (!text.empty()) enter(text);  // says what is missing
        if (editor_.is_terminal()) std::cout << '\n';
        return result_;
    }

private:
    static std::string history_file() {
        const char* state = std::getenv("XDG_STATE_HOME");
        const char* home = std::getenv("HOME");
        std::filesystem::path dir;
        if (state != nullptr && *state != '\0')
            dir = state;
        else if (home != nullptr && *home != '\0')
            dir = std::filesystem::path(home) / ".local" / "state";
        else
            return {};
        std::error_code failed;
        std::filesystem::create_directories(dir / "tributary", failed);
        return failed ? std::string() : (dir / "tributary" / "repl_history").string();
    }

    std::string prompt(bool goes_on) const {
        const bool is_present = asked_.view == value(map{});
        const std::string text = is_present ? "trib> " : "trib (past)> ";
        return goes_on ? std::string(text.size() - 2, '.') + "> " : text;
    }

    /// False to end.
    bool enter(std::string text) {
        editor_.remember(text);
        try {
            text = with_files(std::move(text));
            const std::vector<value> forms = read(text);
            if (forms.empty()) return true;
            if (const auto* word = forms.front().get_if<symbol>())
                throw error(errc::misuse,
                            "there is no command " + word->text +
                                "; :quit ends the shell, :help tells what there is");
            const auto* name = forms.front().get_if<keyword>();
            if (name != nullptr && (name->text == "quit" || name->text == "q")) return false;
            const std::vector<value> rest(forms.begin() + 1, forms.end());
            if (name != nullptr)
                command(name->text, rest);
            else if (is_query(forms.front()))
                show_query(asked_, asking(forms.front(), rest, rest.empty() ? text : ""));
            else
                for (const value& form : forms) transact(form);
        } catch (const error& e) {
            tell(e);
            if (!editor_.is_terminal()) result_ = failed;
            if (!keep_going() && !editor_.is_terminal()) {
                result_ = interrupted;
                return false;
            }
        }
        std::fflush(stdout);
        if (editor_.is_terminal()) go_on();
        return true;
    }

    /// The times of :as-of and :since need no #inst.
    static std::vector<value> read(const std::string& text) {
        for (const char* name : {":as-of ", ":since "}) {
            if (!text.starts_with(name)) continue;
            const std::string time = text.substr(std::string(name).size());
            const auto end = time.find_last_not_of(" \t\r\n");
            return {keyword{std::string(name).substr(1, 5)},
                    value(time.substr(0, end == time.npos ? 0 : end + 1))};
        }
        return edn::read_all(text);
    }

    static question asking(const value& query, std::vector<value> args, const std::string& text) {
        question q{query, std::move(args), {}, {}, text.empty() ? edn::print(query) : text, {}};
        for (const value& arg : q.args) q.arg_texts.push_back(edn::print(arg));
        return q;
    }

    void transact(const value& form) {
        if (asked_.view != value(map{}))
            throw error(errc::misuse,
                        "what is looked at is not the present, of which a transaction is; type "
                        ":now first");
        const auto* parts = form.get_if<vector>();
        const bool is_one_form =
            form.get_if<map>() != nullptr ||
            (parts != nullptr && !parts->empty() && parts->front().get_if<keyword>() != nullptr);
        show_transact(asked_, is_one_form ? value(vector{form}) : form);
        names_.clear();
    }

    void command(const std::string& name, const std::vector<value>& args) {
        const auto need = [&](std::size_t least, std::size_t most) {
            if (args.size() < least || args.size() > most)
                throw error(errc::misuse, ":" + name + " takes something else; see :help");
        };
        if (name == "help") {
            std::fputs(help_text, stdout);
        } else if (name == "now") {
            asked_.view = map{};
        } else if (name == "all") {
            asked_.view = make_map({{keyword{"history"}, true}});
        } else if (name == "as-of" || name == "since") {
            need(1, 1);
            asked_.view = make_map({{keyword{name}, point_in_time(args[0].as<std::string>())}});
        } else if (name == "format") {
            need(1, 1);
            set_format(cell_text(args[0]));
        } else if (name == "limit") {
            need(1, 1);
            asked_.most =
                static_cast<std::uint64_t>(std::max<std::int64_t>(0, args[0].as<std::int64_t>()));
        } else if (name == "entity") {
            need(1, 1);
            show_entity(asked_, args[0]);
        } else if (name == "pull") {
            need(2, SIZE_MAX);
            show_pull(asked_, edn::print(args[0]), {args.begin() + 1, args.end()});
        } else if (name == "history") {
            need(1, 1);
            show_history(asked_, args[0]);
        } else if (name == "datoms") {
            need(1, 5);
            const auto* index = args[0].get_if<symbol>();
            show_datoms(asked_,
                        index ? value(keyword{index->text}) : args[0],
                        {args.begin() + 1, args.end()});
        } else if (name == "explain") {
            need(1, SIZE_MAX);
            show_explain(asked_, asking(args[0], {args.begin() + 1, args.end()}, {}));
        } else if (name == "tx-range") {
            need(0, 2);
            std::vector<std::pair<value, value>> where;
            if (!args.empty()) where.emplace_back(keyword{"start"}, args[0]);
            if (args.size() > 1) where.emplace_back(keyword{"end"}, args[1]);
            show_tx_range(asked_, make_map(std::move(where)));
        } else if (name == "schema") {
            show_schema(asked_);
        } else if (name == "stats") {
            show_stats(asked_);
        } else {
            throw error(errc::misuse, "there is no command :" + name + "; :help lists them");
        }
    }

    void set_format(const std::string& name) {
        static const std::map<std::string, format> all = {{"table", format::table},
                                                          {"edn", format::edn},
                                                          {"json", format::json},
                                                          {"csv", format::csv},
                                                          {"chart", format::chart}};
        const auto found = all.find(name);
        if (found == all.end())
            throw error(errc::misuse, "there are the formats table, edn, json, csv and chart");
        asked_.output = found->second;
    }

    std::vector<std::string> candidates(const std::string& start) {
        if (names_.empty()) {
            names_ = command_names;
            for (const std::string_view name : datom::builtin_names()) names_.emplace_back(name);
            for (const char* word : {":find",
                                     ":where",
                                     ":in",
                                     ":with",
                                     ":keys",
                                     ":order-by",
                                     ":limit",
                                     ":offset",
                                     ":db/add",
                                     ":db/retract",
                                     ":db/retractEntity",
                                     ":db/cas",
                                     ":db/id"})
                names_.emplace_back(word);
            try {
                const value idents = ask_database(asked_.dir, "idents/1", map{});
                for (const value& ident : idents.as<vector>()) names_.push_back(edn::print(ident));
            } catch (const error&) {  // who has it open does not answer now
            }
            std::sort(names_.begin(), names_.end());
            names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
        }
        std::vector<std::string> out;
        for (const std::string& name : names_)
            if (name.starts_with(start)) out.push_back(name);
        return out;
    }

    asked asked_;
    line_editor editor_;
    std::vector<std::string> names_;  ///< for completion
    int result_ = ok;
};

}  // namespace

void add_repl_command(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "repl",
                                "A shell for a datom database: queries and transactions as typed",
                                "trib repl people.datom\n  echo '[:find ?n :where [_ :person/name "
                                "?n]]' | trib repl people.datom --format csv");
    auto dir = std::make_shared<std::string>();
    auto view = std::make_shared<view_options>();
    add_database(command, *dir);
    add_view(command, *view);
    add_format(command, s, {"table", "edn", "json", "csv", "chart"});
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            asked a;
            require_database(*dir);
            a.dir = *dir;
            a.view = view->as_value();
            a.output = s.output;
            return shell(std::move(a)).run();
        };
    });
}

}  // namespace tributary::cli
