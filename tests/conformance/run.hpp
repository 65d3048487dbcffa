/// One case against the database.
#pragma once

#include "conformance/cases.hpp"
#include <string>

namespace tributary::conformance {

struct options {
    bool range_end_included = false;  ///< index-range; cases of that dialect have it anyway
};

struct outcome {
    enum class kind { passed, failed, not_run };
    kind what = kind::passed;
    std::string why;  ///< the difference, or what the case needs
};

outcome run(const test_case& c, const options& o);

}  // namespace tributary::conformance
