#include "tributary/datom/replay.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/keys.hpp"

#include <algorithm>
#include <limits>

namespace tributary::datom {

namespace {

constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();

bytes fact_key(const log_datom& d) {
    bytes key;
    put_id(key, d.e);
    put_id(key, d.a - system_partition);
    return key.append(d.raw);
}

bytes id_text(std::int64_t id) {
    bytes text;
    put_id(text, id);
    return text;
}

bool is_in_avet(const attribute& a) { return a.is_unique() || (a.indexed && !a.is_ref()); }

bytes_view column_raw(const bytes& raw) {
    return raw.size() > keys::column_value_bytes ? bytes_view("\0", 1) : bytes_view(raw);
}

bool is_schema(entity_id e) { return e >= system_partition && e < tx_partition; }

/// What rewinds undo: of schema, only what facts are kept by.
bool goes_back(const log_datom& d) {
    return !is_schema(d.e) || d.a == id_of(system_entity::cardinality) ||
           d.a == id_of(system_entity::unique);
}

}  // namespace

bytes posting_key(bytes_view term_key, const posting& p) {
    bytes key(term_key);
    put_id(key, p.e);
    put_id(key, p.t);
    return key;
}

bytes posting_value(const posting& p) {
    bytes val;
    put_varint(val, p.count);
    put_varint(val, p.length);
    return val;
}

// -- What must be known before

log_replay::log_replay(const kv_reader& store) : store_(store), attributes_(bootstrap_schema()) {
    scan_log(store_, 0, end_of_time, [&](const log_entry& entry) {
        learn_schema(entry);
        if (entry.rewind) rewinds_.emplace_back(entry.t, entry.rewind->to);
        last_t_ = entry.t;
        return true;
    });
    for (const auto& [e, facts] : schema_facts_) {
        std::vector<std::pair<entity_id, value_view>> views;
        for (const auto& [a, raw] : facts) views.emplace_back(a, view_of_raw(raw));
        if (bootstrap_ident(e)) continue;
        if (const auto a = attribute_from(e, views)) attributes_.put(*a);
    }
    for (const auto& [t, to] : rewinds_) learn_rewound(to + 1, t);
}

void log_replay::learn_schema(const log_entry& entry) {
    // Retractions first: a fact may be taken and given anew in one transaction.
    for (const bool added : {false, true})
        for (const log_datom& d : entry.datoms) {
            if (!is_schema(d.e) || d.added != added) continue;
            auto& facts = schema_facts_[d.e];
            std::erase(facts, std::pair(d.a, d.raw));
            if (added) facts.emplace_back(d.a, d.raw);
        }
}

void log_replay::learn_rewound(std::int64_t from, std::int64_t to) {
    scan_log(store_, from, to + 1, [&](const log_entry& entry) {
        for (const log_datom& d : entry.datoms)
            if (goes_back(d)) rewound_.insert(fact_key(d));
        return true;
    });
}

// -- The replay

void log_replay::run(const expected_entry& expected,
                     const problem_visitor& problem,
                     const std::function<void(std::int64_t t)>& each) {
    expected_ = &expected;
    state_ = {};
    datoms_ = 0;
    stories_.clear();
    forgetful_.clear();
    texts_.clear();
    for (const attribute* a : attributes_.all())
        if (a->fulltext) texts_[a->id].since_t = read_text_totals(store_, *a).since_t;
    state_.basis_t = -1;
    scan_log(store_, 0, end_of_time, [&](const log_entry& entry) {
        check_order(entry, problem);
        for (const log_datom& d : entry.datoms) {
            if (attributes_.find(d.a) == nullptr) {
                problem("the log: t " + std::to_string(entry.t) + " has a fact of " +
                        std::to_string(d.a) + ", which is no attribute");
                continue;
            }
            apply(entry, d);
        }
        if (entry.rewind) {
            restore_silently(entry);
            expected(keys::of_id(keys::rewind, entry.t), pack(*entry.rewind), true);
        }
        if (entry.t > 0) expected(keys::of_instant(entry.instant_ms, entry.t), {}, true);
        // A change of :db/noHistory is for what comes after it.
        for (const log_datom& d : entry.datoms) {
            if (d.a != id_of(system_entity::no_history)) continue;
            if (d.added && view_of_raw(d.raw).integer != 0)
                forgetful_.insert(d.e);
            else if (!d.added && view_of_raw(d.raw).integer != 0)
                forgetful_.erase(d.e);
        }
        each(entry.t);
        return true;
    });
    tell_stories();
    tell_totals();
}

void log_replay::check_order(const log_entry& entry, const problem_visitor& problem) {
    if (entry.t != state_.basis_t + 1)
        problem("the log: t " + std::to_string(state_.basis_t) + " is followed by t " +
                std::to_string(entry.t) + "; there must be no gap");
    state_.basis_t = entry.t;
    if (entry.t == 0) return;
    if (state_.has_instant && entry.instant_ms < state_.last_instant_ms)
        problem("the log: t " + std::to_string(entry.t) +
                " has an instant before that of the transaction before it");
    state_.last_instant_ms = entry.instant_ms;
    state_.has_instant = true;
}

void log_replay::apply(const log_entry& entry, const log_datom& d) {
    const attribute& a = *attributes_.find(d.a);
    ++datoms_;
    if (state_.counts.size() <= a.number()) state_.counts.resize(a.number() + 1);
    state_.counts[a.number()] += d.added ? 1 : -1;
    note_used(d.e);
    if (a.is_ref()) note_used(view_of_raw(d.raw).integer);
    const bool is_restored = entry.rewind && d.added && d.e != entity_of_t(entry.t);
    if (a.fulltext && d.added && !is_restored) tell_words(a, d, entry.t);
    if (!rewound_.empty()) {
        const bytes key = fact_key(d);
        if (rewound_.contains(key)) {
            follow(stories_[key], entry, d);
            return;
        }
    }
    if (d.added) {
        tell_current(a, d, entry.t, true);
        return;
    }
    tell_current(a, d, d.asserted_t, false);
    if (keeps_history(d.a)) tell_past(a, d, d.asserted_t, {entry.t});
}

void log_replay::note_used(entity_id e) {
    if (e < system_partition) state_.next_chosen = std::max(state_.next_chosen, e + 1);
    if (e >= user_partition && e < user_ids_end)
        state_.next_user = std::max(state_.next_user, e + 1);
}

// -- Facts that rewinds undid

void log_replay::follow(story& s, const log_entry& entry, const log_datom& d) {
    s.e = d.e;
    s.a = d.a;
    s.raw = d.raw;
    if (!d.added && s.current) {
        const current_fact was = *s.current;
        s.current.reset();
        if (keeps_history(d.a)) {
            auto& times = s.past[was.asserted_t];
            if (!was.restored) times.clear();
            times.push_back(entry.t);
        }
    } else if (d.added && entry.rewind) {
        // It held at the point, so the first that happened after it was a retraction.
        const auto first = std::find_if(s.events.begin(), s.events.end(), [&](const event& e) {
            return e.t > entry.rewind->to;
        });
        const std::int64_t asserted_t =
            first == s.events.end() || first->added ? entry.t : first->asserted_t;
        const auto times = s.past.find(asserted_t);
        s.current = current_fact{asserted_t, times != s.past.end()};
        if (s.current->restored) times->second.push_back(entry.t);
    } else if (d.added) {
        s.current = current_fact{entry.t, false};
    }
    s.events.push_back({entry.t, d.added, d.asserted_t});
}

/// Facts that were retracted after the point and asserted anew: the log entry of the rewind does
/// not name them, for they hold before and after it, but they are again as old as they were.
void log_replay::restore_silently(const log_entry& entry) {
    for (auto& [key, s] : stories_) {
        const auto first = std::find_if(s.events.begin(), s.events.end(), [&](const event& e) {
            return e.t > entry.rewind->to;
        });
        if (first == s.events.end() || first->added || s.events.back().t == entry.t) continue;
        if (!s.current || s.current->asserted_t == first->asserted_t) continue;
        const auto times = s.past.find(first->asserted_t);
        s.current = current_fact{first->asserted_t, times != s.past.end()};
        if (s.current->restored) times->second.push_back(s.events.back().t);
    }
}

void log_replay::tell_stories() {
    for (const auto& [key, s] : stories_) {
        const attribute& a = *attributes_.find(s.a);
        const log_datom d{s.e, s.a, s.raw, true, 0};
        if (s.current)
            tell_current(a,
                         d,
                         s.current->asserted_t | (s.current->restored ? keys::restored_flag : 0),
                         true);
        for (const auto& [asserted_t, times] : s.past) tell_past(a, d, asserted_t, times);
    }
}

// -- Entries

void log_replay::tell_current(const attribute& a,
                              const log_datom& d,
                              std::int64_t stored_t,
                              bool there) {
    const expected_entry& tell = *expected_;
    const bytes t = id_text(stored_t);
    bytes value_key;
    if (a.many || is_in_avet(a)) append_key(value_key, d.raw);
    const bytes_view if_many = a.many ? bytes_view(value_key) : bytes_view();
    tell(keys::of_e_a(keys::eavt, d.e, a.number()).append(if_many), t + d.raw, there);
    tell(keys::of_a_e(keys::aevt, a.number(), d.e).append(if_many),
         bytes(t).append(column_raw(d.raw)),
         there);
    bytes by_value = keys::of_attribute(keys::avet, a.number()).append(value_key);
    if (a.is_unique())
        tell(by_value, t + id_text(d.e), there);
    else if (is_in_avet(a))
        tell(by_value.append(id_text(d.e)), t, there);
    if (a.is_ref())
        tell(keys::of_target(keys::vaet, view_of_raw(d.raw).integer, a.number())
                 .append(id_text(d.e)),
             t,
             there);
}

void log_replay::tell_past(const attribute& a,
                           const log_datom& d,
                           std::int64_t asserted_t,
                           const std::vector<std::int64_t>& times) {
    const expected_entry& tell = *expected_;
    bytes head{static_cast<char>(times.size() >> 8), static_cast<char>(times.size())};
    for (const std::int64_t t : times) put_id(head, t);
    bytes value_key;
    append_key(value_key, d.raw);
    const bytes since = id_text(asserted_t), e = id_text(d.e);
    tell(keys::of_e_a(keys::past(keys::eavt), d.e, a.number()) + value_key + since,
         head + d.raw,
         true);
    tell(keys::of_a_e(keys::past(keys::aevt), a.number(), d.e) + value_key + since,
         bytes(head).append(column_raw(d.raw)),
         true);
    if (is_in_avet(a))
        tell(keys::of_attribute(keys::past(keys::avet), a.number()) + value_key + e + since,
             head,
             true);
    if (a.is_ref())
        tell(keys::of_target(keys::past(keys::vaet), view_of_raw(d.raw).integer, a.number()) + e +
                 since,
             head,
             true);
}

void log_replay::tell_words(const attribute& a, const log_datom& d, std::int64_t t) {
    text_totals& totals = texts_[a.id];
    const bool is_old = totals.since_t == 0 || t < totals.since_t;
    terms_.read(view_of_raw(d.raw).text, a.language);
    if (!is_old) {
        ++totals.texts;
        totals.words += terms_.length();
    }
    bytes key = keys::of_attribute(is_old ? keys::word : keys::term, a.number());
    const std::size_t head = key.size();
    for (const auto& [term, count] : terms_.all()) {
        key.resize(head);
        key.append(term).push_back('\0');
        const posting p{d.e, t, count, terms_.length(), true};
        (*expected_)(posting_key(key, p), posting_value(p), true);
    }
}

void log_replay::tell_totals() {
    for (const auto& [a, totals] : texts_)
        if (totals.texts > 0)
            (*expected_)(
                keys::of_attribute(keys::term, attributes_.find(a)->number()), pack(totals), true);
}

}  // namespace tributary::datom
