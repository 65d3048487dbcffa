#include "tributary/store/memory_kv.hpp"
#include "tributary/store/overlay_kv.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

namespace tributary {

namespace {

std::map<bytes, bytes> all_of(const kv_reader& r) {
    std::map<bytes, bytes> found;
    const auto c = r.cursor();
    for (c->seek(""); c->valid(); c->next()) found.emplace(c->key(), c->val());
    return found;
}

}  // namespace

TEST_CASE("overlay: changes are seen on top, and only there", "[store]") {
    const auto below = make_memory_kv();
    kv_batch b;
    b.put("a", "1");
    b.put("c", "3");
    below->write(b, true);
    const auto above = make_overlay_kv(below->snapshot());
    kv_batch changes;
    changes.put("b", "2");
    changes.erase("c");
    above->write(changes, false);
    const kv_snapshot kept = above->snapshot();
    kv_batch more;
    more.put("a", "9");
    above->write(more, false);
    CHECK(all_of(*above) == std::map<bytes, bytes>{{"a", "9"}, {"b", "2"}});
    CHECK(all_of(*kept) == std::map<bytes, bytes>{{"a", "1"}, {"b", "2"}});
    CHECK(all_of(*below) == std::map<bytes, bytes>{{"a", "1"}, {"c", "3"}});
}

TEST_CASE("overlay: layers read as one map, in both directions", "[store]") {
    const auto seed = std::random_device()();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 100; ++round) {
        std::map<bytes, bytes> model;
        const auto below = make_memory_kv();
        const auto change = [&](kv& to) {
            kv_batch b;
            for (unsigned i = random() % 12; i > 0; --i) {
                bytes key(1, static_cast<char>('a' + random() % 16));
                if (random() % 3 == 0) {
                    model.erase(key);
                    b.erase(std::move(key));
                } else {
                    model[key] = std::to_string(random() % 100);
                    b.put(key, model[key]);
                }
            }
            to.write(b, true);
        };
        change(*below);
        auto top = make_overlay_kv(below->snapshot());
        for (int layers = 0; layers < 3; ++layers) {
            change(*top);
            top = make_overlay_kv(top->snapshot());
        }
        CHECK(all_of(*top) == model);
        const auto c = top->cursor();
        auto at = model.end();
        for (int step = 0; step < 40; ++step) {
            const bytes key(1, static_cast<char>('a' + random() % 16));
            switch (c->valid() ? random() % 4 : random() % 2) {
                case 0:
                    c->seek(key);
                    at = model.lower_bound(key);
                    break;
                case 1:
                    c->seek_back(key);
                    at = model.upper_bound(key);
                    at = at == model.begin() ? model.end() : std::prev(at);
                    break;
                case 2:
                    c->next();
                    ++at;
                    break;
                default:
                    c->prev();
                    at = at == model.begin() ? model.end() : std::prev(at);
            }
            REQUIRE(c->valid() == (at != model.end()));
            if (c->valid()) {
                CHECK(c->key() == at->first);
                CHECK(c->val() == at->second);
                CHECK(top->get(at->first) == at->second);
            }
        }
    }
}

}  // namespace tributary
