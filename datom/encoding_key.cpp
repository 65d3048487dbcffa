// Values as parts of keys.

#include "tributary/datom/encoding.hpp"
#include "tributary/datom/exact_number.hpp"
#include "tributary/value/hash.hpp"

#include <bit>

namespace tributary::datom {

namespace {

constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

/// In a tuple, below the tag of any element.
constexpr char tuple_end = '\x00', nil_element = '\x01';

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

/// Keys sort by amount; the text follows and tells 1.0 from 1.00.
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

void append_key(bytes& out, bytes_view raw) {
    const value_view v = view_of_raw(raw);
    out.push_back(raw.front());
    switch (v.type) {
        case value_type::integer:
        case value_type::instant:
            put_be64(out, ordered(v.integer));
            break;
        case value_type::real:
        case value_type::floating:
            put_be64(out, ordered(v.real));
            break;
        case value_type::decimal:
        case value_type::bigint:
            append_decimal(out, v.text);
            break;
        case value_type::keyword:
        case value_type::symbol:
            append_name(out, v.text);
            out.append(2, '\0');
            break;
        case value_type::tuple:
            for_each_element(v.text, [&](bytes_view element) {
                if (element.empty())
                    out.push_back(nil_element);
                else
                    append_key(out, element);
            });
            out.push_back(tuple_end);
            break;
        case value_type::string:
        case value_type::uri:
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
    return (t == value_type::string || t == value_type::uri || t == value_type::bytes) &&
           raw.size() - 1 >= long_prefix_bytes;
}

void append_key_prefix(bytes& out, bytes_view raw) {
    out.push_back(raw.front());
    append_escaped(out, raw.substr(1, long_prefix_bytes));
}

}  // namespace

void append_key_bound(bytes& out, bytes_view raw) {
    if (sorts_by_prefix(raw)) {
        append_key_prefix(out, raw);
    } else if (raw.front() == static_cast<char>(value_type::tuple)) {
        out.push_back(raw.front());
        for (bytes_view elements = raw.substr(1); !elements.empty();) {
            const bytes_view element = take_element(elements);
            if (element.empty()) {
                out.push_back(nil_element);
                continue;
            }
            append_key_bound(out, element);
            if (sorts_by_prefix(element)) return;
        }
        out.push_back(tuple_end);
    } else {
        append_key(out, raw);
    }
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

namespace {

bool take_tuple(bytes_view& in, bytes& scratch) {
    bytes raw, text, elements;
    bool whole = true;
    for (;;) {
        const char mark = take_bytes(in, 1).front();
        if (mark == tuple_end) break;
        raw.clear();
        if (mark != nil_element) {
            bytes_view from(in.data() - 1, in.size() + 1);
            value_view v;
            whole = take_key(from, text, v) && whole;
            append_raw(raw, v);
            in = from;
        }
        put_varint(elements, raw.size());
        elements += raw;
    }
    scratch = std::move(elements);
    return whole;
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
        case value_type::floating:
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
        case value_type::tuple: {
            const bool whole = take_tuple(in, scratch);
            out.text = scratch;
            return whole;
        }
        case value_type::decimal:
        case value_type::bigint: {
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
        case value_type::uri:
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

namespace {

/// Element by element, nil lowest.
int compare_elements(bytes_view a, bytes_view b) {
    while (!a.empty() && !b.empty()) {
        const bytes_view x = take_element(a), y = take_element(b);
        if (x.empty() || y.empty()) {
            if (x.empty() != y.empty()) return x.empty() ? -1 : 1;
        } else if (const int c = compare(view_of_raw(x), view_of_raw(y))) {
            return c;
        }
    }
    return a.empty() ? (b.empty() ? 0 : -1) : 1;
}

}  // namespace

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
        case value_type::floating:
            return three_way(a.real, b.real);
        case value_type::tuple:
            return compare_elements(a.text, b.text);
        case value_type::bigint:
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

}  // namespace tributary::datom
