#include "tributary/peer/node.hpp"

#include "tributary/peer/repair.hpp"
#include "tributary/store/open_commits.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

namespace tributary {

namespace {

constexpr mono_ms tick_ms = 500;
/// Smaller backlogs of a connection are not told to the hub while more is being written.
constexpr std::size_t backlog_step_bytes = 64u << 10;

mono_ms mono_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// An application that wants to read along registers a logger of this name; nothing is printed
/// otherwise.
template <class... A>
void log(spdlog::level::level_enum level, fmt::format_string<A...> text, A&&... args) {
    if (auto logger = spdlog::get("tributary")) logger->log(level, text, std::forward<A>(args)...);
}

std::filesystem::path make_private(const std::filesystem::path& dir) {
    namespace fs = std::filesystem;
    std::error_code ec;
    if (fs::is_directory(dir, ec)) return dir;
    if (fs::create_directories(dir, ec); ec)
        throw error(errc::io, "cannot make the directory " + dir.string() + ": " + ec.message());
    fs::permissions(dir, fs::perms::owner_all, ec);
    if (ec)
        throw error(errc::io, "cannot protect the directory " + dir.string() + ": " + ec.message());
    return dir;
}

std::unique_ptr<kv> open_database(const std::filesystem::path& dir) {
    finish_repair(dir);
    return open_commits(dir / "db");
}

}  // namespace

std::int64_t wall_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// -- dialog

std::optional<hub_event> dialog::next(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, wait, [&] { return !events_.empty(); });
    if (events_.empty()) return std::nullopt;
    hub_event event = std::move(events_.front());
    events_.pop_front();
    return event;
}

connection_counters dialog::counters() const {
    std::lock_guard lock(mutex_);
    return counters_;
}

std::vector<connection_counters> dialog::shares() const {
    std::lock_guard lock(mutex_);
    return shares_;
}

// -- from any thread

peer_node::peer_node(const std::filesystem::path& dir, node_options options)
    : dir_(make_private(dir)),
      options_(options),
      // The database's lock comes first: it makes this the one process that may make the identity.
      db_(open_database(dir_)),
      self_(open_identity(dir_)),
      store_(std::make_unique<commit_store>(*db_)),
      blobs_(open_blob_files(dir_ / blobs_directory)),
      hub_(std::make_unique<hub>(
          *store_, self_, [] { return random_bytes(32); }, options_.hub, blobs_.get())),
      admission_(dir_, options_.bans),
      throttle_(options_.share) {
    finish_rotation();
    start();
}

peer_node::peer_node(std::unique_ptr<kv> db,
                     const identity& self,
                     node_options options,
                     std::unique_ptr<blob_store> blobs)
    : options_(options),
      db_(std::move(db)),
      self_(self),
      store_(std::make_unique<commit_store>(*db_)),
      blobs_(blobs ? std::move(blobs) : make_memory_blobs()),
      hub_(std::make_unique<hub>(
          *store_, self_, [] { return random_bytes(32); }, options_.hub, blobs_.get())),
      admission_({}, options_.bans),
      throttle_(options_.share) {
    start();
}

void peer_node::start() {
    hub_->set_clock(options_.clock);
    hub_->set_gate([this](const public_key& key) { admission_.require_welcome(key, mono_now()); });
    websocket_handlers on;
    on.opened = [this](connection_id c, bool accepted, bytes exported) {
        put({input::kind::opened, c, accepted, 0, {}, std::move(exported)}, true);
    };
    on.received = [this](connection_id c, bytes frame) {
        input in{input::kind::received, c};
        in.frame = has_brought(c) ? prepared_frame::prepare(std::move(frame))
                                  : prepared_frame::as_it_came(std::move(frame));
        put(std::move(in), true);
    };
    on.written = [this](connection_id c, std::size_t written, bool all) {
        put({input::kind::written, c, all, written}, written >= backlog_step_bytes);
    };
    on.closed = [this](connection_id c, errc code, const std::string& reason) {
        put({input::kind::closed, c, false, 0, {}, {}, code, reason}, true);
    };
    on.http = [this](const std::string& path, std::function<void(http_answer)> reply) {
        std::lock_guard lock(mutex_);
        questions_.emplace_back(path, std::move(reply));
        posted_.notify_one();
    };
    shell_ = std::make_unique<websocket_shell>(std::move(on), options_.sockets, options_.bans);
    thread_ = std::thread([this] { run(); });
}

