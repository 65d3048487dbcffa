/// One open replica: its store, the thread that owns it, and its sockets.
///
/// Everything that touches the store runs in turns on the store thread: a turn answers the waiting
/// reads, takes what the network brought, makes the waiting writes, and then flushes once. So reads
/// see only what is durable, and however many writers wait, they share one sync. Thread rule: any
/// thread.
#pragma once

#include "tributary/peer/admission.hpp"
#include "tributary/peer/throttle.hpp"
#include "tributary/peer/websocket.hpp"
#include "tributary/store/blob_store.hpp"
#include "tributary/store/kv.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <type_traits>

namespace tributary {

/// Milliseconds since 1970, by the system's clock.
std::int64_t wall_ms();

/// What peers may take. docs/limits.md says what happens at each limit, peer/limits.hpp how users
/// set them.
struct node_options {
    hub_options hub;
    websocket_options sockets;
    throttle_options share;                         ///< of each key that connects
    ban_options bans;                               ///< of keys and addresses that send bad input
    std::size_t turn_bytes_max = 4u << 20;          ///< of network input taken in one turn
    std::function<std::int64_t()> clock = wall_ms;  ///< as in hub::set_clock
};

/// The identity kept in `dir`, made with it on first use. Errors: io, bad_input (a damaged file).
identity open_identity(const std::filesystem::path& dir);

/// Writes the identity into `dir`, whole or not at all. Errors: io, no_space.
void keep_identity(const std::filesystem::path& dir, const identity& self);

/// What became of a connection this side dialed.
class dialog {
public:
    /// The next event, or nothing after `wait`. The last one is `closed`.
    std::optional<hub_event> next(std::chrono::milliseconds wait);
    connection_counters counters() const;
    /// As hub::shares.
    std::vector<connection_counters> shares() const;

private:
    friend class peer_node;
    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<hub_event> events_;
    connection_counters counters_;
    std::vector<connection_counters> shares_;
    std::string url_;          ///< where it was dialed
    std::vector<want> wants_;  ///< until the connection is open
    bool list_ = false;
    std::optional<identity> as_;
    bool closed_ = false;
};

/// A link, and where its connection was dialed; empty if it was accepted.
struct peer_link {
    hub_link link;
    std::string url;
};

class peer_node {
public:
    /// Opens what is in `dir`. Errors: locked (another process has it), newer_version, io,
    /// no_space.
    explicit peer_node(const std::filesystem::path& dir, node_options options = {});
    /// On a database of its own and without a directory: for asking peers, repairs and tests. Blobs
    /// are kept in memory unless `blobs` are given.
    peer_node(std::unique_ptr<kv> db,
              const identity& self,
              node_options options = {},
              std::unique_ptr<blob_store> blobs = nullptr);
    /// Waits for the turn that runs; calls that still wait fail with errc::canceled.
    ~peer_node();

    /// Empty if it has none.
    const std::filesystem::path& dir() const { return dir_; }
    public_key key() const { return self().key(); }
    identity self() const {
        std::lock_guard lock(self_mutex_);
        return self_;
    }
    /// On the store thread.
    void set_self(const identity& self) {
        std::lock_guard lock(self_mutex_);
        self_ = self;
    }
    /// The identity that is to follow this one, made when first asked for and kept in the
    /// directory beside it. Errors: misuse (there is no directory), io.
    identity next_identity() const;
    /// The identity before this one, if there was one.
    std::optional<identity> last_identity() const;
    /// From the next opening on, too, it is the identity of this store. The old one is kept as
    /// `identity.old`. Errors: io.
    void keep_next_identity() const;
    kv& db() { return *db_; }
    /// Without a directory: in memory, and only for the store thread.
    blob_store& blobs() { return *blobs_; }

    /// Runs f(commit_store&) on the store thread against durable state and returns what it returns.
    template <class F>
    std::invoke_result_t<F&, commit_store&> read(F f) {
        return run_as<std::invoke_result_t<F&, commit_store&>>(false, [&] { return f(*store_); });
    }

    /// Runs f(commit_store&, hub&) on the store thread; returns when what it staged is durable.
    /// Errors: those of `f`; io, no_space if the flush failed, then nothing of the whole turn
    /// happened.
    template <class F>
    std::invoke_result_t<F&, commit_store&, hub&> write(F f) {
        return run_as<std::invoke_result_t<F&, commit_store&, hub&>>(
            true, [&] { return f(*store_, *hub_); });
    }

    /// Returns when CRDT `h` has other than `commits` durable commits, after `wait`, or when the
    /// replica is stopped; the number it has then.
    std::uint64_t wait_for_change(crdt_handle h,
                                  std::uint64_t commits,
                                  std::chrono::milliseconds wait);

