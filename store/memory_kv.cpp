#include "tributary/store/memory_kv.hpp"

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>

namespace tributary {
namespace {

using sequence = std::uint64_t;

/// One version of a key. Versions of a key are adjacent, the newest first, so the first one at or
/// after (key, s) is what a reader at s sees.
struct version_key {
    bytes key;
    sequence at = 0;
};
struct version_view {
    bytes_view key;
    sequence at = 0;
};

struct version_order {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
        const int order = bytes_view(a.key).compare(bytes_view(b.key));
        return order < 0 || (order == 0 && a.at > b.at);
    }
};

/// nullopt marks an erased key.
using versions = std::map<version_key, std::optional<bytes>, version_order>;

/// All versions that a live reader may still see. Nodes of a std::map do not move, so views of a
/// version are good while its reader lives.
struct table {
    mutable std::shared_mutex mutex;
    versions all;
    sequence now = 0;
    std::multiset<sequence> readers;
    /// Versions no reader at or after `second` sees, in the order of `second`.
    std::deque<std::pair<versions::iterator, sequence>> garbage;

    /// The version of `key` seen at `at`, or end. Call under the mutex.
    versions::const_iterator find(bytes_view key, sequence at) const {
        const auto it = all.lower_bound(version_view{key, at});
        return it != all.end() && it->first.key == key ? it : all.end();
    }

    /// Call under the exclusive lock.
    void change(const bytes& key, const std::optional<bytes>& val) {
        const auto [it, added] = all.insert_or_assign(version_key{key, now}, val);
        if (added) {
            const auto older = std::next(it);
            // An erasure was already garbage from its beginning.
            if (older != all.end() && older->first.key == key && older->second)
                garbage.emplace_back(older, now);
        }
        if (!val) garbage.emplace_back(it, now);
    }

    void collect() {
        const sequence oldest = readers.empty() ? now : *readers.begin();
        while (!garbage.empty() && garbage.front().second <= oldest) {
            all.erase(garbage.front().first);
            garbage.pop_front();
        }
    }
};

/// Keeps what is visible now in the table until it is destroyed.
class pin {
public:
    explicit pin(std::shared_ptr<table> t) : table_(std::move(t)) {
        const std::unique_lock lock(table_->mutex);
        at_ = table_->now;
        table_->readers.insert(at_);
    }
    ~pin() {
        const std::unique_lock lock(table_->mutex);
        table_->readers.erase(table_->readers.find(at_));
    }
    pin(const pin&) = delete;
    pin& operator=(const pin&) = delete;
    const table& versions_of() const { return *table_; }
    sequence at() const { return at_; }

private:
    std::shared_ptr<table> table_;
    sequence at_ = 0;
};

class memory_cursor : public kv_cursor {
public:
    explicit memory_cursor(std::shared_ptr<const pin> p)
        : pin_(std::move(p)), table_(pin_->versions_of()), at_(table_.all.end()) {}

    void seek(bytes_view key) override {
        const std::shared_lock lock(table_.mutex);
        at_ = table_.all.lower_bound(version_view{key, pin_->at()});
        skip_forward();
    }
    void seek_back(bytes_view key) override {
        const std::shared_lock lock(table_.mutex);
        // Past every version of `key`: sequence 0 is before the first write.
        skip_backward(table_.all.upper_bound(version_view{key, 0}));
    }
    bool valid() const override { return valid_; }
    void next() override {
        const std::shared_lock lock(table_.mutex);
        at_ = table_.all.upper_bound(version_view{at_->first.key, 0});
        skip_forward();
    }
    void prev() override {
        const std::shared_lock lock(table_.mutex);
        skip_backward(table_.all.lower_bound(version_view{at_->first.key, ~sequence{0}}));
    }
    bytes_view key() const override { return at_->first.key; }
    bytes_view val() const override { return *at_->second; }

private:
    /// To the first visible version from at_ on.
    void skip_forward() {
        while (at_ != table_.all.end()) {
            if (at_->first.at > pin_->at()) {
                ++at_;
            } else if (!at_->second) {
                at_ = table_.all.upper_bound(version_view{at_->first.key, 0});
            } else {
                break;
            }
        }
        valid_ = at_ != table_.all.end();
    }

