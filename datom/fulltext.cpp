#include "tributary/datom/fulltext.hpp"

#include "tributary/datom/stems.hpp"
#include "tributary/datom/words.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>

namespace tributary::datom {

namespace {

constexpr double k1 = 1.2;
constexpr double b = 0.75;
/// Beyond one candidate in so many facts, walking all facts is faster than getting each.
constexpr std::uint64_t facts_per_get = 24;

struct search_term {
    std::string text;
    bool prefix = false;
    bool operator==(const search_term&) const = default;
};

std::vector<search_term> terms_of(std::string_view query, const std::string& language) {
    std::vector<search_term> terms;
    while (!query.empty()) {
        const auto space = std::min(query.find_first_of(" \t\r\n"), query.size());
        const std::string_view piece = query.substr(0, space);
        query.remove_prefix(std::min(space + 1, query.size()));
        std::vector<std::string> pieces;
        for_each_word(piece, [&](std::string_view word) { pieces.emplace_back(word); });
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            const bool prefix = piece.ends_with('*') && i + 1 == pieces.size();
            search_term term{prefix ? pieces[i] : std::string(stem(pieces[i], language)), prefix};
            if (std::find(terms.begin(), terms.end(), term) == terms.end())
                terms.push_back(std::move(term));
        }
    }
    return terms;
}

/// Stems that are not longer than this beginning of a word, of words that may have it: its own, as
/// much of it as a stem may be.
std::vector<std::string> shorter_stems(const std::string& beginning, const std::string& language) {
    std::vector<std::string> all;
    for (std::size_t n = 1; n < beginning.size(); ++n) {
        const bool inside_character = (static_cast<unsigned char>(beginning[n]) & 0xC0) == 0x80;
        if (!inside_character) all.push_back(beginning.substr(0, n));
    }
    const std::string_view own = stem(beginning, language);
    if (!own.starts_with(beginning) && !std::string_view(beginning).starts_with(own))
        all.emplace_back(own);
    return all;
}

class search {
public:
    search(const reader& r, const attribute& a, std::vector<search_term> terms)
        : reader_(r), attribute_(a), terms_(std::move(terms)) {
        const auto is_prefix = [](const search_term& t) { return t.prefix; };
        is_about_words_ =
            !a.language.empty() && std::any_of(terms_.begin(), terms_.end(), is_prefix);
    }

    std::vector<text_match> run() {
        collect();
        visit_candidates();
        score();
        return std::move(matches_);
    }

private:
    struct candidate {
        posting p;
        std::uint32_t term = 0;
    };

    void collect() {
        for (std::uint32_t i = 0; i < terms_.size(); ++i) {
            const auto [text, prefix] = terms_[i];
            const auto take = [&](const posting& p) { candidates_.push_back({p, i}); };
            reader_.scan_postings(attribute_, text, prefix, take);
            if (!prefix || attribute_.language.empty()) continue;
            for (const std::string& stem : shorter_stems(text, attribute_.language))
                reader_.scan_postings(attribute_, stem, false, take);
        }
        std::sort(
            candidates_.begin(), candidates_.end(), [](const candidate& x, const candidate& y) {
                return std::tie(x.p.e, x.p.t, x.term) < std::tie(y.p.e, y.p.t, y.term);
            });
    }

    void visit_candidates() {
        counts_.resize(terms_.size());
        const bool get_each = candidates_.size() * facts_per_get < reader_.count(attribute_);
        const auto column = get_each ? nullptr : reader_.column(attribute_);
        for (std::size_t begin = 0, end = 0; begin < candidates_.size(); begin = end) {
            const entity_id e = candidates_[begin].p.e;
            while (end < candidates_.size() && candidates_[end].p.e == e) ++end;
            const std::span<const candidate> about(candidates_.data() + begin, end - begin);
            if (get_each) {
                reader_.scan_eavt(
                    e, &attribute_, [&](const datom_ref& d) { return match(d, about), true; });
                continue;
            }
            for (column->seek(e); column->valid() && column->get().e == e; column->next())
                match(column->get(), about);
        }
    }

