// Checks of the user's own: of values by :db.attr/preds, of entities by :db/ensure.

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/transaction.hpp"
#include "tributary/value/edn.hpp"

namespace tributary::datom {

namespace {

/// Most databases have no predicates: then nothing needs to be looked up.
bool has_facts_of(const staged& base, system_entity a) {
    const auto& counts = base.state().counts;
    const auto number = static_cast<std::size_t>(a);
    return number < counts.size() && counts[number] > 0;
}

}  // namespace

/// A predicate is a function of the connection's; anything but true is a refusal.
void transaction::call_predicate(std::string_view name,
                                 const db& d,
                                 const value& argument,
                                 std::uint32_t form) const {
    const auto refuse_call = [&](errc code, const char* as, const std::string& reason) {
        refuse(code, as, form, "the predicate " + std::string(name) + " " + reason);
    };
    const tx_function f = functions_.registry->find(keyword{std::string(name)});
    if (!f)
        refuse_call(errc::bad_input,
                    tx_error::fn_failed,
                    "is not known; connection::define gives the name a function");
    value verdict;
    try {
        verdict = f(d, std::span(&argument, 1));
    } catch (const error& e) {
        refuse_call(e.code(), tx_error::fn_failed, std::string("failed: ") + e.what());
    } catch (const std::exception& e) {
        refuse_call(errc::bad_input, tx_error::fn_failed, std::string("failed: ") + e.what());
    }
    if (verdict == value(true)) return;
    refuse_call(errc::conflict,
                tx_error::ensure_failed,
                "does not hold of " + edn::print(argument) + ", it says " + edn::print(verdict));
}

/// Of what is asserted; predicates that this transaction declares count from the next one on.
void transaction::check_values(const std::vector<effect>& all) {
    if (!functions_.checks_specs || !has_facts_of(base_, system_entity::attribute_preds)) return;
    const attribute& preds = *attributes_->find(id_of(system_entity::attribute_preds));
    std::unordered_map<entity_id, std::vector<stored_fact>> known;
    for (const effect& f : all) {
        if (!f.added) continue;
        const auto [it, is_new] = known.try_emplace(f.fact.a);
        if (is_new) it->second = base_.facts_of(f.fact.a, &preds);
        for (const stored_fact& p : it->second)
            call_predicate(
                view_of_raw(p.raw).text, before(), view_of_raw(f.fact.raw).to_value(), f.form);
    }
}

void transaction::check_ensured(const std::vector<effect>& all) {
    if (!functions_.checks_specs) return;
    std::optional<db> after;
    for (const ensured& wanted : ensured_) {
        check_attrs(wanted, all);
        check_preds(wanted, after);
    }
}

void transaction::check_attrs(const ensured& wanted, const std::vector<effect>& all) const {
    const entity_id e = find(wanted.e);
    std::unordered_map<entity_id, std::int64_t> counts;
    for (const stored_fact& f : base_.facts_of(e, nullptr)) ++counts[f.a];
    for (const effect& f : all)
        if (f.fact.e == e) counts[f.fact.a] += f.added ? 1 : -1;
    const attribute& attrs = *attributes_->find(id_of(system_entity::entity_attrs));
    for (const stored_fact& f : base_.facts_of(wanted.spec, &attrs)) {
        const std::string_view name = view_of_raw(f.raw).text;
        const attribute* a = attributes_->find(name);
        if (a && counts[a->id] > 0) continue;
        refuse(errc::conflict,
               tx_error::ensure_failed,
               wanted.form,
               "entity " + std::to_string(e) + " has no :" + std::string(name) +
                   ", which :db.entity/attrs of its :db/ensure asks for");
    }
}

/// They are given the database after the transaction, which is made in memory for them.
void transaction::check_preds(const ensured& wanted, std::optional<db>& after) {
    if (!has_facts_of(base_, system_entity::entity_preds)) return;
    const attribute& preds = *attributes_->find(id_of(system_entity::entity_preds));
    for (const stored_fact& p : base_.facts_of(wanted.spec, &preds)) {
        if (!after) {
            const tx_functions unchecked{functions_.registry, functions_.before, false};
            after = speculate(before(), value(vector(*forms_)), now_ms_, unchecked).db_after;
        }
        call_predicate(view_of_raw(p.raw).text, *after, value(find(wanted.e)), wanted.form);
    }
}

}  // namespace tributary::datom
