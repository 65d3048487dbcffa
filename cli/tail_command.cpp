// tail: the arrival log from a cursor on, in the one vocabulary of all readers.

#include "tributary/value/edn.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"

#include "output.hpp"
#include <charconv>
#include <iostream>

namespace tributary::cli {

namespace {

constexpr std::size_t page_bytes = 1u << 20;

/// The number of the first entry to show (1 is the first), from trim-horizon, latest, at:N or
/// after:N.
std::uint64_t first_of(const std::string& from, std::uint64_t commits) {
    if (from == "trim-horizon") return 1;
    if (from == "latest") return commits + 1;
    for (const std::string prefix : {"at:", "after:"}) {
        if (from.rfind(prefix, 0) != 0) continue;
        std::uint64_t n = 0;
        const char* end = from.data() + from.size();
        const auto [stopped, failed] = std::from_chars(from.data() + prefix.size(), end, n);
        if (failed == std::errc() && stopped == end)
            return prefix == "at:" ? std::max<std::uint64_t>(n, 1) : n + 1;
    }
    throw error(errc::bad_input,
                "--from " + from + ": expected trim-horizon, latest, at:N or after:N");
}

value op_value(const commit_view& c, std::int64_t index, const op& o) {
    return make_map({{"number", static_cast<std::int64_t>(c.at)},
                     {"commit", c.id.hex()},
                     {"index", index},
                     {"author", c.author_name.empty() ? c.header.author.hex() : c.author_name},
                     {"time", inst{c.header.time_ms}},
                     {"op", o.name.text},
                     {"params", o.params}});
}

value commit_value(const commit_view& c) {
    return make_map({{"number", static_cast<std::int64_t>(c.at)},
                     {"commit", c.id.hex()},
                     {"author", c.author_name.empty() ? c.header.author.hex() : c.author_name},
                     {"time", inst{c.header.time_ms}},
                     {"ops", static_cast<std::int64_t>(c.header.op_count)}});
}

void print_entry(format f, const value& entry) {
    if (f == format::json) {
        std::cout << json::print(entry) << '\n';
    } else if (f == format::edn) {
        std::cout << edn::print(entry) << '\n';
    } else {
        const value* op_name = entry.find("op");
        std::cout << entry.find("number")->as<std::int64_t>() << "  "
                  << entry.find("commit")->as<std::string>().substr(0, 12) << "  "
                  << format_instant(entry.find("time")->as<inst>()) << "  "
                  << entry.find("author")->as<std::string>() << "  ";
        if (op_name != nullptr) {
            std::cout << op_name->as<std::string>() << ' ' << edn::print(*entry.find("params"))
                      << '\n';
        } else {
            std::cout << counted(static_cast<std::uint64_t>(entry.find("ops")->as<std::int64_t>()),
                                 "op")
                      << '\n';
        }
    }
}

void print_commit(format f, const commit_view& c, bool ops) {
    if (!ops) return print_entry(f, commit_value(c));
    std::int64_t index = 0;
    for (const bytes_view encoded : split_body(c.body))
        print_entry(f, op_value(c, index++, decode_op(encoded)));
}

int tail(
    const session& s, const std::string& name, const std::string& from, bool ops, bool follow) {
    const auto replica = s.open();
    std::uint64_t known = replica->summary(name).commits;
    std::uint64_t next = first_of(from, known);
    while (keep_going()) {
        const std::vector<commit_view> some = replica->read_arrival(name, next, page_bytes, ops);
        for (const commit_view& c : some) print_commit(s.output, c, ops);
        next += some.size();
        if (!some.empty()) continue;
        std::cout << std::flush;
        if (!follow) break;
        known = replica->wait_for_change(
            name, std::max(known, next - 1), std::chrono::milliseconds(500));
    }
    return ok;
}

}  // namespace

void add_tail_command(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "tail",
                                "Commits as they arrived here, from a cursor on",
                                "trib tail tweets --from latest --ops --follow --format json");
    auto name = std::make_shared<std::string>();
    auto from = std::make_shared<std::string>("trim-horizon");
    auto ops = std::make_shared<bool>(false);
    auto follow = std::make_shared<bool>(false);
    command->add_option("CRDT", *name)->required();
    command->add_option("--from", *from, "trim-horizon, latest, at:N or after:N (N: entry number)")
        ->capture_default_str();
    command->add_flag("--ops", *ops, "an entry for each op");
    command->add_flag("--follow", *follow, "wait for more until interrupted");
    add_format(command, s, {"table", "edn", "json"});
    command->callback(
        [=, &s] { s.action = [=, &s] { return tail(s, *name, *from, *ops, *follow); }; });
}

}  // namespace tributary::cli
