/// The database of a commit store on a disk: LevelDB, and in the same directory a value log with
/// the entries and bodies of commits, which are written once, in the order of arrival.
#pragma once

#include "tributary/store/leveldb_kv.hpp"

namespace tributary {

/// As open_leveldb; sizes of buffers are chosen here.
std::unique_ptr<kv> open_commits(const std::filesystem::path& dir, leveldb_options options = {});

}  // namespace tributary
