#include "tributary/peer/hub.hpp"

#include "tributary/peer/session.hpp"
#include "tributary/value/covered.hpp"

#include <algorithm>
#include <deque>
#include <map>

namespace tributary {

namespace {

constexpr std::size_t departed_max = 256;

error out_of_memory() {
    return error(errc::unavailable, "this peer has no memory left for it; try again later");
}

}  // namespace

struct hub::impl {
    hub_shared shared;
    std::map<connection_id, session> sessions;
    struct cost {
        connection_counters all;
        std::vector<connection_counters> shares;
    };
    /// Of connections whose end has not been handed out long.
    std::map<connection_id, cost> last_counters;
    std::map<connection_id, cost> closed;  ///< in this turn
    cost cost_of(connection_id c) const;
    struct departed_link {
        hub_link link;
        mono_ms at = 0;
        node end = 0;  ///< of the log here, then
    };
    std::deque<departed_link> departed;  ///< the oldest first
    mono_ms ticked = 0;

    void open(connection_id c,
              wire::role role,
              std::vector<want> wants,
              bool list,
              bytes exported,
              std::optional<identity> as,
              mono_ms now) {
        if (sessions.contains(c)) throw error(errc::misuse, "a connection with this id is open");
        sessions.try_emplace(
            c, shared, c, role, std::move(wants), list, std::move(exported), std::move(as), now);
    }

    /// Ends a connection; `tell`: the peer is there to hear why.
    void close(
        connection_id c, errc code, const std::string& reason, bool tell, bool is_offence = false) {
        const auto found = sessions.find(c);
        if (found == sessions.end()) return;
        session& s = found->second;
        if (tell) {
            s.send(encode(wire::bye{code, reason.substr(0, wire::text_bytes_max / 2)}));
            shared.effects.closes.push_back(c);
        }
        hub_event e{.what = hub_event::kind::closed, .connection = c, .peer_key = s.peer_key()};
        e.code = code;
        e.reason = reason;
        e.accepted = s.accepted();
        e.proven = s.authenticated();
        e.is_offence = is_offence;
        shared.effects.events.push_back(std::move(e));
        closed[c] = {s.counters(), s.shares()};
        try {
            remember(s, code, reason);
        } catch (const error&) {
            // A store that cannot be read tells nothing.
        }
        sessions.erase(found);
    }

    /// Who dials has this in its records; of who was dialed nobody else knows.
    void remember(const session& s, errc code, const std::string& reason) {
        if (s.role() == wire::role::dialer) return;
        std::vector<hub_link> links;
        s.add_links(links, ticked);
        for (hub_link& l : links) {
            std::erase_if(departed, [&](const departed_link& d) {
                return d.link.peer_key == l.peer_key && d.link.handle == l.handle;
            });
            l.state = state_after(code);
            l.reason = reason;
            const node end = shared.store.state(l.handle).end.seq;
            departed.push_back({std::move(l), ticked, end});
        }
        while (departed.size() > departed_max) departed.pop_front();
    }

    std::vector<hub_link> links(mono_ms now) const {
        std::vector<hub_link> out;
        for (const auto& [c, s] : sessions) s.add_links(out, now);
        const std::size_t connected = out.size();
        for (const departed_link& d : departed) {
            const auto same = [&](const hub_link& l) {
                return l.peer_key == d.link.peer_key && l.handle == d.link.handle;
            };
            const auto back = out.begin() + static_cast<std::ptrdiff_t>(connected);
            if (!shared.store.exists(d.link.handle) || std::any_of(out.begin(), back, same))
                continue;
            hub_link l = d.link;
            l.for_ms = now - d.at;
            if (l.lag.they_lack) *l.lag.they_lack += shared.store.state(l.handle).end.seq - d.end;
            out.push_back(std::move(l));
        }
        return out;
    }

    /// Runs what concerns one connection; an error closes it and no other.
    template <class F>
    void guarded(connection_id c, const F& f) {
        const auto found = sessions.find(c);
        if (found == sessions.end()) return;
        try {
            f(found->second);
        } catch (const error& e) {
            shared.met(e);
            keep_cursors(found->second);
            close(c, e.code(), e.what(), true, is_offence(found->second, e.code()));
        } catch (const std::bad_alloc&) {
            keep_cursors(found->second);
            close(c, errc::unavailable, out_of_memory().what(), true, false);
        }
    }

