#include "tributary/datom/log.hpp"

#include "tributary/datom/keys.hpp"
#include "tributary/datom/schema.hpp"

namespace tributary::datom {

namespace {

/// First byte of an entry: what it is and how it is packed.
enum class entry_kind : char { transaction = 1, rewind = 2 };

void put_text(bytes& out, bytes_view text) {
    put_varint(out, text.size());
    out.append(text);
}

bytes_view take_text(bytes_view& in) {
    const std::uint64_t n = take_varint(in);
    return take_bytes(in, n);
}

void put_mark(bytes& out, const rewind_mark& m) {
    put_varint(out, static_cast<std::uint64_t>(m.to));
    put_varint(out, m.position);
    put_text(out, m.stream);
}

rewind_mark take_mark(bytes_view& in) {
    rewind_mark m;
    m.to = static_cast<std::int64_t>(take_varint(in));
    m.position = take_varint(in);
    m.stream = take_text(in);
    return m;
}

}  // namespace

void pack(bytes& out, const log_entry& entry) {
    out.push_back(static_cast<char>(entry.rewind ? entry_kind::rewind : entry_kind::transaction));
    put_varint(out, zigzag(entry.instant_ms));
    if (entry.rewind) put_mark(out, *entry.rewind);
    put_varint(out, entry.datoms.size());
    entity_id previous = 0;
    for (const log_datom& d : entry.datoms) {
        put_varint(out, zigzag(d.e - previous));
        previous = d.e;
        put_varint(out,
                   static_cast<std::uint64_t>(d.a - system_partition) << 1 | (d.added ? 1 : 0));
        if (!d.added) put_varint(out, static_cast<std::uint64_t>(d.asserted_t));
        put_text(out, d.raw);
    }
}

log_entry unpack_log_entry(std::int64_t t, bytes_view data) {
    std::vector<log_datom> datoms;
    log_entry entry = read_log_entry(t, data, [&](const log_datom_view& d) {
        datoms.push_back({d.e, d.a, bytes(d.raw), d.added, d.asserted_t});
    });
    entry.datoms = std::move(datoms);
    return entry;
}

log_entry read_log_entry(std::int64_t t,
                         bytes_view data,
                         const std::function<void(const log_datom_view&)>& visit) {
    log_entry entry;
    entry.t = t;
    const char kind = take_bytes(data, 1).front();
    if (kind != static_cast<char>(entry_kind::transaction) &&
        kind != static_cast<char>(entry_kind::rewind))
        throw error(errc::newer_version,
                    "the transaction log has entries of a newer version; use a newer tributary");
    entry.instant_ms = unzigzag(take_varint(data));
    if (kind == static_cast<char>(entry_kind::rewind)) entry.rewind = take_mark(data);
    const std::uint64_t count = take_varint(data);
    entity_id e = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        log_datom_view d;
        d.e = e += unzigzag(take_varint(data));
        const std::uint64_t packed = take_varint(data);
        d.a = system_partition + static_cast<entity_id>(packed >> 1);
        d.added = packed & 1;
        if (!d.added) d.asserted_t = static_cast<std::int64_t>(take_varint(data));
        d.raw = take_text(data);
        visit(d);
    }
    return entry;
}

bytes pack(const rewind_mark& m) {
    bytes out;
    put_mark(out, m);
    return out;
}

rewind_mark unpack_rewind_mark(bytes_view data) { return take_mark(data); }

void scan_log(const kv_reader& store,
              std::int64_t first,
              std::int64_t end,
              const std::function<bool(const log_entry&)>& visit) {
    scan_log_bytes(store, first, end, [&](std::int64_t t, bytes_view entry) {
        return visit(unpack_log_entry(t, entry));
    });
}

void scan_log_bytes(const kv_reader& store,
                    std::int64_t first,
                    std::int64_t end,
                    const std::function<bool(std::int64_t t, bytes_view entry)>& visit) {
    const auto cursor = store.cursor();
    for (cursor->seek(keys::of_id(keys::log, first));
         cursor->valid() && cursor->key().front() == keys::log;
         cursor->next()) {
        const std::int64_t t = get_id(cursor->key().data() + 1);
        if (t >= end || !visit(t, cursor->val())) return;
    }
}

}  // namespace tributary::datom
