#include "tributary/datom/query_ast.hpp"

#include <algorithm>

namespace tributary::datom::datalog {

namespace {

void add_once(std::vector<var_id>& into, var_id v) {
    if (std::find(into.begin(), into.end(), v) == into.end()) into.push_back(v);
}

void add_terms(std::vector<var_id>& into, const std::vector<term>& terms) {
    for (const term& t : terms) {
        if (const var_id* v = std::get_if<var_id>(&t)) add_once(into, *v);
    }
}

}  // namespace

var_id var_names::of(std::string_view name) {
    const auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    const var_id v = fresh(std::string(name));
    numbers_.emplace(name, v);
    return v;
}

var_id var_names::fresh(const std::string& like) {
    names_.push_back(like);
    return static_cast<var_id>(names_.size() - 1);
}

std::vector<var_id> united(std::vector<var_id> a, const std::vector<var_id>& b) {
    for (const var_id v : b) add_once(a, v);
    return a;
}

void collect_variables(const binding& b, std::vector<var_id>& into) {
    if (b.shape == binding::form::variable) add_once(into, b.var);
    for (const binding& part : b.parts) collect_variables(part, into);
}

std::vector<var_id> variables_of(const clause& c) {
    std::vector<var_id> all;
    if (const pattern* p = std::get_if<pattern>(&c.what)) add_terms(all, p->terms);
    if (const rule_call* r = std::get_if<rule_call>(&c.what)) add_terms(all, r->args);
    if (const call* f = std::get_if<call>(&c.what)) {
        add_terms(all, f->args);
        if (f->result) collect_variables(*f->result, all);
    }
    if (const negation* n = std::get_if<negation>(&c.what)) {
        all = n->explicit_join ? n->join : variables_of(n->body);
    }
    if (const disjunction* d = std::get_if<disjunction>(&c.what)) all = d->join;
    return all;
}

std::vector<var_id> variables_of(const clauses& all) {
    std::vector<var_id> vars;
    for (const clause& c : all) {
        for (const var_id v : variables_of(c)) add_once(vars, v);
    }
    return vars;
}

}  // namespace tributary::datom::datalog
