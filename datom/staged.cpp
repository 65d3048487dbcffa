#include "tributary/datom/staged.hpp"

#include "tributary/datom/bootstrap.hpp"
#include "tributary/datom/current_keys.hpp"
#include "tributary/datom/keys.hpp"
#include "tributary/datom/stored_reader.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <array>
#include <deque>

namespace tributary::datom {

// -- The state record

namespace {

constexpr std::int64_t format_version = 1;
const bytes state_key(1, keys::state);

}  // namespace

bytes pack(const database_state& s) {
    vector counts;
    for (std::size_t n = 0; n < s.counts.size(); ++n)
        if (s.counts[n] > 0) counts.push_back(vector{value(n), value(s.counts[n])});
    return encode(vector{value(format_version),
                         value(s.basis_t),
                         value(s.next_user),
                         value(s.next_system),
                         s.has_instant ? value(s.last_instant_ms) : value(),
                         value(std::move(counts)),
                         value(s.next_chosen)});
}

database_state unpack_state(bytes_view data) {
    const value record = decode(data);
    const auto& fields = record.as<vector>();
    if (fields.empty() || fields[0].as<std::int64_t>() != format_version)
        throw error(errc::newer_version,
                    "this datom database has a newer format; use a newer tributary");
    database_state s;
    s.basis_t = fields.at(1).as<std::int64_t>();
    s.next_user = fields.at(2).as<std::int64_t>();
    s.next_system = fields.at(3).as<std::int64_t>();
    s.has_instant = !fields.at(4).is_nil();
    if (s.has_instant) s.last_instant_ms = fields.at(4).as<std::int64_t>();
    for (const value& pair : fields.at(5).as<vector>()) {
        const auto n = static_cast<std::size_t>(pair.as<vector>().at(0).as<std::int64_t>());
        if (s.counts.size() <= n) s.counts.resize(n + 1);
        s.counts[n] = static_cast<std::uint64_t>(pair.as<vector>().at(1).as<std::int64_t>());
    }
    // A database that never wrote it down may have used any.
    s.next_chosen = fields.size() > 6 ? fields[6].as<std::int64_t>() : system_partition;
    return s;
}

// -- Opening

staged::staged(kv& store) : store_(store) {
    if (!store_.get(state_key)) create();
    load();
}

staged::staged(kv& store, std::shared_ptr<const schema> attributes)
    : store_(store), stored_attributes_(attributes), attributes_(std::move(attributes)) {
    load_state();
}

void staged::create() {
    const auto there = store_.cursor();
    there->seek({});
    if (there->valid())
        throw error(errc::bad_input,
                    "what is stored here is no datom database, or one that lost its state record: "
                    "nothing was changed. Give a new database a directory of its own");
    auto initial = std::make_shared<schema>(bootstrap_schema());
    attributes_ = initial;
    state_.next_system = system_partition + first_user_attribute;
    log_entry entry;
    for (const datom& d : bootstrap_datoms()) {
        const attribute& a = *initial->find(d.a);
        const bytes raw = encode_raw(d.v, a);
        add_fact(a, d.e, raw, 0);
        entry.datoms.push_back({d.e, d.a, raw, true, 0});
    }
    bytes packed;
    pack(packed, entry);
    put(keys::of_id(keys::log, 0), std::move(packed));
    store_.write(take_batch(), true);
}

void staged::load_state() {
    const auto found = store_.get(state_key);
    if (!found)
        throw error(errc::io,
                    "the datom database lost its state record; restore it or realize it anew");
    stored_state_ = *found;
    stored_ = state_ = unpack_state(stored_state_);
    changed_t_.assign(state_.counts.size(), state_.basis_t);
}

void staged::load() {
    load_state();
    auto loaded = std::make_shared<schema>(bootstrap_schema());
    twin_scan scan(store_, *loaded, keys::eavt, {});
    std::vector<std::pair<entity_id, value_view>> facts;
    const bytes from = keys::of_id(keys::eavt, system_partition + first_user_attribute).substr(1);
    scan.start(from, keys::of_id(keys::eavt, tx_partition).substr(1));
    while (scan.valid()) {
        const entity_id e = scan.get().e;
        facts.clear();
        std::deque<bytes> texts;
        for (; scan.valid() && scan.get().e == e; scan.next()) {
            value_view v = scan.get().v;
            if (!v.text.empty()) v.text = texts.emplace_back(v.text);
            facts.emplace_back(scan.get().a, v);
        }
        if (const auto a = attribute_from(e, facts)) loaded->put(*a);
    }
    // Older idents still name an attribute unless somebody has taken them.
    const attribute& ident = *loaded->find(id_of(system_entity::ident));
    twin_scan old_names(store_, *loaded, keys::aevt, {.history = true});
    for (old_names.start(keys::of_a_e(keys::aevt, ident.number(), system_partition).substr(1),
                         keys::of_a_e(keys::aevt, ident.number(), tx_partition).substr(1));
         old_names.valid();
         old_names.next()) {
        const auto& name = old_names.get();
        bytes key = keys::of_attribute(keys::avet, ident.number());
        bytes raw(1, static_cast<char>(value_type::keyword));
        append_key(key, raw.append(name.v.text));
        if (const attribute* a = loaded->find(name.e); a && !store_.get(key))
            loaded->put_alias(std::string(name.v.text), *a);
    }
    loaded->link_composites();
    stored_attributes_ = attributes_ = loaded;
}

bool staged::is_fresh() const {
    const auto found = store_.get(state_key);
    return found && *found == stored_state_;
}

void staged::reload() {
    discard();
    load();
}

// -- Reading

/// False for ids given out in this batch: nothing about them can be stored.
bool staged::is_stored(entity_id e) const {
    if (e >= user_partition) return e < stored_.next_user || e >= user_ids_end;
    if (e >= tx_partition) return t_of_entity(e) <= stored_.basis_t;
    return e < system_partition ? e < stored_.next_chosen : e < stored_.next_system;
}

/// The value under a key of E.
std::optional<bytes> staged::stored_fact_at(const bytes& key, entity_id e) const {
    for (tables& t = *tables_; t.indexed < changes_.size(); ++t.indexed) {
        const bytes& changed = changes_[t.indexed].first;
        if (changed.front() == keys::eavt)
            t.facts[std::pmr::string(changed, &t.arena)] = static_cast<std::uint32_t>(t.indexed);
    }
    if (const auto it = tables_->facts.find(key); it != tables_->facts.end())
        return changes_[it->second].second;
    if (!is_stored(e)) return std::nullopt;
    return store_.get(key);
}

namespace {

stored_fact to_fact(entity_id e, entity_id a, bytes_view val) {
    const std::int64_t t = get_id(val.data());
    return {e,
            a,
            bytes(val.substr(id_bytes)),
            t & ~keys::restored_flag,
            (t & keys::restored_flag) != 0};
}

}  // namespace

std::optional<stored_fact> staged::fact_of(entity_id e, const attribute& a) const {
    const auto val = stored_fact_at(keys::of_e_a(keys::eavt, e, a.number()), e);
    if (!val) return std::nullopt;
    return to_fact(e, a.id, *val);
}

std::optional<stored_fact> staged::fact(entity_id e, const attribute& a, bytes_view raw) const {
    if (!a.many) {
        auto f = fact_of(e, a);
        return f && f->raw == raw ? f : std::nullopt;
    }
    bytes key = keys::of_e_a(keys::eavt, e, a.number());
    append_key(key, raw);
    const auto val = stored_fact_at(key, e);
    if (!val) return std::nullopt;
    return to_fact(e, a.id, *val);
}

std::map<bytes, bytes> staged::merged(const bytes& prefix, bool may_be_stored) const {
    std::map<bytes, bytes> found;
    if (may_be_stored) {
        const auto cursor = store_.cursor();
        for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix);
             cursor->next())
            found.emplace(cursor->key(), cursor->val());
    }
    tables& t = *tables_;
    for (; t.sorted_count < changes_.size(); ++t.sorted_count) {
        const bytes& key = changes_[t.sorted_count].first;
        if (key.front() == keys::eavt || key.front() == keys::vaet)
            t.sorted[std::pmr::string(key, &t.arena)] = static_cast<std::uint32_t>(t.sorted_count);
    }
    for (auto it = t.sorted.lower_bound(prefix);
         it != t.sorted.end() && it->first.starts_with(prefix);
         ++it) {
        if (const auto& val = changes_[it->second].second)
            found[bytes(it->first)] = *val;
        else
            found.erase(bytes(it->first));
    }
    return found;
}

