/// Lines from a person at a terminal, with editing, history and completion; or from a pipe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tributary::cli {

/// There is one at a time: the library below keeps its state in globals.
class line_editor {
public:
    /// `history_file` is read now and written at the end; nothing is kept if it is empty.
    /// `candidates` gives all that could stand where the word begins with `start`.
    line_editor(std::string history_file,
                std::function<std::vector<std::string>(const std::string& start)> candidates);
    ~line_editor();
    line_editor(const line_editor&) = delete;

    enum class outcome { line, interrupted, end };
    /// The next line without its end. Prompts on a terminal only.
    outcome next(const std::string& prompt, std::string& line);
    /// What a later arrow up brings back.
    void remember(const std::string& form);
    bool is_terminal() const { return terminal_; }

private:
    bool terminal_;
    std::string history_file_;
};

}  // namespace tributary::cli
