/// The few MessagePack types that messages are made of, read in place and written in their one
/// canonical form. Private to peer/message*.cpp: chunks are large, and the general decoder would
/// copy what is only passed on.
#pragma once

#include "tributary/peer/message.hpp"
#include "tributary/value/msgpack.hpp"

namespace tributary::wire {

[[noreturn]] inline void malformed(std::size_t offset, const std::string& what) {
    throw error(errc::bad_input,
                "malformed message: " + what + " at byte " + std::to_string(offset));
}

inline bool is_plain(bytes_view b);

/// Reads canonical MessagePack front to back, for the few types that messages are made of.
class reader {
public:
    explicit reader(bytes_view frame) : all_(frame), rest_(frame) {}

    std::size_t array() { return length(0x90, 15, 0, 0xdc, 0xdd, "an array"); }
    void array(std::size_t size) {
        const std::size_t start = offset();
        if (array() != size) malformed(start, "an array of another length");
    }

    std::uint64_t number() {
        const std::size_t start = offset();
        const std::uint8_t first = byte();
        if (first < 0x80) return first;
        if (first < 0xcc || first > 0xcf) malformed(start, "no unsigned integer");
        const int width = 1 << (first - 0xcc);
        const std::uint64_t v = big_endian(width);
        const bool shortest = width == 1 ? v >= 0x80 : (v >> (width * 4)) != 0;
        if (!shortest || v > INT64_MAX) malformed(start, "an integer that is not canonical");
        return v;
    }

    /// 8 bytes, big-endian: no MessagePack.
    std::uint64_t fixed64() { return get_be64(take(8)); }
    bool at_end() const { return rest_.empty(); }

    bytes_view bin() { return take(length(0, 0, 0xc4, 0xc5, 0xc6, "bytes")); }
    bytes_view bin(std::size_t size) {
        const std::size_t start = offset();
        const bytes_view b = bin();
        if (b.size() != size) malformed(start, "bytes of another length");
        return b;
    }

    template <class Id>
    Id id() {
        return Id::from_bytes(bin(32));
    }

    /// Bytes as put_item writes them: a plain array where one is next, or what a bin holds. Does
    /// not descend, so that time and stack are bounded by the frame.
    bytes_view item() {
        const std::size_t start = offset();
        if (!next_is_array()) {
            const bytes_view held = bin();
            if (is_plain(held)) malformed(start, "plain bytes that are held in others");
            return held;
        }
        for (std::size_t n = array(); n > 0; --n) plain_element();
        return all_.substr(start, offset() - start);
    }

    /// Text is checked by the one decoder that knows UTF-8.
    std::string text() {
        const std::size_t start = offset();
        const value v = decode_prefix(rest_);
        const std::string* s = v.get_if<std::string>();
        if (s == nullptr || s->size() > text_bytes_max) malformed(start, "no text or too long");
        return *s;
    }

    bool boolean() {
        const std::size_t start = offset();
        const std::uint8_t b = byte();
        if (b != 0xc2 && b != 0xc3) malformed(start, "no boolean");
        return b == 0xc3;
    }

    /// Consumes a nil if there is one.
    bool nil() {
        if (rest_.empty() || static_cast<std::uint8_t>(rest_.front()) != 0xc0) return false;
        rest_.remove_prefix(1);
        return true;
    }

    bool next_is_text() const {
        if (rest_.empty()) return false;
        const auto b = static_cast<std::uint8_t>(rest_.front());
        return (b >= 0xa0 && b < 0xc0) || (b >= 0xd9 && b <= 0xdb);
    }

    bool next_is_array() const {
        if (rest_.empty()) return false;
        const auto b = static_cast<std::uint8_t>(rest_.front());
        return (b & 0xf0) == 0x90 || b == 0xdc || b == 0xdd;
    }

    void end() {
        if (!rest_.empty()) malformed(offset(), "bytes after the end");
    }
    std::size_t offset() const { return all_.size() - rest_.size(); }

private:
    void plain_element() {
        if (rest_.empty()) malformed(offset(), "truncated");
        const auto b = static_cast<std::uint8_t>(rest_.front());
        constexpr std::uint8_t empty_map = 0x80, nothing = 0xc0;
        if (b == empty_map || b == nothing) {
            take(1);
        } else if (b >= 0xe0 || (b >= 0xd0 && b <= 0xd3)) {
            decode_prefix(rest_);  // a negative integer
        } else if (next_is_array()) {
            for (std::size_t n = array(); n > 0; --n) bin();
        } else if (b >= 0xc4 && b <= 0xc6) {
            bin();
        } else {
            number();
        }
    }

