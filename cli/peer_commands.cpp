// Commands between peers: serve, ls, clone, deepen, sync.

#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include <fmt/format.h>

#include "output.hpp"
#include "progress.hpp"
#include <algorithm>
#include <iostream>
#include <set>

namespace tributary::cli {

namespace {

std::int64_t whole(std::uint64_t n) { return static_cast<std::int64_t>(n); }

const std::vector<std::string> cost_columns{"crdt",
                                            "commits",
                                            "commits_in",
                                            "commits_out",
                                            "payload_bytes",
                                            "control_bytes",
                                            "round_trips",
                                            "blobs_in",
                                            "blob_bytes_in",
                                            "blob_bytes_out",
                                            "blobs_missing",
                                            "seconds",
                                            "warning",
                                            "error"};

/// For programs.
std::vector<value> cost_row(value name, const sync_report& r, value failure) {
    return {std::move(name),
            whole(r.commits_in + r.commits_out),
            whole(r.commits_in),
            whole(r.commits_out),
            whole(r.payload_bytes),
            whole(r.control_bytes),
            whole(r.round_trips),
            whole(r.blobs_in),
            whole(r.blob_bytes_in),
            whole(r.blob_bytes_out),
            whole(r.blobs_missing),
            r.seconds,
            r.warning.empty() ? value() : value(r.warning),
            std::move(failure)};
}

/// For people.
std::string cost_text(const sync_report& r) {
    return fmt::format("{} in, {} out; {} of payload, {} of control; {}; {:.3f} s",
                       counted(r.commits_in, "commit"),
                       with_commas(r.commits_out),
                       human_bytes(r.payload_bytes),
                       human_bytes(r.control_bytes),
                       counted(r.round_trips, "round trip"),
                       r.seconds);
}

void print_blobs(const sync_report& r) {
    if (r.blob_bytes_in > 0 || r.blobs_in > 0 || r.blob_bytes_out > 0)
        std::cout << fmt::format("{} in, {} of blobs in, {} out\n",
                                 counted(r.blobs_in, "blob"),
                                 human_bytes(r.blob_bytes_in),
                                 human_bytes(r.blob_bytes_out));
    if (r.blobs_missing > 0)
        log_line(fmt::format("{} could not be fetched: the peer has not all of it, or see trib "
                             "status; sync again, or with another peer",
                             counted(r.blobs_missing, "blob")),
                 "warn");
}

void print_warning(const sync_report& r) {
    if (!r.warning.empty()) log_line(r.warning, "warn");
}

void print_report(const session& s, const std::string& name, const sync_report& r) {
    if (s.output != format::table)
        return print_rows(
            s.output, cost_columns, {cost_row(name.empty() ? value() : value(name), r, {})});
    std::cout << cost_text(r) << '\n';
    print_blobs(r);
    print_warning(r);
}

/// What each has cost, what all have, and what went wrong.
void print_joint(const session& s, const joint_report& all) {
    std::vector<std::vector<value>> rows;
    for (const synced_crdt& one : all.crdts) {
        if (one.failure) log_line(one.name + ": " + one.reason, "error");
        if (s.output == format::table && !one.failure)
            std::cout << one.name << ": " << cost_text(one.report) << '\n';
        if (s.output == format::table) print_warning(one.report);
        rows.push_back(cost_row(one.name, one.report, one.failure ? value(one.reason) : value()));
    }
    if (s.output != format::table) {
        rows.push_back(cost_row({}, all.total, {}));
        return print_rows(s.output, cost_columns, rows);
    }
    std::cout << "in all: " << cost_text(all.total) << '\n';
    print_blobs(all.total);
}

/// A CRDT may have got several heads by a sync; the user should know at once.
void mention_conflict(stage& replica, const std::string& name) {
    const std::size_t heads = replica.summary(name).heads.size();
    if (heads > 1)
        log_line(fmt::format("{} has {} heads now; see: trib conflicts {}", name, heads, name),
                 "warn");
}

/// Adds --lazy-blobs and --all-blobs.
void add_blob_choice(CLI::App* command, std::optional<bool>& lazy) {
    auto* on = command->add_flag_callback(
        "--lazy-blobs",
        [&lazy] { lazy = true; },
        "from now on, fetch blobs only when they are asked for (trib blob get)");
    auto* off = command->add_flag_callback(
        "--all-blobs", [&lazy] { lazy = false; }, "from now on, fetch all blobs (the default)");
    on->excludes(off);
}

connect_options shown(
    const session& s, progress& bar, bool follow, const tls_trust& trust, bool compress) {
    connect_options options;
    options.follow = follow;
    options.trust = trust;
    options.compress = compress;
    options.keep_going = [&s, &bar, follow, last = std::string(), told = std::set<std::string>()](
                             const sync_progress& p) mutable {
        for (const synced_crdt& one : p.crdts) {
            const bool alone = p.crdts.size() == 1;
            if (!follow || alone || !one.failure || !told.insert(one.name).second) continue;
            bar.clear();
            log_line(one.name + ": " + one.reason + "; the others go on", "error");
        }
        const bool waiting = p.state.rfind("waiting", 0) == 0;
        const bool counts_down = waiting && last.rfind("waiting", 0) == 0;
        if (follow && p.state != last && !counts_down) {
            bar.clear();
            log_line(p.state, waiting ? "warn" : "info");
        }
        last = p.state;
        const std::string more =
            fmt::format("{} out, {}", with_commas(p.commits_out), human_bytes(p.bytes));
        if (p.blob_bytes_in_expected > 0 && p.commits_in >= p.commits_in_expected)
            return bar.show(p.blob_bytes_in,
                            std::max(p.blob_bytes_in, p.blob_bytes_in_expected),
                            "bytes of blobs in",
                            human_bytes(p.blob_bytes_in)),
                   keep_going();
        // More may come than was announced.
        bar.show(p.commits_in, std::max(p.commits_in, p.commits_in_expected), "commits in", more);
        return keep_going();
    };
    return options;
}

/// Paths are read by the process that has the store open, which may be elsewhere.
std::string absolute(const std::string& file) {
    return file.empty() ? file : std::filesystem::absolute(file).string();
}

/// --ca and --pin.
std::shared_ptr<tls_trust> add_trust(CLI::App* command) {
    auto trust = std::make_shared<tls_trust>();
    auto* ca = command->add_option_function<std::string>(
        "--ca",
        [trust](const std::string& file) { trust->ca = absolute(file); },
        "certificates (PEM) of those who may vouch for the server, instead of the system's");
    command
        ->add_option("--pin",
                     trust->pin,
                     "the server's key, which trib serve prints; it alone is trusted, whatever "
                     "the certificate says")
        ->excludes(ca);
    return trust;
}

std::shared_ptr<bool> add_compress(CLI::App* command, const std::string& help) {
    auto compress = std::make_shared<bool>(false);
    command->add_flag("--compress", *compress, help);
    return compress;
}
constexpr const char* compress_help = "on a slow link, with a peer that serves so, too";

void add_serve(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "serve",
                                "Serve everything here to other peers, and GET /health and "
                                "/metrics; ends with SIGINT or SIGTERM",
                                "trib serve --listen 0.0.0.0:9095");
    auto listen = std::make_shared<std::string>("127.0.0.1:9095");
    command
        ->add_option("--listen",
                     *listen,
                     "HOST:PORT, or HOST for port 9095; port 0 picks a free one; or "
                     "unix:/PATH/TO/SOCKET")
        ->capture_default_str();
    auto certificate = std::make_shared<std::string>();
    auto key = std::make_shared<std::string>();
    auto* with_certificate = command->add_option(
        "--tls-cert", *certificate, "serve wss:// with this certificate (PEM, with its chain)");
    auto* with_key = command->add_option("--tls-key", *key, "its key (PEM, not encrypted)");
    const auto compress =
        add_compress(command, "for peers that ask for it, which costs 300 kB of memory each");
    with_certificate->needs(with_key);
    with_key->needs(with_certificate);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            if (listen->find_first_not_of("0123456789") == listen->npos)
                throw usage_error("--listen is HOST:PORT, such as 127.0.0.1:9095, found " +
                                  *listen);
            s.open_or_make()->serve(
                {*listen, {absolute(*certificate), absolute(*key)}, *compress},
                [&](const std::string& address) {
                    if (!certificate->empty())
                        log_line(
                            "peers that do not know who vouches for this server trust it with"
                            " --pin " +
                            tls_pin(*certificate));
                    std::cout << address << std::endl;
                },
                [] { return keep_going(); });
            return ok;
        };
    });
}

