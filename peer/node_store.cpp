/// The store as a whole: copies of it, replicas that are removed, garbage.
#include "tributary/peer/node_stage.hpp"
#include "tributary/store/blob_index.hpp"
#include "tributary/store/frozen_kv.hpp"
#include "tributary/store/open_commits.hpp"

#include <algorithm>

namespace tributary {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t copy_batch_bytes = 4u << 20;
constexpr std::size_t sweep_records = 10000;
/// A blob may have been added whose commit is yet to come.
constexpr std::int64_t unnamed_blob_age_s = 24 * 60 * 60;

/// Every record of `from` into `to`, which is empty; durable when it returns.
std::uint64_t copy_records(const kv_reader& from,
                           kv& to,
                           const std::function<void(std::uint64_t)>& progress) {
    std::uint64_t total = 0;
    kv_batch batch;
    bytes next;
    for (;;) {
        // A cursor for each batch: while there is one, the database cannot be opened anew.
        const auto at = from.cursor();
        at->seek(next);
        for (; at->valid() && batch.size_bytes() < copy_batch_bytes; at->next())
            batch.put(at->key(), at->val());
        if (batch.empty()) return total;
        const bool last = !at->valid();
        if (!last) next = at->key();
        total += batch.size_bytes();
        to.write(batch, true);
        batch.clear();
        progress(total);
        if (last) return total;
    }
}

/// A directory that is being filled, and gone unless it gets its name.
class unfinished_directory {
public:
    explicit unfinished_directory(const fs::path& target)
        : target_(target), path_(target.string() + ".unfinished") {
        if (fs::exists(fs::symlink_status(target)))
            throw error(errc::exists,
                        target.string() + " is there already; a backup needs a new directory");
        std::error_code ec;
        fs::remove_all(path_, ec);
        if (!ec) fs::create_directory(path_, ec);
        if (!ec) fs::permissions(path_, fs::perms::owner_all, ec);
        if (ec)
            throw error(ec == std::errc::no_space_on_device ? errc::no_space : errc::io,
                        "cannot make the directory " + path_.string() + ": " + ec.message());
    }
    ~unfinished_directory() {
        std::error_code ec;
        if (!finished_) fs::remove_all(path_, ec);
    }
    const fs::path& path() const { return path_; }
    void finish() {
        std::error_code ec;
        fs::rename(path_, target_, ec);
        if (ec)
            throw error(errc::io,
                        "cannot name the directory " + target_.string() + ": " + ec.message());
        finished_ = true;
    }

private:
    const fs::path target_, path_;
    bool finished_ = false;
};

}  // namespace

std::uint64_t node_stage::backup(const fs::path& to,
                                 const std::function<void(std::uint64_t)>& progress) {
    unfinished_directory copy(fs::absolute(to));
    const kv_snapshot now = node_.db().snapshot();
    std::uint64_t total = 0;
    {
        const auto db = open_commits(copy.path() / "db");
        total = copy_records(*now, *db, progress);
        db->compact();  // else most of it is in one log, which a single damaged byte ends
    }
    // Those that a commit of the copy names were there before it. One that is only on its way comes
    // again.
    const fs::path blobs = node_.dir() / blobs_directory;
    if (fs::exists(blobs)) total += copy_blob_files(blobs, copy.path() / blobs_directory);
    keep_identity(copy.path(), node_.self());
    copy.finish();
    return total;
}

void node_stage::remove(const std::string& name, bool even_the_only_copy) {
    const std::vector<peer_status> known = peers(name);
    const bool elsewhere = std::any_of(known.begin(), known.end(), [](const peer_status& p) {
        return p.lag.they_lack == std::uint64_t{0};
    });
    node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle h = require_crdt(store, name);
        if (!elsewhere && !even_the_only_copy && store.state(h).end.seq > 0)
            throw error(errc::conflict,
                        "\"" + name +
                            "\" has commits that no peer has acknowledged; sync it first, or use "
                            "--force to lose them");
        hub.removing(h);
        store.remove(h);
    });
    collect_garbage(false);
}

garbage_report node_stage::collect_garbage(bool look_only) {
    garbage_report found;
    const auto count = [&](bytes_view key, bytes_view val) {
        ++found.records;
        found.bytes += key.size() + val.size();
        return true;
    };
    if (look_only) {
        frozen_kv frozen(node_.db());
        commit_store(frozen).each_leftover(count);
        return found;
    }
    const auto sweep_some = [&](commit_store& store, hub&) {
        return store.sweep(sweep_records, count);
    };
    while (!node_.stopping() && node_.write(sweep_some)) {
    }
    node_.db().compact();
    const auto is_named = [&](const blob_id& id) {
        return node_.read([&](commit_store& store) {
            const std::vector<crdt_handle> all = store.list();
            return std::any_of(all.begin(), all.end(), [&](crdt_handle h) {
                return store.blobs(h).find(id).has_value();
            });
        });
    };
    const blob_store::swept swept = node_.blobs().sweep(is_named, unnamed_blob_age_s);
    found.blobs = swept.blobs;
    found.blob_bytes = swept.bytes;
    return found;
}

}  // namespace tributary
