#include "tributary/datom/twin_scan.hpp"

#include "tributary/datom/keys.hpp"

namespace tributary::datom {

twin_scan::twin_scan(const kv_reader& store,
                     const schema& attributes,
                     char space,
                     const time_filter& filter)
    : store_(store),
      attributes_(attributes),
      space_(space),
      filter_(filter),
      current_(store.cursor()) {
    if (!filter_.current()) past_ = store.cursor();
}

void twin_scan::start(bytes_view from, bytes end) {
    backward_ = false;
    end_ = std::move(end);
    seek(from);
}

void twin_scan::start_back(bytes_view last, bytes first) {
    backward_ = true;
    end_ = std::move(first);
    const auto place = [&](kv_cursor& c, char space) {
        const bytes beyond = prefix_end(bytes(1, space).append(last));
        c.seek_back(beyond);
        if (c.valid() && c.key() == beyond) c.prev();
    };
    place(*current_, space_);
    if (past_) place(*past_, keys::past(space_));
    event_ = 0;
    settle();
}

void twin_scan::seek(bytes_view from) {
    bytes key(1, space_);
    key.append(from);
    current_->seek(key);
    if (past_) {
        key.front() = keys::past(space_);
        past_->seek(key);
    }
    event_ = 0;
    settle();
}

void twin_scan::next() {
    if (from_past_ && filter_.history && show_event()) return;
    advance(from_past_ ? *past_ : *current_);
    settle();
}

void twin_scan::advance(kv_cursor& c) const {
    if (backward_)
        c.prev();
    else
        c.next();
}

bool twin_scan::in_range(const kv_cursor& c, char space) const {
    if (!c.valid()) return false;
    const bytes_view key = c.key();
    if (key.front() != space) return false;
    return backward_ ? key.substr(1) >= end_ : end_.empty() || key.substr(1) < end_;
}

/// Shows the first visible datom at or after where the cursors stand.
void twin_scan::settle() {
    for (;;) {
        const bool has_current = in_range(*current_, space_);
        const bool has_past = past_ && in_range(*past_, keys::past(space_));
        valid_ = has_current || has_past;
        if (!valid_) return;
        from_past_ =
            has_past &&
            (!has_current || (past_->key().substr(1) < current_->key().substr(1)) != backward_);
        if (from_past_ ? show_past() : show_current()) return;
        advance(from_past_ ? *past_ : *current_);
    }
}

bool twin_scan::show_current() {
    const std::int64_t stored = get_id(current_->val().data());
    const std::int64_t t = stored & ~keys::restored_flag;
    if (past_ && t != stored) return false;  // its past twin tells
    if (t > filter_.limit_t || t <= filter_.since_t) return false;
    decode(current_->key().substr(1), false);
    datom_.tx = entity_of_t(t);
    datom_.added = true;
    return true;
}

bool twin_scan::show_past() {
    const bytes_view val = past_->val();
    const bytes_view key = past_->key();
    const std::int64_t asserted_t = get_id(key.data() + key.size() - id_bytes);
    if (asserted_t > filter_.limit_t) return false;
    times_ = keys::past_times(val);
    event_ = 0;
    std::int64_t shown_t = asserted_t;
    if (filter_.history) {
        if (asserted_t <= filter_.since_t) {
            if (!show_event()) return false;
            decode(key.substr(1, key.size() - 1 - id_bytes), true);
            return true;
        }
    } else {
        std::int64_t newest_t = asserted_t;
        std::size_t n = 0;
        for (; n * id_bytes < times_.size(); ++n) {
            const std::int64_t t = get_id(times_.data() + n * id_bytes);
            if (t > filter_.limit_t) break;
            newest_t = t;
        }
        if (n % 2 == 1 || newest_t <= filter_.since_t) return false;
        if (asserted_t <= filter_.since_t) shown_t = newest_t;
    }
    decode(key.substr(1, key.size() - 1 - id_bytes), true);
    datom_.tx = entity_of_t(shown_t);
    datom_.added = true;
    return true;
}

/// On history: the next retraction or restoration in the window of the past fact at hand.
bool twin_scan::show_event() {
    while (event_ * id_bytes < times_.size()) {
        const std::int64_t t = get_id(times_.data() + event_ * id_bytes);
        if (t > filter_.limit_t) return false;
        ++event_;
        if (t <= filter_.since_t) continue;
        datom_.added = event_ % 2 == 0;
        datom_.tx = entity_of_t(t);
        return true;
    }
    return false;
}

void twin_scan::decode(bytes_view key, bool past) {
    const bytes_view val = past ? past_->val() : current_->val();
    const bytes_view raw = past ? keys::past_rest(val) : val.substr(id_bytes);
    switch (space_) {
        case keys::eavt:
            datom_.e = get_id(key.data());
            datom_.a = system_partition + get_be32(key.substr(id_bytes));
            datom_.v = view_of_raw(raw);
            return;
        case keys::aevt:
            datom_.a = system_partition + get_be32(key);
            datom_.e = get_id(key.data() + 4);
            if (raw.front() == '\0')
                load_long_value(past);
            else
                datom_.v = view_of_raw(raw);
            return;
        case keys::avet: {
            datom_.a = system_partition + get_be32(key);
            key.remove_prefix(4);
            const bool whole = take_key(key, scratch_, datom_.v);
            datom_.e = get_id(key.empty() ? raw.data() : key.data());
            if (!whole) load_long_value(past);
            return;
        }
        default:
            datom_.v.type = value_type::ref;
            datom_.v.integer = get_id(key.data());
            datom_.a = system_partition + get_be32(key.substr(id_bytes));
            datom_.e = get_id(key.data() + id_bytes + 4);
    }
}

/// The value of a fact whose index entry does not hold it, from E: the key bytes of the value
/// follow the ids in both, but for cardinality one.
void twin_scan::load_long_value(bool past) {
    bytes_view key = past ? past_->key().substr(1) : current_->key().substr(1);
    const bytes_view value_key = space_ == keys::aevt ? key.substr(4 + id_bytes) : key.substr(4);
    bytes in_e = keys::of_e_a(past ? keys::past(keys::eavt) : keys::eavt,
                              datom_.e,
                              static_cast<std::uint32_t>(datom_.a - system_partition));
    if (space_ == keys::aevt) {
        in_e.append(value_key);
    } else if (const attribute* a = attributes_.find(datom_.a); past || (a && a->many)) {
        // V a v e [t]: unique current ones lack the e.
        const std::size_t tail = past ? 2 * id_bytes : (a->is_unique() ? 0 : id_bytes);
        in_e.append(value_key.substr(0, value_key.size() - tail));
        if (past) in_e.append(value_key.substr(value_key.size() - id_bytes));
    }
    auto found = store_.get(in_e);
    if (!found)
        throw error(errc::io,
                    "the datom database is damaged: an index names a fact that is not there; "
                    "realize it anew");
    long_value_ = std::move(*found);
    const bytes_view val = long_value_;
    datom_.v = view_of_raw(past ? keys::past_rest(val) : val.substr(id_bytes));
}

}  // namespace tributary::datom
