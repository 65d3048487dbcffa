/// One transaction: from forms to datoms on top of what is staged.
///
/// A transaction is a set: its forms say what shall hold after it, in no order, and a contradiction
/// is refused. Everything is worked out and checked before the first change is staged, so a
/// transaction that throws has changed nothing.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/datom/staged.hpp"
#include "tributary/datom/tx_functions.hpp"
#include "tributary/datom/types.hpp"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tributary::datom {

/// The names of the errors of transactions.
namespace tx_error {
inline constexpr const char* syntax = "db.error/syntax";
inline constexpr const char* not_an_entity = "db.error/not-an-entity";
inline constexpr const char* tempid_not_an_entity = "db.error/tempid-not-an-entity";
inline constexpr const char* wrong_type = "db.error/wrong-type";
inline constexpr const char* datoms_conflict = "db.error/datoms-conflict";
inline constexpr const char* unique_conflict = "db.error/unique-conflict";
inline constexpr const char* conflicting_upsert = "db.error/conflicting-upsert";
inline constexpr const char* cas_failed = "db.error/cas-failed";
inline constexpr const char* tx_instant = "db.error/invalid-tx-instant";
inline constexpr const char* invalid_schema = "db.error/invalid-schema";
inline constexpr const char* invalid_alter = "db.error/invalid-alter";
inline constexpr const char* fn_failed = "db.error/fn-failed";
inline constexpr const char* ensure_failed = "db.error/ensure-failed";
inline constexpr const char* nesting_limit = "db.error/nesting-limit";
}  // namespace tx_error

class transaction {
public:
    transaction(staged& base,
                std::int64_t now_ms,
                tx_functions functions,
                forms_are what = forms_are::asked);
    /// Errors: bad_input, conflict, limit, misuse, each with one of the names above; the message
    /// names the form.
    tx_report run(const value& tx_data);

private:
    /// An entity id, or a negative number for a tempid that may not be resolved yet.
    using slot = std::int64_t;

    /// An entity that another form of this transaction may give its identity.
    struct pending_lookup {
        const attribute* a = nullptr;
        bytes raw;
        std::uint32_t form = 0;
        bool is_found = false;
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
        bool was_tempid = false;  ///< kept for composite tuples only
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

    /// An entity that shall have nothing of an attribute, whatever else is said.
    struct emptied {
        entity_id e = 0;
        const attribute* a = nullptr;
    };

    /// An entity that shall have what a spec asks for.
    struct ensured {
        slot e = 0;
        entity_id spec = 0;
        std::uint32_t form = 0;
    };

    // Calls (tx_functions.cpp)
    void expand_calls(const std::vector<value>& forms);
    void expand_call(const value& form, std::uint32_t origin, int depth);
    const db& before();

    // Forms (tx_forms.cpp)
    void expand_all(const std::vector<value>& forms);
    void expand(const value& form);
    void expand_form(const value& form);
    void expand_list(const std::vector<value>& items);
    void expand_retract(const std::vector<value>& items);
    void expand_cas(const std::vector<value>& items);
    slot expand_map(const map& m);
    void expand_reverse(slot e, const attribute& a, const value& v);
    void add_values(slot e, const attribute& a, const value& v);
    void add_value(slot e, const attribute& a, const value& v);
    void add_claim(slot e, const attribute& a, bytes raw, std::optional<slot> target, bool added);
    void retract(const stored_fact& f);
    void retract_entity(entity_id first, std::unordered_set<entity_id>& seen);
    std::optional<entity_id> entity_to_retract(const value& v) const;
    bool is_lookup_ref(const value& v) const;
    void ensure(slot e, const value& spec);
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

