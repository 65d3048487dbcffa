#include "tributary/peer/repair.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/store/keys.hpp"
#include "tributary/store/open_commits.hpp"
#include "tributary/store/local_socket.hpp"
#include "tributary/store/records.hpp"

#include <fmt/format.h>

#include <map>
#include <set>
#include <unordered_map>

namespace tributary {

namespace {

namespace fs = std::filesystem;
using keys::space;

constexpr std::size_t chunk_commits = 1000;
constexpr std::size_t chunk_bytes = 4u << 20;
const char* const fresh_name = "db.repaired";
const char* const damaged_name = "db.damaged";

/// What of one replica can still be read. Nothing in its indexes is believed.
class remains {
public:
    remains(const kv& db, crdt_handle h, state_record state)
        : db_(db), handle_(h), state_(std::move(state)) {}

    const state_record& state() const { return state_; }
    /// Where it begins; none: all was here. Errors: bad_input.
    std::optional<partial_cut> cut() const {
        const auto record = db_.get(keys::of(space::cut, handle_));
        return record ? std::optional(parse_cut(*record)) : std::nullopt;
    }
    /// What is known to be below the cut, as far as it can be read.
    std::vector<commit_id> below() const {
        std::vector<commit_id> ids;
        const bytes prefix = keys::of(space::cut, handle_);
        each(prefix, [&](bytes_view key, bytes_view) {
            if (key.size() > prefix.size())
                ids.push_back(commit_id::from_bytes(key.substr(prefix.size())));
        });
        return ids;
    }
    node end() const { return state_.commits; }

    /// Commit number `n`, if header and body are what they were.
    std::optional<commit> intact(node n) const {
        try {
            const auto record = db_.get(keys::of(space::entry, handle_, n));
            auto body = db_.get(keys::of(space::body, handle_, n));
            if (!record || !body) return std::nullopt;
            const entry_record e = parse_entry(n, *record);
            if (id_of_header(e.header) != e.info.id) return std::nullopt;
            verify_body(decode_header(e.header), *body);
            return commit{bytes(e.header), e.sig, *std::move(body)};
        } catch (const error&) {
            return std::nullopt;
        }
    }

    /// The ids of these commits, from their entries or from the index, as far as either can be
    /// read.
    std::unordered_map<node, commit_id> ids(const std::set<node>& of) const {
        std::unordered_map<node, commit_id> found;
        const bytes prefix = keys::of(space::index, handle_);
        each(prefix, [&](bytes_view key, bytes_view val) {
            packed::reader in(val, "an index record");
            const node n = in.uint();
            if (of.contains(n)) found[n] = commit_id::from_bytes(key.substr(prefix.size()));
        });
        return found;
    }

    std::vector<std::pair<std::string, bytes>> marks() const {
        std::vector<std::pair<std::string, bytes>> found;
        const bytes prefix = keys::of(space::mark, handle_);
        each(prefix, [&](bytes_view key, bytes_view val) {
            found.emplace_back(std::string(key.substr(prefix.size())), bytes(val));
        });
        return found;
    }

private:
    /// Records under a prefix, up to the first block that cannot be read.
    void each(bytes_view prefix,
              const std::function<void(bytes_view key, bytes_view val)>& visit) const {
        try {
            const auto at = db_.cursor();
            for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next())
                visit(at->key(), at->val());
        } catch (const error&) {
        }
    }

    const kv& db_;
    const crdt_handle handle_;
    const state_record state_;
};

/// Puts intact commits into a new replica in chunks that its checks take: each ends where every
/// author's last commit is signed.
class refill {
public:
    /// `below`: as in commit_store::ingest.
    refill(peer_node& to, crdt_handle h, std::vector<commit_id> below)
        : to_(to), handle_(h), below_(std::move(below)) {}

    void add(node n, commit c) {
        const public_key author = decode_header(c.header).author;
        c.sig ? unsigned_.erase(author) : unsigned_.insert(author).second;
        size_ += c.header.size() + c.body.size();
        numbers_.push_back(n);
        chunk_.push_back(std::move(c));
        const bool full = chunk_.size() >= chunk_commits || size_ >= chunk_bytes;
        if (full && unsigned_.empty()) finish();
    }

    void finish() {
        if (chunk_.empty()) return;
        try {
            kept_ += ingest(chunk_);
        } catch (const error&) {
            one_by_one();
        }
        chunk_.clear();
        numbers_.clear();
        unsigned_.clear();
        size_ = 0;
    }

