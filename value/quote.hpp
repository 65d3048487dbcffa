/// Text between quotes, as JSON and EDN both read it. Private to the room.
#pragma once

#include <string>
#include <string_view>

namespace tributary {

void put_quoted(std::string& out, std::string_view text);

}  // namespace tributary
