/// Calls on a store's local socket: what another process may ask of the one that has the store
/// open. An input is [method arguments]; calls that would go out to the network or wait are left
/// out.
#include "tributary/peer/requests.hpp"

#include "tributary/peer/requests_codec.hpp"
#include "tributary/value/msgpack.hpp"

#include "fuzz/driver.hpp"
#include "sim/mutate.hpp"
#include "store/temporary_directory.hpp"
#include <set>

using namespace tributary;
using requests::pack_all;

namespace {

bytes call(const char* method, value arguments) {
    return encode(value(vector{value(method), std::move(arguments)}));
}

std::vector<bytes> samples() {
    const std::string name = "notes";
    const commit_id nowhere{};
    const public_key key = identity::from_seed(bytes(32, 'k')).key();
    const std::vector<bytes> ops{encode(op{symbol{"note"}, value("text")})};
    const std::vector<mark> marks{{"place", "1"}, {"other", "2", std::optional<bytes>()}};
    return {
        call("key", vector{}),
        call("list", vector{}),
        call("ping", vector{}),
        call("summary", pack_all(name)),
        call("grant", pack_all(name, key, std::string("ann"))),
        call("transact", pack_all(name, ops, marks)),
        call("merge", pack_all(name, std::vector<commit_id>{nowhere}, std::vector<op>{})),
        call("conflicts", pack_all(name)),
        call("put-marks", pack_all(name, marks)),
        call("get-mark", pack_all(name, std::string("place"))),
        call("read-arrival", pack_all(name, std::uint64_t{1}, std::size_t{1000}, true)),
        call("read-linear", pack_all(name, std::uint64_t{0}, std::size_t{1000}, false)),
        call("find", pack_all(name, nowhere, true)),
        call("verify", pack_all(name)),
    };
}

void take(const bytes& input) {
    static const testing::temporary_directory directory;
    static const std::unique_ptr<stage> replica = [] {
        auto s = stage::open(directory.path());
        s->create("notes");
        return s;
    }();
    static const request_handler answer = answer_requests(*replica);
    static const std::set<std::string> left_out{
        "sync", "clone", "deepen", "serve", "wait-for-change"};
    const value v = decode(input);
    const auto& parts = v.as<vector>();
    if (parts.size() != 2 || left_out.contains(parts[0].as<std::string>())) return;
    answer(parts[0].as<std::string>(), parts[1], [](const value&) { return true; });
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<bytes> calls = samples();
    const auto next = [&calls](sim::random_source& random) {
        bytes b = calls[random.below(calls.size())];
        for (std::size_t n = 1 + random.below(3); n > 0; --n) b = sim::mutate_frame(random, b);
        return b;
    };
    return fuzz::drive(argc, argv, {{"requests", calls, next, take}});
}
