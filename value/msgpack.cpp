#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#define MSGPACK_NO_BOOST
#include "tributary/value/edn.hpp"
#include "tributary/value/number.hpp"
#include "tributary/value/order.hpp"
#include "tributary/value/utf8.hpp"

#include <msgpack.hpp>

namespace tributary {
namespace {

constexpr std::uint64_t the_nan = 0x7ff8000000000000u;

struct appender {
    bytes& out;
    void write(const char* data, std::size_t size) { out.append(data, size); }
};

class encoder {
public:
    explicit encoder(bytes& out) : out_{out}, packer_(out_) {}

    void put(const value& v) { std::visit(*this, v.as_variant()); }

    void operator()(std::monostate) { packer_.pack_nil(); }
    void operator()(bool b) { b ? packer_.pack_true() : packer_.pack_false(); }
    void operator()(std::int64_t i) { packer_.pack_int64(i); }
    void operator()(double d) {
        // Not pack_double: that turns 1.0 into 1.
        out_.out.push_back('\xcb');
        put_be64(out_.out, std::isnan(d) ? the_nan : std::bit_cast<std::uint64_t>(d));
    }
    void operator()(const std::string& s) {
        require_utf8(s, "a string");
        const auto size = length(s.size());
        packer_.pack_str(size);
        packer_.pack_str_body(s.data(), size);
    }
    void operator()(const blob& b) {
        const auto size = length(b.data.size());
        packer_.pack_bin(size);
        packer_.pack_bin_body(b.data.data(), size);
    }
    void operator()(const keyword& k) {
        require_utf8(k.text, "a keyword");
        ext(ext_type::keyword, k.text);
    }
    void operator()(const symbol& s) {
        require_utf8(s.text, "a symbol");
        ext(ext_type::symbol, s.text);
    }
    void operator()(const uuid& u) {
        ext(ext_type::uuid, {reinterpret_cast<const char*>(u.raw.data()), u.raw.size()});
    }
    void operator()(inst t) {
        bytes payload;
        put_be64(payload, static_cast<std::uint64_t>(t.ms));
        ext(ext_type::inst, payload);
    }
    void operator()(const decimal& d) {
        if (!is_decimal(d.text)) throw error(errc::bad_input, "no decimal number: " + d.text);
        ext(ext_type::decimal, d.text);
    }
    void operator()(const bigint& b) {
        if (!is_whole(b.text)) throw error(errc::bad_input, "no whole number: " + b.text);
        ext(ext_type::bigint, b.text);
    }
    void operator()(const vector& items) {
        enter();
        packer_.pack_array(length(items.size()));
        for (const value& item : items) put(item);
        --depth_;
    }
    void operator()(const list& l) { nested(ext_type::list, l.items); }
    void operator()(const set& s) {
        for (std::size_t i = 1; i < s.items.size(); ++i) {
            require_order(s.items[i - 1], s.items[i]);
        }
        nested(ext_type::set, s.items);
    }
    void operator()(const map& m) {
        enter();
        packer_.pack_map(length(m.entries.size()));
        const value* previous = nullptr;
        for (const auto& [key, item] : m.entries) {
            if (previous) require_order(*previous, key);
            previous = &key;
            put(key);
            put(item);
        }
        --depth_;
    }

private:
    static std::uint32_t length(std::size_t n) {
        if (n > 0xffffffffu) throw error(errc::limit, "a value of more than 4 GiB");
        return static_cast<std::uint32_t>(n);
    }

    static void require_utf8(std::string_view text, const char* what) {
        if (valid_utf8(text)) return;
        throw error(errc::bad_input,
                    std::string(what) + " is not UTF-8 from byte " +
                        std::to_string(utf8_error_offset(text)) + " on; use bytes for it");
    }

    static void require_order(const value& before, const value& after) {
        if (order(before, after) < 0) return;
        throw error(errc::misuse,
                    "keys or elements out of order at " + edn::describe(after) +
                        "; build maps with make_map and sets with make_set");
    }

    void enter() {
        if (++depth_ > nesting_max) {
            throw error(errc::limit, "nesting beyond " + std::to_string(nesting_max) + " levels");
        }
    }

    void ext(ext_type type, bytes_view payload) {
        const auto size = length(payload.size());
        packer_.pack_ext(size, static_cast<std::int8_t>(type));
        packer_.pack_ext_body(payload.data(), size);
    }

    /// The head tells the payload's size, so it goes in front once the payload is there.
    void nested(ext_type type, const vector& items) {
        const std::size_t start = out_.out.size();
        (*this)(items);
        bytes head;
        appender to{head};
        msgpack::packer<appender>(to).pack_ext(length(out_.out.size() - start),
                                               static_cast<std::int8_t>(type));
        out_.out.insert(start, head);
    }

