#include "tributary/datom/text_index.hpp"

#include "tributary/datom/keys.hpp"
#include "tributary/datom/stems.hpp"
#include "tributary/datom/words.hpp"

#include <algorithm>

namespace tributary::datom {

void text_terms::read(std::string_view utf8, const std::string& language) {
    letters_.clear();
    places_.clear();
    terms_.clear();
    for_each_word(utf8, [&](std::string_view word) {
        const std::string_view term = stem(word, language);
        places_.emplace_back(letters_.size(), term.size());
        letters_.append(term);
    });
    length_ = static_cast<std::uint32_t>(places_.size());
    for (const auto& [begin, size] : places_)
        terms_.push_back({std::string_view(letters_).substr(begin, size), 1});
    std::sort(
        terms_.begin(), terms_.end(), [](const term& x, const term& y) { return x.text < y.text; });
    std::size_t kept = 0;
    for (std::size_t i = 1; i < terms_.size(); ++i) {
        if (terms_[i].text == terms_[kept].text)
            ++terms_[kept].count;
        else
            terms_[++kept] = terms_[i];
    }
    if (!terms_.empty()) terms_.resize(kept + 1);
}

// -- Totals

bytes pack(const text_totals& totals) {
    bytes out;
    put_id(out, totals.since_t);
    put_varint(out, totals.texts);
    put_varint(out, totals.words);
    return out;
}

text_totals unpack_text_totals(bytes_view data) {
    text_totals totals;
    totals.since_t = get_id(take_bytes(data, id_bytes).data());
    totals.texts = take_varint(data);
    totals.words = take_varint(data);
    return totals;
}

text_totals read_text_totals(const kv_reader& store, const attribute& a) {
    const auto found = store.get(keys::of_attribute(keys::term, a.number()));
    return found ? unpack_text_totals(*found) : text_totals{};
}

// -- Postings

namespace {

/// Before there were terms with times: entities only.
void scan_old_postings(const kv_reader& store, const bytes& key, const posting_visitor& visit) {
    const auto cursor = store.cursor();
    for (cursor->seek(key); cursor->valid() && cursor->key().starts_with(key); cursor->next()) {
        posting p;
        for (bytes_view packed = cursor->val(); !packed.empty(); visit(p))
            p.e += unzigzag(take_varint(packed));
    }
}

}  // namespace

void for_each_posting(bytes_view packed, std::int64_t batch_t, const posting_visitor& visit) {
    posting p;
    while (!packed.empty()) {
        p.e += unzigzag(take_varint(packed));
        p.t = batch_t + static_cast<std::int64_t>(take_varint(packed));
        const std::uint64_t count = take_varint(packed);
        p.count = static_cast<std::uint32_t>(count >> 1);
        p.is_exact = (count & 1) == 0;
        p.length = static_cast<std::uint32_t>(take_varint(packed));
        visit(p);
    }
}

void read_postings(const kv_reader& store,
                   const attribute& a,
                   std::string_view term,
                   bool prefix,
                   const posting_visitor& visit) {
    if (term.empty()) return;
    bytes key = keys::of_attribute(keys::term, a.number()).append(term);
    if (!prefix) key.push_back('\0');
    const auto cursor = store.cursor();
    for (cursor->seek(key); cursor->valid() && cursor->key().starts_with(key); cursor->next()) {
        const bytes_view found = cursor->key();
        for_each_posting(cursor->val(), get_id(found.data() + found.size() - id_bytes), visit);
    }
    key.front() = keys::word;
    scan_old_postings(store, key, visit);
}

// -- A batch

std::size_t text_batch::add(
    const attribute& a, entity_id e, std::string_view text, std::int64_t t, std::int64_t batch_t) {
    thread_local text_terms terms;
    terms.read(text, a.language);
    bytes key = keys::of_attribute(keys::term, a.number());
    const std::size_t head = key.size();
    std::size_t grown = 0;
    for (const auto& [term, count] : terms.all()) {
        key.resize(head);
        key.append(term).push_back('\0');
        auto it = packed_.find(std::string_view(key));
        if (it == packed_.end()) it = packed_.try_emplace(std::pmr::string(key, arena_)).first;
        list& p = it->second;
        const std::size_t before = p.packed.size();
        put_varint(p.packed, zigzag(e - p.last_e));
        put_varint(p.packed, static_cast<std::uint64_t>(t - batch_t));
        put_varint(p.packed, std::uint64_t{count} << 1 | (a.many ? 1 : 0));
        put_varint(p.packed, terms.length());
        p.last_e = e;
        grown += p.packed.size() - before;
    }
    text_totals& totals = totals_[a.number()];
    ++totals.texts;
    totals.words += terms.length();
    return grown;
}

void text_batch::finish(const kv_reader& store,
                        std::int64_t batch_t,
                        const std::function<void(bytes key, bytes val)>& put) const {
    for (const auto& [key, list] : packed_) {
        bytes k(key);
        put_id(k, batch_t);
        put(std::move(k), bytes(list.packed));
    }
    for (const auto& [number, added] : totals_) {
        bytes key = keys::of_attribute(keys::term, number);
        const auto stored = store.get(key);
        text_totals totals = stored ? unpack_text_totals(*stored) : text_totals{batch_t};
        totals.texts += added.texts;
        totals.words += added.words;
        put(std::move(key), pack(totals));
    }
}

}  // namespace tributary::datom
