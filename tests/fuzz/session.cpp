/// Sequences of messages. "conversation": two replicas over a wire that bends, repeats, exchanges
/// and loses what they say. "messages": one replica, and a peer that has proved its key and then
/// says whatever is a message. Afterwards the replica must hold what follows from verified commits,
/// and get on with an honest peer as ever. An input is the seed of a sequence.
#include "tributary/peer/message_blobs.hpp"
#include "tributary/store/blob_index.hpp"

#include "fuzz/driver.hpp"
#include "peer/hub_harness.hpp"
#include "sim/model.hpp"
#include "sim/mutate.hpp"

using namespace tributary;
using testing::replica_peer;
using testing::wires;

namespace {

constexpr crdt_handle handle = 1;

bytes random_seed(sim::random_source& random) { return random.fresh_bytes(8); }

sim::random_source from(const bytes& input) {
    bytes eight = input.substr(0, 8);
    eight.resize(8);
    return sim::random_source(get_be64(eight));
}

hub_options small(sim::random_source& random) {
    hub_options o;
    o.chunk_commits = 1 + random.below(6);
    o.window_bytes = random.chance(50) ? 1000 : 64u << 10;
    o.walk_budget = random.chance(50) ? 2 : 65536;
    o.sketch_cells = random.chance(30) ? 16 : 1u << 18;
    return o;
}

/// What a store holds follows from its commits, and all of it was verified.
void judge(const replica_peer& p) {
    for (const crdt_handle h : p.store->list()) sim::model().examine(*p.store, h);
}

// -- Two replicas and a bad wire ------------------------------------------------------------------

/// All blobs that any commit of this sequence names, so that a stranger can have them.
std::unique_ptr<memory_blobs> library;

/// A commit that names a blob, which may be here.
void name_blob(sim::random_source& random, replica_peer& p) {
    const bytes data = random.fresh_bytes(random.below(3000));
    const std::vector<blob_ref> refs{library->add(data, 1024)};
    if (random.chance(50)) p.blobs->add(data, 1024);
    const std::vector<bytes> ops{testing::op_of(blob_address(refs[0].id))};
    p.store->append(handle, p.self, ops, 1000, std::nullopt, blobs_ext(refs));
    p.talk->staged(handle);
}

void fill(sim::random_source& random, replica_peer& p, const std::string& text) {
    for (std::size_t n = random.below(20); n > 0; --n) {
        if (random.chance(20))
            name_blob(random, p);
        else
            p.write(handle, text + std::to_string(n));
    }
    p.store->flush();
}

class bad_wire {
public:
    bad_wire(sim::random_source& random, wires& net)
        : random_(random), percent_(random.between(1, 40)) {
        net.meddle = [this](connection_id, bool, bytes& frame) { return pass(frame); };
    }

private:
    bool pass(bytes& frame) {
        const bytes was = frame;
        if (random_.chance(static_cast<int>(percent_))) {
            switch (random_.below(5)) {
                case 0:
                    frame = sim::damage(random_, frame);
                    break;
                case 1:
                    return false;
                case 2:
                    if (!seen_.empty()) frame = seen_[random_.below(seen_.size())];
                    break;
                default:
                    frame = sim::mutate_frame(random_, frame);
            }
        }
        seen_.push_back(was);
        return true;
    }

    sim::random_source& random_;
    std::int64_t percent_;
    std::vector<bytes> seen_;
};

void converse(const bytes& input) {
    library = make_memory_blobs();
    sim::random_source random = from(input);
    replica_peer a(1, small(random)), b(2, small(random));
    b.options.sketch_cells = a.options.sketch_cells;
    b.open();
    a.create("shared", a.self);
    if (random.chance(70)) {
        b.create("shared", a.self);
        fill(random, b, "b");
    }
    fill(random, a, "a");
    {
        wires net;
        bad_wire bad(random, net);
        for (std::size_t n = 1 + random.below(3); n > 0; --n) {
            const connection_id c =
                net.dial(b, a, {{.remote = "shared", .live = random.chance(50)}});
            net.run();
            if (random.chance(50)) fill(random, a, "later");
            a.talk->staged(handle);
            net.run();
            net.cut(c);
            net.turn(a);
            net.turn(b);
        }
    }
    judge(a);
    judge(b);
    wires net;
    for (int tries = 0; tries < 3; ++tries) testing::sync(net, b, a, {.remote = "shared"});
    if (a.heads() != b.heads()) fuzz::fail("they do not get on any more");
}

// -- A replica and whatever is a message ----------------------------------------------------------

/// A peer that proves its key, knows the CRDT, and says anything.
class stranger {
public:
    stranger(sim::random_source& random, replica_peer& victim) : random_(random), victim_(victim) {
        replica_peer scratch(3);
        scratch.create("shared", victim.self);
        for (int n = 0; n < 8; ++n) scratch.write(handle, std::to_string(n));
        scratch.store->scan(handle, 1, [&](const arrival_entry& e, bytes_view body) {
            commits_.push_back({e.header, e.sig, bytes(body)});
            return true;
        });
    }

