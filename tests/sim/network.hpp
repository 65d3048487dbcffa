/// The network between machines: connections that are dialed again and again, delay what they
/// carry, and break.
///
/// Frames of one connection arrive in the order they were sent, because a connection is a WebSocket
/// on TCP, which gives nothing less; a frame cut at any byte is a frame that never arrived. What is
/// under way when a connection breaks is lost, and sent again over the next one: that is where loss
/// and duplication are. What belongs to different connections, also to two between the same
/// machines, comes in any order; there are two when one end notices late that the first broke.
/// A partition holds back what goes one way between two machines, for a while or until silence
/// ends the connection.
#pragma once

#include "sim/run.hpp"
#include "sim/topology.hpp"
#include <deque>
#include <map>
#include <memory>
#include <set>

namespace tributary::sim {

/// What the network connects.
class machine {
public:
    virtual ~machine() = default;
    /// False while it has crashed.
    virtual bool up() const = 0;
    /// Until when it takes nothing from this connection: its disk is slow.
    virtual mono_ms busy_until(connection_id c) const = 0;
    /// Keeps to no rules.
    virtual bool hostile() const { return false; }

    virtual void dialed(connection_id c, bool live) = 0;
    virtual void accepted(connection_id c) = 0;
    virtual void received(connection_id c, const bytes& frame) = 0;
    /// So much of what it sent is still under way.
    virtual void backlog(connection_id c, std::size_t bytes) = 0;
    virtual void disconnected(connection_id c) = 0;
};

/// Sees each frame when it is sent and when it arrives, and judges.
class witness {
public:
    virtual ~witness() = default;
    virtual void sent(connection_id c, std::size_t from, std::size_t to, const bytes& frame) = 0;
    virtual void arrived(connection_id c, std::size_t from, std::size_t to, const bytes& frame) = 0;
    /// Both ends know it.
    virtual void ended(connection_id c) = 0;
};

class network {
public:
    network(run& r, witness& w) : run_(r), witness_(w) {}

    /// Machines are known by the order in which they were added.
    std::size_t add(machine& m);
    /// From now on one of them dials the other whenever they are not connected.
    void keep_connected(const edge& e);

    void send(std::size_t from, connection_id c, bytes frame);
    /// A clean end: what was sent before still arrives.
    void hang_up(connection_id c);
    /// The other end of a connection.
    std::optional<std::size_t> other_end(connection_id c, std::size_t machine) const;
    /// Whether it was dialed to hang up when it has caught up.
    bool is_short(connection_id c) const;
    std::size_t under_way(connection_id c, std::size_t from) const;
    bool is_hostile(std::size_t machine) const { return machines_[machine]->hostile(); }

    void break_all_of(std::size_t machine);
    /// A crash: this end is gone at once, with what it had sent and not yet received.
    void reset(std::size_t machine);
    /// Nothing gets from one to the other any more, until then.
    void hold(std::size_t from, std::size_t to, mono_ms until);
    void release_all() { held_.clear(); }
    /// Never to be dialed again.
    void remove(std::size_t machine);

private:
    struct lane {
        std::deque<bytes> frames;
        std::size_t waiting = 0;
        mono_ms last = 0;  ///< arrival of the newest frame: order is kept
    };
    struct connection {
        std::size_t dialer, acceptor, edge;
        bool broken = false;
        lane to_dialer, to_acceptor;
        bool dialer_knows = false, acceptor_knows = false;  ///< that it is broken
    };
    struct line {
        edge ends;
        bool up = false;
    };

    void dial(std::size_t line);
    void redial(std::size_t line);
    void deliver(connection_id c, bool to_dialer);
    void break_connection(connection_id c);
    void lose(connection_id c, bool at_dialer, mono_ms delay);
    void notice(connection_id c, bool at_dialer);
    mono_ms held_until(std::size_t from, std::size_t to) const;

    run& run_;
    witness& witness_;
    std::vector<machine*> machines_;
    std::set<std::size_t> removed_;
    std::vector<line> lines_;
    std::map<connection_id, connection> connections_;
    std::map<std::pair<std::size_t, std::size_t>, mono_ms> held_;
    connection_id last_ = 0;
};

}  // namespace tributary::sim