    // Tuples (tx_tuples.cpp)
    bytes raw_value(const attribute& a, const value& v) const;
    bool bind_by_parts();
    /// A composite tuple of an entity, made anew by a transaction.
    struct touched_tuple {
        std::set<entity_id> parts;                           ///< that change, or are said again
        std::map<std::uint32_t, std::set<entity_id>> forms;  ///< which of them each form says
        bytes raw;  ///< the tuple after the transaction; empty: none
    };
    /// By entity and attribute.
    using touched_tuples = std::map<std::pair<entity_id, entity_id>, touched_tuple>;
    touched_tuples find_touched(const std::vector<effect>& all) const;
    bytes tuple_after(entity_id e,
                      const attribute& tuple,
                      const std::map<std::pair<entity_id, entity_id>, bytes>& changed);
    bool is_addition(std::uint32_t form) const;
    std::uint32_t form_of(const touched_tuple& t) const;
    void check_one_value(entity_id e, const attribute& tuple, const touched_tuple& t) const;
    void add_composites(std::vector<effect>& all);
    void check_said_composites(const touched_tuples& touched) const;

    // Specs (tx_specs.cpp)
    void check_values(const std::vector<effect>& all);
    void check_ensured(const std::vector<effect>& all);
    void check_attrs(const ensured& wanted, const std::vector<effect>& all) const;
    void check_preds(const ensured& wanted, std::optional<db>& after);
    void call_predicate(std::string_view name,
                        const db& d,
                        const value& argument,
                        std::uint32_t form) const;

    // Resolution (transaction.cpp)
    slot find(slot s) const;
    bool bind(slot s, slot to);
    void declare_attributes();
    void resolve_upserts();
    void check_upserts() const;
    bool resolve_lookups();
    void allocate();
    void check_emptied() const;
    bool names_entity(std::uint32_t form) const;
    std::vector<effect> effects();
    void add_effects(std::vector<claim*>& group, std::vector<effect>& out);
    void check_unique(const std::vector<effect>& all) const;
    std::int64_t settle_instant();

    // Schema (tx_schema.cpp)
    std::shared_ptr<const schema> changed_schema(const std::vector<effect>& all);
    void check_attribute(const attribute* before,
                         const std::optional<attribute>& after,
                         std::uint32_t form) const;
    void check_composites(const schema& after, std::uint32_t form) const;
    void alter(const attribute& before,
               const attribute& after,
               const std::vector<effect>& all,
               std::uint32_t form);

    // The end (transaction.cpp)
    tx_report apply(std::vector<effect> all, std::int64_t instant_ms);
    [[noreturn]] void refuse(errc code,
                             const char* name,
                             std::uint32_t form,
                             const std::string& reason) const;
    std::string refusal(std::uint32_t form, const std::string& reason) const;
    std::string text_of(std::uint32_t form) const;
    std::string name_of(const attribute& a) const { return ":" + a.ident.text; }

    staged& base_;
    std::shared_ptr<const schema> attributes_;  ///< with the attributes this transaction declares
    std::shared_ptr<const schema> base_attributes_;
    std::int64_t now_ms_;
    std::int64_t t_;
    entity_id tx_;
    database_state next_;
    const tx_functions functions_;
    const forms_are what_;
    std::optional<db> before_;  ///< once it was asked for
    const std::vector<value>* forms_ = nullptr;
    /// Where functions were called: the forms as written, what became of them, and of which.
    const std::vector<value>* written_ = nullptr;
    std::vector<value> expanded_;
    std::vector<std::uint32_t> origins_;
    std::uint32_t form_ = 0;
    int map_depth_ = 0;  ///< of the map in hand
    std::vector<claim> claims_;
    std::vector<tempid> tempids_;
    std::unordered_map<value, slot> named_;
    bool has_lookups_ = false;                ///< pending ones
    mutable std::set<std::string> tx_names_;  ///< strings under which forms name the transaction
    std::vector<emptied> emptied_;
    std::optional<error> fault_;  ///< of the forms so far
    std::vector<ensured> ensured_;
    std::vector<attribute_change> changes_;
};

}  // namespace tributary::datom
