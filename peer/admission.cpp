#include "tributary/peer/admission.hpp"

#include <algorithm>
#include <fstream>

namespace tributary {

namespace {

std::set<public_key> read_keys(const std::filesystem::path& file) {
    std::ifstream in(file);
    if (!in) throw error(errc::io, "cannot read " + file.string());
    std::set<public_key> keys;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        line.resize(std::min(line.find('#'), line.size()));
        constexpr const char* blank = " \t\r";
        const auto first = line.find_first_not_of(blank);
        if (first == line.npos) continue;
        line = line.substr(first, line.find_last_not_of(blank) + 1 - first);
        try {
            keys.insert(public_key::from_hex(line));
        } catch (const error&) {
            throw error(errc::bad_input,
                        file.string() + ": line " + std::to_string(number) +
                            ": a key is the 64 hexadecimal digits that trib id prints, found \"" +
                            line.substr(0, 80) + "\"");
        }
    }
    return keys;
}

}  // namespace

admission::admission(const std::filesystem::path& dir, const ban_options& bans) : bans_(bans) {
    if (dir.empty()) return;
    allow_.file = dir / "allow";
    deny_.file = dir / "deny";
    refresh();
}

void admission::listed::refresh() {
    if (file.empty()) return;
    std::error_code ec;
    const auto written = std::filesystem::last_write_time(file, ec);
    if (ec) {
        if (std::filesystem::exists(file, ec))
            throw error(errc::io, "cannot read " + file.string());
        keys.reset();
        read_at = {};
        size = 0;
        return;
    }
    const auto now_size = std::filesystem::file_size(file, ec);
    if (written == read_at && now_size == size) return;
    keys = read_keys(file);
    read_at = written;
    size = now_size;
}

void admission::refresh() {
    allow_.refresh();
    deny_.refresh();
}

void admission::require_welcome(const public_key& key, std::int64_t now_ms) const {
    const std::string who = "key " + key.hex();
    if (deny_.keys && deny_.keys->contains(key))
        throw error(errc::unauthorized,
                    "limit/keys",
                    who +
                        " is not welcome here: it is in this peer's list of denied keys; ask "
                        "whoever runs it");
    if (allow_.keys && !allow_.keys->contains(key))
        throw error(errc::unauthorized,
                    "limit/keys",
                    who +
                        " is not welcome here: it is not in this peer's list of allowed keys; "
                        "ask whoever runs it");
    if (const std::int64_t wait = bans_.wait_ms(key.hex(), now_ms); wait > 0)
        throw error(errc::unavailable,
                    "limit/banned-keys",
                    who + " has sent bad input; try again in " +
                        std::to_string((wait + 999) / 1000) + " s");
}

}  // namespace tributary
