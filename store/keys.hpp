/// How the commit store lays out its keys: one byte says what, then the CRDT's handle, then what
/// names the thing there. Numbers are big-endian, so bulk data is written under ascending keys;
/// only the index is under hashes. The bytes are on disk: never reuse one.
#pragma once

#include "tributary/crdt/graph.hpp"
#include "tributary/value/bytes.hpp"

#include <cstdint>

namespace tributary::keys {

enum class space : char {
    meta = 'M',          ///< name -> the store's format
    state = 'S',         ///< handle -> state_record
    heads = 'H',         ///< handle -> head nodes
    loose = 'T',         ///< handle -> tips that do not count; none if there are none
    entry = 'A',         ///< handle, node -> entry_record
    body = 'B',          ///< handle, node -> body
    index = 'I',         ///< handle, commit id -> node
    author = 'a',        ///< handle, key, seq -> nodes (two: equivocation)
    equivocation = 'E',  ///< handle, node -> the earlier node of the same author and seq
    linear = 'L',        ///< handle, position -> 2 * node + mainline
    position = 'P',      ///< handle, node -> 2 * position + mainline
    authority = 'U',     ///< handle, number -> authority
    sketch = 'C',        ///< handle, cell -> how many entries, and cells of their sketch from there
    mark = 'K',          ///< handle, key -> mark
    blob = 'O',          ///< handle, blob id -> size, first node that names it
    lacking_blob = 'W',  ///< handle, node, blob id -> size: named there, not known to be here
    grants = 'G',        ///< handle, node -> 1: the commit grants or revokes
    cut = 'F',           ///< handle -> partial_cut; none: all is here
                         ///< handle, commit id below the cut -> 1: a parent, 0: only a prev
    removed = 'X',       ///< handle -> nothing: its other keys are to be erased
};

/// Those under which a replica's records are, but for its state.
inline constexpr space of_a_crdt[] = {space::heads,
                                      space::loose,
                                      space::entry,
                                      space::body,
                                      space::index,
                                      space::author,
                                      space::equivocation,
                                      space::linear,
                                      space::position,
                                      space::authority,
                                      space::sketch,
                                      space::mark,
                                      space::blob,
                                      space::lacking_blob,
                                      space::grants,
                                      space::cut};

inline bytes of(space s) { return bytes(1, static_cast<char>(s)); }

inline bytes of(space s, std::uint32_t handle) {
    bytes key;
    key.push_back(static_cast<char>(s));
    put_be32(key, handle);
    return key;
}

inline bytes of(space s, std::uint32_t handle, std::uint64_t number) {
    bytes key = of(s, handle);
    put_be64(key, number);
    return key;
}

inline bytes of(space s, std::uint32_t handle, bytes_view name) {
    bytes key;
    key.reserve(5 + name.size() + 8);
    key = of(s, handle);
    key += name;
    return key;
}

inline bytes of(space s, std::uint32_t handle, bytes_view name, std::uint64_t number) {
    bytes key = of(s, handle, name);
    put_be64(key, number);
    return key;
}

}  // namespace tributary::keys
