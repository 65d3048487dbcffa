#include "tributary/store/replica.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/store/keys.hpp"
#include "tributary/value/covered.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace tributary {

namespace {

using keys::space;

constexpr std::size_t recent_nodes = 2048;
/// From so many on, short ids are looked for in the last entries first.
constexpr std::size_t many_ids = 1000;
constexpr std::size_t cached_authors_max = 4096;
constexpr std::size_t cached_authorities_max = 256;

constexpr bytes_view below_prev("\0", 1);
constexpr bytes_view below_parent("\1", 1);

[[noreturn]] void damaged(const std::string& what) {
    throw error(errc::bad_input, what + " is missing: the store is damaged; run trib verify");
}

bytes encode_number(std::uint64_t n) {
    bytes out;
    packed::put_uint(out, n);
    return out;
}

}  // namespace

replica::replica(staging& to, crdt_handle handle, state_record state)
    : to_(to), handle_(handle), linear_(to, handle, state_), blobs_(to, handle) {
    reset(std::move(state));
}

void replica::reset(state_record state) {
    state_ = std::move(state);
    id_ = id_of_genesis(state_.genesis.record);
    genesis_ = decode_genesis(state_.genesis.record);
    of_genesis_ = std::make_shared<const authority>(genesis_);
    dirty_ = false;
    durable_commits_ = state_.commits;
    followed_ = state_.current;
    heads_.reset();
    recent_.clear();
    author_tips_.clear();
    authorities_.clear();
    cut_.reset();
    authors_below_.clear();
    proven_.clear();
    if (const auto record = to_.get(keys::of(space::cut, handle_))) {
        cut_ = parse_cut(*record);
        learn(check_proofs(cut_->proofs, id_, genesis_));
    }
    sketch_.emplace(to_, handle_, id_, [this](node first, node last, const auto& visit) {
        each_id(first, last, visit);
    });
}

void replica::save() {
    if (!dirty_) return;
    sketch_->save(state_.commits);
    to_.put(keys::of(space::state, handle_), encode(state_));
    if (!heads_) return;
    std::vector<node> numbers;
    for (const head& h : *heads_) numbers.push_back(h.number);
    to_.put(keys::of(space::heads, handle_), encode_nodes(numbers));
    if (bytes key = keys::of(space::loose, handle_); !loose_.empty())
        to_.put(key, encode_nodes(loose_));
    else if (had_loose_)
        to_.erase(key);
    had_loose_ = !loose_.empty();
}

void replica::saved() {
    dirty_ = false;
    durable_commits_ = state_.commits;
    // Only now: a tip may have been staged, and is read from the kv alone.
    if (author_tips_.size() > cached_authors_max) author_tips_.clear();
}

void replica::rename(const std::string& name) {
    state_.name = name;
    dirty_ = true;
}

// -- A partial replica ----------------------------------------------------------------------------

bool replica::is_below(const commit_id& id) const {
    return cut_ && to_.has(keys::of(space::cut, handle_, id.view()));
}

std::vector<commit_id> replica::floor() const {
    std::vector<commit_id> ids;
    if (!cut_) return ids;
    const bytes prefix = keys::of(space::cut, handle_);
    to_.each(prefix, [&](bytes_view key, bytes_view val) {
        if (key.size() > prefix.size() && val == below_parent)
            ids.push_back(commit_id::from_bytes(key.substr(prefix.size())));
    });
    return ids;
}

void replica::begin_at(partial_cut where) {
    TRIBUTARY_CHECK(state_.commits == 0 && state_.authorities == 0);
    const proven_below proven = check_proofs(where.proofs, id_, genesis_);
    add_authority(std::make_shared<const authority>(proven.all));
    add_authority(std::make_shared<const authority>(proven.granted));
    state_.everyone = 1;
    to_.put(keys::of(space::cut, handle_), encode(where));
    cut_ = std::move(where);
    learn(proven);
}

void replica::learn(const proven_below& proven) {
    authors_below_ = proven.authors;
    for (const commit& c : cut_->proofs) proven_.insert(id_of_header(c.header));
}

void replica::note_absent(const accepted_commit& c) {
    for (const commit_id& id : c.absent_parents)
        to_.put(keys::of(space::cut, handle_, id.view()), below_parent);
    if (c.absent_prev && !is_below(*c.absent_prev))
        to_.put(keys::of(space::cut, handle_, c.absent_prev->view()), below_prev);
}

std::vector<node> replica::grants() const {
    const std::vector<node> listed = listed_grants();
    const bool early = listed.empty() && state_.authorities > (cut_ ? granted_below : 0);
    return early ? grants_read(state_.commits) : listed;
}

