/// How processes share a directory that only one may open: whoever has it serves it on a
/// Unix-domain socket inside it, the others ask.
///
/// Requests and replies are canonical MessagePack values in frames (4-byte big-endian length, at
/// most frame_bytes_max). A request is [id method args], a reply [id status value] with status 0 =
/// more follows, 1 = the last, 2 = an error [code message name]. The first frame each way is
/// [version]. Paths of any length work (bound through /proc/self/fd). The socket's directory is the
/// protected one (mode 0700).
#pragma once

#include "tributary/value/value.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace tributary {

inline constexpr std::size_t frame_bytes_max = 64u << 20;

/// Answers one request. `emit(v)` sends a part of the answer before the last; returns false once
/// the client is gone or the server is being destroyed (then stop soon). `emit(nil)` sends nothing
/// and only tells that: what computes for long without a result to send asks now and then. The
/// returned value is the last part. Throw `error` to fail. Called on a thread of the connection.
using request_handler = std::function<value(
    const std::string& method, const value& args, const std::function<bool(const value&)>& emit)>;

/// Serves `dir`/socket until destroyed (which disconnects everyone and waits for their handlers).
/// Construct only while holding the directory's lock: a stale socket file is replaced.
class local_server {
public:
    local_server(const std::filesystem::path& dir, request_handler handler);
    ~local_server();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// A connection to whoever serves `dir`. Thread rule: one thread, except cancel.
class local_client {
public:
    /// Nothing if nobody serves it. Errors: newer_version, unauthorized, unavailable (it does not
    /// answer).
    static std::unique_ptr<local_client> connect(const std::filesystem::path& dir);
    virtual ~local_client() = default;
    /// Sends and waits; `part` gets what is emitted before the last. Errors: the server's;
    /// unavailable if it went away (it may or may not have acted).
    virtual value call(const std::string& method,
                       const value& args,
                       const std::function<void(const value&)>& part = {}) = 0;
    /// Ends a running call from another thread or a signal handler: it throws errc::canceled. The
    /// client is of no more use then.
    virtual void cancel() = 0;
};

/// The pid written by the last process that opened `dir`, or 0.
int owner_pid(const std::filesystem::path& dir);
void write_owner_pid(const std::filesystem::path& dir);

/// Throws errc::locked naming the pid.
[[noreturn]] void fail_still_locked(const std::filesystem::path& dir);

/// Client first; else the lock, by `open` (returns a unique_ptr, throws errc::locked if someone has
/// it); else again for up to `patience_ms`, then errc::locked naming the pid that has it. Exactly
/// one of the two results is set.
template <class Opened, class Open>
std::pair<std::unique_ptr<Opened>, std::unique_ptr<local_client>> open_or_connect(
    const std::filesystem::path& dir, const Open& open, int patience_ms = 5000) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    for (;;) {
        if (auto client = local_client::connect(dir)) return {nullptr, std::move(client)};
        try {
            std::unique_ptr<Opened> opened = open();
            write_owner_pid(dir);
            return {std::move(opened), nullptr};
        } catch (const error& e) {
            if (e.code() != errc::locked) throw;
        }
        if (std::chrono::steady_clock::now() >= deadline) fail_still_locked(dir);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

}  // namespace tributary
