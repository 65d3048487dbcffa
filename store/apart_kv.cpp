/// In the index a value that is apart is `c1 01` and its place; 0xc1 begins no MessagePack, nor any
/// other value that is stored here, and one that does begin with it gets `c1 00` in front.
#include "tributary/store/apart_kv.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/store/value_log.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>

namespace tributary {

namespace {

constexpr char mark = '\xc1';
constexpr char plain = '\x00';
constexpr char apart = '\x01';
constexpr std::size_t place_bytes_min = 12;

/// Shorter values cost as much as their places.
constexpr std::size_t value_bytes_min = 64;
/// From so much bulk in a batch on.
constexpr std::size_t bulk_bytes_min = 64u << 10;
/// What compact() moves at once.
constexpr std::size_t move_bytes = 4u << 20;

bytes encode(const value_place& p) {
    bytes out{mark, apart};
    packed::put_uint(out, p.file);
    packed::put_uint(out, p.offset);
    packed::put_uint(out, p.size);
    put_be64(out, p.check);
    return out;
}

std::optional<value_place> place_in(bytes_view record) {
    if (record.size() < place_bytes_min || record[0] != mark || record[1] != apart)
        return std::nullopt;
    packed::reader in(record.substr(2), "the place of a value");
    value_place p;
    p.file = in.uint();
    p.offset = in.uint();
    p.size = in.uint();
    p.check = get_be64(in.take(8));
    in.end();
    return p;
}

bytes_view value_of(value_reader& values,
                    bytes_view key,
                    bytes_view record,
                    const std::filesystem::path& dir) {
    if (record.empty() || record[0] != mark) return record;
    const auto place = place_in(record);
    if (!place) return record.substr(2);
    if (const auto value = values.read(*place)) return *value;
    fail_damaged(
        dir,
        key,
        "values-" + std::to_string(place->file) + ", byte " + std::to_string(place->offset));
}

std::optional<bytes> get_from(const kv_reader& index,
                              std::shared_ptr<const value_files> files,
                              bytes_view key,
                              const std::filesystem::path& dir) {
    const auto record = index.get(key);
    if (!record) return std::nullopt;
    value_reader values(std::move(files));
    return bytes(value_of(values, key, *record, dir));
}

class apart_cursor : public kv_cursor {
public:
    apart_cursor(std::unique_ptr<kv_cursor> at,
                 std::shared_ptr<const value_files> files,
                 std::filesystem::path dir)
        : at_(std::move(at)), values_(std::move(files)), dir_(std::move(dir)) {}

    void seek(bytes_view key) override { at_->seek(key); }
    void seek_back(bytes_view key) override { at_->seek_back(key); }
    bool valid() const override { return at_->valid(); }
    void next() override { at_->next(); }
    void prev() override { at_->prev(); }
    bytes_view key() const override { return at_->key(); }
    bytes_view val() const override { return value_of(values_, at_->key(), at_->val(), dir_); }

private:
    std::unique_ptr<kv_cursor> at_;
    mutable value_reader values_;
    std::filesystem::path dir_;
};

class apart_snapshot : public kv_reader {
public:
    apart_snapshot(kv_snapshot index,
                   std::shared_ptr<const value_files> files,
                   std::filesystem::path dir)
        : index_(std::move(index)), files_(std::move(files)), dir_(std::move(dir)) {}

    std::optional<bytes> get(bytes_view key) const override {
        return get_from(*index_, files_, key, dir_);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        return std::make_unique<apart_cursor>(index_->cursor(), files_, dir_);
    }

private:
    kv_snapshot index_;
    std::shared_ptr<const value_files> files_;
    std::filesystem::path dir_;
};

class apart_kv : public kv {
public:
    apart_kv(std::unique_ptr<kv> index,
             const std::filesystem::path& dir,
             std::function<bool(bytes_view)> is_bulk)
        : index_(std::move(index)), dir_(dir), is_bulk_(std::move(is_bulk)), log_(dir) {}

    std::optional<bytes> get(bytes_view key) const override {
        const std::shared_lock lock(dropping_);
        return get_from(*index_, log_.files(), key, dir_);
    }
    std::unique_ptr<kv_cursor> cursor() const override {
        const std::shared_lock lock(dropping_);
        return std::make_unique<apart_cursor>(index_->cursor(), log_.files(), dir_);
    }
    kv_snapshot snapshot() const override {
        const std::shared_lock lock(dropping_);
        return std::make_shared<apart_snapshot>(index_->snapshot(), log_.files(), dir_);
    }
    void write(const kv_batch& b, bool sync) override {
        const std::lock_guard lock(writing_);
        write_locked(b, sync);
    }
    void compact() override;

private:
    bool is_apart(const kv_batch::change& c) const {
        return c.val && c.val->size() >= value_bytes_min && is_bulk_(c.key);
    }
    void write_locked(const kv_batch& b, bool sync);
    void write_index(const kv_batch& b, bool sync);
    std::set<std::uint64_t> sparse_files(std::uint64_t end) const;
    void move_values(std::set<std::uint64_t>& from);
    void move_some(const std::vector<std::pair<bytes, bytes>>& records,
                   std::set<std::uint64_t>& from);

