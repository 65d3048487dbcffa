/// Random values for property tests. Small lengths, and numbers around the borders of their
/// encodings.
#pragma once

#include "tributary/value/msgpack.hpp"
#include "tributary/value/value.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>

namespace tributary::test {

class generator {
public:
    explicit generator(std::uint64_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }
    bool one_in(std::size_t n) { return below(n) == 0; }

    value any(int depth = 3) {
        switch (below(depth > 0 ? 17 : 12)) {
            case 0:
                return nullptr;
            case 1:
                return one_in(2);
            case 2:
            case 3:
                return integer();
            case 4:
                return real();
            case 5:
                return text();
            case 6:
                return blob{raw(length())};
            case 7:
                return keyword{name()};
            case 8:
                return symbol{name()};
            case 9: {
                uuid u;
                for (auto& b : u.raw) b = static_cast<std::uint8_t>(random_());
                return u;
            }
            case 10:
                return inst{integer()};
            case 11:
                return number();
            case 12:
                return vector{items(depth)};
            case 13:
                return list{items(depth)};
            case 14:
                return make_set(distinct(items(depth)));
            default:
                return any_map(depth);
        }
    }

    std::int64_t integer() {
        // Near a power of two, where one width ends and the next begins.
        const auto power = std::uint64_t{1} << below(64);
        const auto near = power + below(5) - 2;
        return static_cast<std::int64_t>(one_in(2) ? near : ~near);
    }

    double real() {
        static const double special[] = {
            0.0, -0.0, 0.1, 1.0, -1.5, 1e300, 5e-324, 1e22, 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0};
        if (one_in(2)) return special[below(std::size(special))];
        const std::uint64_t bits = random_();
        double d;
        std::memcpy(&d, &bits, sizeof d);
        return d;
    }

    std::string text() {
        static const char* pieces[] = {"a",
                                       "Z",
                                       "\"",
                                       "\\",
                                       "\n",
                                       " ",
                                       "\x01",
                                       "\x7f",
                                       "/",
                                       ":",
                                       "é",
                                       "ß",
                                       "日",
                                       "\U0001F600"};
        std::string out;
        for (std::size_t n = length(); n > 0; --n) out += pieces[below(std::size(pieces))];
        return out;
    }

    bytes raw(std::size_t n) {
        bytes out;
        while (out.size() < n) out.push_back(static_cast<char>(random_()));
        return out;
    }

private:
    std::size_t length() {
        static const std::size_t border[] = {0, 1, 2, 4, 8, 15, 16, 17, 31, 32, 255, 256};
        return one_in(8) ? border[below(std::size(border))] : below(6);
    }

    std::string name() {
        static const char* names[] = {
            "a", "ns/name", "x-y?", "+", "nil", "12", "", "a b", "é", ":c", "-1", "/"};
        return one_in(8) ? text() : names[below(std::size(names))];
    }

    decimal number() {
        static const char* numbers[] = {
            "0", "-0.0", "12345678901234567890", "0.10", "1e400", "007", "-1E-7"};
        return {numbers[below(std::size(numbers))]};
    }

    std::vector<value> items(int depth) {
        std::vector<value> out;
        for (std::size_t n = one_in(20) ? 14 + below(5) : below(5); n > 0; --n)
            out.push_back(any(depth - 1));
        return out;
    }

    static std::vector<value> distinct(std::vector<value> items) {
        std::sort(items.begin(), items.end());
        items.erase(std::unique(items.begin(), items.end()), items.end());
        std::reverse(items.begin(), items.end());
        return items;
    }

    value any_map(int depth) {
        std::vector<std::pair<value, value>> entries;
        for (value& key : distinct(items(depth)))
            entries.emplace_back(std::move(key), any(depth - 1));
        return make_map(std::move(entries));
    }

    std::mt19937_64 random_;
};

/// The message of the tributary::error that `f` throws; "" if none.
template <class F>
std::string message_of(F f) {
    try {
        f();
    } catch (const error& e) {
        return e.what();
    }
    return "";
}

template <class F>
bool refused(F f, errc code = errc::bad_input) {
    try {
        f();
    } catch (const error& e) {
        return e.code() == code;
    }
    return false;
}

}  // namespace tributary::test
