/// What all fuzzers have in common: the command line, crashers first, then inputs for a while.
///
/// PROGRAM [--seconds N] [--seed N] [--target NAME] [CRASHERS]
///
/// Bad input of every kind must end in an error of our own (tributary::error), and change nothing;
/// anything else ends the program. What is being tried stands in fuzz-TARGET-input, so that a crash
/// leaves it behind; it then becomes a file of CRASHERS whose name begins with its target's, all of
/// which run first.
#pragma once

#include "tributary/value/bytes.hpp"

#include "sim/random.hpp"
#include <functional>
#include <string>
#include <vector>

namespace tributary::fuzz {

struct target {
    std::string name;
    std::vector<bytes> samples;
    /// Another input, from the samples or not.
    std::function<bytes(sim::random_source&)> next;
    /// Throws nothing but tributary::error; what else is wrong it says with fail().
    std::function<void(const bytes&)> take;
};

/// Ends the program.
[[noreturn]] void fail(const std::string& what);

int drive(int argc, char** argv, const std::vector<target>& targets);

}  // namespace tributary::fuzz
