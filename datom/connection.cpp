#include "tributary/datom/database.hpp"
#include "tributary/datom/keys.hpp"
#include "tributary/datom/rewind.hpp"
#include "tributary/datom/stored_reader.hpp"
#include "tributary/datom/stream_log.hpp"
#include "tributary/datom/transaction.hpp"
#include "tributary/store/leveldb_kv.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>

namespace tributary::datom {

namespace {

/// What transactions of several threads may share one write.
constexpr std::size_t group_transactions_max = 1024;
constexpr std::size_t group_bytes_max = 4u << 20;

constexpr std::chrono::hours longest_wait{24 * 365};

void check_stream_name(const std::string& stream) {
    if (stream.empty() || stream.find('\0') != std::string::npos)
        throw error(errc::misuse, "a stream's name is a text without zero bytes, and not empty");
}

class stored_connection final : public connection {
public:
    stored_connection(kv& store, std::shared_ptr<kv> owner, const connection_options& options)
        : owner_(std::move(owner)),
          store_(store),
          staged_(store),
          columns_(std::make_shared<column_cache>(options.memory_bytes / 4)),
          query_bytes_(query_bytes_of(options)) {
        publish();
        for (const std::string& s : streams()) known_.emplace(s, *read_cursor(store_, s));
    }

    db current() const override {
        const std::lock_guard lock(mutex_);
        return db(current_);
    }

    /// Who finds nobody before it in the queue leads: it stages what is queued, each transaction on
    /// top of the last, and one synced write makes all of it durable.
    tx_report transact(const value& tx_data, std::int64_t now_ms) override {
        request mine{&tx_data, now_ms};
        std::unique_lock lock(queue_mutex_);
        queue_.push_back(&mine);
        queue_moved_.wait(lock, [&] { return mine.done || queue_.front() == &mine; });
        if (!mine.done) {
            const std::vector<request*> group(
                queue_.begin(),
                queue_.begin() +
                    static_cast<std::ptrdiff_t>(std::min(queue_.size(), group_transactions_max)));
            lock.unlock();
            const std::size_t taken = commit(group);
            lock.lock();
            for (std::size_t i = 0; i < taken; ++i) queue_[i]->done = true;
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken));
            queue_moved_.notify_all();
        }
        lock.unlock();
        if (mine.failure) std::rethrow_exception(mine.failure);
        return std::move(mine.report);
    }

    void define(const keyword& name, tx_function f) override {
        functions_->define(name, std::move(f));
    }

    bool wait_beyond(std::int64_t t,
                     std::chrono::milliseconds timeout,
                     const std::atomic<bool>* stop) const override {
        std::unique_lock lock(mutex_);
        const auto is_beyond = [&] { return current_->basis_t() > t; };
        // A clock cannot count the longest times to come.
        published_.wait_for(lock, std::min<std::chrono::milliseconds>(timeout, longest_wait), [&] {
            return is_beyond() || (stop && *stop);
        });
        return is_beyond();
    }

    void wake() const override {
        { const std::lock_guard lock(mutex_); }
        published_.notify_all();
    }

    tx_report stage(const value& tx_data, std::int64_t now_ms, forms_are what) override {
        begin_batch();
        return transaction(staged_, now_ms, {functions_, [this] { return before_batch(); }}, what)
            .run(tx_data);
    }

    void stage_cursor(const std::string& stream, const stream_cursor& to) override {
        check_stream_name(stream);
        begin_batch();
        const stream_cursor* last = last_cursor(stream);
        if (last && to.epoch < last->epoch) fenced_off(stream);
        // A stream that begins without saying so began with this batch.
        if (!last && to.position > 0) stage_applied(stream, 0, {stored_t_, {}});
        if (!last || to.position != last->position)
            stage_applied(stream, to.position, {staged_.state().basis_t, to.commit});
        staged_.put(keys::of_stream(stream), pack(to));
        moved_[stream] = to;
    }

    void flush() override {
        if (!staged_.dirty()) return;
        try {
            for (const auto& [stream, to] : moved_) {
                const auto known = known_.find(stream);
                const auto durable = read_cursor(store_, stream);
                if (durable && to.epoch < durable->epoch) fenced_off(stream);
                if (durable !=
                    (known == known_.end() ? std::nullopt : std::optional(known->second)))
                    fenced_off(stream);
            }
            if (!staged_.is_fresh())
                throw error(errc::conflict,
                            "another writer changed the datom database since this batch began; "
                            "nothing of it was written");
            store_.write(staged_.take_batch(), true);
        } catch (...) {
            recover();
            throw;
        }
        for (auto& [stream, to] : moved_) known_[stream] = std::move(to);
        moved_.clear();
        publish();
    }

