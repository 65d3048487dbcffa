#include "tributary/datom/pull.hpp"

#include "tributary/datom/pull_pattern.hpp"
#include "tributary/datom/query_relation.hpp"
#include "tributary/datom/stored_reader.hpp"

#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace tributary::datom {

namespace {

/// Who holds a result walks through it on the stack (to compare, print or free it), so its depth
/// has an end.
constexpr std::size_t levels_max = 2000;

value id_map(entity_id e) {
    map m;
    m.entries.emplace_back(keyword{"db/id"}, e);
    return m;
}

/// About what a value takes in memory, where it is.
std::size_t size_of(const value& v) {
    std::size_t size = sizeof(value);
    if (const auto* s = v.get_if<std::string>()) size += datalog::bytes_apart(s->capacity());
    if (const auto* k = v.get_if<keyword>()) size += datalog::bytes_apart(k->text.capacity());
    if (const auto* b = v.get_if<blob>()) size += datalog::bytes_apart(b->data.capacity());
    if (const auto* items = v.get_if<vector>()) {
        size += datalog::block_bytes;
        for (const value& item : *items) size += size_of(item);
    }
    return size;
}

/// Pulls entity after entity by one pattern. Works from a stack of its own, so that long chains of
/// entities are only a matter of memory.
class puller {
public:
    puller(const db& d, const value& pattern, const query_options& options)
        : reader_(d.get()),
          pattern_(parse_pull(pattern, reader_.attributes(), options)),
          stop_(options.timeout, options.cancel),
          memory_(options.memory_bytes.value_or(d.get().stored().at().query_memory())),
          budget_(memory_) {
        if (reader_.is_history()) {
            throw error(errc::misuse,
                        "db.error/history",
                        "pull: a history has no one state to pull from; use the database it is the "
                        "history of, or as_of");
        }
        stop_.look();
        everything_.everything = true;
    }

    value pull(const value& entity) {
        const std::optional<entity_id> e = reader_.entid(entity);
        if (!e) return nullptr;
        enter(pattern_, *e, nullptr);
        for (;;) {
            stop_();
            frame& f = stack_.back();
            if (f.current) {
                next_target(f);
            } else if (f.at < f.todo.size()) {
                begin(f);
            } else {
                value v = leave();
                if (stack_.empty()) return v;
                if (!v.is_nil()) stack_.back().values.push_back(std::move(v));
            }
        }
    }

    /// What the entities pulled so far take, from now on counted where this goes.
    datalog::counted_bytes spent() { return std::move(spent_); }

private:
    /// A spec to answer, with its values where they have been read already.
    struct task {
        const pull_spec* spec;
        std::vector<value> values;
        bool is_read = false;
    };
    /// An entity under way.
    struct frame {
        const pull_pattern* pattern;
        entity_id e;
        const pull_spec* through;  ///< what brought us here, if that counts as a path; else null
        std::vector<task> todo;
        std::size_t at = 0;
        std::map<value, value> result;
        // The attribute under way, when its refs are followed.
        const pull_spec* current = nullptr;
        std::vector<value> targets;
        std::size_t next = 0;
        std::vector<value> values;
        datalog::counted_bytes bytes;
    };

    void enter(const pull_pattern& pattern, entity_id e, const pull_spec* through) {
        if (stack_.size() == levels_max) {
            throw error(errc::limit,
                        "db.error/nesting-limit",
                        "pull: more than " + std::to_string(levels_max) +
                            " entities inside each other; give the recursion a number of levels, "
                            "or ask for the closure with a rule of a query");
        }
        frame& f = stack_.emplace_back();
        spend(sizeof(frame), f.bytes);
        f.pattern = &pattern;
        f.e = e;
        f.through = through;
        if (through) {
            seen_.insert(e);
            ++levels_[through];
        }
        if (pattern.everything) {
            f.result.emplace(keyword{"db/id"}, e);
            add_everything(f);
        }
        for (const pull_spec& s : pattern.specs) f.todo.push_back({&s, {}, false});
    }

    value leave() {
        frame& f = stack_.back();
        if (f.through) {
            seen_.erase(f.e);
            --levels_[f.through];
        }
        map m;
        m.entries.reserve(f.result.size());
        spend(datalog::block_bytes);
        for (auto& [k, v] : f.result) {
            spend(size_of(k));
            m.entries.emplace_back(k, std::move(v));
        }
        stack_.pop_back();
        return m.entries.empty() ? value() : value(std::move(m));
    }

    void add_everything(frame& f) {
        reader_.scan_eavt(f.e, nullptr, [&](const datom_ref& fact) {
            stop_();
            if (f.todo.empty() || f.todo.back().spec->what->id != fact.a) {
                if (f.pattern->names(fact.a)) return true;
                f.todo.push_back({&plain_spec(fact.a), {}, true});
            }
            task& t = f.todo.back();
            if (t.spec->follows() || t.values.size() < t.spec->limit) add(t.values, fact.v);
            return true;
        });
    }

