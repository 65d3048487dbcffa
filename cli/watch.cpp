#include "watch.hpp"

#include "tributary/value/instant.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "output.hpp"
#include "peer_rows.hpp"
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

namespace tributary::cli {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto beat = std::chrono::milliseconds(100);
constexpr auto pause = std::chrono::milliseconds(500);
constexpr const char* clear_screen = "\033[H\033[J";

struct picture {
    clock::time_point at = clock::now();
    std::vector<crdt_summary> replicas;
    std::vector<peer_status> peers;
};

picture take(stage& replica, const std::string& name) {
    picture p;
    p.replicas = name.empty() ? replica.list() : std::vector{replica.summary(name)};
    p.peers = replica.peers(name);
    return p;
}

std::string key_of(const peer_status& p) {
    return p.crdt + '\n' + p.url + '\n' + (p.key ? p.key->hex() : "");
}

/// What grew between two pictures, a second.
class rates {
public:
    rates(const picture& before, const picture& now)
        : seconds_(std::chrono::duration<double>(now.at - before.at).count()) {
        for (const crdt_summary& c : before.replicas) before_[c.name] = c.commits;
        for (const peer_status& p : before.peers) {
            before_[key_of(p) + "in"] = p.commits_in;
            before_[key_of(p) + "out"] = p.commits_out;
            before_[key_of(p) + "bytes"] = p.payload_bytes + p.control_bytes;
        }
    }
    std::uint64_t of(const std::string& what, std::uint64_t now) const {
        const auto was = before_.find(what);
        // A connection that was made anew counts from 0.
        if (was == before_.end() || was->second > now || seconds_ <= 0) return 0;
        return static_cast<std::uint64_t>(static_cast<double>(now - was->second) / seconds_ + 0.5);
    }

private:
    double seconds_;
    std::map<std::string, std::uint64_t> before_;
};

void draw(const picture& before, const picture& now) {
    const rates grown(before, now);
    const auto number = [](std::uint64_t n) { return value(static_cast<std::int64_t>(n)); };
    std::fputs(clear_screen, stdout);
    std::vector<std::vector<value>> rows;
    for (const crdt_summary& c : now.replicas)
        rows.push_back({c.name,
                        number(c.commits),
                        number(grown.of(c.name, c.commits)),
                        number(c.ops),
                        number(c.heads.size())});
    print_rows(format::table, {"crdt", "commits", "a second", "ops", "heads"}, rows);
    std::fputs("\n", stdout);
    rows.clear();
    for (const peer_status& p : now.peers) {
        std::vector<value> row = peer_row(p);
        const std::string key = key_of(p);
        row.insert(row.end() - 1,
                   {number(grown.of(key + "in", p.commits_in)),
                    number(grown.of(key + "out", p.commits_out)),
                    human_bytes(grown.of(key + "bytes", p.payload_bytes + p.control_bytes))});
        rows.push_back(std::move(row));
    }
    std::vector<std::string> columns = peer_columns;
    columns.insert(columns.end() - 1, {"in a second", "out a second", "bytes a second"});
    print_rows(format::table, columns, rows);
    std::fflush(stdout);
}

/// Lines of what is other than it was.
class change_log {
public:
    explicit change_log(format f) : format_(f) {}

    void tell(const picture& now) {
        for (const crdt_summary& c : now.replicas) {
            const std::string text = fmt::format(
                "{}, {}", counted(c.commits, "commit"), counted(c.heads.size(), "head"));
            if (!changed(c.name, text)) continue;
            line(c.name + ": " + text,
                 {"crdt", "commits", "ops", "heads"},
                 {c.name,
                  static_cast<std::int64_t>(c.commits),
                  static_cast<std::int64_t>(c.ops),
                  static_cast<std::int64_t>(c.heads.size())});
        }
        for (const peer_status& p : now.peers) {
            const std::string text = text_of(p);
            if (!changed(key_of(p), text)) continue;
            line(p.crdt + ", " + peer_name(p) + ": " + text,
                 {"crdt", "peer"},
                 {p.crdt, peer_value(p)});
        }
        std::fflush(stdout);
    }

private:
    static std::string text_of(const peer_status& p) {
        std::string text = name_of(p.state);
        if (p.lag.they_lack.value_or(0) > 0)
            text += ", lacks " + counted(*p.lag.they_lack, "commit");
        if (p.lag.we_lack.value_or(0) > 0)
            text += ", has " + counted(*p.lag.we_lack, "commit") + " more";
        const std::string reason = why(p);
        return reason.empty() ? text : text + "; " + reason;
    }

    bool changed(const std::string& what, const std::string& text) {
        std::string& last = told_[what];
        if (last == text) return false;
        last = text;
        return true;
    }

    void line(const std::string& text,
              std::vector<std::string> columns,
              std::vector<value> row) const {
        const inst now{std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count()};
        columns.insert(columns.begin(), "time");
        row.insert(row.begin(), now);
        if (format_ == format::json) return print_rows(format_, columns, {row});
        std::fputs((format_instant(now) + "  " + on_one_line(text) + "\n").c_str(), stdout);
    }

    const format format_;
    std::map<std::string, std::string> told_;
};

}  // namespace

void watch(stage& replica, const std::string& name, format f) {
    const bool drawn = f == format::table && isatty(STDOUT_FILENO) != 0;
    change_log log(f);
    picture before = take(replica, name);
    while (keep_going()) {
        picture now = take(replica, name);
        drawn ? draw(before, now) : log.tell(now);
        before = std::move(now);
        for (auto left = pause; left.count() > 0 && keep_going(); left -= beat)
            std::this_thread::sleep_for(beat);
    }
}

}  // namespace tributary::cli