std::vector<node> replica::listed_grants() const {
    std::vector<node> found;
    const bytes prefix = keys::of(space::grants, handle_);
    to_.each(prefix, [&](bytes_view key, bytes_view) {
        found.push_back(get_be64(key.substr(prefix.size())));
    });
    return found;
}

/// Among the first `end` entries, from these themselves.
std::vector<node> replica::grants_read(node end) const {
    std::vector<node> found;
    for (node n = 1; n <= end; ++n) {
        const bytes record = entry_bytes(n);
        const entry_record e = parse_entry(n, record);
        if (!e.info.foreign && grants_or_revokes(decode_header(e.header))) found.push_back(n);
    }
    return found;
}

void replica::list_grant(node number) {
    // A store of before has no list: now it gets one.
    if (listed_grants().empty())
        for (const node n : grants_read(number - 1))
            to_.put(keys::of(space::grants, handle_, n), encode_number(1));
    to_.put(keys::of(space::grants, handle_, number), encode_number(1));
}

std::vector<node> replica::of_author(const public_key& author, std::uint64_t seq) const {
    const auto record = to_.get(keys::of(space::author, handle_, author.view(), seq));
    return record ? parse_nodes(*record) : std::vector<node>();
}

// -- Reading --------------------------------------------------------------------------------------

std::vector<node> replica::parents(node n) const {
    if (!recent_.empty())
        if (const node_info& cached = recent_[n % recent_nodes]; cached.number == n)
            return cached.parents;
    return info(n).parents;
}

node_info replica::info(node n) const {
    if (!recent_.empty())
        if (const node_info& cached = recent_[n % recent_nodes]; cached.number == n) return cached;
    node_info read = parse_entry(n, entry_bytes(n)).info;
    remember(read);
    return read;
}

void replica::remember(const node_info& info) const {
    if (recent_.empty()) recent_.resize(recent_nodes);
    recent_[info.number % recent_nodes] = info;
}

std::optional<node> replica::find(const commit_id& id) const {
    const auto record = to_.get(keys::of(space::index, handle_, id.view()));
    if (!record) return std::nullopt;
    return packed::reader(*record, "an index entry").uint();
}

bytes replica::entry_bytes(node n) const {
    if (n == 0 || n > state_.commits)
        throw error(errc::misuse, "there is no commit number " + std::to_string(n));
    auto record = to_.get(keys::of(space::entry, handle_, n));
    if (!record) damaged("the entry of commit number " + std::to_string(n));
    return *std::move(record);
}

bytes replica::body(node n) const {
    auto record = to_.get(keys::of(space::body, handle_, n));
    if (!record) damaged("the body of commit number " + std::to_string(n));
    return *std::move(record);
}

void replica::each_id(node first,
                      node last,
                      const std::function<void(const commit_id&)>& visit) const {
    const node durable = std::min(last, durable_commits_);
    if (first <= durable) {
        const auto at = to_.db().cursor();
        for (at->seek(keys::of(space::entry, handle_, first)); first <= durable; at->next()) {
            if (!at->valid() || at->key() != keys::of(space::entry, handle_, first))
                damaged("the entry of commit number " + std::to_string(first));
            ++first;
            visit(id_of_entry(at->val()));
        }
    }
    for (; first <= last; ++first) visit(info(first).id);
}

