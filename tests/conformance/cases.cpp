#include "conformance/cases.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace tributary::conformance {

const value* member(const value& map, const char* key) {
    return map.get_if<tributary::map>() != nullptr ? map.find(value(keyword{key})) : nullptr;
}

std::string test_case::name() const {
    const value* n = find("name");
    if (n == nullptr) return "(no name)";
    const std::string* text = n->get_if<std::string>();
    return text != nullptr ? *text : edn::print(*n);
}

const value& test_case::get(const char* key) const {
    if (const value* v = find(key)) return *v;
    throw bad_case(std::string("the case has no :") + key);
}

std::string test_case::word(const char* key) const {
    const value* v = find(key);
    const keyword* k = v != nullptr ? v->get_if<keyword>() : nullptr;
    return k != nullptr ? k->text : "";
}

bool test_case::expects_error() const {
    // A transaction is a set: what takes one form after another is refused.
    if (word("dialect") == "datascript-sequential-tx") return true;
    return find("compare") != nullptr ? word("compare") == "error"
                                      : find("expected-error") != nullptr;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    if (!fs::exists(path)) throw bad_case("there is no " + path.string());
    if (!fs::is_directory(path)) return {path};
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
        if (entry.is_regular_file() && entry.path().extension() == ".edn")
            files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<test_case> read_cases(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw bad_case("cannot read " + file.string());
    const value content = edn::read(std::string(std::istreambuf_iterator<char>(in), {}));
    const value* cases = content.get_if<vector>() != nullptr ? &content : member(content, "cases");
    if (cases == nullptr || cases->get_if<vector>() == nullptr)
        throw bad_case("expected a vector of cases, or a map with :cases");
    const value* datasets = member(content, "datasets");
    const auto shared = std::make_shared<const value>(datasets != nullptr ? *datasets : value());
    std::vector<test_case> all;
    for (const value& form : cases->as<vector>()) all.push_back({file, form, shared});
    return all;
}

}  // namespace tributary::conformance