void add_ls(CLI::App& app, session& s) {
    auto* command = add_command(
        app, "ls", "What a peer offers, or what is here", "trib ls ws://127.0.0.1:9095");
    auto url = std::make_shared<std::string>();
    command->add_option("URL", *url, "ws://HOST:PORT; without one, the store's own");
    const auto trust = add_trust(command);
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            std::vector<std::vector<value>> rows;
            std::vector<std::string> columns{"name", "type", "commits", "heads", "address"};
            if (url->empty()) {
                const std::vector<crdt_summary> all = s.open()->list();
                if (std::any_of(
                        all.begin(), all.end(), [](const auto& c) { return c.below.has_value(); }))
                    columns.push_back("history");
                for (const crdt_summary& c : all) {
                    rows.push_back({c.name,
                                    c.type,
                                    whole(c.commits),
                                    whole(c.heads.size()),
                                    address_of(c.id)});
                    if (columns.size() > 5) rows.back().push_back(history_text(c));
                }
            } else {
                for (const offer& o : stage::offers(*url, *trust)) {
                    rows.push_back(
                        {o.name, o.type, whole(o.commits), whole(o.heads), address_of(o.id)});
                }
            }
            print_rows(s.output, columns, rows);
            return ok;
        };
    });
}

/// What --depth and --since, if one of them is given, ask for.
std::optional<history_part> part_of(std::uint64_t depth, const std::string& since) {
    using measure = history_part::measure;
    if (depth > 0) return history_part{measure::depth, depth};
    if (since.empty()) return std::nullopt;
    const std::int64_t ms = parse_instant(since).ms;
    return history_part{measure::since, static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0))};
}

