/// The witness of a run: what has crossed each connection, for the hash of the run and to see that
/// no commit crosses a connection between honest peers twice except by race.
///
/// A side never sends a commit that it has sent over this connection in this round. What may cross
/// again is what a side sends when it turns out that it cannot tell what the other has, which is a
/// new round.
#pragma once

#include "sim/network.hpp"
#include <map>

namespace tributary::sim {

class ledger : public witness {
public:
    ledger(run& r, const network& n) : run_(r), net_(n) {}

    void sent(connection_id c, std::size_t from, std::size_t to, const bytes& frame) override;
    void arrived(connection_id c, std::size_t from, std::size_t to, const bytes& frame) override;
    void ended(connection_id c) override;

    struct traffic {
        std::uint64_t frames = 0, sent_bytes = 0, payload_bytes = 0, commits = 0, hellos = 0;
    };
    /// Between honest peers, since the last call.
    traffic take_traffic() { return std::exchange(traffic_, {}); }
    const hash32& trail() const { return trail_; }

private:
    /// Of one connection and who sends over it.
    using lane = std::pair<connection_id, std::size_t>;

    run& run_;
    const network& net_;
    std::map<lane, std::map<commit_id, std::uint64_t>> rounds_;  ///< in which each was sent last
    traffic traffic_;
    hash32 trail_;
};

}  // namespace tributary::sim