    std::uint8_t byte() { return static_cast<std::uint8_t>(take(1).front()); }

    bytes_view take(std::size_t n) {
        if (rest_.size() < n) malformed(offset(), "truncated");
        const bytes_view taken = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return taken;
    }

    std::uint64_t big_endian(int width) {
        std::uint64_t v = 0;
        for (const char c : take(static_cast<std::size_t>(width)))
            v = v << 8 | static_cast<std::uint8_t>(c);
        return v;
    }

    /// A length in its shortest form: within `fix` (`fix_max` 0: there is none), or after the tag
    /// for 1 (0: none), 2, 4 bytes.
    std::size_t length(int fix, int fix_max, int tag8, int tag16, int tag32, const char* what) {
        const std::size_t start = offset();
        const int first = byte();
        if (fix_max > 0 && first >= fix && first <= fix + fix_max)
            return static_cast<std::size_t>(first - fix);
        const int width = first == tag32               ? 4
                          : first == tag16             ? 2
                          : tag8 != 0 && first == tag8 ? 1
                                                       : 0;
        if (width == 0) malformed(start, std::string("expected ") + what);
        const std::uint64_t v = big_endian(width);
        const std::uint64_t least = width == 4   ? 0x10000
                                    : width == 1 ? 0
                                    : tag8 != 0  ? 0x100
                                                 : static_cast<std::uint64_t>(fix_max) + 1;
        if (v < least) malformed(start, "a length that is not canonical");
        return v;
    }

    bytes_view all_, rest_;
};

inline void put_length(
    bytes& out, std::size_t n, int fix, std::size_t fix_end, int tag8, int tag16, int tag32) {
    if (n < fix_end) {
        out.push_back(static_cast<char>(fix + static_cast<int>(n)));
    } else if (tag8 != 0 && n < 0x100) {
        out.push_back(static_cast<char>(tag8));
        out.push_back(static_cast<char>(n));
    } else if (n < 0x10000) {
        out.push_back(static_cast<char>(tag16));
        out.push_back(static_cast<char>(n >> 8));
        out.push_back(static_cast<char>(n));
    } else {
        out.push_back(static_cast<char>(tag32));
        put_be32(out, static_cast<unsigned>(n));
    }
}

inline void put_array(bytes& out, std::size_t n) { put_length(out, n, 0x90, 16, 0, 0xdc, 0xdd); }

inline void put_bin(bytes& out, bytes_view b) {
    put_length(out, b.size(), 0, 0, 0xc4, 0xc5, 0xc6);
    out.append(b);
}

/// Whether `b` is a canonical array of nils, integers, bins, empty maps and arrays of bins: headers
/// and bodies nearly always are.
inline bool is_plain(bytes_view b) {
    reader in(b);
    if (!in.next_is_array()) return false;
    try {
        in.item();
        in.end();
        return true;
    } catch (const error&) {
        return false;
    }
}

/// What is plain stands as it is and costs nothing; the rest is in a bin.
inline void put_item(bytes& out, bytes_view b) {
    if (is_plain(b)) {
        out.append(b);
    } else {
        put_bin(out, b);
    }
}

inline void put_number(bytes& out, std::uint64_t n) { encode_to(out, value(n)); }
inline void put_text(bytes& out, const std::string& s) { encode_to(out, value(s)); }
inline void put_bool(bytes& out, bool b) { out.push_back(static_cast<char>(b ? 0xc3 : 0xc2)); }
inline void put_nil(bytes& out) { out.push_back(static_cast<char>(0xc0)); }

/// The beginning of a message; its fields must follow.
inline bytes begin(message_type type, std::size_t fields) {
    bytes out;
    put_array(out, fields + 1);
    put_number(out, static_cast<std::uint64_t>(type));
    return out;
}

/// At the first field of a message.
inline reader open(bytes_view frame, std::size_t fields) {
    reader in(frame);
    in.array(fields + 1);
    in.number();
    return in;
}

}  // namespace tributary::wire
