/// Who may do what with a CRDT, and the key of the store itself.
#include "tributary/peer/node_stage.hpp"

#include <algorithm>
#include <tuple>

namespace tributary {

namespace {

/// The name of a key for people.
std::string shown(const authority& rules, const public_key& key) {
    const auto found = rules.members().find(key);
    if (found == rules.members().end() || found->second.name.empty()) return key.brief();
    return found->second.name + " (" + key.brief() + ")";
}

/// Errors: unauthorized, which names those who could.
void require_owner(const commit_store& store, crdt_handle h, const public_key& key) {
    const authority_ptr rules = store.authority_of(h);
    if (rules->is_owner(key, store.last_seq(h, key) + 1)) return;
    std::string owners;
    for (const auto& [of, m] : rules->members())
        if (m.granted == right::owner && !m.last_seq)
            owners += (owners.empty() ? "" : ", ") + shown(*rules, of);
    const std::string name = store.state(h).name;
    throw error(errc::unauthorized,
                "only an owner of \"" + name + "\" grants and revokes, and this store's key " +
                    key.brief() + " is none; its owners: " + (owners.empty() ? "none" : owners));
}

/// The current head, or else another, that knows of a right of `key` to write.
std::optional<commit_id> knowing_head(const commit_store& store,
                                      crdt_handle h,
                                      const public_key& key) {
    const std::uint64_t seq = store.last_seq(h, key) + 1;
    const auto knows = [&](const commit_id& head) {
        return store.authority_at(h, store.find(h, head).value())->may_write(key, seq);
    };
    const crdt_state s = store.state(h);
    if (s.current && knows(*s.current)) return s.current;
    const auto other = std::find_if(s.heads.begin(), s.heads.end(), knows);
    return other == s.heads.end() ? std::nullopt : std::optional(*other);
}

void state_fact(commit_store& store, hub& hub, crdt_handle h, const identity& by, value ext) {
    std::optional<std::vector<commit_id>> parents;
    if (const auto head = knowing_head(store, h, by.key())) parents.emplace({*head});
    store.append(h, by, {}, wall_ms(), std::move(parents), std::move(ext));
    hub.staged(h);
}

/// Whether `key` can hand over what it is granted. Who may only read cannot say so.
bool can_hand_over(const commit_store& store, crdt_handle h, const public_key& key) {
    return store.state(h).heads.empty()
               ? store.authority_of(h)->may_write(key, store.last_seq(h, key) + 1)
               : knowing_head(store, h, key).has_value();
}

}  // namespace

crdt_id node_stage::create(const std::string& name, const create_options& options) {
    const identity self = node_.self();
    genesis g;
    g.name = name;
    g.owners = {self.key()};
    for (const public_key& key : options.owners)
        if (key != self.key()) g.owners.push_back(key);
    g.open_write = options.open_write;
    g.public_read = options.public_read;
    g.nonce = random_bytes(16);
    const signed_genesis s = sign(g, self);
    node_.write([&](commit_store& store, hub& hub) {
        require_new_name(store, name);
        const crdt_handle h = store.add(s, name);
        if (!options.owner_name.empty())
            state_fact(
                store, hub, h, self, grant_ext(self.key(), options.owner_name, right::owner));
        hub.staged(h);
    });
    return id_of_genesis(s.record);
}

void node_stage::grant(const std::string& name,
                       const public_key& key,
                       const std::string& member_name,
                       right r) {
    node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle h = require_crdt(store, name);
        const identity self = node_.self();
        require_owner(store, h, self.key());
        const authority_ptr rules = store.authority_of(h);
        if (rules->is_revoked(key))
            throw error(errc::misuse,
                        shown(*rules, key) + " was revoked in \"" + name +
                            "\", and a key stays revoked; let them make another there with trib "
                            "rotate, and grant that");
        const auto found = rules->members().find(key);
        const bool has_it = found != rules->members().end() && found->second.granted >= r &&
                            found->second.name == member_name;
        if (!has_it) state_fact(store, hub, h, self, grant_ext(key, member_name, r));
    });
}

