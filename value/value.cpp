#include "tributary/value/value.hpp"

#include "tributary/value/edn.hpp"
#include "tributary/value/msgpack.hpp"
#include "tributary/value/order.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tributary {
namespace {

using entry = std::pair<value, value>;

std::size_t mix(std::size_t seed, std::size_t h) {
    return seed ^ (h + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2));
}

bool same(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

struct hasher {
    std::size_t operator()(std::monostate) const { return 0; }
    std::size_t operator()(bool b) const { return b ? 1 : 2; }
    std::size_t operator()(std::int64_t i) const { return std::hash<std::int64_t>{}(i); }
    std::size_t operator()(double d) const {
        return std::isnan(d) ? 3 : std::hash<std::uint64_t>{}(std::bit_cast<std::uint64_t>(d));
    }
    std::size_t operator()(const std::string& s) const { return text(s); }
    std::size_t operator()(const blob& b) const { return text(b.data); }
    std::size_t operator()(const keyword& k) const { return text(k.text); }
    std::size_t operator()(const symbol& s) const { return text(s.text); }
    std::size_t operator()(const uuid& u) const {
        return text({reinterpret_cast<const char*>(u.raw.data()), u.raw.size()});
    }
    std::size_t operator()(inst t) const { return std::hash<std::int64_t>{}(t.ms); }
    std::size_t operator()(const decimal& d) const { return text(d.text); }
    std::size_t operator()(const bigint& b) const { return text(b.text); }
    std::size_t operator()(const vector& items) const {
        std::size_t h = items.size();
        for (const value& item : items) h = mix(h, hash_of(item));
        return h;
    }
    std::size_t operator()(const list& l) const { return (*this)(l.items); }
    std::size_t operator()(const set& s) const { return (*this)(s.items); }
    std::size_t operator()(const map& m) const {
        std::size_t h = m.entries.size();
        for (const auto& [k, v] : m.entries) h = mix(mix(h, hash_of(k)), hash_of(v));
        return h;
    }

    static std::size_t text(std::string_view s) { return std::hash<std::string_view>{}(s); }
};

/// The entry whose key `compare` calls equal. `compare(key)` is negative for keys before the one
/// sought.
template <class Compare>
const value* find_entry(const value& v, Compare compare) {
    const map* m = v.get_if<map>();
    if (!m) return nullptr;
    const auto at = std::partition_point(
        m->entries.begin(), m->entries.end(), [&](const entry& e) { return compare(e.first) < 0; });
    return at != m->entries.end() && compare(at->first) == 0 ? &at->second : nullptr;
}

/// Sorts by `key_of(item)`. Moving small positions is cheaper than moving values.
template <class T, class KeyOf>
void sort_by(std::vector<T>& items, KeyOf key_of) {
    const auto before = [&](const T& a, const T& b) { return order(key_of(a), key_of(b)) < 0; };
    if (std::is_sorted(items.begin(), items.end(), before)) return;
    std::vector<T*> positions;
    positions.reserve(items.size());
    for (T& item : items) positions.push_back(&item);
    std::sort(
        positions.begin(), positions.end(), [&](const T* a, const T* b) { return before(*a, *b); });
    std::vector<T> sorted;
    sorted.reserve(items.size());
    for (T* item : positions) sorted.push_back(std::move(*item));
    items = std::move(sorted);
}

}  // namespace

const char* name_of(value::kind k) {
    switch (k) {
        case value::kind::nil:
            return "nil";
        case value::kind::boolean:
            return "boolean";
        case value::kind::integer:
            return "integer";
        case value::kind::real:
            return "double";
        case value::kind::string:
            return "string";
        case value::kind::bytes:
            return "bytes";
        case value::kind::keyword:
            return "keyword";
        case value::kind::symbol:
            return "symbol";
        case value::kind::uuid:
            return "uuid";
        case value::kind::inst:
            return "instant";
        case value::kind::decimal:
            return "decimal";
        case value::kind::bigint:
            return "bigint";
        case value::kind::vector:
            return "vector";
        case value::kind::list:
            return "list";
        case value::kind::set:
            return "set";
        case value::kind::map:
            return "map";
    }
    return "unknown";
}

void value::throw_wrong_type(std::size_t expected) const {
    throw error(errc::bad_input,
                std::string("expected ") + name_of(static_cast<kind>(expected)) + ", found " +
                    name_of(type()));
}

const value* value::find(const value& key) const {
    return find_entry(*this, [&](const value& k) { return order(k, key); });
}

const value* value::find_text(std::string_view key) const {
    return find_entry(*this, [&](const value& k) { return order(k, key); });
}

bool value::operator==(const value& other) const {
    if (v_.index() != other.v_.index()) return false;
    return std::visit(
        [&](const auto& mine) {
            using T = std::decay_t<decltype(mine)>;
            const T& theirs = *std::get_if<T>(&other.v_);
            if constexpr (std::is_same_v<T, double>) {
                return same(mine, theirs);
            } else if constexpr (std::is_same_v<T, list> || std::is_same_v<T, set>) {
                return mine.items == theirs.items;
            } else if constexpr (std::is_same_v<T, map>) {
                return mine.entries == theirs.entries;
            } else {
                return mine == theirs;
            }
        },
        v_);
}

std::strong_ordering value::operator<=>(const value& other) const {
    return order(*this, other) <=> 0;
}

value make_map(std::vector<entry> entries) {
    sort_by(entries, [](const entry& e) -> const value& { return e.first; });
    const auto twice =
        std::adjacent_find(entries.begin(), entries.end(), [](const entry& a, const entry& b) {
            return a.first == b.first;
        });
    if (twice != entries.end()) {
        throw error(errc::bad_input, "the key " + edn::describe(twice->first) + " twice in a map");
    }
    return map{std::move(entries)};
}

value make_set(std::vector<value> items) {
    sort_by(items, [](const value& v) -> const value& { return v; });
    const auto twice = std::adjacent_find(items.begin(), items.end());
    if (twice != items.end()) {
        throw error(errc::bad_input, "the element " + edn::describe(*twice) + " twice in a set");
    }
    return set{std::move(items)};
}

std::size_t hash_of(const value& v) {
    return mix(static_cast<std::size_t>(v.type()), std::visit(hasher{}, v.as_variant()));
}

}  // namespace tributary
