#include "tributary/peer/stage_blobs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace tributary {

namespace {

constexpr std::size_t piece_bytes = 64u << 10;

[[noreturn]] void not_whole(const blob_id& id) {
    throw error(errc::not_found,
                "blob " + id.brief() +
                    " is not here whole, or is damaged; trib blob get fetches what is missing");
}

}  // namespace

void read_blob(blob_store& from,
               const blob_id& id,
               std::uint64_t offset,
               std::uint64_t size,
               const std::function<void(bytes_view piece)>& take) {
    const auto made = from.manifest(id);
    if (!made) not_whole(id);
    const std::uint64_t end = std::min(offset + size, made->size());
    for (std::uint64_t chunk = offset / made->chunk_bytes();
         chunk < made->count() && chunk * made->chunk_bytes() < end;
         ++chunk) {
        const std::uint64_t begin = chunk * made->chunk_bytes();
        // The beginning is read in any case: that verifies the chunk.
        for (std::uint64_t at = 0; at < made->size_of(chunk) && begin + at < end;
             at += piece_bytes) {
            if (at > 0 && begin + at + piece_bytes <= offset) continue;
            const auto piece = from.read(id, chunk, at, piece_bytes);
            if (!piece) not_whole(id);
            const std::uint64_t skip = offset > begin + at ? offset - begin - at : 0;
            if (skip >= piece->size()) continue;
            take(bytes_view(*piece).substr(skip, end - std::max(offset, begin + at)));
        }
    }
}

void save_blob(blob_store& from,
               const blob_id& id,
               const std::filesystem::path& to,
               const std::function<bool(std::uint64_t done)>& keep_going) {
    const std::filesystem::path part = to.string() + ".part";
    const auto fail = [&] {
        const int code = errno;
        throw error(code == ENOSPC ? errc::no_space : errc::io,
                    "cannot write " + to.string() + ": " + std::strerror(code));
    };
    try {
        std::ofstream out(part, std::ios::binary | std::ios::trunc);
        if (!out) fail();
        std::uint64_t done = 0;
        read_blob(from, id, 0, ~std::uint64_t{0} >> 1, [&](bytes_view piece) {
            if (!keep_going(done)) throw error(errc::canceled, "interrupted");
            if (!out.write(piece.data(), static_cast<std::streamsize>(piece.size()))) fail();
            done += piece.size();
        });
        if (!out.flush()) fail();
        out.close();
        std::filesystem::rename(part, to);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(part, ignored);
        throw;
    }
}

}  // namespace tributary
