/// A disk that a test can fill.
#pragma once

#include <sys/mount.h>

#include "store/temporary_directory.hpp"
#include <filesystem>
#include <fstream>
#include <string>

namespace tributary::testing {

/// A file system of a few MiB, so that a test can fill it. Absent where mounting is not permitted.
class small_disk {
public:
    explicit small_disk(const char* size) {
        const std::string options = std::string("mode=0700,size=") + size;
        mounted_ = ::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
    }
    ~small_disk() {
        if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;
    bool mounted() const { return mounted_; }
    std::filesystem::path path() const { return directory_.path(); }

    /// Takes all the space but for `left` bytes.
    void fill(std::uintmax_t left) const {
        std::ofstream ballast(path() / "ballast", std::ios::binary);
        const std::string block(4096, 'x');
        while (std::filesystem::space(path()).available > left + block.size() && ballast) {
            ballast << block << std::flush;
        }
    }
    void free() const { std::filesystem::remove(path() / "ballast"); }

private:
    temporary_directory directory_;
    bool mounted_ = false;
};

}  // namespace tributary::testing
