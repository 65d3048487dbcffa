// Calls of registered functions, expanded until only forms of the database's own remain.

#include "tributary/datom/tx_functions.hpp"

#include "tributary/datom/transaction.hpp"

#include <algorithm>

namespace tributary::datom {

namespace {

constexpr int call_depth_max = 64;
constexpr std::size_t expanded_forms_max = 1u << 20;

const std::vector<value>* items_of_form(const value& form) {
    if (const auto* items = form.get_if<vector>()) return items;
    if (const auto* l = form.get_if<list>()) return &l->items;
    return nullptr;
}

}  // namespace

void tx_registry::define(const keyword& name, tx_function f) {
    const std::lock_guard lock(mutex_);
    functions_[name] = std::move(f);
}

tx_function tx_registry::find(const keyword& name) const {
    const std::lock_guard lock(mutex_);
    const auto it = functions_.find(name);
    return it == functions_.end() ? tx_function() : it->second;
}

const keyword* called_function(const value& form) {
    const auto* items = items_of_form(form);
    const auto* name = items && !items->empty() ? items->front().get_if<keyword>() : nullptr;
    if (!name || name->text.starts_with("db/") || name->text.starts_with("db.fn/")) return nullptr;
    return name;
}

bool calls_functions(const value& tx_data) {
    const auto* forms = items_of_form(tx_data);
    return forms && std::any_of(forms->begin(), forms->end(), [](const value& f) {
               return called_function(f) != nullptr;
           });
}

void transaction::expand_calls(const std::vector<value>& forms) {
    for (form_ = 0; form_ < forms.size(); ++form_) expand_call(forms[form_], form_, 0);
    written_ = forms_;
    forms_ = &expanded_;
}

const db& transaction::before() {
    if (!before_) before_ = functions_.before();
    return *before_;
}

void transaction::expand_call(const value& form, std::uint32_t origin, int depth) {
    const keyword* name = called_function(form);
    const tx_function f = name ? functions_.registry->find(*name) : tx_function();
    const auto refuse_call = [&](errc code, const std::string& reason) {
        refuse(code, tx_error::fn_failed, origin, ":" + name->text + ": " + reason);
    };
    if (!f) {
        if (expanded_.size() >= expanded_forms_max)
            refuse(errc::limit,
                   tx_error::fn_failed,
                   origin,
                   "functions made more than a million forms of it");
        expanded_.push_back(form);
        origins_.push_back(origin);
        return;
    }
    if (depth >= call_depth_max)
        refuse_call(errc::limit,
                    "functions call one another more than " + std::to_string(call_depth_max) +
                        " levels deep; does one call itself without an end?");
    const db& now = before();
    value result;
    try {
        result = f(now, std::span(*items_of_form(form)).subspan(1));
    } catch (const error& e) {
        refuse_call(e.code(), e.what());
    } catch (const std::exception& e) {
        refuse_call(errc::bad_input, e.what());
    }
    if (result.is_nil()) return;
    const auto* forms = items_of_form(result);
    if (!forms)
        refuse_call(errc::bad_input,
                    std::string("a function returns a vector of forms, this one returned a ") +
                        tributary::name_of(result.type()));
    for (const value& made : *forms) expand_call(made, origin, depth + 1);
}

}  // namespace tributary::datom
