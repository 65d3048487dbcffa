#include "line_editor.hpp"

#include <editline/readline.h>
#include <unistd.h>

#include "command.hpp"
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <iostream>

namespace tributary::cli {

namespace {

constexpr int history_lines = 1000;

std::function<std::vector<std::string>(const std::string&)> candidates_of;
std::vector<std::string> found;

/// One character; -1 at the end and when the user asked to stop, which a read of libedit's own
/// would go on after.
int next_character(FILE* in) {
    std::mbstate_t state{};
    for (;;) {
        char byte = 0;
        const ssize_t n = ::read(fileno(in), &byte, 1);
        if (n == 0 || (n < 0 && (errno != EINTR || !keep_going()))) return -1;
        if (n < 0) continue;
        wchar_t c = 0;
        const std::size_t used = std::mbrtowc(&c, &byte, 1, &state);
        if (used == static_cast<std::size_t>(-2)) continue;
        return used == static_cast<std::size_t>(-1) ? '?' : static_cast<int>(c);
    }
}

char* candidate(const char* start, int index) {
    if (index == 0) found = candidates_of(start);
    const auto i = static_cast<std::size_t>(index);
    return i < found.size() ? ::strdup(found[i].c_str()) : nullptr;
}

char** complete(const char* start, int, int) {
    rl_attempted_completion_over = 1;  // no names of files
    return rl_completion_matches(start, candidate);
}

}  // namespace

line_editor::line_editor(std::string history_file,
                         std::function<std::vector<std::string>(const std::string&)> candidates)
    : terminal_(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0),
      history_file_(std::move(history_file)) {
    if (!terminal_) return;
    candidates_of = std::move(candidates);
    static char breaks[] = " \t\n()[]{}\"'";
    rl_completer_word_break_characters = breaks;
    rl_attempted_completion_function = complete;
    rl_getc_function = next_character;
    rl_readline_name = "trib";
    rl_initialize();
    using_history();
    stifle_history(history_lines);
    if (!history_file_.empty()) read_history(history_file_.c_str());
}

line_editor::~line_editor() {
    if (terminal_ && !history_file_.empty()) write_history(history_file_.c_str());
}

line_editor::outcome line_editor::next(const std::string& prompt, std::string& line) {
    if (!terminal_) {
        if (std::getline(std::cin, line)) return outcome::line;
        return keep_going() ? outcome::end : outcome::interrupted;
    }
    char* text = readline(prompt.c_str());
    if (text == nullptr) return keep_going() ? outcome::end : outcome::interrupted;
    line = text;
    std::free(text);
    return outcome::line;
}

void line_editor::remember(const std::string& form) {
    if (terminal_ && !form.empty()) add_history(form.c_str());
}

}  // namespace tributary::cli
