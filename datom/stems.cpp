#include "tributary/datom/stems.hpp"

#include "tributary/value/error.hpp"

#include <libstemmer.h>

#include <algorithm>
#include <map>
#include <memory>

namespace tributary::datom {

namespace {

struct stemmer_deleter {
    void operator()(sb_stemmer* s) const { sb_stemmer_delete(s); }
};
using stemmer = std::unique_ptr<sb_stemmer, stemmer_deleter>;

}  // namespace

std::vector<std::string> stemming_languages() {
    std::vector<std::string> languages;
    for (const char** name = sb_stemmer_list(); *name != nullptr; ++name)
        languages.emplace_back(*name);
    std::sort(languages.begin(), languages.end());
    return languages;
}

bool is_stemming_language(const std::string& language) {
    const auto known = stemming_languages();
    return std::binary_search(known.begin(), known.end(), language);
}

std::string_view stem(std::string_view word, const std::string& language) {
    if (language.empty()) return word;
    // A stemmer works for one thread at a time and takes long to make.
    thread_local std::map<std::string, stemmer> stemmers;
    stemmer& s = stemmers[language];
    if (!s) s.reset(sb_stemmer_new(language.c_str(), "UTF_8"));
    TRIBUTARY_CHECK(s);
    const sb_symbol* stemmed = sb_stemmer_stem(
        s.get(), reinterpret_cast<const sb_symbol*>(word.data()), static_cast<int>(word.size()));
    if (stemmed == nullptr) return word;
    const int size = sb_stemmer_length(s.get());
    return size == 0 ? word : std::string_view(reinterpret_cast<const char*>(stemmed), size);
}

}  // namespace tributary::datom
