#include "tributary/peer/session_blobs.hpp"

#include "tributary/peer/session.hpp"
#include "tributary/value/covered.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

/// Connections that may have asks under way: each holds up to a chunk in memory.
constexpr std::size_t askers_max = 8;
/// Blobs that one connection fetches at a time, so that many small ones do not cost a round trip
/// each.
constexpr std::size_t fetches_max = 32;
constexpr std::size_t asks_out_max = 48;
static_assert(asks_out_max <= wire::blob_asks_max);
/// Blobs remembered for when another connection fails to fetch them, and to tell or hear news of.
constexpr std::size_t passed_max = 256, remembered_max = 4096;
constexpr mono_ms trouble_ms = 30000;
const std::string status_mark = "status/blobs";

}  // namespace

blob_exchange::~blob_exchange() {
    if (!asked_.empty()) --hub_.blobs.askers;
    for (const auto& [id, f] : fetching_) hub_.blobs.claims.erase(id);
}

void blob_exchange::open(std::uint64_t sub, crdt_handle h, const std::vector<blob_id>& wishes) {
    interest in{.sub = sub, .handle = h, .eager = false, .wishes = {}, .passed = {}, .last = {}};
    if (hub_.blobs.store) {
        in.eager = !hub_.store.mark(h, lazy_blobs_mark);
        in.wishes.assign(wishes.begin(), wishes.end());
    }
    interests_.emplace(sub, std::move(in));
}

void blob_exchange::has_commits(std::uint64_t sub) { interest_of(sub).has_commits = true; }

void blob_exchange::close(std::uint64_t sub) {
    closed_.insert(sub);
    if (interests_.erase(sub) == 0) return;
    drop_asks(sub);
    std::erase_if(fetching_, [&](const auto& each) {
        if (each.second.sub != sub) return false;
        hub_.blobs.claims.erase(each.first);
        return true;
    });
    std::erase_if(answers_, [&](const answer& a) { return a.ask.sub == sub; });
    std::erase_if(not_here_, [&](const auto& each) { return each.second == sub; });
}

blob_exchange::interest& blob_exchange::interest_of(std::uint64_t sub) {
    const auto found = interests_.find(sub);
    if (found == interests_.end())
        throw error(errc::bad_input, fmt::format("a blob of no subscription ({})", sub));
    return found->second;
}

// -- What to fetch --------------------------------------------------------------------------------

/// Notes it if it is.
bool blob_exchange::is_here(const interest& in, const blob_id& id) {
    if (!hub_.blobs.store->is_whole(id)) return false;
    hub_.store.blobs(in.handle).note(id, true);
    return true;
}

std::optional<named_blob> blob_exchange::next_to_fetch(interest& in) {
    const auto is_claimed = [this](const blob_id& id) { return hub_.blobs.claims.contains(id); };
    const blob_index& index = hub_.store.blobs(in.handle);
    for (auto at = in.wishes.begin(); at != in.wishes.end();) {
        const blob_id id = *at;
        const auto named = index.find(id);
        if (!named && !in.has_commits) {
            ++at;
            continue;
        }
        at = in.wishes.erase(at);
        if (!named) {
            ++missing_;
        } else if (!is_here(in, id)) {
            if (!is_claimed(id)) return named;
            in.passed.push_back(*named);
        }
    }
    std::erase_if(in.passed, [&](const named_blob& b) { return is_here(in, b.blob.id); });
    for (auto at = in.passed.begin(); at != in.passed.end(); ++at) {
        if (is_claimed(at->blob.id)) continue;
        covered("blob fetched over another connection");
        const named_blob free = *at;
        in.passed.erase(at);
        return free;
    }
    if (std::exchange(in.losses, index.losses()) != index.losses()) in.last = {};
    const std::uint64_t version = index.version();
    if (!in.eager || in.seen == version) return std::nullopt;
    while (in.passed.size() < passed_max) {
        const auto b = index.next_lacking(in.last);
        if (!b) {
            in.seen = version;
            return std::nullopt;
        }
        in.last = *b;
        if (is_here(in, b->blob.id)) continue;
        if (!is_claimed(b->blob.id)) return b;
        in.passed.push_back(*b);
    }
    return std::nullopt;
}

