#include "tributary/store/commit_store.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/store/chunk_check.hpp"
#include "tributary/store/keys.hpp"
#include "tributary/store/make_cut.hpp"
#include "tributary/store/replica.hpp"
#include "tributary/store/verify.hpp"
#include "tributary/value/covered.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace tributary {

namespace {

using keys::space;

constexpr std::uint64_t format = 1;

bytes format_key() { return keys::of(space::meta) + "format"; }

arrival_entry to_arrival(const entry_record& e) {
    return {e.info.number, e.info.id, bytes(e.header), e.sig, e.digest, e.info.counted};
}

}  // namespace

struct commit_store::impl {
    explicit impl(kv& db) : changes(db) { load(); }

    staging changes;
    std::map<crdt_handle, std::unique_ptr<replica>> replicas;
    std::set<crdt_handle> removed;  ///< with records that are not swept yet
    bool has_format = false;
    bool stale = false;  ///< what is cached could not be read again after a failed flush

    void check_format();
    void load();
    void forget();
    crdt_handle fresh_handle() const;
    replica& at(crdt_handle h);
    replica* by_name(std::string_view name);
    replica* by_id(const crdt_id& id);
    void require_free(const std::string& name);
    /// Runs `change`; if it fails half-way (the kv cannot be read), everything staged is forgotten.
    template <class Change>
    void stage(const Change& change);
    std::pair<commit_header, node_info> prepare(
        replica& r,
        const public_key& author,
        const std::optional<std::vector<commit_id>>& parents,
        authority_draft& authorities);
    /// `last_is_current`: the last commit becomes the current head wherever it stands.
    void stage_all(replica& r,
                   const authority_draft& authorities,
                   std::vector<accepted_commit> commits,
                   bool last_is_current);
    /// `take(i)` gives the header and the body of the chunk's commit i.
    template <class Take>
    ingest_report ingest(crdt_handle h,
                         std::span<const commit> chunk,
                         chunk_from from,
                         std::span<const commit_id> below,
                         const Take& take);
    crdt_handle add(const signed_genesis& g, const std::string& name, const partial_cut* cut);
    crdt_handle insert(const signed_genesis& g, const std::string& name, const partial_cut* cut);
    void erase(crdt_handle h);
};

namespace {

/// One that is made to take the place of another.
bool is_nameless(const replica& r) { return r.state().name.empty(); }

}  // namespace

// -- Opening, forgetting --------------------------------------------------------------------------

void commit_store::impl::check_format() {
    const auto record = changes.db().get(format_key());
    has_format = record.has_value();
    if (!record) {
        const auto first = changes.db().cursor();
        first->seek({});
        if (first->valid())
            throw error(errc::bad_input, "the database is not empty, and is no store of commits");
        return;
    }
    const std::uint64_t found = packed::reader(*record, "the store's format").uint();
    if (found != format)
        throw error(errc::newer_version,
                    "the store has format " + std::to_string(found) +
                        "; this tributary knows format 1. Use a newer one");
}

void commit_store::impl::load() {
    check_format();
    const bytes prefix = keys::of(space::state);
    std::map<crdt_handle, state_record> stored;
    const auto at = changes.db().cursor();
    for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next())
        stored.emplace(get_be32(at->key().substr(prefix.size())), parse_state(at->val()));
    removed.clear();
    const bytes gone = keys::of(space::removed);
    for (at->seek(gone); at->valid() && at->key().starts_with(gone); at->next())
        removed.insert(get_be32(at->key().substr(gone.size())));
    // In place: graphs and genesis records of those that stay are out there by reference.
    std::erase_if(replicas, [&](const auto& each) { return !stored.contains(each.first); });
    for (auto& [h, state] : stored) {
        auto& r = replicas[h];
        if (r)
            r->reset(std::move(state));
        else
            r = std::make_unique<replica>(changes, h, std::move(state));
    }
    stale = false;
}

void commit_store::impl::forget() {
    changes.drop();
    stale = true;
    load();
}

template <class Change>
void commit_store::impl::stage(const Change& change) {
    try {
        change();
    } catch (...) {
        forget();
        throw;
    }
}

/// Never one under which there are records of another.
crdt_handle commit_store::impl::fresh_handle() const {
    const crdt_handle last = replicas.empty() ? 0 : replicas.rbegin()->first;
    return std::max(last, removed.empty() ? 0 : *removed.rbegin()) + 1;
}

