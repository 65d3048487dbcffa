#include "tributary/store/leveldb_env.hpp"

#include "tributary/store/leveldb_log_tail.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace tributary {

namespace {

constexpr std::size_t chunk_bytes = 256u << 10;

class counted_file : public leveldb::RandomAccessFile {
public:
    counted_file(std::unique_ptr<leveldb::RandomAccessFile> file, std::atomic<std::uint64_t>& reads)
        : file_(std::move(file)), reads_(reads) {}

    leveldb::Status Read(std::uint64_t offset,
                         std::size_t n,
                         leveldb::Slice* result,
                         char* scratch) const override {
        reads_.fetch_add(1, std::memory_order_relaxed);
        return file_->Read(offset, n, result, scratch);
    }

private:
    std::unique_ptr<leveldb::RandomAccessFile> file_;
    std::atomic<std::uint64_t>& reads_;
};

class file_in_memory : public leveldb::SequentialFile {
public:
    explicit file_in_memory(std::string contents) : contents_(std::move(contents)) {}

    leveldb::Status Read(std::size_t n, leveldb::Slice* result, char*) override {
        n = std::min(n, contents_.size() - at_);
        *result = leveldb::Slice(contents_.data() + at_, n);
        at_ += n;
        return leveldb::Status::OK();
    }
    leveldb::Status Skip(std::uint64_t n) override {
        at_ += static_cast<std::size_t>(std::min<std::uint64_t>(n, contents_.size() - at_));
        return leveldb::Status::OK();
    }

private:
    std::string contents_;
    std::size_t at_ = 0;
};

leveldb::Status read_all(leveldb::SequentialFile& file, std::string& contents) {
    std::vector<char> scratch(chunk_bytes);
    for (;;) {
        leveldb::Slice chunk;
        const leveldb::Status status = file.Read(scratch.size(), &chunk, scratch.data());
        if (!status.ok()) return status;
        if (chunk.empty()) return status;
        contents.append(chunk.data(), chunk.size());
    }
}

}  // namespace

leveldb::Status leveldb_env::NewRandomAccessFile(const std::string& name,
                                                 leveldb::RandomAccessFile** file) {
    reads_.fetch_add(1, std::memory_order_relaxed);
    leveldb::RandomAccessFile* opened = nullptr;
    const leveldb::Status status = target()->NewRandomAccessFile(name, &opened);
    *file = nullptr;
    if (status.ok())
        *file = new counted_file(std::unique_ptr<leveldb::RandomAccessFile>(opened), reads_);
    return status;
}

leveldb::Status leveldb_env::NewSequentialFile(const std::string& name,
                                               leveldb::SequentialFile** file) {
    const leveldb::Status opened = target()->NewSequentialFile(name, file);
    if (!opened.ok() || !name.ends_with(".log")) return opened;
    const std::unique_ptr<leveldb::SequentialFile> original(*file);
    *file = nullptr;
    std::string contents;
    const leveldb::Status read = read_all(*original, contents);
    if (!read.ok()) return read;
    const leveldb_log_tail tail = judge_leveldb_log(contents);
    if (tail.is == leveldb_log_tail::state::damaged && !cut_damaged_logs_)
        return leveldb::Status::Corruption(
            name, "damaged at byte " + std::to_string(tail.at) + ", with acknowledged writes");
    contents.resize(tail.at);
    *file = new file_in_memory(std::move(contents));
    return leveldb::Status::OK();
}

}  // namespace tributary
