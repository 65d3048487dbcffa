#include "tributary/datom/query_inputs.hpp"

namespace tributary::datom::datalog {

namespace {

bool uses_source(const clauses& all, std::string_view name);

bool uses_source(const std::vector<term>& terms, std::string_view name) {
    return std::any_of(terms.begin(), terms.end(), [&](const term& t) {
        const source_name* s = std::get_if<source_name>(&t);
        return s != nullptr && s->text == name;
    });
}

bool uses_source(const clause& c, std::string_view name) {
    if (const pattern* p = std::get_if<pattern>(&c.what)) return p->source.text == name;
    if (const call* f = std::get_if<call>(&c.what)) return uses_source(f->args, name);
    if (const rule_call* r = std::get_if<rule_call>(&c.what)) return r->source.text == name;
    if (const negation* n = std::get_if<negation>(&c.what)) return uses_source(n->body, name);
    const auto& branches = std::get<disjunction>(c.what).branches;
    return std::any_of(
        branches.begin(), branches.end(), [&](const clauses& b) { return uses_source(b, name); });
}

bool uses_source(const clauses& all, std::string_view name) {
    return std::any_of(
        all.begin(), all.end(), [&](const clause& c) { return uses_source(c, name); });
}

bool uses_source(const parsed_query& q, std::string_view name) {
    return uses_source(q.where, name) ||
           std::any_of(q.find.elements.begin(), q.find.elements.end(), [&](const find_element& e) {
               return e.pull && e.pull->source.text == name;
           });
}

[[noreturn]] void fail_input(const input& in, const std::string& problem) {
    fail_clause("db.error/inputs", in.where(), problem);
}

bool is_reference(const cell& c) { return c.is(kind::keyword) || c.is(kind::vector); }

}  // namespace

std::vector<input> expected_inputs(const parsed_query& q) {
    std::vector<input> expected = q.inputs;
    if (!q.inputs_given && uses_source(q, "$")) expected.push_back({source_name{"$"}, "$"});
    return expected;
}

query_inputs::query_inputs(const parsed_query& q,
                           const std::vector<query_input>& given,
                           function_table& functions,
                           bool lenient,
                           var_names& names,
                           arena& memory,
                           stop_check& stop)
    : functions_(functions), lenient_(lenient), memory_(memory), stop_(stop) {
    const std::vector<input> expected = expected_inputs(q);
    if (expected.size() != given.size()) {
        std::string list;
        for (const input& in : expected) list += (list.empty() ? "" : " ") + in.text;
        throw clause_error(errc::bad_input,
                           "db.error/inputs",
                           ":in",
                           "query: it takes " + counted(expected.size(), "input") + " [" + list +
                               "], but " + std::to_string(given.size()) +
                               (given.size() == 1 ? " was" : " were") +
                               " given; :in names what is given, in order");
    }
    for (std::size_t i = 0; i < given.size(); ++i) take(expected[i], given[i], names);
    for (auto& [name, r] : rules_) {
        for (rule_branch& branch : r.branches) {
            functions_.bind(branch.body);
            name_sources(branch.body, names);
        }
    }
}

void query_inputs::take(const input& in, const query_input& given, var_names& names) {
    if (const source_name* name = std::get_if<source_name>(&in.what)) {
        take(in, *name, given, names);
    } else if (const input_symbol* s = std::get_if<input_symbol>(&in.what)) {
        take(in, *s, given);
    } else {
        take(in, std::get<binding>(in.what), given, names);
    }
}

void query_inputs::take(const input& in,
                        const source_name& name,
                        const query_input& given,
                        var_names& names) {
    const value* plain = std::get_if<value>(&given);
    if (name.text != "%") return add_source(in, name.text, given);
    if (plain == nullptr) fail_input(in, "expected rules");
    rules_ = parse_rules(*plain, names, memory_);
}

void query_inputs::add_source(const input& in, const std::string& name, const query_input& given) {
    if (std::holds_alternative<query_function>(given))
        fail_input(in, "expected a database or a collection of tuples, but a function was given");
    const value* plain = std::get_if<value>(&given);
    try {
        owned_.push_back(plain == nullptr ? make_source(std::get<db>(given), memory_, lenient_)
                                          : make_source(*plain, memory_));
    } catch (const error& e) {
        fail_clause(in.where(), e);
    }
    sources_[name] = owned_.back().get();
}

void query_inputs::take(const input& in, const input_symbol& symbol, const query_input& given) {
    if (const query_function* f = std::get_if<query_function>(&given)) {
        functions_.add(symbol.text, *f);
    } else if (const value* plain = std::get_if<value>(&given)) {
        symbols_[symbol.text] = *plain;
    } else {
        fail_input(in,
                   "a plain symbol stands for a pull pattern or a function; a source is written $ "
                   "or $name");
    }
}

void query_inputs::take(const input& in,
                        const binding& b,
                        const query_input& given,
                        var_names& names) {
    if (const value* plain = std::get_if<value>(&given)) {
        values_.push_back(bind_cells(b, to_cell(*plain, memory_), in.where(), stop_));
        return;
    }
    if (b.shape != binding::form::variable) {
        fail_input(in,
                   "expected a value; a database is written $ or $name, a function ?f or a plain "
                   "symbol");
    }
    // What is no value is in rows as its name.
    if (const query_function* f = std::get_if<query_function>(&given)) {
        functions_.add(names[b.var], *f);
    } else {
        add_source(in, names[b.var], given);
    }
    special_.insert(b.var);
    const value name = symbol{names[b.var]};
    values_.push_back(bind_cells(b, to_cell(name, memory_), in.where(), stop_));
}

void query_inputs::name_sources(clauses& body, const var_names& names) const {
    for (clause& c : body) {
        if (call* f = std::get_if<call>(&c.what)) {
            for (term& t : f->args) {
                const var_id* v = std::get_if<var_id>(&t);
                if (v != nullptr && sources_.contains(names[*v])) t = source_name{names[*v]};
            }
        }
        if (negation* n = std::get_if<negation>(&c.what)) name_sources(n->body, names);
        if (disjunction* d = std::get_if<disjunction>(&c.what)) {
            for (clauses& branch : d->branches) name_sources(branch, names);
        }
    }
}

value query_inputs::pull_pattern(const pull_form& form, const std::string& text) const {
    if (const value* written = std::get_if<value>(&form.pattern)) return *written;
    if (const input_symbol* s = std::get_if<input_symbol>(&form.pattern)) {
        const auto found = symbols_.find(s->text);
        if (found != symbols_.end()) return found->second;
        fail_clause("db.error/inputs",
                    text,
                    "the pattern " + s->text + " is not among the inputs; name it in :in");
    }
    const var_id v = std::get<var_id>(form.pattern);
    for (const relation& r : values_) {
        if (r.has(v) && r.rows == 1) return to_value(r.of(v).front());
    }
    fail_clause(
        "db.error/inputs", text, "the variable of a pattern must be an input with one value");
}

std::vector<var_id> query_inputs::variables() const {
    std::vector<var_id> all;
    for (const relation& r : values_) all.insert(all.end(), r.vars.begin(), r.vars.end());
    return all;
}

environment query_inputs::start() {
    environment env;
    for (relation& r : values_) env.add(std::move(r), stop_);
    values_.clear();
    return env;
}

void query_inputs::fit_to_places(clauses& body, var_names& names) {
    for (clause& c : body) rewrite(c, names);
}

bool query_inputs::any_is(var_id v, const std::function<bool(const cell&)>& test) const {
    return std::any_of(values_.begin(), values_.end(), [&](const relation& r) {
        return r.has(v) && std::any_of(r.of(v).begin(), r.of(v).end(), test);
    });
}

var_id query_inputs::converted(
    var_id v, const source& on, value_type to, const conversion& convert, var_names& names) {
    const auto [at, fresh] = converted_.try_emplace({v, &on, to}, v);
    if (!fresh) return at->second;
    at->second = names.fresh(names[v]);
    stands_for_.emplace_back(v, at->second);
    for (relation& r : values_) {
        if (!r.has(v)) continue;
        column made;
        for (const cell& c : r.of(v)) {
            stop_();
            made.push_back(convert(c));
        }
        r.add_column(at->second, std::move(made));
    }
    return at->second;
}

var_id query_inputs::resolved(var_id v, const source& on, var_names& names) {
    if (!any_is(v, is_reference)) return v;
    // What names no entity here matches nothing: ids are integers.
    const conversion entity = [&](const cell& c) {
        return is_reference(c) ? on.entity(c).value_or(cell()) : c;
    };
    return converted(v, on, value_type::ref, entity, names);
}

var_id query_inputs::fitted(var_id v, const source& on, const cell& attribute, var_names& names) {
    const value_type type = *on.type_of(attribute);
    const auto differs = [&](const cell& c) {
        return c.type != kind_of(type) || type == value_type::floating;
    };
    if (!any_is(v, differs)) return v;
    // What the attribute cannot have stays as it is and matches nothing.
    const conversion stored = [&](const cell& c) {
        return differs(c) ? on.stored(attribute, c).value_or(c) : c;
    };
    return converted(v, on, type, stored, names);
}

void query_inputs::rewrite(clause& c, var_names& names) {
    if (pattern* p = std::get_if<pattern>(&c.what)) rewrite(*p, c.text, names);
    if (rule_call* r = std::get_if<rule_call>(&c.what)) rewrite(*r, c.text, names);
    if (negation* n = std::get_if<negation>(&c.what)) {
        for (clause& inner : n->body) rewrite(inner, names);
        for (const auto& [v, made] : stands_for_) {
            if (n->explicit_join && std::find(n->join.begin(), n->join.end(), v) != n->join.end())
                n->join.push_back(made);
        }
    }
    if (disjunction* d = std::get_if<disjunction>(&c.what)) {
        for (clauses& branch : d->branches) {
            for (clause& inner : branch) rewrite(inner, names);
        }
        for (const auto& [v, made] : stands_for_) {
            if (std::find(d->join.begin(), d->join.end(), v) == d->join.end()) continue;
            d->join.push_back(made);
            d->required.push_back(made);
        }
    }
}

void query_inputs::rewrite(pattern& p, const std::string& text, var_names& names) {
    const auto found = sources_.find(p.source.text);
    if (found == sources_.end() || !found->second->is_database()) return;
    const source& on = *found->second;
    const cell* given = p.terms.size() > at_a ? std::get_if<cell>(&p.terms[at_a]) : nullptr;
    place at_fault = given != nullptr ? place(text).at(shown(to_value(*given))) : place(text);
    try {
        const cell attribute = given != nullptr ? on.literal(at_a, *given, nullptr) : cell();
        const std::optional<value_type> type = on.type_of(attribute);
        for (const unsigned place_of : {at_e, at_a, at_v}) {
            var_id* v =
                place_of < p.terms.size() ? std::get_if<var_id>(&p.terms[place_of]) : nullptr;
            if (v == nullptr || (place_of == at_v && !type)) continue;
            at_fault = place(text).at(names[*v]);
            *v = place_of == at_v && type != value_type::ref ? fitted(*v, on, attribute, names)
                                                             : resolved(*v, on, names);
        }
    } catch (const error& e) {
        fail_clause(at_fault, e);
    }
}

void query_inputs::rewrite(rule_call& r, const std::string& text, var_names& names) {
    const auto found = sources_.find(r.source.text);
    if (found == sources_.end() || !found->second->is_database()) return;
    const source& on = *found->second;
    const bool names_something = std::any_of(r.args.begin(), r.args.end(), [&](const term& t) {
        const var_id* v = std::get_if<var_id>(&t);
        const cell* c = std::get_if<cell>(&t);
        return c != nullptr ? is_reference(*c) : v != nullptr && any_is(*v, is_reference);
    });
    if (!names_something) return;
    const auto [params, fresh] = entity_params_.try_emplace(&on);
    if (fresh) params->second = entity_params_of(rules_, on);
    const auto callee = params->second.find(r.name);
    if (callee == params->second.end() || callee->second.size() != r.args.size()) return;
    for (std::size_t i = 0; i < r.args.size(); ++i) {
        if (!callee->second[i]) continue;
        cell* given = std::get_if<cell>(&r.args[i]);
        var_id* v = std::get_if<var_id>(&r.args[i]);
        place at_fault = place(text);
        try {
            if (given != nullptr && is_reference(*given)) {
                at_fault = at_fault.at(shown(to_value(*given)));
                *given = on.literal(at_e, *given, nullptr);
            } else if (v != nullptr) {
                at_fault = at_fault.at(names[*v]);
                *v = resolved(*v, on, names);
            }
        } catch (const error& e) {
            fail_clause(at_fault, e);
        }
    }
}

}  // namespace tributary::datom::datalog