    /// A connection to `to`; let go of it with hang_up. `as`: another identity than the store's.
    std::pair<connection_id, std::shared_ptr<dialog>> dial(
        const peer_url& to,
        std::vector<want> wants,
        bool list,
        const tls_trust& trust = {},
        bool compress = false,
        std::optional<identity> as = std::nullopt);
    void hang_up(connection_id c);

    /// How things stand on all connections, and on those accepted ones that ended last.
    std::vector<peer_link> links();

    /// As websocket_shell::listen.
    websocket_shell::listening listen(const peer_url& at,
                                      const tls_files& tls = {},
                                      bool compress = false) {
        return shell_->listen(at, tls, compress);
    }
    void stop_listening(std::uint64_t listener) { shell_->stop_listening(listener); }

    /// From now on whatever runs long in here ends soon.
    void stop();
    bool stopping() const { return stopping_; }

private:
    /// A call that waits for its turn. Lives on the stack of the caller.
    struct job {
        std::function<void()> run;
        std::exception_ptr failure;
        std::promise<void> done;
    };
    struct input {
        enum class kind { opened, received, written, closed } what;
        connection_id connection = 0;
        bool flag = false;  ///< opened: accepted; written: all
        std::size_t size = 0;
        prepared_frame frame;
        bytes exported;  ///< opened: by TLS
        errc code = errc::unavailable;
        std::string reason;
    };

    template <class R, class F>
    R run_as(bool writes, F f) {
        job j;
        if constexpr (std::is_void_v<R>) {
            j.run = [&] { f(); };
            post(j, writes);
        } else {
            std::optional<R> result;
            j.run = [&] { result.emplace(f()); };
            post(j, writes);
            return std::move(*result);
        }
    }
    /// Waits until it is done; throws what it threw.
    void post(job& j, bool writes);
    void put(input in, bool wake);
    bool has_brought(connection_id c);

    void start();
    /// If a rotation was broken off after what hands the rights over had become durable.
    void finish_rotation();
    void run();
    void take_turn();
    void answer(const std::vector<job*>& reads);
    static void settle(std::vector<job*>& jobs, std::exception_ptr failure);
    void feed(input& in, mono_ms now);
    void feed_opened(input& in, mono_ms now);
    void feed_received(input& in, mono_ms now);
    void feed_closed(input& in);
    /// The flush and what follows from it; the error of a failed one.
    std::exception_ptr finish_turn(mono_ms now);
    void perform(hub_effects effects, mono_ms now);
    void deliver(hub_event event);
    /// Shows whoever dialed what the connections have done so far.
    void note_counters();
    void note_written(connection_id c, std::size_t written);
    /// What the events of a turn mean for who may connect, and how much is read from them.
    void judge(const std::vector<hub_event>& events, mono_ms now);
    void refresh_admission();
    void answer_http(const std::string& path, const std::function<void(http_answer)>& reply);
    http_answer health() const;
    std::string metrics() const;

    const std::filesystem::path dir_;
    const node_options options_;
    std::unique_ptr<kv> db_;
    mutable std::mutex self_mutex_;
    identity self_;  ///< changed by the store thread only, which reads it without the lock
    std::unique_ptr<commit_store> store_;
    std::unique_ptr<blob_store> blobs_;
    std::unique_ptr<hub> hub_;

    // Of the store thread.
    std::deque<input> backlog_in_;  ///< taken from inputs_, not yet fed
    /// Bytes handed to the shell and not on the wire, of open connections.
    std::map<connection_id, std::size_t> backlog_out_;
    std::vector<std::pair<connection_id, std::size_t>> consumed_;
    admission admission_;
    throttle throttle_;
    mono_ms next_tick_ = 0;
    bool again_ = false;         ///< the hub has more to send
    std::string flush_failure_;  ///< of the last flush, if it failed

    std::mutex mutex_;
    std::condition_variable posted_;
    std::vector<job*> reads_, writes_;
    std::vector<std::pair<std::string, std::function<void(http_answer)>>> questions_;
    std::vector<input> inputs_;
    std::map<connection_id, std::shared_ptr<dialog>> dialogs_;
    /// Connections whose commits were taken: the bodies of those to come are hashed ahead, on the
    /// thread that reads. Changed by the store thread only, which reads it without the lock.
    std::set<connection_id> bringers_;
    bool ended_ = false;

    std::mutex changed_mutex_;
    std::condition_variable changed_;
    /// Durable ones, of CRDTs that changed or were asked for.
    std::map<crdt_handle, std::uint64_t> commits_;
    std::atomic<bool> stopping_{false};

    std::unique_ptr<websocket_shell> shell_;
    std::thread thread_;
};

}  // namespace tributary
