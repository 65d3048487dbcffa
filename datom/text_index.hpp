/// The full-text index: which texts have which terms, how often, and how long they are.
///
/// A term is a word, or its stem if the attribute has a language. Postings are written in the batch
/// of the facts they are about and are never taken back: they name candidates, and the facts a
/// database value shows decide. A posting says when its fact was asserted, so nothing but that time
/// needs to be compared.
#pragma once

#include "tributary/datom/encoding.hpp"
#include "tributary/datom/schema.hpp"
#include "tributary/store/kv.hpp"

#include <functional>
#include <map>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tributary::datom {

/// The terms of one text. Views are valid until the next text.
class text_terms {
public:
    struct term {
        std::string_view text;
        std::uint32_t count = 0;
    };

    /// O(size log size).
    void read(std::string_view utf8, const std::string& language);
    /// Sorted, each once.
    const std::vector<term>& all() const { return terms_; }
    /// How many words the text has, repeated ones too.
    std::uint32_t length() const { return length_; }

private:
    std::string letters_;
    std::vector<std::pair<std::size_t, std::size_t>> places_;
    std::vector<term> terms_;
    std::uint32_t length_ = 0;
};

/// That a term is in a text.
struct posting {
    static constexpr std::int64_t unknown_t = -1;

    entity_id e = 0;
    std::int64_t t = unknown_t;  ///< when the fact was asserted; unknown before version 2 of these
    std::uint32_t count = 0;     ///< of the term in the text
    std::uint32_t length = 0;    ///< of the text, in words
    /// Whether e and t name one fact of the attribute: there may be several under cardinality many.
    bool is_exact = false;
};
using posting_visitor = std::function<void(const posting&)>;

/// All texts ever asserted of an attribute, by the postings that say when.
struct text_totals {
    std::int64_t since_t = 0;  ///< of the first of them
    std::uint64_t texts = 0;
    std::uint64_t words = 0;
    bool operator==(const text_totals&) const = default;
};
bytes pack(const text_totals& totals);
text_totals unpack_text_totals(bytes_view data);
/// Zeros if there are none.
text_totals read_text_totals(const kv_reader& store, const attribute& a);

/// The postings of a term, or of all that begin with `term`.
void read_postings(const kv_reader& store,
                   const attribute& a,
                   std::string_view term,
                   bool prefix,
                   const posting_visitor& visit);
/// The postings under one key whose batch began with `batch_t`. Errors: io (damaged).
void for_each_posting(bytes_view packed, std::int64_t batch_t, const posting_visitor& visit);

/// What one batch adds to the index.
class text_batch {
public:
    /// `arena` must outlive it.
    explicit text_batch(std::pmr::memory_resource* arena) : arena_(arena), packed_(arena) {}

    /// A fact is asserted at t in the batch that began with `batch_t`. Returns by how many bytes
    /// the batch grew, about.
    std::size_t add(const attribute& a,
                    entity_id e,
                    std::string_view text,
                    std::int64_t t,
                    std::int64_t batch_t);
    /// Gives every key and value to `put`, those of the totals too.
    void finish(const kv_reader& store,
                std::int64_t batch_t,
                const std::function<void(bytes key, bytes val)>& put) const;

private:
    struct list {
        using allocator_type = std::pmr::polymorphic_allocator<char>;
        explicit list(const allocator_type& a) : packed(a) {}
        list(list&& other, const allocator_type& a)
            : packed(std::move(other.packed), a), last_e(other.last_e) {}

        std::pmr::string packed;
        entity_id last_e = 0;
    };
    /// By bytes, whoever owns them.
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view b) const {
            return std::hash<std::string_view>()(b);
        }
    };
    struct equal {
        using is_transparent = void;
        bool operator()(std::string_view x, std::string_view y) const { return x == y; }
    };

    std::pmr::memory_resource* arena_;
    std::pmr::unordered_map<std::pmr::string, list, hash, equal> packed_;
    std::map<std::uint32_t, text_totals> totals_;
};

}  // namespace tributary::datom
