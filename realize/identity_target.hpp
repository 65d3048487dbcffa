/// Realizes into a value in memory, and folds a linear log into a value once.
///
///     identity_target<int> target(0, {{"add", [](int& sum, const value& n, const op_context&) {
///     sum += n.as<std::int64_t>(); }}}); realize_stream(source, target, target.dispatch(), id,
///     {}).run(); target.get();
///
/// The value dies with the target, and so does the cursor: together they are exactly-once within a
/// process. A rewind goes back to a copy of the value; copies are made and kept at growing
/// distances, O(log commits) of them, and the stream applies again what lies between.
#pragma once

#include "tributary/realize/stream.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tributary {

/// What each op does to a T. A function may throw; then it must have left T as it was, so: check
/// first, change then.
template <class T>
using fold_functions =
    std::map<std::string, std::function<void(T&, const value& params, const op_context&)>>;

template <class T>
class identity_target : public realize_target {
public:
    identity_target(T initial, fold_functions<T> functions)
        : functions_(std::move(functions)), working_(initial) {
        copies_.push_back({std::move(initial), {}, 0});
        dispatch_ = make_dispatch_map({}, vector{}, "in memory");
    }

    const T& get() const { return working_; }
    /// For the stream; only its digest counts.
    const dispatch_map& dispatch() const { return dispatch_; }

    struct failure {
        commit_id commit;
        std::uint32_t op_index = 0;
        std::string reason;
    };
    /// The ops that were not applied, in the order of the log.
    const std::vector<failure>& failures() const { return failures_; }

    std::optional<stream_cursor> cursor() const override {
        return begun_ ? std::optional(cursor_) : std::nullopt;
    }

    std::optional<linear_mark> applied_at(std::uint64_t position) const override {
        return position < cursor_.position ? std::optional(applied_[position]) : std::nullopt;
    }

    void begin(const stream_cursor& from) override {
        begun_ = true;
        cursor_ = from;
    }

    void apply(const op& o, const op_context& context) override {
        const auto known = functions_.find(o.name.text);
        if (known == functions_.end())
            throw error(errc::not_found, "no function for the op " + o.name.text);
        known->second(working_, o.params, context);
        staged_ = true;
    }

    void record_failure(const op_context& context,
                        const op* o,
                        const std::string& reason,
                        bool) override {
        failures_.push_back(
            {context.commit, context.op_index, (o != nullptr ? o->name.text + ": " : "") + reason});
        staged_ = true;
    }

    void end_commit(const stream_cursor& to, const op_context&) override {
        staged_cursor_ = to;
        applied_.push_back(decode_linear_mark(to.commit));
        staged_ = true;
    }

    void flush() override {
        if (!staged_) return;
        if (staged_cursor_.epoch != cursor_.epoch) {
            throw error(
                errc::conflict,
                "another realizer has taken over this target; nothing of this batch was applied");
        }
        staged_ = false;
        cursor_ = staged_cursor_;
        const std::uint64_t since = cursor_.position - copies_.back().cursor.position;
        if (since < std::max<std::uint64_t>(64, cursor_.position / 16)) return;
        copies_.push_back({working_, cursor_, failures_.size()});
        thin_out();
    }

    void discard() override {
        if (staged_) back_to_copy();
    }

    std::size_t staged_bytes() const override { return 0; }

    void rewind(std::uint64_t position) override {
        while (copies_.size() > 1 && copies_.back().cursor.position > position) copies_.pop_back();
        back_to_copy();
    }

private:
    struct copy {
        T state;
        stream_cursor cursor;
        std::size_t failures;
    };

    void back_to_copy() {
        const copy& last = copies_.back();
        const std::uint64_t epoch = cursor_.epoch;
        working_ = last.state;
        cursor_ = last.cursor;
        cursor_.epoch = epoch;
        applied_.resize(cursor_.position);
        failures_.resize(last.failures);
        staged_ = false;
    }

    /// Drops a copy if its neighbours are so near each other, seen from the end, that it is of
    /// little use.
    void thin_out() {
        const auto distance = [&](std::size_t i) {
            return copies_.back().cursor.position - copies_[i].cursor.position;
        };
        for (std::size_t i = copies_.size() - 1; i-- > 1;) {
            if (distance(i - 1) < 2 * distance(i + 1))
                copies_.erase(copies_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }

    fold_functions<T> functions_;
    dispatch_map dispatch_;
    std::vector<copy> copies_;  ///< ascending; the first is the initial state
    std::vector<linear_mark> applied_;
    std::vector<failure> failures_;
    T working_;
    stream_cursor cursor_, staged_cursor_;
    bool staged_ = false;  ///< working_ is ahead of cursor_
    bool begun_ = false;
};

/// The value of a linear log: a plain fold over all its ops; of the current head's while there are
/// several. Errors: what a function throws; not_found for an op without one.
template <class T>
T head_value(linear_source& source, const crdt_id& crdt, T initial, fold_functions<T> functions) {
    identity_target<T> target(std::move(initial), std::move(functions));
    stream_options options;
    options.mode = conflict_mode::follow_current;
    realize_stream(source, target, target.dispatch(), crdt, options).run();
    return target.get();
}

}  // namespace tributary