peer_node::~peer_node() {
    stop();
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
        posted_.notify_one();
    }
    thread_.join();
    shell_.reset();
}

void peer_node::stop() {
    stopping_ = true;
    std::lock_guard lock(changed_mutex_);
    changed_.notify_all();
}

void peer_node::post(job& j, bool writes) {
    auto done = j.done.get_future();
    {
        std::lock_guard lock(mutex_);
        if (ended_) throw error(errc::canceled, "the store is being closed");
        (writes ? writes_ : reads_).push_back(&j);
        posted_.notify_one();
    }
    done.wait();
    if (j.failure) std::rethrow_exception(j.failure);
}

bool peer_node::has_brought(connection_id c) {
    std::lock_guard lock(mutex_);
    return bringers_.contains(c);
}

void peer_node::put(input in, bool wake) {
    std::lock_guard lock(mutex_);
    inputs_.push_back(std::move(in));
    if (wake) posted_.notify_one();
}

std::uint64_t peer_node::wait_for_change(crdt_handle h,
                                         std::uint64_t commits,
                                         std::chrono::milliseconds wait) {
    const auto deadline = std::chrono::steady_clock::now() + wait;
    const std::uint64_t now = read([&](commit_store& s) {
        const std::uint64_t n = s.state(h).end.seq;
        std::lock_guard lock(changed_mutex_);
        return commits_[h] = n;
    });
    if (now != commits) return now;
    std::unique_lock lock(changed_mutex_);
    changed_.wait_until(lock, deadline, [&] { return stopping_ || commits_[h] != commits; });
    return commits_[h];
}

std::pair<connection_id, std::shared_ptr<dialog>> peer_node::dial(const peer_url& to,
                                                                  std::vector<want> wants,
                                                                  bool list,
                                                                  const tls_trust& trust,
                                                                  bool compress,
                                                                  std::optional<identity> as) {
    auto d = std::make_shared<dialog>();
    d->url_ = to.origin();
    d->wants_ = std::move(wants);
    d->list_ = list;
    d->as_ = std::move(as);
    const connection_id c = shell_->next_connection();
    {
        std::lock_guard lock(mutex_);
        dialogs_.emplace(c, d);
    }
    shell_->dial(c, to, trust, compress);
    return {c, d};
}

void peer_node::hang_up(connection_id c) {
    {
        std::lock_guard lock(mutex_);
        dialogs_.erase(c);
    }
    write([&](commit_store&, hub& h) { h.disconnected(c); });
    shell_->send({}, {c});
}

std::vector<peer_link> peer_node::links() {
    std::vector<peer_link> out;
    const auto ask = [&] {
        std::set<connection_id> unread;
        for (const input& in : backlog_in_)
            if (in.what == input::kind::received) unread.insert(in.connection);
        for (hub_link& l : hub_->links(mono_now())) {
            if (unread.contains(l.connection) && is_connected(l.state))
                l.state = link_state::verifying;
            if (throttle_.held().contains(l.connection)) {
                l.state = link_state::throttled;
                l.reason =
                    "it has taken more than its share of this peer; docs/limits.md: "
                    "key-bytes-per-second and the like";
            }
            out.push_back({std::move(l), {}});
        }
    };
    run_as<void>(false, ask);
    std::lock_guard lock(mutex_);
    for (peer_link& l : out)
        if (const auto at = dialogs_.find(l.link.connection); at != dialogs_.end())
            l.url = at->second->url_;
    return out;
}

// -- turns

void peer_node::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (backlog_in_.empty() && !std::exchange(again_, false))
                posted_.wait_for(lock, std::chrono::milliseconds(tick_ms), [&] {
                    return ended_ || !reads_.empty() || !writes_.empty() || !inputs_.empty() ||
                           !questions_.empty();
                });
            if (ended_) break;
        }
        take_turn();
    }
    std::lock_guard lock(mutex_);
    const auto closed = std::make_exception_ptr(error(errc::canceled, "the store is being closed"));
    settle(reads_, closed);
    settle(writes_, closed);
}

