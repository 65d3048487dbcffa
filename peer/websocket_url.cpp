#include "tributary/peer/websocket.hpp"

#include <charconv>
#include <utility>

namespace tributary {

namespace {

constexpr const char* default_port = "9095";

bool is_port(std::string_view text) {
    unsigned port = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

/// Splits HOST:PORT, [V6]:PORT, HOST; nothing if it is neither.
std::optional<std::pair<std::string, std::string>> split_authority(std::string_view text) {
    std::string host;
    if (!text.empty() && text.front() == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        host = text.substr(1, close - 1);
        text.remove_prefix(close + 1);
        if (!text.empty() && text.front() != ':') return std::nullopt;
    } else {
        const std::size_t colon = text.find(':');
        host = text.substr(0, colon);
        text.remove_prefix(colon == std::string_view::npos ? text.size() : colon);
    }
    std::string port = text.empty() ? default_port : std::string(text.substr(1));
    if (!is_port(port)) return std::nullopt;
    return std::pair{std::move(host), std::move(port)};
}

}  // namespace

std::string peer_url::origin() const {
    const bool literal = host.find(':') != std::string::npos;
    return "ws://" + (literal ? "[" + host + "]" : host) + ":" + port;
}

peer_url parse_peer_url(const std::string& text) {
    constexpr std::string_view scheme = "ws://";
    if (text.starts_with("wss://"))
        throw error(errc::misuse,
                    "\"" + text +
                        "\": TLS is not built in; use ws://, over a tunnel where the network is "
                        "not trusted");
    std::string_view rest = text;
    if (rest.starts_with(scheme)) {
        rest.remove_prefix(scheme.size());
        const std::size_t slash = rest.find('/');
        auto authority = split_authority(rest.substr(0, slash));
        std::string path =
            slash == std::string_view::npos ? "" : std::string(rest.substr(slash + 1));
        if (authority && !authority->first.empty())
            return {authority->first, authority->second, std::move(path)};
    }
    throw error(
        errc::bad_input,
        "\"" + text + "\" is no peer's URL; one looks like ws://HOST:PORT or ws://HOST:PORT/NAME");
}

std::pair<std::string, std::string> parse_listen(const std::string& text) {
    auto authority = split_authority(text);
    if (!authority)
        throw error(errc::bad_input,
                    "cannot listen on \"" + text +
                        "\"; give HOST:PORT, such as 127.0.0.1:9095 or [::]:9095");
    if (authority->first.empty()) authority->first = "127.0.0.1";
    return *authority;
}

}  // namespace tributary
