#include "tributary/datom/builtins.hpp"
#include "tributary/value/edn.hpp"

#include <unicode/locid.h>
#include <unicode/regex.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

namespace tributary::datom::datalog {

namespace {

using args = std::span<const cell>;

bool is_ascii(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0x80) != 0;
    });
}

/// The byte where character `n` begins; `n` is at most the length.
std::size_t byte_of(std::string_view utf8, std::size_t n) {
    std::size_t at = 0;
    while (at < utf8.size() && ((static_cast<unsigned char>(utf8[at]) & 0xC0) == 0x80 || n-- > 0))
        ++at;
    return at;
}

std::string printed(const cell& c) {
    if (c.is_nil()) return {};
    return c.is(kind::string) ? std::string(c.view()) : edn::print(to_value(c));
}

cell join_text(call_context& c, args a) {
    std::string all;
    for (const cell& part : a) all += printed(part);
    return new_string(c, all);
}

cell print_all(call_context& c, args a) {
    std::string all;
    for (const cell& part : a) all += (all.empty() ? "" : " ") + edn::print(to_value(part));
    return new_string(c, all);
}

cell substring(call_context&, args a) {
    const std::string_view text = text_of(a[0]);
    const auto size = static_cast<std::int64_t>(length(text));
    const std::int64_t from = a[1].is(kind::integer) ? a[1].integer : -1;
    const std::int64_t to = a.size() == 2 ? size : (a[2].is(kind::integer) ? a[2].integer : -1);
    if (from < 0 || to < from || to > size) {
        fail_call("subs takes a start and an end within the string's " + std::to_string(size) +
                  " characters");
    }
    const std::size_t begin = byte_of(text, static_cast<std::size_t>(from));
    const std::size_t end = byte_of(text, static_cast<std::size_t>(to));
    return cell::of_text(kind::string, text.substr(begin, end - begin));
}

cell count(call_context&, args a) {
    if (a[0].is_nil()) return cell::of(std::int64_t{0});
    if (a[0].is(kind::string)) return cell::of(static_cast<std::int64_t>(length(a[0].view())));
    if (a[0].is(kind::map)) return cell::of(std::int64_t{a[0].size / 2});
    if (a[0].is_collection() || a[0].is(kind::bytes)) return cell::of(std::int64_t{a[0].size});
    fail_call("count takes a string or a collection, found " + describe(a[0]));
}

