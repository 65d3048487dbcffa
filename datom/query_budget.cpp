#include "tributary/datom/query_budget.hpp"

#include "tributary/value/error.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <string>

namespace tributary::datom::datalog {

namespace {

thread_local std::size_t used = 0;
thread_local std::size_t most = SIZE_MAX;

}  // namespace

memory_budget::memory_budget(std::size_t bytes) : is_outermost_(most == SIZE_MAX) {
    if (is_outermost_) most = used + std::min(bytes, SIZE_MAX - 1 - used);
}

memory_budget::~memory_budget() {
    if (is_outermost_) most = SIZE_MAX;
}

void memory_budget::withdraw(std::size_t bytes) noexcept {
    if (most != SIZE_MAX) most -= std::min(bytes, most);
}

void memory_budget::take(std::size_t bytes) {
    if (bytes > left()) {
        throw error(errc::limit,
                    "db.error/memory-limit",
                    "query: it needs more memory than it may have; make it select less (a missing "
                    "join makes a product, a rule that computes new values may never end), or "
                    "allow more (query_options::memory_bytes, --memory)");
    }
    used += bytes;
}

std::size_t memory_budget::left() { return most - std::min(used, most); }

void memory_budget::give_back(std::size_t bytes) noexcept { used -= bytes; }

namespace {

constexpr std::size_t large_block = 1 << 20;

void* new_block(std::size_t bytes) {
    if (bytes < large_block) return ::operator new(bytes);
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return at;
}

}  // namespace

void* take_block(std::size_t bytes) {
    memory_budget::take(bytes);
    try {
        return new_block(bytes);
    } catch (...) {
        memory_budget::give_back(bytes);
        throw;
    }
}

void give_back_block(void* at, std::size_t bytes) noexcept {
    if (bytes < large_block)
        ::operator delete(at);
    else
        ::munmap(at, bytes);
    memory_budget::give_back(bytes);
}

void* counted_resource::do_allocate(std::size_t bytes, std::size_t alignment) {
    memory_budget::take(bytes);
    try {
        return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    } catch (...) {
        memory_budget::give_back(bytes);
        throw;
    }
}

void counted_resource::do_deallocate(void* at, std::size_t bytes, std::size_t alignment) {
    std::pmr::new_delete_resource()->deallocate(at, bytes, alignment);
    memory_budget::give_back(bytes);
}

}  // namespace tributary::datom::datalog
