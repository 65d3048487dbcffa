#include "tributary/store/value_log.hpp"

#include <fcntl.h>
#include <sodium.h>

#include <charconv>
#include <cstring>
#include <system_error>

namespace tributary {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view name_front = "values-";
/// Of neighbours so much is read in one go.
constexpr std::size_t ahead_bytes = 64u << 10;
constexpr std::size_t piece_bytes = 256u << 10;

/// SipHash-2-4 with a key of zeros: it is to find flipped bits, not enemies.
std::uint64_t check_of(bytes_view value) {
    static constexpr unsigned char key[crypto_shorthash_KEYBYTES] = {};
    unsigned char sum[crypto_shorthash_BYTES];
    crypto_shorthash(sum, reinterpret_cast<const unsigned char*>(value.data()), value.size(), key);
    return get_be64({reinterpret_cast<const char*>(sum), sizeof sum});
}

std::optional<std::uint64_t> number_of(const std::string& name) {
    if (!name.starts_with(name_front)) return std::nullopt;
    std::uint64_t n = 0;
    const char* const end = name.data() + name.size();
    const auto [at, ec] = std::from_chars(name.data() + name_front.size(), end, n);
    if (ec != std::errc() || at != end || n == 0) return std::nullopt;
    return n;
}

}  // namespace

// -- Reading --------------------------------------------------------------------------------------

std::optional<bytes_view> value_reader::read(const value_place& p) {
    const auto found = files_->find(p.file);
    if (found == files_->end()) return std::nullopt;
    const bool inside = file_ == p.file && p.offset >= first_ &&
                        p.offset + p.size <= first_ + ahead_.size();
    if (!inside) {
        const bool is_next = file_ == p.file && p.offset >= last_end_ &&
                             p.offset - last_end_ < ahead_bytes;
        const std::size_t wanted = is_next ? std::max<std::size_t>(ahead_bytes, p.size) : p.size;
        ahead_ = found->second->read(p.offset, wanted);
        file_ = p.file;
        first_ = p.offset;
    }
    last_end_ = p.offset + p.size;
    if (ahead_.size() < p.offset - first_ + p.size) return std::nullopt;
    const bytes_view value = bytes_view(ahead_).substr(p.offset - first_, p.size);
    return check_of(value) == p.check ? std::optional(value) : std::nullopt;
}

// -- Files ----------------------------------------------------------------------------------------

value_log::value_log(fs::path dir) : dir_(std::move(dir)) {
    value_files found;
    std::error_code ec;
    for (fs::directory_iterator at(dir_, ec), end; !ec && at != end; at.increment(ec))
        if (const auto n = number_of(at->path().filename().string()))
            found[*n] = std::make_shared<const file>(at->path(), O_RDWR);
    if (ec) fail_file(ec.value(), "look into", dir_);
    if (!found.empty()) {
        number_ = found.rbegin()->first;
        end_ = found.rbegin()->second->size();
        full_ = false;
    }
    set(std::move(found));
}

std::shared_ptr<const value_files> value_log::files() const {
    const std::lock_guard lock(mutex_);
    return files_;
}

void value_log::set(value_files files) {
    auto fresh = std::make_shared<const value_files>(std::move(files));
    const std::lock_guard lock(mutex_);
    files_ = std::move(fresh);
}

std::uint64_t value_log::begin_file() {
    if (full_ || end_ > 0) open_file();
    return number_;
}

void value_log::open_file() {
    value_files all = *files();
    const fs::path path = dir_ / (std::string(name_front) + std::to_string(number_ + 1));
    all[number_ + 1] = std::make_shared<const file>(path, O_RDWR | O_CREAT | O_TRUNC);
    sync_directory(dir_);
    ++number_;
    end_ = 0;
    full_ = false;
    set(std::move(all));
}

std::vector<value_place> value_log::append(std::span<const bytes_view> values) {
    if (full_ || end_ >= file_bytes) open_file();
    const std::shared_ptr<const value_files> all = files();
    const file& to = *all->at(number_);
    std::vector<value_place> places;
    places.reserve(values.size());
    std::uint64_t end = end_;
    bytes piece;
    try {
        for (const bytes_view value : values) {
            places.push_back({number_, end + piece.size(), value.size(), check_of(value)});
            piece += value;
            if (piece.size() < piece_bytes) continue;
            to.write(end, piece);
            end += piece.size();
            piece.clear();
        }
        to.write(end, piece);
        end += piece.size();
    } catch (...) {
        to.truncate(end_);
        throw;
    }
    // What of these bytes is on the disk is not known any more if this fails.
    full_ = true;
    to.sync();
    full_ = false;
    end_ = end;
    return places;
}

void value_log::drop(std::uint64_t number) {
    value_files all = *files();
    const auto found = all.find(number);
    if (found == all.end()) return;
    const fs::path path = found->second->path();
    all.erase(found);
    set(std::move(all));
    std::error_code ec;
    if (fs::remove(path, ec); ec) fail_file(ec.value(), "remove", path);
}

}  // namespace tributary