/// Memmem beats std::string_view::find on long texts.
bool includes(std::string_view text, std::string_view part) {
    return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

enum class letter_case { lower, upper };

cell change_case(call_context& c, args a, letter_case to) {
    const std::string_view text = text_of(a[0]);
    std::string changed;
    if (is_ascii(text)) {
        changed = text;
        for (char& ch : changed)
            ch = static_cast<char>(to == letter_case::lower ? u_tolower(ch) : u_toupper(ch));
    } else {
        icu::UnicodeString wide = icu::UnicodeString::fromUTF8(
            icu::StringPiece(text.data(), static_cast<int>(text.size())));
        (to == letter_case::lower ? wide.toLower(icu::Locale::getRoot())
                                  : wide.toUpper(icu::Locale::getRoot()))
            .toUTF8String(changed);
    }
    return new_string(c, changed);
}

icu::UnicodeString wide(std::string_view text) {
    return icu::UnicodeString::fromUTF8(
        icu::StringPiece(text.data(), static_cast<int>(text.size())));
}

bool is_blank(std::string_view text) {
    const icu::UnicodeString all = wide(text);
    for (int i = 0; i < all.length(); i = all.moveIndex32(i, 1)) {
        if (u_isUWhiteSpace(all.char32At(i)) == 0) return false;
    }
    return true;
}

// -- Regular expressions (ICU's: https://unicode-org.github.io/icu/userguide/strings/regexp.html)
// --

/// A compiled pattern, kept from row to row.
struct compiled_pattern {
    std::string text;
    std::unique_ptr<icu::RegexMatcher> matcher;
};

/// ICU asks now and then whether to go on; exceptions must not pass through it.
UBool go_on(const void* context, std::int32_t) {
    try {
        static_cast<const call_context*>(context)->stop();
        return 1;
    } catch (const error&) {
        return 0;
    }
}

icu::RegexMatcher& matcher_for(call_context& c,
                               const cell& pattern,
                               const icu::UnicodeString& text) {
    const std::string_view source = text_of(pattern);
    auto kept = std::static_pointer_cast<compiled_pattern>(c.cache);
    if (!kept || kept->text != source) {
        UErrorCode status = U_ZERO_ERROR;
        auto fresh = std::make_shared<compiled_pattern>();
        fresh->text = source;
        fresh->matcher = std::make_unique<icu::RegexMatcher>(wide(source), 0, status);
        if (U_FAILURE(status))
            fail_call("the regular expression " + describe(pattern) +
                      " is not valid: " + u_errorName(status));
        // About ten seconds, so that a pattern that backtracks without end ends nevertheless.
        fresh->matcher->setTimeLimit(10'000, status);
        c.cache = kept = fresh;
    }
    UErrorCode status = U_ZERO_ERROR;
    kept->matcher->setMatchCallback(go_on, &c, status);
    kept->matcher->reset(text);
    return *kept->matcher;
}

void check_match(call_context& c, UErrorCode status) {
    if (U_SUCCESS(status)) return;
    c.stop();
    fail_call("db.error/limit",
              std::string("the regular expression gave up (") + u_errorName(status) +
                  "); simplify it: repetitions inside repetitions backtrack");
}

/// The match, or a vector of it and its groups if the pattern has groups.
cell matched(call_context& c, icu::RegexMatcher& m) {
    const auto group = [&](int n) {
        UErrorCode status = U_ZERO_ERROR;
        if (m.start(n, status) < 0) return cell();
        std::string text;
        m.group(n, status).toUTF8String(text);
        return new_string(c, text);
    };
    if (m.groupCount() == 0) return group(0);
    const auto items = c.memory.make<cell>(static_cast<std::size_t>(m.groupCount()) + 1);
    for (int n = 0; n <= m.groupCount(); ++n) items[static_cast<std::size_t>(n)] = group(n);
    return cell::of_items(kind::vector, items);
}

cell re_find(call_context& c, args a) {
    const icu::UnicodeString text = wide(text_of(a[1]));
    icu::RegexMatcher& m = matcher_for(c, a[0], text);
    UErrorCode status = U_ZERO_ERROR;
    const bool found = m.find(status) != 0;
    check_match(c, status);
    return found ? matched(c, m) : cell();
}

cell re_matches(call_context& c, args a) {
    const icu::UnicodeString text = wide(text_of(a[1]));
    icu::RegexMatcher& m = matcher_for(c, a[0], text);
    UErrorCode status = U_ZERO_ERROR;
    const bool found = m.matches(status) != 0;
    check_match(c, status);
    return found ? matched(c, m) : cell();
}

cell re_seq(call_context& c, args a) {
    const icu::UnicodeString text = wide(text_of(a[1]));
    icu::RegexMatcher& m = matcher_for(c, a[0], text);
    std::vector<cell> all;
    UErrorCode status = U_ZERO_ERROR;
    while (m.find(status) != 0) all.push_back(matched(c, m));
    check_match(c, status);
    if (all.empty()) return {};
    const auto items = c.memory.make<cell>(all.size());
    std::copy(all.begin(), all.end(), items.begin());
    return cell::of_items(kind::vector, items);
}

/// The pieces between matches; empty ones at the end are left out, as Clojure has it.
cell split(call_context& c, args a) {
    const icu::UnicodeString text = wide(text_of(a[0]));
    icu::RegexMatcher& m = matcher_for(c, a[1], text);
    UErrorCode status = U_ZERO_ERROR;
    std::vector<cell> pieces;
    const auto add = [&](int from, int to) {
        std::string piece;
        text.tempSubStringBetween(from, to).toUTF8String(piece);
        pieces.push_back(new_string(c, piece));
    };
    int from = 0;
    while (m.find(status) != 0) {
        if (m.end(status) > 0) add(from, m.start(status));
        from = m.end(status);
    }
    check_match(c, status);
    add(from, text.length());
    while (pieces.size() > 1 && pieces.back().size == 0) pieces.pop_back();
    const auto items = c.memory.make<cell>(pieces.size());
    std::copy(pieces.begin(), pieces.end(), items.begin());
    return cell::of_items(kind::vector, items);
}

/// A pattern is its text; this only checks it.
cell re_pattern(call_context& c, args a) {
    const icu::UnicodeString empty;
    matcher_for(c, a[0], empty);
    return a[0];
}

constexpr builtin texts[] = {
    {"str", 0, any_number, join_text},
    {"pr-str", 0, any_number, print_all},
    {"subs", 2, 3, substring},
    {"count", 1, 1, count},
    {"clojure.string/includes?",
     2,
     2,
     [](call_context&, args a) { return cell::of(includes(text_of(a[0]), text_of(a[1]))); }},
    {"clojure.string/starts-with?",
     2,
     2,
     [](call_context&, args a) { return cell::of(text_of(a[0]).starts_with(text_of(a[1]))); }},
    {"clojure.string/ends-with?",
     2,
     2,
     [](call_context&, args a) { return cell::of(text_of(a[0]).ends_with(text_of(a[1]))); }},
    {"clojure.string/blank?",
     1,
     1,
     [](call_context&, args a) { return cell::of(a[0].is_nil() || is_blank(text_of(a[0]))); }},
    {"clojure.string/lower-case",
     1,
     1,
     [](call_context& c, args a) { return change_case(c, a, letter_case::lower); }},
    {"clojure.string/upper-case",
     1,
     1,
     [](call_context& c, args a) { return change_case(c, a, letter_case::upper); }},
    {"clojure.string/split", 2, 2, split},
    {"re-pattern", 1, 1, re_pattern},
    {"re-find", 2, 2, re_find},
    {"re-matches", 2, 2, re_matches},
    {"re-seq", 2, 2, re_seq},
};

}  // namespace

std::string_view text_of(const cell& c) {
    if (!c.is(kind::string)) fail_call("expected a string, found " + describe(c));
    return c.view();
}

cell new_string(call_context& c, std::string_view text) {
    return cell::of_text(kind::string, c.memory.copy(text));
}

std::size_t length(std::string_view utf8) {
    return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

std::span<const builtin> text_builtins() { return texts; }

}  // namespace tributary::datom::datalog
