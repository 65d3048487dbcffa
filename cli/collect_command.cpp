// collect: JSON lines in, ops out. How far a source was read goes down in the same batch as the
// commit, so that running the command again goes on where it was.

#include "tributary/value/edn.hpp"
#include "tributary/value/hash.hpp"
#include "tributary/value/instant.hpp"
#include "tributary/value/json.hpp"
#include "tributary/value/msgpack.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "line_source.hpp"
#include "output.hpp"
#include "progress.hpp"
#include <iostream>
#include <set>
#include <thread>

namespace tributary::cli {

namespace {

using namespace std::chrono_literals;

constexpr int rotations_max = 9;
constexpr auto rotation_patience = 2s;
constexpr std::size_t body_overhead = 16;  ///< of the array and the bin around one op

struct collect_options {
    std::string crdt, op_name, source, key;
    std::size_t batch = 100;
    std::chrono::milliseconds every = 10s;
    bool follow = false, again = false;
};

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// Lines that could not be collected, with where and why, one JSON object a line.
class rejects_file {
public:
    rejects_file(const std::filesystem::path& store, const std::string& crdt)
        : file_(store / ("rejects-" + crdt + ".jsonl")) {}

    void add(const std::string& source, const line_source& at, const std::string& reason) {
        const value record = make_map({{"source", source},
                                       {"line", static_cast<std::int64_t>(at.line_number())},
                                       {"byte", static_cast<std::int64_t>(at.line_begin())},
                                       {"reason", reason},
                                       {"hex", to_hex(at.text())}});
        const std::string line = json::print(with_text(record, at.text())) + "\n";
        const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const bool written =
            fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
            ::fsync(fd) == 0;
        const int failed = errno;
        if (fd >= 0) ::close(fd);
        if (!written)
            throw error(failed == ENOSPC ? errc::no_space : errc::io,
                        "cannot write " + file_.string() + ": " + std::strerror(failed));
        ++count_;
    }

    std::uint64_t count() const { return count_; }
    const std::filesystem::path& file() const { return file_; }

private:
    /// The line as text where it is valid UTF-8, so that people can read it; the hexadecimal form
    /// is for all others.
    static value with_text(const value& record, std::string_view text) {
        std::vector<std::pair<value, value>> entries = record.as<map>().entries;
        try {
            encode(value(text));
            std::erase_if(entries, [](const auto& entry) { return entry.first == value("hex"); });
            entries.emplace_back("text", text);
        } catch (const error&) {
        }
        return make_map(std::move(entries));
    }

    std::filesystem::path file_;
    std::uint64_t count_ = 0;
};

class collector {
public:
    collector(const session& s, collect_options options)
        : options_(std::move(options)),
          session_(s),
          replica_(s.open()),
          rejects_(s.store_dir(), options_.crdt),
          bar_("collecting") {
        replica_->summary(options_.crdt);  // fails at once if there is none
        if (options_.source != "-") {
            options_.source =
                std::filesystem::absolute(options_.source).lexically_normal().string();
            bar_.clear();
        }
        if (options_.source != "-") lock_source(s.store_dir());
        place_key_ = options_.source == "-" ? "source/-/" + to_hex(random_bytes(8))
                                            : "source/" + options_.source;
    }