    std::uint64_t kept() const { return kept_; }
    /// Commits that are intact and found no place, for they build on what is lost.
    const std::vector<std::pair<node, std::string>>& refused() const { return refused_; }

private:
    std::uint64_t ingest(std::vector<commit> commits) {
        return to_.write([&](commit_store& store, hub&) {
            return store.ingest(handle_, std::move(commits), chunk_from::here, below_).added;
        });
    }
    void one_by_one() {
        for (std::size_t i = 0; i < chunk_.size(); ++i) {
            try {
                kept_ += ingest({chunk_[i]});
            } catch (const error& e) {
                refused_.emplace_back(numbers_[i], e.what());
            }
        }
    }

    peer_node& to_;
    const crdt_handle handle_;
    const std::vector<commit_id> below_;
    std::vector<commit> chunk_;
    std::vector<node> numbers_;
    std::set<public_key> unsigned_;
    std::size_t size_ = 0;
    std::uint64_t kept_ = 0;
    std::vector<std::pair<node, std::string>> refused_;
};

/// One replica of the damaged store, made anew in another.
class rebuild {
public:
    /// `cut`: how the log of the last writes is damaged, of which what came after is missing.
    rebuild(const remains& from, peer_node& to, const repair_options& options, std::string cut)
        : from_(from), to_(to), options_(options), cut_(std::move(cut)) {}

    repaired_crdt run() {
        out_.name = from_.state().name;
        const auto cut = from_.cut();
        handle_ = to_.write([&](commit_store& store, hub&) {
            const signed_genesis& genesis = from_.state().genesis;
            return cut ? store.add_partial(genesis, out_.name, *cut)
                       : store.add(genesis, out_.name);
        });
        keep_marks();
        // What is before the first damage needs no peer; after it, a peer comes first, because what
        // is intact here builds on what is not.
        const node damaged = take_from(1, true);
        if (damaged <= from_.end() || !cut_.empty()) {
            fetch();
            take_from(damaged, false);
            name_lost();
        }
        return std::move(out_);
    }

private:
    /// The first commit that is damaged, or one beyond the last.
    node take_from(node first, bool stop_at_damage) {
        refill into(to_, handle_, from_.below());
        node n = first;
        for (; n <= from_.end(); ++n) {
            if (options_.progress && n % 256 == 0) options_.progress(out_.name, n, from_.end());
            auto c = from_.intact(n);
            if (!c && stop_at_damage) break;
            if (c)
                into.add(n, *std::move(c));
            else
                damaged_.insert(n);
        }
        into.finish();
        out_.kept += into.kept();
        for (const auto& [number, reason] : into.refused()) refused_.emplace(number, reason);
        return n;
    }

    void fetch() {
        connect_options connect;
        connect.keep_going = [&](const sync_progress& p) {
            if (options_.progress)
                options_.progress(out_.name, p.commits_in, p.commits_in_expected);
            return true;
        };
        try {
            out_.fetched = node_stage(to_).connect(out_.name, options_.url, connect).commits_in;
        } catch (const error& e) {
            out_.unreached = e.what();
        }
    }

    void name_lost() {
        if (!cut_.empty() && !out_.unreached.empty())
            out_.lost.push_back("what was written last, for its log is damaged: " + cut_);
        std::set<node> numbers = damaged_;
        for (const auto& [n, reason] : refused_) numbers.insert(n);
        const auto ids = from_.ids(numbers);
        to_.read([&](commit_store& store) {
            for (const node n : numbers) {
                const auto id = ids.find(n);
                if (id != ids.end() && store.find(handle_, id->second)) continue;
                std::string text = "commit number " + std::to_string(n);
                text += id != ids.end() ? ", " + id->second.hex() : ", its id cannot be read";
                if (const auto why = refused_.find(n); why != refused_.end())
                    text += ": " + why->second;
                // Of a commit without an id nobody can say whether it is among those fetched.
                if (id == ids.end() && store.state(handle_).end.seq >= from_.end()) continue;
                out_.lost.push_back(std::move(text));
            }
        });
    }

    /// Also whom it was synced with; but not the cursors, for the log has another order now.
    void keep_marks() {
        to_.write([&](commit_store& store, hub&) {
            for (auto& [key, val] : from_.marks())
                if (!key.starts_with("peer/")) store.put_mark(handle_, key, std::move(val));
        });
    }

    const remains& from_;
    peer_node& to_;
    const repair_options& options_;
    const std::string cut_;
    crdt_handle handle_ = 0;
    repaired_crdt out_;
    std::set<node> damaged_;
    std::map<node, std::string> refused_;
};

/// The files of a database under another name, so that opening it changes nothing of the original.
class linked_copy {
public:
    explicit linked_copy(const fs::path& of) : path_(of.string() + ".salvage") {
        fs::remove_all(path_);
        fs::create_directory(path_);
        for (const auto& file : fs::directory_iterator(of)) {
            const fs::path name = file.path().filename();
            if (name == "CURRENT")
                fs::copy_file(file.path(), path_ / name);
            else if (name != "LOCK")
                fs::create_hard_link(file.path(), path_ / name);
        }
    }
    ~linked_copy() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }
    const fs::path& path() const { return path_; }

private:
    const fs::path path_;
};

