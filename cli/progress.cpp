#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "output.hpp"
#include <algorithm>
#include <cstdio>

namespace tributary::cli {

namespace {

constexpr auto terminal_pause = std::chrono::milliseconds(100);
constexpr auto plain_pause = std::chrono::seconds(5);
constexpr std::size_t bar_columns = 30;

}  // namespace

progress::progress(std::string what)
    : what_(std::move(what)),
      terminal_(isatty(STDERR_FILENO) != 0),
      next_(clock::now() + (terminal_ ? clock::duration(terminal_pause) : plain_pause)) {}

progress::~progress() { clear(); }

void progress::clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
}

void progress::show(std::uint64_t done, std::uint64_t all, const std::string& more) {
    const auto now = clock::now();
    if (now < next_) return;
    next_ = now + (terminal_ ? clock::duration(terminal_pause) : plain_pause);
    const std::string count =
        all > 0 ? with_commas(done) + " of " + with_commas(all) : with_commas(done);
    const std::string tail = more.empty() ? "" : ", " + more;
    if (!terminal_) {
        std::fputs((what_ + ": " + count + tail + "\n").c_str(), stderr);
        return;
    }
    std::string bar;
    if (all > 0) {
        const auto filled = static_cast<std::size_t>(static_cast<double>(std::min(done, all)) /
                                                     static_cast<double>(all) * bar_columns);
        bar = " [" + std::string(filled, '=') + std::string(bar_columns - filled, ' ') + "]";
    }
    std::fputs(("\r\033[K" + what_ + bar + " " + count + tail).c_str(), stderr);
    std::fflush(stderr);
    drawn_ = true;
}

}  // namespace tributary::cli
