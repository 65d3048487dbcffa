#include "tributary/peer/node_stage.hpp"

#include "tributary/peer/node_blobs.hpp"
#include "tributary/store/frozen_kv.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace tributary {

namespace {

constexpr std::size_t side_commits_max = 1000;
constexpr std::size_t walk_nodes_max = 1u << 20;
constexpr std::size_t run_commits_max = 256;
constexpr std::string_view status_prefix = "status/";

std::string size_text(std::uintmax_t n) {
    constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    std::size_t unit = 0;
    for (; n >= 10000 && unit + 1 < std::size(units); ++unit) n /= 1000;
    return std::to_string(n) + " " + units[unit];
}

crdt_summary summarize(const commit_store& store,
                       crdt_handle h,
                       const public_key& self,
                       const std::filesystem::path& dir) {
    crdt_state s = store.state(h);
    crdt_summary out;
    out.name = std::move(s.name);
    out.id = s.id;
    out.type = store.genesis_of(h).type;
    out.heads = std::move(s.heads);
    out.current = s.current;
    out.commits = s.end.seq;
    out.ops = s.ops;
    out.below = s.below;
    out.linear_length = s.linear_length;
    out.equivocations = store.equivocations(h).size();
    for (auto& [key, text] : store.marks(h, status_prefix))
        out.status.emplace_back(key.substr(status_prefix.size()), text);
    if (const auto missing = store.awaited(h, self))
        out.status.emplace_back(
            "restored",
            "commits of this identity up to number " + std::to_string(missing->seq) +
                " are at a peer and not here; before it writes: trib sync " + out.name);
    std::error_code ec;
    const auto space = std::filesystem::space(dir, ec);
    if (!ec) out.status.emplace_back("disk free", size_text(space.available));
    return out;
}

/// Makes views of entries; looks every author up once.
class viewer {
public:
    viewer(const commit_store& store, crdt_handle h) : store_(store), handle_(h) {}

    commit_view view(std::uint64_t at, const arrival_entry& e, bytes_view body) {
        commit_view v;
        v.at = at;
        v.id = e.id;
        v.header = decode_header(e.header);
        v.author_name = name_of(v.header.author);
        v.body = body;
        v.is_signed = e.sig.has_value();
        v.linearized = e.linearized;
        return v;
    }

    /// Of an entry read by its number.
    commit_view view(std::uint64_t at, node n, bool body) {
        return view(at, store_.entry(handle_, n), body ? store_.body(handle_, n) : bytes());
    }

private:
    const std::string& name_of(const public_key& key) {
        auto at = names_.find(key);
        if (at == names_.end())
            at = names_.emplace(key, store_.author_name(handle_, key).value_or("")).first;
        return at->second;
    }

    const commit_store& store_;
    crdt_handle handle_;
    std::map<public_key, std::string> names_;
};

/// Current first, then the others by id.
std::vector<commit_id> heads_in_order(const crdt_state& s) {
    std::vector<commit_id> heads = s.heads;
    std::stable_partition(
        heads.begin(), heads.end(), [&](const commit_id& h) { return h == s.current; });
    return heads;
}

std::string join_ids(const std::vector<commit_id>& ids) {
    std::string out;
    for (const commit_id& id : ids) out += (out.empty() ? "" : " ") + id.brief();
    return out.empty() ? "none" : out;
}

std::vector<node> fork_points_of(const commit_graph& g, const std::vector<node>& heads) {
    std::vector<node> points{heads.front()};
    for (std::size_t i = 1; i < heads.size(); ++i) {
        std::vector<node> lower;
        for (node p : points)
            for (node common : lowest_common_ancestors(g, p, heads[i])) lower.push_back(common);
        points = maximal(g, lower);
    }
    return points;
}

std::vector<bytes> encode_all(const std::vector<op>& ops) {
    std::vector<bytes> out;
    out.reserve(ops.size());
    for (const op& o : ops) out.push_back(encode(o));
    return out;
}

void require_unchanged(const commit_store& store, crdt_handle h, const std::vector<mark>& marks) {
    for (const mark& m : marks)
        if (m.was && store.mark(h, m.key) != *m.was)
            throw error(errc::conflict,
                        "\"" + m.key + "\" has been written by another process meanwhile");
}

}  // namespace

