/// Owning bytes and views of them. A `bytes_view` is valid as long as what it views is neither
/// changed nor destroyed.
#pragma once

#include <string>
#include <string_view>

namespace tributary {

/// Bytes are kept in a std::string: LevelDB, msgpack and sockets all speak it, and short ones need
/// no allocation.
using bytes = std::string;
using bytes_view = std::string_view;

/// Lower-case hexadecimal.
std::string to_hex(bytes_view data);

/// Errors: bad_input if `text` has an odd length or another character than 0-9a-fA-F.
bytes from_hex(std::string_view text);

/// Big-endian, so that keys sort as their numbers do.
void put_be32(bytes& out, unsigned int v);
void put_be64(bytes& out, unsigned long long v);
unsigned int get_be32(bytes_view at);
unsigned long long get_be64(bytes_view at);

}  // namespace tributary
