#include "tributary/store/blob_store.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace tributary {

namespace {

class blobs_in_memory final : public memory_blobs {
public:
    std::unique_ptr<blob_writer> write() override { return std::make_unique<writer>(*this); }

    bool is_whole(const blob_id& id) override {
        const auto found = blobs_.find(id);
        return found != blobs_.end() && found->second.chunks.size() == found->second.made->count();
    }
    std::shared_ptr<const blob_manifest> manifest(const blob_id& id) override {
        const auto found = blobs_.find(id);
        return found == blobs_.end() ? nullptr : found->second.made;
    }
    std::uint64_t next_missing(const blob_id& id, std::uint64_t from) override {
        const kept& b = blobs_.at(id);
        while (from < b.made->count() && b.chunks.contains(from)) ++from;
        return std::min(from, b.made->count());
    }
    std::uint64_t chunks_here(const blob_id& id) override {
        const auto found = blobs_.find(id);
        return found == blobs_.end() ? 0 : found->second.chunks.size();
    }
    std::optional<bytes> read(const blob_id& id,
                              std::uint64_t chunk,
                              std::uint64_t offset,
                              std::size_t size) override {
        const auto found = blobs_.find(id);
        if (found == blobs_.end()) return std::nullopt;
        kept& b = found->second;
        const auto data = b.chunks.find(chunk);
        if (data == b.chunks.end() || offset > data->second.size()) return std::nullopt;
        if (offset == 0 && !b.made->is_chunk(chunk, data->second)) {
            b.chunks.erase(data);
            return std::nullopt;
        }
        return data->second.substr(offset, size);
    }

    void begin(const blob_manifest& m) override {
        if (full_) fail_full();
        blobs_.try_emplace(m.id(), kept{std::make_shared<const blob_manifest>(m), {}});
    }
    bool put(const blob_id& id, std::uint64_t chunk, bytes_view data) override {
        kept& b = blobs_.at(id);
        if (chunk >= b.made->count() || !b.made->is_chunk(chunk, data))
            throw error(errc::bad_input, "a chunk that is not of its blob");
        if (full_) fail_full();
        b.chunks.insert_or_assign(chunk, bytes(data));
        unsynced_.emplace_back(id, chunk);
        if (b.chunks.size() < b.made->count()) return false;
        std::erase_if(unsynced_, [&](const auto& each) { return each.first == id; });
        return true;
    }
    void sync() override { unsynced_.clear(); }

    swept sweep(const std::function<bool(const blob_id&)>& is_named, std::int64_t) override {
        swept out;
        std::erase_if(blobs_, [&](const auto& each) {
            if (is_named(each.first)) return false;
            ++out.blobs;
            for (const auto& [chunk, data] : each.second.chunks) out.bytes += data.size();
            return true;
        });
        std::erase_if(unsynced_, [&](const auto& each) { return !blobs_.contains(each.first); });
        return out;
    }

    void crash(std::size_t count) override {
        for (std::size_t i = count; i < unsynced_.size(); ++i)
            blobs_.at(unsynced_[i].first).chunks.erase(unsynced_[i].second);
        unsynced_.clear();
    }
    std::size_t unsynced_count() const override { return unsynced_.size(); }
    void set_full(bool full) override { full_ = full; }
    void damage(const blob_id& id, std::uint64_t chunk) override {
        blobs_.at(id).chunks.at(chunk).front() ^= 1;
    }
    blob_ref add(bytes_view data, std::uint64_t chunk_bytes) override {
        bytes hashes;
        std::map<std::uint64_t, bytes> chunks;
        for (std::uint64_t at = 0; at < data.size(); at += chunk_bytes) {
            const bytes_view chunk = data.substr(at, chunk_bytes);
            hashes += blob_manifest::hash_of_chunk(chunk).view();
            chunks.emplace(chunks.size(), bytes(chunk));
        }
        auto made = std::make_shared<const blob_manifest>(data.size(), chunk_bytes, hashes);
        const blob_ref ref{made->id(), data.size()};
        blobs_.insert_or_assign(ref.id, kept{std::move(made), std::move(chunks)});
        return ref;
    }

private:
    struct kept {
        std::shared_ptr<const blob_manifest> made;
        std::map<std::uint64_t, bytes> chunks;
    };

    class writer final : public blob_writer {
    public:
        explicit writer(blobs_in_memory& to) : to_(to) {}
        void append(bytes_view data) override { data_ += data; }
        blob_ref finish() override {
            return to_.add(data_, blob_manifest::chunk_bytes_for(data_.size()));
        }

    private:
        blobs_in_memory& to_;
        bytes data_;
    };

    [[noreturn]] static void fail_full() {
        throw error(errc::no_space, "cannot store a blob: the disk is full");
    }

    std::map<blob_id, kept> blobs_;
    std::vector<std::pair<blob_id, std::uint64_t>> unsynced_;  ///< of partial blobs
    bool full_ = false;
};

}  // namespace

std::unique_ptr<memory_blobs> make_memory_blobs() { return std::make_unique<blobs_in_memory>(); }

}  // namespace tributary
