#include "sim/mutate.hpp"

#include <array>
#include <limits>

namespace tributary::sim {
namespace {

std::int64_t odd_number(random_source& random, std::int64_t was) {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const auto next = static_cast<std::int64_t>(static_cast<std::uint64_t>(was) + 1);
    const auto previous = static_cast<std::int64_t>(static_cast<std::uint64_t>(was) - 1);
    const std::array<std::int64_t, 10> odd{
        0, 1, 2, next, previous, was ^ 1, 255, 65536, most / 2, most};
    return odd[random.below(odd.size())];
}

/// Containers of which `v` is one, and those in it.
void collect(value& v, std::vector<value*>& all) {
    all.push_back(&v);
    if (auto* items = v.get_if<vector>())
        for (value& item : *items) collect(item, all);
}

void mutate_items(random_source& random, vector& items) {
    const std::size_t at = random.below(items.size());
    switch (random.below(4)) {
        case 0:
            items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
            return;
        case 1: {
            const value twice = items[at];
            items.insert(items.begin() + static_cast<std::ptrdiff_t>(at), twice);
            return;
        }
        case 2:
            return std::swap(items[at], items[random.below(items.size())]);
        default:
            items.resize(at);
    }
}

}  // namespace

void mutate(random_source& random, value& v) {
    std::vector<value*> parts;
    collect(v, parts);
    value& part = *parts[random.below(parts.size())];
    if (random.chance(5)) {
        part = value();
    } else if (auto* number = part.get_if<std::int64_t>()) {
        *number = odd_number(random, *number);
    } else if (auto* text = part.get_if<std::string>()) {
        *text = random.chance(50) ? text->substr(0, text->size() / 2) : *text + "x";
    } else if (auto* data = part.get_if<blob>()) {
        data->data = damage(random, data->data);
    } else if (auto* items = part.get_if<vector>(); items != nullptr && !items->empty()) {
        mutate_items(random, *items);
    } else {
        part = value(static_cast<std::int64_t>(random.below(300)));
    }
}

bytes mutate_frame(random_source& random, const bytes& frame) {
    try {
        value v = decode(frame);
        for (std::size_t n = 1 + random.below(2); n > 0; --n) mutate(random, v);
        return encode(v);
    } catch (const error&) {
        return frame;
    }
}

bytes damage(random_source& random, bytes frame) {
    if (frame.empty()) return random.fresh_bytes(1 + random.below(40));
    const std::size_t at = random.below(frame.size());
    switch (random.below(4)) {
        case 0:
            frame[at] = static_cast<char>(frame[at] ^ (1 << random.below(8)));
            break;
        case 1:
            frame.resize(at);
            break;
        case 2:
            frame.insert(at, random.fresh_bytes(1 + random.below(8)));
            break;
        default:
            frame.erase(at, 1 + random.below(8));
    }
    return frame;
}

}  // namespace tributary::sim
