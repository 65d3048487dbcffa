#include "tributary/store/overlay_kv.hpp"

#include <map>
#include <mutex>

namespace tributary {
namespace {

/// nullopt marks an erased key.
using overlay_changes = std::map<bytes, std::optional<bytes>, std::less<>>;

/// Both sides in step: each stands at its first key at or beyond (backward: at or before) the
/// place, and the nearer one is shown; an erased key of the base is passed over.
class overlay_cursor : public kv_cursor {
public:
    overlay_cursor(std::unique_ptr<kv_cursor> base, std::shared_ptr<const overlay_changes> changes)
        : base_(std::move(base)), changes_(std::move(changes)), at_(changes_->end()) {}

    void seek(bytes_view key) override {
        backward_ = false;
        base_->seek(key);
        at_ = changes_->lower_bound(key);
        settle();
    }
    void seek_back(bytes_view key) override {
        backward_ = true;
        base_->seek_back(key);
        at_ = before(changes_->upper_bound(key));
        settle();
    }
    bool valid() const override { return shown_ != side::none; }
    void next() override {
        if (backward_) seek(bytes(key()));
        step();
        settle();
    }
    void prev() override {
        if (!backward_) seek_back(bytes(key()));
        step();
        settle();
    }
    bytes_view key() const override { return shown_ == side::base ? base_->key() : at_->first; }
    bytes_view val() const override { return shown_ == side::base ? base_->val() : *at_->second; }

private:
    using place = overlay_changes::const_iterator;
    enum class side { none, base, changes };

    place before(place p) const { return p == changes_->begin() ? changes_->end() : --p; }
    void step_base() {
        if (backward_)
            base_->prev();
        else
            base_->next();
    }
    void step_changes() { at_ = backward_ ? before(at_) : std::next(at_); }
    void step() {
        if (shown_ == side::base)
            step_base();
        else
            step_changes();
    }

    void settle() {
        for (;;) {
            const bool has_change = at_ != changes_->end();
            if (!base_->valid() && !has_change) {
                shown_ = side::none;
                return;
            }
            const int order = !has_change       ? -1
                              : !base_->valid() ? 1
                                                : base_->key().compare(at_->first);
            if (order == 0) {
                step_base();
            } else if (!has_change || (base_->valid() && (order < 0) != backward_)) {
                shown_ = side::base;
                return;
            } else if (at_->second) {
                shown_ = side::changes;
                return;
            } else {
                step_changes();
            }
        }
    }

    std::unique_ptr<kv_cursor> base_;
    std::shared_ptr<const overlay_changes> changes_;
    place at_;
    bool backward_ = false;
    side shown_ = side::none;
};

class overlay_snapshot : public kv_reader {
public:
    overlay_snapshot(kv_snapshot base, std::shared_ptr<const overlay_changes> changes)
        : base_(std::move(base)), changes_(std::move(changes)) {}

    std::optional<bytes> get(bytes_view key) const override {
        if (const auto it = changes_->find(key); it != changes_->end()) return it->second;
        return base_->get(key);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<overlay_cursor>(base_->cursor(), changes_);
    }

    const kv_snapshot& base() const { return base_; }
    const std::shared_ptr<const overlay_changes>& changes() const { return changes_; }

private:
    kv_snapshot base_;
    std::shared_ptr<const overlay_changes> changes_;
};

class overlay_kv : public kv {
public:
    explicit overlay_kv(kv_snapshot base) : base_(std::move(base)) {
        // Layers upon layers would make every read pass through all of them.
        if (const auto lower = std::dynamic_pointer_cast<const overlay_snapshot>(base_)) {
            base_ = lower->base();
            changes_ = lower->changes();
        }
    }

    std::optional<bytes> get(bytes_view key) const override { return snapshot()->get(key); }
    std::unique_ptr<kv_cursor> cursor() const override { return snapshot()->cursor(); }
    kv_snapshot snapshot() const override {
        const std::lock_guard lock(mutex_);
        return std::make_shared<overlay_snapshot>(base_, changes_);
    }
    void write(const kv_batch& b, bool) override {
        auto next = std::make_shared<overlay_changes>(*changes_);
        for (const auto& [key, val] : b.changes())
            next->insert_or_assign(bytes(key), val ? std::optional(bytes(*val)) : std::nullopt);
        const std::lock_guard lock(mutex_);
        changes_ = std::move(next);
    }

private:
    kv_snapshot base_;
    mutable std::mutex mutex_;
    std::shared_ptr<const overlay_changes> changes_ = std::make_shared<overlay_changes>();
};

}  // namespace

std::unique_ptr<kv> make_overlay_kv(kv_snapshot base) {
    return std::make_unique<overlay_kv>(std::move(base));
}

}  // namespace tributary
