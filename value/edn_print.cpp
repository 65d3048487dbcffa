#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/number.hpp"
#include "tributary/value/quote.hpp"
#include "tributary/value/token.hpp"

#include <algorithm>
#include <cmath>

namespace tributary::edn {

bool is_keyword_text(std::string_view text) {
    if (text.empty() || text[0] == ':' || text[0] == '/') return false;
    return std::none_of(text.begin(), text.end(), ends_token);
}

bool is_symbol_text(std::string_view text) {
    if (text == "nil" || text == "true" || text == "false" || text.empty()) return false;
    if (text == "/") return true;
    const auto digit_at = [&](std::size_t i) {
        return i < text.size() && text[i] >= '0' && text[i] <= '9';
    };
    if (text[0] == '#' || text[0] == '\'' || digit_at(0)) return false;
    if ((text[0] == '-' || text[0] == '+' || text[0] == '.') && digit_at(1)) return false;
    return is_keyword_text(text);
}

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    put_quoted(out, text);
    return out;
}

std::string tagged(std::string_view tag, const std::string& text) {
    return "#" + std::string(tag) + " " + quoted(text);
}

std::string text_of(double d) {
    if (std::isnan(d)) return "##NaN";
    if (std::isinf(d)) return d > 0 ? "##Inf" : "##-Inf";
    return shortest_text(d);
}

std::string text_of(const uuid& u) {
    std::string hex = to_hex({reinterpret_cast<const char*>(u.raw.data()), u.raw.size()});
    for (const std::size_t at : {20, 16, 12, 8}) hex.insert(at, 1, '-');
    return tagged("uuid", hex);
}

/// Of a value that holds no others.
struct scalar_text {
    std::string operator()(std::monostate) const { return "nil"; }
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(std::int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const { return text_of(d); }
    std::string operator()(const std::string& s) const { return quoted(s); }
    std::string operator()(const blob& b) const { return tagged(bytes_tag, to_hex(b.data)); }
    std::string operator()(const keyword& k) const {
        return is_keyword_text(k.text) ? ":" + k.text : tagged(keyword_tag, k.text);
    }
    std::string operator()(const symbol& s) const {
        return is_symbol_text(s.text) ? s.text : tagged(symbol_tag, s.text);
    }
    std::string operator()(const uuid& u) const { return text_of(u); }
    std::string operator()(inst t) const { return tagged("inst", format_instant(t)); }
    std::string operator()(const decimal& d) const { return d.text + "M"; }
    std::string operator()(const bigint& b) const { return b.text + "N"; }
    template <class Container>
    std::string operator()(const Container&) const {
        return {};
    }
};

/// The elements of a container, however it is kept.
struct elements {
    const char* open = nullptr;
    const char* close = nullptr;
    const vector* items = nullptr;
    const map* entries = nullptr;
};

elements elements_of(const value& v) {
    if (const auto* items = v.get_if<vector>()) return {"[", "]", items};
    if (const auto* l = v.get_if<list>()) return {"(", ")", &l->items};
    if (const auto* s = v.get_if<set>()) return {"#{", "}", &s->items};
    if (const auto* m = v.get_if<map>()) return {"{", "}", nullptr, m};
    return {};
}

void print_to(std::string& out, const value& v) {
    const elements e = elements_of(v);
    if (!e.open) {
        out += std::visit(scalar_text{}, v.as_variant());
        return;
    }
    out += e.open;
    const std::size_t start = out.size();
    const auto gap = [&](const char* text) {
        if (out.size() != start) out += text;
    };
    if (e.items) {
        for (const value& item : *e.items) gap(" "), print_to(out, item);
    } else {
        for (const auto& [key, item] : e.entries->entries) {
            gap(", ");
            print_to(out, key);
            out += ' ';
            print_to(out, item);
        }
    }
    out += e.close;
}

class pretty_printer {
public:
    explicit pretty_printer(int width) : width_(static_cast<std::size_t>(std::max(width, 1))) {}

    /// `column` is where the text will start, `after` how much will follow it on its last line.
    void put(const value& v, std::size_t column, std::size_t after) {
        const std::string flat = print(v);
        const elements e = elements_of(v);
        if (!e.open || column + columns(flat) + after <= width_) {
            out_ += flat;
            return;
        }
        out_ += e.open;
        const std::size_t inner = column + std::string_view(e.open).size();
        const std::size_t n = e.items ? e.items->size() : e.entries->entries.size();
        for (std::size_t i = 0; i < n; ++i) {
            if (i > 0) out_ += '\n' + std::string(inner, ' ');
            const std::size_t rest = i + 1 == n ? after + 1 : 0;
            if (e.items) {
                put((*e.items)[i], inner, rest);
            } else {
                const auto& [key, item] = e.entries->entries[i];
                const std::string key_text = print(key);
                out_ += key_text + ' ';
                put(item, inner + columns(key_text) + 1, rest);
            }
        }
        out_ += e.close;
    }

    std::string take() { return std::move(out_); }

private:
    static std::size_t columns(std::string_view text) {
        return static_cast<std::size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
    }

    std::size_t width_;
    std::string out_;
};

}  // namespace

std::string print(const value& v) {
    std::string out;
    print_to(out, v);
    return out;
}

std::string describe(const value& v) {
    std::string text = print(v);
    if (text.size() <= 60) return text;
    std::size_t end = 60;
    while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole characters
    return text.substr(0, end) + "...";
}

std::string print_pretty(const value& v, int width) {
    pretty_printer printer(width);
    printer.put(v, 0, 0);
    return printer.take();
}

}  // namespace tributary::edn
