/// Files by offset. Errors of all: io; no_space when the disk or a quota is full.
#pragma once

#include "tributary/value/bytes.hpp"
#include "tributary/value/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace tributary {

/// "cannot `doing` `file`: " and what the system says of `code`, an errno.
[[noreturn]] void fail_file(int code,
                            const std::string& doing,
                            const std::filesystem::path& file);

/// An open file. Thread rule: reads from any thread, also while one writes elsewhere in it.
class file {
public:
    file() = default;
    /// `flags` as of open(2); a new file is private.
    file(std::filesystem::path path, int flags);
    file(file&& from) noexcept;
    file& operator=(file&& from) noexcept;
    ~file();

    /// What is there, up to `size` bytes.
    bytes read(std::uint64_t offset, std::size_t size) const;
    void write(std::uint64_t offset, bytes_view data) const;
    /// Lets the disk begin with what was written, so that sync() has less to wait for.
    void start_writing(std::uint64_t offset, std::size_t size) const;
    void sync() const;
    std::uint64_t size() const;
    /// Gives back the room after `size`, as far as possible.
    void truncate(std::uint64_t size) const noexcept;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    int fd_ = -1;
};

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Makes names given and taken in `dir` durable.
void sync_directory(const std::filesystem::path& dir);

}  // namespace tributary
