#include "tributary/store/staging.hpp"

#include <map>

namespace tributary {

const std::optional<bytes>* staging::staged(bytes_view key) const {
    if (last_.empty()) return nullptr;
    const auto found = last_.find(key);
    return found == last_.end() ? nullptr : &batch_.changes()[found->second].second;
}

std::optional<bytes> staging::get(bytes_view key) const {
    if (const auto* change = staged(key)) return *change;
    return db_.get(key);
}

bool staging::has(bytes_view key) const {
    if (const auto* change = staged(key)) return change->has_value();
    return db_.get(key).has_value();
}

void staging::put(bytes key, bytes val) {
    last_.insert_or_assign(key, batch_.changes().size());
    batch_.put(std::move(key), std::move(val));
}

void staging::erase(bytes key) {
    last_.insert_or_assign(key, batch_.changes().size());
    batch_.erase(std::move(key));
}

void staging::each(bytes_view prefix,
                   const std::function<void(bytes_view key, bytes_view val)>& visit) const {
    std::map<bytes_view, const std::optional<bytes>*> over;
    for (const auto& [key, index] : last_)
        if (key.starts_with(prefix)) over.emplace(key, &batch_.changes()[index].second);
    auto staged = over.begin();
    const auto visit_staged = [&] {
        if (*staged->second) visit(staged->first, **staged->second);
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
    batch_.clear();
    last_.clear();
}

void staging::write() {
    const kv_batch batch = std::move(batch_);
    drop();
    if (!batch.empty()) db_.write(batch, true);
}

}  // namespace tributary
