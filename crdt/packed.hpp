/// The few canonical MessagePack forms that commits and their index records are made of, written
/// and read without making values of them: a million ops a second pass through here.
/// docs/formats.md gives the rules; value/msgpack.hpp is the general codec.
#pragma once

#include "tributary/value/bytes.hpp"

#include <cstdint>

namespace tributary::packed {

void put_uint(bytes& out, std::uint64_t v);  ///< at most int64's greatest
void put_int(bytes& out, std::int64_t v);
void put_nil(bytes& out);
void put_bin(bytes& out, bytes_view data);
/// The head of an array; its `count` elements must follow.
void put_array(bytes& out, std::size_t count);

/// Takes a canonical encoding apart, front to back. Errors of all: bad_input, naming what was being
/// read.
class reader {
public:
    /// `what` is named in errors and must outlive the reader.
    reader(bytes_view data, const char* what) : rest_(data), what_(what) {}

    std::size_t array();
    std::uint64_t uint();
    std::int64_t integer();
    /// A view into the data.
    bytes_view bin();
    bytes_view bin(std::size_t size);  ///< of exactly this size
    /// Takes a nil if one is next.
    bool nil();

    bytes_view rest() const { return rest_; }
    void skip(std::size_t count);
    bytes_view take(std::size_t count);
    /// Nothing may be left.
    void end() const;
    [[noreturn]] void fail(const char* problem) const;

private:
    std::uint8_t byte();
    std::uint64_t be(std::size_t size);
    /// A big-endian number of `size` bytes that would not have fitted a shorter form.
    std::uint64_t wide(std::size_t size, std::uint64_t least);

    bytes_view rest_;
    const char* what_;
};

}  // namespace tributary::packed
