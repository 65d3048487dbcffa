#include "tributary/store/staging.hpp"

#include <map>

namespace tributary {

const kv_batch::change* staging::staged(bytes_view key) const {
    if (last_.empty()) return nullptr;
    const auto found = last_.find(key);
    return found == last_.end() ? nullptr : &batch_.changes()[found->second];
}

std::optional<bytes> staging::get(bytes_view key) const {
    const auto* change = staged(key);
    if (!change) return db_.get(key);
    return change->val ? std::optional(bytes(*change->val)) : std::nullopt;
}

bool staging::has(bytes_view key) const {
    if (const auto* change = staged(key)) return change->val.has_value();
    return db_.get(key).has_value();
}

void staging::put(bytes_view key, bytes_view val) {
    batch_.put(key, val);
    note_last();
}

void staging::erase(bytes_view key) {
    batch_.erase(key);
    note_last();
}

void staging::note_last() {
    const std::size_t index = batch_.changes().size() - 1;
    last_.insert_or_assign(batch_.changes()[index].key, index);
}

void staging::each(bytes_view prefix,
                   const std::function<void(bytes_view key, bytes_view val)>& visit) const {
    std::map<bytes_view, std::optional<bytes_view>> over;
    for (const auto& [key, index] : last_)
        if (key.starts_with(prefix)) over.emplace(key, batch_.changes()[index].val);
    auto staged = over.begin();
    const auto visit_staged = [&] {
        if (staged->second) visit(staged->first, *staged->second);
        ++staged;
    };
    const auto at = db_.cursor();
    for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next()) {
        while (staged != over.end() && staged->first < at->key()) visit_staged();
        if (staged != over.end() && staged->first == at->key())
            visit_staged();
        else
            visit(at->key(), at->val());
    }
    while (staged != over.end()) visit_staged();
}

void staging::drop() {
    last_.clear();
    batch_.clear();
}

void staging::write() {
    last_.clear();
    const kv_batch batch = std::exchange(batch_, {});
    if (!batch.empty()) db_.write(batch, true);
}

}  // namespace tributary
