#include "line_source.hpp"

#include "tributary/value/hash.hpp"
#include "tributary/value/msgpack.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace tributary::cli {

namespace {

constexpr std::size_t prefix_bytes_max = 4096;
constexpr std::size_t read_bytes = 256u << 10;
constexpr std::size_t line_bytes_max = 64u << 20;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr const char* purpose = "trib.source.1";

[[noreturn]] void throw_io(const std::string& what) {
    throw error(errno == ENOENT ? errc::not_found : errc::io, what + ": " + std::strerror(errno));
}

}  // namespace

bytes encode(const source_place& p) {
    return tributary::encode(value(vector{static_cast<std::int64_t>(p.offset),
                                          static_cast<std::int64_t>(p.prefix_bytes),
                                          blob{p.digest}}));
}

source_place decode_source_place(bytes_view data) {
    const value v = decode(data);
    const vector& parts = v.as<vector>();
    if (parts.size() != 3)
        throw error(errc::bad_input, "a damaged record of how far a source was read");
    return {static_cast<std::uint64_t>(parts[0].as<std::int64_t>()),
            static_cast<std::uint64_t>(parts[1].as<std::int64_t>()),
            parts[2].as<blob>().data};
}

bool is_same_file(const std::filesystem::path& file, const source_place& p) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(file, failed);
    if (failed || size < p.offset) return false;
    std::string head(p.prefix_bytes, '\0');
    std::ifstream in(file, std::ios::binary);
    in.read(head.data(), static_cast<std::streamsize>(head.size()));
    return in.gcount() == static_cast<std::streamsize>(head.size()) &&
           hash(purpose, head).view() == bytes_view(p.digest);
}

line_source::line_source(const std::string& path, std::uint64_t offset) : path_(path) {
    if (is_stdin()) {
        fd_ = STDIN_FILENO;
        return;
    }
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw_io("cannot read " + path);
    head_.resize(std::min<std::uint64_t>(offset, prefix_bytes_max));
    if (::pread(fd_, head_.data(), head_.size(), 0) != static_cast<ssize_t>(head_.size()) ||
        ::lseek(fd_, static_cast<off_t>(offset), SEEK_SET) < 0) {
        throw_io("cannot read " + path);
    }
    buffer_begin_ = consumed_ = offset;
}

line_source::~line_source() {
    if (fd_ > STDIN_FILENO) ::close(fd_);
}

bool line_source::fill(std::chrono::milliseconds patience) {
    if (at_ > 0) {
        buffer_.erase(0, at_);
        buffer_begin_ += at_;
        scanned_ -= at_;
        at_ = 0;
    }
    if (buffer_.size() > line_bytes_max) {  // keep nothing of such a line but its place
        skipping_ = true;
        line_begin_ = buffer_begin_;
    }
    if (skipping_) {
        buffer_begin_ += buffer_.size();
        buffer_.clear();
        scanned_ = 0;
    }
    if (is_stdin()) {
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return false;
    }
    const std::size_t before = buffer_.size();
    buffer_.resize(before + read_bytes);
    const ssize_t got = ::read(fd_, buffer_.data() + before, read_bytes);
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno != EINTR && errno != EAGAIN) throw_io("cannot read " + path_);
    if (got == 0) ended_ = is_stdin();
    if (head_.size() < prefix_bytes_max && buffer_begin_ + before == head_.size()) {
        head_.append(buffer_, before, prefix_bytes_max - head_.size());
    }
    return got > 0;
}

line_source::outcome line_source::next(std::chrono::milliseconds patience) {
    for (;;) {
        const std::size_t end = buffer_.find('\n', std::max(at_, scanned_));
        if (end != std::string::npos && skipping_) {
            skipping_ = false;
            text_ = {};
            at_ = scanned_ = end + 1;
            consumed_ = buffer_begin_ + at_;
            ++line_number_;
            return outcome::oversized;
        }
        if (end != std::string::npos) {
            line_begin_ = buffer_begin_ + at_;
            text_ = std::string_view(buffer_).substr(at_, end - at_);
            if (!text_.empty() && text_.back() == '\r') text_.remove_suffix(1);
            if (line_begin_ == 0 && text_.substr(0, byte_order_mark.size()) == byte_order_mark)
                text_.remove_prefix(byte_order_mark.size());
            at_ = scanned_ = end + 1;
            consumed_ = buffer_begin_ + at_;
            ++line_number_;
            return outcome::line;
        }
        scanned_ = buffer_.size();
        if (fill(patience)) continue;
        line_begin_ = buffer_begin_ + at_;
        text_ = std::string_view(buffer_).substr(at_);
        if (!is_stdin()) return text_.empty() ? outcome::waiting : outcome::partial;
        if (!ended_) return outcome::waiting;
        if (text_.empty()) return outcome::end;
        accept_partial();
        return outcome::line;
    }
}

void line_source::accept_partial() {
    at_ = scanned_ = buffer_.size();
    consumed_ = buffer_begin_ + at_;
    ++line_number_;
}

std::uint64_t line_source::size() const {
    struct stat s {};
    return !is_stdin() && ::fstat(fd_, &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
}

source_place line_source::place_at(std::uint64_t offset) const {
    const std::size_t prefix = std::min<std::uint64_t>(head_.size(), offset);
    return {offset, prefix, bytes(hash(purpose, bytes_view(head_).substr(0, prefix)).view())};
}

source_place line_source::place() const { return place_at(consumed_); }

source_place line_source::place_before() const { return place_at(line_begin_); }

bool line_source::was_renamed() const {
    struct stat there {};
    struct stat here {};
    if (is_stdin() || ::stat(path_.c_str(), &there) != 0 || ::fstat(fd_, &here) != 0) return false;
    return there.st_ino != here.st_ino || there.st_dev != here.st_dev;
}

bool line_source::was_truncated() const {
    if (is_stdin()) return false;
    if (size() < consumed_) return true;
    std::string now(head_.size(), '\0');
    return ::pread(fd_, now.data(), now.size(), 0) != static_cast<ssize_t>(now.size()) ||
           now != head_;
}

}  // namespace tributary::cli
