// Attributes with facts that become others.

#include "tributary/datom/current_keys.hpp"
#include "tributary/datom/staged.hpp"
#include "tributary/value/edn.hpp"

namespace tributary::datom {

/// What is under a prefix of any space, with what is staged.
std::map<bytes, bytes> staged::entries(const bytes& prefix) const {
    std::map<bytes, bytes> found;
    const auto cursor = store_.cursor();
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next())
        found.emplace(cursor->key(), cursor->val());
    for (const auto& [key, val] : changes_) {
        if (!key.starts_with(prefix)) continue;
        if (val)
            found[key] = *val;
        else
            found.erase(key);
    }
    return found;
}

std::vector<stored_fact> staged::facts_of_attribute(const attribute& a) const {
    std::vector<stored_fact> facts;
    for (const auto& [key, val] : entries(keys::of_attribute(keys::aevt, a.number()))) {
        const bytes_view in_key = bytes_view(key).substr(1 + 4);
        const entity_id e = get_id(in_key.data());
        bytes whole = val;
        if (bytes_view(val).substr(id_bytes) == bytes_view("\0", 1))
            whole = stored_fact_at(
                        keys::of_e_a(keys::eavt, e, a.number()).append(in_key.substr(id_bytes)), e)
                        .value();
        const std::int64_t t = get_id(whole.data());
        facts.push_back({e,
                         a.id,
                         whole.substr(id_bytes),
                         t & ~keys::restored_flag,
                         (t & keys::restored_flag) != 0});
    }
    return facts;
}

std::string staged::misfit(const attribute_change& c) const {
    const bool one = c.before.many && !c.after.many;
    const bool unique = !c.before.is_unique() && c.after.is_unique();
    if (!one && !unique) return {};
    const auto shown = [](const stored_fact& f) {
        std::string text = edn::print(view_of_raw(f.raw).to_value());
        return text.size() > 80 ? text.substr(0, 77) + "..." : text;
    };
    const stored_fact* last = nullptr;
    std::unordered_map<bytes, entity_id> holders;
    const std::vector<stored_fact> facts = facts_of_attribute(c.before);
    for (const stored_fact& f : facts) {
        if (one && last && last->e == f.e)
            return "entity " + std::to_string(f.e) + " has more than one value, " + shown(*last) +
                   " and " + shown(f);
        last = &f;
        if (!unique) continue;
        const auto [it, is_first] = holders.try_emplace(key_of_value(f.raw), f.e);
        if (!is_first)
            return "the entities " + std::to_string(it->second) + " and " + std::to_string(f.e) +
                   " share the value " + shown(f);
    }
    return {};
}

void staged::alter(const attribute_change& c) {
    const std::vector<stored_fact> facts = facts_of_attribute(c.before);
    for (const stored_fact& f : facts) {
        current_keys old(c.before, f.e, f.raw);
        if (c.before.many != c.after.many) {
            erase(std::move(old.e));
            erase(std::move(old.a));
        }
        if (old.v.empty()) continue;
        if (c.before.is_unique()) hold(old.v, std::nullopt);
        erase(std::move(old.v));
    }
    for (const stored_fact& f : facts)
        put_current(c.after, f.e, f.raw, f.asserted_t | (f.restored ? keys::restored_flag : 0));
    if (c.before.is_kept_by_value() == c.after.is_kept_by_value()) return;
    // A past fact is in AVET if its attribute is.
    const std::uint32_t number = c.before.number();
    for (const auto& [key, val] : entries(keys::of_attribute(keys::past(keys::aevt), number))) {
        const bytes_view in_key = bytes_view(key).substr(1 + 4);
        const bytes_view t = in_key.substr(in_key.size() - id_bytes);
        bytes in_v = keys::of_attribute(keys::past(keys::avet), number);
        in_v.append(in_key.substr(id_bytes, in_key.size() - 2 * id_bytes))
            .append(in_key.substr(0, id_bytes))
            .append(t);
        if (c.after.is_kept_by_value())
            put(std::move(in_v),
                bytes(val, 0, keys::past_head_bytes + keys::past_times_bytes(val)));
        else
            erase(std::move(in_v));
    }
}

}  // namespace tributary::datom
