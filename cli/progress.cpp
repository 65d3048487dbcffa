#include "progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.hpp"
#include <algorithm>
#include <cstdio>

namespace tributary::cli {

namespace {

constexpr auto terminal_pause = std::chrono::milliseconds(100);
constexpr auto plain_pause = std::chrono::seconds(5);
constexpr std::size_t bar_columns_min = 8;
constexpr std::size_t bar_columns_max = 30;

std::size_t stderr_columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

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

void progress::show(std::uint64_t done,
                    std::uint64_t all,
                    const std::string& unit,
                    const std::string& more) {
    const auto now = clock::now();
    if (now < next_) return;
    next_ = now + (terminal_ ? clock::duration(terminal_pause) : plain_pause);
    const std::string of_all = all > 0 ? " of " + with_commas(all) : "";
    const std::string count =
        with_commas(done) + of_all + " " + unit + (more.empty() ? "" : ", " + more);
    if (!terminal_) {
        std::fputs((what_ + ": " + count + "\n").c_str(), stderr);
        return;
    }
    // One line of the terminal, whatever its width: a longer one would not be overwritten by the
    // next.
    const std::size_t columns = stderr_columns();
    std::string line = what_ + " " + count;
    if (const std::size_t room = columns - std::min(columns, line.size() + 4);
        all > 0 && room >= bar_columns_min) {
        const std::size_t width = std::min(room, bar_columns_max);
        const double part = static_cast<double>(std::min(done, all)) / static_cast<double>(all);
        const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
        line = what_ + " [" + std::string(filled, '=') + std::string(width - filled, ' ') + "] " +
               count;
    }
    line.resize(std::min(line.size(), columns - 1));
    std::fputs(("\r\033[K" + line).c_str(), stderr);
    std::fflush(stderr);
    drawn_ = true;
}

}  // namespace tributary::cli
