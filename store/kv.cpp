#include "tributary/store/kv.hpp"

namespace tributary {

bytes prefix_end(bytes_view prefix) {
    bytes end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

}  // namespace tributary
