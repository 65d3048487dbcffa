/// One transaction: from forms to datoms on top of what is staged.
///
/// A transaction is a set: its forms say what shall hold after it, in no order, and a contradiction
/// is refused. Everything is worked out and checked before the first change is staged, so a
/// transaction that throws has changed nothing.
#pragma once

#include "tributary/datom/staged.hpp"
#include "tributary/datom/types.hpp"

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tributary::datom {

class transaction {
public:
    transaction(staged& base, std::int64_t now_ms);
    /// Errors: bad_input, conflict, limit, misuse; the message names the form.
    tx_report run(const value& tx_data);

private:
    /// An entity id, or a negative number for a tempid that may not be resolved yet.
    using slot = std::int64_t;

    /// An entity that another form of this transaction may give its identity.
    struct pending_lookup {
        const attribute* a = nullptr;
        bytes raw;
        std::uint32_t form = 0;
    };

    struct tempid {
        value name;                ///< nil if anonymous
        std::optional<slot> same;  ///< what it turned out to be
        bool is_entity = false;    ///< something is said about it
        bool is_attribute = false;
        std::optional<pending_lookup> lookup;
    };

    /// "e a v shall hold" or "shall not", as a form says.
    struct claim {
        slot e = 0;
        const attribute* a = nullptr;
        bytes raw;  ///< empty while the target is open
        std::optional<slot> target;
        bool added = true;
        std::uint32_t form = 0;
        std::optional<std::optional<entity_id>> holder;  ///< of a unique value, once looked up
    };

    /// What happens to a fact.
    struct effect {
        const attribute* a = nullptr;
        stored_fact fact;
        bool added = true;
        std::uint32_t form = 0;
        std::optional<std::optional<entity_id>> holder;
    };

    // Forms (tx_forms.cpp)
    void expand_all(const std::vector<value>& forms);
    void expand(const value& form);
    void expand_list(const std::vector<value>& items);
    void expand_retract(const std::vector<value>& items);
    void expand_cas(const std::vector<value>& items);
    slot expand_map(const map& m);
    void expand_reverse(slot e, const attribute& a, const value& v);
    void add_values(slot e, const attribute& a, const value& v);
    void add_value(slot e, const attribute& a, const value& v);
    void add_claim(slot e, const attribute& a, bytes raw, std::optional<slot> target, bool added);
    void retract(const stored_fact& f);
    void retract_entity(entity_id e, std::unordered_set<entity_id>& seen);
    bool is_lookup_ref(const value& v) const;
    const std::vector<value>* items_of(const attribute& a, const value& v) const;

    // Names (tx_forms.cpp)
    const attribute& attribute_named(const value& name) const;
    const attribute* find_attribute(const value& name) const;
    slot entity_named(const value& v);
    std::optional<entity_id> existing_entity(const value& v) const;
    std::optional<entity_id> look_up(const std::vector<value>& ref) const;
    entity_id checked_id(std::int64_t id) const;
    slot tempid_named(value name);
    std::optional<slot> lookup_named(const value& ref);
    std::optional<entity_id> tx_alias(const value& v) const;

    // Resolution (transaction.cpp)
    slot find(slot s) const;
    bool bind(slot s, slot to);
    void declare_attributes();
    void resolve_upserts();
    bool resolve_lookups();
    void allocate();
    std::vector<effect> effects();
    void add_effects(std::vector<claim*>& group, std::vector<effect>& out);
    void check_unique(const std::vector<effect>& all) const;
    std::int64_t settle_instant();
    std::shared_ptr<const schema> changed_schema(const std::vector<effect>& all) const;
    void check_attribute(const attribute* before,
                         const std::optional<attribute>& after,
                         std::uint32_t form) const;
    tx_report apply(std::vector<effect> all, std::int64_t instant_ms);
    [[noreturn]] void refuse(errc code, std::uint32_t form, const std::string& reason) const;
    std::string name_of(const attribute& a) const { return ":" + a.ident.text; }

    staged& base_;
    std::shared_ptr<const schema> attributes_;  ///< with the attributes this transaction declares
    std::shared_ptr<const schema> base_attributes_;
    std::int64_t now_ms_;
    std::int64_t t_;
    entity_id tx_;
    database_state next_;
    const std::vector<value>* forms_ = nullptr;
    std::uint32_t form_ = 0;
    std::vector<claim> claims_;
    std::vector<tempid> tempids_;
    std::unordered_map<value, slot> named_;
    bool has_lookups_ = false;  ///< pending ones
};

}  // namespace tributary::datom
