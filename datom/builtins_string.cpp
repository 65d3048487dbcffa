#include "tributary/datom/builtins.hpp"
#include "tributary/value/edn.hpp"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <optional>

namespace tributary::datom::datalog {

namespace {

using args = std::span<const cell>;

constexpr std::string_view space = " \t\r\n\f\v";
constexpr std::string_view line_ends = "\r\n";

/// Bytes of the character that begins here.
std::size_t character_size(std::string_view utf8) {
    std::size_t n = 1;
    while (n < utf8.size() && (static_cast<unsigned char>(utf8[n]) & 0xC0) == 0x80) ++n;
    return n;
}

/// One character of a pattern of `like`, or one of its wildcards.
struct like_token {
    enum class form { literal, one, any };
    form what = form::literal;
    std::string_view text;
    std::size_t size = 0;  ///< in the pattern
};

like_token next_token(std::string_view pattern) {
    if (pattern.front() == '%') return {like_token::form::any, {}, 1};
    if (pattern.front() == '_') return {like_token::form::one, {}, 1};
    const std::size_t escape = pattern.front() == '\\' && pattern.size() > 1 ? 1 : 0;
    const std::size_t n = character_size(pattern.substr(escape));
    return {like_token::form::literal, pattern.substr(escape, n), escape + n};
}

/// SQL's: % stands for any text, _ for one character, \ takes the next one literally. Goes back
/// only to the last %, so that it is never worse than the product of the lengths.
bool is_like(std::string_view text, std::string_view pattern) {
    std::optional<std::string_view> after_any;
    std::string_view retry;
    while (!text.empty() || !pattern.empty()) {
        if (!pattern.empty()) {
            const like_token token = next_token(pattern);
            if (token.what == like_token::form::any) {
                pattern.remove_prefix(token.size);
                after_any = pattern;
                retry = text;
                continue;
            }
            const bool fits =
                token.what == like_token::form::one ? !text.empty() : text.starts_with(token.text);
            if (fits) {
                pattern.remove_prefix(token.size);
                text.remove_prefix(token.what == like_token::form::one ? character_size(text)
                                                                       : token.text.size());
                continue;
            }
        }
        if (!after_any || retry.empty()) return false;
        retry.remove_prefix(character_size(retry));
        text = retry;
        pattern = *after_any;
    }
    return true;
}

cell like(call_context&, args a) { return cell::of(is_like(text_of(a[0]), text_of(a[1]))); }

std::string_view trimmed(std::string_view text, std::string_view what, bool left, bool right) {
    const auto from = left ? text.find_first_not_of(what) : 0;
    if (from == std::string_view::npos) return {};
    text.remove_prefix(from);
    const auto last = right ? text.find_last_not_of(what) : text.size() - 1;
    return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

/// (join coll), (join separator coll).
cell join(call_context& c, args a) {
    const cell& items = a.back();
    if (!items.is_sequence()) fail_call("join takes a collection, found " + describe(items));
    const std::string_view separator = a.size() == 2 ? text_of(a[0]) : std::string_view();
    std::string all;
    for (std::uint32_t i = 0; i < items.size; ++i) {
        if (i > 0) all += separator;
        const cell& item = items.items[i];
        if (!item.is_nil())
            all += item.is(kind::string) ? std::string(item.view()) : edn::print(to_value(item));
    }
    return new_string(c, all);
}

/// Both are texts: what to look for is taken literally.
cell replace(call_context& c, args a, bool only_first) {
    const std::string_view text = text_of(a[0]);
    const std::string_view from = text_of(a[1]);
    const std::string_view to = text_of(a[2]);
    if (from.empty()) fail_call("replace needs a text to look for that is not empty");
    std::string changed;
    std::size_t at = 0;
    for (std::size_t found = text.find(from); found != std::string_view::npos;
         found = text.find(from, at)) {
        changed += text.substr(at, found - at);
        changed += to;
        at = found + from.size();
        if (only_first) break;
    }
    changed += text.substr(at);
    return new_string(c, changed);
}

cell position(args a, bool last) {
    const std::string_view text = text_of(a[0]);
    const auto found = last ? text.rfind(text_of(a[1])) : text.find(text_of(a[1]));
    if (found == std::string_view::npos) return {};
    return cell::of(static_cast<std::int64_t>(length(text.substr(0, found))));
}

cell capitalize(call_context& c, args a) {
    const std::string_view text = text_of(a[0]);
    if (text.empty()) return a[0];
    icu::UnicodeString all =
        icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
    icu::UnicodeString rest = all.tempSubString(all.moveIndex32(0, 1));
    icu::UnicodeString first = all.tempSubString(0, all.moveIndex32(0, 1));
    std::string changed;
    first.toUpper(icu::Locale::getRoot()).toUTF8String(changed);
    rest.toLower(icu::Locale::getRoot()).toUTF8String(changed);
    return new_string(c, changed);
}

cell reverse(call_context& c, args a) {
    std::string_view text = text_of(a[0]);
    std::string turned;
    while (!text.empty()) {
        const std::size_t n = character_size(text);
        turned.insert(0, text.substr(0, n));
        text.remove_prefix(n);
    }
    return new_string(c, turned);
}

cell split_lines(call_context& c, args a) {
    std::string_view text = text_of(a[0]);
    std::vector<cell> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(cell::of_text(
            kind::string, trimmed(text.substr(0, end), "\r", false, end < text.size())));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    const auto items = c.memory.make<cell>(lines.size());
    std::copy(lines.begin(), lines.end(), items.begin());
    return cell::of_items(kind::vector, items);
}

template <bool left, bool right>
cell trim(call_context&, args a) {
    return cell::of_text(kind::string, trimmed(text_of(a[0]), space, left, right));
}

constexpr builtin strings[] = {
    {"like", 2, 2, like},
    {"not-like", 2, 2, [](call_context& c, args a) { return cell::of(!like(c, a).is_true()); }},
    {"clojure.string/trim", 1, 1, trim<true, true>},
    {"clojure.string/triml", 1, 1, trim<true, false>},
    {"clojure.string/trimr", 1, 1, trim<false, true>},
    {"clojure.string/trim-newline",
     1,
     1,
     [](call_context&, args a) {
         return cell::of_text(kind::string, trimmed(text_of(a[0]), line_ends, false, true));
     }},
    {"clojure.string/join", 1, 2, join},
    {"clojure.string/replace", 3, 3, [](call_context& c, args a) { return replace(c, a, false); }},
    {"clojure.string/replace-first",
     3,
     3,
     [](call_context& c, args a) { return replace(c, a, true); }},
    {"clojure.string/index-of", 2, 2, [](call_context&, args a) { return position(a, false); }},
    {"clojure.string/last-index-of", 2, 2, [](call_context&, args a) { return position(a, true); }},
    {"clojure.string/capitalize", 1, 1, capitalize},
    {"clojure.string/reverse", 1, 1, reverse},
    {"clojure.string/split-lines", 1, 1, split_lines},
};

}  // namespace

std::span<const builtin> string_builtins() { return strings; }

}  // namespace tributary::datom::datalog
