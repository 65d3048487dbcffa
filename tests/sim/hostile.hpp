/// A peer that keeps to no rules. It has a store and a hub like everyone, so that it gets far; what
/// it sends is bent, withheld, repeated or made up, another way on every connection.
#pragma once

#include "sim/peer.hpp"
#include <map>

namespace tributary::sim {

class hostile_peer final : public peer {
public:
    hostile_peer(run& r, network& n, peer_settings s, const crdt_id& target);

    bool hostile() const override { return true; }
    mono_ms busy_until(connection_id c) const override;
    void dialed(connection_id c, bool live) override;
    void accepted(connection_id c) override;
    void received(connection_id c, const bytes& frame) override;
    void disconnected(connection_id c) override;
    /// Commits that are valid, and odd: any known ones for parents, two of one seq.
    void act() override;

protected:
    void transmit(connection_id c, bytes frame) override;
    void closed(connection_id c, errc code, const std::string& reason) override;

private:
    enum class attack {
        none,       ///< only its commits are odd
        bends,      ///< fields of messages
        damages,    ///< bytes of frames
        garbage,    ///< frames of random bytes
        repeats,    ///< frames of any connection
        withholds,  ///< commits that others build on, and claims heads that nobody has
        sketches,   ///< cells that are wrong, without end
        unsigned_,  ///< signatures are wrong
        mute,       ///< says nothing any more
        deaf,       ///< reads nothing, and asks for much
        floods,     ///< asks for much
        forges,     ///< commits that are not valid
        count,
    };
    struct visit {
        attack what = attack::none;
        int frames = 0;
    };

    void begin(connection_id c);
    void strike(connection_id c, const visit& v);
    void flood(connection_id c);
    void forge(connection_id c);
    bytes withheld(const bytes& frame);
    bytes missigned(const bytes& frame);
    bytes lying_cells(const bytes& frame);
    bytes random_request();
    commit forged_commit();
    void put(connection_id c, bytes frame) { peer::transmit(c, std::move(frame)); }

    crdt_id target_;
    std::map<connection_id, visit> visits_;
    std::vector<bytes> heard_;  ///< and said: to be repeated
};

}  // namespace tributary::sim
