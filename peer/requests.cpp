#include "tributary/peer/requests.hpp"

#include "tributary/peer/requests_codec.hpp"

#include <map>

namespace tributary {

using namespace requests;

namespace {

constexpr std::chrono::milliseconds beat(100);
/// Of one answer; whoever wants more asks again.
constexpr std::size_t answer_bytes_max = 4u << 20;

using emitter = std::function<bool(const value&)>;
using answerer = std::function<value(stage&, value args, const emitter&)>;

/// A method whose arguments and result travel as they are.
template <class R, class... A>
answerer plain(R (stage::*method)(A...)) {
    return [method](stage& s, value args, const emitter&) -> value {
        auto unpacked = unpack_all<std::remove_cvref_t<A>...>(std::move(args));
        return std::apply(
            [&](auto&... a) -> value {
                if constexpr (std::is_void_v<R>) {
                    (s.*method)(std::move(a)...);
                    return {};
                } else {
                    return pack((s.*method)(std::move(a)...));
                }
            },
            unpacked);
    };
}

using read_method = std::vector<commit_view> (stage::*)(const std::string&,
                                                        std::uint64_t,
                                                        std::size_t,
                                                        bool);

answerer reading(read_method method) {
    return [method](stage& s, value args, const emitter&) -> value {
        auto [name, at, bytes_max, bodies] =
            unpack_all<std::string, std::uint64_t, std::size_t, bool>(std::move(args));
        return pack((s.*method)(name, at, std::min(bytes_max, answer_bytes_max), bodies));
    };
}

value wait_for_change(stage& s, value args, const emitter& emit) {
    auto [name, commits, wait] =
        unpack_all<std::string, std::uint64_t, std::chrono::milliseconds>(std::move(args));
    for (;;) {
        const std::uint64_t now = s.wait_for_change(name, commits, std::min(wait, beat));
        wait -= std::min(wait, beat);
        if (now != commits || wait.count() == 0 || !emit({})) return pack(now);
    }
}

template <class Report, class First>
answerer syncing(Report (stage::*method)(const First&,
                                         const std::string&,
                                         const connect_options&)) {
    return [method](stage& s, value args, const emitter& emit) -> value {
        connect_options options;
        First first;
        std::string second;
        std::tie(first,
                 second,
                 options.follow,
                 options.trust,
                 options.compress,
                 options.part,
                 options.lazy_blobs,
                 options.blobs) = unpack_all<First,
                                             std::string,
                                             bool,
                                             tls_trust,
                                             bool,
                                             std::optional<history_part>,
                                             std::optional<bool>,
                                             std::vector<blob_id>>(std::move(args));
        options.keep_going = [&emit](const sync_progress& p) { return emit(pack(p)); };
        return pack((s.*method)(first, second, options));
    };
}

value serve(stage& s, value args, const emitter& emit) {
    auto [options] = unpack_all<serve_options>(std::move(args));
    // The beats let the client say when to stop.
    s.serve(
        options,
        [&](const std::string& address) { emit(pack(address)); },
        [&] { return emit(true); });
    return {};
}

value backup(stage& s, value args, const emitter& emit) {
    auto [to] = unpack_all<std::string>(std::move(args));
    return pack(s.backup(to, [&](std::uint64_t bytes) {
        if (!emit(pack(bytes))) throw error(errc::canceled, "the client is gone");
    }));
}

value verify(stage& s, value args, const emitter& emit) {
    auto [name] = unpack_all<std::string>(std::move(args));
    auto stop_if_gone = [](bool there) {
        if (!there) throw error(errc::canceled, "the client is gone");
    };
    return pack(s.verify(
        name,
        [&](const std::string& problem) { stop_if_gone(emit(pack_all(problem))); },
        [&](std::uint64_t done, std::uint64_t all) { stop_if_gone(emit(pack_all(done, all))); }));
}

const std::map<std::string, answerer, std::less<>>& methods() {
    static const std::map<std::string, answerer, std::less<>> all{
        {"key", plain(&stage::key)},
        {"create", plain(&stage::create)},
        {"fork", plain(&stage::fork)},
        {"pull", plain(&stage::pull)},
        {"list", plain(&stage::list)},
        {"summary", plain(&stage::summary)},
        {"peers", plain(&stage::peers)},
        {"grant", plain(&stage::grant)},
        {"revoke", plain(&stage::revoke)},
        {"members", plain(&stage::members)},
        {"rotate", plain(&stage::rotate)},
        {"transact", plain(&stage::transact_encoded)},
        {"merge", plain(&stage::merge)},
        {"conflicts", plain(&stage::conflicts)},
        {"blobs", plain(&stage::blobs)},
        {"put-marks", plain(&stage::put_marks)},
        {"get-mark", plain(&stage::get_mark)},
        {"read-arrival", reading(&stage::read_arrival)},
        {"read-linear", reading(&stage::read_linear)},
        {"find", plain(&stage::find)},
        {"wait-for-change", wait_for_change},
        {"sync", syncing(&stage::sync)},
        {"clone", syncing(&stage::clone)},
        {"deepen", syncing(&stage::deepen)},
        {"serve", serve},
        {"backup", backup},
        {"remove", plain(&stage::remove)},
        {"collect-garbage", plain(&stage::collect_garbage)},
        {"verify", verify},
        {"ping", [](stage&, value, const emitter&) { return value(); }},
    };
    return all;
}

}  // namespace

request_handler answer_requests(stage& s) {
    return [&s](const std::string& method, const value& args, const emitter& emit) -> value {
        // Failures of the call travel inside the answer, apart from those of the connection.
        try {
            auto at = methods().find(method);
            if (at == methods().end())
                throw error(errc::newer_version,
                            "the process that has the store open does not know \"" + method +
                                "\"; restart it with this version");
            return vector{true, at->second(s, args, emit)};
        } catch (const error& e) {
            return vector{false, static_cast<int>(e.code()), blob{e.what()}};
        }
    };
}

}  // namespace tributary
