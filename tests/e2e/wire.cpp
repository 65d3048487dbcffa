/// wire NAMESPACE DEVICE NAMESPACE DEVICE [--delay MS] [--loss PERCENT] [--rate BITS] [--seed N]
///
/// A bad cable between two network namespaces: makes a TUN device in each and carries packets
/// between them, late, slowly, and not all. Says "ready" when both are there. SIGUSR1 cuts what
/// goes from the first to the second, or mends it; SIGUSR2 the other direction. (tc netem does the
/// same where the kernel has it, but many kernels of virtual machines do not.)
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

using clock = std::chrono::steady_clock;

/// Of the queue before the slow part, as in a router; what comes then is lost.
constexpr std::chrono::milliseconds queue_max{500};

volatile std::sig_atomic_t cut[2] = {0, 0};
void toggle_first(int) { cut[0] = !cut[0]; }
void toggle_second(int) { cut[1] = !cut[1]; }

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

int open_device(const std::string& network, const std::string& name) {
    const int there = open(("/run/netns/" + network).c_str(), O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) != 0) fail("network namespace " + network);
    close(there);
    const int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) fail("/dev/net/tun");
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    if (ioctl(device, TUNSETIFF, &request) != 0) fail("device " + name);
    return device;
}

struct quality {
    std::chrono::microseconds delay{100'000};
    double loss = 0.02;
    double bits_per_second = 1e6;
};

/// One direction.
class lane {
public:
    lane(int from, int to, const quality& q, unsigned seed)
        : from_(from), to_(to), quality_(q), random_(seed) {}

    void take(bool is_cut) {
        std::array<char, 65536> buffer;
        for (;;) {
            const ssize_t n = read(from_, buffer.data(), buffer.size());
            if (n <= 0) return;  // nothing more, or the device is down
            const clock::time_point now = clock::now();
            free_ = std::max(free_, now);
            if (is_cut || chance_(random_) < quality_.loss || free_ - now > queue_max) continue;
            free_ += std::chrono::microseconds(
                static_cast<long>(static_cast<double>(n) * 8e6 / quality_.bits_per_second));
            packets_.push_back({free_ + quality_.delay, std::string(buffer.data(), n)});
        }
    }
    void give() {
        for (; !packets_.empty() && packets_.front().due <= clock::now(); packets_.pop_front()) {
            const std::string& data = packets_.front().data;
            if (write(to_, data.data(), data.size()) < 0) continue;  // the device is down: lost
        }
    }
    /// Until something is due, -1 for ever.
    int wait_ms() const {
        if (packets_.empty()) return -1;
        const auto left = packets_.front().due - clock::now();
        const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        return static_cast<int>(std::max<long>(0, ms));
    }

private:
    struct packet {
        clock::time_point due;
        std::string data;
    };
    int from_, to_;
    quality quality_;
    std::mt19937 random_;
    std::uniform_real_distribution<> chance_{0, 1};
    clock::time_point free_{};
    std::deque<packet> packets_;
};

void carry(const std::array<std::string, 4>& ends, const quality& q, unsigned seed) {
    const int a = open_device(ends[0], ends[1]), b = open_device(ends[2], ends[3]);
    lane there(a, b, q, seed), back(b, a, q, seed + 1);
    std::signal(SIGUSR1, toggle_first);
    std::signal(SIGUSR2, toggle_second);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) {
        pollfd wait[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
        const int first = there.wait_ms(), second = back.wait_ms();
        const int ms = first < 0 ? second : second < 0 ? first : std::min(first, second);
        poll(wait, 2, ms);
        // A device that is down says so at once.
        if (((wait[0].revents | wait[1].revents) & POLLERR) != 0) poll(nullptr, 0, 10);
        there.take(cut[0] != 0);
        back.take(cut[1] != 0);
        there.give();
        back.give();
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        std::array<std::string, 4> ends;
        quality q;
        unsigned seed = 1;
        std::size_t given = 0;
        for (int i = 1; i < argc; ++i) {
            const std::string word = argv[i];
            const bool option = word.starts_with("--");
            if (option ? i + 1 == argc : given == ends.size())
                throw std::invalid_argument("wrong usage");
            if (!option) {
                ends[given++] = word;
                continue;
            }
            const double number = std::stod(argv[++i]);
            if (word == "--delay") {
                q.delay = std::chrono::microseconds(static_cast<long>(number * 1000));
            } else if (word == "--loss") {
                q.loss = number / 100;
            } else if (word == "--rate") {
                q.bits_per_second = number;
            } else if (word == "--seed") {
                seed = static_cast<unsigned>(number);
            } else {
                throw std::invalid_argument("no option " + word);
            }
        }
        if (given != ends.size()) throw std::invalid_argument("wrong usage");
        carry(ends, q, seed);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "wire: %s\n", e.what());
        return 1;
    }
}
