/// Walks a key space of current facts together with that of their past twins, as one sequence of
/// facts.
#pragma once

#include "tributary/datom/reader.hpp"
#include "tributary/store/kv.hpp"

#include <limits>
#include <memory>

namespace tributary::datom {

/// Which datoms of an index are seen: those said in (since_t, limit_t]. Without history each fact
/// whose newest event there says that it holds; its tx is the assertion's if that is in the window,
/// else that event's.
struct time_filter {
    static constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

    std::int64_t limit_t = no_limit;
    std::int64_t since_t = -1;
    bool history = false;

    bool current() const { return !history && limit_t == no_limit && since_t < 0; }
};

/// Pulls datoms from one space, in the order of their keys or against it. The views of get() are
/// valid until it moves.
class twin_scan {
public:
    /// `space` is one of keys::eavt, aevt, avet, vaet.
    twin_scan(const kv_reader& store,
              const schema& attributes,
              char space,
              const time_filter& filter);

    /// To the first visible datom whose key is >= `from`; the walk ends at `end`. Both without the
    /// space's byte. An empty `end`: the space's end.
    void start(bytes_view from, bytes end);
    /// All keys that begin with `prefix`.
    void start(bytes_view prefix) { start(prefix, prefix_end(prefix)); }
    /// To the last visible datom whose key is before or begins with `last`; next() goes back, and
    /// the walk ends before keys < `first`.
    void start_back(bytes_view last, bytes first);
    /// On to the first datom whose key is >= `from`; only forward.
    void seek(bytes_view from);
    bool valid() const { return valid_; }
    void next();
    const datom_ref& get() const { return datom_; }

private:
    void settle();
    void advance(kv_cursor& c) const;
    bool in_range(const kv_cursor& c, char space) const;
    bool show_current();
    bool show_past();
    bool show_event();
    void decode(bytes_view key, bool past);
    void load_long_value(bool past);

    const kv_reader& store_;
    const schema& attributes_;
    char space_;
    time_filter filter_;
    std::unique_ptr<kv_cursor> current_, past_;
    bytes end_;  ///< backward: the first key of the walk
    bool backward_ = false;
    bool valid_ = false;
    bool from_past_ = false;  ///< which of the two datom_ came from
    datom_ref datom_;
    bytes scratch_, long_value_;
    bytes_view times_;       ///< of a past fact: when it was retracted, restored, ...
    std::size_t event_ = 0;  ///< the next of them to show on history
};

}  // namespace tributary::datom
