/// Values one after another in files that only grow: where bulk lies that no index should move
/// about (the value log of Lu et al., "WiscKey: Separating Keys from Values in SSD-conscious
/// Storage", FAST 2016).
///
/// Files `values-N` of a directory, N from 1. What a value's place is, its owner keeps; a place is
/// never used twice, also after a write that failed half-way. Thread rule: one thread appends and
/// drops files; reads from any thread.
#pragma once

#include "tributary/store/file.hpp"
#include "tributary/value/bytes.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace tributary {

struct value_place {
    std::uint64_t file = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t check = 0;  ///< of the value's bytes
};

/// Files by their number.
using value_files = std::map<std::uint64_t, std::shared_ptr<const file>>;

/// Reads values, of neighbours many in one go. Files that are dropped meanwhile stay readable.
class value_reader {
public:
    explicit value_reader(std::shared_ptr<const value_files> files) : files_(std::move(files)) {}

    /// Valid until the next call; nothing if the bytes there are not the value's, or there are
    /// none. Errors: io.
    std::optional<bytes_view> read(const value_place& p);

private:
    std::shared_ptr<const value_files> files_;
    bytes ahead_;  ///< of file_, from first_ on
    std::uint64_t file_ = 0;
    std::uint64_t first_ = 0;
    std::uint64_t last_end_ = 0;  ///< of the value read last
};

class value_log {
public:
    static constexpr std::uint64_t file_bytes = 1u << 30;

    /// Errors: io.
    explicit value_log(std::filesystem::path dir);

    /// Appends all of `values`; they are on the disk when this returns. Errors: io, no_space.
    std::vector<value_place> append(std::span<const bytes_view> values);
    /// What is there now.
    std::shared_ptr<const value_files> files() const;
    /// From now on values go into a file with nothing in it. Returns its number. It is the last and
    /// is not to be dropped, so that no number is used twice. Errors: io, no_space.
    std::uint64_t begin_file();
    /// Removes a file nothing is in that is needed. Errors: io.
    void drop(std::uint64_t number);

private:
    void set(value_files files);
    void open_file();

    const std::filesystem::path dir_;
    mutable std::mutex mutex_;  ///< of files_
    std::shared_ptr<const value_files> files_;
    std::uint64_t number_ = 0;  ///< of the last file
    std::uint64_t end_ = 0;     ///< of what was written there
    bool full_ = true;          ///< the last file takes no more
};

}  // namespace tributary
