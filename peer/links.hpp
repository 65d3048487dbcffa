/// What stands between two replicas of a CRDT: what either lacks, since when, and why.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace tributary {

/// Why a side lacks what the other has, or that it does not.
enum class link_state : std::uint8_t {
    live,            ///< connected; both have everything, what is new goes at once
    comparing,       ///< connected; finding out what either side lacks
    fetching,        ///< commits are on their way here
    sending,         ///< commits are on their way there
    verifying,       ///< what has come is being checked and written
    throttled,       ///< one side takes no more at present: it writes what it was sent, or the
                     ///< other has taken its share
    missing_parent,  ///< what came builds on commits that are not here; they are asked for
    idle,            ///< not connected; when it last was, both had everything
    offline,         ///< not connected: the peer cannot be reached, or went away
    refused,         ///< not connected: one side said no, and would again
};

/// "live", "missing parent", ...
const char* name_of(link_state s) noexcept;

/// Whether a connection in this state is open.
inline bool is_connected(link_state s) { return s < link_state::idle; }

/// The state that a connection which ended with `code` leaves behind: refused, if the same would
/// happen again.
link_state state_after(errc code) noexcept;

/// Says that the clock of `peer` is `ahead_ms` before or behind this machine's, and what to do.
std::string clock_warning(const std::string& peer, const std::string& crdt, std::int64_t ahead_ms);

/// What is known of what either side lacks. Nothing: it is being found out.
struct link_lag {
    std::optional<std::uint64_t> they_lack;  ///< commits here that they have not acknowledged
    std::optional<std::uint64_t> we_lack;    ///< commits there that are not here, at least
};

}  // namespace tributary
