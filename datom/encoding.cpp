#include "tributary/datom/encoding.hpp"

#include "tributary/value/number.hpp"
#include "tributary/value/value.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <limits>

namespace tributary::datom {

void damaged(const char* what) {
    throw error(
        errc::io,
        std::string("the datom database is damaged: ") + what + "; restore it or realize it anew");
}

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

constexpr const char* wrong_type = "db.error/wrong-type";

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
            throw error(
                errc::bad_input, wrong_type, "a keyword or symbol with a control character");
    if (text.empty() || text.size() > long_text_bytes)
        throw error(errc::bad_input, wrong_type, "a keyword or symbol must have 1 to 256 bytes");
    return tagged(t, bytes_view(text));
}

bytes real_raw(double d) {
    if (std::isnan(d)) throw error(errc::bad_input, wrong_type, "NaN cannot be stored");
    return tagged(value_type::real, std::bit_cast<std::uint64_t>(d == 0 ? 0.0 : d));
}

/// Rounded to 32 bits, but kept as the double it is.
bytes float_raw(double d) {
    const auto rounded = static_cast<double>(static_cast<float>(d));
    if (std::isnan(d)) throw error(errc::bad_input, wrong_type, "NaN cannot be stored");
    if (std::isinf(rounded) && !std::isinf(d))
        throw error(errc::bad_input, wrong_type, "a number beyond the range of :db.type/float");
    return tagged(value_type::floating, std::bit_cast<std::uint64_t>(rounded == 0 ? 0.0 : rounded));
}

bytes bigint_raw(const std::string& text) {
    if (!is_whole(text)) throw error(errc::bad_input, wrong_type, "no whole number: " + text);
    if (text.size() > long_text_bytes)
        throw error(errc::bad_input, wrong_type, "a bigint of more than 256 digits");
    return tagged(value_type::bigint, bytes_view(text));
}

/// RFC 3986: a scheme, and only what a URI may hold.
bool is_uri(std::string_view text) {
    const auto hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
    const auto colon = text.find(':');
    if (colon == text.npos || colon == 0 || colon + 1 == text.size() || !letter(text[0]))
        return false;
    const auto in_scheme = [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    };
    if (!std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), in_scheme))
        return false;
    for (std::size_t i = colon; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '%' && (i + 2 >= text.size() || !hex(text[i + 1]) || !hex(text[i + 2])))
            return false;
        // Beyond ASCII is what IRIs allow.
        const bool control = static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
        if (control || std::string_view("<>\"{}|\\^`").find(c) != std::string_view::npos)
            return false;
    }
    return true;
}

bytes uri_raw(const std::string& text) {
    if (!is_uri(text))
        throw error(
            errc::bad_input,
            wrong_type,
            "a URI is needed, such as https://example.org/a, found \"" + text.substr(0, 80) + "\"");
    return tagged(value_type::uri, bytes_view(text));
}

bytes decimal_raw(const std::string& text) {
    bytes key;
    append_key(key, tagged(value_type::decimal, bytes_view(text)));
    if (text.size() > long_text_bytes)
        throw error(errc::bad_input, wrong_type, "a decimal of more than 256 characters");
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
        case value_type::floating:
            if (auto d = v.get_if<double>()) return float_raw(*d);
            if (auto i = v.get_if<std::int64_t>()) {
                const auto f = static_cast<float>(*i);
                if (f < 0x1p63F && static_cast<std::int64_t>(f) == *i) return float_raw(f);
            }
            break;
        case value_type::bigint:
            if (auto b = v.get_if<tributary::bigint>()) return bigint_raw(b->text);
            if (auto i = v.get_if<std::int64_t>()) return bigint_raw(std::to_string(*i));
            break;
        case value_type::decimal:
            if (auto b = v.get_if<tributary::bigint>()) return decimal_raw(b->text);
            if (auto d = v.get_if<decimal>()) return decimal_raw(d->text);
            if (auto i = v.get_if<std::int64_t>()) return decimal_raw(std::to_string(*i));
            break;
        case value_type::instant:
            if (auto i = v.get_if<inst>()) return tagged(t, static_cast<std::uint64_t>(i->ms));
            break;
        case value_type::string:
            if (auto s = v.get_if<std::string>()) return tagged(t, bytes_view(*s));
            break;
        case value_type::uri:
            if (auto s = v.get_if<std::string>()) return uri_raw(*s);
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
        case value_type::tuple:
            break;
    }
    return {};
}

/// How people write a value; null where there is no one way.
const char* example_of(value_type t) {
    switch (t) {
        case value_type::boolean:
            return "true";
        case value_type::integer:
            return "42";
        case value_type::bigint:
            return "42N";
        case value_type::real:
        case value_type::floating:
            return "1.5";
        case value_type::decimal:
            return "1.5M";
        case value_type::instant:
            return "#inst \"2024-05-01T10:00:00Z\"";
        case value_type::string:
            return "\"text\"";
        case value_type::keyword:
            return ":word";
        case value_type::symbol:
            return "word";
        case value_type::uuid:
            return "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
        case value_type::bytes:
            return "#trib/bytes \"00ff\"";
        case value_type::uri:
            return "\"https://example.org\"";
        case value_type::ref:
        case value_type::tuple:
            return nullptr;
    }
    return nullptr;
}

