#include "tributary/datom/words.hpp"

#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <memory>

namespace tributary::datom {

namespace {

constexpr std::size_t word_bytes_max = 128;
constexpr std::uint32_t word_categories = U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK;

bool is_word_char(UChar32 c) {
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return (U_MASK(u_charType(c)) & word_categories) != 0;
}

bool is_unspaced_script(UChar32 c) {
    if (c < 0x0e00) return false;  // the lowest of them, Thai, begins there
    UErrorCode status = U_ZERO_ERROR;
    switch (uscript_getScript(c, &status)) {
        case USCRIPT_HAN:
        case USCRIPT_HIRAGANA:
        case USCRIPT_KATAKANA:
        case USCRIPT_THAI:
        case USCRIPT_LAO:
        case USCRIPT_KHMER:
        case USCRIPT_MYANMAR:
            return true;
        default:
            return false;
    }
}

using visitor = std::function<void(std::string_view)>;

void add(const visitor& visit, std::string_view word) {
    if (word.size() > word_bytes_max) {
        std::size_t cut = word_bytes_max;
        while ((static_cast<unsigned char>(word[cut]) & 0xc0) == 0x80) --cut;
        word = word.substr(0, cut);
    }
    if (!word.empty()) visit(word);
}

void add_segments(const visitor& visit, const icu::UnicodeString& run) {
    UErrorCode status = U_ZERO_ERROR;
    thread_local const std::unique_ptr<icu::BreakIterator> segments(
        icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    std::string word;
    if (!segments) {
        add(visit, run.toUTF8String(word));
        return;
    }
    segments->setText(run);
    std::int32_t begin = segments->first();
    for (std::int32_t end = segments->next(); end != icu::BreakIterator::DONE;
         begin = end, end = segments->next()) {
        word.clear();
        add(visit, run.tempSubStringBetween(begin, end).toUTF8String(word));
    }
}

void add_run(const visitor& visit, std::string_view run, bool ascii, bool unspaced) {
    if (ascii) {
        std::array<char, word_bytes_max> folded;
        const std::size_t size = std::min(run.size(), folded.size());
        for (std::size_t i = 0; i < size; ++i) {
            const char c = run[i];
            folded[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        }
        visit({folded.data(), size});
        return;
    }
    icu::UnicodeString text =
        icu::UnicodeString::fromUTF8({run.data(), static_cast<std::int32_t>(run.size())});
    text.foldCase();
    if (unspaced) {
        add_segments(visit, text);
    } else {
        std::string word;
        add(visit, text.toUTF8String(word));
    }
}

}  // namespace

void for_each_word(std::string_view utf8, const visitor& visit) {
    const auto size = static_cast<std::int32_t>(utf8.size());
    bool ascii = true, unspaced = false;
    std::int32_t begin = 0;
    for (std::int32_t at = 0; at <= size;) {
        const std::int32_t here = at;
        UChar32 c = -1;
        if (at < size)
            U8_NEXT(utf8.data(), at, size, c);
        else
            ++at;
        if (c >= 0 && is_word_char(c)) {
            ascii &= c < 0x80;
            unspaced |= is_unspaced_script(c);
            continue;
        }
        if (here > begin) add_run(visit, utf8.substr(begin, here - begin), ascii, unspaced);
        begin = at;
        ascii = true;
        unspaced = false;
    }
}

std::vector<std::string> words(std::string_view utf8) {
    std::vector<std::string> found;
    for_each_word(utf8, [&](std::string_view word) { found.emplace_back(word); });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

}  // namespace tributary::datom
