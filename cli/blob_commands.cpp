// Commands about blobs: blob add, ls, get, cat.

#include "tributary/peer/stage_blobs.hpp"

#include <fmt/format.h>

#include "output.hpp"
#include "progress.hpp"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

namespace tributary::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t piece_bytes = 256u << 10;

void require_going_on() {
    if (!keep_going()) throw error(errc::canceled, "interrupted");
}

/// What a file or stdin holds, as a blob of `replica`.
blob_ref add_from(stage& replica, const std::string& file) {
    std::ifstream opened;
    std::uint64_t all = 0;
    if (file != "-") {
        std::error_code ec;
        if (!fs::exists(file, ec)) throw error(errc::not_found, "there is no file " + file);
        if (!fs::is_directory(file, ec)) opened.open(file, std::ios::binary);
        if (!opened.is_open()) throw error(errc::io, "cannot read " + file);
        all = fs::file_size(file, ec);
        if (ec) all = 0;  // a pipe
    }
    std::istream& in = file == "-" ? std::cin : opened;
    const auto to = replica.blob_files().write();
    progress bar("adding " + file);
    bytes piece(piece_bytes, '\0');
    for (std::uint64_t done = 0; in;) {
        require_going_on();
        in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        to->append(bytes_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
        done += static_cast<std::uint64_t>(in.gcount());
        bar.show(done, all, "bytes");
    }
    if (in.bad()) throw error(errc::io, "cannot read all of " + file);
    require_going_on();
    return to->finish();
}

void add_add(CLI::App& app, session& s) {
    auto* command = add_command(
        app,
        "add",
        "Keep a file as a blob, and append an op that names it: {:name NAME :size N :blob ADDRESS}",
        "trib blob add tweets photo.jpg --op add-photo");
    auto name = std::make_shared<std::string>();
    auto files = std::make_shared<std::vector<std::string>>();
    auto op_name = std::make_shared<std::string>("add-file");
    auto called = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command->add_option("FILE", *files, "one or more; - for stdin")->required();
    command->add_option("--op", *op_name, "the op's name")->capture_default_str();
    command->add_option("--name", *called, "the :name in the op (default: the file's)");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            replica->summary(*name);  // it is there, before anything is read
            for (const std::string& file : *files) {
                const blob_ref ref = add_from(*replica, file);
                const std::string shown =
                    called->empty() ? fs::path(file).filename().string() : *called;
                const value params = make_map({{keyword{"name"}, shown},
                                               {keyword{"size"}, value(ref.size)},
                                               {keyword{"blob"}, blob_address(ref.id)}});
                replica->transact(*name, {{symbol{*op_name}, params}});
                std::cout << blob_address(ref.id) << '\n';
            }
            return ok;
        };
    });
}

/// The first op of a commit that names a blob, and the name it gives it.
std::pair<std::string, std::string> told_by(stage& replica,
                                            const std::string& name,
                                            const blob_summary& b) {
    const auto c = replica.find(name, b.commit, true);
    if (!c) return {};
    for (const bytes_view encoded : split_body(c->body)) {
        const std::vector<blob_id> named = blobs_in_op(encoded);
        if (std::find(named.begin(), named.end(), b.id) == named.end()) continue;
        const op o = decode_op(encoded);
        for (const value& key : {value(keyword{"name"}), value("name")})
            if (const value* found = o.params.find(key))
                if (const auto* text = found->get_if<std::string>()) return {o.name.text, *text};
        return {o.name.text, ""};
    }
    return {};
}

void add_ls(CLI::App& app, session& s) {
    auto* command = add_command(
        app, "ls", "The blobs that a CRDT's commits name", "trib blob ls tweets --format csv");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            std::vector<std::vector<value>> rows;
            for (const blob_summary& b : replica->blobs(*name)) {
                const auto [op_name, told] = told_by(*replica, *name, b);
                rows.push_back({s.output == format::table ? b.id.brief() : blob_address(b.id),
                                value(b.size),
                                value(b.here),
                                op_name,
                                told,
                                b.commit.brief()});
            }
            print_rows(s.output, {"blob", "size", "here", "op", "name", "commit"}, rows);
            return ok;
        };
    });
}

/// A blob by its address, its id or the beginning of that.
blob_summary find_blob(stage& replica, const std::string& name, const std::string& text) {
    const std::string hex = text.starts_with("blob:1") ? text.substr(6) : text;
    std::vector<blob_summary> found;
    if (!hex.empty())
        for (blob_summary& b : replica.blobs(name))
            if (b.id.hex().starts_with(hex)) found.push_back(b);
    if (found.size() == 1) return found.front();
    throw error(found.empty() ? errc::not_found : errc::misuse,
                (found.empty() ? "no commit of " + name + " names a blob " + text
                               : text + " is the beginning of several blobs of " + name) +
                    "; see: trib blob ls " + name);
}