bool blob_exchange::is_wanting(const interest& in) const {
    if (!hub_.blobs.store || is_deaf_ || !hub_.blobs.trouble.empty()) return false;
    if (!in.wishes.empty() || !in.passed.empty()) return true;
    if (in.eager && in.seen != hub_.store.blobs(in.handle).version()) return true;
    return std::any_of(fetching_.begin(), fetching_.end(), [&](const auto& each) {
        return each.second.sub == in.sub;
    });
}

bool blob_exchange::settled(std::uint64_t sub) const {
    const auto found = interests_.find(sub);
    return found == interests_.end() || (!is_wanting(found->second) && !found->second.they_lack);
}

void blob_exchange::count(connection_counters& to) const {
    to.blobs_in = counted_.blobs_in;
    to.blob_bytes_in = counted_.blob_bytes_in;
    to.blob_bytes_in_expected = counted_.blob_bytes_in_expected;
    to.blob_bytes_out = counted_.blob_bytes_out;
    to.blobs_missing = missing_;
}

// -- Asking ---------------------------------------------------------------------------------------

void blob_exchange::ask(mono_ms now) {
    now_ = now;
    if (!hub_.blobs.store) return;
    tell_news();
    blob_desk& desk = hub_.blobs;
    if (!desk.trouble.empty() && now >= desk.trouble_until) {
        desk.trouble.clear();
        ++desk.retries;
    }
    if (std::exchange(retries_, desk.retries) != desk.retries) look_again();
    if (desk.trouble.empty() && !is_deaf_ && (!asked_.empty() || desk.askers < askers_max)) {
        for (auto& [id, f] : fetching_) ask_for(f);
        for (auto& [sub, in] : interests_) {
            while (fetching_.size() < fetches_max && asked_.size() < asks_out_max &&
                   asked_bytes_ < hub_.options.blob_window_bytes) {
                const auto b = next_to_fetch(in);
                if (!b) break;
                begin(in, *b);
            }
        }
    }
    for (auto& [sub, in] : interests_) tell_lack(in);
}

void blob_exchange::begin(const interest& in, const named_blob& b) {
    blob_desk& desk = hub_.blobs;
    fetch f{b.blob, in.sub, in.handle, desk.store->manifest(b.blob.id)};
    if (f.made && f.made->size() != b.blob.size) {
        ++missing_;  // the commit is wrong about it, and nobody can help that
        return;
    }
    desk.claims.emplace(b.blob.id, id_);
    std::uint64_t here = 0;
    if (f.made)
        here = std::min(desk.store->chunks_here(b.blob.id) * f.made->chunk_bytes(), b.blob.size);
    if (here > 0) covered("blob taken up");
    counted_.blob_bytes_in_expected += b.blob.size - here;
    missing_ -= not_there_.erase(b.blob.id);
    ask_for(fetching_.emplace(b.blob.id, std::move(f)).first->second);
}

void blob_exchange::ask_for(fetch& f) {
    while (asked_.size() < asks_out_max && asked_bytes_ < hub_.options.blob_window_bytes)
        if (!ask_more(f)) return;
}

/// Asks for the next few chunks; false if there are none, or it is not known which there are.
bool blob_exchange::ask_more(fetch& f) {
    const std::uint64_t bytes_max = std::max<std::uint64_t>(hub_.options.blob_window_bytes / 4, 1);
    wire::blob_ask m{.sub = f.sub, .id = f.blob.id};
    if (!f.made) {
        if (f.asks > 0) return false;
        // Small ones come in one round trip.
        const std::uint64_t bytes = std::min(f.blob.size, bytes_max);
        const std::uint64_t chunk =
            blob_manifest::chunk_bytes_for(std::min(f.blob.size, blob_manifest::size_max));
        m.manifest = true;
        m.count = (bytes + chunk - 1) / chunk;
        f.next = m.count;
        push_ask(f, m, bytes);
        return true;
    }
    blob_store& store = *hub_.blobs.store;
    m.first = store.next_missing(f.blob.id, f.next);
    const std::uint64_t most = std::min(f.made->count() - m.first, wire::blob_chunks_max);
    while (m.count < most && (m.count == 0 || m.count * f.made->chunk_bytes() < bytes_max) &&
           store.next_missing(f.blob.id, m.first + m.count) == m.first + m.count)
        ++m.count;
    f.next = m.first + m.count;
    if (m.count == 0) return false;
    push_ask(f, m, m.count * f.made->chunk_bytes());
    return true;
}

