#include "tributary/value/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace tributary {

const char* name_of(errc code) noexcept {
    switch (code) {
        case errc::bad_input:
            return "bad-input";
        case errc::not_found:
            return "not-found";
        case errc::exists:
            return "exists";
        case errc::conflict:
            return "conflict";
        case errc::unauthorized:
            return "unauthorized";
        case errc::newer_version:
            return "newer-version";
        case errc::io:
            return "io";
        case errc::no_space:
            return "no-space";
        case errc::locked:
            return "locked";
        case errc::unavailable:
            return "unavailable";
        case errc::canceled:
            return "canceled";
        case errc::limit:
            return "limit";
        case errc::misuse:
            return "misuse";
    }
    return "unknown";
}

void check_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "tributary: invariant broken: %s (%s:%d)\n", expression, file, line);
    std::abort();
}

}  // namespace tributary
