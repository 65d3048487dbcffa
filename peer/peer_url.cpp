#include "tributary/peer/peer_url.hpp"

#include "tributary/value/error.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace tributary {

namespace {

constexpr std::string_view local_scheme = "unix:";
constexpr const char* default_port = "9095";
constexpr const char* default_tls_port = "443";
/// Of sockaddr_un, without the zero at the end.
constexpr std::size_t socket_path_max = 107;

bool is_port(std::string_view text) {
    unsigned port = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

/// Splits HOST:PORT, [V6]:PORT, HOST; nothing if it is neither.
std::optional<std::pair<std::string, std::string>> split_authority(std::string_view text,
                                                                   const char* otherwise) {
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
    std::string port = text.empty() ? otherwise : std::string(text.substr(1));
    if (!is_port(port)) return std::nullopt;
    return std::pair{std::move(host), std::move(port)};
}

/// What may stand in the first line of an HTTP request as it is.
bool is_request_target(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// Splits "/SOME/PREFIX/NAME" after the last slash.
void take_path(peer_url& url, std::string_view path) {
    if (path.empty()) return;
    const std::size_t slash = path.rfind('/');
    url.prefix = path.substr(0, slash + 1);
    url.name = path.substr(slash + 1);
}

/// `rest` follows "unix:"; three slashes, as for a file:, are as good as one.
std::optional<peer_url> parse_local(std::string_view rest) {
    if (rest.starts_with("///")) rest.remove_prefix(2);
    if (!rest.starts_with('/') || rest.starts_with("//")) return std::nullopt;
    peer_url url{peer_url::transport::local};
    const std::size_t colon = rest.find(":/");
    url.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) take_path(url, rest.substr(colon + 1));
    return url;
}

std::optional<peer_url> parse_remote(std::string_view rest, peer_url::transport over) {
    const bool tls = over == peer_url::transport::tls;
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    auto authority = split_authority(rest.substr(0, slash), tls ? default_tls_port : default_port);
    if (!authority || authority->first.empty()) return std::nullopt;
    peer_url url{over, std::move(authority->first), std::move(authority->second)};
    take_path(url, rest.substr(slash));
    return url;
}

void require_short(const peer_url& url) {
    if (url.host.size() > socket_path_max)
        throw error(errc::bad_input,
                    "\"" + url.host + "\" is too long for a socket; at most " +
                        std::to_string(socket_path_max) + " bytes are");
}

}  // namespace

std::string peer_url::origin() const {
    const std::string path = prefix == "/" ? "" : prefix;
    if (over == transport::local)
        return std::string(local_scheme) + host + (path.empty() ? "" : ":" + path);
    const bool literal = host.find(':') != std::string::npos;
    return (over == transport::tls ? "wss://" : "ws://") + (literal ? "[" + host + "]" : host) +
           ":" + port + path;
}

std::string peer_url::with_name(const std::string& crdt) const {
    const std::string link = prefix != "/" ? "" : over == transport::local ? ":/" : "/";
    return origin() + link + crdt;
}

std::string peer_url::http_host() const {
    if (over == transport::local) return "localhost";
    const bool literal = host.find(':') != std::string::npos;
    const std::string name = literal ? "[" + host + "]" : host;
    return port == (over == transport::tls ? "443" : "80") ? name : name + ":" + port;
}

peer_url parse_peer_url(const std::string& text) {
    std::optional<peer_url> url;
    const std::string_view all = text;
    if (all.starts_with("ws://")) url = parse_remote(all.substr(5), peer_url::transport::tcp);
    if (all.starts_with("wss://")) url = parse_remote(all.substr(6), peer_url::transport::tls);
    if (all.starts_with(local_scheme)) url = parse_local(all.substr(local_scheme.size()));
    if (!url || !is_request_target(url->prefix))
        throw error(errc::bad_input,
                    "\"" + text +
                        "\" is no peer's URL; one looks like ws://HOST:PORT/NAME, "
                        "wss://HOST/NAME or unix:/PATH/TO/SOCKET:/NAME, with or without the name");
    if (url->over == peer_url::transport::local) require_short(*url);
    return *url;
}

peer_url parse_listen(const std::string& text) {
    const bool local = text.starts_with(local_scheme);
    if (local) {
        auto url = parse_local(std::string_view(text).substr(local_scheme.size()));
        if (url && url->name.empty() && url->prefix == "/") {
            require_short(*url);
            return *url;
        }
    }
    auto authority = split_authority(text, default_port);
    if (local || !authority)
        throw error(errc::bad_input,
                    "cannot listen on \"" + text +
                        "\"; give HOST:PORT, such as 127.0.0.1:9095 or [::]:9095, or "
                        "unix:/PATH/TO/SOCKET");
    if (authority->first.empty()) authority->first = "127.0.0.1";
    return {peer_url::transport::tcp, std::move(authority->first), std::move(authority->second)};
}

}  // namespace tributary
