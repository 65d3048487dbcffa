#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/msgpack.hpp"
#include "tributary/value/number.hpp"
#include "tributary/value/token.hpp"
#include "tributary/value/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

namespace tributary::edn {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

bool continues_character(char c) { return (c & 0xc0) == 0x80; }

std::string place_in(std::string_view text, std::size_t at) {
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i < at; ++i) {
        if (text[i] == '\n') {
            ++line;
            column = 1;
        } else if (!continues_character(text[i])) {
            ++column;
        }
    }
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// The line of byte `at`, cut to what is near it, and a caret under it.
std::string caret_line(std::string_view text, std::size_t at) {
    constexpr std::size_t near = 60;
    const std::size_t line_begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
    const std::size_t line_end = std::min(text.find('\n', at), text.size());
    std::size_t begin = at - line_begin > near ? at - near : line_begin;
    std::size_t end = line_end - at > near ? at + near : line_end;
    while (begin > line_begin && continues_character(text[begin])) --begin;
    while (end < line_end && continues_character(text[end])) ++end;
    std::string shown = "  ";
    std::string below = "  ";
    if (begin > line_begin) shown += "...", below += "   ";
    for (std::size_t i = begin; i < end; ++i) {
        // Tabs and other control characters would move the caret away.
        shown += static_cast<unsigned char>(text[i]) < 0x20 ? ' ' : text[i];
        if (i < at && !continues_character(text[i])) below += ' ';
    }
    if (end < line_end) shown += "...";
    return "\n" + shown + "\n" + below + "^";
}

constexpr const char* syntax_error = "db.error/syntax";

class reader {
public:
    explicit reader(std::string_view text) : text_(text) {
        if (!valid_utf8(text)) {
            at_ = utf8_error_offset(text);
            throw error(
                errc::bad_input,
                syntax_error,
                place(at_) + ": expected UTF-8, found the byte " + to_hex(text.substr(at_, 1)));
        }
    }

    value read_one() {
        value v = read_value("a value");
        skip_space();
        if (!at_end()) fail("the end of the text after the value");
        return v;
    }

    std::optional<std::size_t> find(const std::function<bool(const value&)>& wanted) {
        wanted_ = &wanted;
        for (skip_space(); !at_end() && !found_; skip_space()) read_value("a value");
        return found_;
    }

    std::vector<value> read_all() {
        std::vector<value> values;
        for (skip_space(); !at_end(); skip_space()) values.push_back(read_value("a value"));
        return values;
    }

private:
    bool at_end() const { return at_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }

    std::string place(std::size_t at) const { return place_in(text_, at); }

    /// What stands at the current place, for a message.
    std::string found() const {
        if (at_end()) return "the end of the text";
        std::size_t n = 0;
        while (n < 40 && at_ + n < text_.size() && !ends_token(text_[at_ + n])) ++n;
        if (n == 0) n = 1;
        while (at_ + n < text_.size() && (text_[at_ + n] & 0xc0) == 0x80) ++n;
        return std::string(text_.substr(at_, n));
    }

    [[noreturn]] void fail(const std::string& expected, const std::string& found) const {
        throw error(errc::bad_input,
                    syntax_error,
                    pointed_at(text_, at_, "expected " + expected + ", found " + found));
    }
    [[noreturn]] void fail(const std::string& expected) const { fail(expected, found()); }
    [[noreturn]] void fail_at(std::size_t at,
                              const std::string& expected,
                              const std::string& what) {
        at_ = at;
        fail(expected, what);
    }

    /// What another program's reader would make of its own accord.
    [[noreturn]] void fail_code(std::size_t at, const std::string& what) const {
        throw error(errc::bad_input,
                    "db.error/not-serializable",
                    pointed_at(text_, at, "expected plain data, found " + what));
    }

    void skip_space() {
        while (!at_end()) {
            const char c = peek();
            if (is_space(c)) {
                ++at_;
            } else if (c == ';') {
                while (!at_end() && peek() != '\n') ++at_;
            } else if (c == '#' && text_.substr(at_, 2) == "#_") {
                at_ += 2;
                read_value("a value to leave out after #_");
            } else {
                return;
            }
        }
    }

