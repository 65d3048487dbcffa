/// Following a database: the transaction log from a cursor on, then what is committed while one
/// waits. There is no queue that could overflow or end: a reader's place in the log is all there
/// is, so between "range" and "live" nothing is missed and nothing comes twice.
///
///     log_reader feed(*conn, cursor::after(last_t));
///     while (auto tx = feed.next(1000ms)) handle(tx->data, tx->db_after);
#pragma once

#include "tributary/datom/database.hpp"

namespace tributary::datom {

/// Where to begin. The text forms are trim-horizon, latest, at:N, after:N.
struct log_cursor {
    enum class kind { trim_horizon, latest, at, after };
    kind from = kind::trim_horizon;
    std::int64_t t = 0;  ///< of at and after; or a transaction's entity

    static log_cursor trim_horizon() { return {kind::trim_horizon, 0}; }
    static log_cursor latest() { return {kind::latest, 0}; }
    static log_cursor at(std::int64_t t) { return {kind::at, t}; }
    static log_cursor after(std::int64_t t) { return {kind::after, t}; }
    /// Errors: bad_input.
    static log_cursor parse(const std::string& text);
    bool operator==(const log_cursor&) const = default;
};

/// One transaction as a follower sees it.
struct fed_tx : log_tx {
    db db_before, db_after;
};

/// One of any number of independent readers. Thread rule: next() from one thread, close() from any.
/// The connection must outlive it.
class log_reader {
public:
    enum class mode { single_pass, continuous };
    /// Errors: bad_input if `from` is beyond the log and the transaction that comes next.
    log_reader(const connection& conn, const log_cursor& from, mode m = mode::continuous);
    ~log_reader();

    /// The next transaction; waits for one up to `timeout` if it is continuous. Nothing: none came
    /// in time, or it is closed or (single pass) has reached what was there when it began.
    std::optional<fed_tx> next(std::chrono::milliseconds timeout = {});
    /// t of the last transaction given: restart with after(position()).
    std::int64_t position() const;
    /// Wakes next(), for good. True the first time.
    bool close();

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace tributary::datom