    /// Whether an end for `code` is for what no peer may send.
    static bool is_offence(const session& s, errc code) {
        return code == errc::bad_input || code == errc::limit ||
               (code == errc::unauthorized && !s.authenticated());
    }

    /// Without them the next connection costs more, and nothing is wrong.
    static void keep_cursors(session& s) {
        try {
            s.leave();
        } catch (const error&) {
        }
    }

    template <class F>
    void each(const F& f) {
        std::vector<connection_id> ids;
        for (const auto& [c, s] : sessions) ids.push_back(c);
        for (const connection_id c : ids) guarded(c, f);
    }

    void heard_bye(connection_id c, bytes_view frame) {
        const wire::bye m = wire::read_bye(frame);
        keep_cursors(sessions.at(c));
        shared.effects.closes.push_back(c);
        close(c, m.code, "the peer closed the connection: " + m.reason, false);
    }

    /// What comes slowly is durable now and then, too.
    void sync_blobs() {
        if (!shared.blobs.store) return;
        try {
            shared.blobs.store->sync();
        } catch (const error&) {
            // What is not durable is fetched again.
        }
    }

    /// With a flush of its own turn, so that no connection looks for what is lacking before the
    /// note is durable; and again if that fails. False if not all could be noted.
    bool note_lost() {
        if (!shared.blobs.store) return true;
        try {
            for (const auto& [h, id] : shared.blobs.lost)
                if (!shared.blobs.store->is_whole(id)) shared.store.blobs(h).note(id, false);
        } catch (const error&) {
            return false;
        }
        return true;
    }

    void require_staged() {
        if (!shared.forgotten()) return;
        const error lost(errc::io,
                         "the store could not be read, and has dropped what was not yet written");
        retreat(lost);
        throw lost;
    }