crdt_handle require_crdt(const commit_store& store, const std::string& name) {
    if (auto h = store.find_name(name)) return *h;
    if (name.starts_with("trib:"))
        if (auto h = store.find_id(parse_address(name))) return *h;
    throw error(errc::not_found,
                "there is no CRDT \"" + name + "\" in this store; create or clone it first");
}

void require_new_name(const commit_store& store, const std::string& name) {
    const bool control = std::any_of(
        name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (name.empty() || name.size() > 200 || control || name.find('/') != std::string::npos ||
        name.starts_with("trib:"))
        throw error(errc::bad_input,
                    "\"" + name +
                        "\" is no name: 1 to 200 bytes without '/', control characters, or "
                        "\"trib:\" at the front");
    if (store.find_name(name))
        throw error(errc::exists,
                    "there is a CRDT named \"" + name + "\" already; choose another name");
}

// -- which there are

std::vector<crdt_summary> node_stage::list() {
    return node_.read([&](commit_store& store) {
        std::vector<crdt_summary> out;
        for (crdt_handle h : store.list())
            out.push_back(summarize(store, h, node_.key(), node_.dir()));
        return out;
    });
}

crdt_summary node_stage::summary(const std::string& name) {
    return node_.read([&](commit_store& store) {
        return summarize(store, require_crdt(store, name), node_.key(), node_.dir());
    });
}

// -- writing

commit_id node_stage::transact(const std::string& name,
                               const std::vector<op>& ops,
                               const std::vector<mark>& marks) {
    return transact_encoded(name, encode_all(ops), marks);
}

commit_id node_stage::transact_encoded(const std::string& name,
                                       std::vector<bytes> ops,
                                       const std::vector<mark>& marks) {
    if (ops.empty()) throw error(errc::misuse, "a commit needs at least one op");
    const std::vector<blob_id> mentioned = mentioned_blobs(ops);
    return node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle h = require_crdt(store, name);
        require_unchanged(store, h, marks);
        const blob_naming blobs(store, node_.blobs(), h, mentioned);
        const commit_id id =
            store.append(h, node_.self(), ops, wall_ms(), std::nullopt, blobs.ext());
        blobs.note();
        for (const mark& m : marks) store.put_mark(h, m.key, m.val);
        hub.staged(h);
        return id;
    });
}

commit_id node_stage::merge(const std::string& name,
                            const std::vector<commit_id>& order,
                            const std::vector<op>& corrections) {
    const std::vector<bytes> ops = encode_all(corrections);
    const std::vector<blob_id> mentioned = mentioned_blobs(ops);
    return node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle h = require_crdt(store, name);
        const crdt_state s = store.state(h);
        if (s.heads.size() < 2)
            throw error(errc::misuse, "\"" + name + "\" has one head; there is nothing to merge");
        std::vector<commit_id> parents = order.empty() ? heads_in_order(s) : order;
        if (!std::is_permutation(parents.begin(), parents.end(), s.heads.begin(), s.heads.end()))
            throw error(errc::conflict,
                        "a merge joins all heads: the heads of \"" + name + "\" are " +
                            join_ids(s.heads) + ", given were " + join_ids(order));
        const blob_naming blobs(store, node_.blobs(), h, mentioned);
        const commit_id id =
            store.append(h, node_.self(), ops, wall_ms(), std::move(parents), blobs.ext());
        blobs.note();
        hub.staged(h);
        return id;
    });
}

void node_stage::put_marks(const std::string& name, const std::vector<mark>& marks) {
    node_.write([&](commit_store& store, hub&) {
        const crdt_handle h = require_crdt(store, name);
        require_unchanged(store, h, marks);
        for (const mark& m : marks) store.put_mark(h, m.key, m.val);
    });
}

// -- reading

std::optional<bytes> node_stage::get_mark(const std::string& name, const std::string& key) {
    return node_.read(
        [&](commit_store& store) { return store.mark(require_crdt(store, name), key); });
}

