#include "tributary/datom/encoding.hpp"

#include "tributary/value/hash.hpp"
#include "tributary/value/value.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace tributary::datom {

namespace {

constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

[[noreturn]] void damaged(const char* what) {
    throw error(
        errc::io,
        std::string("the datom database is damaged: ") + what + "; restore it or realize it anew");
}

std::uint64_t ordered(std::int64_t v) { return static_cast<std::uint64_t>(v) ^ sign_bit; }
std::uint64_t ordered(double d) {
    const auto bits = std::bit_cast<std::uint64_t>(d);
    return bits & sign_bit ? ~bits : bits ^ sign_bit;
}
double unordered_real(std::uint64_t v) {
    return std::bit_cast<double>(v & sign_bit ? v ^ sign_bit : ~v);
}

/// Namespace and name apart by a byte lower than any they may hold, so that keys sort by namespace,
/// then name.
void append_name(bytes& out, bytes_view text) {
    const auto slash = text.find('/', 1);
    if (slash == bytes_view::npos) {
        out.push_back('\x01');
        out.append(text);
    } else {
        out.append(text.substr(0, slash));
        out.push_back('\x01');
        out.append(text.substr(slash + 1));
    }
}

void append_escaped(bytes& out, bytes_view text) {
    for (;;) {
        const auto zero = text.find('\0');
        if (zero == bytes_view::npos) break;
        out.append(text.substr(0, zero));
        out.append("\x00\xff", 2);
        text.remove_prefix(zero + 1);
    }
    out.append(text);
}

/// Sign, exponent and digits of a decimal, so that keys sort by amount; the text follows in the key
/// and tells 1.0 from 1.00.
struct decimal_parts {
    bool negative = false;
    std::int64_t exponent = 0;  ///< of 0.digits
    std::string digits;         ///< without zeros at either end; empty for zero
};

decimal_parts parts_of(std::string_view text) {
    decimal_parts p;
    if (!text.empty() && text.front() == '-') {
        p.negative = true;
        text.remove_prefix(1);
    }
    std::int64_t exponent = 0;
    if (const auto mark = text.find_first_of("eE"); mark != text.npos) {
        auto tail = text.substr(mark + 1);
        if (!tail.empty() && tail.front() == '+') tail.remove_prefix(1);
        const auto [end, ec] = std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
        if (ec != std::errc() || end != tail.data() + tail.size() ||
            std::abs(exponent) > 1'000'000'000)
            throw error(errc::bad_input, "a decimal whose exponent is beyond a thousand million");
        text = text.substr(0, mark);
    }
    const auto point = text.find('.');
    p.digits.assign(text.substr(0, point));
    std::int64_t whole = static_cast<std::int64_t>(p.digits.size());
    if (point != text.npos) p.digits.append(text.substr(point + 1));
    const auto first = p.digits.find_first_not_of('0');
    if (first == std::string::npos) return {};
    p.exponent = exponent + whole - static_cast<std::int64_t>(first);
    p.digits.erase(0, first);
    p.digits.erase(p.digits.find_last_not_of('0') + 1);
    return p;
}

void append_decimal(bytes& out, bytes_view text) {
    const decimal_parts p = parts_of(text);
    if (p.digits.empty()) {
        out.push_back('\x02');
    } else {
        bytes magnitude;
        put_be64(magnitude, ordered(p.exponent));
        magnitude += p.digits;
        magnitude.push_back('\0');
        if (p.negative)
            for (char& c : magnitude) c = static_cast<char>(~c);
        out.push_back(p.negative ? '\x01' : '\x03');
        out += magnitude;
    }
    append_escaped(out, text);
    out.append(2, '\0');
}

}  // namespace

std::uint64_t take_varint(bytes_view& in) {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (in.empty()) damaged("a number ends early");
        const auto b = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
    damaged("a number is too long");
}

bytes_view take_bytes(bytes_view& in, std::size_t n) {
    if (in.size() < n) damaged("a record ends early");
    const bytes_view taken = in.substr(0, n);
    in.remove_prefix(n);
    return taken;
}

namespace {

bytes tagged(value_type t, bytes_view text) {
    if (text.size() > value_bytes_max)
        throw error(
            errc::limit,
            "a value of " + std::to_string(text.size()) + " bytes; at most 16 MiB can be stored");
    bytes raw;
    raw.reserve(text.size() + 1);
    raw.push_back(static_cast<char>(t));
    raw.append(text);
    return raw;
}

bytes tagged(value_type t, std::uint64_t word) {
    bytes raw(1, static_cast<char>(t));
    put_be64(raw, word);
    return raw;
}

bytes tagged_name(value_type t, const std::string& text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20)
            throw error(errc::bad_input, "a keyword or symbol with a control character");
    if (text.empty() || text.size() > long_text_bytes)
        throw error(errc::bad_input, "a keyword or symbol must have 1 to 256 bytes");
    return tagged(t, bytes_view(text));
}

bytes real_raw(double d) {
    if (std::isnan(d)) throw error(errc::bad_input, "NaN cannot be stored");
    return tagged(value_type::real, std::bit_cast<std::uint64_t>(d == 0 ? 0.0 : d));
}

bytes decimal_raw(const std::string& text) {
    parts_of(text);
    if (text.size() > long_text_bytes)
        throw error(errc::bad_input, "a decimal of more than 256 characters");
    return tagged(value_type::decimal, bytes_view(text));
}

/// The raw bytes, or empty if the kinds do not fit.
bytes fitted(const value& v, value_type t) {
    switch (t) {
        case value_type::boolean:
            if (auto b = v.get_if<bool>()) return {static_cast<char>(t), static_cast<char>(*b)};
            break;
        case value_type::integer:
            if (auto i = v.get_if<std::int64_t>()) return tagged(t, static_cast<std::uint64_t>(*i));
            break;
        case value_type::real:
            if (auto d = v.get_if<double>()) return real_raw(*d);
            if (auto i = v.get_if<std::int64_t>()) {
                const auto d = static_cast<double>(*i);
                if (d < 0x1p63 && static_cast<std::int64_t>(d) == *i) return real_raw(d);
            }
            break;
        case value_type::decimal:
            if (auto d = v.get_if<decimal>()) return decimal_raw(d->text);
            if (auto i = v.get_if<std::int64_t>()) return decimal_raw(std::to_string(*i));
            break;
        case value_type::instant:
            if (auto i = v.get_if<inst>()) return tagged(t, static_cast<std::uint64_t>(i->ms));
            break;
        case value_type::string:
            if (auto s = v.get_if<std::string>()) return tagged(t, bytes_view(*s));
            break;
        case value_type::keyword:
            if (auto k = v.get_if<keyword>()) return tagged_name(t, k->text);
            break;
        case value_type::symbol:
            if (auto s = v.get_if<symbol>()) return tagged_name(t, s->text);
            break;
        case value_type::uuid:
            if (auto u = v.get_if<uuid>())
                return tagged(
                    t, bytes_view(reinterpret_cast<const char*>(u->raw.data()), u->raw.size()));
            break;
        case value_type::bytes:
            if (auto b = v.get_if<blob>()) return tagged(t, bytes_view(b->data));
            break;
        case value_type::ref:
            if (auto i = v.get_if<std::int64_t>(); i && *i >= 0 && *i < entity_limit)
                return raw_ref(*i);
            break;
    }
    return {};
}

}  // namespace