void add_clone(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "clone",
                                "A new replica of what a peer offers; run it again to resume",
                                "trib clone ws://127.0.0.1:9095/tweets");
    auto url = std::make_shared<std::string>();
    auto name = std::make_shared<std::string>();
    command->add_option("URL", *url, "ws://HOST:PORT/NAME, the name or the trib: address")
        ->required();
    command->add_option("NAME", *name, "its name here (default: the peer's)");
    const auto trust = add_trust(command);
    const auto compress = add_compress(command, compress_help);
    auto depth = std::make_shared<std::uint64_t>(0);
    auto since = std::make_shared<std::string>();
    auto* by_depth =
        command->add_option("--depth", *depth, "only the last so many commits, and the heads")
            ->check(CLI::PositiveNumber);
    command
        ->add_option("--since",
                     *since,
                     "only commits from about this time on, by the clocks of their authors, as "
                     "2026-11-27 or 2026-11-27T09:30")
        ->excludes(by_depth);
    auto lazy = std::make_shared<std::optional<bool>>();
    add_blob_choice(command, *lazy);
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            progress bar("cloning");
            connect_options options = shown(s, bar, false, *trust, *compress);
            options.part = part_of(*depth, *since);
            options.lazy_blobs = *lazy;
            const sync_report report = s.open_or_make()->clone(*url, *name, options);
            bar.clear();
            print_report(s, *name, report);
            return keep_going() ? ok : interrupted;
        };
    });
}

