/// Stems of words, by language, so that a search for "running" finds "runs".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tributary::datom {

/// The languages there are stems for ("english", "german", ...), sorted.
std::vector<std::string> stemming_languages();
bool is_stemming_language(const std::string& language);

/// The stem of a word as words() gives it; the word itself without a language. The view is valid
/// until the next call in this thread. Precondition: `language` is empty or a stemming language.
std::string_view stem(std::string_view word, const std::string& language);

}  // namespace tributary::datom
