#include "tributary/peer/limits.hpp"

#include "tributary/value/edn.hpp"

#include <fstream>
#include <functional>
#include <map>
#include <sstream>

namespace tributary {

namespace {

using setter = std::function<void(node_options&, std::int64_t)>;

template <class Field>
setter sets(Field field) {
    return [field](node_options& l, std::int64_t n) {
        auto& at = field(l);
        at = static_cast<std::remove_cvref_t<decltype(at)>>(n);
    };
}

const std::map<std::string, setter>& setters() {
    static const std::map<std::string, setter> all{
        {"frame-bytes",
         [](node_options& l, std::int64_t n) {
             l.hub.frame_bytes_max = l.sockets.frame_bytes_max = static_cast<std::size_t>(n);
         }},
        {"early-bytes",
         [](node_options& l, std::int64_t n) {
             l.hub.early_bytes_max = l.sockets.early_bytes_max = static_cast<std::size_t>(n);
         }},
        {"handshake-ms",
         [](node_options& l, std::int64_t n) {
             l.hub.handshake_ms = n;
             l.sockets.handshake_ms = static_cast<int>(n);
         }},
        {"clock-apart-ms", sets([](node_options & l) -> auto& { return l.hub.clock_apart_ms; })},
        {"idle-ms", sets([](node_options & l) -> auto& { return l.hub.idle_ms; })},
        {"window-bytes", sets([](node_options & l) -> auto& { return l.hub.window_bytes; })},
        {"walk-commits", sets([](node_options & l) -> auto& { return l.hub.walk_budget; })},
        {"sketch-cells", sets([](node_options & l) -> auto& { return l.hub.sketch_cells; })},
        {"plan-bytes", sets([](node_options & l) -> auto& { return l.hub.plan_bytes_max; })},
        {"unsent-bytes-in-all",
         sets([](node_options & l) -> auto& { return l.hub.unsent_bytes_max; })},
        {"plans", sets([](node_options & l) -> auto& { return l.hub.plans_max; })},
        {"subscriptions", sets([](node_options & l) -> auto& { return l.hub.subscriptions_max; })},
        {"connections", sets([](node_options & l) -> auto& { return l.sockets.accepted_max; })},
        {"strangers", sets([](node_options & l) -> auto& { return l.sockets.strangers_max; })},
        {"connections-per-address",
         sets([](node_options & l) -> auto& { return l.sockets.accepted_per_address_max; })},
        {"unread-bytes",
         sets([](node_options & l) -> auto& { return l.sockets.unread_bytes_max; })},
        {"unread-bytes-in-all",
         sets([](node_options & l) -> auto& { return l.sockets.unread_bytes_in_all_max; })},
        {"key-messages-per-second",
         sets([](node_options & l) -> auto& { return l.share.messages_s; })},
        {"key-messages-burst",
         sets([](node_options & l) -> auto& { return l.share.burst_messages; })},
        {"key-bytes-per-second", sets([](node_options & l) -> auto& { return l.share.bytes_s; })},
        {"key-bytes-burst", sets([](node_options & l) -> auto& { return l.share.burst_bytes; })},
        {"key-busy-ms-per-second",
         sets([](node_options & l) -> auto& { return l.share.busy_ms_s; })},
        {"key-busy-ms-burst",
         sets([](node_options & l) -> auto& { return l.share.burst_busy_ms; })},
        {"ban-first-ms", sets([](node_options & l) -> auto& { return l.bans.first_ms; })},
        {"ban-longest-ms", sets([](node_options & l) -> auto& { return l.bans.longest_ms; })},
    };
    return all;
}

}  // namespace

node_options read_limits(const std::string& what, std::string_view text) {
    node_options limits;
    value given;
    try {
        given = edn::read(text);
    } catch (const error& e) {
        throw error(e.code(), what + ": " + e.what());
    }
    const auto* entries = given.get_if<map>();
    if (!entries)
        throw error(
            errc::bad_input,
            what + ": expected a map such as {:connections 100}, found " + edn::describe(given));
    for (const auto& [name, number] : entries->entries) {
        const auto* word = name.get_if<keyword>();
        const auto found = word ? setters().find(word->text) : setters().end();
        if (found == setters().end()) {
            std::string names;
            for (const auto& [known, set] : setters()) names += " :" + known;
            throw error(errc::bad_input,
                        what + ": there is no limit " + edn::print(name) + "; there are" + names);
        }
        const auto* n = number.get_if<std::int64_t>();
        if (!n || *n < 0)
            throw error(errc::bad_input,
                        what + ": " + edn::print(name) + " is an integer from 0 on, found " +
                            edn::print(number));
        found->second(limits, *n);
    }
    return limits;
}

node_options limits_in(const std::filesystem::path& dir) {
    const std::filesystem::path file = dir / "limits.edn";
    if (!std::filesystem::exists(file)) return {};
    std::ifstream in(file);
    std::ostringstream text;
    if (!(text << in.rdbuf())) throw error(errc::io, "cannot read " + file.string());
    return read_limits(file.string(), text.str());
}

}  // namespace tributary