void blob_exchange::push_ask(fetch& f, wire::blob_ask what, std::uint64_t bytes) {
    if (asked_.empty()) {
        ++hub_.blobs.askers;
        answered_at_ = now_;
    }
    ++f.asks;
    asked_bytes_ += bytes;
    send_(encode(what), 0);
    asked_.push_back({what, bytes, what.first});
}

/// The peer, which forgets the subscription as well, is not going to answer them.
void blob_exchange::drop_asks(std::uint64_t sub) {
    if (asked_.empty()) return;
    if (asked_.front().what.sub == sub) {
        buffer_.clear();
        piece_.reset();
    }
    std::erase_if(asked_, [&](const asked& a) {
        if (a.what.sub != sub) return false;
        asked_bytes_ -= a.bytes;
        return true;
    });
    if (asked_.empty()) no_more_asks();
}

void blob_exchange::no_more_asks() {
    --hub_.blobs.askers;
    if (std::exchange(is_deaf_, false)) look_again();
}

/// What could not be had is met again.
void blob_exchange::look_again() {
    for (auto& [sub, in] : interests_) {
        in.last = {};
        in.seen.reset();
    }
}

void blob_exchange::tell_lack(interest& in) {
    const bool more = is_wanting(in);
    if (more == in.told_lack) return;
    in.told_lack = more;
    send_(encode(wire::blob_lack{in.sub, more, missing_}), 0);
}

void blob_exchange::tick(mono_ms now) {
    now_ = now;
    if (asked_.empty() || now - answered_at_ <= 2 * hub_.options.idle_ms) return;
    covered("blob not answered in time");
    is_deaf_ = true;
    give_up_all();
}

// -- Receiving ------------------------------------------------------------------------------------

std::size_t blob_exchange::on_part(bytes_view frame, mono_ms now) {
    const wire::blob_part m = wire::read_blob_part(frame);
    if (closed_.contains(m.sub)) return m.data.size();
    answered_at_ = now_ = now;
    if (asked_.empty() || asked_.front().what.id != m.id || asked_.front().what.sub != m.sub)
        throw error(errc::bad_input, "a part of a blob that nobody asked for");
    asked& a = asked_.front();
    const auto found = fetching_.find(m.id);
    if (a.ignored || found == fetching_.end()) return m.data.size();
    fetch& f = found->second;

    const bool continued = piece_ && piece_->chunk == m.chunk;
    const bool expected = m.chunk ? f.made && *m.chunk >= a.next &&
                                        *m.chunk < a.what.first + a.what.count &&
                                        *m.chunk < f.made->count()
                                  : a.what.manifest;
    const std::uint64_t size = buffer_.size() + m.data.size() + m.left;
    const bool fits =
        m.chunk && expected ? size == f.made->size_of(*m.chunk) : size <= blob_manifest::bytes_max;
    if (!expected || !fits || (piece_ && !continued) ||
        (continued && piece_->left != m.data.size() + m.left))
        throw error(errc::bad_input, "a part of a blob that was not asked for");
    buffer_ += m.data;
    if (m.left > 0) {
        piece_ = m;
        piece_->data = {};
        return m.data.size();
    }
    piece_.reset();
    const bytes whole = std::exchange(buffer_, {});
    if (m.chunk) {
        a.next = *m.chunk + 1;
        take_chunk(f, *m.chunk, whole);
    } else {
        a.what.manifest = false;
        take_manifest(f, whole);
    }
    return m.data.size();
}

void blob_exchange::take_manifest(fetch& f, bytes_view data) {
    const blob_id id = f.blob.id;
    auto made = std::make_shared<const blob_manifest>(blob_manifest::decode(data));
    if (made->id() != id)
        throw error(errc::bad_input, "the manifest of blob " + id.brief() + " has not its hash");
    if (made->size() != f.blob.size) return give_up(id);
    f.made = std::move(made);
    try {
        hub_.blobs.store->begin(*f.made);
    } catch (const error& e) {
        return failed_to_store(f, e);
    }
    if (f.made->count() == 0) arrived(id);
}

