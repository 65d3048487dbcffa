#include "tributary/datom/column_cache.hpp"

#include "tributary/datom/query_budget.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace tributary::datom {

namespace {

/// Entries are remembered for what was read of them, also without a column.
constexpr std::size_t entries_max = 1024;
/// Of an entity, a slot and a place by value; a value of its own takes more.
constexpr std::size_t row_bytes = sizeof(entity_id) + sizeof(std::int64_t) + sizeof(std::uint32_t);
constexpr std::size_t value_bytes = sizeof(std::int64_t) + sizeof(std::uint32_t);
constexpr std::size_t text_bytes = 2 * sizeof(std::string);
/// While a column is made, it takes so many times what it will.
constexpr std::size_t making_factor = 3;

enum class slot_kind { none, integer, real, text };

slot_kind slots_for(value_type t) {
    switch (t) {
        case value_type::boolean:
        case value_type::integer:
        case value_type::instant:
        case value_type::ref:
            return slot_kind::integer;
        case value_type::real:
        case value_type::floating:
            return slot_kind::real;
        case value_type::decimal:
        case value_type::bigint:
        case value_type::string:
        case value_type::uri:
        case value_type::keyword:
        case value_type::symbol:
        case value_type::uuid:
        case value_type::bytes:
            return slot_kind::text;
        default:
            return slot_kind::none;
    }
}

}  // namespace

std::shared_ptr<const attribute_column> attribute_column::make(
    value_type type,
    std::size_t size,
    std::size_t bytes_max,
    const std::function<void(const std::function<bool(entity_id, const value_view&)>&)>& read) {
    const slot_kind kind = slots_for(type);
    if (kind == slot_kind::none) return nullptr;
    auto made = std::make_shared<attribute_column>();
    attribute_column& c = *made;
    c.type_ = type;
    c.entities_.reserve(size);
    c.slots_.reserve(size);
    std::unordered_map<std::string, std::int64_t> numbers;
    std::string text;
    bool fits = true;
    read([&](entity_id e, const value_view& v) {
        c.bytes_ += row_bytes;
        if (kind == slot_kind::text) {
            text.assign(v.text);
            const auto [at, fresh] =
                numbers.try_emplace(text, static_cast<std::int64_t>(numbers.size()));
            if (fresh) c.bytes_ += text_bytes + text.size();
            c.slots_.push_back(at->second);
        } else {
            c.slots_.push_back(kind == slot_kind::real ? slot_of(v.real) : v.integer);
        }
        c.entities_.push_back(e);
        return fits = c.bytes_ <= bytes_max && c.entities_.size() < std::numeric_limits<row>::max();
    });
    if (!fits) return nullptr;
    c.dictionary_.resize(numbers.size());
    while (!numbers.empty()) {
        auto node = numbers.extract(numbers.begin());
        c.dictionary_[static_cast<std::size_t>(node.mapped())] = std::move(node.key());
    }
    c.sort_dictionary();
    c.sort_by_value();
    c.bytes_ += c.values_.size() * value_bytes;
    c.entities_.shrink_to_fit();
    c.slots_.shrink_to_fit();
    return made;
}

void attribute_column::sort_dictionary() {
    std::vector<std::size_t> order(dictionary_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return dictionary_[a] < dictionary_[b];
    });
    std::vector<std::int64_t> place(order.size());
    std::vector<std::string> sorted(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        place[order[i]] = static_cast<std::int64_t>(i);
        sorted[i] = std::move(dictionary_[order[i]]);
    }
    dictionary_ = std::move(sorted);
    if (place.empty()) return;
    for (std::int64_t& slot : slots_) slot = place[static_cast<std::size_t>(slot)];
}

void attribute_column::sort_by_value() {
    std::vector<std::pair<std::int64_t, row>> sorted(slots_.size());
    for (row r = 0; r < sorted.size(); ++r) sorted[r] = {slots_[r], r};
    std::sort(sorted.begin(), sorted.end());
    by_value_.reserve(sorted.size());
    for (const auto& [slot, r] : sorted) {
        if (values_.empty() || values_.back() != slot) {
            values_.push_back(slot);
            begins_.push_back(static_cast<row>(by_value_.size()));
        }
        by_value_.push_back(r);
    }
    begins_.push_back(static_cast<row>(by_value_.size()));
}

