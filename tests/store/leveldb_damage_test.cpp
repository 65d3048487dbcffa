/// Bytes of LevelDB's files that changed at rest: whoever reads gets right answers or an error,
/// never less than there was.

#include "tributary/store/leveldb_kv.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include "store/kv_conformance.hpp"
#include "store/temporary_directory.hpp"
#include <fstream>
#include <sstream>

using namespace tributary;
using namespace tributary::testing;
namespace fs = std::filesystem;

namespace {

leveldb_options small_tables() {
    leveldb_options o;
    o.write_buffer_bytes = 64u << 10;
    o.block_bytes = 1u << 10;
    return o;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void write_file(const fs::path& file, const std::string& contents) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << contents;
}

/// A database and copies of it with one byte changed.
class victim {
public:
    /// The batches are numbered; `value_bytes` decides whether they stay in the log.
    victim(int batches, std::size_t value_bytes) {
        const auto db = open_leveldb(origin(), small_tables());
        for (int i = 0; i < batches; ++i) {
            kv_batch batch;
            for (int k = 0; k < 3; ++k) {
                bytes value;
                for (std::size_t n = 0; value.size() < value_bytes; ++n)
                    value += std::to_string((i * 31 + k) * 7919 + static_cast<int>(n)) + ' ';
                batch.put("key" + std::to_string(100000 + (i * 3 + k) * 7 % 1000), value);
            }
            if (i % 5 == 4) batch.erase("key" + std::to_string(100000 + i % 1000));
            db->write(batch, true);
        }
        rows_ = read_all(*db);
    }

    std::vector<fs::path> files(const char* extension) const {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(origin()))
            if (entry.path().extension() == extension) found.push_back(entry.path().filename());
        return found;
    }

    /// True if the damage was reported; what is read without an error must be right.
    bool reports(const fs::path& file, std::size_t at, char bit) {
        fs::remove_all(copy());
        fs::copy(origin(), copy());
        std::string contents = read_file(copy() / file);
        contents.at(at) = static_cast<char>(contents.at(at) ^ bit);
        write_file(copy() / file, contents);
        INFO(file << ", byte " << at << " of " << contents.size());
        bool reported = false;
        std::string message;
        const auto attempt = [&](const std::function<void()>& f) {
            try {
                f();
            } catch (const error& e) {
                reported = true;
                message = e.what();
                const bool says_so = message.find("damaged") != message.npos &&
                                     message.find(copy().string()) != message.npos;
                if (!says_so) FAIL("an error of another kind: " << message);
            }
        };
        std::unique_ptr<kv> db;
        attempt([&] { db = open_leveldb(copy(), small_tables()); });
        if (!db) return true;
        attempt([&] {
            if (read_all(*db) != rows_) FAIL("a scan has other rows");
        });
        attempt([&] {
            const auto cursor = db->cursor();
            auto row = rows_.rbegin();
            cursor->seek_back("z");
            for (; cursor->valid(); cursor->prev(), ++row)
                if (row == rows_.rend() || cursor->key() != row->first) FAIL("backwards");
            if (row != rows_.rend()) FAIL("backwards, fewer");
        });
        for (const auto& [key, val] : rows_) {
            const bytes& sought = key;
            const bytes& expected = val;
            attempt([&] {
                if (db->get(sought) != expected) FAIL("another value of " << sought);
            });
        }
        return reported;
    }

private:
    fs::path origin() const { return directory_.path() / "origin"; }
    fs::path copy() const { return directory_.path() / "copy"; }

    temporary_directory directory_{::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm")
                                                                   : fs::temp_directory_path()};
    model rows_;
};

}  // namespace

TEST_CASE("leveldb_kv: a damaged table is reported by every read that meets it", "[store]") {
    victim v(300, 200);
    const auto tables = v.files(".ldb");
    REQUIRE_FALSE(tables.empty());
    int tried = 0, reported = 0;
    for (const fs::path& table : tables) {
        for (std::size_t at = 5; at < 60000; at += 1997) {
            bool has_byte = true;
            try {
                reported += v.reports(table, at, 1) ? 1 : 0;
            } catch (const std::out_of_range&) {
                has_byte = false;
            }
            if (!has_byte) break;
            ++tried;
        }
    }
    CHECK(reported > tried / 2);
}

TEST_CASE("leveldb_kv: a damaged log is refused, whichever batch of it is hit", "[store]") {
    victim v(12, 40);
    const auto logs = v.files(".log");
    REQUIRE(logs.size() == 1);
    for (std::size_t at = 0; at < 2100; ++at) {
        const char bit = static_cast<char>(1 << at % 8);
        if (!v.reports(logs.front(), at, bit)) FAIL("byte " << at << " changed and nobody said so");
    }
}