    const std::unique_ptr<kv> index_;
    const std::filesystem::path dir_;
    const std::function<bool(bytes_view)> is_bulk_;
    value_log log_;
    bool index_failed_ = false;  ///< in its last write
    std::mutex writing_;
    /// Whoever takes a view of the index takes the files it points into with it.
    mutable std::shared_mutex dropping_;
};

void apart_kv::write_locked(const kv_batch& b, bool sync) {
    std::vector<bytes_view> values;
    std::size_t bulk = 0;
    bool escapes = false;
    for (const auto& change : b.changes()) {
        escapes |= change.val && change.val->starts_with(mark);
        if (!is_apart(change)) continue;
        values.push_back(*change.val);
        bulk += change.val->size();
    }
    const bool to_log = bulk >= bulk_bytes_min;
    if (!to_log && !escapes) return write_index(b, sync);
    // An index that takes nothing is to say so before the log grows in vain.
    if (to_log && index_failed_) write_index({}, true);
    std::vector<value_place> places;
    if (to_log) places = log_.append(values);
    kv_batch records;
    records.reserve(b.changes().size());
    auto next = places.begin();
    for (const auto& change : b.changes()) {
        const auto& [key, val] = change;
        if (!val)
            records.erase(key);
        else if (to_log && is_apart(change))
            records.put(key, encode(*next++));
        else if (val->starts_with(mark))
            records.put(key, bytes{mark, plain}.append(*val));
        else
            records.put(key, *val);
    }
    write_index(records, sync);
}

void apart_kv::write_index(const kv_batch& b, bool sync) {
    index_failed_ = true;
    index_->write(b, sync);
    index_failed_ = false;
}

// -- Giving room back -----------------------------------------------------------------------------

/// Values that nothing names any more take room until their file goes; those that are named move
/// out of a file in which they are few.
void apart_kv::compact() {
    if (log_.files()->empty()) return index_->compact();
    std::uint64_t end = 0;
    {
        const std::lock_guard lock(writing_);
        end = log_.begin_file();
    }
    std::set<std::uint64_t> sparse = sparse_files(end);
    if (!sparse.empty()) move_values(sparse);
    for (const std::uint64_t n : sparse) {
        const std::lock_guard writing(writing_);
        const std::unique_lock lock(dropping_);
        log_.drop(n);
    }
    index_->compact();
}

/// Of the files before number `end`, those that are less than half in use.
std::set<std::uint64_t> apart_kv::sparse_files(std::uint64_t end) const {
    std::map<std::uint64_t, std::uint64_t> used;
    const auto at = index_->cursor();
    for (at->seek({}); at->valid(); at->next())
        if (const auto p = place_in(at->val())) used[p->file] += p->size;
    std::set<std::uint64_t> sparse;
    const std::shared_ptr<const value_files> files = log_.files();
    for (const auto& [n, file] : *files)
        if (n < end && (used[n] == 0 || used[n] < file->size() / 2)) sparse.insert(n);
    return sparse;
}

/// A file with a damaged value stays, and is taken out of `from`.
void apart_kv::move_values(std::set<std::uint64_t>& from) {
    std::vector<std::pair<bytes, bytes>> found;
    std::size_t size = 0;
    bytes next;
    for (bool more = true; more;) {
        {
            // A cursor for each round: while there is one, the index cannot be opened anew.
            const auto at = index_->cursor();
            for (at->seek(next); at->valid() && size < move_bytes; at->next()) {
                const auto p = place_in(at->val());
                if (!p || !from.contains(p->file)) continue;
                found.emplace_back(bytes(at->key()), bytes(at->val()));
                size += p->size;
            }
            more = at->valid();
            if (more) next = at->key();
        }
        move_some(found, from);
        found.clear();
        size = 0;
    }
}

/// Writes the values anew, of keys whose records are still these.
void apart_kv::move_some(const std::vector<std::pair<bytes, bytes>>& records,
                         std::set<std::uint64_t>& from) {
    if (records.empty()) return;
    const std::lock_guard lock(writing_);
    value_reader values(log_.files());
    kv_batch batch;
    for (const auto& [key, record] : records) {
        if (index_->get(key) != record) continue;
        const value_place p = place_in(record).value();
        if (const auto value = values.read(p))
            batch.put(key, *value);
        else
            from.erase(p.file);
    }
    write_locked(batch, true);
}

}  // namespace

std::unique_ptr<kv> make_apart_kv(std::unique_ptr<kv> index,
                                  const std::filesystem::path& dir,
                                  std::function<bool(bytes_view key)> is_bulk) {
    return std::make_unique<apart_kv>(std::move(index), dir, std::move(is_bulk));
}

}  // namespace tributary
