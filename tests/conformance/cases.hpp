/// Cases as files hold them: EDN maps, in a vector or under :cases beside the :datasets they name.
#pragma once

#include "tributary/value/edn.hpp"

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tributary::conformance {

/// The case itself is wrong: it says nothing about the database.
struct bad_case : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The value of a map under a keyword; null if it is no map or has none.
const value* member(const value& map, const char* key);

struct test_case {
    std::filesystem::path file;
    value form;
    std::shared_ptr<const value> datasets;  ///< of its file; nil if there are none

    std::string name() const;
    const value* find(const char* key) const { return member(form, key); }
    /// Errors: bad_case if there is no such key.
    const value& get(const char* key) const;
    /// The keyword under `key` without its colon; "" if there is none.
    std::string word(const char* key) const;
    /// Is it that the database refuses what it is asked?
    bool expects_error() const;
};

/// The .edn files of a directory, at any depth, by path; a file is itself. Errors: bad_case if
/// there is no such thing.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& path);

/// A case that is no EDN we read has :unreadable, why. Errors: bad_case if the file is neither a
/// vector of maps nor a map with :cases; error if what is around the cases cannot be read.
std::vector<test_case> read_cases(const std::filesystem::path& file);

}  // namespace tributary::conformance