std::vector<stored_fact> staged::facts_of(entity_id e, const attribute* a) const {
    const bytes prefix = a ? keys::of_e_a(keys::eavt, e, a->number()) : keys::of_id(keys::eavt, e);
    std::vector<stored_fact> facts;
    for (const auto& [key, val] : merged(prefix, is_stored(e)))
        facts.push_back(
            to_fact(e, system_partition + get_be32(bytes_view(key).substr(1 + id_bytes)), val));
    return facts;
}

std::vector<stored_fact> staged::facts_about(entity_id target) const {
    std::vector<stored_fact> facts;
    for (const auto& [key, val] : merged(keys::of_id(keys::vaet, target), is_stored(target))) {
        const bytes_view ids = bytes_view(key).substr(1 + id_bytes);
        stored_fact f = to_fact(get_id(ids.data() + 4), system_partition + get_be32(ids), val);
        f.raw = raw_ref(target);
        facts.push_back(std::move(f));
    }
    return facts;
}

std::optional<entity_id> staged::holder(const attribute& a, bytes_view raw) const {
    bytes key = keys::of_attribute(keys::avet, a.number());
    append_key(key, raw);
    if (const auto it = tables_->unique.find(key); it != tables_->unique.end()) return it->second;
    const auto val = store_.get(key);
    if (!val) return std::nullopt;
    return get_id(val->data() + id_bytes);
}