void peer_node::take_turn() {
    std::vector<job*> reads, writes;
    std::vector<std::pair<std::string, std::function<void(http_answer)>>> questions;
    {
        std::lock_guard lock(mutex_);
        reads.swap(reads_);
        writes.swap(writes_);
        questions.swap(questions_);
        std::move(inputs_.begin(), inputs_.end(), std::back_inserter(backlog_in_));
        inputs_.clear();
    }
    answer(reads);
    for (auto& [path, reply] : questions) answer_http(path, reply);

    const mono_ms now = mono_now();
    for (std::size_t taken = 0; !backlog_in_.empty() && taken < options_.turn_bytes_max;
         backlog_in_.pop_front()) {
        taken += backlog_in_.front().frame.size();
        feed(backlog_in_.front(), now);
    }
    for (job* j : writes) {
        try {
            j->run();
        } catch (...) {
            j->failure = std::current_exception();
        }
    }
    if (now >= next_tick_) {
        refresh_admission();
        for (const connection_id c : throttle_.held()) hub_->not_read(c, now);
        hub_->tick(now);
        next_tick_ = now + tick_ms;
    }
    settle(writes, finish_turn(now));
}

void peer_node::answer(const std::vector<job*>& reads) {
    for (job* j : reads) {
        try {
            j->run();
        } catch (...) {
            j->failure = std::current_exception();
        }
        // The job is its caller's and may be gone as soon as the promise is kept.
        std::promise<void> done = std::move(j->done);
        done.set_value();
    }
}

void peer_node::settle(std::vector<job*>& jobs, std::exception_ptr failure) {
    for (job* j : jobs) {
        if (failure && !j->failure) j->failure = failure;
        std::promise<void> done = std::move(j->done);
        done.set_value();
    }
    jobs.clear();
}

void peer_node::feed(input& in, mono_ms now) {
    switch (in.what) {
        case input::kind::opened:
            return feed_opened(in, now);
        case input::kind::written:
            return note_written(in.connection, in.size);
        case input::kind::closed:
            return feed_closed(in);
        case input::kind::received:
            return feed_received(in, now);
    }
}

void peer_node::feed_received(input& in, mono_ms now) {
    const std::size_t size = in.frame.size();
    const auto began = std::chrono::steady_clock::now();
    if (backlog_out_.contains(in.connection))
        hub_->received(in.connection, std::move(in.frame), now);
    const std::chrono::duration<double, std::milli> busy = std::chrono::steady_clock::now() - began;
    if (throttle_.spend(in.connection, size, busy.count(), now))
        shell_->set_reading(in.connection, false);
    consumed_.emplace_back(in.connection, size);
    if (hub_->counters(in.connection).commits_in == 0 || bringers_.contains(in.connection)) return;
    std::lock_guard lock(mutex_);
    bringers_.insert(in.connection);
}

void peer_node::feed_opened(input& in, mono_ms now) {
    if (in.flag) {
        backlog_out_.emplace(in.connection, 0);
        return hub_->accepted(in.connection, now, std::move(in.exported));
    }
    std::shared_ptr<dialog> d;
    {
        std::lock_guard lock(mutex_);
        auto at = dialogs_.find(in.connection);
        if (at == dialogs_.end()) return;
        d = at->second;
    }
    backlog_out_.emplace(in.connection, 0);
    hub_->dialed(in.connection,
                 std::move(d->wants_),
                 d->list_,
                 now,
                 std::move(in.exported),
                 std::move(d->as_));
}

void peer_node::feed_closed(input& in) {
    note_counters();
    // What the peer said as it closed tells more, and is about to be delivered.
    const bool has_told = backlog_out_.contains(in.connection) && !hub_->is_open(in.connection);
    if (backlog_out_.erase(in.connection) != 0) hub_->disconnected(in.connection, in.code);
    throttle_.closed(in.connection);
    {
        std::lock_guard lock(mutex_);
        bringers_.erase(in.connection);
    }
    if (has_told) return;
    hub_event event{hub_event::kind::closed, in.connection};
    event.code = in.code;
    event.reason = in.reason;
    deliver(std::move(event));
}