    void discard() override {
        staged_.discard();
        moved_.clear();
    }

    std::size_t staged_bytes() const override { return staged_.size_bytes(); }

    std::optional<stream_cursor> cursor(const std::string& stream) const override {
        auto durable = read_cursor(store_, stream);
        // Who asks goes on from the answer, but not in the middle of a batch.
        if (moved_.contains(stream)) return durable;
        if (durable)
            known_[stream] = *durable;
        else
            known_.erase(stream);
        return durable;
    }

    std::vector<std::string> streams() const override { return stream_names(store_); }

    std::optional<bytes> applied_at(const std::string& stream,
                                    std::uint64_t position) const override {
        const auto cursor = read_cursor(store_, stream);
        if (!cursor || position >= cursor->position) return std::nullopt;
        const auto found = read_applied(store_, stream, position + 1);
        if (!found) return std::nullopt;
        return found->commit;
    }

    void rewind(const std::string& stream, std::uint64_t position, std::int64_t now_ms) override {
        require_clean("rewind");
        begin_batch();
        const auto cursor = read_cursor(store_, stream);
        if (!cursor) throw error(errc::not_found, "this database has no stream \"" + stream + "\"");
        if (const auto known = known_.find(stream);
            known == known_.end() || known->second != *cursor)
            fenced_off(stream);
        const auto at = read_applied(store_, stream, position);
        if (position > cursor->position || !at)
            throw error(errc::misuse,
                        "the stream \"" + stream + "\" has not been at position " +
                            std::to_string(position) + "; it is at " +
                            std::to_string(cursor->position));
        tributary::datom::stage_rewind(staged_, store_, {at->t, stream, position}, now_ms);
        for (const std::string& s : streams())
            stage_stream_at(s, at->t, s == stream ? std::optional(position) : std::nullopt);
        flush();
    }

    tx_report stage_rewind(const rewind_mark& mark, std::int64_t now_ms) override {
        require_clean("rewind");
        require_no_streams();
        begin_batch();
        if (mark.to < 0 || mark.to > stored_t_)
            throw error(errc::bad_input,
                        "a rewind to t " + std::to_string(mark.to) + ", but the newest is t " +
                            std::to_string(stored_t_));
        is_rewind_staged_ = true;
        return tributary::datom::stage_rewind(staged_, store_, mark, now_ms);
    }

private:
    struct request {
        const value* tx_data;
        std::int64_t now_ms;
        tx_report report{};
        std::exception_ptr failure{};
        bool done = false;
    };

    /// A function wants to see what is only staged.
    struct unflushed : error {
        using error::error;
    };

    /// What a function sees: the database before its transaction, which must be stored for that.
    db before_batch() const {
        if (staged_.dirty())
            throw unflushed(
                errc::misuse,
                "a transaction function sees the database before its transaction; flush "
                "what is staged first");
        return current();
    }

    void require_no_streams() const {
        if (const auto names = streams(); !names.empty())
            throw error(errc::misuse,
                        "this database is realized from the stream \"" + names.front() +
                            "\" and takes no other writes, so that it can be rewound and rebuilt; "
                            "keep your own facts in a second "
                            "database and join the two in a query with :in $ $own");
    }

    /// Commits the first of `group`, as many as fit one batch; how many. A transaction that is
    /// refused fails alone; if writing fails, all do.
    std::size_t commit(const std::vector<request*>& group) noexcept {
        std::size_t taken = 0;
        try {
            require_clean("transact");
            require_no_streams();
            while (taken < group.size() && (taken == 0 || staged_.size_bytes() < group_bytes_max)) {
                request& r = *group[taken];
                try {
                    r.report = stage(*r.tx_data, r.now_ms, forms_are::asked);
                } catch (const unflushed&) {
                    break;  // it comes first in the next batch
                } catch (...) {
                    r.failure = std::current_exception();
                }
                ++taken;
            }
            flush();
        } catch (...) {
            taken = std::max<std::size_t>(taken, 1);
            for (std::size_t i = 0; i < taken; ++i)
                if (!group[i]->failure) group[i]->failure = std::current_exception();
        }
        return taken;
    }

