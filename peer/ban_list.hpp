/// Who has sent what no peer may send, and how long nothing more is taken from them: twice as long
/// each time, until they have behaved for a while. Thread rule: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tributary {

struct ban_options {
    std::int64_t first_ms = 1000;  ///< for the first time; 0: nobody is refused
    std::int64_t longest_ms = 600000;
    std::int64_t forgotten_ms = 3600000;  ///< after the end of the last one
    std::size_t kept_max = 4096;          ///< of those refused; beyond it the oldest is forgotten
};

class ban_list {
public:
    explicit ban_list(const ban_options& options = {}) : options_(options) {}

    /// `who` (a key or an address) has done it again. `now_ms`: a clock that never goes back.
    void strike(const std::string& who, std::int64_t now_ms);
    /// How long `who` is to wait; 0 for who is welcome.
    std::int64_t wait_ms(const std::string& who, std::int64_t now_ms) const;

private:
    struct record {
        int strikes = 0;
        std::int64_t until_ms = 0;
    };

    ban_options options_;
    std::map<std::string, record> records_;
};

}  // namespace tributary
