/// Lines of a file or of stdin, with the place of each, so that a later run can go on where this
/// one stopped. Follows a file through rotation.
#pragma once

#include "tributary/value/value.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tributary::cli {

/// How far a file was read: enough to know the file again by its first bytes, whatever it is called
/// now.
struct source_place {
    std::uint64_t offset = 0;  ///< bytes read
    std::uint64_t prefix_bytes =
        0;  ///< how many of the first bytes `digest` is of; at most 4096 and at most `offset`
    bytes digest;  ///< 32 bytes
};

bytes encode(const source_place& p);
source_place decode_source_place(bytes_view data);

/// Whether the file there begins as the one at `p` did and is at least as long.
bool is_same_file(const std::filesystem::path& file, const source_place& p);

class line_source {
public:
    /// A file from `offset` on, or stdin ("-"). Errors: not_found, io.
    line_source(const std::string& path, std::uint64_t offset);
    ~line_source();
    line_source(const line_source&) = delete;

    enum class outcome {
        line,     ///< `text` is the next line, without its end
        partial,  ///< `text` is what follows the last line end of a file; more may come: it is not
                  ///< consumed
        oversized,  ///< a line of more than line_bytes_max was skipped; `text` is empty
        waiting,    ///< nothing new within the time
        end         ///< of stdin
    };
    /// The next line; waits up to `patience` for stdin, not at all for a file. `text` is valid
    /// until the next call. Errors: io.
    outcome next(std::chrono::milliseconds patience);
    std::string_view text() const { return text_; }

    /// Where `text` begins and the reading stands, in bytes; and the number of the line, from 1 in
    /// this run.
    std::uint64_t line_begin() const { return line_begin_; }
    std::uint64_t line_number() const { return line_number_; }
    std::uint64_t size() const;
    /// As of the last line given out.
    source_place place() const;
    /// As of the line before the one given out.
    source_place place_before() const;

    /// Takes the partial line that next() told of for a whole one.
    void accept_partial();

    /// Whether the path now leads to another file.
    bool was_renamed() const;
    /// Whether the file itself was emptied, and perhaps written anew since.
    bool was_truncated() const;
    bool is_stdin() const { return path_ == "-"; }

private:
    bool fill(std::chrono::milliseconds patience);
    source_place place_at(std::uint64_t offset) const;

    std::string path_;
    int fd_ = -1;
    std::string head_;    ///< the first bytes of the file
    std::string buffer_;  ///< read, from buffer_begin_ on
    std::size_t at_ = 0;  ///< next unread byte in buffer_
    std::size_t scanned_ = 0;
    std::uint64_t buffer_begin_ = 0;
    std::uint64_t line_begin_ = 0, line_number_ = 0, consumed_ = 0;
    std::string_view text_;
    bool ended_ = false, skipping_ = false;
};

}  // namespace tributary::cli