void blob_exchange::take_chunk(fetch& f, std::uint64_t chunk, bytes_view data) {
    if (!f.made->is_chunk(chunk, data))
        throw error(errc::bad_input,
                    fmt::format("chunk {} of blob {} is not what its manifest says: the peer's "
                                "disk is damaged, or it lies",
                                chunk,
                                f.blob.id.brief()));
    counted_.blob_bytes_in += data.size();
    bool whole = false;
    try {
        whole = hub_.blobs.store->put(f.blob.id, chunk, data);
    } catch (const error& e) {
        return failed_to_store(f, e);
    }
    stored();
    if (whole) arrived(f.blob.id);
}

void blob_exchange::arrived(const blob_id& id) {
    const auto found = fetching_.find(id);
    hub_.store.blobs(found->second.handle).note(id, true);
    hub_.blobs.arrived.push_back(id);
    ++counted_.blobs_in;
    hub_.blobs.claims.erase(id);
    fetching_.erase(found);
}

/// The peer has it not, or not all of it.
void blob_exchange::give_up(const blob_id& id) {
    for (asked& a : asked_) a.ignored = a.ignored || a.what.id == id;
    hub_.blobs.claims.erase(id);
    fetching_.erase(id);
    if (not_there_.size() < remembered_max) not_there_.insert(id);
    ++missing_;
}

void blob_exchange::give_up_all() {
    while (!fetching_.empty()) give_up(blob_id(fetching_.begin()->first));
    buffer_.clear();
    piece_.reset();
}

/// Commits go on; blobs are tried again later.
void blob_exchange::failed_to_store(const fetch& f, const error& why) {
    covered("blob could not be stored");
    const crdt_handle h = f.handle;
    hub_.blobs.trouble = why.what();
    hub_.blobs.trouble_until = now_ + trouble_ms;
    hub_.blobs.troubled.insert(h);
    hub_.store.put_mark(h, status_mark, std::string(why.what()));
    give_up_all();
}

void blob_exchange::stored() {
    for (const crdt_handle h : std::exchange(hub_.blobs.troubled, {}))
        hub_.store.put_mark(h, status_mark, std::nullopt);
}

void blob_exchange::on_have(bytes_view frame, mono_ms now) {
    const wire::blob_have m = wire::read_blob_have(frame);
    if (closed_.contains(m.sub)) return;
    now_ = now;
    interest& in = interest_of(m.sub);
    if (!m.answer) {
        if (not_there_.erase(m.id) == 0) return;
        covered("blob came to the peer later");
        --missing_;
        in.wishes.push_back(m.id);
        return;
    }
    answered_at_ = now;
    if (asked_.empty() || asked_.front().what.id != m.id || asked_.front().what.sub != m.sub ||
        piece_)
        throw error(errc::bad_input, "an answer that nobody waits for");
    const asked a = asked_.front();
    asked_bytes_ -= a.bytes;
    asked_.pop_front();
    if (asked_.empty()) no_more_asks();
    const auto found = fetching_.find(m.id);
    if (a.ignored || found == fetching_.end()) return;
    fetch& f = found->second;
    --f.asks;
    if (!f.made) {
        covered("blob not at the peer");
        return give_up(m.id);
    }
    const std::uint64_t end = std::min(a.what.first + a.what.count, f.made->count());
    if (hub_.blobs.store->next_missing(m.id, a.what.first) < end) {
        covered("blob in part at the peer");
        return give_up(m.id);
    }
    // A chunk that was damaged meanwhile would be waited for in vain.
    if (f.asks == 0 && hub_.blobs.store->next_missing(m.id, f.next) == f.made->count() &&
        hub_.blobs.store->next_missing(m.id, 0) < f.made->count())
        f.next = 0;
}

void blob_exchange::on_lack(bytes_view frame) {
    const wire::blob_lack m = wire::read_blob_lack(frame);
    if (!closed_.contains(m.sub)) interest_of(m.sub).they_lack = m.more;
}

// -- Answering ------------------------------------------------------------------------------------

