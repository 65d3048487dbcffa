#include <charconv>
#include <nlohmann/json.hpp>

#include "tributary/value/json.hpp"
#include "tributary/value/msgpack.hpp"
#include "tributary/value/number.hpp"

namespace tributary::json {
namespace {

/// Builds a value from nlohmann's parser's events.
class builder {
public:
    bool null() { return put(nullptr); }
    bool boolean(bool b) { return put(b); }
    bool number_integer(std::int64_t i) { return put(i); }
    bool number_unsigned(std::uint64_t u) {
        if (u > INT64_MAX) return put(decimal{std::to_string(u)});
        return put(u);
    }
    bool number_float(double, const std::string& text) {
        if (const auto d = exact_double(text)) return put(*d);
        return put(decimal{text});
    }
    bool string(std::string& s) { return put(std::move(s)); }
    bool binary(nlohmann::json::binary_t&) { return false; }
    bool key(std::string& s) {
        open_.back().key = std::move(s);
        return true;
    }
    bool start_object(std::size_t) { return start(true); }
    bool start_array(std::size_t) { return start(false); }
    bool end_object() {
        auto entries = std::move(open_.back().entries);
        open_.pop_back();
        return put(make_map(std::move(entries)));
    }
    bool end_array() {
        auto items = std::move(open_.back().items);
        open_.pop_back();
        return put(std::move(items));
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
        throw error(errc::bad_input, "not JSON at byte " + std::to_string(position) + ": " + e.what());
    }

    value take() { return std::move(root_); }

private:
    struct container {
        bool is_object;
        std::string key;
        vector items;
        std::vector<std::pair<value, value>> entries;
    };

    bool start(bool is_object) {
        if (open_.size() == nesting_max) {
            throw error(errc::bad_input, "JSON nested beyond " + std::to_string(nesting_max) + " levels");
        }
        open_.push_back({is_object, {}, {}, {}});
        return true;
    }

    bool put(value v) {
        if (open_.empty()) {
            root_ = std::move(v);
        } else if (container& c = open_.back(); c.is_object) {
            c.entries.emplace_back(std::move(c.key), std::move(v));
        } else {
            c.items.push_back(std::move(v));
        }
        return true;
    }

    value root_;
    std::vector<container> open_;
};

}  // namespace

value read(std::string_view text) {
    builder to;
    nlohmann::json::sax_parse(text, &to);
    return to.take();
}

}  // namespace tributary::json
