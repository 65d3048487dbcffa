/// What a query may use of memory: what grows with its rows and its arena are counted, and beyond
/// the budget it ends with an error. Private to the room.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <string>
#include <utility>
#include <vector>

namespace tributary::datom::datalog {

/// While one lives, what queries of this thread allocate counts. Of nested ones the outermost
/// decides.
class memory_budget {
public:
    explicit memory_budget(std::size_t bytes);
    memory_budget(const memory_budget&) = delete;
    memory_budget& operator=(const memory_budget&) = delete;
    ~memory_budget();

    /// Errors: limit, beyond the budget; nothing is counted then.
    static void take(std::size_t bytes);
    static void give_back(std::size_t bytes) noexcept;
    /// For the rest of the budget there is so much less.
    static void withdraw(std::size_t bytes) noexcept;
    /// What could still be taken.
    static std::size_t left();

private:
    bool is_outermost_;
};

/// What a block of memory takes besides what is in it.
constexpr std::size_t block_bytes = 16;

/// What a text of so many bytes takes outside of the value that holds it.
inline std::size_t bytes_apart(std::size_t text) {
    return text > std::string().capacity() ? text + block_bytes : 0;
}

/// Bytes that count for as long as it lives.
class counted_bytes {
public:
    counted_bytes() = default;
    counted_bytes(counted_bytes&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
    counted_bytes& operator=(counted_bytes&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~counted_bytes() { memory_budget::give_back(bytes_); }
    /// Errors: as memory_budget::take.
    void take(std::size_t bytes) {
        memory_budget::take(bytes);
        bytes_ += bytes;
    }

private:
    std::size_t bytes_ = 0;
};

/// Memory that counts. Large blocks come from the system and go back to it at once, where malloc
/// would keep them for later.
void* take_block(std::size_t bytes);
void give_back_block(void* at, std::size_t bytes) noexcept;

template <class T>
struct counted_allocator {
    using value_type = T;
    counted_allocator() = default;
    template <class U>
    counted_allocator(const counted_allocator<U>&) {}
    T* allocate(std::size_t n) { return static_cast<T*>(take_block(n * sizeof(T))); }
    void deallocate(T* at, std::size_t n) noexcept { give_back_block(at, n * sizeof(T)); }
    bool operator==(const counted_allocator&) const = default;
};

/// What grows with the rows of a query.
template <class T>
using counted_vector = std::vector<T, counted_allocator<T>>;

/// Of arenas.
class counted_resource : public std::pmr::memory_resource {
private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }
};

}  // namespace tributary::datom::datalog