/// Takes those of `ids`, which are sorted, out that one of the last entries has.
std::vector<node> replica::take_recent(std::vector<sketch::short_id>& ids) const {
    const node first = state_.commits - std::min<node>(state_.commits, 2 * ids.size()) + 1;
    std::vector<node> found;
    std::vector<bool> met(ids.size());
    node n = first;
    each_id(first, state_.commits, [&](const commit_id& id) {
        const auto at = std::lower_bound(ids.begin(), ids.end(), sketch::short_of(id));
        if (at != ids.end() && *at == sketch::short_of(id)) {
            found.push_back(n);
            met[static_cast<std::size_t>(at - ids.begin())] = true;
        }
        ++n;
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (!met[i]) ids[kept++] = ids[i];
    ids.resize(kept);
    return found;
}

std::vector<node> replica::find_short(std::vector<sketch::short_id> ids) const {
    std::sort(ids.begin(), ids.end());  // the order of the index
    // Many that one side alone has are mostly what came last, and the log is faster read in order
    // than the index by its hashes.
    std::vector<node> found;
    if (ids.size() >= many_ids) found = take_recent(ids);
    const auto at = to_.db().cursor();
    for (const sketch::short_id id : ids) {
        bytes begin;
        put_be64(begin, id);
        const bytes prefix = keys::of(space::index, handle_, begin);
        for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next())
            found.push_back(packed::reader(at->val(), "an index entry").uint());
    }
    for (node n = durable_commits_ + 1; n <= state_.commits; ++n)
        if (std::binary_search(ids.begin(), ids.end(), sketch::short_of(info(n).id)))
            found.push_back(n);
    std::sort(found.begin(), found.end());
    return found;
}

const std::vector<replica::head>& replica::heads() const {
    if (heads_) return *heads_;
    std::vector<head> loaded;
    if (const auto record = to_.get(keys::of(space::heads, handle_)))
        for (const node n : parse_nodes(*record)) loaded.push_back({info(n).id, n});
    std::sort(loaded.begin(), loaded.end());
    loose_.clear();
    if (state_.uncounted > 0)
        if (const auto record = to_.get(keys::of(space::loose, handle_)))
            loose_ = parse_nodes(*record);
    had_loose_ = !loose_.empty();
    return heads_.emplace(std::move(loaded));
}

std::vector<node> replica::tips() const {
    std::vector<node> nodes;
    for (const head& h : heads()) nodes.push_back(h.number);
    nodes.insert(nodes.end(), loose_.begin(), loose_.end());
    if (!loose_.empty()) return maximal(*this, nodes);
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

std::optional<replica::author_tip> replica::tip_of(const public_key& author) const {
    if (const auto found = author_tips_.find(author); found != author_tips_.end())
        return found->second;
    const bytes prefix = keys::of(space::author, handle_, author.view());
    const auto at = to_.db().cursor();
    at->seek_back(
        keys::of(space::author, handle_, author.view(), std::numeric_limits<std::uint64_t>::max()));
    if (!at->valid() || !at->key().starts_with(prefix)) {
        const auto below = authors_below_.find(author);
        if (below == authors_below_.end()) return std::nullopt;
        return author_tip{below->second.seq, 0, below->second.id};
    }
    author_tip tip;
    tip.seq = get_be64(at->key().substr(prefix.size()));
    tip.number = parse_nodes(at->val()).at(0);
    tip.id = info(tip.number).id;
    return author_tips_.emplace(author, tip).first->second;
}

authority_ptr replica::authority_of(std::uint64_t number) const {
    if (number == 0) return of_genesis_;
    if (const auto found = authorities_.find(number); found != authorities_.end())
        return found->second;
    const auto record = to_.get(keys::of(space::authority, handle_, number));
    if (!record) damaged("authority number " + std::to_string(number));
    if (authorities_.size() >= cached_authorities_max) authorities_.clear();
    return authorities_
        .emplace(number, std::make_shared<const authority>(decode_authority(genesis_, *record)))
        .first->second;
}

// -- Writing --------------------------------------------------------------------------------------

void replica::add_authority(const authority_ptr& a) {
    const std::uint64_t number = ++state_.authorities;
    to_.put(keys::of(space::authority, handle_, number), encode(*a));
    authorities_.insert_or_assign(number, a);
    dirty_ = true;
}

void replica::add(accepted_commit c) {
    const node number = ++state_.commits;
    TRIBUTARY_CHECK(c.info.number == number);
    const bytes_view before(reinterpret_cast<const char*>(state_.digest.data()),
                            state_.digest.size());
    state_.digest = hash_short("trib.arrival.1", before, c.info.id.view());
    state_.ops += c.op_count;
    dirty_ = true;
    note_absent(c);
    if (c.grants) list_grant(number);
    if (!c.info.foreign) {
        record_author(c.info);
        place(c.info);
    }
    to_.put(keys::of(space::entry, handle_, number),
            encode_entry(c.info, state_.digest, c.sig, c.header));
    to_.put(keys::of(space::body, handle_, number), c.body);
    to_.put(keys::of(space::index, handle_, c.info.id.view()), encode_number(number));
    blobs_.add(number, c.blobs);
    remember(c.info);
    sketch_->added(number, c.info.id);
}

void replica::record_author(const node_info& info) {
    const auto tip = tip_of(info.author);
    bytes key = keys::of(space::author, handle_, info.author.view(), info.seq);
    std::vector<node> numbers;
    if (tip && info.seq <= tip->seq) numbers = of_author(info.author, info.seq);
    if (!numbers.empty()) {
        covered("equivocation stored");
        to_.put(keys::of(space::equivocation, handle_, info.number),
                encode_number(numbers.front()));
    }
    numbers.push_back(info.number);
    to_.put(key, encode_nodes(numbers));
    if (!tip || info.seq > tip->seq) author_tips_[info.author] = {info.seq, info.number, info.id};
}

void replica::place(node_info& info) {
    heads();
    const bool widened = widen_everyone(info.authority);
    info.counted = everyone()->may_write(info.author, info.seq);
    if (info.counted) {
        raise(info);
        add_head(info.id, info.number);
    } else {
        ++state_.uncounted;
    }
    remember(info);
    if (!info.counted) add_loose({info.number});
    if (widened) recount();
    const auto is_current = [this](const head& h) { return h.number == state_.current; };
    if (std::none_of(heads_->begin(), heads_->end(), is_current) && info.counted)
        state_.current = info.number;
}

/// Takes `authority` into everyone's; true if that changed it.
bool replica::widen_everyone(std::uint64_t authority) {
    const std::uint64_t joined = join_numbers(
        genesis_,
        state_.everyone,
        authority,
        [this](std::uint64_t n) { return authority_of(n); },
        [this](tributary::authority a) {
            add_authority(std::make_shared<const tributary::authority>(std::move(a)));
            return state_.authorities;
        });
    return std::exchange(state_.everyone, joined) != joined;
}

/// What is beneath a commit that counts is no head, and counts. Beneath an ancestor that counted
/// before, both are so already; the walk goes on only through those of another genesis and those
/// that did not count.
void replica::raise(const node_info& info) {
    std::set<node, std::greater<>> left(info.parents.begin(), info.parents.end());
    const auto lowest_head = [this] {
        node lowest = std::numeric_limits<node>::max();
        for (const head& h : *heads_) lowest = std::min(lowest, h.number);
        return lowest;
    };
    while (!left.empty()) {
        const node n = *left.begin();
        left.erase(left.begin());
        if (remove_head(n)) continue;
        if (state_.uncounted == 0 && n < lowest_head()) break;
        const node_info beneath = this->info(n);
        if (!beneath.foreign) {
            if (beneath.counted) continue;
            set_counted(n, true);
            std::erase(loose_, n);
        }
        left.insert(beneath.parents.begin(), beneath.parents.end());
    }
}

/// After new facts.
void replica::recount() {
    const authority_ptr rules = everyone();
    drop_revoked(*rules);
    restore(*rules);
}

/// Heads of the revoked, and what only they vouched for, no longer count.
void replica::drop_revoked(const authority& rules) {
    std::vector<node> good, bad;
    for (const head& h : *heads_) {
        const node_info of_head = info(h.number);
        (rules.may_write(of_head.author, of_head.seq) ? good : bad).push_back(h.number);
    }
    if (bad.empty()) return;
    for (const node n : bad) remove_head(n);
    const auto lost = *missing(*this, good, bad, std::numeric_limits<std::size_t>::max());
    std::set<node> vouched;
    for (auto at = lost.rbegin(); at != lost.rend(); ++at) {
        const node_info here = info(*at);
        bool counts = vouched.contains(*at);
        if (!counts && !here.foreign && rules.may_write(here.author, here.seq)) {
            counts = true;
            add_head(here.id, *at);
        }
        if (counts)
            vouched.insert(here.parents.begin(), here.parents.end());
        else if (!here.foreign)
            set_counted(*at, false);
    }
    std::erase_if(bad, [this](node n) { return info(n).counted; });
    add_loose(std::move(bad));
}

/// What did not count, but may after all. Beneath a commit that counts all do, so those that do not
/// are met from the loose tips down.
void replica::restore(const authority& rules) {
    std::set<node, std::greater<>> left(loose_.begin(), loose_.end());
    while (!left.empty()) {
        const node n = *left.begin();
        left.erase(left.begin());
        const node_info here = info(n);
        if (!here.foreign) {
            if (here.counted) continue;
            if (rules.may_write(here.author, here.seq)) {
                set_counted(n, true);
                std::erase(loose_, n);
                raise(here);
                add_head(here.id, n);
                continue;
            }
        }
        left.insert(here.parents.begin(), here.parents.end());
    }
}

void replica::add_loose(std::vector<node> more) {
    more.insert(more.end(), loose_.begin(), loose_.end());
    loose_ = maximal(*this, more);
}

void replica::set_counted(node n, bool counted) {
    bytes key = keys::of(space::entry, handle_, n);
    to_.put(key, with_counted(entry_bytes(n), counted));
    state_.uncounted += counted ? -1 : 1;
    node_info changed = info(n);
    changed.counted = counted;
    remember(changed);
}

void replica::add_head(const commit_id& id, node n) {
    const head added{id, n};
    heads_->insert(std::lower_bound(heads_->begin(), heads_->end(), added), added);
}

bool replica::remove_head(node n) {
    return std::erase_if(*heads_, [n](const head& h) { return h.number == n; }) > 0;
}

void replica::set_current(node n) {
    state_.current = n;
    dirty_ = true;
}

void replica::follow_current() {
    if (state_.current == followed_) return;
    linear_.follow(*this, state_.current);
    followed_ = state_.current;
}

}  // namespace tributary