    value read_value(const char* expected) {
        // Counted before skipping, as a value left out may begin with another one.
        if (++depth_ > nesting_max + 1) fail_nesting();
        skip_space();
        if (at_end()) fail(expected);
        const std::size_t start = at_;
        value v = read_here(expected);
        if (wanted_ != nullptr && !found_ && (*wanted_)(v)) found_ = start;
        --depth_;
        return v;
    }

    /// Of the containers, scalars inside the innermost are no level.
    void enter() const {
        if (depth_ > nesting_max) fail_nesting();
    }

    [[noreturn]] void fail_nesting() const {
        fail("at most " + std::to_string(nesting_max) + " levels of nesting", "one more");
    }

    value read_here(const char* expected) {
        const char c = peek();
        switch (c) {
            case '[':
                return read_items(']');
            case '(':
                return list{read_items(')')};
            case '{':
                return read_map();
            case '"':
                return read_string();
            case ':':
                return read_keyword();
            case '#':
                return read_dispatch();
            case '\\':
                fail("a string of one character, as characters are not supported");
            case '\'':
                fail(std::string(expected) + " without a quote");
            default:
                break;
        }
        if (ends_token(c)) fail(expected);
        const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        if (digit(c) || ((c == '-' || c == '+') && digit(next))) return read_number();
        if (c == '.' && digit(next)) fail("a digit before the point, as in 0.5");
        return read_symbol();
    }

    std::string_view take_token() {
        const std::size_t start = at_;
        while (!at_end() && !ends_token(peek())) ++at_;
        return text_.substr(start, at_ - start);
    }

    vector read_items(char close) {
        enter();
        const std::size_t open = at_++;
        vector items;
        for (skip_space(); peek() != close; skip_space()) {
            if (at_end()) fail_unclosed(open, close);
            items.push_back(read_value("a value"));
        }
        ++at_;
        return items;
    }

    [[noreturn]] void fail_unclosed(std::size_t open, char close) const {
        fail(std::string(1, close) + " to close the " + text_[open] + " of " + place(open));
    }

    value read_map() {
        enter();
        const std::size_t open = at_++;
        std::vector<std::pair<value, value>> entries;
        for (skip_space(); peek() != '}'; skip_space()) {
            if (at_end()) fail_unclosed(open, '}');
            value key = read_value("a key");
            skip_space();
            if (peek() == '}') fail("a value for the key " + print(key));
            entries.emplace_back(std::move(key), read_value("a value for the last key"));
        }
        ++at_;
        try {
            return make_map(std::move(entries));
        } catch (const error& e) {
            at_ = open + 1;
            fail_at(find_repeated('}', true), "a map of distinct keys", e.what());
        }
    }

    /// The second of two equal keys or elements from here on.
    std::size_t find_repeated(char close, bool with_values) {
        std::set<value> seen;
        for (skip_space(); peek() != close; skip_space()) {
            const std::size_t start = at_;
            if (!seen.insert(read_value("a value")).second) return start;
            if (with_values) read_value("a value");
        }
        return at_;
    }

    value read_set() {
        const std::size_t open = at_;
        vector items = read_items('}');
        try {
            return make_set(std::move(items));
        } catch (const error& e) {
            at_ = open + 1;
            fail_at(find_repeated('}', false), "a set of distinct elements", e.what());
        }
    }

    std::string read_string() {
        const std::size_t open = at_++;
        std::string out;
        while (true) {
            const std::size_t stop = text_.find_first_of("\"\\", at_);
            if (stop == std::string_view::npos) {
                at_ = text_.size();
                fail("\" to close the string of " + place(open));
            }
            out.append(text_.substr(at_, stop - at_));
            at_ = stop + 1;
            if (text_[stop] == '"') return out;
            read_escape(out);
        }
    }

    void read_escape(std::string& out) {
        const char c = peek();
        const std::size_t start = at_ - 1;
        ++at_;
        switch (c) {
            case '"':
            case '\\':
            case '/':
                out.push_back(c);
                return;
            case 'n':
                out.push_back('\n');
                return;
            case 't':
                out.push_back('\t');
                return;
            case 'r':
                out.push_back('\r');
                return;
            case 'b':
                out.push_back('\b');
                return;
            case 'f':
                out.push_back('\f');
                return;
            case 'u':
                put_utf8(out, read_unicode(start));
                return;
            default:
                break;
        }
        fail_at(
            start, "an escape: \\\" \\\\ \\n \\t \\r \\b \\f \\uXXXX", "\\" + std::string(1, c));
    }

