/// Stages to play with over real sockets.
#pragma once

#include "tributary/peer/stage.hpp"

#include <catch2/catch.hpp>

#include "store/temporary_directory.hpp"
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace tributary::testing {

using namespace std::chrono_literals;

inline op note(const std::string& text) { return {symbol{"note"}, make_map({{"text", text}})}; }

inline void add_notes(stage& s, const std::string& name, int count, const std::string& text = "n") {
    for (int i = 0; i < count; ++i) s.transact(name, {note(text + std::to_string(i))});
}

inline bool eventually(const std::function<bool()>& holds,
                       std::chrono::milliseconds patience = 10s) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// `s.serve` on a thread of its own, until destroyed.
class serving {
public:
    explicit serving(stage& s, const std::string& listen = "127.0.0.1:0") {
        std::promise<std::string> bound;
        auto address = bound.get_future();
        thread_ = std::thread([this, &s, listen, bound = std::move(bound)]() mutable {
            try {
                s.serve(
                    {listen},
                    [&](const std::string& at) { bound.set_value(at); },
                    [this] { return !stop_; });
            } catch (...) {
                try {
                    bound.set_exception(std::current_exception());
                } catch (const std::future_error&) {
                    // It was bound before it failed.
                }
            }
        });
        try {
            address_ = address.get();
        } catch (...) {
            thread_.join();
            throw;
        }
    }
    ~serving() {
        stop_ = true;
        thread_.join();
    }
    const std::string& address() const { return address_; }
    std::string host_port() const { return address_.substr(5); }

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
    std::string address_;
};

/// `s.connect(..., follow)` on a thread of its own, until destroyed.
class following {
public:
    following(stage& s, const std::string& name, const std::string& url) {
        thread_ = std::thread([this, &s, name, url] {
            try {
                report_ = s.connect(name, url, {true, [this](const sync_progress& p) {
                                                    std::lock_guard lock(mutex_);
                                                    state_ = p.state;
                                                    return !stop_;
                                                }});
            } catch (const error& e) {
                std::lock_guard lock(mutex_);
                state_ = std::string("failed: ") + e.what();
            }
        });
    }
    ~following() {
        stop_ = true;
        thread_.join();
    }
    std::string state() const {
        std::lock_guard lock(mutex_);
        return state_;
    }
    bool waiting() const { return state().starts_with("waiting"); }

private:
    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    std::string state_;
    sync_report report_;
    std::thread thread_;
};

}  // namespace tributary::testing