bytes raw_ref(entity_id e) {
    bytes raw(1, static_cast<char>(value_type::ref));
    put_id(raw, e);
    return raw;
}

bytes encode_raw(const value& v, value_type t) {
    if (v.is_nil()) throw error(errc::bad_input, "nil is not a value; retract the fact instead");
    bytes raw = fitted(v, t);
    if (raw.empty())
        throw error(errc::bad_input,
                    std::string("a value of type ") + name_of(t) + " is needed, found " +
                        name_of(v.type()));
    return raw;
}

std::optional<bytes> try_encode_raw(const value& v, value_type t) {
    try {
        bytes raw = fitted(v, t);
        if (!raw.empty()) return raw;
    } catch (const error&) {
        // Not a value any fact can have.
    }
    return std::nullopt;
}

value_view view_of_raw(bytes_view raw) {
    if (raw.empty()) damaged("a value is missing");
    value_view v;
    v.type = static_cast<value_type>(raw.front());
    const bytes_view payload = raw.substr(1);
    const auto require = [&](std::size_t n) {
        if (payload.size() != n) damaged("a value has the wrong size");
    };
    switch (v.type) {
        case value_type::boolean:
            require(1);
            v.integer = payload[0];
            break;
        case value_type::integer:
        case value_type::instant:
            require(8);
            v.integer = static_cast<std::int64_t>(get_be64(payload));
            break;
        case value_type::real:
            require(8);
            v.real = std::bit_cast<double>(static_cast<std::uint64_t>(get_be64(payload)));
            break;
        case value_type::ref:
            require(id_bytes);
            v.integer = get_id(payload.data());
            break;
        case value_type::uuid:
            require(16);
            [[fallthrough]];
        case value_type::decimal:
        case value_type::string:
        case value_type::keyword:
        case value_type::symbol:
        case value_type::bytes:
            v.text = payload;
            break;
        default:
            damaged("a value has an unknown type");
    }
    return v;
}

