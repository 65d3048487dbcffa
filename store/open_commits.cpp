#include "tributary/store/open_commits.hpp"

#include "tributary/store/apart_kv.hpp"
#include "tributary/store/keys.hpp"

namespace tributary {

std::unique_ptr<kv> open_commits(const std::filesystem::path& dir, const leveldb_options& options) {
    return make_apart_kv(open_leveldb(dir, options), dir, [](bytes_view key) {
        using keys::space;
        return key.starts_with(static_cast<char>(space::entry)) ||
               key.starts_with(static_cast<char>(space::body));
    });
}

}  // namespace tributary
