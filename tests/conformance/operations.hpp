/// What a case asks of the database: its :op, done.
#pragma once

#include "conformance/run.hpp"
#include "conformance/world.hpp"
#include <functional>
#include <map>

namespace tributary::conformance {

/// The databases of a case, made when they are first asked for.
class worlds {
public:
    worlds(const test_case& c, sight s) : case_(c), sight_(s) {}
    /// Of `{:db n}`, or db 0 for null.
    world& at(const value* db_argument);
    world& first() { return at(nullptr); }
    /// The database value of `{:db n :view [...]}`.
    datom::db unfiltered(const value* db_argument);
    /// What the case sees of it.
    datom::db seen(const value* db_argument);
    sight what_is_seen() const { return sight_; }

private:
    const test_case& case_;
    sight sight_;
    std::map<value, world> made_;
};

/// Does what the case asks; the result in the case's words, but for ids. Errors: those of the
/// database; bad_case.
using operation = std::function<value(const test_case&, worlds&, const options&)>;

/// Null if there is no such :op.
const operation* find_operation(const std::string& op);

/// All datoms of the database there ever were, to see that nothing changed.
std::vector<datom::datom> everything(const datom::db& d);

}  // namespace tributary::conformance