// -- Changing

void staged::put(bytes key, bytes val) {
    size_ += key.size() + val.size();
    changes_.emplace_back(std::move(key), std::move(val));
}

void staged::erase(bytes key) {
    size_ += key.size();
    changes_.emplace_back(std::move(key), std::nullopt);
}

void staged::hold(const bytes& unique_key, std::optional<entity_id> e) {
    tables_->unique.insert_or_assign(std::pmr::string(unique_key, &tables_->arena), e);
}

void staged::put_current(const attribute& a, entity_id e, bytes_view raw, std::int64_t stored_t) {
    current_keys k(a, e, raw);
    bytes t = with_id(stored_t, {});
    put(std::move(k.e), with_id(stored_t, raw));
    put(std::move(k.a),
        with_id(stored_t, raw.size() > keys::column_value_bytes ? bytes_view("\0", 1) : raw));
    if (!k.r.empty()) put(std::move(k.r), t);
    if (a.is_unique()) {
        hold(k.v, e);
        put_id(t, e);
    }
    if (!k.v.empty()) put(std::move(k.v), std::move(t));
}

void staged::add_fact(const attribute& a, entity_id e, bytes_view raw, std::int64_t t) {
    put_current(a, e, raw, t);
    note_chosen(e);
    if (a.is_ref()) note_chosen(view_of_raw(raw).integer);
    if (a.fulltext)
        size_ += tables_->texts.add(a, e, view_of_raw(raw).text, t, stored_.basis_t + 1);
    ++count_of(a);
}

/// A referenced id counts as used: facts about it are looked up by it.
void staged::note_chosen(entity_id e) {
    if (e < system_partition) state_.next_chosen = std::max(state_.next_chosen, e + 1);
}

void staged::remove_fact(const attribute& a, const stored_fact& f, std::int64_t t) {
    current_keys k(a, f.e, f.raw);
    erase(std::move(k.e));
    erase(std::move(k.a));
    if (a.is_unique()) hold(k.v, std::nullopt);
    if (!k.v.empty()) erase(std::move(k.v));
    if (!k.r.empty()) erase(std::move(k.r));
    --count_of(a);
    if (a.no_history && !f.restored) return;  // a past twin that is there must end
    bytes times = f.restored ? past_times(a, f).value_or(bytes()) : bytes();
    put_id(times, t);
    put_past(a, f, times);
}

/// A stored state leaves out the zeros at its end.
std::uint64_t& staged::count_of(const attribute& a) {
    if (state_.counts.size() <= a.number()) state_.counts.resize(a.number() + 1);
    return state_.counts[a.number()];
}

void staged::restore_fact(const attribute& a,
                          const stored_fact& f,
                          std::int64_t t,
                          bool is_current) {
    auto times = past_times(a, f);
    put_current(a, f.e, f.raw, f.asserted_t | (times ? keys::restored_flag : 0));
    if (times) {
        put_id(*times, t);
        put_past(a, f, *times);
    }
    if (!is_current) ++count_of(a);
}