    std::uint32_t read_hex4(std::size_t start) {
        std::uint32_t code = 0;
        const std::string_view digits = text_.substr(at_, 4);
        const auto [end, ec] =
            std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (ec != std::errc{} || digits.size() != 4 || end != digits.data() + 4) {
            fail_at(start, "four hex digits after \\u", std::string(digits));
        }
        at_ += 4;
        return code;
    }

    std::uint32_t read_unicode(std::size_t start) {
        const std::uint32_t code = read_hex4(start);
        if (code < 0xd800 || code > 0xdfff) return code;
        if (code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
            at_ += 2;
            const std::uint32_t low = read_hex4(start);
            if (low >= 0xdc00 && low <= 0xdfff) {
                return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        fail_at(start, "a character", "half of a surrogate pair");
    }

    value read_keyword() {
        const std::size_t start = at_;
        const std::string_view token = take_token();
        if (!is_keyword_text(token.substr(1))) fail_at(start, "a keyword", std::string(token));
        return keyword{std::string(token.substr(1))};
    }

    value read_symbol() {
        const std::size_t start = at_;
        const std::string_view token = take_token();
        if (token == "nil") return nullptr;
        if (token == "true") return true;
        if (token == "false") return false;
        if (!is_symbol_text(token)) fail_at(start, "a symbol", std::string(token));
        return symbol{std::string(token)};
    }

    /// [+-]?digits, with a fraction or exponent a double; N and M behind say bigint and decimal.
    value read_number() {
        const std::size_t start = at_;
        const std::string_view token = take_token();
        std::string_view text = token;
        if (text[0] == '+') text.remove_prefix(1);
        const char suffix = text.back();
        if (suffix == 'N' || suffix == 'M') text.remove_suffix(1);

        const bool whole = text.find_first_of(".eE") == std::string_view::npos;
        if (!is_decimal(text) || (suffix == 'N' && !whole)) {
            fail_at(start, "a number", std::string(token));
        }
        if (suffix == 'M') return decimal{std::string(text)};
        const std::size_t first = text[0] == '-' ? 1 : 0;
        if (text[first] == '0' && first + 1 < text.size() && digit(text[first + 1])) {
            fail_at(start, "a number without leading zeros", std::string(token));
        }
        if (suffix == 'N') return bigint{text == "-0" ? "0" : std::string(text)};
        return whole ? integer(text) : real(start, text);
    }

    static value integer(std::string_view text) {
        std::int64_t i = 0;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), i);
        if (ec == std::errc{}) return i;
        return bigint{std::string(text)};
    }

