/// Columns of attributes in memory, for queries that read the same attributes again and again.
///
/// A column holds what an attribute says at one t, whoever asks: so the current database value,
/// older ones and as-of views share it as long as no transaction touched the attribute. Never
/// needed for an answer.
#pragma once

#include "tributary/datom/value_view.hpp"

#include <bit>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tributary::datom {

/// The facts of one attribute. Rows are numbered in the order of entity, then value. A value is
/// seen as its slot, 64 bits that order as the values do: integers and the like as they are, reals
/// by their bits (made to order), texts by their number in a dictionary. Immutable.
class attribute_column {
public:
    using row = std::uint32_t;
    struct range {
        row begin = 0;
        row end = 0;
    };

    /// `read` visits about `size` (entity, value) in entity order. Nothing if it would take more
    /// than `bytes_max` or the type has no slots.
    static std::shared_ptr<const attribute_column> make(
        value_type type,
        std::size_t size,
        std::size_t bytes_max,
        const std::function<void(const std::function<bool(entity_id, const value_view&)>&)>& read);

    std::size_t size() const { return entities_.size(); }
    value_type type() const { return type_; }
    std::span<const entity_id> entities() const { return entities_; }
    std::span<const std::int64_t> slots() const { return slots_; }
    /// Of a slot of a column of texts.
    std::string_view text(std::int64_t slot) const { return dictionary_[slot]; }

    /// The slot of a text, if any row has it.
    std::optional<std::int64_t> slot_of(std::string_view text) const;
    static std::int64_t slot_of(double d) {
        const auto bits = std::bit_cast<std::int64_t>(d == 0 ? 0.0 : d);
        return bits ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(bits >> 63) >> 1);
    }
    static double real_of(std::int64_t slot) {
        return std::bit_cast<double>(
            slot ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(slot >> 63) >> 1));
    }

    /// The rows of an entity. `near` is where the last search ended: searches in ascending order
    /// cost the logarithm of the distance, and one step where entities are dense.
    range rows_of(entity_id e, row& near) const;
    /// The rows with values from `lo` to `hi`, both included, by value then entity.
    std::span<const row> rows_within(std::int64_t lo, std::int64_t hi) const;
    std::span<const row> rows_with(std::int64_t slot) const { return rows_within(slot, slot); }
    std::size_t distinct_values() const { return values_.size(); }

    std::size_t bytes() const { return bytes_; }

private:
    void sort_dictionary();
    void sort_by_value();

    value_type type_ = value_type::integer;
    std::vector<entity_id> entities_;
    std::vector<std::int64_t> slots_;
    std::vector<std::string> dictionary_;  ///< sorted
    /// Rows by value: those of values_[i] are by_value_[begins_[i]] .. by_value_[begins_[i + 1]].
    std::vector<std::int64_t> values_;
    std::vector<row> begins_;
    std::vector<row> by_value_;
    std::size_t bytes_ = 0;
};

/// Of one connection. Thread rule: safe from any thread; columns are made outside of the lock.
class column_cache {
public:
    explicit column_cache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    struct request {
        const attribute* of = nullptr;
        std::int64_t t = 0;     ///< the attribute's state is wanted as of this t
        std::size_t size = 0;   ///< facts it has, about
        std::size_t reads = 0;  ///< facts the caller would read without a column, about
    };
    /// The column, or null if reading it whole does not pay yet: it does once callers have read
    /// more facts than it has, so that no more than half of the work can be in vain. Nor if
    /// making it would go beyond the memory of the query that asks.
    std::shared_ptr<const attribute_column> get(
        const request& wanted,
        const std::function<void(const std::function<bool(entity_id, const value_view&)>&)>& read);

    /// Of all columns; at most what the constructor was given.
    std::size_t bytes() const;

private:
    struct entry {
        std::pair<entity_id, std::int64_t> key;  ///< attribute, t
        std::size_t reads = 0;
        bool refused = false;  ///< too large, or of a type without slots
        std::shared_ptr<const attribute_column> column;
    };
    entry& touch(const request& wanted);
    void evict();

    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::list<entry> entries_;  ///< the most recently used first
    std::map<std::pair<entity_id, std::int64_t>, std::list<entry>::iterator> by_key_;
    std::size_t bytes_ = 0;
};

}  // namespace tributary::datom