std::optional<std::int64_t> attribute_column::slot_of(std::string_view text) const {
    const auto at = std::lower_bound(dictionary_.begin(), dictionary_.end(), text);
    if (at == dictionary_.end() || *at != text) return std::nullopt;
    return at - dictionary_.begin();
}

attribute_column::range attribute_column::rows_of(entity_id e, row& near) const {
    const auto all = static_cast<row>(entities_.size());
    const auto at_or_after = [&](row from, row to) {
        const auto begin = entities_.begin();
        return static_cast<row>(std::lower_bound(begin + from, begin + to, e) - begin);
    };
    row begin = std::min(near, all);
    if (begin > 0 && entities_[begin - 1] >= e) {
        begin = at_or_after(0, begin);
    } else {
        // Doubling steps forward: a search costs the logarithm of the distance.
        row from = begin;
        row step = 1;
        while (begin < all && entities_[begin] < e) {
            from = begin + 1;
            begin = step < all - begin ? begin + step : all;
            step *= 2;
        }
        begin = at_or_after(from, begin);
    }
    row end = begin;
    while (end < all && entities_[end] == e) ++end;
    near = end;
    return {begin, end};
}

std::span<const attribute_column::row> attribute_column::rows_within(std::int64_t lo,
                                                                     std::int64_t hi) const {
    const auto from = std::lower_bound(values_.begin(), values_.end(), lo);
    const auto to = lo == hi && from != values_.end() && *from == hi
                        ? from + 1
                        : std::upper_bound(from, values_.end(), hi);
    if (from >= to) return {};
    const row begin = begins_[static_cast<std::size_t>(from - values_.begin())];
    const row end = begins_[static_cast<std::size_t>(to - values_.begin())];
    return std::span(by_value_).subspan(begin, end - begin);
}

std::size_t column_cache::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

column_cache::entry& column_cache::touch(const request& wanted) {
    const std::pair key(wanted.of->id, wanted.t);
    if (const auto at = by_key_.find(key); at != by_key_.end()) {
        entries_.splice(entries_.begin(), entries_, at->second);
    } else {
        entries_.push_front({key, 0, wanted.size > bytes_max_ / row_bytes, nullptr});
        by_key_.emplace(key, entries_.begin());
    }
    return entries_.front();
}

void column_cache::evict() {
    while (entries_.size() > 1 && (bytes_ > bytes_max_ || entries_.size() > entries_max)) {
        const entry& last = entries_.back();
        if (last.column) bytes_ -= last.column->bytes();
        by_key_.erase(last.key);
        entries_.pop_back();
    }
}

std::shared_ptr<const attribute_column> column_cache::get(
    const request& wanted,
    const std::function<void(const std::function<bool(entity_id, const value_view&)>&)>& read) {
    {
        const std::lock_guard lock(mutex_);
        entry& e = touch(wanted);
        evict();
        e.reads += wanted.reads;
        if (e.column || e.refused) return e.column;
        if (wanted.reads == 0 || e.reads <= wanted.size) return nullptr;
    }
    const std::size_t bytes = std::min(bytes_max_, datalog::memory_budget::left() / making_factor);
    if (wanted.size > bytes / row_bytes) return nullptr;
    auto made = attribute_column::make(wanted.of->type, wanted.size, bytes, read);
    const std::lock_guard lock(mutex_);
    entry& e = touch(wanted);
    if (e.column) return e.column;  // another thread was faster
    e.refused = made == nullptr && bytes == bytes_max_;
    e.reads = 0;
    if (made) {
        bytes_ += made->bytes();
        datalog::memory_budget::withdraw(made->bytes());
    }
    e.column = made;
    evict();
    return made;
}

}  // namespace tributary::datom