    appender out_;
    msgpack::packer<appender> packer_;
    int depth_ = 0;
};

std::size_t integer_size(std::uint64_t v) {
    if (v < 0x80) return 1;
    if (v <= 0xff) return 2;
    if (v <= 0xffff) return 3;
    return v <= 0xffffffff ? 5 : 9;
}

std::size_t integer_size(std::int64_t v) {
    if (v >= 0) return integer_size(static_cast<std::uint64_t>(v));
    if (v >= -32) return 1;
    if (v >= INT8_MIN) return 2;
    if (v >= INT16_MIN) return 3;
    return v >= INT32_MIN ? 5 : 9;
}

/// Of a head whose length has the forms `small` (in the lead byte), 16 and 32 bits.
std::size_t container_head_size(std::size_t n) { return n <= 15 ? 1 : (n <= 0xffff ? 3 : 5); }

std::size_t bin_head_size(std::size_t n) { return n <= 0xff ? 2 : (n <= 0xffff ? 3 : 5); }

std::size_t string_head_size(std::size_t n) { return n <= 31 ? 1 : bin_head_size(n); }

/// Without the type byte.
std::size_t ext_head_size(std::size_t n) {
    return n <= 16 && std::has_single_bit(n) ? 1 : bin_head_size(n);
}

/// Builds a value from what msgpack's parser reports, and refuses what is not canonical.
///
/// It adds up the sizes of the shortest forms: any longer form makes the sum fall behind the
/// parser, which shows at the next string or at the end.
class decoder : public msgpack::null_visitor {
public:
    /// `base` is the offset of `data` in what the caller handed in, for messages.
    decoder(bytes_view data, std::size_t base, int depth)
        : data_(data), base_(base), depth_(depth) {}

    /// Removes the value from the front of `data`.
    static value run(bytes_view& data, std::size_t base, int depth) {
        decoder to(data, base, depth);
        std::size_t end = 0;
        msgpack::parse(data.data(), data.size(), end, to);
        to.require_canonical(end);
        data.remove_prefix(end);
        return std::move(to.root_);
    }

    bool visit_nil() {
        ++at_;
        slot();
        return true;
    }
    bool visit_boolean(bool b) {
        ++at_;
        slot() = b;
        return true;
    }
    bool visit_positive_integer(std::uint64_t v) {
        if (v > INT64_MAX) fail("an integer beyond 64 bits with sign");
        at_ += integer_size(v);
        slot() = static_cast<std::int64_t>(v);
        return true;
    }
    bool visit_negative_integer(std::int64_t v) {
        // A non-negative number in a signed form is as long as its canonical form or longer, so say
        // it here.
        if (v >= 0) fail("a non-negative integer in a signed form");
        at_ += integer_size(v);
        slot() = v;
        return true;
    }
    bool visit_float32(float) { fail("a 32-bit float; floats have 64 bits"); }
    bool visit_float64(double d) {
        if (std::isnan(d) && std::bit_cast<std::uint64_t>(d) != the_nan) fail("another NaN");
        at_ += 9;
        slot() = d;
        return true;
    }
    bool visit_str(const char* text, std::uint32_t size) {
        const std::string_view s = take(text, size, string_head_size(size));
        if (!valid_utf8(s)) fail("a string that is not UTF-8; it ends");
        slot() = std::string(s);
        return true;
    }
    bool visit_bin(const char* data, std::uint32_t size) {
        slot() = blob{bytes(take(data, size, bin_head_size(size)))};
        return true;
    }
    bool visit_ext(const char* data, std::uint32_t size) {
        if (size == 0) fail("an extension without a type");
        const auto type = static_cast<std::int8_t>(data[0]);
        const bytes_view payload = take(data, size, ext_head_size(size - 1)).substr(1);
        slot() = extension(type, payload);
        return true;
    }

    bool start_array(std::uint32_t n) {
        at_ += container_head_size(n);
        value& v = slot();
        v = vector{};
        auto& items = v.as<vector>();
        items.reserve(std::min(n, reserve_max));
        push({&items, nullptr});
        return true;
    }
    bool end_array() {
        open_.pop_back();
        return true;
    }
    bool start_map(std::uint32_t n) {
        at_ += container_head_size(n);
        value& v = slot();
        v = map{};
        auto& entries = v.as<map>().entries;
        entries.reserve(std::min(n, reserve_max));
        push({nullptr, &entries});
        return true;
    }
    bool end_map_key() {
        const auto& entries = *open_.back().entries;
        if (entries.size() > 1 &&
            order(entries[entries.size() - 2].first, entries.back().first) >= 0) {
            fail("a map key that is not after the one before it; it ends");
        }
        open_.back().key_next = false;
        return true;
    }
    bool end_map_value() {
        open_.back().key_next = true;
        return true;
    }
    bool end_map() {
        open_.pop_back();
        return true;
    }