    value real(std::size_t start, std::string_view text) {
        double d = 0;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), d);
        if (ec != std::errc{}) {
            fail_at(start, "a number a double can hold (or M behind it)", std::string(text));
        }
        return d;
    }

    value read_dispatch() {
        const std::size_t start = at_++;
        switch (peek()) {
            case '{':
                return read_set();
            case '#':
                return read_special(start);
            case ':':
                return read_namespaced_map(start);
            case '"':
                fail_code(start,
                          "a regular expression; it is written as a string, as in (re-find "
                          "\"a.*\" ?x)");
            case '(':
                fail_code(start,
                          "a function; register it from C++ (query_options::functions) and call "
                          "it by its name");
            default:
                break;
        }
        const std::string_view tag = take_token();
        if (tag.empty()) fail_at(start, "#{ #_ ## or a tag", "#");
        return read_tagged(start, tag);
    }

    /// #:ns{:a 1} is {:ns/a 1}: keys that are keywords or symbols without a namespace get this one;
    /// _/a stays a.
    value read_namespaced_map(std::size_t start) {
        const std::string ns(take_token().substr(1));
        if (!is_keyword_text(ns) || ns.find('/') != ns.npos)
            fail_at(start, "a namespace, as in #:person{:name 1}", "#:" + ns);
        skip_space();
        if (peek() != '{') fail("a map after #:" + ns);
        const value read = read_map();
        std::vector<std::pair<value, value>> entries;
        for (const auto& [k, held] : read.as<map>().entries)
            entries.emplace_back(with_namespace(ns, k), held);
        try {
            return make_map(std::move(entries));
        } catch (const error& e) {
            fail_at(start, "a map of distinct keys", e.what());
        }
    }

    static value with_namespace(const std::string& ns, const value& key) {
        const auto full = [&](const std::string& text) {
            if (text.starts_with("_/")) return text.substr(2);
            return text.find('/') == text.npos ? ns + "/" + text : text;
        };
        if (const keyword* k = key.get_if<keyword>()) return keyword{full(k->text)};
        if (const symbol* s = key.get_if<symbol>()) return symbol{full(s->text)};
        return key;
    }

    value read_special(std::size_t start) {
        ++at_;
        const std::string_view name = take_token();
        if (name == "NaN") return std::numeric_limits<double>::quiet_NaN();
        if (name == "Inf") return std::numeric_limits<double>::infinity();
        if (name == "-Inf") return -std::numeric_limits<double>::infinity();
        fail_at(start, "##NaN, ##Inf or ##-Inf", "##" + std::string(name));
    }

    /// A tempid. Numbers are the user partition's, so that those of others stay apart from them.
    value read_entity_id() {
        skip_space();
        const std::size_t start = at_;
        const value v = read_value("[partition] or [partition negative-number]");
        const auto* items = v.get_if<vector>();
        const auto* partition = items && !items->empty() && items->size() <= 2
                                    ? items->front().get_if<keyword>()
                                    : nullptr;
        const auto* number =
            partition && items->size() == 2 ? items->back().get_if<std::int64_t>() : nullptr;
        if (!partition || (items->size() == 2 && !(number && *number < 0)))
            fail_at(start, "[partition] or [partition negative-number] after #db/id", print(v));
        if (partition->text == "db.part/tx") return "datomic.tx";
        const std::int64_t n = number ? *number : fresh_tempid_--;
        if (partition->text == "db.part/user") return n;
        return "#db/id[:" + partition->text + " " + std::to_string(n) + "]";
    }

    value read_tagged(std::size_t start, std::string_view tag) {
        if (tag == "db/id") return read_entity_id();
        const bool known = tag == "inst" || tag == "uuid" || tag == bytes_tag ||
                           tag == keyword_tag || tag == symbol_tag;
        if (!known)
            fail_code(start,
                      "the tag #" + std::string(tag) +
                          "; there are #inst, #uuid, #db/id, #trib/bytes \"00ff\", #trib/keyword "
                          "and #trib/symbol");
        skip_space();
        const std::size_t at = at_;
        if (peek() != '"') fail("a string after #" + std::string(tag));
        const std::string text = read_string();
        try {
            if (tag == "inst") return parse_instant(text);
            if (tag == "uuid") return uuid_of(text);
            if (tag == bytes_tag) return blob{from_hex(text)};
            if (tag == keyword_tag) return keyword{text};
            return symbol{text};
        } catch (const error& e) {
            throw error(errc::bad_input, syntax_error, pointed_at(text_, at, e.what()));
        }
    }

    static value uuid_of(std::string_view text) {
        std::string digits;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            if (dash != (text[i] == '-'))
                digits.clear(), i = text.size();
            else if (!dash)
                digits.push_back(text[i]);
        }
        uuid u;
        if (digits.size() != 2 * u.raw.size()) {
            throw error(errc::bad_input,
                        "expected a uuid like f81d4fae-7dec-11d0-a765-00a0c91e6bf6, found " +
                            std::string(text));
        }
        const bytes raw = from_hex(digits);
        std::copy(raw.begin(), raw.end(), u.raw.begin());
        return u;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::int64_t fresh_tempid_ = -1'000'001;  ///< users write the first million themselves
    const std::function<bool(const value&)>* wanted_ = nullptr;
    std::optional<std::size_t> found_;
};

}  // namespace

value read(std::string_view text) { return reader(text).read_one(); }

std::vector<value> read_all(std::string_view text) { return reader(text).read_all(); }

std::optional<std::size_t> find_in(std::string_view text,
                                   const std::function<bool(const value&)>& wanted) {
    try {
        return reader(text).find(wanted);
    } catch (const error&) {
        return std::nullopt;
    }
}

std::string pointed_at(std::string_view text, std::size_t at, const std::string& problem) {
    return place_in(text, at) + ": " + problem + caret_line(text, at);
}

}  // namespace tributary::edn
