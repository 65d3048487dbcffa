/// The keys a current fact has in each index. Private to the room.
#pragma once

#include "tributary/datom/keys.hpp"

namespace tributary::datom {

inline bytes key_of_value(bytes_view raw) {
    bytes key;
    append_key(key, raw);
    return key;
}

inline bytes column_value(bytes_view raw) {
    return raw.size() > keys::column_value_bytes ? bytes(1, '\0') : bytes(raw);
}

inline bytes with_id(std::int64_t id, bytes_view rest) {
    bytes out;
    out.reserve(id_bytes + rest.size());
    put_id(out, id);
    return out.append(rest);
}

/// The keys of a current fact in each index.
struct current_keys {
    bytes e, a, v, r;

    current_keys(const attribute& attr, entity_id entity, bytes_view raw) {
        const bytes value_key = attr.many || attr.is_kept_by_value() ? key_of_value(raw) : bytes();
        e = keys::of_e_a(keys::eavt, entity, attr.number());
        a = keys::of_a_e(keys::aevt, attr.number(), entity);
        if (attr.many) {
            e += value_key;
            a += value_key;
        }
        if (attr.is_kept_by_value()) {
            v.reserve(5 + value_key.size() + id_bytes);
            v = keys::of_attribute(keys::avet, attr.number()).append(value_key);
            if (!attr.is_unique()) put_id(v, entity);
        }
        if (attr.is_ref()) {
            r = keys::of_target(keys::vaet, view_of_raw(raw).integer, attr.number());
            put_id(r, entity);
        }
    }
};

}  // namespace tributary::datom
