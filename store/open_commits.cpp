#include "tributary/store/open_commits.hpp"

#include "tributary/store/apart_kv.hpp"
#include "tributary/store/keys.hpp"

namespace tributary {

std::unique_ptr<kv> open_commits(const std::filesystem::path& dir, leveldb_options options) {
    // Only an index is left in LevelDB.
    options.block_cache_bytes = options.write_buffer_bytes = 8u << 20;
    return make_apart_kv(open_leveldb(dir, options), dir, [](bytes_view key) {
        using keys::space;
        return key.starts_with(static_cast<char>(space::entry)) ||
               key.starts_with(static_cast<char>(space::body));
    });
}

}  // namespace tributary