replica& commit_store::impl::at(crdt_handle h) {
    if (stale) load();
    const auto found = replicas.find(h);
    if (found == replicas.end())
        throw error(errc::not_found, "there is no CRDT with handle " + std::to_string(h));
    return *found->second;
}

replica* commit_store::impl::by_name(std::string_view name) {
    if (stale) load();
    for (const auto& [h, r] : replicas)
        if (r->state().name == name && !is_nameless(*r)) return r.get();
    return nullptr;
}

replica* commit_store::impl::by_id(const crdt_id& id) {
    if (stale) load();
    for (const auto& [h, r] : replicas)
        if (r->id() == id && !is_nameless(*r)) return r.get();
    return nullptr;
}

void commit_store::impl::require_free(const std::string& name) {
    if (name.empty()) throw error(errc::misuse, "a CRDT needs a name");
    if (by_name(name))
        throw error(errc::exists,
                    "there is a CRDT named \"" + name + "\" already; choose another name");
}

commit_store::commit_store(kv& db) : impl_(std::make_unique<impl>(db)) {}
commit_store::~commit_store() = default;

// -- Which CRDTs there are ------------------------------------------------------------------------

crdt_handle commit_store::impl::add(const signed_genesis& g,
                                    const std::string& name,
                                    const partial_cut* cut) {
    tributary::verify(g);
    require_free(name);
    if (by_id(id_of_genesis(g.record))) throw error(errc::exists, "this CRDT is here already");
    return insert(g, name, cut);
}

crdt_handle commit_store::impl::insert(const signed_genesis& g,
                                       const std::string& name,
                                       const partial_cut* cut) {
    const crdt_handle h = fresh_handle();
    state_record state;
    state.genesis = g;
    auto made = std::make_unique<replica>(changes, h, std::move(state));
    if (cut) made->begin_at(*cut);
    made->rename(name);
    replicas.emplace(h, std::move(made));
    return h;
}

crdt_handle commit_store::add(const signed_genesis& g, const std::string& name) {
    return impl_->add(g, name, nullptr);
}

crdt_handle commit_store::add_partial(const signed_genesis& g,
                                      const std::string& name,
                                      const partial_cut& cut) {
    return impl_->add(g, name, &cut);
}

crdt_handle commit_store::add_beside(crdt_handle h, const partial_cut* cut) {
    const replica& of = impl_->at(h);
    if (beside(h))
        throw error(errc::exists, "\"" + of.state().name + "\" is being deepened already");
    return impl_->insert(of.state().genesis, "", cut);
}

std::optional<crdt_handle> commit_store::beside(crdt_handle h) const {
    const crdt_id id = impl_->at(h).id();
    for (const auto& [other, r] : impl_->replicas)
        if (other != h && r->id() == id && is_nameless(*r)) return other;
    return std::nullopt;
}

void commit_store::take_place(crdt_handle made, crdt_handle h) {
    TRIBUTARY_CHECK(beside(h) == made);
    for (const auto& [key, val] : marks(made, "")) put_mark(made, key, std::nullopt);
    for (auto& [key, val] : marks(h, "")) {
        const bool of_its_log = key.starts_with("peer/") && key.ends_with("/out");
        if (!of_its_log) put_mark(made, key, std::move(val));
    }
    const crdt_state before = state(h);
    impl_->erase(h);
    impl_->at(made).rename(before.name);
    const std::vector<commit_id> heads = state(made).heads;
    const bool is_head =
        before.current && std::find(heads.begin(), heads.end(), *before.current) != heads.end();
    // Else it has children there, and the current head is among the heads already.
    if (is_head) set_current(made, *before.current);
}

std::vector<crdt_handle> commit_store::list() const {
    if (impl_->stale) impl_->load();
    std::vector<crdt_handle> handles;
    for (const auto& [h, r] : impl_->replicas)
        if (!is_nameless(*r)) handles.push_back(h);
    return handles;
}

bool commit_store::exists(crdt_handle h) const {
    if (impl_->stale) impl_->load();
    return impl_->replicas.contains(h);
}

std::optional<crdt_handle> commit_store::find_name(std::string_view name) const {
    const replica* r = impl_->by_name(name);
    return r ? std::optional(r->handle()) : std::nullopt;
}

std::optional<crdt_handle> commit_store::find_id(const crdt_id& id) const {
    const replica* r = impl_->by_id(id);
    return r ? std::optional(r->handle()) : std::nullopt;
}

void commit_store::rename(crdt_handle h, const std::string& name) {
    replica& r = impl_->at(h);
    if (r.state().name == name) return;
    impl_->require_free(name);
    r.rename(name);
}

