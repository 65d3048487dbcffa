/// The one exception type of tributary.
///
/// An error says what happened, where, and what to do next; `code` is what a caller can act on. Bad
/// input of every kind (bytes from a peer, a file, a query) is reported this way and never by a
/// crash. Broken invariants of our own abort: TRIBUTARY_CHECK below. An operation that throws has
/// changed nothing unless its comment says otherwise.
#pragma once

#include <stdexcept>
#include <string>

namespace tributary {

enum class errc : int {
    bad_input = 1,      ///< malformed bytes or text: JSON, EDN, a message, a commit
    not_found = 2,      ///< no such name, entity, file
    exists = 3,         ///< the name is taken
    conflict = 4,       ///< several heads, a failed compare-and-set, a contradiction
    unauthorized = 5,   ///< no grant, bad signature, refused authentication
    newer_version = 6,  ///< format or protocol of a newer tributary
    io = 7,             ///< the disk or the network failed; trying again may help
    no_space = 8,       ///< the disk is full
    locked = 9,         ///< another process has it and does not answer
    unavailable = 10,   ///< the peer cannot be reached or went away
    canceled = 11,      ///< stopped by the user or by a deadline
    limit = 12,         ///< a configured limit was passed
    misuse = 13,        ///< a wrong argument or an operation that does not apply here
};

/// A short stable name of a code, for programs: "bad-input", "not-found", ...
const char* name_of(errc code) noexcept;

class error : public std::runtime_error {
public:
    error(errc c, const std::string& message) : std::runtime_error(message), code_(c) {}
    /// `name` is a string literal: what exactly went wrong, where one code covers many cases.
    error(errc c, const char* name, const std::string& message)
        : std::runtime_error(message), code_(c), name_(name) {}
    errc code() const noexcept { return code_; }
    /// A stable keyword without its colon, such as "db.error/unique-conflict"; else
    /// name_of(code()).
    const char* name() const noexcept { return name_ ? name_ : name_of(code_); }

private:
    errc code_;
    const char* name_ = nullptr;
};

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace tributary

/// On in every build; input can never reach it.
#define TRIBUTARY_CHECK(cond) \
    ((cond) ? static_cast<void>(0) : ::tributary::check_failed(#cond, __FILE__, __LINE__))
