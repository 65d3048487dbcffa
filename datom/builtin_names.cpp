#include "tributary/datom/builtin_names.hpp"

#include "tributary/datom/builtins.hpp"

namespace tributary::datom {

std::vector<std::string_view> builtin_names() {
    std::vector<std::string_view> names = {"avg",
                                           "count",
                                           "count-distinct",
                                           "distinct",
                                           "max",
                                           "median",
                                           "min",
                                           "rand",
                                           "sample",
                                           "stddev",
                                           "sum",
                                           "variance"};
    for (const auto& some : {datalog::number_builtins(),
                             datalog::value_builtins(),
                             datalog::text_builtins(),
                             datalog::database_builtins()})
        for (const datalog::builtin& b : some) names.push_back(b.name);
    return names;
}

}  // namespace tributary::datom