conflict_summary node_stage::conflicts(const std::string& name) {
    return node_.read([&](commit_store& store) {
        const crdt_handle h = require_crdt(store, name);
        const crdt_state s = store.state(h);
        conflict_summary out;
        if (s.heads.size() < 2) return out;
        const commit_graph& g = store.graph(h);
        std::vector<node> heads;
        for (const commit_id& id : heads_in_order(s)) heads.push_back(store.find(h, id).value());
        const std::vector<node> points = fork_points_of(g, heads);
        for (node p : points) out.fork_points.push_back(store.entry(h, p).id);
        viewer v(store, h);
        for (node head : heads) {
            conflict_summary::side side{store.entry(h, head).id, {}};
            const std::vector<node> only_head{head};
            auto since = missing(g, points, only_head, walk_nodes_max).value_or(only_head);
            if (since.size() > side_commits_max) since.resize(side_commits_max);
            for (node n : since) side.commits.push_back(v.view(n, n, false));
            out.sides.push_back(std::move(side));
        }
        return out;
    });
}

std::vector<commit_view> node_stage::read_arrival(const std::string& name,
                                                  std::uint64_t number,
                                                  std::size_t bytes_max,
                                                  bool bodies) {
    return node_.read([&](commit_store& store) {
        const crdt_handle h = require_crdt(store, name);
        std::vector<commit_view> out;
        viewer v(store, h);
        std::size_t size = 0;
        number = std::max<std::uint64_t>(number, 1);
        if (!bodies) {
            const std::uint64_t end = store.state(h).end.seq;
            for (node n = number; n <= end && (out.empty() || size < bytes_max); ++n) {
                const arrival_entry e = store.entry(h, n);
                size += e.header.size();
                out.push_back(v.view(n, e, {}));
            }
            return out;
        }
        store.scan(h, number, [&](const arrival_entry& e, bytes_view body) {
            size += e.header.size() + body.size();
            if (!out.empty() && size > bytes_max) return false;
            out.push_back(v.view(e.number, e, body));
            return true;
        });
        return out;
    });
}

std::vector<commit_view> node_stage::read_linear(const std::string& name,
                                                 std::uint64_t position,
                                                 std::size_t bytes_max,
                                                 bool bodies) {
    return node_.read([&](commit_store& store) {
        const crdt_handle h = require_crdt(store, name);
        const std::uint64_t length = store.state(h).linear_length;
        std::vector<commit_view> out;
        viewer v(store, h);
        std::size_t size = 0;
        auto take = [&](const arrival_entry& e, bytes_view body) {
            size += e.header.size() + body.size();
            if (!out.empty() && size > bytes_max) return false;
            out.push_back(v.view(position, e, bodies ? body : bytes_view()));
            out.back().mainline = store.linear_at(h, position++).mainline;
            return true;
        };
        // Commits that are neighbours in the linear log mostly arrived one after another too, and
        // reading those in one go is what is fast.
        for (bool more = true; more && position < length;) {
            const node first = store.linear_at(h, position).number;
            std::uint64_t run = 1;
            while (bodies && run < run_commits_max && position + run < length &&
                   store.linear_at(h, position + run).number == first + run)
                ++run;
            if (run == 1) {
                more = take(store.entry(h, first), bodies ? store.body(h, first) : bytes());
                continue;
            }
            store.scan(h, first, [&](const arrival_entry& e, bytes_view body) {
                more = take(e, body);
                return more && e.number + 1 < first + run;
            });
        }
        return out;
    });
}

std::optional<commit_view> node_stage::find(const std::string& name,
                                            const commit_id& id,
                                            bool body) {
    return node_.read([&](commit_store& store) -> std::optional<commit_view> {
        const crdt_handle h = require_crdt(store, name);
        const auto n = store.find(h, id);
        if (!n) return std::nullopt;
        return viewer(store, h).view(*n, *n, body);
    });
}

std::uint64_t node_stage::wait_for_change(const std::string& name,
                                          std::uint64_t commits,
                                          std::chrono::milliseconds wait) {
    const crdt_handle h =
        node_.read([&](commit_store& store) { return require_crdt(store, name); });
    return node_.wait_for_change(h, commits, wait);
}

std::uint64_t node_stage::verify(
    const std::string& name,
    const std::function<void(const std::string&)>& problem,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    frozen_kv frozen(node_.db());
    commit_store store(frozen);
    return store.verify(require_crdt(store, name), problem, progress);
}

}  // namespace tributary
