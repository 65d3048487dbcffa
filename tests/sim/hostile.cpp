#include "sim/hostile.hpp"

#include "tributary/peer/message.hpp"

#include "sim/mutate.hpp"
#include <array>

namespace tributary::sim {
namespace {

using wire::message_type;

constexpr std::size_t remembered_max = 40;

commit_id random_id(random_source& random) { return commit_id::from_bytes(random.fresh_bytes(32)); }

arrival_cursor random_cursor(random_source& random) {
    arrival_cursor c;
    c.seq = random.below(30);
    for (auto& byte : c.digest) byte = static_cast<std::uint8_t>(random.below(256));
    return c;
}

wire::holding random_holding(random_source& random) {
    wire::holding h;
    h.round = random.below(4);
    if (random.chance(50)) h.cursor = random_cursor(random);
    for (std::size_t n = random.below(3); n > 0; --n) h.ids.push_back(random_id(random));
    h.count = random.chance(50) ? random.below(50) : std::uint64_t{1} << 40;
    h.window = random.chance(50) ? 0 : std::uint64_t{1} << 40;
    return h;
}

bytes rewritten(const wire::chunk_head& head, const std::vector<commit>& commits) {
    wire::chunk_writer out;
    std::vector<std::pair<std::size_t, signature>> sigs;
    for (const commit& c : commits) {
        if (c.sig) sigs.emplace_back(out.count(), *c.sig);
        out.add(c.header, c.body);
    }
    return out.finish(head, sigs);
}

}  // namespace

hostile_peer::hostile_peer(run& r, network& n, peer_settings s, const crdt_id& target)
    : peer(r, n, std::move(s)), target_(target) {}

// -- Connections ----------------------------------------------------------------------------------

void hostile_peer::begin(connection_id c) {
    const auto kinds = static_cast<std::size_t>(attack::count);
    visits_[c].what = static_cast<attack>(run_.random.below(kinds));
    ++run_.counted.attacks;
    run_.say(fmt::format(
        "peer {}: attack {} on connection {}", index(), static_cast<int>(visits_[c].what), c));
}

void hostile_peer::dialed(connection_id c, bool live) {
    begin(c);
    peer::dialed(c, live);
}

void hostile_peer::accepted(connection_id c) {
    begin(c);
    peer::accepted(c);
}

void hostile_peer::disconnected(connection_id c) {
    visits_.erase(c);
    peer::disconnected(c);
}

mono_ms hostile_peer::busy_until(connection_id c) const {
    const auto at = visits_.find(c);
    const bool deaf = at != visits_.end() && at->second.what == attack::deaf;
    return deaf && at->second.frames > 2 ? run_.time.now() + 1000 : peer::busy_until(c);
}

void hostile_peer::received(connection_id c, const bytes& frame) {
    if (heard_.size() < remembered_max) heard_.push_back(frame);
    peer::received(c, frame);
}

/// Whom it tells what is all the same to it.
void hostile_peer::closed(connection_id c, errc, const std::string& reason) {
    run_.say(fmt::format("peer {}: connection {} closed: {}", index(), c, reason));
}

void hostile_peer::transmit(connection_id c, bytes frame) {
    visit& v = visits_[c];
    ++v.frames;
    random_source& random = run_.random;
    switch (v.what) {
        case attack::bends:
            if (random.chance(30)) frame = mutate_frame(random, frame);
            break;
        case attack::damages:
            if (random.chance(20)) frame = damage(random, frame);
            break;
        case attack::garbage:
            if (random.chance(20)) frame = random.fresh_bytes(random.below(5000));
            break;
        case attack::repeats:
            if (random.chance(30) && !heard_.empty()) frame = heard_[random.below(heard_.size())];
            if (random.chance(30)) put(c, frame);
            break;
        case attack::withholds:
            frame = withheld(frame);
            break;
        case attack::sketches:
            frame = lying_cells(frame);
            break;
        case attack::unsigned_:
            frame = missigned(frame);
            break;
        case attack::mute:
            if (v.frames > 3) return;
            break;
        default:
            break;
    }
    if (heard_.size() < remembered_max && random.chance(10)) heard_.push_back(frame);
    put(c, std::move(frame));
    if (v.frames >= 3) strike(c, v);  // authenticated by now
}

void hostile_peer::strike(connection_id c, const visit& v) {
    if (v.what == attack::deaf || v.what == attack::floods) flood(c);
    if (v.what == attack::forges) forge(c);
    if (v.what == attack::sketches && run_.random.chance(20))
        put(c, encode(wire::more{1, run_.random.below(300000)}));
}

// -- What it does to messages ---------------------------------------------------------------------

bytes hostile_peer::withheld(const bytes& frame) {
    random_source& random = run_.random;
    if (wire::is_of_type(frame, message_type::chunk)) {
        std::vector<commit> commits;
        const wire::chunk_head head = wire::read_chunk(frame, commits);
        // The first is what the others build on.
        if (!commits.empty() && random.chance(80))
            commits.erase(
                commits.begin() +
                static_cast<std::ptrdiff_t>(random.chance(70) ? 0 : random.below(commits.size())));
        return rewritten(head, commits);
    }
    if (wire::is_of_type(frame, message_type::accept)) {
        wire::accept m = wire::read_accept(frame);
        const std::uint64_t round = m.have.round;
        m.have = random_holding(random);
        m.have.round = round;
        return encode(m);
    }
    if (wire::is_of_type(frame, message_type::have)) {
        wire::have m = wire::read_have(frame);
        m.what.ids = {random_id(random)};
        return encode(m);
    }
    return frame;
}

bytes hostile_peer::missigned(const bytes& frame) {
    random_source& random = run_.random;
    if (wire::is_of_type(frame, message_type::auth)) {
        wire::auth m = wire::read_auth(frame);
        if (random.chance(20)) m.sig.raw[random.below(64)] ^= 1;
        return encode(m);
    }
    if (!wire::is_of_type(frame, message_type::chunk)) return frame;
    std::vector<commit> commits;
    const wire::chunk_head head = wire::read_chunk(frame, commits);
    for (commit& each : commits) {
        if (!each.sig || !random.chance(40)) continue;
        if (random.chance(50))
            each.sig.reset();
        else
            each.sig->raw[random.below(64)] ^= 1;
    }
    return rewritten(head, commits);
}

bytes hostile_peer::lying_cells(const bytes& frame) {
    if (!wire::is_of_type(frame, message_type::cells)) return frame;
    random_source& random = run_.random;
    wire::cells m = wire::read_cells(frame);
    for (sketch::cell& each : m.items) {
        if (random.chance(30)) each.ids = random.next();
        if (random.chance(30)) each.checks = random.next();
        if (random.chance(10)) each.count += random.between(0, 5);
    }
    if (random.chance(20)) m.items.resize(1 + random.below(wire::cells_max));
    if (random.chance(20)) m.end = random_cursor(random);
    if (random.chance(10)) m.first = random.below(1000);
    return encode(m);
}

// -- What it makes up -----------------------------------------------------------------------------

bytes hostile_peer::random_request() {
    random_source& random = run_.random;
    const std::uint64_t sub = 1 + random.below(random.chance(80) ? 1 : 300);
    switch (random.below(8)) {
        case 0:
            return encode(wire::list{});
        case 1: {
            wire::subscribe m;
            m.sub = sub;
            m.target = target_;
            m.live = random.chance(50);
            m.want_genesis = random.chance(50);
            m.have = random_holding(random);
            return encode(m);
        }
        case 2:
            return encode(wire::have{sub, random_holding(random), {}});
        case 3:
            return encode(wire::have{sub, random_holding(random), {random.next()}});
        case 4:
            return encode(wire::more{sub, random.below(300000)});
        case 5:
            return encode(wire::ack{sub, random.below(3), random.below(5), random.below(100)});
        case 6:
            return encode(wire::cells{sub, random_cursor(random), 0, {{1, 2, 3}, {4, 5, 6}}});
        default:
            return encode(wire::ping{});
    }
}

void hostile_peer::flood(connection_id c) {
    // Often one kind of request alone: a mixture soon has one that is not allowed.
    const bytes one = random_request();
    const bool same = run_.random.chance(70);
    const std::size_t most = wire::is_of_type(one, message_type::list) ? 500 : 60;
    for (std::size_t n = run_.random.below(most); n > 0; --n) put(c, same ? one : random_request());
}

commit hostile_peer::forged_commit() {
    random_source& random = run_.random;
    identity signer = settings().self;
    if (random.chance(20)) signer = identity::from_seed(random.fresh_bytes(32));  // a stranger
    commit_header h;
    h.crdt = random.chance(80) ? target_ : crdt_id::from_bytes(random.fresh_bytes(32));
    h.author = signer.key();
    const auto here = handle();
    if (here && random.chance(70)) {
        const crdt_state state = own_store().state(*here);
        if (!state.heads.empty()) h.parents = {state.heads.front()};
        h.gen = 1 + random.below(50);
    }
    if (random.chance(20)) h.parents.push_back(random_id(random));
    if (random.chance(20)) {
        h.seq = 2 + random.below(1000);
        h.prev = random_id(random);
    }
    const std::vector<bytes> ops{encode(op{symbol{"forged"}, value(random.between(0, 9))})};
    commit c = make_commit(h, ops, signer);
    if (random.chance(30)) c.header = mutate_frame(random, c.header);
    c.sig = signer.sign("trib.commit.1", id_of_header(c.header).view());
    if (random.chance(20)) c.body = damage(random, c.body);
    if (random.chance(20)) c.sig->raw[random.below(64)] ^= 1;
    if (random.chance(20)) c.sig.reset();
    return c;
}

void hostile_peer::forge(connection_id c) {
    random_source& random = run_.random;
    std::vector<commit> commits;
    for (std::size_t n = 1 + random.below(3); n > 0; --n) commits.push_back(forged_commit());
    wire::chunk_head head{1, random.below(2), std::nullopt, random.chance(50)};
    if (random.chance(30)) head.cursor = random_cursor(random);
    put(c, rewritten(head, commits));
}

void hostile_peer::act() {
    const auto here = handle();
    if (!here) return;
    random_source& random = run_.random;
    const model& known = judged();
    commit_header h;
    h.crdt = target_;
    h.author = key();
    h.time_ms = static_cast<std::int64_t>(random.next() >> 20);
    std::set<commit_id> parents;
    for (std::size_t n = random.below(4); n > 0 && !known.log().empty(); --n)
        parents.insert(known.log()[random.below(known.log().size())]);
    h.parents.assign(parents.begin(), parents.end());
    for (const commit_id& p : h.parents) {
        const commit_header parent =
            decode_header(own_store().entry(*here, *own_store().find(*here, p)).header);
        h.gen = std::max(h.gen, parent.gen + 1);
    }
    // After any of its own, so that two have one seq.
    for (const commit_id& id : known.log()) {
        const commit_header mine =
            decode_header(own_store().entry(*here, *own_store().find(*here, id)).header);
        if (mine.author != key() || !random.chance(40)) continue;
        h.prev = id;
        h.seq = mine.seq + 1;
    }
    const std::vector<bytes> ops{encode(op{symbol{"odd"}, value(random.between(0, 1000))})};
    const commit made = make_commit(h, ops, settings().self);
    try {
        own_store().ingest(*here, std::span(&made, 1));
        own_hub().staged(*here);
        turn_soon();
    } catch (const error&) {
        // It may not write here.
    }
}

}  // namespace tributary::sim
