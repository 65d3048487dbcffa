/// Rules: each (rule, source, set of bound arguments) has a table of what it was asked and what it
/// has answered. Bodies are evaluated over the questions until no table grows: so recursion of
/// every kind ends, and only what was asked for is computed.
#include "tributary/datom/query_exec.hpp"

namespace tributary::datom::datalog {

namespace {

/// Adds the rows of `more` (its columns in the order of `into`'s variables) that are new. True if
/// there were any.
bool add_rows(relation& into,
              const std::vector<const column*>& more,
              std::size_t rows,
              stop_check& stop) {
    const std::size_t before = into.rows;
    if (into.columns.empty()) {
        into.rows = std::max<std::size_t>(into.rows, rows > 0 ? 1 : 0);
        return into.rows > before;
    }
    for (std::size_t i = 0; i < into.columns.size(); ++i) {
        into.columns[i].insert(into.columns[i].end(), more[i]->begin(), more[i]->end());
    }
    into.rows += rows;
    into.distinct = false;
    make_distinct(into, stop);
    return into.rows > before;
}

/// The answers as rows over the variables of the call: constants and repeated variables select.
relation seen_by_caller(const relation& answers, const std::vector<term>& args) {
    std::vector<row_id> rows(answers.rows);
    for (row_id row = 0; row < rows.size(); ++row) rows[row] = row;
    relation seen;
    std::vector<const column*> from;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const column& answer = answers.columns[i];
        if (const cell* c = std::get_if<cell>(&args[i])) {
            std::erase_if(rows, [&](row_id row) { return !equal(answer[row], *c); });
        } else if (const var_id* v = std::get_if<var_id>(&args[i])) {
            const int there = seen.column_of(*v);
            if (there < 0) {
                seen.vars.push_back(*v);
                from.push_back(&answer);
            } else {
                const column& first = *from[static_cast<std::size_t>(there)];
                std::erase_if(rows, [&](row_id row) { return !equal(answer[row], first[row]); });
            }
        }
    }
    for (const column* c : from) seen.columns.push_back(gather(*c, rows));
    seen.rows = rows.size();
    return seen;
}

}  // namespace

evaluator::rule_table& evaluator::table_for(const rule_call& r,
                                            const std::string& mask,
                                            const source_map& sources) {
    const auto found = sources.find(r.source.text);
    const source* on = found == sources.end() ? nullptr : found->second;
    const std::string key =
        r.name + "/" + mask + "/" + std::to_string(reinterpret_cast<std::uintptr_t>(on));
    const auto [at, fresh] = scope_->by_key.try_emplace(key, nullptr);
    if (!fresh) return *at->second;
    auto t = std::make_unique<rule_table>();
    t->name = r.name;
    t->of = &rules_.find(r.name)->second;
    t->sources = sources;
    if (on != nullptr) t->sources["$"] = on;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        t->params.push_back(names_.fresh("argument " + std::to_string(i + 1) + " of " + r.name));
        t->answers.add_column(t->params.back(), {});
        if (mask[i] == 'b') t->demand.add_column(t->params.back(), {});
    }
    at->second = t.get();
    scope_->tables.push_back(std::move(t));
    return *at->second;
}

void evaluator::run(const clause& c,
                    const rule_call& r,
                    environment& env,
                    const source_map& sources) {
    const bound_rows bound = env.bound();
    std::string mask;
    std::vector<var_id> asked;
    for (const term& t : r.args) {
        const var_id* v = std::get_if<var_id>(&t);
        const bool known = std::holds_alternative<cell>(t) || (v != nullptr && bound.contains(*v));
        mask += known ? 'b' : 'f';
        if (v != nullptr && known) asked.push_back(*v);
    }
    const std::size_t required = rules_.find(r.name)->second.required;
    if (mask.find('f') < required)
        fail_clause(
            "db.error/unbound-variable",
            c.text,
            "the rule needs a value for its argument " + std::to_string(mask.find('f') + 1));
    rule_table& t = table_for(r, mask, sources);
    relation questions = env.seen_through(asked, stop_).result(asked, stop_);
    std::vector<column> constants;
    constants.reserve(r.args.size());
    std::vector<const column*> columns;
    for (std::size_t i = 0; i < r.args.size(); ++i) {
        if (mask[i] == 'f') continue;
        if (const cell* constant = std::get_if<cell>(&r.args[i])) {
            constants.emplace_back(questions.rows, *constant);
            columns.push_back(&constants.back());
        } else {
            columns.push_back(&questions.of(std::get<var_id>(r.args[i])));
        }
    }
    if (add_rows(t.demand, columns, questions.rows, stop_)) {
        scope_->changed = true;
        if (!scope_->running) answer(c.text);
    }
    env.add(seen_by_caller(t.answers, r.args), stop_);
}

void evaluator::answer(const std::string& text) {
    scope_->running = true;
    while (scope_->changed) {
        scope_->changed = false;
        // By index: evaluation may add tables.
        for (std::size_t i = 0; i < scope_->tables.size(); ++i)
            answer_once(*scope_->tables[i], text);
    }
    scope_->running = false;
}

void evaluator::answer_once(rule_table& t, const std::string& text) {
    if (under_negation_.contains(t.name)) {
        fail_clause(
            "db.error/negation", text, "the rule " + t.name + " depends on its own negation");
    }
    answering_.push_back(t.name);
    for (const rule_branch& branch : t.of->branches) {
        stop_.look();
        relation questions = t.demand;
        for (var_id& v : questions.vars) {
            const auto at = std::find(t.params.begin(), t.params.end(), v) - t.params.begin();
            v = branch.params[static_cast<std::size_t>(at)];
        }
        environment env;
        env.add(std::move(questions), stop_);
        const relation found = evaluate(branch.body, std::move(env), t.sources, branch.params);
        std::vector<const column*> columns;
        for (const column& one : found.columns) columns.push_back(&one);
        if (add_rows(t.answers, columns, found.rows, stop_)) scope_->changed = true;
    }
    answering_.pop_back();
}

}  // namespace tributary::datom::datalog
