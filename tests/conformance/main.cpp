/// conformance [--range-end inclusive] DIR|FILE...
///
/// Runs the cases of all .edn files and says where the database differs. The last line is
/// "N passed, M failed"; cases that need attributes without a type are named and not counted.
#include "conformance/run.hpp"
#include <cstdio>
#include <cstring>
#include <iostream>

using namespace tributary;
using namespace tributary::conformance;

namespace {

struct tally {
    int passed = 0;
    int failed = 0;
};

void fail(tally& t, const std::string& where, const std::string& why) {
    ++t.failed;
    std::cout << "FAILED " << where << why << '\n';
}

void run_file(const std::filesystem::path& file, const options& o, tally& t) {
    std::vector<test_case> cases;
    try {
        cases = read_cases(file);
    } catch (const std::exception& e) {
        return fail(t, file.string(), std::string("\n    cannot be read: ") + e.what());
    }
    for (const test_case& c : cases) {
        const outcome result = run(c, o);
        const std::string where = file.filename().string() + " " + c.name();
        if (result.what == outcome::kind::failed)
            fail(t, where, result.why);
        else if (result.what == outcome::kind::not_run)
            std::cout << "not run " << where << ": " << result.why << '\n';
        else
            ++t.passed;
    }
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    std::vector<std::filesystem::path> places;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--range-end") == 0 && i + 1 < argc &&
            std::strcmp(argv[i + 1], "inclusive") == 0) {
            o.range_end_included = true;
            ++i;
        } else if (argv[i][0] == '-') {
            places.clear();
            break;
        } else {
            places.emplace_back(argv[i]);
        }
    }
    if (places.empty()) {
        std::cerr << "usage: conformance [--range-end inclusive] DIR|FILE...\n";
        return 2;
    }
    tally t;
    for (const auto& place : places) {
        try {
            for (const auto& file : files_of(place)) run_file(file, o, t);
        } catch (const std::exception& e) {
            fail(t, place.string(), std::string("\n    ") + e.what());
        }
    }
    std::cout << t.passed << " passed, " << t.failed << " failed\n";
    return t.failed == 0 ? 0 : 1;
}
