#include "fuzz/driver.hpp"

#include "tributary/value/error.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

namespace tributary::fuzz {
namespace {

struct arguments {
    double seconds = 4;
    std::uint64_t seed = 1;
    std::string only;
    std::string crashers;
};

arguments parse(int argc, char** argv) {
    arguments a;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool valued = i + 1 < argc;
        if (word == "--seconds" && valued) {
            a.seconds = std::stod(argv[++i]);
        } else if (word == "--seed" && valued) {
            a.seed = std::stoull(argv[++i]);
        } else if (word == "--target" && valued) {
            a.only = argv[++i];
        } else if (word.starts_with("--") || !a.crashers.empty()) {
            throw std::invalid_argument(
                "usage: [--seconds N] [--seed N] [--target NAME] [CRASHERS]");
        } else {
            a.crashers = word;
        }
    }
    return a;
}

void take(const target& t, const bytes& input) {
    try {
        t.take(input);
    } catch (const error&) {
        // That is how bad input ends.
    }
}

void run_crashers(const target& t, const std::string& directory) {
    if (directory.empty()) return;
    std::set<std::filesystem::path> files;
    for (const auto& f : std::filesystem::directory_iterator(directory))
        if (f.path().filename().string().starts_with(t.name + "-")) files.insert(f.path());
    for (const auto& path : files) {
        std::cout << path.filename().string() << std::endl;
        std::ifstream in(path, std::ios::binary);
        take(t, bytes(std::istreambuf_iterator<char>(in), {}));
    }
}

long run(const target& t, double seconds, std::uint64_t seed) {
    for (const bytes& s : t.samples) take(t, s);
    sim::random_source random(seed);
    const std::string path = "fuzz-" + t.name + "-input";
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    long tried = 0;
    const int last = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    for (; std::chrono::steady_clock::now() < end; ++tried) {
        const bytes input = t.next(random);
        const bool kept = pwrite(last, input.data(), input.size(), 0) >= 0 &&
                          ftruncate(last, static_cast<off_t>(input.size())) == 0;
        if (!kept) throw std::runtime_error("cannot write " + path);
        take(t, input);
    }
    close(last);
    std::filesystem::remove(path);
    return tried;
}

}  // namespace

void fail(const std::string& what) {
    std::cerr << what << std::endl;
    std::abort();
}

int drive(int argc, char** argv, const std::vector<target>& targets) {
    try {
        const arguments a = parse(argc, argv);
        std::vector<const target*> chosen;
        for (const target& t : targets)
            if (a.only.empty() || a.only == t.name) chosen.push_back(&t);
        if (chosen.empty()) throw std::invalid_argument("no target " + a.only);
        std::cout << "seed " << a.seed << std::endl;
        for (const target* t : chosen) {
            run_crashers(*t, a.crashers);
            const double share = a.seconds / static_cast<double>(chosen.size());
            std::cout << t->name << ": " << run(*t, share, a.seed) << " inputs" << std::endl;
        }
        return 0;
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 2;
    }
}

}  // namespace tributary::fuzz