    /// The flush failed: what was staged is gone, and with it what was said on the strength of it.
    void retreat(const error& why) {
        shared.ends.clear();
        shared.changed.clear();
        std::vector<connection_id> lost;
        for (auto& [c, s] : sessions) {
            if (s.retreat()) {
                covered("failed flush: connection kept");
            } else {
                covered("failed flush: connection closed");
                lost.push_back(c);
            }
        }
        std::erase_if(shared.effects.sends, [&](const hub_effects::send& s) {
            return std::find(lost.begin(), lost.end(), s.to) != lost.end();
        });
        for (const connection_id c : lost)
            close(c,
                  why.code(),
                  std::string("could not store what was received: ") + why.what(),
                  true);
    }
};

prepared_frame prepared_frame::prepare(bytes frame) {
    prepared_frame out;
    out.size_ = frame.size();
    if (wire::is_of_type(frame, wire::message_type::chunk)) {
        try {
            auto chunk = std::make_shared<wire::chunk>();
            chunk->head = wire::read_chunk(frame, chunk->commits);
            // Frames wait by their size: what is much larger in parts waits whole.
            if (chunk->commits.size() * sizeof(commit) <= frame.size()) {
                wire::check_bodies(chunk->commits);
                out.chunk_ = std::move(chunk);
                return out;
            }
        } catch (const error&) {
            // It is read again, and refused, by the session, which knows whether it comes to that.
        }
    }
    out.frame_ = std::move(frame);
    return out;
}

prepared_frame prepared_frame::as_it_came(bytes frame) {
    prepared_frame out;
    out.size_ = frame.size();
    out.frame_ = std::move(frame);
    return out;
}

hub::hub(commit_store& store,
         const identity& self,
         std::function<bytes()> nonce,
         hub_options options,
         blob_store* blobs)
    : impl_(new impl{.shared = {store, self, std::move(nonce), options}}) {
    impl_->shared.blobs.store = blobs;
}

hub::~hub() = default;

void hub::accepted(connection_id c, mono_ms now, bytes exported) {
    impl_->open(c, wire::role::acceptor, {}, false, std::move(exported), {}, now);
}

void hub::dialed(connection_id c,
                 std::vector<want> wants,
                 bool list,
                 mono_ms now,
                 bytes exported,
                 std::optional<identity> as) {
    impl_->open(
        c, wire::role::dialer, std::move(wants), list, std::move(exported), std::move(as), now);
}

void hub::received(connection_id c, prepared_frame frame, mono_ms now) {
    impl_->guarded(c, [&](session& s) {
        if (wire::is_of_type(frame.frame_, wire::message_type::bye)) {
            impl_->heard_bye(c, frame.frame_);
        } else {
            s.received(std::move(frame), now);
        }
    });
}

void hub::disconnected(connection_id c, errc code) {
    const auto found = impl_->sessions.find(c);
    if (found == impl_->sessions.end()) return;
    impl::keep_cursors(found->second);
    const bool is_offence = impl::is_offence(found->second, code);
    impl_->close(c, errc::unavailable, found->second.parting(), false, is_offence);
}

void hub::not_read(connection_id c, mono_ms now) {
    if (const auto at = impl_->sessions.find(c); at != impl_->sessions.end()) at->second.heard(now);
}

void hub::tick(mono_ms now) {
    // Who did not look cannot say that the others were silent.
    const mono_ms stalled = impl_->ticked == 0 ? 0 : now - impl_->ticked;
    impl_->ticked = now;
    if (stalled > impl_->shared.options.idle_ms / 3)
        for (auto& [c, s] : impl_->sessions) s.forgive(stalled);
    impl_->each([now](session& s) { s.tick(now); });
    impl_->sync_blobs();
}

void hub::set_backlog(connection_id c, std::size_t bytes) {
    impl_->guarded(c, [bytes](session& s) { s.set_backlog(bytes); });
}

void hub::staged(crdt_handle h) { impl_->shared.grown(h); }

void hub::removing(crdt_handle h, errc code, const std::string& reason) {
    std::vector<connection_id> concerned;
    for (const auto& [c, s] : impl_->sessions)
        if (s.subscribes(h)) concerned.push_back(c);
    for (const connection_id c : concerned) impl_->close(c, code, reason, true);
    impl_->shared.changed.erase(h);
    impl_->shared.ends.erase(h);
    std::erase_if(impl_->shared.blobs.lost, [h](const auto& each) { return each.first == h; });
}

hub_effects hub::end_turn(mono_ms now) {
    hub_shared& shared = impl_->shared;
    const bool noted = impl_->note_lost();
    impl_->require_staged();
    const bool dirty = shared.store.dirty();
    impl_->each([dirty](session& s) { s.before_flush(dirty); });
    if (shared.store.dirty()) {
        try {
            shared.store.flush();
        } catch (const error& e) {
            impl_->retreat(e);
            throw;
        } catch (const std::bad_alloc&) {
            const error e = out_of_memory();
            impl_->retreat(e);
            throw e;
        }
    }
    if (noted) shared.blobs.lost.clear();
    impl_->each([now](session& s) { s.after_flush(now); });
    shared.blobs.arrived.clear();
    hub_effects out = std::exchange(shared.effects, {});
    out.changed.assign(shared.changed.begin(), shared.changed.end());
    shared.changed.clear();
    impl_->last_counters = std::exchange(impl_->closed, {});
    return out;
}

hub::impl::cost hub::impl::cost_of(connection_id c) const {
    if (const auto open = sessions.find(c); open != sessions.end())
        return {open->second.counters(), open->second.shares()};
    for (const auto* past : {&closed, &last_counters})
        if (const auto found = past->find(c); found != past->end()) return found->second;
    return {};
}

connection_counters hub::counters(connection_id c) const { return impl_->cost_of(c).all; }

std::vector<connection_counters> hub::shares(connection_id c) const {
    return impl_->cost_of(c).shares;
}

std::size_t hub::connection_count() const { return impl_->sessions.size(); }

void hub::set_gate(std::function<void(const public_key&)> require_welcome) {
    impl_->shared.require_welcome = std::move(require_welcome);
}

void hub::set_clock(std::function<std::int64_t()> now_ms) {
    impl_->shared.clock = std::move(now_ms);
}

const std::map<std::string, std::uint64_t>& hub::limits_met() const {
    return impl_->shared.limits_met;
}

bool hub::is_open(connection_id c) const { return impl_->sessions.contains(c); }

std::vector<hub_link> hub::links(mono_ms now) const { return impl_->links(now); }

}  // namespace tributary
