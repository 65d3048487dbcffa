/// What the indexes of a database must hold, worked out from its log alone: the half of verify that
/// believes only the log.
///
/// It shares no code with what writes the indexes (datom/staged.hpp), for such code would agree
/// with its own mistakes. A log entry tells all there is to know about its facts, so entries are
/// taken one by one and forgotten: an assertion puts its keys there, a retraction takes the same
/// keys away and puts past twins there. Only facts that rewinds took back need their whole story;
/// they are kept.
#pragma once

#include "tributary/datom/log.hpp"
#include "tributary/datom/schema.hpp"
#include "tributary/datom/staged.hpp"
#include "tributary/datom/text_index.hpp"

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tributary::datom {

/// A key and its value that an index must hold, or (not `there`) that was told of before and must
/// be gone.
using expected_entry = std::function<void(bytes_view key, bytes_view val, bool there)>;

/// Postings are told one by one, under a key of their own: T a term 00 e t (of databases of before
/// `T`: F a word 00 e t).
bytes posting_key(bytes_view term_key, const posting& p);
bytes posting_value(const posting& p);

class log_replay {
public:
    using problem_visitor = std::function<void(const std::string&)>;

    /// Reads the log once for what the rest needs to know. Errors: io.
    explicit log_replay(const kv_reader& store);

    /// Reads it again and tells of every entry of every index. Problems are the log's own.
    /// `each` is called after every transaction with its t.
    void run(const expected_entry& expected,
             const problem_visitor& problem,
             const std::function<void(std::int64_t t)>& each);

    const schema& attributes() const { return attributes_; }
    /// After run(): the state record as the log has it; ids given out are at least these.
    const database_state& state() const { return state_; }
    std::uint64_t datoms() const { return datoms_; }
    std::int64_t last_t() const { return last_t_; }

private:
    struct event {
        std::int64_t t = 0;
        bool added = true;
        std::int64_t asserted_t = 0;
    };
    struct current_fact {
        std::int64_t asserted_t = 0;
        bool restored = false;
    };
    /// Of a fact that a rewind undid something about.
    struct story {
        entity_id e = 0;
        entity_id a = 0;
        bytes raw;
        std::vector<event> events;
        std::optional<current_fact> current;
        std::map<std::int64_t, std::vector<std::int64_t>> past;  ///< times by t of assertion
    };

    void learn_schema(const log_entry& entry);
    void learn_rewound(std::int64_t from, std::int64_t to);
    void check_order(const log_entry& entry, const problem_visitor& problem);
    void apply(const log_entry& entry, const log_datom& d);
    void note_used(entity_id e);
    void follow(story& s, const log_entry& entry, const log_datom& d);
    void restore_silently(const log_entry& entry);
    void tell_current(const attribute& a, const log_datom& d, std::int64_t stored_t, bool there);
    void tell_past(const attribute& a,
                   const log_datom& d,
                   std::int64_t asserted_t,
                   const std::vector<std::int64_t>& times);
    void tell_words(const attribute& a, const log_datom& d, std::int64_t t);
    void tell_stories();
    void tell_totals();
    bool keeps_history(entity_id a) const { return !forgetful_.contains(a); }

    const kv_reader& store_;
    schema attributes_;  ///< the newest: indexes are laid out by it
    std::unordered_map<entity_id, std::vector<std::pair<entity_id, bytes>>> schema_facts_;
    std::vector<std::pair<std::int64_t, std::int64_t>> rewinds_;  ///< t and to
    std::unordered_set<bytes> rewound_;
    std::unordered_map<bytes, story> stories_;
    std::unordered_set<entity_id> forgetful_;  ///< :db/noHistory now
    std::unordered_map<entity_id, text_totals> texts_;
    text_terms terms_;
    database_state state_;
    std::uint64_t datoms_ = 0;
    std::int64_t last_t_ = -1;
    const expected_entry* expected_ = nullptr;
};

}  // namespace tributary::datom
