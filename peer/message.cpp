#include "tributary/peer/message.hpp"

#include "tributary/peer/message_bytes.hpp"

#include <algorithm>

namespace tributary::wire {
namespace {

/// Of a message that a peer of any version must be able to read: what follows the fields known here
/// is left unread.
template <class F>
void read_lasting(bytes_view frame, std::size_t fields, const F& read) {
    reader in(frame);
    const std::size_t there = in.array();
    if (there < fields + 1) malformed(0, "too few fields");
    in.number();
    read(in);
    if (there == fields + 1) in.end();
}

void put_cursor(bytes& out, const arrival_cursor& c) {
    put_array(out, 2);
    put_number(out, c.seq);
    put_bin(out, {reinterpret_cast<const char*>(c.digest.data()), c.digest.size()});
}

void put_cursor(bytes& out, const std::optional<arrival_cursor>& c) {
    if (c) {
        put_cursor(out, *c);
    } else {
        put_nil(out);
    }
}

arrival_cursor read_cursor(reader& in) {
    arrival_cursor c;
    in.array(2);
    c.seq = in.number();
    const bytes_view digest = in.bin(c.digest.size());
    std::copy(digest.begin(), digest.end(), c.digest.begin());
    return c;
}

std::optional<arrival_cursor> read_optional_cursor(reader& in) {
    if (in.nil()) return std::nullopt;
    return read_cursor(in);
}

void put_id_list(bytes& out, const std::vector<commit_id>& ids) {
    put_array(out, ids.size());
    for (const commit_id& id : ids) put_bin(out, id.view());
}

std::vector<commit_id> read_id_list(reader& in) {
    std::vector<commit_id> ids;
    for (std::size_t left = in.array(); left > 0; --left) ids.push_back(in.id<commit_id>());
    return ids;
}

errc known_code(std::uint64_t code) {
    const bool known = code >= 1 && code <= static_cast<std::uint64_t>(errc::misuse);
    return known ? static_cast<errc>(code) : errc::unavailable;
}

void put_ids(bytes& out, const std::vector<commit_id>& ids) {
    if (ids.empty()) return put_nil(out);
    put_array(out, ids.size());
    for (const commit_id& id : ids) put_bin(out, id.view());
}

std::vector<commit_id> read_ids(reader& in) {
    if (in.nil()) return {};
    const std::size_t start = in.offset();
    const std::size_t n = in.array();
    if (n == 0 || n > heads_max) malformed(start, "no ids or too many");
    std::vector<commit_id> ids(n);
    for (commit_id& id : ids) id = in.id<commit_id>();
    return ids;
}

void put_holding(bytes& out, const holding& h) {
    put_array(out, 6);
    put_number(out, h.round);
    put_cursor(out, h.cursor);
    put_ids(out, h.ids);
    put_bin(out, h.heads_digest.view());
    put_number(out, h.count);
    put_number(out, h.window);
}

holding read_holding(reader& in) {
    in.array(6);
    holding h;
    h.round = in.number();
    h.cursor = read_optional_cursor(in);
    h.ids = read_ids(in);
    h.heads_digest = in.id<hash32>();
    h.count = in.number();
    h.window = in.number();
    return h;
}

/// What a frame may hold before its commits: five bytes of array header included.
constexpr std::size_t chunk_front = 64;

constexpr std::uint64_t flag_live = 1, flag_genesis = 2, flag_heads = 4;

}  // namespace

std::uint64_t type_of(bytes_view frame) {
    reader in(frame);
    if (in.array() == 0) malformed(0, "an empty array");
    return in.number();
}

std::uint64_t subscription_of(bytes_view frame) noexcept {
    try {
        reader in(frame);
        const std::size_t fields = in.array();
        // Those before it are about the connection.
        const bool has_one =
            in.number() >= static_cast<std::uint64_t>(message_type::subscribe) && fields > 1;
        return has_one ? in.number() : 0;
    } catch (const error&) {
        return 0;
    }
}

bool is_of_type(bytes_view frame, message_type type) {
    // All known types are below 128 and have at most 15 fields: two bytes.
    return frame.size() >= 2 && (static_cast<std::uint8_t>(frame[0]) & 0xf0) == 0x90 &&
           static_cast<std::uint8_t>(frame[1]) == static_cast<std::uint8_t>(type);
}

void read_empty(bytes_view frame) { open(frame, 0).end(); }

bytes encode(const hello& m) {
    bytes out = begin(message_type::hello, 8);
    put_text(out, "trib");
    put_number(out, m.version_min);
    put_number(out, m.version_max);
    put_bin(out, m.key.view());
    put_bin(out, m.nonce.view());
    put_text(out, m.software);
    put_number(out, m.binds);
    put_number(out, m.clock_ms);
    return out;
}

hello read_hello(bytes_view frame) {
    hello m;
    read_lasting(frame, 8, [&](reader& in) {
        if (in.text() != "trib") malformed(2, "no tributary hello");
        m.version_min = in.number();
        m.version_max = in.number();
        m.key = in.id<public_key>();
        m.nonce = in.id<hash32>();
        m.software = in.text();
        m.binds = in.number();
        m.clock_ms = in.number();
    });
    return m;
}

bytes encode(const auth& m) {
    bytes out = begin(message_type::auth, 1);
    put_bin(out, m.sig.view());
    return out;
}

auth read_auth(bytes_view frame) {
    reader in = open(frame, 1);
    auth m{signature::from_bytes(in.bin(64))};
    in.end();
    return m;
}

bytes encode(const bye& m) {
    bytes out = begin(message_type::bye, 2);
    put_number(out, static_cast<std::uint64_t>(m.code));
    put_text(out, m.reason);
    return out;
}

bye read_bye(bytes_view frame) {
    bye m;
    read_lasting(frame, 2, [&](reader& in) {
        m.code = known_code(in.number());
        m.reason = in.text();
    });
    return m;
}

bytes encode(const ping&) { return begin(message_type::ping, 0); }
bytes encode(const list&) { return begin(message_type::list, 0); }

bytes encode(const offers& m) {
    bytes out = begin(message_type::offers, 1);
    put_array(out, m.items.size());
    for (const hub_offer& o : m.items) {
        put_array(out, 5);
        put_text(out, o.name);
        put_bin(out, o.id.view());
        put_text(out, o.type);
        put_number(out, o.commits);
        put_number(out, o.heads);
    }
    return out;
}

offers read_offers(bytes_view frame) {
    reader in = open(frame, 1);
    const std::size_t n = in.array();
    if (n > offers_max) malformed(2, "too many offers");
    offers m;
    for (std::size_t i = 0; i < n; ++i) {
        in.array(5);
        hub_offer o;
        o.name = in.text();
        o.id = in.id<crdt_id>();
        o.type = in.text();
        o.commits = in.number();
        o.heads = in.number();
        m.items.push_back(std::move(o));
    }
    in.end();
    return m;
}

bytes encode(const subscribe& m) {
    bytes out = begin(message_type::subscribe, 4);
    put_number(out, m.sub);
    if (const auto* id = std::get_if<crdt_id>(&m.target)) {
        put_bin(out, id->view());
    } else {
        put_text(out, std::get<std::string>(m.target));
    }
    put_number(out,
               (m.live ? flag_live : 0) | (m.want_genesis ? flag_genesis : 0) |
                   (m.want_heads ? flag_heads : 0));
    put_holding(out, m.have);
    return out;
}

subscribe read_subscribe(bytes_view frame) {
    reader in = open(frame, 4);
    subscribe m;
    m.sub = in.number();
    if (in.next_is_text()) {
        m.target = in.text();
    } else {
        m.target = in.id<crdt_id>();
    }
    const std::size_t start = in.offset();
    const std::uint64_t flags = in.number();
    if (flags > (flag_live | flag_genesis | flag_heads)) malformed(start, "unknown flags");
    m.live = (flags & flag_live) != 0;
    m.want_genesis = (flags & flag_genesis) != 0;
    m.want_heads = (flags & flag_heads) != 0;
    m.have = read_holding(in);
    in.end();
    return m;
}

bytes encode(const accept& m) {
    bytes out = begin(message_type::accept, 4);
    put_number(out, m.sub);
    put_bool(out, m.cursor_good);
    if (m.about) {
        put_array(out, 3);
        put_bin(out, m.about->genesis.record);
        put_bin(out, m.about->genesis.sig.view());
        put_text(out, m.about->name);
    } else {
        put_nil(out);
    }
    put_holding(out, m.have);
    return out;
}

accept read_accept(bytes_view frame) {
    reader in = open(frame, 4);
    accept m;
    m.sub = in.number();
    m.cursor_good = in.boolean();
    if (!in.nil()) {
        in.array(3);
        accept::description about;
        about.genesis.record = bytes(in.bin());
        about.genesis.sig = signature::from_bytes(in.bin(64));
        about.name = in.text();
        m.about = std::move(about);
    }
    m.have = read_holding(in);
    in.end();
    return m;
}

bytes encode(const ack& m) {
    bytes out = begin(message_type::ack, 4);
    put_number(out, m.sub);
    put_number(out, m.round);
    put_number(out, m.chunks);
    put_number(out, m.end);
    return out;
}

ack read_ack(bytes_view frame) {
    reader in = open(frame, 4);
    ack m;
    m.sub = in.number();
    m.round = in.number();
    m.chunks = in.number();
    m.end = in.number();
    in.end();
    return m;
}

bytes encode(const have& m) {
    bytes out = begin(message_type::have, 3);
    put_number(out, m.sub);
    put_holding(out, m.what);
    bytes lacks;
    for (const sketch::short_id id : m.lacks) put_be64(lacks, id);
    put_bin(out, lacks);
    return out;
}

have read_have(bytes_view frame) {
    reader in = open(frame, 3);
    have m;
    m.sub = in.number();
    m.what = read_holding(in);
    const std::size_t start = in.offset();
    bytes_view lacks = in.bin();
    if (lacks.size() % 8 != 0) malformed(start, "no list of short ids");
    for (; !lacks.empty(); lacks.remove_prefix(8)) {
        m.lacks.push_back(get_be64(lacks));
        if (m.lacks.size() > 1 && m.lacks[m.lacks.size() - 2] >= m.lacks.back())
            malformed(start, "short ids out of order");
    }
    in.end();
    return m;
}

bytes encode(const cells& m) {
    bytes out = begin(message_type::cells, 4);
    put_number(out, m.sub);
    put_cursor(out, m.end);
    put_number(out, m.first);
    bytes packed;
    for (const sketch::cell& c : m.items) {
        put_be64(packed, c.ids);
        put_be64(packed, c.checks);
        put_number(packed, static_cast<std::uint64_t>(c.count));
    }
    put_bin(out, packed);
    return out;
}

cells read_cells(bytes_view frame) {
    reader in = open(frame, 4);
    cells m;
    m.sub = in.number();
    m.end = read_cursor(in);
    m.first = in.number();
    const std::size_t start = in.offset();
    reader packed(in.bin());
    in.end();
    while (!packed.at_end()) {
        if (m.items.size() == cells_max) malformed(start, "too many cells");
        sketch::cell c;
        c.ids = packed.fixed64();
        c.checks = packed.fixed64();
        c.count = static_cast<std::int64_t>(packed.number());
        m.items.push_back(c);
    }
    return m;
}

bytes encode(const more& m) {
    bytes out = begin(message_type::more, 2);
    put_number(out, m.sub);
    put_number(out, m.cells);
    return out;
}

more read_more(bytes_view frame) {
    reader in = open(frame, 2);
    more m;
    m.sub = in.number();
    m.cells = in.number();
    in.end();
    return m;
}

bytes encode(const part& m) {
    bytes out = begin(message_type::part, 3);
    put_number(out, m.sub);
    put_number(out, static_cast<std::uint64_t>(m.what.by));
    put_number(out, m.what.amount);
    return out;
}

part read_part(bytes_view frame) {
    reader in = open(frame, 3);
    part m;
    m.sub = in.number();
    const std::size_t start = in.offset();
    const std::uint64_t by = in.number();
    if (by > static_cast<std::uint64_t>(history_part::measure::since))
        malformed(start, "no part of a history");
    m.what.by = static_cast<history_part::measure>(by);
    m.what.amount = in.number();
    in.end();
    return m;
}

bytes encode(const until& m) {
    bytes out = begin(message_type::until, 2);
    put_number(out, m.sub);
    put_id_list(out, m.ids);
    return out;
}

until read_until(bytes_view frame) {
    reader in = open(frame, 2);
    until m;
    m.sub = in.number();
    m.ids = read_id_list(in);
    in.end();
    return m;
}

bytes encode(const cut& m) {
    bytes out = begin(message_type::cut, 5);
    put_number(out, m.sub);
    put_cursor(out, m.where.at);
    put_number(out, m.where.below);
    put_id_list(out, m.floor);
    put_array(out, 2 * m.where.proofs.size());
    for (const commit& c : m.where.proofs) {
        put_item(out, c.header);
        if (c.sig)
            put_bin(out, c.sig->view());
        else
            put_nil(out);
    }
    return out;
}

namespace {

/// More than fit the headers' limit twice.
constexpr std::size_t cut_proofs_max = 1u << 18;

}  // namespace

cut read_cut(bytes_view frame) {
    reader in = open(frame, 5);
    cut m;
    m.sub = in.number();
    m.where.at = read_cursor(in);
    m.where.below = in.number();
    m.floor = read_id_list(in);
    const std::size_t start = in.offset();
    const std::size_t parts = in.array();
    if (parts % 2 != 0) malformed(start, "a header without a signature or nil");
    if (parts / 2 > cut_proofs_max) malformed(start, "too many headers");
    for (std::size_t left = parts / 2; left > 0; --left) {
        commit c;
        c.header = bytes(in.item());
        if (c.header.empty()) malformed(start, "an empty header");
        if (!in.nil()) c.sig = signature::from_bytes(in.bin(64));
        m.where.proofs.push_back(std::move(c));
    }
    in.end();
    return m;
}

bytes encode(const below& m) {
    bytes out = begin(message_type::below, 2);
    put_number(out, m.sub);
    put_id_list(out, m.ids);
    return out;
}

below read_below(bytes_view frame) {
    reader in = open(frame, 2);
    below m;
    m.sub = in.number();
    m.ids = read_id_list(in);
    in.end();
    return m;
}

bytes encode(const refused& m) {
    bytes out = begin(message_type::refused, 3);
    put_number(out, m.sub);
    put_number(out, static_cast<std::uint64_t>(m.code));
    put_text(out, m.reason);
    return out;
}

refused read_refused(bytes_view frame) {
    reader in = open(frame, 3);
    refused m;
    m.sub = in.number();
    m.code = known_code(in.number());
    m.reason = in.text();
    in.end();
    return m;
}

bytes encode(const yours& m) {
    bytes out = begin(message_type::yours, 3);
    put_number(out, m.sub);
    put_bin(out, m.header);
    put_bin(out, m.sig.view());
    return out;
}

yours read_yours(bytes_view frame) {
    reader in = open(frame, 3);
    yours m;
    m.sub = in.number();
    m.header = in.bin();
    m.sig = signature::from_bytes(in.bin(64));
    in.end();
    return m;
}

chunk_head read_chunk(bytes_view frame, std::vector<commit>& commits) {
    reader in = open(frame, 6);
    chunk_head head;
    head.sub = in.number();
    head.round = in.number();
    head.cursor = read_optional_cursor(in);
    head.done = in.boolean();

    std::size_t start = in.offset();
    const std::size_t parts = in.array();
    if (parts % 2 != 0 || parts / 2 > chunk_commits_max) malformed(start, "a bad count of commits");
    commits.resize(parts / 2);
    for (commit& c : commits) {
        c.header.assign(in.item());
        c.body.assign(in.item());
        c.sig.reset();
        c.body_checked = false;
    }

    start = in.offset();
    const std::size_t sigs = in.array();
    if (sigs % 2 != 0 || sigs / 2 > commits.size()) malformed(start, "a bad count of signatures");
    std::size_t least = 0;
    for (std::size_t i = 0; i < sigs / 2; ++i) {
        start = in.offset();
        const std::uint64_t index = in.number();
        if (index < least || index >= commits.size())
            malformed(start, "a bad index of a signature");
        commits[index].sig = signature::from_bytes(in.bin(64));
        least = index + 1;
    }
    in.end();
    return head;
}

void check_bodies(std::vector<commit>& commits) {
    try {
        for (commit& c : commits) {
            verify_body(decode_header(c.header), c.body);
            c.body_checked = true;
        }
    } catch (const error&) {
    }
}

chunk_writer::chunk_writer() : buffer_(chunk_front, '\0') {}

void chunk_writer::add(bytes_view header, bytes_view body) {
    put_item(buffer_, header);
    put_item(buffer_, body);
    payload_ += header.size() + body.size();
    ends_.push_back({buffer_.size(), payload_});
}

void chunk_writer::truncate(std::size_t n) {
    if (n >= ends_.size()) return;
    ends_.resize(n);
    buffer_.resize(n == 0 ? chunk_front : ends_.back().at);
    payload_ = n == 0 ? 0 : ends_.back().payload;
}

bytes chunk_writer::finish(const chunk_head& head,
                           const std::vector<std::pair<std::size_t, signature>>& sigs) {
    bytes front = begin(message_type::chunk, 6);
    put_number(front, head.sub);
    put_number(front, head.round);
    put_cursor(front, head.cursor);
    put_bool(front, head.done);
    put_array(front, ends_.size() * 2);
    TRIBUTARY_CHECK(front.size() <= chunk_front);

    put_array(buffer_, sigs.size() * 2);
    for (const auto& [index, sig] : sigs) {
        put_number(buffer_, index);
        put_bin(buffer_, sig.view());
    }
    buffer_.replace(0, chunk_front, front);
    bytes frame = std::move(buffer_);
    *this = chunk_writer();
    return frame;
}

std::optional<commit_id> prev_of_header(bytes_view header) {
    reader in(header);
    in.array();
    in.number();
    in.bin(32);
    in.bin(32);
    in.number();
    if (in.nil()) return std::nullopt;
    return in.id<commit_id>();
}

crdt_id crdt_of_header(bytes_view header) {
    reader in(header);
    in.array();
    in.number();
    return in.id<crdt_id>();
}

hash32 transcript(bytes_view dialer_hello, bytes_view acceptor_hello, bytes_view exported) {
    return hash("trib.auth.1", dialer_hello, bytes(acceptor_hello).append(exported));
}

signature sign_transcript(const identity& self, role who, const hash32& t) {
    bytes message(1, static_cast<char>(who));
    message.append(t.view());
    return self.sign("trib.auth.1", message);
}

bool verify_transcript(const public_key& key, role who, const hash32& t, const signature& sig) {
    bytes message(1, static_cast<char>(who));
    message.append(t.view());
    return verify(key, "trib.auth.1", message, sig);
}

hash32 digest_of_heads(const std::vector<commit_id>& sorted) {
    bytes all;
    all.reserve(sorted.size() * 32);
    for (const commit_id& id : sorted) all.append(id.view());
    return hash("trib.heads.1", all);
}

}  // namespace tributary::wire
