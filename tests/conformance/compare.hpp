/// Are two results the same, up to one consistent renaming of entity ids?
#pragma once

#include "tributary/value/value.hpp"

#include <functional>
#include <map>
#include <vector>

namespace tributary::conformance {

/// Lists become vectors (as Clojure compares them) and doubles lose what another order of additions
/// may change: both sides of a comparison go through this. With `one_kind_of_number` 26.0 is 26.
value normal(const value& v, bool one_kind_of_number = false);

/// Finds a renaming of ids under which a result is what was expected: one to one, the same
/// everywhere. Backtracks; gives up (false) after some millions of steps.
class matcher {
public:
    /// May our integer `ours` be called `theirs` in what is expected?
    using renamable = std::function<bool(std::int64_t ours, const value& theirs)>;

    /// `is_id` tells which of our integers may have another name at all.
    matcher(std::function<bool(std::int64_t)> is_id, renamable may_be_called)
        : is_id_(std::move(is_id)), may_be_called_(std::move(may_be_called)) {}

    /// Sets and maps in any order, vectors in theirs.
    bool same(const value& ours, const value& theirs);
    /// As collections without an order.
    bool same_bag(std::vector<value> ours, std::vector<value> theirs);

private:
    using next = std::function<bool()>;
    using items = std::vector<const value*>;

    bool has_ids(const value& v) const;
    bool unify(const value& ours, const value& theirs, const next& then);
    bool unify_id(std::int64_t ours, const value& theirs, const next& then);
    bool unify_sequence(const vector& ours,
                        const vector& theirs,
                        std::size_t from,
                        const next& then);
    bool unify_any_order(const items& ours, const items& theirs, const next& then);

    std::function<bool(std::int64_t)> is_id_;
    renamable may_be_called_;
    std::map<std::int64_t, value> name_of_;
    std::map<value, std::int64_t> named_;
    std::size_t steps_left_ = 20'000'000;
};

/// The elements of a set, vector or list; null for anything else.
const std::vector<value>* elements(const value& v);

}  // namespace tributary::conformance