    /// To the visible version of the last key before `end` that has one.
    void skip_backward(versions::const_iterator end) {
        valid_ = false;
        while (end != table_.all.begin() && !valid_) {
            const bytes_view key = std::prev(end)->first.key;
            at_ = table_.find(key, pin_->at());
            valid_ = at_ != table_.all.end() && at_->second;
            end = table_.all.lower_bound(version_view{key, ~sequence{0}});
        }
    }

    std::shared_ptr<const pin> pin_;
    const table& table_;
    versions::const_iterator at_;
    bool valid_ = false;
};

class memory_snapshot : public kv_reader {
public:
    explicit memory_snapshot(std::shared_ptr<table> t)
        : pin_(std::make_shared<pin>(std::move(t))) {}

    std::optional<bytes> get(bytes_view key) const override {
        const table& t = pin_->versions_of();
        const std::shared_lock lock(t.mutex);
        const auto it = t.find(key, pin_->at());
        return it == t.all.end() ? std::nullopt : it->second;
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<memory_cursor>(pin_);
    }

private:
    std::shared_ptr<const pin> pin_;
};

class memory_kv_impl : public memory_kv {
public:
    std::optional<bytes> get(bytes_view key) const override {
        const std::shared_lock lock(table_->mutex);
        const auto it = table_->find(key, table_->now);
        return it == table_->all.end() ? std::nullopt : it->second;
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<memory_cursor>(std::make_shared<pin>(table_));
    }
    kv_snapshot snapshot() const override { return std::make_shared<memory_snapshot>(table_); }

    void write(const kv_batch& b, bool sync) override {
        const std::unique_lock lock(table_->mutex);
        ++write_count_;
        if (cut_in_ > 0 && --cut_in_ == 0) under_way_ = b.copy();
        if (under_way_)
            throw error(errc::io, "the power of this memory is cut, as it was asked to");
        if (fail_in_ > 0 && --fail_in_ == 0)
            throw error(fail_code_, "a write to memory failed, as it was asked to");
        if (sync) {
            unsynced_.clear();
        } else {
            unsynced_.push_back(inverse_of(b));
        }
        apply(b);
    }

    void crash(std::size_t unsynced_kept) override {
        const std::unique_lock lock(table_->mutex);
        if (under_way_ && unsynced_kept > unsynced_.size()) apply(*under_way_);
        while (unsynced_.size() > unsynced_kept) {
            apply(unsynced_.back());
            unsynced_.pop_back();
        }
        unsynced_.clear();
        under_way_.reset();
    }
    void cut_at(std::size_t n) override {
        const std::unique_lock lock(table_->mutex);
        cut_in_ = n;
    }
    bool is_cut() const override {
        const std::shared_lock lock(table_->mutex);
        return under_way_.has_value();
    }
    std::size_t unsynced_count() const override {
        const std::shared_lock lock(table_->mutex);
        return unsynced_.size() + (under_way_ ? 1 : 0);
    }
    void fail_at(std::size_t n, errc code) override {
        const std::unique_lock lock(table_->mutex);
        fail_in_ = n;
        fail_code_ = code;
    }
    std::size_t write_count() const override {
        const std::shared_lock lock(table_->mutex);
        return write_count_;
    }

private:
    /// What undoes `b`, if applied right after it.
    kv_batch inverse_of(const kv_batch& b) const {
        kv_batch inverse;
        for (const auto& change : b.changes()) {
            const auto it = table_->find(change.key, table_->now);
            if (it != table_->all.end() && it->second) {
                inverse.put(change.key, *it->second);
            } else {
                inverse.erase(change.key);
            }
        }
        return inverse;
    }

    void apply(const kv_batch& b) {
        std::map<bytes_view, std::optional<bytes_view>> last;
        for (const auto& [key, val] : b.changes()) last[key] = val;
        ++table_->now;
        for (const auto& [key, val] : last)
            table_->change(bytes(key), val ? std::optional(bytes(*val)) : std::nullopt);
        table_->collect();
    }

    std::shared_ptr<table> table_ = std::make_shared<table>();
    std::deque<kv_batch> unsynced_;      ///< the inverse of each write that is not synced yet
    std::optional<kv_batch> under_way_;  ///< the write during which the power went
    std::size_t write_count_ = 0;
    std::size_t fail_in_ = 0, cut_in_ = 0;
    errc fail_code_ = errc::no_space;
};

}  // namespace

std::unique_ptr<memory_kv> make_memory_kv() { return std::make_unique<memory_kv_impl>(); }

}  // namespace tributary