    /// A batch begins from what is stored, whoever wrote it.
    void begin_batch() {
        if (staged_.dirty()) {
            if (is_rewind_staged_)
                throw error(errc::misuse, "a rewind is a batch of its own; flush it first");
            return;
        }
        is_rewind_staged_ = false;
        if (!staged_.is_fresh()) staged_.reload();
        stored_t_ = staged_.state().basis_t;
    }

    const stream_cursor* last_cursor(const std::string& stream) const {
        if (const auto it = moved_.find(stream); it != moved_.end()) return &it->second;
        const auto it = known_.find(stream);
        return it == known_.end() ? nullptr : &it->second;
    }

    void stage_applied(const std::string& stream,
                       std::uint64_t position,
                       const applied_commit& at) {
        staged_.put(keys::of_applied(stream, position), pack(at));
    }

    void require_clean(const char* what) const {
        if (staged_.dirty())
            throw error(
                errc::misuse,
                std::string(what) + " while transactions are staged; flush or discard them first");
    }

    [[noreturn]] void fenced_off(const std::string& stream) const {
        throw error(errc::conflict,
                    "another realizer has taken over the stream \"" + stream +
                        "\" of this database; nothing of this batch was written");
    }

    /// After a failed flush: back to what is stored. The store may have lost its snapshots; if it
    /// cannot be read now, the next batch reads it.
    void recover() noexcept {
        moved_.clear();
        try {
            staged_.reload();
            publish();
        } catch (const error&) {
            staged_.discard();
        }
    }

    /// The cursor and the applied log of a stream back to `position`, or to where it was at t.
    void stage_stream_at(const std::string& stream,
                         std::int64_t t,
                         std::optional<std::uint64_t> position) {
        stream_cursor to = *read_cursor(store_, stream);
        const std::uint64_t last = to.position;
        if (!position) position = position_at(store_, stream, last, t);
        to.position = position.value_or(0);
        const auto at = read_applied(store_, stream, to.position);
        to.commit = position && at ? at->commit : bytes();
        if (!position) stage_applied(stream, 0, {staged_.state().basis_t, {}});
        for (std::uint64_t p = to.position + 1; p <= last; ++p)
            staged_.erase(keys::of_applied(stream, p));
        staged_.put(keys::of_stream(stream), pack(to));
        known_[stream] = *read_cursor(store_, stream);
        moved_[stream] = std::move(to);
    }

    void publish() {
        moment m;
        m.owner = owner_;
        m.store = store_.snapshot();
        m.attributes = staged_.attributes();
        m.counts = std::make_shared<const std::vector<std::uint64_t>>(staged_.state().counts);
        m.basis_t = staged_.state().basis_t;
        m.functions = functions_;
        m.columns = columns_;
        m.query_bytes = query_bytes_;
        m.changed_t = std::make_shared<const std::vector<std::int64_t>>(staged_.changed_t());
        auto next = std::make_shared<stored_reader>(std::move(m));
        {
            const std::lock_guard lock(mutex_);
            current_ = std::move(next);
        }
        published_.notify_all();
    }

    std::shared_ptr<kv> owner_;
    kv& store_;
    staged staged_;
    const std::shared_ptr<tx_registry> functions_ = std::make_shared<tx_registry>();
    std::shared_ptr<column_cache> columns_;
    const std::size_t query_bytes_;
    std::int64_t stored_t_ = 0;  ///< the basis this batch began from
    bool is_rewind_staged_ = false;
    /// Streams' durable cursors as far as this connection knows, and those moved in the batch.
    mutable std::map<std::string, stream_cursor> known_;
    std::map<std::string, stream_cursor> moved_;
    mutable std::mutex mutex_;
    mutable std::condition_variable published_;
    std::shared_ptr<const db::impl> current_;
    std::mutex queue_mutex_;
    std::condition_variable queue_moved_;
    std::deque<request*> queue_;  ///< of transactions, the leader's first
};

}  // namespace

std::unique_ptr<connection> connection::open(const std::filesystem::path& dir,
                                             const connection_options& options) {
    leveldb_options stored;
    stored.block_cache_bytes = options.memory_bytes / 8;
    std::shared_ptr<kv> owner = open_leveldb(dir, stored);
    kv& store = *owner;
    return std::make_unique<stored_connection>(store, std::move(owner), options);
}

std::unique_ptr<connection> connection::on(kv& store) {
    return std::make_unique<stored_connection>(store, nullptr, connection_options());
}

}  // namespace tributary::datom