void append_key(bytes& out, bytes_view raw) {
    const value_view v = view_of_raw(raw);
    out.push_back(raw.front());
    switch (v.type) {
        case value_type::integer:
        case value_type::instant:
            put_be64(out, ordered(v.integer));
            break;
        case value_type::real:
            put_be64(out, ordered(v.real));
            break;
        case value_type::decimal:
            append_decimal(out, v.text);
            break;
        case value_type::keyword:
        case value_type::symbol:
            append_name(out, v.text);
            out.append(2, '\0');
            break;
        case value_type::string:
        case value_type::bytes:
            if (v.text.size() <= long_text_bytes) {
                append_escaped(out, v.text);
                out.append(2, '\0');
            } else {
                append_escaped(out, v.text.substr(0, long_prefix_bytes));
                out.append("\x00\x01", 2);
                const hash16 h = hash_short("trib.value.1", v.text, {});
                out.append(reinterpret_cast<const char*>(h.data()), h.size());
            }
            break;
        default:
            out.append(raw.substr(1));
    }
}

namespace {

bool sorts_by_prefix(bytes_view raw) {
    const auto t = static_cast<value_type>(raw.front());
    return (t == value_type::string || t == value_type::bytes) &&
           raw.size() - 1 >= long_prefix_bytes;
}

void append_key_prefix(bytes& out, bytes_view raw) {
    out.push_back(raw.front());
    append_escaped(out, raw.substr(1, long_prefix_bytes));
}

}  // namespace

void append_key_bound(bytes& out, bytes_view raw) {
    if (sorts_by_prefix(raw))
        append_key_prefix(out, raw);
    else
        append_key(out, raw);
}

namespace {

/// Unescapes up to the end mark; false if it is the mark of a long text.
bool take_escaped(bytes_view& in, bytes& out) {
    out.clear();
    for (;;) {
        const auto zero = in.find('\0');
        if (zero == bytes_view::npos || zero + 1 >= in.size())
            damaged("a text in a key has no end");
        out.append(in.substr(0, zero));
        const char mark = in[zero + 1];
        in.remove_prefix(zero + 2);
        if (mark == '\0') return true;
        if (mark == '\x01') {
            take_bytes(in, 16);
            return false;
        }
        out.push_back('\0');
    }
}

void take_name(bytes_view& in, bytes& out) {
    take_escaped(in, out);
    const auto mark = out.find('\x01');
    if (mark == 0)
        out.erase(0, 1);
    else if (mark != bytes::npos)
        out[mark] = '/';
}

}  // namespace