void commit_store::remove(crdt_handle h) {
    if (const auto made = beside(h)) impl_->erase(*made);
    impl_->erase(h);
}

void commit_store::impl::erase(crdt_handle h) {
    at(h);
    changes.erase(keys::of(space::state, h));
    changes.put(keys::of(space::removed, h), {});
    replicas.erase(h);
    removed.insert(h);
}

bool commit_store::sweep(std::size_t records_max, const record_visitor& erased) {
    if (impl_->removed.empty()) return false;
    std::size_t found = 0;
    each_leftover([&](bytes_view key, bytes_view val) {
        impl_->changes.erase(bytes(key));
        return erased(key, val) && ++found < records_max;
    });
    if (found == records_max) return true;
    for (const crdt_handle h : std::exchange(impl_->removed, {}))
        impl_->changes.erase(keys::of(space::removed, h));
    return true;
}

namespace {

/// What is damaged is no hindrance to its removal.
bytes_view value_or_nothing(const kv_cursor& at) {
    try {
        return at.val();
    } catch (const error&) {
        return {};
    }
}

}  // namespace

void commit_store::each_leftover(const record_visitor& visit) const {
    const auto at = impl_->changes.db().cursor();
    for (const crdt_handle h : impl_->removed)
        for (const space s : keys::of_a_crdt) {
            const bytes prefix = keys::of(s, h);
            for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next())
                if (!visit(at->key(), value_or_nothing(*at))) return;
        }
}

crdt_state commit_store::state(crdt_handle h) const {
    const replica& r = impl_->at(h);
    const state_record& s = r.state();
    crdt_state out;
    out.handle = h;
    out.id = r.id();
    out.name = s.name;
    out.genesis = s.genesis;
    for (const replica::head& head : r.heads()) {
        out.heads.push_back(head.id);
        if (head.number == s.current) out.current = head.id;
    }
    out.end = {s.commits, s.digest};
    if (r.cut()) out.below = r.cut()->below;
    out.ops = s.ops;
    out.linear_length = s.linear_length;
    return out;
}

const genesis& commit_store::genesis_of(crdt_handle h) const { return impl_->at(h).rules(); }

// -- Writing --------------------------------------------------------------------------------------

void commit_store::impl::stage_all(replica& r,
                                   const authority_draft& authorities,
                                   std::vector<accepted_commit> commits,
                                   bool last_is_current) {
    stage([&] {
        for (const authority_ptr& a : authorities.fresh()) r.add_authority(a);
        for (accepted_commit& c : commits) r.add(std::move(c));
        if (last_is_current) r.set_current(r.state().commits);
        r.follow_current();
    });
}

/// The header of a commit made here, but for what its body decides, and its place in the graph.
std::pair<commit_header, node_info> commit_store::impl::prepare(
    replica& r,
    const public_key& author,
    const std::optional<std::vector<commit_id>>& parents,
    authority_draft& authorities) {
    commit_header header;
    node_info info;
    header.crdt = info.crdt = r.id();
    header.author = info.author = author;
    if (const auto tip = r.tip_of(author)) {
        header.seq = tip->seq + 1;
        header.prev = tip->id;
    }
    const auto add_parent = [&](node n) {
        const node_info parent = r.info(n);
        header.parents.push_back(parent.id);
        info.parents.push_back(n);
        header.gen = std::max(header.gen, parent.gen + 1);
        if (!parent.foreign) info.authority = authorities.join(info.authority, parent.authority);
    };
    if (parents) {
        for (const commit_id& id : *parents) {
            const auto n = r.find(id);
            if (!n) throw error(errc::not_found, "parent " + id.hex() + " is not here");
            add_parent(*n);
        }
    } else if (r.state().current != 0) {
        add_parent(r.state().current);
    } else if (r.cut()) {
        throw error(errc::misuse,
                    "nothing of \"" + r.state().name + "\" is here yet; sync it first");
    }
    info.number = r.state().commits + 1;
    info.seq = header.seq;
    info.gen = header.gen;
    return {std::move(header), std::move(info)};
}

