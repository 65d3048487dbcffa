/// A budget that fills up again: so much at once, so much a second. What is spent beyond it is
/// owed.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tributary {

class token_bucket {
public:
    /// `rate` a second, `burst` at once; a rate of 0 is no limit.
    token_bucket(double rate, double burst) : rate_(rate), burst_(burst), level_(burst) {}

    void spend(double amount, std::int64_t now_ms) {
        fill(now_ms);
        level_ -= amount;
    }
    /// Whether more is owed than there is.
    bool is_empty(std::int64_t now_ms) {
        fill(now_ms);
        return rate_ > 0 && level_ < 0;
    }
    /// Whether nothing of it is spent.
    bool is_full(std::int64_t now_ms) {
        fill(now_ms);
        return rate_ == 0 || level_ >= burst_;
    }

private:
    void fill(std::int64_t now_ms) {
        if (filled_ms_ != 0)
            level_ =
                std::min(burst_, level_ + rate_ * static_cast<double>(now_ms - filled_ms_) / 1000);
        filled_ms_ = now_ms;
    }

    double rate_, burst_, level_;
    std::int64_t filled_ms_ = 0;
};

}  // namespace tributary
