#include "tributary/realize/stage_source.hpp"

#include "realize/support.hpp"

namespace tributary::test {

namespace {

/// What a stage_source uses of a stage, over a history.
struct stage_like {
    struct summary_like {
        std::vector<commit_id> heads;
        std::uint64_t linear_length = 0;
    };
    struct view {
        std::uint64_t at = 0;
        commit_id id;
        commit_header header;
        std::string author_name;
        bytes body;
        bool mainline = false;
    };

    history h;

    summary_like summary(const std::string& name) {
        CHECK(name == "tweets");
        return {h.source.heads(), h.source.length()};
    }
    std::vector<view> read_linear(const std::string&,
                                  std::uint64_t position,
                                  std::size_t,
                                  bool bodies) {
        std::vector<view> out;  // three at a time, whatever is asked for
        for (auto& c : h.source.read(position, SIZE_MAX)) {
            out.push_back({c.position,
                           c.mark.id,
                           c.header,
                           c.author_name,
                           bodies ? c.body : bytes(),
                           c.mark.mainline});
        }
        return out;
    }
};

}  // namespace

TEST_CASE("stage_source: gives a stream what a stage has", "[realize]") {
    stage_like s;
    s.h.source.commits_at_once = 3;
    for (int i = 0; i < 10; ++i) s.h.put(i, i);
    stage_source source(s, "tweets");
    CHECK(source.length() == 10);
    CHECK(source.heads() == s.h.source.heads());
    CHECK(source.marks(0, 10) == s.h.log());
    CHECK(source.marks(8, 5) == s.h.source.marks(8, 5));
    CHECK(source.marks(2, 1) == s.h.source.marks(2, 1));
    CHECK(source.marks(10, 1).empty());
    const auto some = source.read(4, 1000);
    REQUIRE(some.size() == 3);
    CHECK(some[0].position == 4);
    CHECK(some[0].mark == s.h.source.marks(4, 1)[0]);
    CHECK(split_body(some[0].body).size() == 1);
    CHECK(!some[0].erased);
}

TEST_CASE("stage_source: a body that is gone though it had ops was erased", "[realize]") {
    stage_like s;
    const commit_id id = s.h.put(1, 1);
    s.h.add({});
    s.h.source.erased.insert(id);
    const auto all = stage_source(s, "tweets").read(0, 1000);
    REQUIRE(all.size() == 2);
    CHECK(all[0].erased);
    CHECK(!all[1].erased);
}

}  // namespace tributary::test
