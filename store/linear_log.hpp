/// The linear log of one CRDT: linear(head) by position, where `head` is what it last followed.
#pragma once

#include "tributary/crdt/graph.hpp"
#include "tributary/store/commit_store.hpp"
#include "tributary/store/records.hpp"
#include "tributary/store/staging.hpp"

#include <functional>
#include <optional>

namespace tributary {

class linear_log {
public:
    /// Keeps its length in `state`; everything must outlive it.
    linear_log(staging& to, crdt_handle handle, state_record& state)
        : to_(to), handle_(handle), state_(state) {}

    /// Errors: misuse beyond the length.
    linear_entry at(std::uint64_t position) const;
    std::optional<linear_entry> find(node n) const;

    /// Becomes linear(head): keeps the log up to the newest commit of the new mainline that the old
    /// mainline has too, and replaces the rest. O(divergence), no recursion.
    void follow(const commit_graph& g, node head);

private:
    void truncate(std::uint64_t length);
    void push(node n, bool mainline);

    staging& to_;
    crdt_handle handle_;
    state_record& state_;
};

}  // namespace tributary
