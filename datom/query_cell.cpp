#include "tributary/datom/query_cell.hpp"

#include "tributary/value/edn.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace tributary::datom::datalog {

namespace {

std::uint32_t checked_size(std::size_t n) {
    if (n > std::numeric_limits<std::uint32_t>::max()) {
        throw error(errc::limit, "query: a value of more than 4 GiB; select less");
    }
    return static_cast<std::uint32_t>(n);
}

/// Namespace and name; the namespace is empty if there is none. The symbol and keyword `/` has only
/// a name.
std::pair<std::string_view, std::string_view> split_name(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || text.size() == 1) return {{}, text};
    return {text.substr(0, slash), text.substr(slash + 1)};
}

std::strong_ordering order_of(int c) { return c <=> 0; }

/// Exact, although not every int64 is a double.
std::strong_ordering compare_mixed(std::int64_t i, double d) {
    if (std::isnan(d)) return std::strong_ordering::less;
    if (d >= 9223372036854775808.0) return std::strong_ordering::less;
    if (d < -9223372036854775808.0) return std::strong_ordering::greater;
    const auto whole = static_cast<std::int64_t>(d);
    if (i != whole) return i <=> whole;
    const double rest = d - static_cast<double>(whole);
    return rest > 0 ? std::strong_ordering::less
                    : (rest < 0 ? std::strong_ordering::greater : std::strong_ordering::equal);
}

std::strong_ordering compare_reals(double a, double b) {
    return std::isnan(a) || std::isnan(b)
               ? std::isnan(a) <=> std::isnan(b)
               : (a < b ? std::strong_ordering::less
                        : (a > b ? std::strong_ordering::greater : std::strong_ordering::equal));
}

std::strong_ordering compare_numbers(const cell& a, const cell& b) {
    if (a.is(kind::integer) && b.is(kind::integer)) return a.integer <=> b.integer;
    if (a.is(kind::integer) && b.is(kind::real)) return compare_mixed(a.integer, b.real);
    if (a.is(kind::real) && b.is(kind::integer)) return 0 <=> compare_mixed(b.integer, a.real);
    if (a.is(kind::real) || b.is(kind::real)) return compare_reals(as_double(a), as_double(b));
    return compare_by_size(number_text(a), number_text(b));
}

/// Of a double and a decimal or bigint that is one as a double.
std::strong_ordering compare_beyond(const cell& a, const cell& b) {
    if (a.is(kind::real)) return 0 <=> compare_beyond(b, a);
    return std::isnan(b.real) ? std::strong_ordering::equal : compare_by_size(a.view(), b.real);
}

std::strong_ordering compare_items(std::span<const cell> a, std::span<const cell> b) {
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
        if (const auto c = compare(a[i], b[i]); c != 0) return c;
    }
    return a.size() <=> b.size();
}

std::strong_ordering compare_names(std::string_view a, std::string_view b) {
    const auto [a_space, a_name] = split_name(a);
    const auto [b_space, b_name] = split_name(b);
    if (const int c = a_space.compare(b_space); c != 0) return order_of(c);
    return order_of(a_name.compare(b_name));
}

}  // namespace

std::string number_text(const cell& c) {
    return c.is(kind::integer) ? std::to_string(c.integer) : std::string(c.view());
}

cell cell::of_text(kind k, std::string_view t) {
    cell c;
    c.type = k;
    c.size = checked_size(t.size());
    c.text = t.data();
    return c;
}

cell cell::of_items(kind k, std::span<const cell> items) {
    cell c;
    c.type = k;
    c.size = checked_size(items.size());
    c.items = items.data();
    return c;
}

bool equal_collections(const cell& a, const cell& b) {
    if (a.size != b.size) return false;
    for (std::uint32_t i = 0; i < a.size; ++i) {
        if (!equal(a.items[i], b.items[i])) return false;
    }
    return true;
}

std::uint32_t hash_collection(const cell& c) {
    std::uint32_t h = mix(static_cast<unsigned>(c.type) + 1000);
    for (const cell& item : c.span()) h = mix((static_cast<std::uint64_t>(h) << 32) | hash(item));
    return h;
}

double as_double(const cell& c) {
    if (c.is(kind::integer)) return static_cast<double>(c.integer);
    if (c.is(kind::real)) return c.real;
    return std::strtod(std::string(c.view()).c_str(), nullptr);
}

std::strong_ordering compare(const cell& a, const cell& b) {
    if (a.is_number() && b.is_number()) {
        if (const auto by_size = compare_numbers(a, b); by_size != 0) return by_size;
        if (a.type == b.type) return a.is_text() ? order_of(a.view().compare(b.view())) : 0 <=> 0;
        const bool rounded = a.is(kind::real) ? b.is_text() : b.is(kind::real) && a.is_text();
        const auto exactly = rounded ? compare_beyond(a, b) : std::strong_ordering::equal;
        return exactly != 0 ? exactly : a.type <=> b.type;
    }
    if (a.type != b.type) return a.type <=> b.type;
    switch (a.type) {
        case kind::keyword:
        case kind::symbol:
            return compare_names(a.view(), b.view());
        case kind::string:
        case kind::bytes:
        case kind::uuid:
            return order_of(a.view().compare(b.view()));
        case kind::vector:
        case kind::list:
        case kind::set:
        case kind::map:
            return compare_items(a.span(), b.span());
        default:
            return a.integer <=> b.integer;
    }
}

