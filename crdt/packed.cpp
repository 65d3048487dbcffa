#include "tributary/crdt/packed.hpp"

#include "tributary/value/error.hpp"

#include <limits>
#include <string>

namespace tributary::packed {

namespace {

void put_be(bytes& out, std::uint64_t v, int size) {
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(v >> shift));
}

void put_head(bytes& out, std::uint8_t head, std::uint64_t v, int size) {
    out.push_back(static_cast<char>(head));
    put_be(out, v, size);
}

}  // namespace

void put_uint(bytes& out, std::uint64_t v) {
    TRIBUTARY_CHECK(v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    if (v < 0x80)
        out.push_back(static_cast<char>(v));
    else if (v <= 0xff)
        put_head(out, 0xcc, v, 1);
    else if (v <= 0xffff)
        put_head(out, 0xcd, v, 2);
    else if (v <= 0xffffffff)
        put_head(out, 0xce, v, 4);
    else
        put_head(out, 0xcf, v, 8);
}

void put_int(bytes& out, std::int64_t v) {
    const auto raw = static_cast<std::uint64_t>(v);
    if (v >= 0)
        put_uint(out, raw);
    else if (v >= -32)
        out.push_back(static_cast<char>(raw));
    else if (v >= std::numeric_limits<std::int8_t>::min())
        put_head(out, 0xd0, raw, 1);
    else if (v >= std::numeric_limits<std::int16_t>::min())
        put_head(out, 0xd1, raw, 2);
    else if (v >= std::numeric_limits<std::int32_t>::min())
        put_head(out, 0xd2, raw, 4);
    else
        put_head(out, 0xd3, raw, 8);
}

void put_nil(bytes& out) { out.push_back(static_cast<char>(0xc0)); }

void put_bin(bytes& out, bytes_view data) {
    if (data.size() <= 0xff)
        put_head(out, 0xc4, data.size(), 1);
    else if (data.size() <= 0xffff)
        put_head(out, 0xc5, data.size(), 2);
    else
        put_head(out, 0xc6, data.size(), 4);
    out += data;
}

void put_array(bytes& out, std::size_t count) {
    if (count < 16)
        out.push_back(static_cast<char>(0x90 | count));
    else if (count <= 0xffff)
        put_head(out, 0xdc, count, 2);
    else
        put_head(out, 0xdd, count, 4);
}

void reader::fail(const char* problem) const {
    throw error(errc::bad_input, std::string(what_) + ": " + problem);
}

std::uint8_t reader::byte() {
    if (rest_.empty()) fail("it ends too early");
    const auto b = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return b;
}

bytes_view reader::take(std::size_t count) {
    if (count > rest_.size()) fail("it ends too early");
    const bytes_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
}

void reader::skip(std::size_t count) { take(count); }

std::uint64_t reader::be(std::size_t size) {
    std::uint64_t v = 0;
    for (const char c : take(size)) v = v << 8 | static_cast<std::uint8_t>(c);
    return v;
}

std::uint64_t reader::wide(std::size_t size, std::uint64_t least) {
    const std::uint64_t v = be(size);
    if (v < least) fail("a number is not in its shortest form");
    return v;
}

std::size_t reader::array() {
    const std::uint8_t head = byte();
    if ((head & 0xf0) == 0x90) return head & 0x0f;
    if (head == 0xdc) return wide(2, 16);
    if (head == 0xdd) return wide(4, 0x10000);
    fail("expected an array");
}

std::uint64_t reader::uint() {
    const std::int64_t v = integer();
    if (v < 0) fail("a number is negative");
    return static_cast<std::uint64_t>(v);
}

std::int64_t reader::integer() {
    const std::uint8_t head = byte();
    if (head < 0x80) return head;
    if (head >= 0xe0) return static_cast<std::int8_t>(head);
    // Signed forms hold only numbers below what the next shorter form holds.
    const auto below = [&](std::int64_t v, std::int64_t bound) {
        if (v >= bound) fail("a number is not in its shortest form");
        return v;
    };
    switch (head) {
        case 0xcc:
            return static_cast<std::int64_t>(wide(1, 0x80));
        case 0xcd:
            return static_cast<std::int64_t>(wide(2, 0x100));
        case 0xce:
            return static_cast<std::int64_t>(wide(4, 0x10000));
        case 0xcf: {
            const std::uint64_t v = wide(8, 0x100000000);
            if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                fail("a number is beyond 64 bits with sign");
            return static_cast<std::int64_t>(v);
        }
        case 0xd0:
            return below(static_cast<std::int8_t>(be(1)), -32);
        case 0xd1:
            return below(static_cast<std::int16_t>(be(2)), std::numeric_limits<std::int8_t>::min());
        case 0xd2:
            return below(static_cast<std::int32_t>(be(4)),
                         std::numeric_limits<std::int16_t>::min());
        case 0xd3:
            return below(static_cast<std::int64_t>(be(8)),
                         std::numeric_limits<std::int32_t>::min());
        default:
            fail("expected an integer");
    }
}

bytes_view reader::bin() {
    switch (byte()) {
        case 0xc4:
            return take(be(1));
        case 0xc5:
            return take(wide(2, 0x100));
        case 0xc6:
            return take(wide(4, 0x10000));
        default:
            fail("expected bytes");
    }
}

bytes_view reader::bin(std::size_t size) {
    const bytes_view b = bin();
    if (b.size() != size) fail("bytes of another length than expected");
    return b;
}

bool reader::nil() {
    if (rest_.empty() || static_cast<std::uint8_t>(rest_.front()) != 0xc0) return false;
    rest_.remove_prefix(1);
    return true;
}

void reader::end() const {
    if (!rest_.empty()) fail("bytes after its end");
}

}  // namespace tributary::packed