    /// Both sides of the handshake, and then `count` messages.
    void play(std::size_t count) {
        const bool dials = random_.chance(50);
        constexpr connection_id c = 1;
        if (dials)
            victim_.talk->accepted(c, 1);
        else
            victim_.talk->dialed(
                c, {{.remote = "shared", .handle = handle, .live = true}}, false, 1);
        greet(c, dials);
        for (std::size_t n = 0; n < count; ++n) {
            if (dials && n == 0)
                say(c, encode(good_subscribe()));
            else
                say(c, message());
            if (random_.chance(50)) victim_.talk->end_turn(1);
        }
        victim_.talk->end_turn(1);
        victim_.talk->disconnected(c);
        victim_.talk->end_turn(2);
    }

private:
    void say(connection_id c, const bytes& frame) { victim_.talk->received(c, frame, 1); }

    void greet(connection_id c, bool dials) {
        wire::hello mine;
        mine.key = self_.key();
        mine.nonce = hash32::from_bytes(random_.fresh_bytes(32));
        const bytes hello = encode(mine);
        if (dials) say(c, hello);
        bytes theirs;
        for (const auto& s : victim_.talk->end_turn(1).sends)
            if (wire::is_of_type(s.frame, wire::message_type::hello)) theirs = s.frame;
        if (!dials) say(c, hello);
        const hash32 transcript =
            dials ? wire::transcript(hello, theirs) : wire::transcript(theirs, hello);
        const wire::role role = dials ? wire::role::dialer : wire::role::acceptor;
        say(c, encode(wire::auth{wire::sign_transcript(self_, role, transcript)}));
        victim_.talk->end_turn(1);
    }

