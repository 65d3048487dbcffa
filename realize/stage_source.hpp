/// A stage's linear log as a realize stream reads it.
///
///     stage_source source(*my_stage, "tweets");
///     realize_stream stream(source, target, dispatch, my_stage->summary("tweets").id, {});
///
/// A template, as this room does not know that of stages: `Stage` is anything with the stage's
/// summary() and read_linear() (peer/stage.hpp). Thread rule: one thread.
#pragma once

#include "tributary/realize/stream.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tributary {

template <class Stage>
class stage_source : public linear_source {
public:
    /// `name`: the CRDT's, or its address. The stage must outlive the source.
    stage_source(Stage& from, std::string name) : from_(from), name_(std::move(name)) {}

    std::uint64_t length() override { return from_.summary(name_).linear_length; }
    std::vector<commit_id> heads() override { return from_.summary(name_).heads; }

    std::vector<linear_mark> marks(std::uint64_t position, std::uint64_t count) override {
        std::vector<linear_mark> out;
        while (out.size() < count) {
            const std::uint64_t wanted = count - out.size();
            const auto some =
                from_.read_linear(name_, position + out.size(), wanted * usual_header_bytes, false);
            if (some.empty()) break;
            const std::size_t used = std::min<std::size_t>(wanted, some.size());
            for (std::size_t i = 0; i < used; ++i) out.push_back({some[i].id, some[i].mainline});
        }
        return out;
    }

    std::vector<linear_commit> read(std::uint64_t position, std::size_t bytes_max) override {
        std::vector<linear_commit> out;
        for (auto& c : from_.read_linear(name_, position, bytes_max, true)) {
            const bool erased = c.body.empty() && c.header.op_count > 0;
            out.push_back({c.at,
                           {c.id, c.mainline},
                           std::move(c.header),
                           std::move(c.author_name),
                           std::move(c.body),
                           erased});
        }
        return out;
    }

private:
    /// So that one request usually brings what is asked for and little more.
    static constexpr std::size_t usual_header_bytes = 256;

    Stage& from_;
    std::string name_;
};

template <class Stage>
stage_source(Stage&, std::string) -> stage_source<Stage>;

}  // namespace tributary