    void match(const datom_ref& d, std::span<const candidate> about) {
        std::fill(counts_.begin(), counts_.end(), 0);
        length_ = 0;
        if (!count_by_postings(d, about)) count_by_text(d);
        if (std::all_of(counts_.begin(), counts_.end(), [](auto n) { return n == 0; })) return;
        matches_.push_back({d.e, std::string(d.v.text), d.tx, d.added, 0});
        weights_.insert(weights_.end(), counts_.begin(), counts_.end());
        lengths_.push_back(length_);
    }

    /// False if only the text itself can tell.
    bool count_by_postings(const datom_ref& d, std::span<const candidate> about) {
        // Retractions, and what a rewind restored in a window that begins later, have other times
        // than the assertion that the postings tell of.
        if (is_about_words_ || !d.added || reader_.is_history() || reader_.since_t()) return false;
        const std::int64_t t = t_of_entity(d.tx);
        for (const candidate& c : about) {
            if (c.p.t == posting::unknown_t) return false;
            if (c.p.t != t) continue;
            if (!c.p.is_exact) return false;
            counts_[c.term] += c.p.count;
            length_ = c.p.length;
        }
        return true;
    }

    void count_by_text(const datom_ref& d) {
        std::fill(counts_.begin(), counts_.end(), 0);
        text_.read(d.v.text, attribute_.language);
        length_ = text_.length();
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            const auto& [wanted, prefix] = terms_[i];
            if (prefix && is_about_words_) {
                for_each_word(d.v.text, [&, &start = wanted](std::string_view word) {
                    counts_[i] += word.starts_with(start);
                });
                continue;
            }
            for (const auto& [term, count] : text_.all())
                if (prefix ? term.starts_with(wanted) : term == wanted) counts_[i] += count;
        }
    }

    void score() {
        const std::size_t n = terms_.size();
        const double facts = static_cast<double>(
            std::max<std::uint64_t>(reader_.count(attribute_), matches_.size()));
        std::vector<double> rarity(n);
        for (std::size_t i = 0; i < n; ++i) {
            double having = 0;
            for (std::size_t m = 0; m < matches_.size(); ++m) having += weights_[m * n + i] > 0;
            rarity[i] = std::log1p((facts - having + 0.5) / (having + 0.5));
        }
        const double average = average_length();
        for (std::size_t m = 0; m < matches_.size(); ++m) {
            const double norm = k1 * (1 - b + b * lengths_[m] / average);
            for (std::size_t i = 0; i < n; ++i) {
                const double count = weights_[m * n + i];
                matches_[m].score += rarity[i] * count * (k1 + 1) / (count + norm);
            }
        }
    }

    double average_length() const {
        const text_totals totals = reader_.totals_of_texts(attribute_);
        if (totals.words > 0)
            return static_cast<double>(totals.words) / static_cast<double>(totals.texts);
        double words = 0;
        for (const std::uint32_t length : lengths_) words += length;
        return words / static_cast<double>(std::max<std::size_t>(1, lengths_.size()));
    }

    const reader& reader_;
    const attribute& attribute_;
    const std::vector<search_term> terms_;
    /// Postings have stems; what words begin with, the texts themselves tell.
    bool is_about_words_ = false;
    std::vector<candidate> candidates_;
    text_terms text_;
    /// Of the fact in hand: how often it has each term, and its length.
    std::vector<std::uint32_t> counts_;
    std::uint32_t length_ = 0;
    /// The same of every match.
    std::vector<std::uint32_t> weights_;
    std::vector<std::uint32_t> lengths_;
    std::vector<text_match> matches_;
};

}  // namespace

std::vector<text_match> search_text(const reader& r, const attribute& a, std::string_view query) {
    if (!a.fulltext)
        throw error(errc::bad_input,
                    "the attribute :" + a.ident.text +
                        " is not full-text, which is said when an attribute is made; make one with "
                        ":db/fulltext true and copy the texts to it");
    return search(r, a, terms_of(query, a.language)).run();
}

}  // namespace tributary::datom
