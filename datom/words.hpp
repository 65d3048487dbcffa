/// The words of a text, for full-text search.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::datom {

/// The distinct words of `utf8`, sorted: maximal runs of letters, marks and digits (Unicode),
/// case-folded; a run in a script written without spaces is cut by ICU's word segmentation.
/// "Node.js-Straße" has node, js, strasse. Bytes that are no UTF-8 separate words. Words beyond 128
/// bytes are cut there. O(size).
std::vector<std::string> words(std::string_view utf8);

/// The same as they come, repeated as often as they do; the views die with the visit.
void for_each_word(std::string_view utf8, const std::function<void(std::string_view)>& visit);

}  // namespace tributary::datom
