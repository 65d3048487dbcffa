#include "tributary/value/json.hpp"
#include "tributary/value/msgpack.hpp"
#include "tributary/value/number.hpp"
#include "tributary/value/utf8.hpp"

#include <nlohmann/json.hpp>
#include <simdjson.h>

#include <charconv>
#include <optional>

namespace tributary::json {
namespace {

namespace ondemand = simdjson::ondemand;

/// Only looks for the first error: nlohmann's parser says more about it than simdjson does.
struct diagnosis : nlohmann::json_sax<nlohmann::json> {
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override { return true; }
    bool key(string_t&) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t at,
                     const std::string&,
                     const nlohmann::detail::exception& e) override {
        position = at;
        message = e.what();
        return false;
    }

    std::size_t position = 0;
    std::string message;
};

[[noreturn]] void fail(std::size_t position, const std::string& what) {
    throw error(errc::bad_input, "not JSON at byte " + std::to_string(position) + ": " + what);
}

[[noreturn]] void explain(std::string_view text, const char* otherwise) {
    diagnosis found;
    nlohmann::json::sax_parse(text, &found);
    // What follows the library's own name and number, "[json.exception.parse_error.101] ".
    const std::size_t start = found.message.find("] ");
    if (start == std::string::npos) fail(text.size(), otherwise);
    // The message quotes the text, however long or broken that is.
    const std::string_view what = std::string_view(found.message).substr(start + 2, 200);
    fail(found.position, std::string(what.substr(0, utf8_error_offset(what))));
}

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Whether `text` is a number as JSON writes it: a decimal without leading zeros.
bool is_number(std::string_view text) {
    const std::size_t first = text.substr(0, 1) == "-" ? 1 : 0;
    const bool leading_zero =
        text.size() > first + 1 && text[first] == '0' && digit(text[first + 1]);
    return !leading_zero && is_decimal(text);
}

class reader {
public:
    value read(std::string_view text) {
        // In brackets, a lone number or string needs no case of its own. The zeros are what
        // simdjson may look at behind the end.
        buffer_.assign(1, '[').append(text).append(1, ']');
        const std::size_t size = buffer_.size();
        buffer_.append(simdjson::SIMDJSON_PADDING, '\0');
        depth_ = 0;

        ondemand::document document = parser_.iterate(buffer_.data(), size, buffer_.size());
        value v;
        std::size_t values = 0;
        for (ondemand::value item : document.get_array()) {
            if (++values > 1) break;
            v = read_value(item);
        }
        const bool all = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
        if (values != 1 || !all) throw simdjson::simdjson_error(simdjson::TAPE_ERROR);
        return v;
    }

    bool large() const { return buffer_.capacity() > (1u << 20); }

private:
    value read_value(ondemand::value& v) {
        std::string_view token = v.raw_json_token();
        switch (token[0]) {
            case '{':
                return read_object(v, position_of(token));
            case '[':
                return read_array(v, position_of(token));
            case '"':
                return std::string(std::string_view(v.get_string()));
            default:
                break;
        }
        token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
        if (token == "true") return true;
        if (token == "false") return false;
        if (token == "null") return nullptr;
        return read_number(token);
    }

    static value read_number(std::string_view token) {
        if (!is_number(token)) throw simdjson::simdjson_error(simdjson::NUMBER_ERROR);
        if (token.find_first_of(".eE") == std::string_view::npos) {
            std::int64_t i = 0;
            const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), i);
            if (ec == std::errc{}) return i;
        } else if (const auto d = exact_double(token)) {
            return *d;
        }
        return decimal{std::string(token)};
    }

    value read_array(ondemand::value& v, std::size_t position) {
        enter(position);
        vector items;
        for (ondemand::value item : v.get_array()) items.push_back(read_value(item));
        --depth_;
        return items;
    }

    value read_object(ondemand::value& v, std::size_t position) {
        enter(position);
        std::vector<std::pair<value, value>> entries;
        for (ondemand::field field : v.get_object()) {
            std::string key(std::string_view(field.unescaped_key()));
            entries.emplace_back(std::move(key), read_value(field.value()));
        }
        --depth_;
        try {
            return make_map(std::move(entries));
        } catch (const error& e) {
            fail(position, std::string("an object with ") + e.what());
        }
    }

    void enter(std::size_t position) {
        if (++depth_ > nesting_max) {
            fail(position, "nesting beyond " + std::to_string(nesting_max) + " levels");
        }
    }

    /// Counted from 1, in the text without the bracket.
    std::size_t position_of(std::string_view token) const {
        return static_cast<std::size_t>(token.data() - buffer_.data());
    }

    ondemand::parser parser_;
    std::string buffer_;
    int depth_ = 0;
};

}  // namespace

value read(std::string_view text) {
    // Kept, because lines come by the million; but not the memory of a huge one.
    thread_local std::optional<reader> kept;
    if (!kept) kept.emplace();
    try {
        value v = kept->read(text);
        if (kept->large()) kept.reset();
        return v;
    } catch (const simdjson::simdjson_error& e) {
        kept.reset();
        explain(text, e.what());
    }
}

}  // namespace tributary::json