bool take_key(bytes_view& in, bytes& scratch, value_view& out) {
    out.type = static_cast<value_type>(take_bytes(in, 1).front());
    switch (out.type) {
        case value_type::boolean:
            out.integer = take_bytes(in, 1).front();
            return true;
        case value_type::integer:
        case value_type::instant:
            out.integer = static_cast<std::int64_t>(get_be64(take_bytes(in, 8)) ^ sign_bit);
            return true;
        case value_type::real:
            out.real = unordered_real(get_be64(take_bytes(in, 8)));
            return true;
        case value_type::ref:
            out.integer = get_id(take_bytes(in, id_bytes).data());
            return true;
        case value_type::uuid:
            out.text = take_bytes(in, 16);
            return true;
        case value_type::keyword:
        case value_type::symbol:
            take_name(in, scratch);
            out.text = scratch;
            return true;
        case value_type::decimal: {
            const char sign = take_bytes(in, 1).front();
            if (sign != '\x02') {
                take_bytes(in, 8);
                const auto end = in.find(sign == '\x01' ? '\xff' : '\0');
                if (end == bytes_view::npos) damaged("a decimal in a key has no end");
                in.remove_prefix(end + 1);
            }
            take_escaped(in, scratch);
            out.text = scratch;
            return true;
        }
        case value_type::string:
        case value_type::bytes: {
            // Most texts hold no zero byte: seen in place then.
            const auto zero = in.find('\0');
            if (zero != bytes_view::npos && zero + 1 < in.size() && in[zero + 1] == '\0') {
                out.text = in.substr(0, zero);
                in.remove_prefix(zero + 2);
                return true;
            }
            const bool whole = take_escaped(in, scratch);
            out.text = scratch;
            return whole;
        }
    }
    damaged("a value in a key has an unknown type");
}

int compare(const value_view& a, const value_view& b) {
    if (a.type != b.type) return a.type < b.type ? -1 : 1;
    const auto three_way = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
    switch (a.type) {
        case value_type::boolean:
        case value_type::integer:
        case value_type::instant:
        case value_type::ref:
            return three_way(a.integer, b.integer);
        case value_type::real:
            return three_way(a.real, b.real);
        case value_type::decimal: {
            bytes x, y;
            append_decimal(x, a.text);
            append_decimal(y, b.text);
            return three_way(x, y);
        }
        case value_type::keyword:
        case value_type::symbol: {
            bytes x, y;
            append_name(x, a.text);
            append_name(y, b.text);
            return three_way(x, y);
        }
        default:
            return three_way(a.text, b.text);
    }
}

bool value_view::operator==(const value_view& other) const {
    if (type != other.type || integer != other.integer || text != other.text) return false;
    return type != value_type::real || real == other.real;
}

value value_view::to_value() const {
    switch (type) {
        case value_type::boolean:
            return value(integer != 0);
        case value_type::integer:
        case value_type::ref:
            return value(integer);
        case value_type::real:
            return value(real);
        case value_type::decimal:
            return value(tributary::decimal{std::string(text)});
        case value_type::instant:
            return value(inst{integer});
        case value_type::string:
            return value(std::string(text));
        case value_type::keyword:
            return value(tributary::keyword{std::string(text)});
        case value_type::symbol:
            return value(tributary::symbol{std::string(text)});
        case value_type::uuid: {
            tributary::uuid u;
            std::copy(text.begin(), text.end(), u.raw.begin());
            return value(u);
        }
        case value_type::bytes:
            return value(blob{std::string(text)});
    }
    return {};
}

}  // namespace tributary::datom