namespace {

/// On a mark: the number and the id of a commit that its author must have before it writes.
bytes awaited_key(crdt_handle h, const public_key& author) {
    return keys::of(space::mark, h, "awaits/" + author.hex());
}

void require_own(const replica& r,
                 const public_key& author,
                 const std::optional<commit_store::awaited_commit>& missing) {
    if (!missing) return;
    covered("write refused while own commits are awaited");
    const std::uint64_t last = r.tip_of(author).value_or(replica::author_tip()).seq;
    const std::string& name = r.state().name;
    throw error(
        errc::conflict,
        fmt::format("\"{}\" has commits of this identity up to number {} here, and a peer "
                    "has shown number {}: this store was restored from a backup, or another "
                    "one writes with the same identity. Nothing is written before they are "
                    "here: trib sync {}",
                    name,
                    last,
                    missing->seq,
                    name));
}

}  // namespace

void commit_store::await(crdt_handle h,
                         bytes_view header,
                         const signature& sig,
                         const public_key& shown_by) {
    const replica& r = impl_->at(h);
    const commit_header c = decode_header(header);
    const commit_id id = id_of_header(header);
    if (c.crdt != r.id() || !tributary::verify(c.author, id, sig))
        throw error(errc::bad_input, "what is said to be a commit of this CRDT is none");
    const auto tip = r.tip_of(c.author);
    if (r.find(id) || r.is_below(id) || (tip && tip->id == id)) return;
    if (const auto known = awaited(h, c.author); known && known->seq >= c.seq) return;
    bytes record;
    put_be64(record, c.seq);
    record += id.view();
    record += shown_by.view();
    impl_->changes.put(awaited_key(h, c.author), std::move(record));
    covered("own commits awaited");
}

std::optional<commit_store::awaited_commit> commit_store::awaited(crdt_handle h,
                                                                  const public_key& author) const {
    const auto record = impl_->changes.get(awaited_key(h, author));
    if (!record) return std::nullopt;
    const bytes_view all = *record;
    const awaited_commit c{get_be64(all.substr(0, 8)),
                           commit_id::from_bytes(all.substr(8, 32)),
                           public_key::from_bytes(all.substr(40))};
    return impl_->at(h).find(c.id) ? std::nullopt : std::optional(c);
}

void commit_store::stop_awaiting(crdt_handle h, const public_key& author, const public_key& peer) {
    const auto missing = awaited(h, author);
    if (!missing || missing->shown_by != peer) return;
    impl_->changes.erase(awaited_key(h, author));
}

commit_id commit_store::append(crdt_handle h,
                               const identity& author,
                               std::span<const bytes> ops,
                               std::int64_t time_ms,
                               std::optional<std::vector<commit_id>> parents,
                               value ext) {
    replica& r = impl_->at(h);
    require_own(r, author.key(), awaited(h, author.key()));
    authority_draft authorities(r);
    auto [header, info] = impl_->prepare(r, author.key(), parents, authorities);
    header.time_ms = time_ms;
    header.ext = std::move(ext);
    info.authority = authorities.after(info.authority, header);
    if (!r.everyone()->may_write(header.author, header.seq))
        refuse_writer(r, *r.everyone(), header.author);
    commit made = make_commit(header, ops, author);
    const commit_id id = info.id = id_of_header(made.header);
    std::vector<accepted_commit> one;
    one.push_back({std::move(info),
                   std::move(made.header),
                   made.sig,
                   std::move(made.body),
                   static_cast<std::uint32_t>(ops.size()),
                   blobs_of_ext(header.ext),
                   grants_or_revokes(header),
                   {},
                   header.prev && !r.find(*header.prev) ? header.prev : std::nullopt});
    impl_->stage_all(r, authorities, std::move(one), true);
    return id;
}

template <class Take>
ingest_report commit_store::impl::ingest(crdt_handle h,
                                         std::span<const commit> chunk,
                                         chunk_from from,
                                         std::span<const commit_id> below,
                                         const Take& take) {
    replica& r = at(h);
    chunk_check checked(r, below);
    checked.check(chunk, from);
    std::vector<accepted_commit> commits;
    commits.reserve(checked.accepted().size());
    for (chunk_check::planned& p : checked.accepted()) {
        std::tie(p.commit.header, p.commit.body) = take(p.source);
        commits.push_back(std::move(p.commit));
    }
    const ingest_report report{commits.size(), checked.known()};
    stage_all(r, checked.authorities(), std::move(commits), false);
    return report;
}

ingest_report commit_store::ingest(crdt_handle h,
                                   std::span<const commit> chunk,
                                   chunk_from from,
                                   std::span<const commit_id> below) {
    return impl_->ingest(h, chunk, from, below, [&](std::size_t i) {
        return std::pair(chunk[i].header, chunk[i].body);
    });
}

