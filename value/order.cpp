#include "tributary/value/order.hpp"

#include "tributary/value/msgpack.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace tributary {
namespace {

template <class Int>
int three_way(Int a, Int b) {
    return a < b ? -1 : (a > b ? 1 : 0);
}

int bytewise(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return three_way(a.size(), b.size());
    return a.empty() ? 0 : std::memcmp(a.data(), b.data(), a.size());
}

/// What an encoding starts with. Two values of one lead byte and length differ only in what
/// follows.
struct head {
    std::uint8_t lead;
    std::size_t length = 0;  ///< of a string, ext payload (bytes), array or map (elements)
    int ext = 0;             ///< after the length on the wire
};

/// `small` is the largest length whose lead byte is `fix | length`; the others are `lead8` and the
/// two after it.
std::uint8_t lead_of(std::size_t n, std::uint8_t fix, std::size_t small, std::uint8_t lead8) {
    if (n <= small) return static_cast<std::uint8_t>(fix | n);
    if (n <= 0xff) return lead8;
    return n <= 0xffff ? lead8 + 1 : lead8 + 2;
}

/// Arrays and maps have no form with a length of 8 bits.
head container_head(std::size_t n, std::uint8_t fix, std::uint8_t lead16) {
    if (n <= 15) return {static_cast<std::uint8_t>(fix | n), n};
    return {static_cast<std::uint8_t>(n <= 0xffff ? lead16 : lead16 + 1), n};
}

head string_head(std::size_t n) { return {lead_of(n, 0xa0, 31, 0xd9), n}; }

head ext_head(std::size_t n, ext_type type) {
    const int ext = static_cast<int>(type);
    if (n != 0 && n <= 16 && std::has_single_bit(n)) {
        return {static_cast<std::uint8_t>(0xd4 + std::countr_zero(n)), n, ext};
    }
    if (n <= 0xff) return {0xc7, n, ext};
    return {static_cast<std::uint8_t>(n <= 0xffff ? 0xc8 : 0xc9), n, ext};
}

std::size_t array_size(const vector& items);

struct head_of {
    head operator()(std::monostate) const { return {0xc0}; }
    head operator()(bool b) const { return {static_cast<std::uint8_t>(b ? 0xc3 : 0xc2)}; }
    head operator()(std::int64_t i) const {
        if (i >= -32 && i <= 127) return {static_cast<std::uint8_t>(i)};
        if (i >= 0) {
            if (i <= 0xff) return {0xcc};
            if (i <= 0xffff) return {0xcd};
            return {static_cast<std::uint8_t>(i <= 0xffffffff ? 0xce : 0xcf)};
        }
        if (i >= INT8_MIN) return {0xd0};
        if (i >= INT16_MIN) return {0xd1};
        return {static_cast<std::uint8_t>(i >= INT32_MIN ? 0xd2 : 0xd3)};
    }
    head operator()(double) const { return {0xcb}; }
    head operator()(const std::string& s) const { return string_head(s.size()); }
    head operator()(const blob& b) const {
        const std::size_t n = b.data.size();
        return {static_cast<std::uint8_t>(n <= 0xff ? 0xc4 : (n <= 0xffff ? 0xc5 : 0xc6)), n};
    }
    head operator()(const keyword& k) const { return ext_head(k.text.size(), ext_type::keyword); }
    head operator()(const symbol& s) const { return ext_head(s.text.size(), ext_type::symbol); }
    head operator()(const uuid&) const { return ext_head(16, ext_type::uuid); }
    head operator()(inst) const { return ext_head(8, ext_type::inst); }
    head operator()(const decimal& d) const { return ext_head(d.text.size(), ext_type::decimal); }
    head operator()(const bigint& b) const { return ext_head(b.text.size(), ext_type::bigint); }
    head operator()(const vector& v) const { return container_head(v.size(), 0x90, 0xdc); }
    head operator()(const list& l) const { return ext_head(array_size(l.items), ext_type::list); }
    head operator()(const set& s) const { return ext_head(array_size(s.items), ext_type::set); }
    head operator()(const map& m) const { return container_head(m.entries.size(), 0x80, 0xde); }
};

/// Of the lead byte, the length and the ext type.
std::size_t size_of(const head& h) {
    const std::uint8_t lead = h.lead;
    if (lead <= 0xc3 || lead >= 0xe0) return 1;
    if (lead <= 0xc6) return 1 + (std::size_t{1} << (lead - 0xc4));
    if (lead <= 0xc9) return 2 + (std::size_t{1} << (lead - 0xc7));
    if (lead >= 0xd4 && lead <= 0xd8) return 2;
    if (lead >= 0xd9 && lead <= 0xdb) return 1 + (std::size_t{1} << (lead - 0xd9));
    if (lead >= 0xdc) return lead % 2 == 0 ? 3 : 5;
    if (lead == 0xcb) return 9;
    return 1 + (std::size_t{1} << (lead % 4));  // cc..cf and d0..d3
}

std::size_t array_size(const vector& items) {
    std::size_t size = size_of(container_head(items.size(), 0x90, 0xdc));
    for (const value& item : items) size += encoded_size(item);
    return size;
}

int order_items(const vector& a, const vector& b) {
    if (a.size() != b.size()) return three_way(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (const int c = order(a[i], b[i])) return c;
    }
    return 0;
}

/// Of the bits an encoding has: every NaN is the one NaN.
std::uint64_t bits_of(double d) {
    return std::isnan(d) ? 0x7ff8000000000000u : std::bit_cast<std::uint64_t>(d);
}

/// Of two values of one kind whose heads are equal.
struct order_rest {
    const value& other;

