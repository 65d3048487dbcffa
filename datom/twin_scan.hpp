/// Walks a key space of current facts together with that of their past twins, as one sequence of
/// facts.
#pragma once

#include "tributary/datom/reader.hpp"
#include "tributary/store/kv.hpp"

#include <limits>
#include <memory>

namespace tributary::datom {

/// Which datoms of an index are seen.
struct time_filter {
    std::int64_t limit_t = std::numeric_limits<std::int64_t>::max();  ///< nothing after it
    bool history = false;

    bool current() const { return !history && limit_t == std::numeric_limits<std::int64_t>::max(); }
};

/// Pulls datoms from one space, keys in [seek, end). The views of get() are valid until it moves.
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
    /// On to the first datom whose key is >= `from`.
    void seek(bytes_view from);
    bool valid() const { return valid_; }
    void next();
    const datom_ref& get() const { return datom_; }

private:
    void settle();
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
    bytes end_;
    bool valid_ = false;
    bool from_past_ = false;  ///< which of the two datom_ came from
    datom_ref datom_;
    bytes scratch_, long_value_;
    bytes_view times_;       ///< of a past fact: when it was retracted, restored, ...
    std::size_t event_ = 0;  ///< the next of them to show on history; 0 = the assertion
    std::int64_t asserted_t_ = 0;
};

}  // namespace tributary::datom
