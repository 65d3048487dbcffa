/// Which keys may connect: the files `allow` and `deny` of a store, and who has sent bad input.
///
/// Each file has a key a line, 64 hexadecimal digits; what follows a # is a comment. With an
/// `allow` there, only its keys are let in; those of `deny` never. Files that change are read
/// again. Thread rule: one thread.
#pragma once

#include "tributary/crdt/keys.hpp"
#include "tributary/peer/ban_list.hpp"
#include "tributary/value/error.hpp"

#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace tributary {

class admission {
public:
    /// Errors: bad_input (a line that is no key), io.
    admission(const std::filesystem::path& dir, const ban_options& bans);

    /// Reads the files again if they have changed. A file that cannot be read, or has a line that
    /// is no key, leaves what was read before in force: the error is thrown once.
    void refresh();
    /// Errors: unauthorized (it is not on the list, or on the other), unavailable (it has sent bad
    /// input, and is to come back later); they say so.
    void require_welcome(const public_key& key, std::int64_t now_ms) const;
    /// `key` has sent what no peer may send.
    void strike(const public_key& key, std::int64_t now_ms) { bans_.strike(key.hex(), now_ms); }

private:
    struct listed {
        std::filesystem::path file;
        std::optional<std::set<public_key>> keys = {};  ///< none: there is no file
        std::filesystem::file_time_type read_at = {};
        std::uintmax_t size = 0;

        void refresh();
    };

    listed allow_, deny_;
    ban_list bans_;
};

}  // namespace tributary
