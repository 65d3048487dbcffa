#include "tributary/peer/node.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

namespace tributary {

namespace {

constexpr const char *current_name = "identity", *next_name = "identity.next",
                     *old_name = "identity.old";

std::string read_text(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string text;
    if (!std::getline(in, text))
        throw error(errc::io, "cannot read the identity in " + file.string());
    return text;
}

/// A file that is there whole or not at all, readable by its owner only.
void write_private(const std::filesystem::path& file, const std::string& text) {
    const std::filesystem::path fresh = file.string() + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 &&
              ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
              ::fsync(fd) == 0;
    const int failed = errno;
    if (fd >= 0) ::close(fd);
    if (!ok)
        throw error(failed == ENOSPC ? errc::no_space : errc::io,
                    "cannot write " + fresh.string() + ": " + std::strerror(failed));
    std::filesystem::rename(fresh, file);
}

/// What stands in `file`, or one that is made and put there.
identity identity_in(const std::filesystem::path& file) {
    if (std::filesystem::exists(file)) {
        try {
            return identity::from_seed(from_hex(read_text(file)));
        } catch (const error& e) {
            if (e.code() != errc::bad_input) throw;
            throw error(
                errc::bad_input,
                file.string() +
                    " is damaged: it must hold 64 hexadecimal digits; restore it from a backup");
        }
    }
    const identity made = identity::generate();
    write_private(file, to_hex(made.seed()) + "\n");
    return made;
}

/// Makes what was renamed in `dir` last.
void sync_directory(const std::filesystem::path& dir) {
    const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && ::fsync(fd) == 0;
    const int failed = errno;
    if (fd >= 0) ::close(fd);
    if (!ok) throw error(errc::io, "cannot sync " + dir.string() + ": " + std::strerror(failed));
}

}  // namespace

identity open_identity(const std::filesystem::path& dir) { return identity_in(dir / current_name); }

identity peer_node::next_identity() const {
    if (dir_.empty()) throw error(errc::misuse, "a store in memory keeps its key");
    const identity next = identity_in(dir_ / next_name);
    sync_directory(dir_);
    return next;
}

std::optional<identity> peer_node::last_identity() const {
    const std::filesystem::path file = dir_ / old_name;
    if (dir_.empty() || !std::filesystem::exists(file)) return std::nullopt;
    return identity_in(file);
}

void peer_node::keep_next_identity() const {
    write_private(dir_ / old_name, read_text(dir_ / current_name) + "\n");
    std::filesystem::rename(dir_ / next_name, dir_ / current_name);
    sync_directory(dir_);
}

void peer_node::finish_rotation() {
    if (!std::filesystem::exists(dir_ / next_name)) return;
    const identity next = next_identity();
    const bool begun = [&] {
        for (const crdt_handle h : store_->list())
            for (const fact& f : store_->authority_of(h)->facts())
                if (f.by == self_.key() && f.of == next.key() && f.granted) return true;
        return false;
    }();
    if (!begun) return;
    keep_next_identity();
    set_self(next);
}

void keep_identity(const std::filesystem::path& dir, const identity& self) {
    write_private(dir / current_name, to_hex(self.seed()) + "\n");
}

void peer_node::answer_http(const std::string& path,
                            const std::function<void(http_answer)>& reply) {
    const std::string name = path.substr(0, path.find('?'));
    if (name == "/health") return reply(health());
    if (name == "/metrics") return reply({200, "text/plain; version=0.0.4", metrics()});
    reply({404,
           "text/plain",
           "A tributary peer. It speaks WebSocket to peers, and answers GET /health and "
           "/metrics.\n"});
}

http_answer peer_node::health() const {
    if (flush_failure_.empty()) return {200, "application/json", "{\"status\":\"ok\"}\n"};
    return {
        503, "application/json", "{\"status\":\"failing\",\"reason\":\"the last write failed\"}\n"};
}

namespace {

/// A value inside the double quotes of a Prometheus label.
std::string label(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

}  // namespace

std::string peer_node::metrics() const {
    std::string commits = "# TYPE tributary_commits gauge\n", ops = "# TYPE tributary_ops gauge\n",
                heads = "# TYPE tributary_heads gauge\n";
    for (crdt_handle h : store_->list()) {
        const crdt_state s = store_->state(h);
        const std::string labels =
            fmt::format("{{name=\"{}\",id=\"{}\"}}", label(s.name), s.id.hex());
        commits += fmt::format("tributary_commits{} {}\n", labels, s.end.seq);
        ops += fmt::format("tributary_ops{} {}\n", labels, s.ops);
        heads += fmt::format("tributary_heads{} {}\n", labels, s.heads.size());
    }
    std::error_code ec;
    std::uintmax_t stored = 0;
    // Without a directory both walk and space fail, and both figures are 0.
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_, ec))
        if (std::error_code gone; file.is_regular_file(gone)) {
            const auto size = file.file_size(gone);
            if (!gone) stored += size;
        }
    const auto space = std::filesystem::space(dir_, ec);
    std::string limits = "# TYPE tributary_limit_met_total counter\n";
    std::map<std::string, std::uint64_t> met = hub_->limits_met();
    for (const auto& [name, times] : shell_->limits_met()) met[name] += times;
    met["key-share"] = throttle_.held_total();
    for (const auto& [name, times] : met)
        limits += fmt::format("tributary_limit_met_total{{limit=\"{}\"}} {}\n", name, times);
    return commits + ops + heads + limits +
           fmt::format(
               "# TYPE tributary_throttled_connections gauge\n"
               "tributary_throttled_connections {}\n",
               throttle_.held().size()) +
           fmt::format("# TYPE tributary_connections gauge\ntributary_connections {}\n",
                       hub_->connection_count()) +
           fmt::format("# TYPE tributary_store_bytes gauge\ntributary_store_bytes {}\n", stored) +
           fmt::format("# TYPE tributary_disk_free_bytes gauge\ntributary_disk_free_bytes {}\n",
                       ec ? 0 : space.available) +
           fmt::format("# TYPE tributary_write_failing gauge\ntributary_write_failing {}\n",
                       flush_failure_.empty() ? 0 : 1);
}

}  // namespace tributary
