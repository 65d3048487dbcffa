/// What a replica remembers of the peers that it dials, for each CRDT: a mark beside the commits.
#pragma once

#include "tributary/peer/links.hpp"
#include "tributary/store/commit_store.hpp"

#include <string>
#include <vector>

namespace tributary {

struct contact {
    std::string url;                        ///< its origin, ws://HOST:PORT
    std::optional<public_key> key;          ///< once it has been reached
    link_state state = link_state::idle;    ///< idle, offline or refused
    std::int64_t since_ms = 0;              ///< when that began, milliseconds since 1970
    std::optional<std::int64_t> synced_ms;  ///< when both last had everything
    std::string reason;                     ///< of the last failure; empty when idle
    bool operator==(const contact&) const = default;
};

std::optional<contact> load_contact(const commit_store& store,
                                    crdt_handle h,
                                    const std::string& url);
/// Staged, as a mark is.
void save_contact(commit_store& store, crdt_handle h, const contact& c);
/// All of them, by URL.
std::vector<contact> contacts_of(const commit_store& store, crdt_handle h);

}  // namespace tributary
