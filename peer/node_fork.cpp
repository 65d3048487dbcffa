/// Commits of one CRDT as ancestors in another: fork and pull.
#include "tributary/peer/node_stage.hpp"

#include <limits>
#include <set>
#include <unordered_map>

namespace tributary {

namespace {

constexpr std::size_t turn_commits_max = 1000;
constexpr std::size_t turn_bytes_max = 4u << 20;
/// On a fork until it is complete: the id of what it is a fork of.
const std::string fork_mark = "fork";

/// Collects commits until the last one of each author is signed, which is what a chunk must be.
class chunk_builder {
public:
    void add(const arrival_entry& e, bytes_view body) {
        const public_key author = decode_header(e.header).author;
        if (e.sig)
            unsigned_.erase(author);
        else
            unsigned_.insert(author);
        bytes_ += e.header.size() + body.size();
        commits_.push_back({e.header, e.sig, bytes(body)});
    }
    bool whole() const { return unsigned_.empty(); }
    const std::set<public_key>& unsigned_authors() const { return unsigned_; }
    bool full() const { return commits_.size() >= turn_commits_max || bytes_ >= turn_bytes_max; }
    const std::vector<commit>& commits() const { return commits_; }

private:
    std::vector<commit> commits_;
    std::set<public_key> unsigned_;
    std::size_t bytes_ = 0;
};

/// Takes entries of `from` into `to`, from `first` on, as many as make a turn. The next entry to
/// take, or nothing when all are there.
std::optional<node> copy_some(commit_store& store, crdt_handle from, crdt_handle to, node first) {
    chunk_builder chunk;
    std::optional<node> next;
    store.scan(from, first, [&](const arrival_entry& e, bytes_view body) {
        if (chunk.full() && chunk.whole()) {
            next = e.number;
            return false;
        }
        chunk.add(e, body);
        return true;
    });
    if (!chunk.commits().empty()) store.ingest(to, chunk.commits());
    return next;
}

/// Numbers of `head` and its ancestors in `from` that `to` does not have, ascending. What `to` has,
/// it has with all ancestors.
std::set<node> missing_in(const commit_store& store,
                          crdt_handle from,
                          crdt_handle to,
                          std::vector<node> open,
                          std::set<node> found = {}) {
    const commit_graph& g = store.graph(from);
    while (!open.empty()) {
        const node n = open.back();
        open.pop_back();
        if (found.contains(n) || store.find(to, store.entry(from, n).id)) continue;
        found.insert(n);
        for (node p : g.parents(n)) open.push_back(p);
    }
    return found;
}

/// The next signed entry of `author` after `n`: it vouches for the ones before it.
node signed_after(const commit_store& store, crdt_handle from, const public_key& author, node n) {
    for (node next = n + 1;; ++next) {
        const arrival_entry e = store.entry(from, next);
        if (e.sig && decode_header(e.header).author == author) return next;
    }
}

/// Everything that must go along so that `head` of `from` can be an ancestor in `to`.
std::set<node> closure(const commit_store& store, crdt_handle from, crdt_handle to, node head) {
    std::set<node> nodes = missing_in(store, from, to, {head});
    for (;;) {
        std::unordered_map<public_key, node> unsigned_last;
        for (node n : nodes) {
            const arrival_entry e = store.entry(from, n);
            const public_key author = decode_header(e.header).author;
            if (e.sig)
                unsigned_last.erase(author);
            else
                unsigned_last[author] = n;
        }
        if (unsigned_last.empty()) return nodes;
        std::vector<node> more;
        for (auto& [author, n] : unsigned_last)
            more.push_back(signed_after(store, from, author, n));
        nodes = missing_in(store, from, to, std::move(more), std::move(nodes));
    }
}

/// Before anything is staged. Errors: unauthorized.
void require_writer(const commit_store& store, crdt_handle h, const public_key& key) {
    if (!store.authority_of(h)->may_write(key, std::numeric_limits<std::uint64_t>::max()))
        throw error(errc::unauthorized,
                    "this identity may not write to \"" + store.state(h).name +
                        "\"; its owner can run: trib grant " + store.state(h).name + " " +
                        key.hex() + " --name YOURS");
}

crdt_handle begin_fork(commit_store& store,
                       crdt_handle original,
                       const std::string& new_name,
                       const signed_genesis& genesis) {
    const bytes origin(store.state(original).id.view());
    if (store.state(original).heads.empty())
        throw error(
            errc::misuse,
            "\"" + store.state(original).name + "\" has no commits yet; there is nothing to fork");
    if (auto begun = store.find_name(new_name)) {
        if (store.mark(*begun, fork_mark) == origin) return *begun;
        throw error(errc::exists,
                    "there is a CRDT named \"" + new_name + "\" already; choose another name");
    }
    const crdt_handle h = store.add(genesis, new_name);
    store.put_mark(h, fork_mark, origin);
    return h;
}

}  // namespace

crdt_id node_stage::fork(const std::string& name, const std::string& new_name) {
    genesis g;
    g.name = new_name;
    g.owners = {node_.key()};
    g.nonce = random_bytes(16);
    const signed_genesis made = sign(g, node_.self());
    crdt_handle from = 0, to = 0;
    node_.write([&](commit_store& store, hub&) {
        from = require_crdt(store, name);
        if (!store.find_name(new_name)) require_new_name(store, new_name);
        to = begin_fork(store, from, new_name, made);
    });
    // In turns, so that a long history is neither held in memory nor keeps others waiting.
    for (std::optional<node> next = 1; next;)
        node_.write([&](commit_store& store, hub&) { next = copy_some(store, from, to, *next); });
    return node_.write([&](commit_store& store, hub& hub) {
        for (std::optional<node> next = store.state(to).end.seq + 1; next;)
            next = copy_some(store, from, to, *next);
        store.append(to, node_.self(), {}, wall_ms(), store.state(from).heads);
        store.put_mark(to, fork_mark, std::nullopt);
        hub.staged(to);
        return store.state(to).id;
    });
}

commit_id node_stage::pull(const std::string& name, const std::string& from) {
    return node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle into = require_crdt(store, name), source = require_crdt(store, from);
        const auto theirs = store.state(source).current;
        if (!theirs)
            throw error(errc::misuse,
                        "\"" + from + "\" has no commits yet; there is nothing to pull");
        if (store.find(into, *theirs))
            throw error(errc::misuse,
                        "\"" + name + "\" has the history of \"" + from + "\" already");
        require_writer(store, into, node_.key());
        chunk_builder chunk;
        for (node n : closure(store, source, into, store.find(source, *theirs).value()))
            chunk.add(store.entry(source, n), store.body(source, n));
        store.ingest(into, chunk.commits());
        std::vector<commit_id> parents;
        if (auto ours = store.state(into).current) parents.push_back(*ours);
        parents.push_back(*theirs);
        const commit_id made = store.append(into, node_.self(), {}, wall_ms(), std::move(parents));
        hub.staged(into);
        return made;
    });
}

}  // namespace tributary
