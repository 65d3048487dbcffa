/// Searching the texts of an attribute.
#pragma once

#include "tributary/datom/reader.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tributary::datom {

struct text_match {
    entity_id e = 0;
    std::string text;
    entity_id tx = 0;
    bool added = true;
    double score = 0;
};

/// The visible facts of `a` whose text has at least one of the words of `query`, by entity; `wor*`
/// stands for all words that begin so. Words are stemmed as the attribute's are, beginnings are
/// not.
///
/// Scores are BM25's (k1 1.2, b 0.75): a text scores more the rarer its words are, the more often
/// it has them, and the shorter it is. How many facts have a word is counted among the visible
/// ones, exactly; how many facts there are, and how long texts are on average, is taken from the
/// basis (as-of does not change it). All words that begin alike count as one.
///
/// O(matches, and as many again of facts that are no longer visible). Errors: bad_input if the
/// attribute is not full-text.
std::vector<text_match> search_text(const reader& r, const attribute& a, std::string_view query);

}  // namespace tributary::datom
