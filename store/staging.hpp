/// Changes waiting for their flush, over a kv and visible through it. Thread rule: one thread.
#pragma once

#include "tributary/store/kv.hpp"

#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace tributary {

class staging {
public:
    explicit staging(kv& db) : db_(db) {}

    std::optional<bytes> get(bytes_view key) const;
    bool has(bytes_view key) const;
    void put(bytes_view key, bytes_view val);
    void erase(bytes_view key);
    /// Every key that begins with `prefix`, in order.
    void each(bytes_view prefix,
              const std::function<void(bytes_view key, bytes_view val)>& visit) const;

    /// The change that is staged under `key`, if there is one; valid until the next.
    const kv_batch::change* staged(bytes_view key) const;
    bool empty() const { return batch_.empty(); }
    void drop();
    /// Writes what is staged, synced. Nothing is staged afterwards, even if it throws.
    void write();

    const kv& db() const { return db_; }

private:
    void note_last();

    kv& db_;
    kv_batch batch_;
    /// Where in the batch the last change of a key is.
    std::unordered_map<bytes_view, std::size_t> last_;
};

}  // namespace tributary
