/// How two sets too large for memory are compared: each entry adds a hash of itself to the sum of
/// the bucket that its key falls into, those of the log positively, those of the indexes
/// negatively. A sum that is not zero in the end names a bucket that differs; of those few the
/// entries themselves are collected and compared.
#include "tributary/datom/verify.hpp"

#include "tributary/datom/keys.hpp"
#include "tributary/datom/replay.hpp"
#include "tributary/datom/stored_reader.hpp"
#include "tributary/datom/stream_log.hpp"
#include "tributary/value/edn.hpp"

#include <array>
#include <map>
#include <set>
#include <string_view>

namespace tributary::datom {

namespace {

constexpr std::size_t buckets = 4096;
constexpr std::size_t buckets_shown_max = 16;
constexpr std::uint64_t problems_shown_max = 100;
/// What is compared, and in what order.
constexpr std::string_view spaces = "EAVReavrIWT";

const char* name_of_space(char space) {
    switch (space) {
        case keys::eavt:
            return "the index by entity";
        case keys::aevt:
            return "the index by attribute";
        case keys::avet:
            return "the index by value";
        case keys::vaet:
            return "the index by target";
        case keys::past(keys::eavt):
            return "the past by entity";
        case keys::past(keys::aevt):
            return "the past by attribute";
        case keys::past(keys::avet):
            return "the past by value";
        case keys::past(keys::vaet):
            return "the past by target";
        case keys::instant:
            return "the index of instants";
        case keys::rewind:
            return "the index of rewinds";
        case keys::term:
            return "the index of words";
        case keys::word:
            return "the older index of words";
        case keys::stream:
            return "the cursors of streams";
        case keys::applied:
            return "the applied commits of streams";
        default:
            return "the database";
    }
}

std::uint64_t hash_of(bytes_view b) { return std::hash<std::string_view>()(b); }

std::uint64_t mixed(bytes_view key, bytes_view val) {
    std::uint64_t h = hash_of(key) * 0x9e3779b97f4a7c15u + hash_of(val);
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

std::size_t bucket_of(bytes_view key) { return hash_of(key) % buckets; }

/// What an entry says, for people.
class entry_text {
public:
    explicit entry_text(const schema& attributes) : attributes_(attributes) {}

    std::string of(bytes_view key, bytes_view val) const {
        try {
            return described(key.front(), key.substr(1), val);
        } catch (const error&) {
            return "an entry that is no entry, " + shown(key);
        }
    }

private:
    std::string described(char space, bytes_view key, bytes_view val) const {
        switch (space) {
            case keys::instant:
                return "t " + std::to_string(id_at(key, 8));
            case keys::rewind:
                return "the rewind t " + std::to_string(id_at(key, 0));
            case keys::term:
                return of_term(key);
            default:
                break;
        }
        const bool past = space >= 'a';
        std::string text;
        switch (past ? static_cast<char>(space - 'a' + 'A') : space) {
            case keys::eavt:
                text = fact(id_at(key, 0), number_at(key, id_bytes), raw_of(val, past));
                break;
            case keys::aevt:
                text = fact(id_at(key, 4), number_at(key, 0), raw_of(val, past));
                break;
            case keys::vaet:
                text = fact(id_at(key, id_bytes + 4), number_at(key, id_bytes), {}) + " " +
                       std::to_string(id_at(key, 0));
                break;
            default:
                text = of_value(key, val, past);
        }
        if (past) return text + " as of t " + std::to_string(id_at(key, key.size() - id_bytes));
        return text + " since t " + std::to_string(id_at(val, 0) & ~keys::restored_flag);
    }

    std::string of_value(bytes_view key, bytes_view val, bool past) const {
        const std::uint32_t number = number_at(key, 0);
        key.remove_prefix(4);
        bytes scratch;
        value_view v;
        const bool is_whole = take_key(key, scratch, v);
        const entity_id e = key.empty() && !past ? id_at(val, id_bytes) : id_at(key, 0);
        return fact(e, number, {}) + " " +
               (is_whole ? edn::print(v.to_value()) : std::string("a long value"));
    }

    std::string of_term(bytes_view key) const {
        const std::string name = attribute_name(number_at(key, 0));
        if (key.size() == 4) return "the totals of " + name;
        const std::size_t tail = key.size() - 2 * id_bytes;
        return "the word \"" + std::string(key.substr(4, tail - 5)) + "\" in " + name +
               " of entity " + std::to_string(id_at(key, tail)) + " at t " +
               std::to_string(id_at(key, tail + id_bytes));
    }

    std::string fact(entity_id e, std::uint32_t number, bytes_view raw) const {
        std::string text = "entity " + std::to_string(e) + " " + attribute_name(number);
        if (!raw.empty() && raw.front() != '\0')
            text += " " + edn::print(view_of_raw(raw).to_value());
        return text;
    }

    std::string attribute_name(std::uint32_t number) const {
        const attribute* a = attributes_.find(system_partition + entity_id{number});
        return a ? ":" + a->ident.text : "attribute " + std::to_string(number);
    }

    static bytes_view raw_of(bytes_view val, bool past) {
        return past ? keys::past_rest(val) : val.substr(id_bytes);
    }
    static std::int64_t id_at(bytes_view b, std::size_t at) {
        b.remove_prefix(std::min(at, b.size()));
        return get_id(take_bytes(b, id_bytes).data());
    }
    static std::uint32_t number_at(bytes_view b, std::size_t at) {
        b.remove_prefix(std::min(at, b.size()));
        return get_be32(take_bytes(b, 4));
    }
    static std::string shown(bytes_view key) { return edn::print(value(blob{bytes(key)})); }

    const schema& attributes_;
};

class check {
public:
    check(const kv_reader& store,
          const std::function<void(const std::string&)>& problem,
          const std::function<void(std::int64_t, std::int64_t)>& progress)
        : store_(store), problem_(problem), progress_(progress) {}

    verified run() {
        try {
            log_replay log(store_);
            compare_sums(log);
            if (!differing_.empty()) compare_entries(log);
            check_state(log);
            check_streams(log.last_t());
            result_.transactions = log.last_t();
            result_.datoms = log.datoms();
        } catch (const error& e) {
            if (e.code() != errc::io) throw;
            report(std::string("the log cannot be read, so the indexes cannot be checked: ") +
                   e.what());
        }
        return result_;
    }

private:
    using visitor = std::function<void(bytes_view key, bytes_view val)>;

    void report(const std::string& text) {
        if (++result_.problems <= problems_shown_max) problem_(text);
    }

    /// Every entry of a space, postings one by one. False if not all could be read.
    bool read_space(char space, const visitor& visit) {
        try {
            const bytes prefix(1, space);
            const auto cursor = store_.cursor();
            for (cursor->seek(prefix); cursor->valid() && cursor->key().front() == space;
                 cursor->next()) {
                const bytes_view key = cursor->key();
                if (space != keys::term || key.size() <= 5) {
                    visit(key, cursor->val());
                    continue;
                }
                const bytes_view term = key.substr(0, key.size() - id_bytes);
                for_each_posting(
                    cursor->val(), get_id(key.data() + term.size()), [&](const posting& p) {
                        visit(posting_key(term, p), posting_value(p));
                    });
            }
            return true;
        } catch (const error& e) {
            if (e.code() != errc::io) throw;
            if (unreadable_.insert(space).second)
                report(std::string(name_of_space(space)) + " cannot be read: " + e.what());
            return false;
        }
    }

    void compare_sums(log_replay& log) {
        std::map<char, std::vector<std::uint64_t>> sums;
        for (const char space : spaces) sums[space].resize(buckets);
        log.run(
            [&](bytes_view key, bytes_view val, bool there) {
                if (key.front() == keys::word) return check_old_posting(key);
                sums[key.front()][bucket_of(key)] += there ? mixed(key, val) : -mixed(key, val);
            },
            [&](const std::string& text) { report(text); },
            [&](std::int64_t t) { progress_(t, log.last_t()); });
        for (const char space : spaces) {
            auto& sum = sums[space];
            const bool is_read = read_space(space, [&](bytes_view key, bytes_view val) {
                ++result_.entries;
                sum[bucket_of(key)] -= mixed(key, val);
            });
            for (std::size_t b = 0; is_read && b < buckets; ++b)
                if (sum[b] != 0) differing_.emplace(space, b);
        }
    }

    /// Of databases of before there were times in postings. They may have too many: a search looks
    /// at the facts.
    void check_old_posting(bytes_view told) {
        const bytes_view word = told.substr(0, told.size() - 2 * id_bytes);
        const entity_id e = get_id(told.data() + word.size());
        const std::int64_t t = get_id(told.data() + word.size() + id_bytes);
        bytes key(word);
        put_id(key, t);
        try {
            const auto cursor = store_.cursor();
            cursor->seek_back(key);
            if (cursor->valid() && cursor->key().starts_with(word)) {
                entity_id at = 0;
                for (bytes_view packed = cursor->val(); !packed.empty();)
                    if ((at += unzigzag(take_varint(packed))) == e) return;
            }
        } catch (const error& problem) {
            if (unreadable_.insert(keys::word).second)
                report(std::string(name_of_space(keys::word)) +
                       " cannot be read: " + problem.what());
            return;
        }
        report(std::string(name_of_space(keys::word)) + " lacks the word \"" +
               std::string(word.substr(5, word.size() - 6)) + "\" of entity " + std::to_string(e) +
               " at t " + std::to_string(t));
    }

    void compare_entries(log_replay& log) {
        std::set<std::pair<char, std::size_t>> shown;
        for (const auto& bucket : differing_)
            if (shown.size() < buckets_shown_max) shown.insert(bucket);
        const auto is_shown = [&](bytes_view key) {
            return shown.contains({key.front(), bucket_of(key)});
        };
        std::map<bytes, std::multiset<bytes>> wanted;
        log.run(
            [&](bytes_view key, bytes_view val, bool there) {
                if (!is_shown(key)) return;
                auto& vals = wanted[bytes(key)];
                if (there) {
                    vals.emplace(val);
                } else if (const auto it = vals.find(bytes(val)); it != vals.end()) {
                    vals.erase(it);
                }
                if (vals.empty()) wanted.erase(bytes(key));
            },
            [](const std::string&) {},
            [&](std::int64_t t) { progress_(t, log.last_t()); });
        const entry_text text(log.attributes());
        for (const char space : spaces) {
            const std::string where = name_of_space(space);
            if (!shown.contains({space, 0}) &&
                shown.lower_bound({space, 0}) ==
                    shown.lower_bound({static_cast<char>(space + 1), 0}))
                continue;
            read_space(space, [&](bytes_view key, bytes_view val) {
                if (!is_shown(key)) return;
                const auto it = wanted.find(bytes(key));
                if (it == wanted.end()) {
                    report(where + " has what the log does not tell of: " + text.of(key, val));
                    return;
                }
                if (it->second.size() != 1 || *it->second.begin() != val)
                    report(where + " has " + text.of(key, val) + "; by the log it is " +
                           text.of(key, *it->second.begin()) +
                           (it->second.size() > 1 ? ", given more than once" : ""));
                wanted.erase(it);
            });
        }
        for (const auto& [key, vals] : wanted)
            if (!unreadable_.contains(key.front()))
                report(std::string(name_of_space(key.front())) + " lacks " +
                       text.of(key, *vals.begin()));
        if (differing_.size() > shown.size())
            report("there is more: " + std::to_string(differing_.size() - shown.size()) +
                   " other parts of the indexes differ");
    }

    void check_state(const log_replay& log) {
        const auto found = store_.get(bytes(1, keys::state));
        if (!found) {
            report("the state record is missing");
            return;
        }
        database_state stored;
        try {
            stored = unpack_state(*found);
        } catch (const error& e) {
            report(std::string("the state record cannot be read: ") + e.what());
            return;
        }
        const database_state& wanted = log.state();
        const auto differ = [&](const std::string& what, auto has, auto should) {
            if (has != should)
                report("the state record: " + what + " is " + std::to_string(has) +
                       "; by the log it is " + std::to_string(should));
        };
        differ("the newest t", stored.basis_t, wanted.basis_t);
        differ("the newest instant", stored.last_instant_ms, wanted.last_instant_ms);
        if (stored.next_user < wanted.next_user || stored.next_chosen < wanted.next_chosen)
            report("the state record: an id would count as unused, but the log has facts of it");
        for (const attribute* a : log.attributes().all()) {
            const auto count = [&](const database_state& s) {
                return a->number() < s.counts.size() ? s.counts[a->number()] : 0;
            };
            differ("the count of :" + a->ident.text, count(stored), count(wanted));
        }
    }

    /// The log does not tell how far streams are; their records must agree with each other and not
    /// go beyond the log.
    void check_streams(std::int64_t last_t) {
        std::map<std::string, stream_cursor> cursors;
        const auto read = [&](char space, const visitor& visit) {
            read_space(space, [&](bytes_view key, bytes_view val) {
                ++result_.entries;
                try {
                    visit(key.substr(1), val);
                } catch (const error& e) {
                    if (e.code() == errc::io) throw;
                    report(std::string(name_of_space(space)) + ": " +
                           edn::print(value(blob{bytes(key)})) + " cannot be read: " + e.what());
                }
            });
        };
        read(keys::stream,
             [&](bytes_view name, bytes_view val) { cursors.emplace(name, unpack_cursor(val)); });
        std::string stream;
        applied_commit last;
        std::uint64_t position = 0;
        const auto finish = [&] {
            const auto cursor = cursors.extract(stream);
            if (!cursor) {
                report("the stream " + stream + " has applied commits but no cursor");
            } else if (cursor.mapped().position != position ||
                       cursor.mapped().commit != last.commit)
                report("the stream " + stream + " is at position " +
                       std::to_string(cursor.mapped().position) +
                       "; its last applied commit is that of position " + std::to_string(position));
        };
        read(keys::applied, [&](bytes_view key, bytes_view val) {
            const bytes_view name =
                take_bytes(key, key.size() - std::min<std::size_t>(key.size(), 9));
            take_bytes(key, 1);
            const std::uint64_t at = get_be64(take_bytes(key, 8));
            const applied_commit now = unpack_applied(val);
            if (name != stream) {
                if (!stream.empty()) finish();
                stream = name;
                last = {};
            }
            if (now.t > last_t || now.t < last.t)
                report("the stream " + stream + " at position " + std::to_string(at) + " has t " +
                       std::to_string(now.t) + "; expected one from " + std::to_string(last.t) +
                       " to " + std::to_string(last_t));
            last = now;
            position = at;
        });
        if (!stream.empty()) finish();
        for (const auto& [name, cursor] : cursors)
            if (cursor.position > 0)
                report("the stream " + name + " is at position " + std::to_string(cursor.position) +
                       ", but has no applied commits");
    }

    const kv_reader& store_;
    const std::function<void(const std::string&)>& problem_;
    const std::function<void(std::int64_t, std::int64_t)>& progress_;
    verified result_;
    std::set<char> unreadable_;
    std::set<std::pair<char, std::size_t>> differing_;
};

}  // namespace

verified verify(const kv_reader& store,
                const std::function<void(const std::string&)>& problem,
                const std::function<void(std::int64_t done, std::int64_t all)>& progress) {
    return check(store, problem, progress).run();
}

verified verify(const db& database,
                const std::function<void(const std::string&)>& problem,
                const std::function<void(std::int64_t done, std::int64_t all)>& progress) {
    const auto* stored = dynamic_cast<const stored_reader*>(&database.get());
    if (stored == nullptr)
        throw error(errc::misuse, "only a database that is stored can be verified");
    return verify(*stored->at().store, problem, progress);
}

}  // namespace tributary::datom
