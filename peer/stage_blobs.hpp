/// Blobs of a replica for applications: in by stage::blob_files().write(), out by what is here.
///
///     auto to = s->blob_files().write();
///     while (...) to->append(part);
///     s->transact("tweets", {{symbol{"add-photo"}, value(blob_address(to->finish().id))}});
///
/// The commit names every blob of which its ops hold the address as a string, if it is here.
#pragma once

#include "tributary/peer/stage.hpp"
#include "tributary/store/blob_store.hpp"

#include <filesystem>
#include <functional>

namespace tributary {

/// Gives `size` bytes from `offset` on to `take`, in pieces, each out of a verified chunk. Errors:
/// not_found (it is not here whole, or turns out to be damaged; what was taken is right), those of
/// `take`.
void read_blob(blob_store& from,
               const blob_id& id,
               std::uint64_t offset,
               std::uint64_t size,
               const std::function<void(bytes_view piece)>& take);

/// Writes a blob into a file that appears when it is whole. `keep_going` may say no. Errors:
/// not_found, io, no_space, canceled.
void save_blob(blob_store& from,
               const blob_id& id,
               const std::filesystem::path& to,
               const std::function<bool(std::uint64_t done)>& keep_going);

}  // namespace tributary
