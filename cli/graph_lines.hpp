/// Draws a commit graph in text, children before parents: one column a line of descent, after `git
/// log --graph`.
#pragma once

#include "tributary/crdt/commit.hpp"

#include <string>
#include <vector>

namespace tributary::cli {

class graph_lines {
public:
    struct drawing {
        std::vector<std::string> above;  ///< lines that only join columns
        std::string left;                ///< what stands left of the commit
        std::vector<std::string> below;
    };
    drawing next(const commit_id& id, const std::vector<commit_id>& parents);

private:
    std::vector<commit_id> columns_;  ///< the commit each column waits for
};

}  // namespace tributary::cli
