/// Replicas and their peers as they change.
#pragma once

#include "tributary/peer/stage.hpp"

#include "command.hpp"
#include <string>

namespace tributary::cli {

/// Shows `name`, or all CRDTs if it is empty, until keep_going says no: as a table that is drawn
/// again and again on a terminal; else a line for each change, as text or JSON. Errors: those of
/// the stage.
void watch(stage& replica, const std::string& name, format f);

}  // namespace tributary::cli
