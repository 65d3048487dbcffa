#include "tributary/datom/query_budget.hpp"

#include "tributary/value/error.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace tributary::datom::datalog {

namespace {

thread_local std::size_t used = 0;
thread_local std::size_t most = SIZE_MAX;

}  // namespace

memory_budget::memory_budget(std::size_t bytes) : outer_(most) {
    if (most == SIZE_MAX) most = used + std::min(bytes, SIZE_MAX - 1 - used);
}

memory_budget::~memory_budget() { most = outer_; }

void memory_budget::take(std::size_t bytes) {
    if (bytes > most - std::min(used, most)) {
        throw error(errc::limit,
                    "db.error/memory-limit",
                    "query: it needs more memory than it may have; make it select less (a missing "
                    "join makes a product, a rule that computes new values may never end), or "
                    "raise query_options::memory_bytes");
    }
    used += bytes;
}

void memory_budget::give_back(std::size_t bytes) noexcept { used -= bytes; }

void* counted_resource::do_allocate(std::size_t bytes, std::size_t alignment) {
    memory_budget::take(bytes);
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
}

void counted_resource::do_deallocate(void* at, std::size_t bytes, std::size_t alignment) {
    std::pmr::new_delete_resource()->deallocate(at, bytes, alignment);
    memory_budget::give_back(bytes);
}

}  // namespace tributary::datom::datalog
