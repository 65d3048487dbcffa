/// Going to a peer with what is to be synced with it. Private to the node's stage.
#pragma once

#include "tributary/peer/node.hpp"
#include "tributary/peer/stage.hpp"

#include <string>
#include <vector>

namespace tributary {

/// The mark of a CRDT that says where it was last synced.
inline constexpr const char* remote_mark = "remote";

/// One CRDT of a trip.
struct errand {
    std::string name;  ///< here
    want what;
};

/// A peer, and what is to be synced with it.
struct trip {
    peer_url to;
    tls_trust trust;
    std::vector<errand> errands;
};

/// A trip to `url`, or to the peer that `h` was last synced with if it is empty, without errands.
/// `trust`: as in connect_options. Errors: bad_input (the URL), misuse (there was no such peer).
trip trip_to(const commit_store& store,
             crdt_handle h,
             const std::string& url,
             const tls_trust& trust);

/// Brings the CRDTs up to date, over as many connections as it takes, one at a time. What goes
/// wrong is in the report, where they stand in the order of the errands. Errors: canceled
/// (`keep_going` said no before all were up to date), limit (more to follow than fit a connection).
joint_report make_trip(peer_node& n, trip t, const connect_options& options);

}  // namespace tributary
