/// A kv whose bulk values lie apart: of the keys that the caller says are written once and in
/// order, values of large batches go into a value log (store/value_log.hpp), and the index keeps
/// their places. So an LSM tree beneath has little to compact, whatever the values' size.
///
/// A batch with little bulk goes into the index whole: one sync is less to wait for than two, and
/// what comes slowly costs little to compact. A place is written only after its value is durable.
#pragma once

#include "tributary/store/kv.hpp"

#include <filesystem>
#include <functional>
#include <memory>

namespace tributary {

/// `dir` is where the log's files are. compact() also gives back room in the log. Errors, beyond
/// those of `index`: io of a value that is damaged, naming its key. Thread rule: as kv; compact()
/// may run beside a write.
std::unique_ptr<kv> make_apart_kv(std::unique_ptr<kv> index,
                                  const std::filesystem::path& dir,
                                  std::function<bool(bytes_view key)> is_bulk);

}  // namespace tributary
