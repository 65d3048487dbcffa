#include "tributary/store/linear_log.hpp"

#include "tributary/crdt/packed.hpp"
#include "tributary/store/keys.hpp"

namespace tributary {

namespace {

bytes encode_marked(std::uint64_t number, bool mainline) {
    bytes out;
    packed::put_uint(out, number << 1 | static_cast<std::uint64_t>(mainline));
    return out;
}

std::pair<std::uint64_t, bool> parse_marked(bytes_view record) {
    packed::reader in(record, "a linear log entry");
    const std::uint64_t both = in.uint();
    in.end();
    return {both >> 1, (both & 1) != 0};
}

}  // namespace

linear_entry linear_log::at(std::uint64_t position) const {
    if (position >= state_.linear_length)
        throw error(errc::misuse,
                    "the linear log has " + std::to_string(state_.linear_length) +
                        " entries; there is none at " + std::to_string(position));
    const auto record = to_.get(keys::of(keys::space::linear, handle_, position));
    if (!record)
        throw error(errc::bad_input,
                    "the linear log has no entry at " + std::to_string(position) +
                        "; the store is damaged");
    const auto [number, mainline] = parse_marked(*record);
    return {position, number, mainline};
}

std::optional<linear_entry> linear_log::find(node n) const {
    if (n > state_.linear_top) return std::nullopt;
    const auto record = to_.get(keys::of(keys::space::position, handle_, n));
    if (!record) return std::nullopt;
    const auto [position, mainline] = parse_marked(*record);
    return linear_entry{position, n, mainline};
}

void linear_log::follow(const commit_graph& g, node head) {
    std::uint64_t kept = 0;
    std::vector<node> mainline;  // the new part, newest first
    for (node n = head;;) {
        if (const auto entry = find(n); entry && entry->mainline) {
            kept = entry->position + 1;
            break;
        }
        mainline.push_back(n);
        const std::vector<node> parents = g.parents(n);
        if (parents.empty()) break;
        n = parents.front();
    }
    truncate(kept);
    const auto listed = [this](node n) { return find(n).has_value(); };
    for (const node n : linear_extension(g, head, listed)) {
        const bool is_mainline = !mainline.empty() && mainline.back() == n;
        if (is_mainline) mainline.pop_back();
        push(n, is_mainline);
    }
}

void linear_log::truncate(std::uint64_t length) {
    while (state_.linear_length > length) {
        const node n = at(state_.linear_length - 1).number;
        --state_.linear_length;
        to_.erase(keys::of(keys::space::linear, handle_, state_.linear_length));
        to_.erase(keys::of(keys::space::position, handle_, n));
    }
}

void linear_log::push(node n, bool mainline) {
    const std::uint64_t position = state_.linear_length++;
    to_.put(keys::of(keys::space::linear, handle_, position), encode_marked(n, mainline));
    to_.put(keys::of(keys::space::position, handle_, n), encode_marked(position, mainline));
    state_.linear_top = std::max(state_.linear_top, n);
}

}  // namespace tributary