std::map<crdt_handle, state_record> states_of(const kv& db) {
    std::map<crdt_handle, state_record> found;
    const bytes prefix = keys::of(space::state);
    const auto at = db.cursor();
    for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next())
        found.emplace(get_be32(at->key().substr(prefix.size())), parse_state(at->val()));
    return found;
}

/// Keeps all other processes away from the store while it is replaced: they come to its socket, and
/// are told. The database's own lock is not held, for who holds it changes files.
class closed_for_repair {
public:
    explicit closed_for_repair(const fs::path& dir) {
        const std::unique_ptr<kv> lock = lock_of(dir, cut_);
        server_ = std::make_unique<local_server>(
            dir, [](const std::string&, const value&, const std::function<bool(const value&)>&) {
                throw error(errc::locked, "the store is being repaired; try again afterwards");
                return value();
            });
    }

    /// Why the database cannot be opened as it is; empty if it can.
    const std::string& cut() const { return cut_; }

private:
    /// None if it cannot be opened, for then nobody has it.
    static std::unique_ptr<kv> lock_of(const fs::path& dir, std::string& cut) {
        try {
            return open_commits(dir / "db", {.create = false});
        } catch (const error& e) {
            cut = e.what();
            if (e.code() == errc::bad_input || e.code() == errc::io) return nullptr;
            if (e.code() != errc::locked) throw;
            throw error(errc::locked,
                        "another process has the store " + dir.string() +
                            " open; a repair replaces it, so stop that one first");
        }
    }

    std::string cut_;
    std::unique_ptr<local_server> server_;
};

[[noreturn]] void fail_unreadable(const fs::path& dir, const std::string& cut) {
    throw error(errc::bad_input,
                "no CRDT can be read in " + dir.string() + ", which is as it was: " + cut +
                    ". To begin anew with the same identity, move its directory db away and clone");
}

std::unique_ptr<kv> open_damaged(const fs::path& salvage,
                                 const fs::path& dir,
                                 const std::string& cut) {
    try {
        return open_commits(salvage, {.create = false, .leave_out_damage = true});
    } catch (const error&) {
        if (cut.empty()) throw;
        fail_unreadable(dir, cut);
    }
}

void require_reached(const std::vector<repaired_crdt>& crdts) {
    for (const repaired_crdt& c : crdts)
        if (!c.lost.empty() && !c.unreached.empty())
            throw error(
                errc::unavailable,
                fmt::format("{} of \"{}\" are damaged, and no peer was asked for them ({}); "
                            "the store is as it was. Name one: trib verify --repair "
                            "ws://HOST:PORT",
                            c.lost.size(),
                            c.name,
                            c.unreached));
}

}  // namespace

std::vector<repaired_crdt> repair_store(const fs::path& dir, const repair_options& options) {
    const closed_for_repair closed(dir);
    finish_repair(dir);
    if (fs::exists(dir / damaged_name))
        throw error(errc::exists,
                    (dir / damaged_name).string() +
                        " is there from an earlier repair; remove it, or move it away");
    const fs::path unfinished = dir / (std::string(fresh_name) + ".unfinished");
    fs::remove_all(unfinished);
    fs::remove_all(dir / fresh_name);
    std::vector<repaired_crdt> done;
    {
        const linked_copy salvage(dir / "db");
        const auto damaged = open_damaged(salvage.path(), dir, closed.cut());
        peer_node fresh(open_commits(unfinished),
                        open_identity(dir),
                        {},
                        open_blob_files(dir / blobs_directory));
        for (auto& [h, state] : states_of(*damaged)) {
            if (state.name.empty()) continue;  // was to take the place of another
            const remains what(*damaged, h, std::move(state));
            done.push_back(rebuild(what, fresh, options, closed.cut()).run());
        }
    }
    // What was lost with the log may have been all there was.
    if (done.empty() && !closed.cut().empty()) fail_unreadable(dir, closed.cut());
    require_reached(done);
    fs::rename(unfinished, dir / fresh_name);
    fs::rename(dir / "db", dir / damaged_name);
    finish_repair(dir);
    return done;
}

void finish_repair(const fs::path& dir) {
    std::error_code ec;
    if (fs::exists(dir / fresh_name, ec) && !fs::exists(dir / "db", ec))
        fs::rename(dir / fresh_name, dir / "db", ec);
}

}  // namespace tributary
