#include "tributary/datom/feed.hpp"

#include "tributary/datom/stored_reader.hpp"

#include <algorithm>
#include <charconv>
#include <deque>

namespace tributary::datom {

namespace {

/// Read from the log at once, so that a seek serves many; more than one transaction only while
/// they are small.
constexpr std::size_t datoms_at_once = 4096;

}  // namespace

log_cursor log_cursor::parse(const std::string& text) {
    if (text == "trim-horizon") return trim_horizon();
    if (text == "latest") return latest();
    for (const std::string prefix : {"at:", "after:"}) {
        if (text.rfind(prefix, 0) != 0) continue;
        std::int64_t t = 0;
        const char* end = text.data() + text.size();
        const auto [stopped, failed] = std::from_chars(text.data() + prefix.size(), end, t);
        if (failed == std::errc() && stopped == end && t >= 0)
            return prefix == "at:" ? at(t) : after(t);
    }
    throw error(
        errc::bad_input,
        "the cursor \"" + text +
            "\": expected trim-horizon, latest, at:T or after:T, where T is a t or a transaction");
}

struct log_reader::state {
    const connection& conn;
    mode how;
    std::int64_t end_t = 0;       ///< of a single pass: the last t it gives
    std::int64_t read_t = 0;      ///< the last one taken from the log
    std::int64_t position_t = 0;  ///< the last one given
    std::deque<log_tx> ready;
    std::optional<db> seen;  ///< the database that `ready` was read from
    std::atomic<bool> closed = false;

    state(const connection& c, mode m) : conn(c), how(m) {}
    void read();
    fed_tx take();
};

namespace {

/// The t after which a reader begins. A cursor may name the next transaction, but none after it:
/// it is another database's then, and what comes until that t would be passed over unseen.
std::int64_t begins_after(const log_cursor& from, std::int64_t basis) {
    if (from.from == log_cursor::kind::trim_horizon) return 0;
    if (from.from == log_cursor::kind::latest) return basis;
    const bool is_at = from.from == log_cursor::kind::at;
    const bool is_entity = from.t >= tx_partition && from.t < user_partition;
    const std::int64_t t = is_entity ? t_of_entity(from.t) : from.t;
    if (t > (is_at ? basis + 1 : basis))
        throw error(errc::bad_input,
                    "the cursor " + std::string(is_at ? "at:" : "after:") + std::to_string(from.t) +
                        " is beyond the log, whose last t is " + std::to_string(basis) +
                        "; latest waits for what comes next");
    return std::max<std::int64_t>(is_at ? t - 1 : t, 0);
}

}  // namespace

/// What the log has now beyond read_t, or the first part of it.
void log_reader::state::read() {
    const db now = conn.current();
    const std::int64_t last =
        how == mode::single_pass ? std::min(end_t, now.basis_t()) : now.basis_t();
    if (last <= read_t) return;
    std::size_t datoms = 0;
    now.tx_range(time_point(read_t + 1), time_point(last + 1), [&](const log_tx& tx) {
        ready.push_back(tx);
        read_t = tx.t;
        datoms += tx.data.size();
        return datoms < datoms_at_once;
    });
    seen = now;
}

fed_tx log_reader::state::take() {
    const stored_reader& now = seen->get().stored();
    log_tx tx = std::move(ready.front());
    ready.pop_front();
    position_t = tx.t;
    db before(now.at_t(tx.t - 1));
    db after = tx.t == seen->basis_t() ? *seen : db(now.at_t(tx.t));
    if (ready.empty()) seen.reset();  // keeps no old snapshot while it waits
    return {std::move(tx), std::move(before), std::move(after)};
}

log_reader::log_reader(const connection& conn, const log_cursor& from, mode m)
    : state_(std::make_shared<state>(conn, m)) {
    const std::int64_t basis = conn.current().basis_t();
    state_->end_t = basis;
    state_->read_t = state_->position_t = begins_after(from, basis);
}

log_reader::~log_reader() { close(); }

std::optional<fed_tx> log_reader::next(std::chrono::milliseconds timeout) {
    state& s = *state_;
    if (s.closed) return std::nullopt;
    if (s.ready.empty()) s.read();
    if (s.ready.empty() && s.how == mode::continuous && timeout.count() > 0 &&
        s.conn.wait_beyond(s.read_t, timeout, &s.closed))
        s.read();
    if (s.closed || s.ready.empty()) return std::nullopt;
    return s.take();
}

std::int64_t log_reader::position() const { return state_->position_t; }

bool log_reader::close() {
    if (state_->closed.exchange(true)) return false;
    state_->conn.wake();
    return true;
}

}  // namespace tributary::datom
