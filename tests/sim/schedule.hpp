/// Virtual time: what is to happen, in order. Nothing in a run knows another clock.
#pragma once

#include "tributary/peer/hub.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace tributary::sim {

class schedule {
public:
    mono_ms now() const { return now_; }

    /// What is to happen at the same time happens in the order in which it was said.
    void after(mono_ms delay, std::function<void()> what) {
        events_.push_back({now_ + delay, ++order_, std::move(what)});
        std::push_heap(events_.begin(), events_.end());
    }

    void run_until(mono_ms end) {
        while (!events_.empty() && events_.front().at <= end) {
            std::pop_heap(events_.begin(), events_.end());
            const event next = std::move(events_.back());
            events_.pop_back();
            now_ = next.at;
            next.what();
        }
        now_ = end;
    }

private:
    struct event {
        mono_ms at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const event& other) const {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    mono_ms now_ = 0;
    std::uint64_t order_ = 0;
    std::vector<event> events_;
};

}  // namespace tributary::sim