/// The blob, whole: from a peer if it is not here.
blob_summary require_whole(stage& replica,
                           const std::string& name,
                           const std::string& text,
                           const std::string& from) {
    const blob_summary b = find_blob(replica, name, text);
    if (replica.blob_files().is_whole(b.id)) return b;
    progress bar("fetching");
    connect_options options;
    options.blobs = {b.id};
    options.keep_going = [&](const sync_progress& p) {
        bar.show(std::min(b.here + p.blob_bytes_in, b.size), b.size, "bytes", p.state);
        return keep_going();
    };
    const sync_report report = replica.connect(name, from, options);
    if (replica.blob_files().is_whole(b.id)) return b;
    std::string why = "the peer has not all of it; try another with --from ws://HOST:PORT";
    for (const auto& [what, status] : replica.summary(name).status)
        if (what == "blobs") why = status;
    throw error(errc::not_found,
                fmt::format("blob {} is not here whole ({} of {}): {}",
                            b.id.brief(),
                            human_bytes(b.here + report.blob_bytes_in),
                            human_bytes(b.size),
                            why));
}

/// Runs `read`, which reads the blob, and fetches again what it finds damaged.
template <class Read>
void mending(stage& replica,
             const std::string& name,
             const blob_summary& b,
             const std::string& from,
             const Read& read) {
    constexpr int mends_max = 16;
    for (int mended = 0;; ++mended) {
        try {
            return read();
        } catch (const error& e) {
            if (e.code() != errc::not_found || mended == mends_max) throw;
            log_line("blob " + b.id.brief() + " is damaged here; fetching it again", "warn");
            require_whole(replica, name, b.id.hex(), from);
        }
    }
}

/// As on the command line: FROM-TO, the last byte included, TO may be left out.
std::pair<std::uint64_t, std::uint64_t> parse_range(const std::string& text, std::uint64_t size) {
    if (text.empty()) return {0, size};
    const std::size_t dash = text.find('-');
    const auto digits = [](const std::string& t) {
        return t.find_first_not_of("0123456789") == t.npos && t.size() < 19;
    };
    const std::string from = text.substr(0, dash);
    const std::string to = dash == text.npos ? "" : text.substr(dash + 1);
    if (dash == text.npos || from.empty() || !digits(from) || !digits(to))
        throw usage_error("--range is FROM-TO in bytes, such as 0-499 or 500-, found " + text);
    const std::uint64_t first = std::min<std::uint64_t>(std::stoull(from), size);
    const std::uint64_t end =
        to.empty() ? size : std::min<std::uint64_t>(std::stoull(to) + 1, size);
    return {first, std::max(first, end)};
}

void add_get(CLI::App& app, session& s) {
    auto* command =
        add_command(app,
                    "get",
                    "Write a blob into a file; fetches it first if it is not here, and goes on "
                    "where that was broken off",
                    "trib blob get tweets 5d41aa photo.jpg");
    auto name = std::make_shared<std::string>();
    auto which = std::make_shared<std::string>();
    auto file = std::make_shared<std::string>();
    auto from = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command->add_option("BLOB", *which, "its address, or the beginning of its id")->required();
    command->add_option("FILE", *file, "(default: the name that its op gives it)");
    command->add_option("--from", *from, "ws://HOST:PORT (default: the peer used last)");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            const auto replica = s.open();
            const blob_summary b = require_whole(*replica, *name, *which, *from);
            fs::path to = *file;
            if (file->empty()) {
                to = fs::path(told_by(*replica, *name, b).second).filename();
                if (to.empty() || to == "." || to == "..") to = b.id.brief() + ".blob";
            }
            std::error_code ec;
            if (fs::exists(to, ec))
                throw error(errc::exists,
                            to.string() + " is there already; give another FILE, or remove it");
            mending(*replica, *name, b, *from, [&] {
                save_blob(
                    replica->blob_files(), b.id, to, [](std::uint64_t) { return keep_going(); });
            });
            std::cout << to.string() << '\n';
            return ok;
        };
    });
}

void add_cat(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "cat",
                                "Write a blob, or a range of it, to stdout",
                                "trib blob cat tweets 5d41aa --range 0-499");
    auto name = std::make_shared<std::string>();
    auto which = std::make_shared<std::string>();
    auto range = std::make_shared<std::string>();
    auto from = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    command->add_option("BLOB", *which, "its address, or the beginning of its id")->required();
    command->add_option("--range", *range, "FROM-TO in bytes, both included; TO may be left out");
    command->add_option("--from", *from, "ws://HOST:PORT (default: the peer used last)");
    command->callback([=, &s] {
        s.action = [=, &s]() -> int {
            parse_range(*range, 0);
            const auto replica = s.open();
            const blob_summary b = require_whole(*replica, *name, *which, *from);
            auto [first, end] = parse_range(*range, b.size);
            mending(*replica, *name, b, *from, [&, &next = first, &last = end] {
                read_blob(replica->blob_files(), b.id, next, last - next, [&](bytes_view piece) {
                    require_going_on();
                    std::cout.write(piece.data(), static_cast<std::streamsize>(piece.size()));
                    next += piece.size();
                });
            });
            std::cout.flush();
            if (!std::cout) throw error(errc::io, "cannot write to stdout");
            return ok;
        };
    });
}

}  // namespace

void add_blob_commands(CLI::App& app, session& s) {
    auto* group = add_command(app,
                              "blob",
                              "Large files that ops refer to: add, ls, get, cat",
                              "trib blob add tweets photo.jpg --op add-photo");
    group->require_subcommand(1);
    group->fallthrough();
    add_add(*group, s);
    add_ls(*group, s);
    add_get(*group, s);
    add_cat(*group, s);
}

}  // namespace tributary::cli