    template <class T>
    const T& theirs() const {
        return *other.get_if<T>();
    }

    int operator()(std::monostate) const { return 0; }
    int operator()(bool) const { return 0; }
    int operator()(std::int64_t i) const {
        // Of one width and sign, so the order of the bytes is the order as unsigned numbers.
        return three_way(static_cast<std::uint64_t>(i),
                         static_cast<std::uint64_t>(theirs<std::int64_t>()));
    }
    int operator()(double d) const { return three_way(bits_of(d), bits_of(theirs<double>())); }
    int operator()(const std::string& s) const { return bytewise(s, theirs<std::string>()); }
    int operator()(const blob& b) const { return bytewise(b.data, theirs<blob>().data); }
    int operator()(const keyword& k) const { return bytewise(k.text, theirs<keyword>().text); }
    int operator()(const symbol& s) const { return bytewise(s.text, theirs<symbol>().text); }
    int operator()(const uuid& u) const {
        return std::memcmp(u.raw.data(), theirs<uuid>().raw.data(), u.raw.size());
    }
    int operator()(inst t) const {
        return three_way(static_cast<std::uint64_t>(t.ms),
                         static_cast<std::uint64_t>(theirs<inst>().ms));
    }
    int operator()(const decimal& d) const { return bytewise(d.text, theirs<decimal>().text); }
    int operator()(const bigint& b) const { return bytewise(b.text, theirs<bigint>().text); }
    int operator()(const vector& v) const { return order_items(v, theirs<vector>()); }
    int operator()(const list& l) const { return order_items(l.items, theirs<list>().items); }
    int operator()(const set& s) const { return order_items(s.items, theirs<set>().items); }
    int operator()(const map& m) const {
        const map& n = theirs<map>();
        for (std::size_t i = 0; i < m.entries.size() && i < n.entries.size(); ++i) {
            if (const int c = order(m.entries[i].first, n.entries[i].first)) return c;
            if (const int c = order(m.entries[i].second, n.entries[i].second)) return c;
        }
        return three_way(m.entries.size(), n.entries.size());
    }
};

}  // namespace

int order(const value& a, const value& b) {
    const auto* s = a.get_if<std::string>();
    const auto* t = b.get_if<std::string>();
    if (s && t) return bytewise(*s, *t);
    const head h = std::visit(head_of{}, a.as_variant());
    const head k = std::visit(head_of{}, b.as_variant());
    if (h.lead != k.lead) return three_way(h.lead, k.lead);
    if (h.length != k.length) return three_way(h.length, k.length);
    if (h.ext != k.ext) return three_way(h.ext, k.ext);
    return std::visit(order_rest{b}, a.as_variant());
}

int order(const value& a, std::string_view b) {
    if (const auto* s = a.get_if<std::string>()) return bytewise(*s, b);
    return three_way(std::visit(head_of{}, a.as_variant()).lead, string_head(b.size()).lead);
}

std::size_t encoded_size(const value& v) {
    const head h = std::visit(head_of{}, v.as_variant());
    const std::size_t size = size_of(h);
    if (const auto* items = v.get_if<vector>()) return array_size(*items);
    if (const auto* m = v.get_if<map>()) {
        std::size_t entries = 0;
        for (const auto& [key, item] : m->entries)
            entries += encoded_size(key) + encoded_size(item);
        return size + entries;
    }
    return size + h.length;
}

}  // namespace tributary
