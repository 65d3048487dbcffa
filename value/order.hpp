/// The canonical order without encoding anything. Private to the room.
#pragma once

#include "tributary/value/value.hpp"

#include <string>
#include <string_view>

namespace tributary {

/// Negative, zero or positive as the canonical bytes of `a` come before, equal or come after those
/// of `b`.
int order(const value& a, const value& b);
int order(const value& a, std::string_view b);

/// How many bytes `encode` would give.
std::size_t encoded_size(const value& v);

}  // namespace tributary