std::uint64_t node_stage::revoke(const std::string& name,
                                 const public_key& key,
                                 std::optional<std::uint64_t> last_seq) {
    return node_.write([&](commit_store& store, hub& hub) {
        const crdt_handle h = require_crdt(store, name);
        const identity self = node_.self();
        require_owner(store, h, self.key());
        const authority_ptr rules = store.authority_of(h);
        const auto found = rules->members().find(key);
        const bool is_member = found != rules->members().end();
        const std::uint64_t known = store.last_seq(h, key);
        if (!is_member && known == 0 && !store.genesis_of(h).open_write)
            throw error(errc::not_found,
                        "key " + key.hex() + " is no member of \"" + name + "\"; see: trib members " +
                            name);
        const std::uint64_t last = key == self.key() ? known + 1 : last_seq.value_or(known);
        if (is_member && found->second.last_seq && *found->second.last_seq <= last)
            throw error(errc::misuse,
                        shown(*rules, key) + " was revoked in \"" + name +
                            "\" already, after its commit " +
                            std::to_string(*found->second.last_seq));
        const bool others = std::any_of(
            rules->members().begin(), rules->members().end(), [&](const auto& other) {
                return other.first != key && other.second.granted == right::owner &&
                       !other.second.last_seq;
            });
        if (!others)
            throw error(errc::misuse,
                        "\"" + name +
                            "\" would be left without an owner; grant another key first: trib "
                            "grant " +
                            name + " KEY --right owner --name THEIRS");
        state_fact(store, hub, h, self, revocation_ext(key, last));
        return last;
    });
}

std::vector<member_view> node_stage::members(const std::string& name) {
    return node_.read([&](commit_store& store) {
        const crdt_handle h = require_crdt(store, name);
        std::vector<member_view> out;
        for (const auto& [key, m] : store.authority_of(h)->members()) {
            member_view v;
            v.key = key;
            v.name = m.name;
            v.right = m.granted ? name_of(*m.granted) : "";
            v.since_ms = m.since_ms;
            v.by = m.by;
            v.commits = store.last_seq(h, key);
            v.last_seq = m.last_seq;
            v.revoked_by = m.revoked_by;
            out.push_back(std::move(v));
        }
        const auto place = [](const member_view& v) {
            const int rank = v.right.empty() ? 0 : static_cast<int>(right_named(v.right));
            return std::tuple(v.last_seq.has_value(), -rank, v.since_ms, v.name);
        };
        std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) {
            return place(a) < place(b);
        });
        return out;
    });
}

rotation node_stage::rotate() {
    const identity fresh = node_.next_identity(), old = node_.self();
    rotation done{old.key(), fresh.key(), {}, {}};
    try {
        node_.write([&](commit_store& store, hub& hub) {
            for (const crdt_handle h : store.list()) {
                const authority_ptr rules = store.authority_of(h);
                const auto held = rules->members().find(old.key());
                if (held == rules->members().end() || !held->second.granted ||
                    held->second.last_seq)
                    continue;
                const std::string name = store.state(h).name;
                if (!can_hand_over(store, h, old.key())) {
                    done.left.push_back(name);
                    continue;
                }
                const std::uint64_t seq = store.last_seq(h, old.key()) + 1;
                state_fact(store,
                           hub,
                           h,
                           old,
                           succession_ext(old.key(),
                                          seq,
                                          fresh.key(),
                                          held->second.name,
                                          *held->second.granted));
                done.crdts.push_back(name);
            }
            // In the same turn: nothing else is to be signed with the old key.
            node_.set_self(fresh);
        });
    } catch (...) {
        node_.read([&](commit_store&) { node_.set_self(old); });
        throw;
    }
    node_.keep_next_identity();
    return done;
}

}  // namespace tributary
