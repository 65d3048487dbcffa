#include "graph_lines.hpp"

#include <algorithm>

namespace tributary::cli {

namespace {

std::string bars(std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += "| ";
    return out;
}

}  // namespace

graph_lines::drawing graph_lines::next(const commit_id& id, const std::vector<commit_id>& parents) {
    drawing out;
    if (std::find(columns_.begin(), columns_.end(), id) == columns_.end()) columns_.push_back(id);
    const auto mine = static_cast<std::size_t>(std::find(columns_.begin(), columns_.end(), id) -
                                               columns_.begin());
    for (std::size_t i = columns_.size();
         i-- > mine + 1;) {  // other columns that waited for this commit end here
        if (columns_[i] != id) continue;
        out.above.push_back(bars(mine) + "|" + std::string(2 * (i - mine) - 1, '_') + "/ " +
                            bars(columns_.size() - i - 1));
        columns_.erase(columns_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    out.left = bars(mine) + "* " + bars(columns_.size() - mine - 1);

    std::vector<commit_id> fresh;
    for (const commit_id& parent : parents) {
        if (std::find(columns_.begin(), columns_.end(), parent) == columns_.end())
            fresh.push_back(parent);
    }
    if (parents.empty()) {
        columns_.erase(columns_.begin() + static_cast<std::ptrdiff_t>(mine));
        return out;
    }
    // The first parent goes on in this column; that another column waits for it too shows when it
    // comes.
    columns_[mine] = parents.front();
    std::erase(fresh, parents.front());
    const std::size_t right = columns_.size() - mine - 1;
    if (!fresh.empty())
        out.below.push_back(bars(mine) + "|" + std::string(fresh.size(), '\\') + " " + bars(right));
    columns_.insert(
        columns_.begin() + static_cast<std::ptrdiff_t>(mine) + 1, fresh.begin(), fresh.end());
    return out;
}

}  // namespace tributary::cli
