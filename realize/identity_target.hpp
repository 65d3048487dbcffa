/// Realizes into a value in memory, and folds a linear log into a value once.
///
///     identity_target<int> target(0, {{"add", [](int& sum, const value& n, const op_context&) { sum += n.as<std::int64_t>(); }}});
///     realize_stream(source, target, target.dispatch(), id, {}).run();
///     target.get();
///
/// The value dies with the target, and so does the cursor: together they are exactly-once within a process. Rewinds go back to a copy of the value; copies
/// are kept at doubling distances, O(log commits) of them, and the stream applies again what lies between.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tributary/realize/stream.hpp"

namespace tributary {

/// What each op does to a T. May throw; then T must be as before (the target works on a copy per commit only if a copy is cheap: so check first, change then).
template <class T>
using fold_functions = std::map<std::string, std::function<void(T&, const value& params, const op_context&)>>;

template <class T>
class identity_target : public realize_target {
public:
    identity_target(T initial, fold_functions<T> functions) : functions_(std::move(functions)) {
        states_.push_back({0, std::move(initial), {}});
        working_ = states_.front().state;
    }

    const T& get() const { return states_.back().state; }
    /// Only its digest is used.
    const dispatch_map& dispatch() const { return dispatch_; }

    std::optional<stream_cursor> cursor() const override { return begun_ ? std::optional(cursor_) : std::nullopt; }

    std::optional<linear_mark> applied_at(std::uint64_t position) const override {
        return position < applied_durable() ? std::optional(applied_[position]) : std::nullopt;
    }

    void begin(const stream_cursor& from) override {
        begun_ = true;
        cursor_ = from;
    }

    void apply(const op& o, const op_context& context) override {
        const auto known = functions_.find(o.name.text);
        if (known == functions_.end()) throw error(errc::not_found, "no function for the op " + o.name.text);
        known->second(working_, o.params, context);
    }

    void record_failure(const op_context& context, const op* o, const std::string& reason, bool) override {
        failures_.emplace_back(context.commit, (o != nullptr ? o->name.text + ": " : "") + reason);
    }

    void end_commit(const stream_cursor& to, const op_context&) override {
        staged_cursor_ = to;
        applied_.push_back(decode_linear_mark(to.commit));
    }

    void flush() override {
        if (applied_.size() == applied_durable()) return;
        cursor_ = staged_cursor_;
        states_.push_back({applied_.size(), working_, cursor_});
        thin_out();
    }

    void discard() override {
        applied_.resize(applied_durable());
        working_ = states_.back().state;
    }

    std::size_t staged_bytes() const override { return 0; }

    void rewind(std::uint64_t position) override {
        while (states_.size() > 1 && states_.back().position > position) states_.pop_back();
        const std::uint64_t epoch = cursor_.epoch;
        cursor_ = states_.back().cursor;
        cursor_.epoch = epoch;
        discard();
    }

    const std::vector<std::pair<commit_id, std::string>>& failures() const { return failures_; }

private:
    struct checkpoint {
        std::uint64_t position;
        T state;
        stream_cursor cursor;
    };

    std::uint64_t applied_durable() const { return states_.back().position; }

    /// Keeps the newest, and of the others those at least half as far from the end as the next older one.
    void thin_out() {
        const std::uint64_t end = states_.back().position;
        for (std::size_t i = states_.size() - 2; i >= 1 && states_.size() > 2; --i) {
            if (end - states_[i - 1].position < 2 * (end - states_[i + 1].position)) {
                states_.erase(states_.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }

    fold_functions<T> functions_;
    dispatch_map dispatch_;
    std::vector<checkpoint> states_;  ///< ascending; the first is the initial one, the last the present
    std::vector<linear_mark> applied_;
    std::vector<std::pair<commit_id, std::string>> failures_;
    T working_;
    stream_cursor cursor_, staged_cursor_;
    bool begun_ = false;
};

/// The value of a linear log: a plain fold over all its ops. Errors: what a function throws; not_found for an op without one.
template <class T>
T head_value(linear_source& source, const crdt_id& crdt, T initial, fold_functions<T> functions) {
    identity_target<T> target(std::move(initial), std::move(functions));
    realize_stream stream(source, target, target.dispatch(), crdt, {});
    stream.run();
    return target.get();
}

}  // namespace tributary