void blob_exchange::on_ask(bytes_view frame) {
    const wire::blob_ask m = wire::read_blob_ask(frame);
    if (closed_.contains(m.sub)) return;
    interest_of(m.sub);
    if (answers_.size() >= wire::blob_asks_max)
        throw error(errc::limit, "limit/blob-asks", "more asks for blobs than may wait");
    answers_.push_back({.ask = m, .made = nullptr});
}

void blob_exchange::begin(answer& a) {
    a.begun = true;
    // Only what a commit of the CRDT names: who may read one may not guess at the blobs of others.
    if (hub_.blobs.store && hub_.store.blobs(interest_of(a.ask.sub).handle).find(a.ask.id))
        a.made = hub_.blobs.store->manifest(a.ask.id);
    if (!a.made) return;
    a.chunk = std::min(a.ask.first, a.made->count());
    a.end = std::min(a.chunk + a.ask.count, a.made->count());
}

void blob_exchange::serve(const std::function<bool()>& has_room) {
    while (!answers_.empty() && has_room()) {
        answer& a = answers_.front();
        if (!a.begun) begin(a);
        if (a.made && (a.ask.manifest || a.chunk < a.end)) {
            step(a);
        } else {
            end_answer(a);
            answers_.pop_front();
        }
    }
}

void blob_exchange::step(answer& a) {
    wire::blob_part part{.sub = a.ask.sub, .id = a.ask.id};
    if (a.ask.manifest) {
        const bytes all = a.made->encode();
        part.data = bytes_view(all).substr(a.offset, wire::blob_piece_bytes);
        a.offset += part.data.size();
        part.left = all.size() - a.offset;
        send_(encode(part), part.data.size());
        if (part.left > 0) return;
        a.ask.manifest = false;
        a.offset = 0;
        return;
    }
    blob_store& store = *hub_.blobs.store;
    const bool was_whole = store.is_whole(a.ask.id);
    const auto data = store.read(a.ask.id, a.chunk, a.offset, wire::blob_piece_bytes);
    if (!data) {
        if (a.offset > 0)
            throw error(errc::io, "blob " + a.ask.id.brief() + " was damaged while it was sent");
        if (was_whole) covered("blob damaged");
        a.complete = false;
        ++a.chunk;
        return;
    }
    part.chunk = a.chunk;
    part.data = *data;
    a.offset += data->size();
    part.left = a.made->size_of(a.chunk) - a.offset;
    counted_.blob_bytes_out += data->size();
    send_(encode(part), data->size());
    if (part.left > 0) return;
    ++a.chunk;
    a.offset = 0;
}

void blob_exchange::end_answer(const answer& a) {
    const std::uint64_t here = a.made ? hub_.blobs.store->chunks_here(a.ask.id) : 0;
    send_(encode(wire::blob_have{a.ask.sub, a.ask.id, here, true}), 0);
    if (a.made && a.complete) return;
    if (a.made && hub_.blobs.store->is_whole(a.ask.id)) {
        // It came in the midst of the answer.
        send_(encode(wire::blob_have{a.ask.sub, a.ask.id, here, false}), 0);
        return;
    }
    // If it was whole, bits have flipped, and it is to be fetched again.
    hub_.blobs.lost.emplace(interest_of(a.ask.sub).handle, a.ask.id);
    if (not_here_.size() < remembered_max) not_here_.emplace(a.ask.id, a.ask.sub);
}

/// Who asked in vain for what has come since may ask again.
void blob_exchange::tell_news() {
    for (const blob_id& id : hub_.blobs.arrived) {
        const auto found = not_here_.find(id);
        if (found == not_here_.end()) continue;
        tell_here(id, found->second);
        not_here_.erase(found);
    }
    // One that was here all the time may not have been named by any commit.
    for (auto& [sub, in] : interests_) {
        const blob_index& index = hub_.store.blobs(in.handle);
        if (std::exchange(in.told, index.version()) == index.version()) continue;
        std::erase_if(not_here_, [&, sub = sub](const auto& each) {
            const blob_id& id = each.first;
            if (each.second != sub || !hub_.blobs.store->is_whole(id) || !index.find(id))
                return false;
            tell_here(id, sub);
            return true;
        });
    }
}

void blob_exchange::tell_here(const blob_id& id, std::uint64_t sub) {
    send_(encode(wire::blob_have{sub, id, hub_.blobs.store->chunks_here(id), false}), 0);
}

}  // namespace tributary