[[noreturn]] void fail_type(value_type t, const value& v) {
    const char* example = example_of(t);
    throw error(errc::bad_input,
                wrong_type,
                std::string("a value of type :") + name_of(t) + " is needed, found " +
                    name_of(v.type()) + (example ? std::string("; write it like ") + example : ""));
}

/// How many elements a tuple of `a` has, for messages.
std::string tuple_size_of(const attribute& a) {
    if (a.uniform) return std::to_string(tuple_size_min) + " to " + std::to_string(tuple_size_max);
    return std::to_string(a.tuple_types.size());
}

bytes tuple_raw(const value& v, const attribute& a) {
    const auto* in_list = v.get_if<list>();
    const auto* items = in_list ? &in_list->items : v.get_if<vector>();
    if (!items) fail_type(a.type, v);
    const std::size_t n = items->size();
    if (a.uniform ? n < tuple_size_min || n > tuple_size_max : n != a.tuple_types.size())
        throw error(
            errc::bad_input,
            wrong_type,
            "a tuple of " + tuple_size_of(a) + " elements is needed, found " + std::to_string(n));
    std::vector<bytes> elements(n);
    for (std::size_t i = 0; i < n; ++i) {
        const value& item = (*items)[i];
        if (item.is_nil()) continue;
        const value_type t = a.tuple_types[a.uniform ? 0 : i];
        if (a.is_composite() && a.parts[i] == 0)
            throw error(errc::bad_input,
                        wrong_type,
                        "there is no attribute :" + a.part_names[i] + " to be a part of the tuple");
        elements[i] = encode_raw(item, t);
    }
    return raw_tuple(elements);
}

}  // namespace

bytes raw_tuple(const std::vector<bytes>& elements) {
    bytes raw(1, static_cast<char>(value_type::tuple));
    for (const bytes& e : elements) {
        put_varint(raw, e.size());
        raw += e;
    }
    if (raw.size() > value_bytes_max)
        throw error(errc::limit, "a tuple of more than 16 MiB cannot be stored");
    return raw;
}

bytes raw_ref(entity_id e) {
    bytes raw(1, static_cast<char>(value_type::ref));
    put_id(raw, e);
    return raw;
}

bytes encode_raw(const value& v, value_type t) {
    if (v.is_nil())
        throw error(errc::bad_input, wrong_type, "nil is not a value; retract the fact instead");
    bytes raw = fitted(v, t);
    if (raw.empty()) fail_type(t, v);
    return raw;
}

bytes encode_raw(const value& v, const attribute& a) {
    return a.is_tuple() && !v.is_nil() ? tuple_raw(v, a) : encode_raw(v, a.type);
}

std::optional<bytes> try_encode_raw(const value& v, const attribute& a) {
    try {
        if (a.is_tuple()) return tuple_raw(v, a);
        bytes raw = fitted(v, a.type);
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
        case value_type::floating:
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
        case value_type::bigint:
        case value_type::string:
        case value_type::uri:
        case value_type::tuple:
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

void append_raw(bytes& out, const value_view& v) {
    out.push_back(static_cast<char>(v.type));
    switch (v.type) {
        case value_type::boolean:
            out.push_back(static_cast<char>(v.integer));
            break;
        case value_type::integer:
        case value_type::instant:
            put_be64(out, static_cast<std::uint64_t>(v.integer));
            break;
        case value_type::real:
        case value_type::floating:
            put_be64(out, std::bit_cast<std::uint64_t>(v.real));
            break;
        case value_type::ref:
            put_id(out, v.integer);
            break;
        default:
            out.append(v.text);
    }
}

bool value_view::operator==(const value_view& other) const {
    if (type != other.type || integer != other.integer || text != other.text) return false;
    return real == other.real;
}

value value_view::to_value() const {
    switch (type) {
        case value_type::boolean:
            return value(integer != 0);
        case value_type::integer:
        case value_type::ref:
            return value(integer);
        case value_type::real:
        case value_type::floating:
            return value(real);
        case value_type::decimal:
            return value(tributary::decimal{std::string(text)});
        case value_type::bigint:
            return value(tributary::bigint{std::string(text)});
        case value_type::instant:
            return value(inst{integer});
        case value_type::string:
        case value_type::uri:
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
        case value_type::tuple: {
            vector items;
            for_each_element(text, [&](bytes_view raw) {
                items.push_back(raw.empty() ? value() : view_of_raw(raw).to_value());
            });
            return value(std::move(items));
        }
    }
    return {};
}

}  // namespace tributary::datom
