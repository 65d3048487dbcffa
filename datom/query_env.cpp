#include "tributary/datom/query_exec.hpp"

namespace tributary::datom::datalog {

namespace {

bool shares(const relation& r, const std::vector<var_id>& vars) {
    return std::any_of(vars.begin(), vars.end(), [&](var_id v) { return r.has(v); });
}

relation truth() {
    relation r;
    r.rows = 1;
    r.distinct = true;
    return r;
}

/// One way to give the binding's variables values, or several.
struct binder {
    relation& into;
    const place& where;
    stop_check& stop;
    std::vector<std::optional<cell>> row;

    using then = std::function<void()>;

    void bind(const binding& b, const cell& c, const then& done) {
        switch (b.shape) {
            case binding::form::ignore:
                done();
                return;
            case binding::form::variable:
                bind_variable(b, c, done);
                return;
            case binding::form::tuple:
                bind_tuple(b, c, 0, done);
                return;
            case binding::form::collection:
            case binding::form::relation:
                bind_each(b, c, done);
                return;
        }
    }

    void bind_variable(const binding& b, const cell& c, const then& done) {
        std::optional<cell>& at = row[static_cast<std::size_t>(into.column_of(b.var))];
        if (at) {
            if (equal(*at, c)) done();
            return;
        }
        at = c;
        done();
        at.reset();
    }

    void bind_tuple(const binding& b, const cell& c, std::size_t from, const then& done) {
        if (from == 0 && !(c.is(kind::vector) || c.is(kind::list))) {
            fail_clause("db.error/type-mismatch",
                        where,
                        "expected a vector to bind to a tuple, found " + describe(c));
        }
        if (from == 0 && c.size < b.parts.size()) {
            fail_clause("db.error/type-mismatch",
                        where,
                        "expected " + std::to_string(b.parts.size()) +
                            " elements to bind to a tuple, found " + describe(c));
        }
        if (from == b.parts.size()) {
            done();
        } else {
            bind(b.parts[from], c.items[from], [&, from] { bind_tuple(b, c, from + 1, done); });
        }
    }

    void bind_each(const binding& b, const cell& c, const then& done) {
        if (c.is(kind::map)) {
            for (std::uint32_t i = 0; i + 1 < c.size; i += 2) {
                stop();
                bind(b.parts.front(), cell::of_items(kind::vector, c.span().subspan(i, 2)), done);
            }
            return;
        }
        if (!c.is_sequence()) {
            const char* what =
                b.shape == binding::form::relation ? "a collection of tuples" : "a collection";
            fail_clause("db.error/type-mismatch",
                        where,
                        std::string("expected ") + what + " to bind, found " + describe(c));
        }
        for (const cell& item : c.span()) {
            stop();
            bind(b.parts.front(), item, done);
        }
    }
};

}  // namespace

relation bind_cells(const binding& b, const cell& c, const place& where, stop_check& stop) {
    relation r;
    collect_variables(b, r.vars);
    r.columns.resize(r.vars.size());
    binder all{r, where, stop, std::vector<std::optional<cell>>(r.vars.size())};
    all.bind(b, c, [&] {
        for (std::size_t i = 0; i < r.vars.size(); ++i) r.columns[i].push_back(*all.row[i]);
        ++r.rows;
    });
    return r;
}

void environment::add(relation r, stop_check& stop) {
    for (auto at = relations_.begin(); at != relations_.end();) {
        if (shares(*at, r.vars)) {
            r = join(*at, r, stop);
            at = relations_.erase(at);
        } else {
            ++at;
        }
    }
    if (r.rows == 0) failed_ = true;
    if (!r.vars.empty()) relations_.push_back(std::move(r));
}

bound_rows environment::bound() const {
    bound_rows all;
    for (const relation& r : relations_) {
        for (const var_id v : r.vars) all.emplace(v, static_cast<double>(r.rows));
    }
    return all;
}

single_values environment::singles() const {
    single_values all;
    for (const relation& r : relations_) {
        for (std::size_t i = 0; r.rows == 1 && i < r.vars.size(); ++i) {
            all.emplace(r.vars[i], r.columns[i].front());
        }
    }
    return all;
}

void environment::keep_only(const var_set& live, bool distinct, stop_check& stop) {
    for (auto at = relations_.begin(); at != relations_.end();) {
        relation& r = *at;
        bool dropped = false;
        for (std::size_t i = r.vars.size(); i-- > 0;) {
            if (live.contains(r.vars[i])) continue;
            r.vars.erase(r.vars.begin() + static_cast<std::ptrdiff_t>(i));
            r.columns.erase(r.columns.begin() + static_cast<std::ptrdiff_t>(i));
            dropped = true;
        }
        if (r.vars.empty()) {
            at = relations_.erase(at);
            continue;
        }
        if (dropped) r.distinct = false;
        if (distinct) make_distinct(r, stop);
        ++at;
    }
}

std::optional<relation> environment::take_smallest(const std::vector<var_id>& vars) {
    auto best = relations_.end();
    for (auto at = relations_.begin(); at != relations_.end(); ++at) {
        if (shares(*at, vars) && (best == relations_.end() || at->rows < best->rows)) best = at;
    }
    if (best == relations_.end()) return std::nullopt;
    relation taken = std::move(*best);
    relations_.erase(best);
    return taken;
}

relation environment::take_all(const std::vector<var_id>& vars, stop_check& stop) {
    relation all = truth();
    while (std::optional<relation> next = take_smallest(vars)) {
        all = all.vars.empty() ? std::move(*next) : join(all, *next, stop);
    }
    return all;
}

environment environment::seen_through(const std::vector<var_id>& vars, stop_check& stop) const {
    environment seen;
    seen.failed_ = failed_;
    for (const relation& r : relations_) {
        if (shares(r, vars)) seen.relations_.push_back(project(r, vars, stop));
    }
    return seen;
}

relation environment::result(const std::vector<var_id>& vars, stop_check& stop) {
    relation empty;
    empty.vars = vars;
    empty.columns.resize(vars.size());
    if (failed_) return empty;
    relation all = take_all(vars, stop);
    relation ordered;
    ordered.rows = all.rows;
    ordered.distinct = all.distinct && all.vars.size() == vars.size();
    for (const var_id v : vars) {
        const int first = ordered.column_of(v);
        ordered.add_column(v,
                           first < 0
                               ? std::move(all.columns[static_cast<std::size_t>(all.column_of(v))])
                               : ordered.columns[static_cast<std::size_t>(first)]);
    }
    make_distinct(ordered, stop);
    return ordered;
}

}  // namespace tributary::datom::datalog
