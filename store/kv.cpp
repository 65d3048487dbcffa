#include "tributary/store/kv.hpp"

namespace tributary {

namespace {

/// The beginning of a key, for people.
std::string shown(bytes_view key) {
    constexpr std::size_t shown_max = 24;
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : key.substr(0, shown_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && c != '\\') {
            text += c;
        } else {
            text += {'\\', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return key.size() > shown_max ? text + "..." : text;
}

}  // namespace

void fail_damaged(const std::filesystem::path& dir, bytes_view key, const std::string& what) {
    throw error(errc::io,
                "cannot read the database " + dir.string() + ": a block of it is damaged, at or " +
                    "after the key " + shown(key) + " (" + what +
                    "); nothing is left out silently, so this ends here. Restore the directory, " +
                    "or make it anew from where its data came from");
}

bytes prefix_end(bytes_view prefix) {
    bytes end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

}  // namespace tributary
