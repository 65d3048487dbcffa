/// The full check of a replica: nothing in its index is believed.
#pragma once

#include "tributary/store/replica.hpp"

namespace tributary {

/// As commit_store::verify.
std::uint64_t verify_replica(
    const commit_store& store,
    const replica& r,
    const std::function<void(const std::string&)>& problem,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

}  // namespace tributary