bool same_number(const cell& a, const cell& b) {
    if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
    return equal(a, b);
}

std::optional<cell> calculate(exact_operation o, const cell& a, const cell& b, arena& memory) {
    const bool are_whole = !a.is(kind::decimal) && !b.is(kind::decimal);
    const auto result = datom::calculate(o, number_text(a), number_text(b), are_whole);
    if (!result) return std::nullopt;
    return cell::of_text(are_whole ? kind::bigint : kind::decimal, memory.copy(*result));
}

cell to_cell(const value& v, arena& memory) {
    const auto text = [&](std::string_view t) { return cell::of_text(v.type(), memory.copy(t)); };
    const auto items = [&](const std::vector<value>& from) {
        const auto to = memory.make<cell>(from.size());
        for (std::size_t i = 0; i < from.size(); ++i) to[i] = to_cell(from[i], memory);
        return cell::of_items(v.type(), to);
    };
    switch (v.type()) {
        case kind::nil:
            return {};
        case kind::boolean:
            return cell::of(v.as<bool>());
        case kind::integer:
            return cell::of(v.as<std::int64_t>());
        case kind::real: {
            const double d = v.as<double>();
            return cell::of(std::isnan(d) ? std::numeric_limits<double>::quiet_NaN() : d);
        }
        case kind::string:
            return text(v.as<std::string>());
        case kind::bytes:
            return text(v.as<blob>().data);
        case kind::keyword:
            return text(v.as<keyword>().text);
        case kind::symbol:
            return text(v.as<symbol>().text);
        case kind::decimal:
            return text(v.as<decimal>().text);
        case kind::bigint:
            return text(v.as<bigint>().text);
        case kind::uuid: {
            const auto& raw = v.as<uuid>().raw;
            return text({reinterpret_cast<const char*>(raw.data()), raw.size()});
        }
        case kind::inst:
            return cell::number(kind::inst, v.as<inst>().ms);
        case kind::vector:
            return items(v.as<vector>());
        case kind::list:
            return items(v.as<list>().items);
        case kind::set:
            return items(v.as<set>().items);
        case kind::map: {
            const auto& entries = v.as<map>().entries;
            const auto to = memory.make<cell>(entries.size() * 2);
            for (std::size_t i = 0; i < entries.size(); ++i) {
                to[2 * i] = to_cell(entries[i].first, memory);
                to[2 * i + 1] = to_cell(entries[i].second, memory);
            }
            return cell::of_items(kind::map, to);
        }
    }
    return {};
}

value to_value(const cell& c) {
    const auto text = [&] { return std::string(c.view()); };
    const auto items = [&] {
        std::vector<value> all;
        all.reserve(c.size);
        for (const cell& item : c.span()) all.push_back(to_value(item));
        return all;
    };
    switch (c.type) {
        case kind::nil:
            return {};
        case kind::boolean:
            return c.integer != 0;
        case kind::integer:
            return c.integer;
        case kind::real:
            return c.real;
        case kind::string:
            return text();
        case kind::bytes:
            return blob{text()};
        case kind::keyword:
            return keyword{text()};
        case kind::symbol:
            return symbol{text()};
        case kind::decimal:
            return decimal{text()};
        case kind::bigint:
            return bigint{text()};
        case kind::uuid: {
            uuid u;
            std::memcpy(u.raw.data(), c.text, u.raw.size());
            return u;
        }
        case kind::inst:
            return inst{c.integer};
        case kind::vector:
            return items();
        case kind::list:
            return list{items()};
        case kind::set:
            return set{items()};
        case kind::map: {
            map m;
            for (std::uint32_t i = 0; i + 1 < c.size; i += 2) {
                m.entries.emplace_back(to_value(c.items[i]), to_value(c.items[i + 1]));
            }
            return m;
        }
    }
    return {};
}

cell persist(const cell& c, arena& memory) {
    cell kept = c;
    if (c.is_text()) {
        kept.text = memory.copy(c.view()).data();
    } else if (c.is_collection()) {
        const auto to = memory.make<cell>(c.size);
        for (std::uint32_t i = 0; i < c.size; ++i) to[i] = persist(c.items[i], memory);
        kept.items = to.data();
    }
    return kept;
}

std::string describe(const cell& c) {
    std::string text = edn::print(to_value(c));
    if (text.size() > 120) text = text.substr(0, 117) + "...";
    return text;
}

}  // namespace tributary::datom::datalog