void add_deepen(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "deepen",
                                "Fetch older commits of a clone that began with --depth or --since",
                                "trib deepen tweets --depth 100000");
    auto name = std::make_shared<std::string>();
    auto url = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command->add_option("URL", *url, "ws://HOST:PORT (default: the one used last)");
    auto depth = std::make_shared<std::uint64_t>(0);
    auto since = std::make_shared<std::string>();
    auto* by_depth = command->add_option("--depth", *depth, "the last so many commits, and heads")
                         ->check(CLI::PositiveNumber);
    auto* by_time = command->add_option("--since", *since, "as of clone")->excludes(by_depth);
    command
        ->add_flag_callback(
            "--all", [] {}, "everything (the default)")
        ->excludes(by_depth)
        ->excludes(by_time);
    const auto trust = add_trust(command);
    const auto compress = add_compress(command, compress_help);
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            progress bar("deepening " + *name);
            const auto replica = s.open();
            connect_options options = shown(s, bar, false, *trust, *compress);
            options.part = part_of(*depth, *since);
            const sync_report report = replica->deepen(*name, *url, options);
            bar.clear();
            print_report(s, *name, report);
            return keep_going() ? ok : interrupted;
        };
    });
}

/// Names of CRDTs, and at most one URL.
struct sync_targets {
    std::vector<std::string> names;
    std::string url;
};

/// Only URLs have slashes. What ends like HOST:PORT is meant to be one, and is told how to be.
bool is_url(const std::string& word) {
    const std::size_t colon = word.rfind(':');
    const bool has_port = colon != word.npos && colon + 1 < word.size() &&
                          word.find_first_not_of("0123456789", colon + 1) == word.npos;
    return word.find('/') != word.npos || word.starts_with("unix:") || has_port;
}

sync_targets read_targets(const std::vector<std::string>& words, bool all) {
    sync_targets found;
    for (const std::string& word : words) {
        if (!is_url(word)) {
            found.names.push_back(word);
        } else if (found.url.empty()) {
            found.url = word;
        } else {
            throw usage_error("sync with one peer at a time: " + found.url + " or " + word);
        }
    }
    if (all != found.names.empty())
        throw usage_error(all ? "either --all or the names of CRDTs"
                              : "which CRDTs? Give their names, or --all");
    return found;
}

void add_sync(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "sync",
                                "Fetch and push what is new, of several CRDTs over one connection",
                                "trib sync tweets ws://127.0.0.1:9095 --follow");
    auto words = std::make_shared<std::vector<std::string>>();
    auto all = std::make_shared<bool>(false);
    auto follow = std::make_shared<bool>(false);
    command->add_option(
        "CRDT", *words, "CRDTs, and ws://HOST:PORT (default: the one each used last)");
    command->add_flag("--all", *all, "all that are here and have, or are given, a peer");
    command->add_flag("--follow", *follow, "stay live, reconnect by itself, until interrupted");
    const auto trust = add_trust(command);
    const auto compress = add_compress(command, compress_help);
    auto lazy = std::make_shared<std::optional<bool>>();
    add_blob_choice(command, *lazy);
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto [names, url] = read_targets(*words, *all);
            progress bar(names.size() == 1 ? "syncing " + names[0] : "syncing");
            const auto replica = s.open();
            connect_options options = shown(s, bar, *follow, *trust, *compress);
            options.lazy_blobs = *lazy;
            const joint_report report = replica->sync(names, url, options);
            bar.clear();
            if (names.size() == 1) {
                print_report(s, names[0], only(report));
            } else {
                print_joint(s, report);
            }
            bool failed = false;
            for (const synced_crdt& one : report.crdts) {
                if (!one.failure) mention_conflict(*replica, one.name);
                failed = failed || one.failure;
            }
            if (failed) return exit_code::failed;
            return *follow || keep_going() ? ok : interrupted;
        };
    });
}

}  // namespace

void add_peer_commands(CLI::App& app, session& s) {
    add_serve(app, s);
    add_ls(app, s);
    add_clone(app, s);
    add_deepen(app, s);
    add_sync(app, s);
}

}  // namespace tributary::cli
