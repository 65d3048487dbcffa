/// Values inside a running query: 16 bytes each, so that columns of them are compact and predicates
/// need no allocation.
///
/// A cell of a text or collection points into the query's arena (or, while a scan visits a datom,
/// into the index page: such a cell must be `persist`ed before the visit ends). Equality is that of
/// `value`: 1 and 1.0 differ; the order is the one queries show: numbers of all types by size,
/// other types apart. Private to the room.
#pragma once

#include "tributary/datom/exact_number.hpp"
#include "tributary/datom/query_budget.hpp"
#include "tributary/value/value.hpp"

#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tributary::datom::datalog {

using kind = value::kind;

/// Memory that lives as long as the query. Not thread-safe.
class arena {
public:
    std::string_view copy(std::string_view text) {
        if (text.empty()) return {};
        char* to = static_cast<char*>(memory_.allocate(text.size(), 1));
        std::memcpy(to, text.data(), text.size());
        return {to, text.size()};
    }
    template <class T>
    std::span<T> make(std::size_t n) {
        if (n == 0) return {};
        T* to = static_cast<T*>(memory_.allocate(n * sizeof(T), alignof(T)));
        std::uninitialized_default_construct_n(to, n);
        return {to, n};
    }
    /// Everything handed out is gone.
    void reset() { memory_.release(); }

private:
    counted_resource counted_;
    std::pmr::monotonic_buffer_resource memory_{std::size_t{16} << 10, &counted_};
};

struct cell {
    kind type = kind::nil;
    std::uint32_t size =
        0;  ///< bytes of a text, items of a collection (a map's are key, value, key, value, ...)
    union {
        std::int64_t integer;  ///< boolean (0, 1), integer, inst (ms)
        double real;
        const char* text;   ///< string, bytes, keyword, symbol, decimal, bigint; a uuid's 16 bytes
        const cell* items;  ///< vector, list, set, map
    };

    cell() : integer(0) {}
    static cell of(std::int64_t i) { return number(kind::integer, i); }
    static cell of(bool b) { return number(kind::boolean, b); }
    static cell of(double d) {
        cell c;
        c.type = kind::real;
        c.real = d;
        return c;
    }
    static cell number(kind k, std::int64_t i) {
        cell c;
        c.type = k;
        c.integer = i;
        return c;
    }
    /// Errors: limit beyond 4 GiB.
    static cell of_text(kind k, std::string_view t);
    static cell of_items(kind k, std::span<const cell> items);

    std::string_view view() const { return {text, size}; }
    std::span<const cell> span() const { return {items, size}; }
    bool is_nil() const { return type == kind::nil; }
    bool is(kind k) const { return type == k; }
    /// Of a kind that has `text`.
    bool is_text() const;
    bool is_collection() const { return type >= kind::vector; }
    bool is_sequence() const {
        return type == kind::vector || type == kind::list || type == kind::set;
    }
    bool is_number() const {
        return type == kind::integer || type == kind::real || type == kind::decimal ||
               type == kind::bigint;
    }
    /// What a condition sees: all but nil and false.
    bool is_true() const { return !(is_nil() || (type == kind::boolean && integer == 0)); }
};
static_assert(sizeof(cell) == 16);

inline bool cell::is_text() const {
    switch (type) {
        case kind::string:
        case kind::bytes:
        case kind::keyword:
        case kind::symbol:
        case kind::uuid:
        case kind::decimal:
        case kind::bigint:
            return true;
        default:
            return false;
    }
}

bool equal_collections(const cell& a, const cell& b);
std::uint32_t hash_collection(const cell& c);

inline bool equal(const cell& a, const cell& b) {
    if (a.type != b.type) return false;
    if (a.is_text()) return a.size == b.size && std::memcmp(a.text, b.text, a.size) == 0;
    if (a.is_collection()) return equal_collections(a, b);
    return a.integer == b.integer;  // reals by their bits, as values are
}

inline std::uint32_t mix(std::uint64_t x) {
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15ULL;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    return static_cast<std::uint32_t>(x >> 32);
}

inline std::uint32_t hash(const cell& c) {
    if (c.is_text())
        return mix(std::hash<std::string_view>{}(c.view()) + static_cast<unsigned>(c.type));
    if (c.is_collection()) return hash_collection(c);
    return mix(static_cast<std::uint64_t>(c.integer) * 31 + static_cast<unsigned>(c.type));
}

/// Total. Numbers by size across types, exactly (a tie: by type, then as written), keywords and
/// symbols by namespace, then name.
std::strong_ordering compare(const cell& a, const cell& b);
/// The same number, whatever its type, a double and a decimal or bigint compared as doubles; for
/// anything else `equal`.
bool same_number(const cell& a, const cell& b);
/// Of a number that is no double.
std::string number_text(const cell& c);
/// Of numbers that are no doubles (calculate of texts). Errors: those of it.
std::optional<cell> calculate(exact_operation o, const cell& a, const cell& b, arena& memory);
/// Of a number.
double as_double(const cell& c);

cell to_cell(const value& v, arena& memory);
value to_value(const cell& c);
/// The same with all it points to in `memory`.
cell persist(const cell& c, arena& memory);
/// EDN text, shortened, for messages.
std::string describe(const cell& c);

}  // namespace tributary::datom::datalog