    // Fields that are mostly plausible.
    std::uint64_t number() {
        return random_.chance(80) ? random_.below(4) : random_.next() >> random_.between(1, 60);
    }
    std::uint64_t sub() { return random_.chance(90) ? 1 : number(); }
    arrival_cursor cursor() {
        const node end = victim_.commits();
        const node at = random_.below(end + 1);
        if (random_.chance(60) && at > 0) return {at, victim_.store->entry(handle, at).digest};
        return random_.chance(50) ? arrival_cursor{} : arrival_cursor{number(), {}};
    }
    commit_id id() {
        const std::vector<commit_id> heads = victim_.heads();
        if (random_.chance(40) && !heads.empty()) return heads.front();
        if (random_.chance(60))
            return id_of_header(commits_[random_.below(commits_.size())].header);
        return commit_id::from_bytes(random_.fresh_bytes(32));
    }
    wire::holding holding() {
        wire::holding h;
        h.round = number();
        if (random_.chance(50)) h.cursor = cursor();
        for (std::size_t n = random_.below(4); n > 0; --n) h.ids.push_back(id());
        if (random_.chance(30)) h.heads_digest = wire::digest_of_heads(victim_.heads());
        h.count = number();
        h.window = random_.chance(50) ? 1u << 20 : number();
        return h;
    }
    wire::subscribe good_subscribe() {
        wire::subscribe m;
        m.sub = 1;
        m.target = std::string("shared");
        m.live = random_.chance(70);
        m.want_genesis = random_.chance(50);
        m.want_heads = random_.chance(50);
        m.have = holding();
        return m;
    }
    bytes chunk() {
        wire::chunk_writer out;
        std::vector<std::pair<std::size_t, signature>> sigs;
        std::size_t from = random_.below(commits_.size());
        for (std::size_t n = random_.below(5); n > 0; --n) {
            const commit& c = commits_[from % commits_.size()];
            from = random_.chance(80) ? from + 1 : random_.below(commits_.size());
            if (c.sig && random_.chance(80)) sigs.emplace_back(out.count(), *c.sig);
            out.add(c.header, c.body);
        }
        wire::chunk_head head{sub(), number(), std::nullopt, random_.chance(50)};
        if (random_.chance(50)) head.cursor = cursor();
        return out.finish(head, sigs);
    }
    bytes cells() {
        wire::cells m{sub(), cursor(), random_.chance(60) ? 0 : number(), {}};
        if (random_.chance(60) && victim_.commits() > 0) {
            m.items = victim_.store->cells(
                handle, 1 + random_.below(victim_.commits()), m.first % 100, 1 + random_.below(64));
        } else {
            for (std::size_t n = random_.below(20); n > 0; --n)
                m.items.push_back(
                    {random_.next(), random_.next(), static_cast<std::int64_t>(number() >> 1)});
        }
        return encode(m);
    }
    /// One that the victim's commits name, mostly.
    blob_id blob() {
        std::vector<blob_id> named;
        victim_.store->blobs(handle).each([&](const named_blob& b) { named.push_back(b.blob.id); });
        if (named.empty() || random_.chance(10))
            return blob_id::from_bytes(random_.fresh_bytes(32));
        return named[random_.below(named.size())];
    }
    bytes part() {
        wire::blob_part m{.sub = sub(), .id = blob()};
        bytes data = random_.fresh_bytes(1 + random_.below(1100));
        const auto made = library->manifest(m.id);
        if (random_.chance(60)) m.chunk = made ? random_.below(made->count() + 1) : number();
        if (made && !m.chunk) data = made->encode();
        if (made && m.chunk && random_.chance(80))
            data = library->read(m.id, *m.chunk, 0, 1024).value_or(data);
        m.left = random_.chance(80) ? 0 : number();
        m.data = data.empty() ? bytes_view("x") : bytes_view(data);
        return encode(m);
    }
    bytes message() {
        switch (random_.below(17)) {
            case 16:
                return encode(wire::until{sub(), {id(), id()}});
            case 12:
                return encode(
                    wire::blob_ask{sub(), blob(), random_.chance(50), number(), random_.below(5)});
            case 13:
                return part();
            case 14:
                return encode(wire::blob_have{sub(), blob(), number(), random_.chance(60)});
            case 15:
                return encode(wire::blob_lack{sub(), random_.chance(50), number()});
            case 0:
                return encode(wire::list{});
            case 1:
                return encode(good_subscribe());
            case 2: {
                wire::accept m{sub(), random_.chance(50), std::nullopt, holding()};
                return encode(m);
            }
            case 3:
            case 4:
            case 5:
                return chunk();
            case 6:
                return encode(wire::ack{sub(), number(), number(), number()});
            case 7: {
                wire::have m{sub(), holding(), {}};
                if (random_.chance(30)) m.lacks = {sketch::short_of(id())};
                return encode(m);
            }
            case 8:
            case 9:
                return cells();
            case 10:
                return encode(wire::more{sub(), random_.chance(50) ? 200 : number()});
            default:
                return sim::mutate_frame(random_, chunk());
        }
    }

    sim::random_source& random_;
    replica_peer& victim_;
    identity self_ = testing::identity_of(77);
    std::vector<commit> commits_;  ///< valid ones, by another author, in order
};

void say_anything(const bytes& input) {
    library = make_memory_blobs();
    sim::random_source random = from(input);
    replica_peer victim(1, small(random));
    victim.create("shared", victim.self);
    fill(random, victim, "v");
    stranger(random, victim).play(5 + random.below(40));
    judge(victim);
    replica_peer other(2, victim.options);
    wires net;
    testing::sync(net, other, victim, {.remote = "shared"});
    if (other.heads() != victim.heads()) fuzz::fail("it does not serve an honest peer any more");
}

}  // namespace

int main(int argc, char** argv) {
    return fuzz::drive(
        argc,
        argv,
        {{"conversation", {}, random_seed, converse}, {"messages", {}, random_seed, say_anything}});
}
