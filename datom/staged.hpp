/// The database as the transactions of an unfinished batch see it: what is stored, and on top of it
/// what they changed.
///
/// Changes are kept as the key-value changes that will be written. Nothing is durable before
/// `take_batch` is written. Thread rule: one thread.
#pragma once

#include "tributary/datom/encoding.hpp"
#include "tributary/datom/log.hpp"
#include "tributary/datom/schema.hpp"
#include "tributary/datom/text_index.hpp"
#include "tributary/store/kv.hpp"

#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <unordered_map>
#include <vector>

namespace tributary::datom {

/// What the record M holds.
struct database_state {
    std::int64_t basis_t = 0;
    entity_id next_user = user_partition + 1;
    entity_id next_system = 0;
    std::int64_t last_instant_ms = 0;   ///< of the newest transaction
    bool has_instant = false;           ///< false before the first
    std::vector<std::uint64_t> counts;  ///< current facts by attribute number
    /// Above every id below the system's that was ever in a fact.
    entity_id next_chosen = 1;
    bool operator==(const database_state&) const = default;
};

bytes pack(const database_state& s);
/// Errors: newer_version, io.
database_state unpack_state(bytes_view data);

/// A current fact.
struct stored_fact {
    entity_id e = 0;
    entity_id a = 0;
    bytes raw;
    std::int64_t asserted_t = 0;
    bool restored = false;  ///< by a rewind (keys::restored_flag)
};

/// How an attribute with facts becomes another.
struct attribute_change {
    attribute before, after;
};

class staged {
public:
    /// Reads the state of `store`, which must outlive this; makes the database if it is empty (one
    /// synced write). Errors: newer_version, io, no_space.
    explicit staged(kv& store);
    /// On a database whose schema is known: O(attributes).
    staged(kv& store, std::shared_ptr<const schema> attributes);

    // -- What is known
    // ------------------------------------------------------------------------------------------------------------
    const std::shared_ptr<const schema>& attributes() const { return attributes_; }
    const database_state& state() const { return state_; }
    /// True of ids that were never in a fact: nothing needs to be looked up about them.
    bool is_unused(entity_id e) const {
        return e >= user_partition ? e >= state_.next_user && e < user_ids_end
                                   : e >= state_.next_chosen && e < system_partition;
    }
    /// By attribute number, the newest transaction that touched it, or one after it: what happened
    /// before this was loaded is not told apart.
    const std::vector<std::int64_t>& changed_t() const { return changed_t_; }
    std::optional<stored_fact> fact_of(entity_id e, const attribute& a) const;  ///< cardinality one
    std::optional<stored_fact> fact(entity_id e, const attribute& a, bytes_view raw) const;
    std::vector<stored_fact> facts_of(entity_id e, const attribute* a) const;
    std::vector<stored_fact> facts_about(entity_id target) const;  ///< that refer to it
    std::optional<entity_id> holder(const attribute& a,
                                    bytes_view raw) const;  ///< of a unique value

    // -- Changing
    // -----------------------------------------------------------------------------------------------------------------
    void add_fact(const attribute& a, entity_id e, bytes_view raw, std::int64_t t);
    /// Takes a current fact away; its past twin remembers it unless the attribute is :db/noHistory.
    void remove_fact(const attribute& a, const stored_fact& f, std::int64_t t);
    /// Puts a fact back as it was before something retracted it at or after `f.asserted_t`: current
    /// again since f.asserted_t, and its past twin (if it has one) says that this happened at `t`.
    /// With `is_current` the fact has been asserted anew since, at `t`.
    void restore_fact(const attribute& a, const stored_fact& f, std::int64_t t, bool is_current);
    /// Keys the facts of an attribute, past ones too, as its new cardinality, uniqueness and index
    /// ask for, which they must fit (misfit). O(facts).
    void alter(const attribute_change& c);
    /// Why the facts of an attribute do not fit its new form; empty if they do. O(facts) where they
    /// have to be looked at.
    std::string misfit(const attribute_change& c) const;
    /// The log entry, its instant, and the state after it.
    void end_transaction(const log_entry& entry,
                         database_state next,
                         std::shared_ptr<const schema> attributes);
    void put(bytes key, bytes val);
    void erase(bytes key);

    // -- The batch
    // ----------------------------------------------------------------------------------------------------------------
    bool dirty() const { return !changes_.empty(); }
    std::size_t size_bytes() const { return size_; }
    /// All changes in key order, to be written at once: what was staged counts as stored from now
    /// on. If writing fails: reload().
    kv_batch take_batch();
    /// Back to what is stored.
    void discard();
    /// Forgets what is staged and reads what is stored anew.
    void reload();
    /// Whether the stored state is still what this batch began from.
    bool is_fresh() const;

private:
    /// Not noexcept, so that libstdc++'s tables keep the hashes instead of computing them again
    /// along a chain.
    struct bytes_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view b) const {
            return std::hash<std::string_view>()(b);
        }
    };
    template <class Compare>
    struct compare_bytes {
        using is_transparent = void;
        bool operator()(std::string_view x, std::string_view y) const { return Compare()(x, y); }
    };
    /// By key bytes; taken from an arena that goes with the batch.
    template <class T>
    using table =
        std::pmr::unordered_map<std::pmr::string, T, bytes_hash, compare_bytes<std::equal_to<>>>;
    struct tables {
        std::pmr::monotonic_buffer_resource arena{64u << 10};
        /// Holders of unique values, nothing if freed.
        table<std::optional<entity_id>> unique{&arena};
        text_batch texts{&arena};
        /// Where in changes_ the newest change of a key of E is, for those before indexed: most
        /// batches only add entities and never ask.
        table<std::uint32_t> facts{&arena};
        std::size_t indexed = 0;
        /// The same of E and R in order, for those who ask for a range.
        std::pmr::map<std::pmr::string, std::uint32_t, compare_bytes<std::less<>>> sorted{&arena};
        std::size_t sorted_count = 0;
    };
    using change = std::pair<bytes, std::optional<bytes>>;

    void create();
    void load();
    void load_state();
    bool is_stored(entity_id e) const;
    void note_chosen(entity_id e);
    void hold(const bytes& unique_key, std::optional<entity_id> e);
    std::optional<bytes> stored_fact_at(const bytes& key, entity_id e) const;
    void put_current(const attribute& a, entity_id e, bytes_view raw, std::int64_t stored_t);
    std::uint64_t& count_of(const attribute& a);
    void put_past(const attribute& a, const stored_fact& f, bytes_view times);
    std::optional<bytes> past_times(const attribute& a, const stored_fact& f) const;
    std::map<bytes, bytes> entries(const bytes& prefix) const;
    std::vector<stored_fact> facts_of_attribute(const attribute& a) const;
    std::map<bytes, bytes> merged(const bytes& prefix, bool may_be_stored) const;

    kv& store_;
    bytes stored_state_;     ///< M as this batch began from it
    database_state stored_;  ///< the same, unpacked
    database_state state_;
    std::vector<std::int64_t> changed_t_;
    std::shared_ptr<const schema> stored_attributes_, attributes_;

    std::vector<change> changes_;
    mutable std::unique_ptr<tables> tables_ = std::make_unique<tables>();
    std::size_t size_ = 0;
};

}  // namespace tributary::datom
