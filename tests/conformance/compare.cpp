#include "conformance/compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace tributary::conformance {

const std::vector<value>* elements(const value& v) {
    if (const vector* items = v.get_if<vector>()) return items;
    if (const list* l = v.get_if<list>()) return &l->items;
    if (const set* s = v.get_if<set>()) return &s->items;
    return nullptr;
}

namespace {

std::vector<value> normal_all(const std::vector<value>& items, bool one_kind_of_number) {
    std::vector<value> all;
    all.reserve(items.size());
    for (const value& item : items) all.push_back(normal(item, one_kind_of_number));
    return all;
}

double rounded(double d) {
    char text[32];
    std::snprintf(text, sizeof text, "%.12g", d);
    return std::strtod(text, nullptr);
}

std::vector<value> distinct(std::vector<value> items) {
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    return items;
}

std::vector<const value*> pointers(const std::vector<value>& items) {
    std::vector<const value*> all;
    for (const value& item : items) all.push_back(&item);
    return all;
}

std::vector<value> entries_of(const map& m) {
    std::vector<value> all;
    for (const auto& [k, v] : m.entries) all.push_back(vector{k, v});
    return all;
}

}  // namespace

value normal(const value& v, bool one_kind_of_number) {
    if (const double* d = v.get_if<double>()) {
        const double r = rounded(*d);
        const bool whole = one_kind_of_number && r == std::floor(r) && std::abs(r) < 1e15;
        return whole ? value(static_cast<std::int64_t>(r)) : value(r);
    }
    if (const set* s = v.get_if<set>())
        return make_set(distinct(normal_all(s->items, one_kind_of_number)));
    if (const map* m = v.get_if<map>()) {
        std::vector<std::pair<value, value>> entries;
        for (const auto& [k, held] : m->entries)
            entries.emplace_back(normal(k, one_kind_of_number), normal(held, one_kind_of_number));
        return make_map(std::move(entries));
    }
    if (const auto* items = elements(v)) return vector(normal_all(*items, one_kind_of_number));
    return v;
}

bool matcher::has_ids(const value& v) const {
    if (const auto* i = v.get_if<std::int64_t>()) return is_id_(*i);
    if (const map* m = v.get_if<map>())
        return std::any_of(m->entries.begin(), m->entries.end(), [&](const auto& e) {
            return has_ids(e.first) || has_ids(e.second);
        });
    const auto* items = elements(v);
    return items != nullptr && std::any_of(items->begin(), items->end(), [&](const value& item) {
               return has_ids(item);
           });
}

bool matcher::same(const value& ours, const value& theirs) {
    return unify(ours, theirs, [] { return true; });
}

bool matcher::same_bag(std::vector<value> ours, std::vector<value> theirs) {
    return unify_any_order(pointers(ours), pointers(theirs), [] { return true; });
}

bool matcher::unify(const value& ours, const value& theirs, const next& then) {
    if (steps_left_ == 0) return false;
    --steps_left_;
    if (!has_ids(ours)) return ours == theirs && then();
    if (const auto* id = ours.get_if<std::int64_t>()) return unify_id(*id, theirs, then);
    if (ours.type() != theirs.type()) return false;
    if (const vector* items = ours.get_if<vector>())
        return unify_sequence(*items, theirs.as<vector>(), 0, then);
    if (const set* s = ours.get_if<set>())
        return unify_any_order(pointers(s->items), pointers(theirs.as<set>().items), then);
    const std::vector<value> mine = entries_of(ours.as<map>());
    const std::vector<value> other = entries_of(theirs.as<map>());
    return unify_any_order(pointers(mine), pointers(other), then);
}

bool matcher::unify_id(std::int64_t ours, const value& theirs, const next& then) {
    if (const auto known = name_of_.find(ours); known != name_of_.end())
        return known->second == theirs && then();
    if (named_.contains(theirs) || !may_be_called_(ours, theirs)) return false;
    name_of_.emplace(ours, theirs);
    named_.emplace(theirs, ours);
    const bool fits = then();
    name_of_.erase(ours);
    named_.erase(theirs);
    return fits;
}

bool matcher::unify_sequence(const vector& ours,
                             const vector& theirs,
                             std::size_t from,
                             const next& then) {
    if (ours.size() != theirs.size()) return false;
    if (from == ours.size()) return then();
    return unify(
        ours[from], theirs[from], [&] { return unify_sequence(ours, theirs, from + 1, then); });
}

/// Takes the element with the fewest partners first.
bool matcher::unify_any_order(const items& ours, const items& theirs, const next& then) {
    if (ours.size() != theirs.size()) return false;
    if (ours.empty()) return then();
    std::size_t chosen = 0;
    std::vector<std::size_t> partners;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        std::vector<std::size_t> fitting;
        for (std::size_t j = 0; j < theirs.size(); ++j) {
            if (unify(*ours[i], *theirs[j], [] { return true; })) fitting.push_back(j);
            if (i > 0 && fitting.size() >= partners.size()) break;
        }
        if (fitting.empty()) return false;
        if (i == 0 || fitting.size() < partners.size()) {
            chosen = i;
            partners = std::move(fitting);
        }
        if (partners.size() == 1) break;
    }
    items rest_ours = ours;
    rest_ours.erase(rest_ours.begin() + static_cast<std::ptrdiff_t>(chosen));
    for (const std::size_t j : partners) {
        items rest_theirs = theirs;
        rest_theirs.erase(rest_theirs.begin() + static_cast<std::ptrdiff_t>(j));
        if (unify(*ours[chosen], *theirs[j], [&] {
                return unify_any_order(rest_ours, rest_theirs, then);
            }))
            return true;
    }
    return false;
}

}  // namespace tributary::conformance