    int run() {
        if (options_.source == "-" && options_.key.empty()) {
            std::cerr << "stdin is collected at least once: what is fed in again is collected "
                         "again; --key FIELD skips what is known\n";
        }
        while (!read_files()) start_over();
        bar_.clear();
        const bool was_interrupted = !keep_going() && !options_.follow;
        report(was_interrupted);
        if (rejects_.count() > 0 || left_partial_ || lost_) return input_rejected;
        return was_interrupted ? interrupted : ok;
    }

private:
    /// Two collectors of one file would take each line twice. The lock ends with the process.
    void lock_source(const std::filesystem::path& store) {
        const std::string name =
            "collect-" + hash("trib.source.1", options_.crdt + '\0' + options_.source).brief() +
            ".lock";
        const int fd = ::open((store / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            throw error(errc::io,
                        "cannot make " + (store / name).string() + ": " + std::strerror(errno));
        if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
            throw error(errc::locked,
                        options_.source + " is being collected into " + options_.crdt +
                            " by another process");
        }
    }

    /// False if somebody else has moved the place meanwhile: the last call of a collector that was
    /// killed was done after this one had begun.
    bool read_files() {
        try {
            for (const auto& [path, offset] : files_to_read()) read(path, offset);
            return true;
        } catch (const error& e) {
            if (e.code() != errc::conflict) throw;
            return false;
        }
    }

    void start_over() {
        ops_.clear();
        keys_.clear();
        bytes_staged_ = 0;
        last_place_.clear();
        options_.again = false;
    }

    /// The rest of the file that was being read, if it was renamed since, then the one at the path.
    std::vector<std::pair<std::string, std::uint64_t>> files_to_read() {
        const std::string& path = options_.source;
        kept_place_ = replica_->get_mark(options_.crdt, place_key_);
        if (path == "-" || options_.again || !kept_place_) return {{path, 0}};
        const source_place place = decode_source_place(*kept_place_);
        if (is_same_file(path, place)) return {{path, place.offset}};
        // Renamed by a rotation, perhaps more than one: first what was not read of it, then the
        // later ones.
        for (int back = 1; back <= rotations_max; ++back) {
            if (!is_same_file(rotated(back), place)) continue;
            std::vector<std::pair<std::string, std::uint64_t>> files = {
                {rotated(back), place.offset}};
            while (--back >= 1) files.emplace_back(rotated(back), 0);
            files.emplace_back(path, 0);
            return files;
        }
        log_line(path +
                     " is another file than the one that was collected under this name, and that "
                     "one is not at " +
                     path + ".1 to ." + std::to_string(rotations_max) +
                     "; if it had lines after byte " + std::to_string(place.offset) +
                     ", they were not collected. The new file is read from its beginning",
                 "warn");
        lost_ = true;
        return {{path, 0}};
    }

    std::string rotated(int back) const { return options_.source + "." + std::to_string(back); }

    void read(const std::string& path, std::uint64_t offset) {
        auto source = std::make_unique<line_source>(path, offset);
        const bool may_follow = options_.follow && path == options_.source;
        flushed_ = quiet_since_ = std::chrono::steady_clock::now();
        for (bool more = true; more && keep_going();) {
            switch (source->next(200ms)) {
                case line_source::outcome::line:
                    take(*source);
                    quiet_since_ = std::chrono::steady_clock::now();
                    break;
                case line_source::outcome::oversized:
                    reject(*source, "a line of more than 64 MiB");
                    break;
                case line_source::outcome::end:
                    more = false;
                    break;
                case line_source::outcome::partial:
                case line_source::outcome::waiting:
                    if (source->is_stdin()) break;
                    more = may_follow && wait_or_reopen(source);
                    if (!more) take_partial(*source);
            }
            commit_if_due(*source);
            bar_.show(source->place().offset,
                      source->size(),
                      "bytes",
                      with_commas(collected_ + ops_.size()) + " ops");
        }
        commit(*source);
    }

    void commit_if_due(const line_source& source) {
        const auto now = std::chrono::steady_clock::now();
        if (ops_.empty()) flushed_ = now;
        if (ops_.size() < options_.batch && now - flushed_ < options_.every) return;
        commit(source);
        flushed_ = now;
    }

    /// Takes a last line without an end if it is whole; else it stays for the next run.
    void take_partial(line_source& source) {
        if (source.text().empty()) return;
        try {
            json::read(source.text());
        } catch (const error&) {
            left_partial_ = true;
            bar_.clear();
            log_line(options_.source + ": the last line, at byte " +
                         std::to_string(source.line_begin()) +
                         ", has no end and is no JSON yet; it is read again next time",
                     "warn");
            return;
        }
        source.accept_partial();
        take(source);
    }

    /// At the end of what is there of a followed file: waits, or goes on with the next file once a
    /// rotated one has been quiet for a while, since its writer may still have it open.
    bool wait_or_reopen(std::unique_ptr<line_source>& source) {
        const bool quiet = std::chrono::steady_clock::now() - quiet_since_ > rotation_patience;
        if (source->was_truncated() || (quiet && source->was_renamed())) {
            if (!source->text().empty() && !source->was_truncated()) {
                source->accept_partial();
                take(*source);
            }
            commit(*source);
            source = std::make_unique<line_source>(options_.source, 0);
            return true;
        }
        std::this_thread::sleep_for(100ms);
        return true;
    }

    void reject(const line_source& source, const std::string& reason) {
        bar_.clear();
        log_line(options_.source + ": line " + std::to_string(source.line_number()) + ", at byte " +
                     std::to_string(source.line_begin()) + ": " + reason,
                 "warn");
        rejects_.add(options_.source, source, reason);
    }

    void take(const line_source& source) {
        if (source.text().find_first_not_of(" \t") == std::string_view::npos) return;
        try {
            op made{symbol{options_.op_name}, json::read(source.text())};
            bytes encoded = encode(made);
            if (encoded.size() + body_overhead > body_bytes_max)
                throw error(errc::limit, "an op of more than a commit's 16 MiB");
            if (!options_.key.empty() && is_known(made.params)) return;
            if (bytes_staged_ + encoded.size() > body_bytes_max / 2) commit_before(source);
            bytes_staged_ += encoded.size();
            ops_.push_back(std::move(encoded));
        } catch (const error& e) {
            if (e.code() != errc::bad_input && e.code() != errc::limit) throw;
            reject(source, e.what());
        }
    }

    bool is_known(const value& params) {
        const value* key = params.find(std::string_view(options_.key));
        if (key == nullptr)
            throw error(errc::bad_input, "no field \"" + options_.key + "\" to know it again by");
        const std::string mark_key = "key/" + options_.op_name + "/" +
                                     hash("trib.source.1", encode(*key)).hex().substr(0, 32);
        if (!keys_.insert(mark_key).second || replica_->get_mark(options_.crdt, mark_key)) {
            ++skipped_;
            return true;
        }
        return false;
    }

    void commit(const line_source& source) { commit_up_to(source, source.place()); }

    /// Without the line that is being taken.
    void commit_before(const line_source& source) {
        if (!ops_.empty()) commit_up_to(source, source.place_before());
    }

    void commit_up_to(const line_source& source, const source_place& place) {
        const bytes place_mark = source.is_stdin()
                                     ? encode(value(static_cast<std::int64_t>(place.offset)))
                                     : encode(place);
        if (place_mark == last_place_ && ops_.empty()) return;
        std::vector<mark> marks = {{place_key_, place_mark, kept_place_}};
        for (const std::string& key : keys_) marks.push_back({key, bytes()});
        if (ops_.empty()) {
            if (source.is_stdin() || place.offset == 0) return;
            replica_->put_marks(options_.crdt, marks);
        } else {
            marks.push_back({"status/last collect",
                             fmt::format("{}: {} ops from {}",
                                         format_instant(inst{now_ms()}),
                                         with_commas(collected_ + ops_.size()),
                                         options_.source)});
            transact(marks, place_mark);
            collected_ += ops_.size();
        }
        ops_.clear();
        keys_.clear();
        bytes_staged_ = 0;
        last_place_ = place_mark;
        kept_place_ = place_mark;
    }

    /// If the process that has the store goes away in the middle, the mark tells whether the commit
    /// was made.
    void transact(const std::vector<mark>& marks, const bytes& place_mark) {
        for (int attempt = 0;; ++attempt) {
            try {
                replica_->transact_encoded(options_.crdt, ops_, marks);
                return;
            } catch (const error& e) {
                if (e.code() != errc::unavailable || attempt == 5) throw;
                if (replica_->get_mark(options_.crdt, place_key_) == place_mark) return;
            }
        }
    }

    void report(bool was_interrupted) const {
        std::string text = counted(collected_, "op") + " collected";
        if (skipped_ > 0) text += ", " + counted(skipped_, "known one") + " skipped";
        if (rejects_.count() > 0)
            text += ", " + counted(rejects_.count(), "line") + " refused: see " +
                    rejects_.file().string();
        if (was_interrupted) text += "; interrupted: run it again to go on";
        std::cout << text << '\n';
    }

    collect_options options_;
    const session& session_;
    std::unique_ptr<stage> replica_;
    rejects_file rejects_;
    progress bar_;
    std::string place_key_;
    bytes last_place_;
    std::optional<bytes> kept_place_;  ///< in the store
    std::vector<bytes> ops_;
    std::set<std::string> keys_;
    std::size_t bytes_staged_ = 0;
    std::uint64_t collected_ = 0, skipped_ = 0;
    std::chrono::steady_clock::time_point flushed_, quiet_since_;
    bool left_partial_ = false, lost_ = false;
};

}  // namespace

void add_collect_command(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "collect",
                                "Append JSON lines as ops; run again, it goes on where it stopped",
                                "trib collect tweets --op add-tweet tweets.jsonl --follow");
    auto options = std::make_shared<collect_options>();
    auto every = std::make_shared<std::uint64_t>(10000);
    command->add_option("CRDT", options->crdt)->required();
    command->add_option("SOURCE", options->source, "a file of JSON lines, or - for stdin")
        ->required();
    command->add_option("--op", options->op_name, "the op each line becomes")
        ->required()
        ->check(CLI::Validator(
            [](const std::string& name) -> std::string {
                try {
                    const value read = edn::read(name);
                    if (read.get_if<symbol>() != nullptr && read.as<symbol>().text == name)
                        return "";
                } catch (const error&) {
                }
                return "\"" + name + "\" is no EDN symbol, so no dispatch map could name it";
            },
            "SYMBOL"));
    command->add_option("--batch", options->batch, "ops a commit")
        ->capture_default_str()
        ->check(CLI::Range(1u, ops_max));
    command
        ->add_option("--every",
                     *every,
                     "commit what there is at least so often, e.g. 10s or 500ms (default: 10s)")
        ->transform(CLI::AsNumberWithUnit(
            std::map<std::string, std::uint64_t>{{"ms", 1}, {"s", 1000}, {"m", 60000}}));
    command->add_flag(
        "--follow", options->follow, "wait for more lines, through rotation, until interrupted");
    command->add_flag(
        "--again", options->again, "from the beginning, whatever was collected before");
    command
        ->add_option(
            "--key", options->key, "skip objects whose FIELD has a value that was collected before")
        ->type_name("FIELD");
    command->callback([=, &s] {
        s.action = [=, &s] {
            options->every = std::chrono::milliseconds(*every);
            return collector(s, *options).run();
        };
    });
}

}  // namespace tributary::cli
