#include "tributary/datom/stream_log.hpp"

#include "tributary/datom/keys.hpp"
#include "tributary/value/msgpack.hpp"

namespace tributary::datom {

bytes pack(const stream_cursor& c) {
    return encode(vector{value(c.position), blob{c.commit}, blob{c.dispatch}, value(c.epoch)});
}

stream_cursor unpack_cursor(bytes_view data) {
    const value record = decode(data);
    const auto& fields = record.as<vector>();
    stream_cursor c;
    c.position = static_cast<std::uint64_t>(fields.at(0).as<std::int64_t>());
    c.commit = fields.at(1).as<blob>().data;
    c.dispatch = fields.at(2).as<blob>().data;
    c.epoch = static_cast<std::uint64_t>(fields.at(3).as<std::int64_t>());
    return c;
}

bytes pack(const applied_commit& a) {
    bytes out;
    put_id(out, a.t);
    return out.append(a.commit);
}

applied_commit unpack_applied(bytes_view data) {
    const std::int64_t t = get_id(take_bytes(data, id_bytes).data());
    return {t, bytes(data)};
}

std::optional<stream_cursor> read_cursor(const kv_reader& store, const std::string& stream) {
    const auto found = store.get(keys::of_stream(stream));
    if (!found) return std::nullopt;
    return unpack_cursor(*found);
}

std::optional<applied_commit> read_applied(const kv_reader& store,
                                           const std::string& stream,
                                           std::uint64_t position) {
    const auto found = store.get(keys::of_applied(stream, position));
    if (!found) return std::nullopt;
    return unpack_applied(*found);
}

std::vector<std::string> stream_names(const kv_reader& store) {
    std::vector<std::string> names;
    const auto cursor = store.cursor();
    const bytes prefix(1, keys::stream);
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next())
        names.emplace_back(cursor->key().substr(1));
    return names;
}

std::optional<std::uint64_t> position_at(const kv_reader& store,
                                         const std::string& stream,
                                         std::uint64_t last,
                                         std::int64_t t) {
    const bytes first = keys::of_applied(stream, 0);
    const bytes_view prefix = bytes_view(first).substr(0, first.size() - 8);
    const auto cursor = store.cursor();
    for (cursor->seek_back(keys::of_applied(stream, last));
         cursor->valid() && cursor->key().starts_with(prefix);
         cursor->prev())
        if (unpack_applied(cursor->val()).t <= t)
            return get_be64(cursor->key().substr(prefix.size()));
    return std::nullopt;
}

}  // namespace tributary::datom
