/// The data model: EDN's values, immutable by convention and regular (copyable, comparable).
///
/// Two values are equal exactly when their canonical bytes are (value/msgpack.hpp): 1 and 1.0
/// differ, [] and () differ, NaN equals NaN and -0.0 differs from 0.0. The order `<` is the order
/// of the canonical bytes; it is total and the order of map keys and set elements.
/// Thread-compatible.
#pragma once

#include "tributary/value/bytes.hpp"
#include "tributary/value/error.hpp"

#include <array>
#include <compare>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tributary {

class value;

/// `ns/name` without the colon.
struct keyword {
    std::string text;
    auto operator<=>(const keyword&) const = default;
};
struct symbol {
    std::string text;
    auto operator<=>(const symbol&) const = default;
};
/// Bytes as a value (a std::string as a value is text).
struct blob {
    bytes data;
    auto operator<=>(const blob&) const = default;
};
struct uuid {
    std::array<std::uint8_t, 16> raw{};
    auto operator<=>(const uuid&) const = default;
};
/// Milliseconds since 1970-01-01T00:00:00Z.
struct inst {
    std::int64_t ms = 0;
    auto operator<=>(const inst&) const = default;
};
/// An exact number as its text, e.g. "12345678901234567890" or "0.10"; kept as written.
struct decimal {
    std::string text;
    auto operator<=>(const decimal&) const = default;
};

/// A whole number of any size as its text, without leading zeros, e.g. "12345678901234567890".
/// Apart from the integer of the same size: 1N and 1 differ.
struct bigint {
    std::string text;
    auto operator<=>(const bigint&) const = default;
};

using vector = std::vector<value>;
struct list {
    std::vector<value> items;
};
/// Elements in canonical order, each once.
struct set {
    std::vector<value> items;
};
/// Entries in canonical order of their keys, each key once.
struct map {
    std::vector<std::pair<value, value>> entries;
};

class value {
public:
    /// In the order of the alternatives of the variant.
    enum class kind {
        nil,
        boolean,
        integer,
        real,
        string,
        bytes,
        keyword,
        symbol,
        uuid,
        inst,
        decimal,
        bigint,
        vector,
        list,
        set,
        map
    };

    value() = default;
    value(std::nullptr_t) {}
    /// Only a bool, so that a pointer never becomes one.
    template <std::same_as<bool> B>
    value(B b) : v_(static_cast<bool>(b)) {}
    /// Errors: limit if `i` is beyond int64.
    template <std::integral I>
    requires(!std::same_as<I, bool>) value(I i) : v_(to_int64(i)) {}
    value(double d) : v_(d) {}
    value(std::string s) : v_(std::move(s)) {}
    value(std::string_view s) : v_(std::string(s)) {}
    value(const char* s) : v_(std::string(s)) {}
    value(blob b) : v_(std::move(b)) {}
    value(keyword k) : v_(std::move(k)) {}
    value(symbol s) : v_(std::move(s)) {}
    value(uuid u) : v_(u) {}
    value(inst t) : v_(t) {}
    value(decimal d) : v_(std::move(d)) {}
    value(tributary::bigint b) : v_(std::move(b)) {}
    value(vector v) : v_(std::move(v)) {}
    value(list l) : v_(std::move(l)) {}
    value(set s) : v_(std::move(s)) {}
    value(map m) : v_(std::move(m)) {}

    kind type() const { return static_cast<kind>(v_.index()); }
    bool is_nil() const { return type() == kind::nil; }

    template <class T>
    const T* get_if() const {
        return std::get_if<T>(&v_);
    }
    template <class T>
    T* get_if() {
        return std::get_if<T>(&v_);
    }

    /// The value as a T. Errors: bad_input, naming what was expected and what was found.
    template <class T>
    const T& as() const {
        if (const T* p = get_if<T>()) return *p;
        throw_wrong_type(expected_index<T>());
    }
    template <class T>
    T& as() {
        return const_cast<T&>(std::as_const(*this).as<T>());
    }

    /// The value under `key` if this is a map that has it, else null. O(log n).
    const value* find(const value& key) const;
    /// The same for a string key, the case of JSON objects, without making a value of it.
    template <std::convertible_to<std::string_view> Text>
    const value* find(const Text& key) const {
        return find_text(key);
    }

    bool operator==(const value& other) const;
    std::strong_ordering operator<=>(const value& other) const;

    using variant = std::variant<std::monostate,
                                 bool,
                                 std::int64_t,
                                 double,
                                 std::string,
                                 blob,
                                 keyword,
                                 symbol,
                                 uuid,
                                 inst,
                                 decimal,
                                 bigint,
                                 vector,
                                 list,
                                 set,
                                 map>;
    const variant& as_variant() const { return v_; }

private:
    template <class T>
    static constexpr std::size_t expected_index() {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            std::size_t found = 0;
            ((std::is_same_v<T, std::variant_alternative_t<I, variant>> ? void(found = I) : void()),
             ...);
            return found;
        }
        (std::make_index_sequence<std::variant_size_v<variant>>{});
    }
    template <std::integral I>
    static std::int64_t to_int64(I i) {
        if (!std::in_range<std::int64_t>(i))
            throw error(errc::limit, "an integer beyond 64 bits with sign");
        return static_cast<std::int64_t>(i);
    }
    const value* find_text(std::string_view key) const;
    [[noreturn]] void throw_wrong_type(std::size_t expected) const;

    variant v_;
};

/// "string", "integer", ... for messages.
const char* name_of(value::kind k);

/// A map of these entries, in canonical order. Errors: bad_input on a duplicate key.
value make_map(std::vector<std::pair<value, value>> entries);
/// A set of these elements, in canonical order. Errors: bad_input on a duplicate.
value make_set(std::vector<value> items);

std::size_t hash_of(const value& v);

}  // namespace tributary

template <>
struct std::hash<tributary::value> {
    std::size_t operator()(const tributary::value& v) const noexcept {
        return tributary::hash_of(v);
    }
};