    const pull_spec& plain_spec(entity_id a) {
        const auto [at, is_new] = plain_specs_.try_emplace(a);
        if (is_new) {
            at->second.what = reader_.find_attribute(a);
            at->second.key = at->second.what->ident;
        }
        return at->second;
    }

    void begin(frame& f) {
        task& t = f.todo[f.at++];
        const pull_spec& s = *t.spec;
        if (s.is_id) {
            put(f, s, f.e);
            return;
        }
        if (!t.is_read && s.what) t.values = read(f.e, s);
        if (t.values.empty()) {
            if (s.fallback)
                f.result[s.key] = *s.fallback;
            else
                put(f, s, nullptr);
        } else if (s.what->is_ref()) {
            f.current = &s;
            f.targets = std::move(t.values);
            f.next = 0;
            f.values.clear();
        } else {
            finish(f, s, std::move(t.values));
        }
    }

    void next_target(frame& f) {
        const pull_spec& s = *f.current;
        if (f.next == f.targets.size() || f.values.size() >= s.limit) {
            f.current = nullptr;
            finish(f, s, std::move(f.values));
            f.values.clear();
            return;
        }
        const entity_id target = f.targets[f.next++].as<std::int64_t>();
        // What belongs to an entity, whole: a cycle of it ends as recursion does.
        const bool whole = s.pattern && s.pattern->everything && s.what->component && !s.reverse;
        if (s.pattern && !whole) {
            enter(*s.pattern, target, nullptr);
        } else if (!s.follows() || seen_.contains(target)) {
            spend(sizeof(value) * 4);
            f.values.push_back(id_map(target));
        } else if (levels_[&s] < s.levels) {
            const pull_pattern& next = s.recursive ? *f.pattern : everything_;
            enter(whole ? *s.pattern : next, target, &s);
        }
    }

    void finish(frame& f, const pull_spec& s, std::vector<value> values) {
        if (values.empty())
            put(f, s, nullptr);
        else if (s.single())
            put(f, s, std::move(values.front()));
        else
            put(f, s, std::move(values));
    }

    void put(frame& f, const pull_spec& s, value v) {
        if (s.transform) {
            v = (*s.transform)(std::span<const value>(&v, 1));
            spend(size_of(v));
        }
        if (!v.is_nil()) f.result[s.key] = std::move(v);
    }

    /// In value order; those of a reverse attribute by entity.
    std::vector<value> read(entity_id e, const pull_spec& s) {
        std::vector<value> values;
        const std::size_t limit =
            s.single() ? 1 : (s.follows() ? std::numeric_limits<std::size_t>::max() : s.limit);
        const auto visit = [&](const datom_ref& fact) {
            stop_();
            if (s.reverse)
                add(values, value(fact.e));
            else
                add(values, fact.v);
            return values.size() < limit;
        };
        if (s.reverse)
            reader_.scan_vaet(e, s.what, visit);
        else
            reader_.scan_eavt(e, s.what, visit);
        return values;
    }

    void add(std::vector<value>& values, const value_view& v) { add(values, v.to_value()); }
    void add(std::vector<value>& values, value v) {
        spend(size_of(v));
        values.push_back(std::move(v));
    }

    void spend(std::size_t bytes) { spend(bytes, spent_); }
    void spend(std::size_t bytes, datalog::counted_bytes& by) {
        if (bytes > datalog::memory_budget::left()) {
            throw error(errc::limit,
                        "db.error/memory-limit",
                        "pull: the result outgrows " + std::to_string(memory_) +
                            " bytes; give :limit or fewer levels, or allow more "
                            "(query_options::memory_bytes, --memory)");
        }
        by.take(bytes);
    }

    const reader& reader_;
    const pull_pattern pattern_;
    pull_pattern everything_;
    datalog::stop_check stop_;
    const std::size_t memory_;
    const datalog::memory_budget budget_;
    datalog::counted_bytes spent_;
    std::deque<frame> stack_;
    std::map<entity_id, pull_spec> plain_specs_;
    /// Of the path from the first entity to the present one: the entities that recursion or
    /// components led to, and how many levels of each recursion are used up.
    std::unordered_set<entity_id> seen_;
    std::unordered_map<const pull_spec*, std::uint64_t> levels_;
};

}  // namespace

value pull(const db& d, const value& pattern, const value& e, const query_options& options) {
    return puller(d, pattern, options).pull(e);
}

counted_pulls pull_counted(const db& d,
                           const value& pattern,
                           std::span<const value> entities,
                           const query_options& options) {
    puller each(d, pattern, options);
    counted_pulls results;
    results.values.reserve(entities.size());
    for (const value& e : entities) results.values.push_back(each.pull(e));
    results.bytes = each.spent();
    return results;
}

value pull_many(const db& d,
                const value& pattern,
                std::span<const value> entities,
                const query_options& options) {
    return pull_counted(d, pattern, entities, options).values;
}

}  // namespace tributary::datom
