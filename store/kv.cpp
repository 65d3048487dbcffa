#include "tributary/store/kv.hpp"

#include <algorithm>
#include <utility>

namespace tributary {

namespace {

constexpr std::size_t block_bytes = 16u << 10;
/// What is longer has a block of its own.
constexpr std::size_t shared_bytes_max = block_bytes / 8;

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

kv_batch& kv_batch::operator=(kv_batch&& from) noexcept {
    changes_ = std::exchange(from.changes_, {});
    blocks_ = std::exchange(from.blocks_, {});
    next_ = std::exchange(from.next_, nullptr);
    room_ = std::exchange(from.room_, 0);
    size_ = std::exchange(from.size_, 0);
    return *this;
}

kv_batch kv_batch::copy() const {
    kv_batch made;
    made.reserve(changes_.size());
    for (const auto& [key, val] : changes_) val ? made.put(key, *val) : made.erase(key);
    return made;
}

bytes_view kv_batch::keep(bytes_view b) {
    size_ += b.size();
    char* at = next_;
    if (b.size() > shared_bytes_max) {
        at = blocks_.emplace_back(new char[b.size()]).get();
    } else {
        if (b.size() > room_) {
            at = blocks_.emplace_back(new char[block_bytes]).get();
            room_ = block_bytes;
        }
        next_ = at + b.size();
        room_ -= b.size();
    }
    std::copy(b.begin(), b.end(), at);
    return {at, b.size()};
}

bytes prefix_end(bytes_view prefix) {
    bytes end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

}  // namespace tributary