ingest_report commit_store::ingest(crdt_handle h,
                                   std::vector<commit>&& chunk,
                                   chunk_from from,
                                   std::span<const commit_id> below) {
    return impl_->ingest(h, chunk, from, below, [&](std::size_t i) {
        return std::pair(std::move(chunk[i].header), std::move(chunk[i].body));
    });
}

void commit_store::set_current(crdt_handle h, const commit_id& head) {
    replica& r = impl_->at(h);
    const auto n = r.find(head);
    if (!n) throw error(errc::not_found, "commit " + head.hex() + " is not here");
    const auto& heads = r.heads();
    if (std::none_of(
            heads.begin(), heads.end(), [&](const auto& known) { return known.number == *n; }))
        throw error(errc::misuse, "commit " + head.brief() + " is no head");
    impl_->stage([&] {
        r.set_current(*n);
        r.follow_current();
    });
}

void commit_store::put_mark(crdt_handle h, const std::string& key, std::optional<bytes> val) {
    bytes at = keys::of(space::mark, impl_->at(h).handle(), key);
    if (val)
        impl_->changes.put(std::move(at), *std::move(val));
    else
        impl_->changes.erase(std::move(at));
}

std::optional<bytes> commit_store::mark(crdt_handle h, std::string_view key) const {
    return impl_->changes.get(keys::of(space::mark, impl_->at(h).handle(), key));
}

std::vector<std::pair<std::string, bytes>> commit_store::marks(crdt_handle h,
                                                               std::string_view prefix) const {
    const std::size_t before = keys::of(space::mark, impl_->at(h).handle()).size();
    std::vector<std::pair<std::string, bytes>> found;
    impl_->changes.each(keys::of(space::mark, h, prefix), [&](bytes_view key, bytes_view val) {
        found.emplace_back(std::string(key.substr(before)), bytes(val));
    });
    return found;
}

blob_index& commit_store::blobs(crdt_handle h) { return impl_->at(h).blobs(); }

void commit_store::flush() {
    if (!dirty()) return;
    try {
        for (const auto& [h, r] : impl_->replicas) r->save();
        if (!impl_->has_format) {
            bytes number;
            packed::put_uint(number, format);
            impl_->changes.put(format_key(), std::move(number));
        }
        impl_->changes.write();
    } catch (...) {
        impl_->forget();
        throw;
    }
    impl_->has_format = true;
    for (const auto& [h, r] : impl_->replicas) r->saved();
}

bool commit_store::dirty() const {
    return !impl_->changes.empty() ||
           std::any_of(impl_->replicas.begin(), impl_->replicas.end(), [](const auto& each) {
               return each.second->dirty();
           });
}

// -- Reading --------------------------------------------------------------------------------------

std::optional<node> commit_store::find(crdt_handle h, const commit_id& id) const {
    return impl_->at(h).find(id);
}

arrival_entry commit_store::entry(crdt_handle h, node n) const {
    const bytes record = impl_->at(h).entry_bytes(n);
    return to_arrival(parse_entry(n, record));
}

std::optional<arrival_entry> commit_store::newest_of(crdt_handle h,
                                                     const public_key& author) const {
    const auto tip = impl_->at(h).tip_of(author);
    if (!tip || tip->number == 0) return std::nullopt;  // none, or below the cut
    return entry(h, tip->number);
}

bytes commit_store::body(crdt_handle h, node n) const { return impl_->at(h).body(n); }

void commit_store::scan(
    crdt_handle h,
    node first,
    const std::function<bool(const arrival_entry&, bytes_view body)>& visit) const {
    const replica& r = impl_->at(h);
    node n = std::max<node>(first, 1);
    const node durable = std::min(r.durable_commits(), r.state().commits);
    if (n <= durable) {
        const auto entries = impl_->changes.db().cursor(), bodies = impl_->changes.db().cursor();
        entries->seek(keys::of(space::entry, h, n));
        bodies->seek(keys::of(space::body, h, n));
        for (; n <= durable; ++n, entries->next(), bodies->next()) {
            const bytes key = keys::of(space::entry, h, n);
            if (!entries->valid() || entries->key() != key || !bodies->valid() ||
                bodies->key() != keys::of(space::body, h, n))
                throw error(errc::bad_input,
                            "commit number " + std::to_string(n) +
                                " is missing: the store is damaged; run trib verify");
            const auto* changed = impl_->changes.staged(key);
            const bytes_view record = changed ? *changed->val : entries->val();
            if (!visit(to_arrival(parse_entry(n, record)), bodies->val())) return;
        }
    }
    for (; n <= r.state().commits; ++n)
        if (!visit(entry(h, n), r.body(n))) return;
}

