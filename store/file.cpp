#include "tributary/store/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tributary {

namespace fs = std::filesystem;

void fail_file(int code, const std::string& doing, const fs::path& file) {
    const std::string what = "cannot " + doing + " " + file.string() + ": " + std::strerror(code);
    if (code == ENOSPC || code == EDQUOT)
        throw error(errc::no_space, what + "; free some space and try again");
    throw error(errc::io, what);
}

file::file(fs::path path, int flags) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0600);
    if (fd_ < 0) fail_file(errno, "open", path_);
}

file::file(file&& from) noexcept
    : path_(std::move(from.path_)), fd_(std::exchange(from.fd_, -1)) {}

file& file::operator=(file&& from) noexcept {
    std::swap(path_, from.path_);
    std::swap(fd_, from.fd_);
    return *this;
}

file::~file() {
    if (fd_ >= 0) ::close(fd_);
}

bytes file::read(std::uint64_t offset, std::size_t size) const {
    bytes out(size, '\0');
    std::size_t got = 0;
    while (got < size) {
        const ssize_t n =
            ::pread(fd_, out.data() + got, size - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_file(errno, "read", path_);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    out.resize(got);
    return out;
}

void file::write(std::uint64_t offset, bytes_view data) const {
    while (!data.empty()) {
        const ssize_t n = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_file(errno, "write to", path_);
        data.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
}

void file::start_writing(std::uint64_t offset, std::size_t size) const {
    ::sync_file_range(
        fd_, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

void file::sync() const {
    if (::fdatasync(fd_) != 0) fail_file(errno, "write to", path_);
}

std::uint64_t file::size() const {
    struct ::stat s {};
    if (::fstat(fd_, &s) != 0) fail_file(errno, "look at", path_);
    return static_cast<std::uint64_t>(s.st_size);
}

void file::truncate(std::uint64_t size) const noexcept {
    // It is after another error, which is the one that is told.
    [[maybe_unused]] const int ignored = ::ftruncate(fd_, static_cast<off_t>(size));
}

void rename_file(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) fail_file(errno, "rename", from);
}

void sync_directory(const fs::path& dir) { file(dir, O_RDONLY | O_DIRECTORY).sync(); }

}  // namespace tributary
