/// What two sets of commits differ by, at a cost that depends on the difference alone: rateless set
/// reconciliation. Yang, Gilad, Alizadeh: "Practical Rateless Set Reconciliation", SIGCOMM 2024.
///
/// A set is summed up by an endless sequence of cells. An id is in cell 0 and in cell i with a
/// probability of 1 / (1 + i / 2), at places that follow from the id alone. The difference of two
/// sets' cells is the sequence of the sets' difference, and about 1.35 to 1.75 times as many cells
/// as there are ids in it are enough to read them off. Nobody needs to know in advance how many
/// that are: one side sends cells until the other has enough.
///
/// docs/protocol.md gives the bytes and the arithmetic. Everything here is a hint: whoever knows a
/// CRDT can make ids that spoil a sketch, and then it only fails to tell.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

namespace tributary::sketch {

/// The first 8 bytes of a commit's id, big-endian: what sketches are made of.
using short_id = std::uint64_t;
short_id short_of(const commit_id& id);

struct cell {
    std::uint64_t ids = 0;     ///< all its ids together, by exclusive or
    std::uint64_t checks = 0;  ///< the same of their checks
    std::int64_t count = 0;
    bool operator==(const cell&) const = default;
};

/// The checks and places of the ids of one CRDT.
class mapping {
public:
    explicit mapping(const crdt_id& crdt);
    /// A keyed hash (SipHash-2-4 under the first half of the CRDT's id).
    std::uint64_t check(short_id id) const;

    /// The cells that an id is in, ascending from 0.
    class places {
    public:
        explicit places(std::uint64_t check) : random_(check) {}
        std::uint64_t at() const { return at_; }
        void next();

    private:
        std::uint64_t random_;
        std::uint64_t at_ = 0;
    };

private:
    std::array<unsigned char, 16> key_;
};

/// Adds `id` to those cells that it is in, or takes it out (`times` is -1), where cells[0] is the
/// sequence's cell `first`. O(log(first + cells)).
void add(
    const mapping& m, short_id id, std::span<cell> cells, std::uint64_t first = 0, int times = 1);

/// Reads a difference off its cells.
class decoder {
public:
    /// `m` must outlive it.
    explicit decoder(const mapping& m) : mapping_(m) {}

    /// The sequence's next cells, of both sets. Errors: bad_input if they are no cells of sets.
    /// Amortized O(log(cells)) for each id found.
    void take(std::span<const cell> ours, std::span<const cell> theirs);
    /// Whether all of the difference has been found. False before the first cell.
    bool done() const;
    std::size_t taken() const { return cells_.size(); }
    /// How large the difference is, from the cells taken: with 192 of them good to a tenth.
    double estimate() const;

    std::vector<short_id> only_ours() const { return found_of(true); }
    std::vector<short_id> only_theirs() const { return found_of(false); }

private:
    struct found {
        short_id id;
        std::uint64_t check;
        bool ours;
        mapping::places next;
    };
    void estimate_from(std::size_t first);
    void remove(found& f);
    void read_off(std::size_t number);
    std::vector<short_id> found_of(bool ours) const;

    const mapping& mapping_;
    std::vector<cell> cells_;  ///< the difference, ours less theirs, without what was found
    double excess_ = 0;        ///< how much more ours has than theirs
    double squares_ = 0;       ///< the sum of estimates by each cell but the first
    std::vector<found> found_;
    std::unordered_set<short_id> known_;
    std::vector<std::size_t> pure_;  ///< cells that may hold a single id
};

}  // namespace tributary::sketch