void peer_node::note_written(connection_id c, std::size_t written) {
    auto at = backlog_out_.find(c);
    if (at == backlog_out_.end()) return;
    at->second -= std::min(at->second, written);
    hub_->set_backlog(c, at->second);
}

std::exception_ptr peer_node::finish_turn(mono_ms now) {
    std::exception_ptr failure;
    const bool writes = store_->dirty();
    try {
        perform(hub_->end_turn(now), now);
        if (writes) flush_failure_.clear();
    } catch (const std::exception& e) {
        failure = std::current_exception();
        flush_failure_ = e.what();
        log(spdlog::level::err, "cannot write to {}: {}", dir_.string(), e.what());
    }
    if (failure) {
        // What the failed turn closed is still to be done; nothing is staged any more.
        try {
            perform(hub_->end_turn(now), now);
        } catch (const std::exception& e) {
            log(spdlog::level::err, "cannot write to {}: {}", dir_.string(), e.what());
        }
    }
    for (const connection_id c : throttle_.due(now)) shell_->set_reading(c, true);
    shell_->consumed(std::exchange(consumed_, {}));
    return failure;
}

void peer_node::judge(const std::vector<hub_event>& events, mono_ms now) {
    for (const hub_event& e : events) {
        if (e.what == hub_event::kind::authenticated) {
            shell_->admit(e.connection);
            if (e.accepted && throttle_.opened(e.connection, e.peer_key, now))
                shell_->set_reading(e.connection, false);
        }
        if (e.what != hub_event::kind::closed) continue;
        throttle_.closed(e.connection);
        if (!e.accepted || !e.is_offence) continue;
        if (e.proven) admission_.strike(e.peer_key, now);
        shell_->distrust(e.connection);
    }
}

void peer_node::refresh_admission() {
    try {
        admission_.refresh();
    } catch (const std::exception& e) {
        log(spdlog::level::err, "{}; what was read before stays in force", e.what());
    }
}

void peer_node::perform(hub_effects effects, mono_ms now) {
    judge(effects.events, now);
    std::vector<connection_id> told;
    for (auto& s : effects.sends) {
        auto at = backlog_out_.find(s.to);
        if (at == backlog_out_.end()) continue;
        at->second += s.frame.size();
        if (at->second >= backlog_step_bytes) told.push_back(s.to);
    }
    for (connection_id c : told) hub_->set_backlog(c, backlog_out_[c]);
    again_ = effects.again;
    note_counters();
    for (connection_id c : effects.closes) backlog_out_.erase(c);
    shell_->send(std::move(effects.sends), std::move(effects.closes));
    if (!effects.changed.empty()) {
        std::lock_guard lock(changed_mutex_);
        for (crdt_handle h : effects.changed) commits_[h] = store_->state(h).end.seq;
        changed_.notify_all();
    }
    for (auto& event : effects.events) deliver(std::move(event));
}

void peer_node::note_counters() {
    std::lock_guard lock(mutex_);
    for (auto& [c, d] : dialogs_) {
        if (!backlog_out_.contains(c)) continue;
        std::lock_guard dialog_lock(d->mutex_);
        d->counters_ = hub_->counters(c);
        d->shares_ = hub_->shares(c);
    }
}

void peer_node::deliver(hub_event event) {
    std::shared_ptr<dialog> d;
    {
        std::lock_guard lock(mutex_);
        auto at = dialogs_.find(event.connection);
        if (at != dialogs_.end()) d = at->second;
    }
    if (event.what == hub_event::kind::closed && !event.reason.empty())
        log(spdlog::level::info, "connection {} closed: {}", event.connection, event.reason);
    if (!d) return;
    std::lock_guard lock(d->mutex_);
    // The first reason is the one that tells; what follows is only the socket going away.
    if (d->closed_) return;
    d->closed_ = event.what == hub_event::kind::closed;
    d->events_.push_back(std::move(event));
    d->arrived_.notify_all();
}

}  // namespace tributary
