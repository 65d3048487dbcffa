/// What is wrong with a query, its rules or a pull pattern, and where in the text of it. Private to
/// the room.
#pragma once

#include "tributary/value/error.hpp"
#include "tributary/value/value.hpp"

#include <span>
#include <string>
#include <vector>

namespace tributary::datom::datalog {

/// A value as EDN, shortened, for messages.
std::string shown(const value& v);

/// A part of a text: how messages name it, and its way from the outermost part in, each as `shown`.
/// Of two equal parts it is the first; behind a keyword stands what belongs to it.
struct place {
    place(const std::string& part) : name(part), way{part} {}
    place(const char* part) : place(std::string(part)) {}
    place(std::string named, std::vector<std::string> parts)
        : name(std::move(named)), way(std::move(parts)) {}
    /// The same name, but what is at fault is a part of it.
    place at(const std::string& part) const;

    std::string name;
    std::vector<std::string> way;
};

/// A fault that a text could be pointed at for.
class clause_error : public error {
public:
    clause_error(errc code, const char* name, place where, const std::string& problem)
        : error(code, name, problem), where_(std::move(where)) {}
    const std::vector<std::string>& way() const { return where_.way; }

private:
    place where_;
};

/// One that points at its place already.
class placed_error : public error {
public:
    using error::error;
};

/// "query: in `where`: `problem`" as an error of bad_input. Without a name it is one of syntax.
[[noreturn]] void fail_clause(const place& where, const std::string& problem);
[[noreturn]] void fail_clause(const char* name, const place& where, const std::string& problem);
/// The same for a problem below, whose name and place are kept; rethrows what is not of bad_input.
[[noreturn]] void fail_clause(const place& where, const error& problem);

/// Errors: bad_input, a placed_error that begins with `whose`.
value read_text(const std::string& text, const char* whose);
/// Throws `e` pointing at its place in `text` ("`whose`line 1, column 2: ..."), if `text` has it.
void point_at(const std::string& text, const char* whose, const clause_error& e);

/// Calls `f` with `v` or, if `v` is text, with what is read from it; then faults point into it,
/// after the words `whose`.
template <class Function>
auto with_places(const value& v, const char* whose, Function f) {
    const std::string* text = v.get_if<std::string>();
    if (text == nullptr) return f(v);
    const value read = read_text(*text, whose);
    try {
        return f(read);
    } catch (const clause_error& e) {
        point_at(*text, whose, e);
        throw;
    }
}

/// "; did you mean :tweet/text?" of what is nearest to `name`, or nothing. `sign` stands before
/// names.
std::string did_you_mean(std::string_view name,
                         const std::vector<std::string_view>& known,
                         const char* sign = "");

/// "1 argument", "2 arguments".
std::string counted(std::size_t n, const char* noun);

}  // namespace tributary::datom::datalog
