/// A budget of bytes that many share, and the parts of it that are taken. Thread rule: one thread.
#pragma once

#include "tributary/value/error.hpp"

#include <cstddef>
#include <utility>

namespace tributary {

struct memory_budget {
    std::size_t most = 0;
    std::size_t used = 0;
};

/// Given back when it goes.
class memory_share {
public:
    explicit memory_share(memory_budget& of) : of_(&of) {}
    memory_share(memory_share&& other) noexcept
        : of_(other.of_), bytes_(std::exchange(other.bytes_, 0)) {}
    memory_share& operator=(memory_share&&) = delete;
    ~memory_share() { of_->used -= bytes_; }

    /// Takes `bytes` in all. Errors: unavailable, named "limit/plan-bytes", if the others have left
    /// less; then nothing has changed.
    void set(std::size_t bytes) {
        if (bytes > bytes_ && of_->used - bytes_ + bytes > of_->most)
            throw error(errc::unavailable,
                        "limit/plan-bytes",
                        "this peer is busy finding out what others lack; try again later");
        of_->used = of_->used - bytes_ + bytes;
        bytes_ = bytes;
    }

private:
    memory_budget* of_;
    std::size_t bytes_ = 0;
};

}  // namespace tributary
