#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"
#include "tributary/value/number.hpp"
#include "tributary/value/quote.hpp"

#include <cmath>

namespace tributary::json {
namespace {

class printer {
public:
    explicit printer(std::string& out) : out_(out) {}

    void put(const value& v) { std::visit(*this, v.as_variant()); }

    void operator()(std::monostate) { out_ += "null"; }
    void operator()(bool b) { out_ += b ? "true" : "false"; }
    void operator()(std::int64_t i) { out_ += std::to_string(i); }
    /// JSON has no NaN and no infinity.
    void operator()(double d) { out_ += std::isfinite(d) ? shortest_text(d) : "null"; }
    void operator()(const std::string& s) { put_quoted(out_, s); }
    void operator()(const blob& b) { put_quoted(out_, to_hex(b.data)); }
    void operator()(const keyword& k) { put_quoted(out_, ":" + k.text); }
    void operator()(const symbol& s) { put_quoted(out_, s.text); }
    void operator()(const uuid& u) {
        std::string text = to_hex({reinterpret_cast<const char*>(u.raw.data()), u.raw.size()});
        for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, 1, '-');
        put_quoted(out_, text);
    }
    void operator()(inst t) { put_quoted(out_, format_instant(t)); }
    /// JSON allows no leading zeros.
    void operator()(const decimal& d) {
        std::string_view text = d.text;
        if (text.substr(0, 1) == "-") out_ += '-', text.remove_prefix(1);
        while (text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
            text.remove_prefix(1);
        }
        out_ += text;
    }
    void operator()(const bigint& b) { out_ += b.text; }
    void operator()(const vector& items) {
        char before = '[';
        for (const value& item : items) {
            out_ += before;
            before = ',';
            put(item);
        }
        if (items.empty()) out_ += before;
        out_ += ']';
    }
    void operator()(const list& l) { (*this)(l.items); }
    void operator()(const set& s) { (*this)(s.items); }
    void operator()(const map& m) {
        char before = '{';
        for (const auto& [key, item] : m.entries) {
            out_ += before;
            before = ',';
            const auto* text = key.get_if<std::string>();
            put_quoted(out_, text ? *text : edn::print(key));
            out_ += ':';
            put(item);
        }
        if (m.entries.empty()) out_ += before;
        out_ += '}';
    }

private:
    std::string& out_;
};

}  // namespace

std::string print(const value& v) {
    std::string out;
    printer(out).put(v);
    return out;
}

}  // namespace tributary::json
