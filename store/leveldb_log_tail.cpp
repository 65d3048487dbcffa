/// The format, from LevelDB's doc/log_format.md: blocks of 32 KiB, in each records of
/// checksum (4 bytes, of type and data), length (2), type (1), data; a batch is one FULL record or
/// FIRST MIDDLE* LAST; fewer than 7 bytes at the end of a block are zeros.
#include "tributary/store/leveldb_log_tail.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <cstdint>

namespace tributary {

namespace {

constexpr std::size_t block_size = 32768;
constexpr std::size_t header_size = 7;
enum record_type : unsigned { full = 1, first = 2, middle = 3, last = 4 };

/// So many zeros in a row are data that never reached the disk.
constexpr std::size_t missing_zeros_min = 128;
constexpr std::size_t missing_zeros_at_end_min = 8;

std::uint32_t little_endian(bytes_view b) {
    std::uint32_t n = 0;
    for (std::size_t i = 4; i-- > 0;) n = n << 8 | static_cast<unsigned char>(b[i]);
    return n;
}

struct record {
    unsigned type = 0;
    std::size_t end = 0;
};

/// The record at `at` as its header has it; type 0 if it cannot be one.
record record_at(bytes_view log, std::size_t at) {
    const std::size_t block_end = std::min(log.size(), (at / block_size + 1) * block_size);
    if (block_end - at < header_size) return {};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(log[at + i]); };
    const record r{byte(6), at + header_size + (byte(4) | std::size_t{byte(5)} << 8)};
    if (r.type < full || r.type > last || r.end > block_end) return {};
    return r;
}

/// Whether the checksum at `at` is that of a record of this type and length.
bool checks(bytes_view log, std::size_t at, const record& r) {
    boost::crc_optimal<32, 0x1edc6f41, 0xffffffff, 0xffffffff, true, true> crc;
    crc.process_byte(static_cast<unsigned char>(r.type));
    crc.process_bytes(log.data() + at + header_size, r.end - at - header_size);
    const std::uint32_t sum = crc.checksum();
    return little_endian(log.substr(at, 4)) == ((sum >> 15 | sum << 17) + 0xa282ead8u);
}

struct walk_result {
    std::size_t batch = 0;   ///< where the last batch begins; of a bad one, the bad one
    std::size_t record = 0;  ///< where the record is that is bad
    bool good = true;
};

/// From a batch that begins at `at` to the end of the log, or to what is no record.
walk_result walk(bytes_view log, std::size_t at, bool with_checksums) {
    walk_result w{at, at};
    bool inside = false;
    while (at < log.size()) {
        const std::size_t left_in_block = block_size - at % block_size;
        if (left_in_block < header_size) {
            at += left_in_block;
            continue;
        }
        const record r = record_at(log, at);
        const bool begins = r.type == full || r.type == first;
        if (begins && !inside) w.batch = at;
        if (r.type == 0 || begins == inside || (with_checksums && !checks(log, at, r))) {
            if (!inside) w.batch = at;
            w.record = at;
            w.good = false;
            return w;
        }
        inside = r.type == first || r.type == middle;
        at = r.end;
    }
    w.record = log.size();
    w.good = !inside;
    return w;
}

bool begins_batch(bytes_view log, std::size_t at) {
    const record r = record_at(log, at);
    return (r.type == full || r.type == first) && checks(log, at, r);
}

/// Whether a batch begins somewhere after `at` whose record checks: it was written after whatever
/// is at `at` had been synced. Where records begin is known only at the blocks' starts; in the
/// block of `at`, whose lengths cannot be believed, every place is tried.
bool is_followed(bytes_view log, std::size_t at) {
    std::size_t block = std::min(log.size(), (at / block_size + 1) * block_size);
    for (std::size_t i = at + 1; i < block; ++i)
        if (begins_batch(log, i)) return true;
    for (; block < log.size(); block += block_size) {
        std::size_t i = block;
        for (record r = record_at(log, i); r.type != 0 && checks(log, i, r);
             r = record_at(log, i = r.end))
            if (r.type == full || r.type == first) return true;
    }
    return false;
}

/// Whether the record at `at` would be good if its header said something else.
bool has_wrong_header(bytes_view log, std::size_t at) {
    const std::size_t end = std::min(log.size(), (at / block_size + 1) * block_size);
    if (end < at + header_size) return false;
    for (const unsigned type : {full, first, middle, last})
        if (checks(log, at, {type, end})) return true;
    return false;
}

/// Whether the last batch has all its bytes, though not the right ones.
bool has_all_its_bytes(bytes_view log, const walk_result& bad) {
    if (has_wrong_header(log, bad.record)) return true;
    const std::size_t at = bad.batch;
    if (!walk(log, at, false).good) return false;
    std::size_t zeros = 0;
    for (std::size_t i = at; i < log.size(); ++i) {
        zeros = log[i] == '\0' ? zeros + 1 : 0;
        if (zeros >= missing_zeros_min) return false;
    }
    return zeros < missing_zeros_at_end_min;
}

}  // namespace

leveldb_log_tail judge_leveldb_log(bytes_view log) {
    using state = leveldb_log_tail::state;
    const walk_result shape = walk(log, 0, false);
    if (shape.good && walk(log, shape.batch, true).good) return {state::whole, log.size()};
    const walk_result bad = walk(log, 0, true);
    if (is_followed(log, bad.batch) || has_all_its_bytes(log, bad))
        return {state::damaged, bad.batch};
    return {state::torn, bad.batch};
}

}  // namespace tributary
