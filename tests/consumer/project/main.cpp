// A project outside of the tree: makes a replica, writes an op, reads it back, and prints how many
// commits there are.
#include "tributary/peer/stage.hpp"
#include "tributary/value/edn.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>

using namespace tributary;

int main() {
    std::string dir =
        (std::filesystem::temp_directory_path() / "tributary-consumer-XXXXXX").string();
    if (mkdtemp(dir.data()) == nullptr) return 1;
    std::uint64_t commits = 0;
    {
        const auto s = stage::open(dir);
        s->create("tweets");
        s->transact("tweets", {op{symbol{"add-tweet"}, edn::read("{:id 1 :text \"hello\"}")}});
        commits = s->summary("tweets").commits;
    }
    std::filesystem::remove_all(dir);
    std::cout << commits << " commit\n";
    return commits == 1 ? 0 : 1;
}
