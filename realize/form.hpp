/// The forms of a dispatch map, compiled once: what turns an op's params into transaction data.
/// Private to the room.
#pragma once

#include "tributary/value/value.hpp"

#include <memory>
#include <optional>

namespace tributary {

/// An expression over params.
class form {
public:
    virtual ~form() = default;
    /// Its value in `scope` (the op's params; within :each, the element); nothing if a path is
    /// missing. Errors: bad_input if a conversion does not apply to what it found.
    virtual std::optional<value> evaluate(const value& scope) const = 0;
};

/// Whether it is [:each ...], which gives a vector of several things.
bool is_each(const value& source);

/// Errors: bad_input naming the form and what was expected.
std::unique_ptr<const form> compile_form(const value& source);

}  // namespace tributary