bool commit_store::is_valid(crdt_handle h, const arrival_cursor& c) const {
    if (c.seq == 0) return c == arrival_cursor{};
    return c.seq <= impl_->at(h).state().commits && entry(h, c.seq).digest == c.digest;
}

std::optional<partial_cut> commit_store::cut_of(crdt_handle h) const {
    const partial_cut* cut = impl_->at(h).cut();
    return cut ? std::optional(*cut) : std::nullopt;
}

bool commit_store::is_proven(crdt_handle h, const commit_id& id) const {
    return impl_->at(h).is_proven(id);
}

bool commit_store::is_below(crdt_handle h, const commit_id& id) const {
    return impl_->at(h).is_below(id);
}

std::vector<commit_id> commit_store::floor(crdt_handle h) const { return impl_->at(h).floor(); }

std::vector<node> commit_store::above_cut(crdt_handle h, node end) const {
    return tributary::above_cut(impl_->at(h), end);
}

partial_cut commit_store::cut_at(crdt_handle h, node end, const public_key& who) const {
    return make_cut(impl_->at(h), end, who);
}

node commit_store::first_since(crdt_handle h, std::int64_t time_ms) const {
    node first = 1, last = impl_->at(h).state().commits + 1;
    while (first < last) {
        const node middle = first + (last - first) / 2;
        if (decode_header(entry(h, middle).header).time_ms < time_ms)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

std::vector<sketch::cell> commit_store::cells(crdt_handle h,
                                              node end,
                                              std::uint64_t first,
                                              std::size_t count) const {
    return impl_->at(h).cells(end, first, count);
}

std::vector<node> commit_store::find_short(crdt_handle h, std::vector<sketch::short_id> ids) const {
    return impl_->at(h).find_short(std::move(ids));
}

const commit_graph& commit_store::graph(crdt_handle h) const { return impl_->at(h); }

std::vector<node> commit_store::head_nodes(crdt_handle h) const {
    std::vector<node> nodes;
    for (const replica::head& head : impl_->at(h).heads()) nodes.push_back(head.number);
    return nodes;
}

std::vector<node> commit_store::tip_nodes(crdt_handle h) const { return impl_->at(h).tips(); }

std::vector<commit_id> commit_store::tip_ids(crdt_handle h) const {
    const replica& r = impl_->at(h);
    std::vector<commit_id> ids;
    for (const node n : r.tips()) ids.push_back(r.info(n).id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

authority_ptr commit_store::authority_at(crdt_handle h, node n) const {
    const replica& r = impl_->at(h);
    return r.authority_of(r.info(n).authority);
}

authority_ptr commit_store::authority_of(crdt_handle h) const { return impl_->at(h).everyone(); }

std::uint64_t commit_store::last_seq(crdt_handle h, const public_key& author) const {
    const auto tip = impl_->at(h).tip_of(author);
    return tip ? tip->seq : 0;
}

std::optional<std::string> commit_store::author_name(crdt_handle h, const public_key& key) const {
    const authority_ptr everyone = impl_->at(h).everyone();
    const auto found = everyone->members().find(key);
    if (found == everyone->members().end() || found->second.name.empty()) return std::nullopt;
    return found->second.name;
}

std::vector<std::pair<commit_id, commit_id>> commit_store::equivocations(crdt_handle h) const {
    const replica& r = impl_->at(h);
    const bytes prefix = keys::of(space::equivocation, h);
    std::vector<std::pair<commit_id, commit_id>> found;
    impl_->changes.each(prefix, [&](bytes_view key, bytes_view val) {
        const node later = get_be64(key.substr(prefix.size()));
        const node earlier = packed::reader(val, "an equivocation record").uint();
        found.emplace_back(r.info(earlier).id, r.info(later).id);
    });
    return found;
}

linear_entry commit_store::linear_at(crdt_handle h, std::uint64_t position) const {
    return impl_->at(h).linear().at(position);
}

std::optional<std::uint64_t> commit_store::linear_position(crdt_handle h, node n) const {
    const auto entry = impl_->at(h).linear().find(n);
    return entry ? std::optional(entry->position) : std::nullopt;
}

std::uint64_t commit_store::verify(
    crdt_handle h,
    const std::function<void(const std::string&)>& problem,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress) const {
    return verify_replica(*this, impl_->at(h), problem, progress);
}

}  // namespace tributary