std::optional<bytes> staged::past_times(const attribute& a, const stored_fact& f) const {
    bytes key = keys::of_e_a(keys::past(keys::eavt), f.e, a.number());
    append_key(key, f.raw);
    put_id(key, f.asserted_t);
    const auto val = store_.get(key);
    if (!val) return std::nullopt;
    return bytes(keys::past_times(*val));
}

void staged::put_past(const attribute& a, const stored_fact& f, bytes_view times) {
    // A fact that rewinds took back and forth thirty thousand times forgets the oldest of them.
    while (times.size() / id_bytes > 0xffff) times.remove_prefix(2 * id_bytes);
    const std::size_t n = times.size() / id_bytes;
    bytes head{static_cast<char>(n >> 8), static_cast<char>(n)};
    head.append(times);
    const bytes value_key = key_of_value(f.raw);
    const bytes t = with_id(f.asserted_t, {});
    put(keys::of_e_a(keys::past(keys::eavt), f.e, a.number()) + value_key + t, head + f.raw);
    put(keys::of_a_e(keys::past(keys::aevt), a.number(), f.e) + value_key + t,
        head + column_value(f.raw));
    if (a.is_kept_by_value())
        put(keys::of_attribute(keys::past(keys::avet), a.number()) + value_key + with_id(f.e, t),
            head);
    if (a.is_ref())
        put(keys::of_target(keys::past(keys::vaet), view_of_raw(f.raw).integer, a.number()) +
                with_id(f.e, t),
            head);
}

void staged::end_transaction(const log_entry& entry,
                             database_state next,
                             std::shared_ptr<const schema> attributes) {
    bytes packed;
    pack(packed, entry);
    put(keys::of_id(keys::log, entry.t), std::move(packed));
    put(keys::of_instant(entry.instant_ms, entry.t), {});
    next.counts = std::move(state_.counts);
    next.next_chosen = state_.next_chosen;
    changed_t_.resize(std::max(changed_t_.size(), next.counts.size()));
    for (const log_datom& d : entry.datoms) {
        const auto number = static_cast<std::size_t>(d.a - system_partition);
        if (number >= changed_t_.size()) changed_t_.resize(number + 1);
        changed_t_[number] = entry.t;
    }
    next.basis_t = entry.t;
    next.last_instant_ms = entry.instant_ms;
    next.has_instant = true;
    state_ = std::move(next);
    attributes_ = std::move(attributes);
}

// -- The batch

namespace {

/// A change by the first 24 bytes of its key, which most often tell it from every other.
struct key_order {
    std::array<std::uint64_t, 3> head;
    std::uint32_t index;
};

key_order order_of(bytes_view key, std::uint32_t index) {
    std::array<unsigned char, 24> padded{};
    std::copy_n(key.data(), std::min(key.size(), padded.size()), padded.data());
    key_order order{{}, index};
    for (std::size_t i = 0; i < padded.size(); ++i)
        order.head[i / 8] = order.head[i / 8] << 8 | padded[i];
    return order;
}

}  // namespace

kv_batch staged::take_batch() {
    tables_->texts.finish(store_, stored_.basis_t + 1, [&](bytes key, bytes val) {
        put(std::move(key), std::move(val));
    });
    stored_state_ = pack(state_);
    put(state_key, stored_state_);

    // LevelDB takes keys faster in their order.
    std::vector<key_order> order;
    order.reserve(changes_.size());
    for (std::uint32_t i = 0; i < changes_.size(); ++i)
        order.push_back(order_of(changes_[i].first, i));
    std::sort(order.begin(), order.end(), [&](const key_order& x, const key_order& y) {
        if (x.head != y.head) return x.head < y.head;
        const int c = changes_[x.index].first.compare(changes_[y.index].first);
        return c != 0 ? c < 0 : x.index < y.index;
    });
    kv_batch batch;
    batch.reserve(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        change& c = changes_[order[i].index];
        if (i + 1 < order.size() && changes_[order[i + 1].index].first == c.first) continue;
        if (c.second)
            batch.put(c.first, *c.second);
        else
            batch.erase(c.first);
    }
    stored_ = state_;
    stored_attributes_ = attributes_;
    discard();
    return batch;
}

void staged::discard() {
    changes_.clear();
    tables_ = std::make_unique<tables>();
    size_ = 0;
    state_ = stored_;
    for (std::int64_t& t : changed_t_) t = std::min(t, state_.basis_t);
    attributes_ = stored_attributes_;
}

}  // namespace tributary::datom