    void parse_error(std::size_t, std::size_t offset) {
        at_ = offset;
        fail("no MessagePack");
    }
    void insufficient_bytes(std::size_t, std::size_t) {
        at_ = data_.size();
        fail("the bytes end inside a value");
    }

private:
    using map_entries = std::vector<std::pair<value, value>>;

    /// An array or a map whose elements are still coming; one of the pointers is null.
    struct container {
        vector* items;
        map_entries* entries;
        bool key_next = true;
    };

    /// A claimed length makes us reserve no more than this before elements arrive.
    static constexpr std::uint32_t reserve_max = 64;

    [[noreturn]] void fail(const std::string& what) const {
        throw error(
            errc::bad_input,
            "not canonical MessagePack: " + what + " at byte " + std::to_string(base_ + at_));
    }

    void require_canonical(std::size_t parsed) const {
        if (parsed != at_) fail("a number or length that is not in its shortest form, after or");
    }

    /// Where the next value goes. Elements stay where they are until their container is complete.
    value& slot() {
        if (open_.empty()) return root_;
        const container& c = open_.back();
        if (c.items) return c.items->emplace_back();
        return c.key_next ? c.entries->emplace_back().first : c.entries->back().second;
    }

    void push(const container& c) {
        if (depth_ + static_cast<int>(open_.size()) >= nesting_max) {
            fail("nesting beyond " + std::to_string(nesting_max) + " levels");
        }
        open_.push_back(c);
    }

    bytes_view take(const char* data, std::size_t size, std::size_t head_size) {
        at_ += head_size;
        if (size > 0) require_canonical(static_cast<std::size_t>(data - data_.data()));
        at_ += size;
        return {data, size};
    }

    std::string text_of(bytes_view payload) const {
        if (!valid_utf8(payload)) fail("a keyword or symbol that is not UTF-8; it ends");
        return std::string(payload);
    }

    value extension(std::int8_t type, bytes_view payload) const {
        switch (static_cast<ext_type>(type)) {
            case ext_type::keyword:
                return keyword{text_of(payload)};
            case ext_type::symbol:
                return symbol{text_of(payload)};
            case ext_type::uuid: {
                uuid u;
                if (payload.size() != u.raw.size()) fail("a uuid that has not 16 bytes; it ends");
                std::memcpy(u.raw.data(), payload.data(), u.raw.size());
                return u;
            }
            case ext_type::inst:
                if (payload.size() != 8) fail("an instant that has not 8 bytes; it ends");
                return inst{static_cast<std::int64_t>(get_be64(payload))};
            case ext_type::decimal:
                if (!is_decimal(payload)) fail("a decimal that is no number; it ends");
                return decimal{std::string(payload)};
            case ext_type::bigint:
                if (!is_whole(payload)) fail("a bigint that is no whole number; it ends");
                return bigint{std::string(payload)};
            case ext_type::list:
                return list{items_of(payload)};
            case ext_type::set: {
                set s{items_of(payload)};
                for (std::size_t i = 1; i < s.items.size(); ++i) {
                    if (order(s.items[i - 1], s.items[i]) >= 0) {
                        fail("a set whose elements are not in order; it ends");
                    }
                }
                return s;
            }
            case ext_type::character:
            case ext_type::tagged:
                break;
        }
        fail("an extension of the unknown type " + std::to_string(type) + "; it ends");
    }

    vector items_of(bytes_view payload) const {
        const std::size_t base = base_ + at_ - payload.size();
        value v = run(payload, base, depth_ + static_cast<int>(open_.size()));
        if (!payload.empty() || !v.get_if<vector>())
            fail("a set or list that holds no array; it ends");
        return std::move(v.as<vector>());
    }

    bytes_view data_;
    std::size_t base_;
    int depth_;
    std::size_t at_ = 0;
    value root_;
    std::vector<container> open_;
};

}  // namespace

void encode_to(bytes& out, const value& v) {
    const std::size_t before = out.size();
    try {
        encoder(out).put(v);
    } catch (...) {
        out.resize(before);
        throw;
    }
}

bytes encode(const value& v) {
    bytes out;
    encode_to(out, v);
    return out;
}

value decode_prefix(bytes_view& data) { return decoder::run(data, 0, 0); }

value decode(bytes_view data) {
    bytes_view rest = data;
    value v = decode_prefix(rest);
    if (!rest.empty()) {
        throw error(errc::bad_input,
                    "not canonical MessagePack: " + std::to_string(rest.size()) +
                        " bytes follow the value that ends at byte " +
                        std::to_string(data.size() - rest.size()));
    }
    return v;
}

}  // namespace tributary
